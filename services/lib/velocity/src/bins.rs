mod earlier;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use tocsin_model::{Interval, Milliseconds, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

use self::earlier::Earlier;

/// The three widths of an exact bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Five seconds, kept for half an hour.
    Seconds5,
    /// One minute, kept for three hours.
    Minute1,
    /// Fifteen minutes, kept for 25 hours.
    Minutes15,
}

/// The upper end of a count that nothing bounds: the most that a topic carries.
pub const OPEN_ABOVE: u64 = i64::MAX as u64;

/// A bin that holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bin {
    pub(crate) start: Timestamp,
    pub(crate) count: u64,
}

/// The latest and the oldest bin of one resolution.
///
/// Nearly every event falls into the latest bin, so that one stands here and not with the earlier ones: to count an event and
/// to see that no bin has grown too old costs no look at those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ends {
    /// Number of the latest bin that holds something since 1970, and its count; a count of 0 says that none does.
    latest: (i64, u32),
    /// Number of the oldest one; 0 if there is none.
    oldest: i64,
}

/// How often something happened, per bin of one resolution. Bins without an event take no space.
#[derive(Clone, Copy)]
struct Bins<'a> {
    ends: &'a Ends,
    /// All but the latest, with counts above 0.
    earlier: &'a Earlier,
}

/// The same happenings at all three resolutions. The ends of all of them stand side by side: nearly every event needs nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Series {
    ends: [Ends; 3],
    earlier: [Earlier; 3],
}

/// The same in bins of fifteen minutes alone: what is only asked for over a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quarters {
    ends: Ends,
    earlier: Earlier,
}

/// Where an event falls at each resolution: found once for all the series that count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The bins of its time.
    bins: [i64; 3],
    /// The oldest bins that are kept.
    kept_from: [i64; 3],
}

/// A day in bins of fifteen minutes, and the open one.
pub(crate) const DAY_BINS: i64 = 97;

impl Resolution {
    /// All resolutions, finest first.
    pub const ALL: [Resolution; 3] = [Resolution::Seconds5, Resolution::Minute1, Resolution::Minutes15];

    /// The width of a bin.
    pub fn width(self) -> Milliseconds {
        match self {
            Resolution::Seconds5 => Milliseconds::from_seconds(5),
            Resolution::Minute1 => Milliseconds::from_minutes(1),
            Resolution::Minutes15 => Milliseconds::from_minutes(15),
        }
    }

    /// How many bins are kept, the open one included.
    pub fn bins_kept(self) -> i64 {
        match self {
            Resolution::Seconds5 => 360,
            Resolution::Minute1 => 180,
            Resolution::Minutes15 => 100,
        }
    }

    /// The number of the bin that holds `at`.
    pub(crate) fn bin_of(self, at: Timestamp) -> i64 {
        at.0.div_euclid(self.width().0)
    }

    /// The number of the first bin that begins at `at` or later.
    fn bin_from(self, at: Timestamp) -> i64 {
        self.bin_of(at) + i64::from(at.0.rem_euclid(self.width().0) > 0)
    }
}

impl Place {
    /// Of an event at `at` when it is `now`.
    pub(crate) fn of(at: Timestamp, now: Timestamp) -> Self {
        Place {
            bins: bins_of(at),
            kept_from: std::array::from_fn(|place| bins_of(now)[place] - Resolution::ALL[place].bins_kept() + 1),
        }
    }
}

/// The bins that hold a time. Each width divides the next, so that a coarse bin follows from a fine one.
fn bins_of(at: Timestamp) -> [i64; 3] {
    let seconds5 = at.0.div_euclid(5_000);
    let minute1 = seconds5.div_euclid(12);
    [seconds5, minute1, minute1.div_euclid(15)]
}

impl Ends {
    /// Counts one happening in a bin.
    #[inline]
    fn add(&mut self, bin: i64, earlier: &mut Earlier) {
        if bin == self.latest.0 && self.latest.1 > 0 {
            self.latest.1 = self.latest.1.saturating_add(1);
        } else {
            self.add_elsewhere(bin, earlier);
        }
    }

    fn add_elsewhere(&mut self, bin: i64, earlier: &mut Earlier) {
        if self.latest.1 == 0 {
            (self.latest, self.oldest) = ((bin, 1), bin);
        } else if bin > self.latest.0 {
            earlier.push(self.latest.0, self.latest.1);
            self.latest = (bin, 1);
        } else {
            self.oldest = self.oldest.min(bin);
            earlier.add(bin);
        }
    }

    /// Adds a bin after all others, as bytes give them.
    fn push(&mut self, bin: i64, count: u32, earlier: &mut Earlier) {
        if self.latest.1 == 0 {
            self.oldest = bin;
        } else {
            earlier.push(self.latest.0, self.latest.1);
        }
        self.latest = (bin, count);
    }

    #[inline]
    fn drop_before(&mut self, bin: i64, earlier: &mut Earlier) {
        if self.oldest < bin && self.latest.1 > 0 {
            self.drop_some_before(bin, earlier);
        }
    }

