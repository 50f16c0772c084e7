//! The bins before the latest.

use std::collections::VecDeque;

/// Bins that hold something, ascending by number: (number, count).
///
/// Nearly every series has a few bins and no more, and a hot content has dozens of series. So the first ones stand here and not on the heap,
/// each number as its distance from the first one's; only what is long, or far apart, is a list of its own.
#[derive(Clone, Debug)]
pub(super) enum Earlier {
    /// At most [`FEW`].
    Few(Few),
    /// Any number.
    Many(VecDeque<(i64, u32)>),
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Few {
    /// Half of what a distance can say lies before the number that came first.
    base: i64,
    len: u32,
    /// (Distance from `base`, count).
    bins: [(u32, u32); FEW],
}

/// So many stand here.
const FEW: usize = 6;
/// The room of a list that begins: it has outgrown [`FEW`], so it is one of the busy ones.
const MANY_AT_FIRST: usize = 24;

impl Default for Earlier {
    fn default() -> Self {
        Earlier::Few(Few::default())
    }
}

/// Two are equal if their bins are, wherever these stand.
impl PartialEq for Earlier {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Earlier {}

impl Earlier {
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Earlier::Few(few) => few.len as usize,
            Earlier::Many(bins) => bins.len(),
        }
    }

    /// The bin at a place below [`Earlier::len`].
    #[inline]
    pub(super) fn at(&self, place: usize) -> (i64, u32) {
        match self {
            Earlier::Few(few) => few.at(place),
            Earlier::Many(bins) => bins[place],
        }
    }

    #[inline]
    pub(super) fn first(&self) -> Option<(i64, u32)> {
        (self.len() > 0).then(|| self.at(0))
    }

    /// Those at these places.
    #[inline]
    pub(super) fn range(&self, places: std::ops::Range<usize>) -> impl DoubleEndedIterator<Item = (i64, u32)> + '_ {
        places.map(|place| self.at(place))
    }

    #[inline]
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (i64, u32)> + '_ {
        self.range(0..self.len())
    }

    /// How many have a number below this.
    #[inline]
    pub(super) fn before(&self, bin: i64) -> usize {
        match self {
            Earlier::Few(few) => (0..few.len as usize).take_while(|place| few.at(*place).0 < bin).count(),
            Earlier::Many(bins) => bins.partition_point(|entry| entry.0 < bin),
        }
    }

    /// Adds a bin after all others.
    pub(super) fn push(&mut self, bin: i64, count: u32) {
        self.insert(self.len(), bin, count);
    }

    /// Counts one more in a bin, which is there already or not.
    pub(super) fn add(&mut self, bin: i64) {
        // Events come a little out of order: mostly it is the last one.
        let len = self.len();
        let place = match len.checked_sub(1) {
            Some(last) if self.at(last).0 == bin => last,
            _ => self.before(bin),
        };
        if place == len || self.at(place).0 != bin {
            return self.insert(place, bin, 1);
        }
        let count = match self {
            Earlier::Few(few) => &mut few.bins[place].1,
            Earlier::Many(bins) => &mut bins[place].1,
        };
        *count = count.saturating_add(1);
    }

    /// Drops the bins with a number below this.
    pub(super) fn drop_before(&mut self, bin: i64) {
        let gone = self.before(bin);
        match self {
            Earlier::Few(few) => {
                few.bins.copy_within(gone..few.len as usize, 0);
                few.len -= gone as u32;
            }
            Earlier::Many(bins) => drop(bins.drain(..gone)),
        }
    }

    fn insert(&mut self, place: usize, bin: i64, count: u32) {
        let few = match self {
            Earlier::Many(bins) => return bins.insert(place, (bin, count)),
            Earlier::Few(few) => few,
        };
        if !few.insert(place, bin, count) {
            let mut bins = VecDeque::with_capacity(MANY_AT_FIRST);
            bins.extend((0..few.len as usize).map(|place| few.at(place)));
            bins.insert(place, (bin, count));
            *self = Earlier::Many(bins);
        }
    }
}

impl Few {
    #[inline]
    fn at(&self, place: usize) -> (i64, u32) {
        let (distance, count) = self.bins[place];
        (self.base.wrapping_add(i64::from(distance)), count)
    }

    /// Whether there was room, and the distance could be said.
    fn insert(&mut self, place: usize, bin: i64, count: u32) -> bool {
        let len = self.len as usize;
        if len == 0 {
            self.base = bin.saturating_sub(1 << 31);
        }
        let distance = bin
            .checked_sub(self.base)
            .and_then(|distance| u32::try_from(distance).ok());
        let Some(distance) = distance.filter(|_| len < FEW) else {
            return false;
        };
        self.bins.copy_within(place..len, place + 1);
        self.bins[place] = (distance, count);
        self.len += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    //! Goal: few bins and many are the same, wherever they stand.
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_sorted_map(
            steps in prop::collection::vec((prop_oneof![0..12_i64, 0..400_i64, Just(1 << 40), any::<i64>()], 0..9_u8), 0..200)
        ) {
            let (mut earlier, mut map) = (Earlier::default(), BTreeMap::<i64, u32>::new());
            for (bin, what) in steps {
                match what {
                    0 => {
                        earlier.drop_before(bin);
                        map.retain(|number, _| *number >= bin);
                    }
                    1 if map.last_key_value().is_none_or(|last| *last.0 < bin) => {
                        earlier.push(bin, 7);
                        map.insert(bin, 7);
                    }
                    _ => {
                        earlier.add(bin);
                        *map.entry(bin).or_insert(0) += 1;
                    }
                }
                prop_assert!(earlier.iter().eq(map.iter().map(|(bin, count)| (*bin, *count))), "{:?} {:?}", earlier, map);
                prop_assert_eq!(earlier.first(), map.iter().next().map(|(bin, count)| (*bin, *count)));
                prop_assert_eq!(earlier.before(bin), map.range(..bin).count());
            }
            let mut again = Earlier::default();
            map.iter().for_each(|(bin, count)| again.push(*bin, *count));
            prop_assert_eq!(earlier, again);
        }
    }
}