    fn drop_some_before(&mut self, bin: i64, earlier: &mut Earlier) {
        earlier.drop_before(bin);
        match earlier.first() {
            Some((oldest, _)) => self.oldest = oldest,
            None if self.latest.0 >= bin => self.oldest = self.latest.0,
            None => (*self, *earlier) = Default::default(),
        }
    }

    /// The inverse of [`Bins::encode`].
    fn decode(input: &mut Decoder<'_>) -> Result<(Ends, Earlier), DecodeError> {
        let (mut ends, mut earlier) = (Ends::default(), Earlier::default());
        let mut bin = 0i64;
        for place in 0..input.length(2)? {
            let step = input.signed()?;
            if place > 0 && step <= 0 {
                return Err(DecodeError::Invalid("order of bins"));
            }
            bin = bin
                .checked_add(step)
                .filter(|bin| in_range(*bin))
                .ok_or(DecodeError::Invalid("bin"))?;
            let count = input.narrow("count of a bin")?;
            if count == 0 {
                return Err(DecodeError::Invalid("count of a bin"));
            }
            ends.push(bin, count, &mut earlier);
        }
        Ok((ends, earlier))
    }
}

impl<'a> Bins<'a> {
    fn len(self) -> usize {
        self.earlier.len() + usize::from(self.ends.latest.1 > 0)
    }

    fn iter(self) -> impl DoubleEndedIterator<Item = (i64, u32)> + use<'a> {
        let latest = (self.ends.latest.1 > 0).then_some(self.ends.latest);
        self.earlier.iter().chain(latest)
    }

    /// Those of these numbers that hold something, ascending. The edges are searched for, so that it costs what it finds.
    fn range(self, from: i64, to: i64) -> impl DoubleEndedIterator<Item = (i64, u32)> + use<'a> {
        let holds_latest = self.ends.latest.1 > 0 && (from..to).contains(&self.ends.latest.0);
        let begins = self.earlier.before(from);
        let ends = if self.ends.latest.0 < to {
            self.earlier.len()
        } else {
            self.earlier.before(to).max(begins)
        };
        let earlier = self.earlier.range(begins..ends);
        earlier.chain(holds_latest.then_some(self.ends.latest))
    }

    /// The sum of the bins from `first` on.
    fn sum_from(self, first: i64) -> u64 {
        let latest = if self.ends.latest.0 >= first {
            self.ends.latest.1
        } else {
            0
        };
        let newer = self.earlier.iter().rev().take_while(|entry| entry.0 >= first);
        newer.fold(u64::from(latest), |sum, entry| sum + u64::from(entry.1))
    }

    fn encode(self, out: &mut Encoder) {
        out.number(self.len() as u64);
        let mut previous = 0i64;
        for (bin, count) in self.iter() {
            out.signed(bin - previous);
            out.number(u64::from(count));
            previous = bin;
        }
    }
}

impl Series {
    /// Counts one happening, and drops what is no longer kept.
    #[inline]
    pub(crate) fn add(&mut self, place: &Place) {
        for (resolution, (ends, earlier)) in self.ends.iter_mut().zip(&mut self.earlier).enumerate() {
            let (bin, kept_from) = (place.bins[resolution], place.kept_from[resolution]);
            if bin >= kept_from {
                ends.add(bin, earlier);
            }
            ends.drop_before(kept_from, earlier);
        }
    }

    fn of(&self, resolution: Resolution) -> Bins<'_> {
        Bins {
            ends: &self.ends[resolution as usize],
            earlier: &self.earlier[resolution as usize],
        }
    }

    /// The bins of one resolution that hold something, ascending: (start of the bin, count).
    pub(crate) fn bins(&self, resolution: Resolution) -> impl DoubleEndedIterator<Item = (Timestamp, u32)> + '_ {
        let width = resolution.width().0;
        self.of(resolution)
            .iter()
            .map(move |(bin, count)| (Timestamp(bin * width), count))
    }

    /// The bins of the last day that hold something, latest first and without overlap: each time in the finest bin that is kept of it.
    pub(crate) fn latest_first(&self, now: Timestamp) -> impl Iterator<Item = Bin> + '_ {
        let [minutes_to, quarters_to, from] = edges(now);
        let between = move |resolution: Resolution, from: Timestamp, to: Timestamp| {
            let width = resolution.width().0;
            let bins = self
                .of(resolution)
                .range(resolution.bin_from(from), resolution.bin_from(to));
            bins.rev().map(move |(bin, count)| Bin {
                start: Timestamp(bin * width),
                count: u64::from(count),
            })
        };
        between(Resolution::Seconds5, minutes_to, Timestamp(i64::MAX))
            .chain(between(Resolution::Minute1, quarters_to, minutes_to))
            .chain(between(Resolution::Minutes15, from, quarters_to))
    }

    /// How many happened in bins that start in `from..to`.
    pub(crate) fn sum(&self, resolution: Resolution, from: Timestamp, to: Timestamp) -> u64 {
        // From the latest bin back: what is asked for mostly ends now.
        self.bins(resolution)
            .rev()
            .skip_while(|(start, _)| *start >= to)
            .take_while(|(start, _)| *start >= from)
            .map(|(_, count)| u64::from(count))
            .sum()
    }

    /// The same as an interval: exact, unless one of the bins had no more room to count.
    pub(crate) fn interval(&self, resolution: Resolution, from: Timestamp, to: Timestamp) -> Interval {
        let found = self
            .of(resolution)
            .range(resolution.bin_from(from), resolution.bin_from(to));
        let (mut low, mut is_full) = (0, false);
        for (_, count) in found {
            low += u64::from(count);
            is_full |= count == u32::MAX;
        }
        Interval {
            low,
            high: if is_full { OPEN_ABOVE } else { low },
        }
    }

    /// How many happened in the last `count` bins that end with the open one at `now`, and after it.
    pub(crate) fn recent(&self, resolution: Resolution, count: i64, now: Timestamp) -> u64 {
        self.of(resolution).sum_from(resolution.bin_of(now) - count + 1)
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        Resolution::ALL
            .iter()
            .for_each(|resolution| self.of(*resolution).encode(out));
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut series = Series::default();
        for (ends, earlier) in series.ends.iter_mut().zip(&mut series.earlier) {
            (*ends, *earlier) = Ends::decode(input)?;
        }
        Ok(series)
    }
}

impl Quarters {
    /// Counts one happening, and drops what is no longer kept.
    #[inline]
    pub(crate) fn add(&mut self, place: &Place) {
        let (bin, kept_from) = (place.bins[2], place.kept_from[2]);
        if bin >= kept_from {
            self.ends.add(bin, &mut self.earlier);
        }
        self.ends.drop_before(kept_from, &mut self.earlier);
    }

    fn bins(&self) -> Bins<'_> {
        Bins {
            ends: &self.ends,
            earlier: &self.earlier,
        }
    }

    /// Takes over what another counted.
    pub(crate) fn absorb(&mut self, other: &Quarters) {
        let mut sums: BTreeMap<i64, u32> = self.bins().iter().collect();
        for (bin, count) in other.bins().iter() {
            let sum = sums.entry(bin).or_insert(0);
            *sum = sum.saturating_add(count);
        }
        *self = Quarters::default();
        sums.into_iter()
            .for_each(|(bin, count)| self.ends.push(bin, count, &mut self.earlier));
    }

    /// Whether the quarter of an hour `quarters` before the open one is later than the latest that holds something.
    pub(crate) fn is_silent(&self, quarters: i64, place: &Place) -> bool {
        let open = place.kept_from[2] + Resolution::Minutes15.bins_kept() - 1;
        self.ends.latest.1 == 0 || self.ends.latest.0 < open - quarters
    }

    /// The number of the latest bin that holds something.
    pub(crate) fn latest_bin(&self) -> i64 {
        self.ends.latest.0
    }

    /// How many happened in bins that start in `from..to`.
    pub(crate) fn sum(&self, from: Timestamp, to: Timestamp) -> u64 {
        let width = Resolution::Minutes15.width().0;
        let latest = self.bins().iter().rev();
        latest
            .map(|(bin, count)| (Timestamp(bin * width), count))
            .skip_while(|(start, _)| *start >= to)
            .take_while(|(start, _)| *start >= from)
            .map(|(_, count)| u64::from(count))
            .sum()
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        self.bins().encode(out);
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let (ends, earlier) = Ends::decode(input)?;
        Ok(Quarters { ends, earlier })
    }
}

/// Where the minutes end among [`Series::latest_first`], where the quarters end, and where they begin.
fn edges(now: Timestamp) -> [Timestamp; 3] {
    let oldest = |resolution: Resolution, kept: i64| {
        Timestamp((resolution.bin_of(now).saturating_sub(kept - 1)).saturating_mul(resolution.width().0))
    };
    let rounded_up = |at: Timestamp, width: Milliseconds| (at + width - Milliseconds(1)).floor_to(width);
    let finest = oldest(Resolution::Seconds5, Resolution::Seconds5.bins_kept());
    let middle = oldest(Resolution::Minute1, Resolution::Minute1.bins_kept());
    [
        rounded_up(finest, Resolution::Minute1.width()),
        rounded_up(middle, Resolution::Minutes15.width()),
        oldest(Resolution::Minutes15, DAY_BINS),
    ]
}

/// The finest resolution of which all bins from this time on are kept.
pub(crate) fn resolution_at(from: Timestamp, now: Timestamp) -> Resolution {
    let [minutes_to, quarters_to, _] = edges(now);
    match from {
        from if from >= minutes_to => Resolution::Seconds5,
        from if from >= quarters_to => Resolution::Minute1,
        _ => Resolution::Minutes15,
    }
}

/// Whether a bin of any resolution has a start that fits a [`Timestamp`].
fn in_range(bin: i64) -> bool {
    bin.checked_mul(Resolution::Minutes15.width().0).is_some()
}
