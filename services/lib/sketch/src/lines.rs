//! A compact map from hashed keys to non-zero bytes, made of cache lines: what the first-sighting filter is made of.
//!
//! A key's high bits choose a line of 64 bytes, which holds the rest of the key and the value: to ask for a key costs one line of memory,
//! whether it is there or not. Where a line is full, what more falls into it spills into a small table beside (one entry in thirty). The
//! number of lines need not be a power of two, so a large map grows by an eighth and 3.9 bytes an entry are enough on average. A small one doubles:
//! it is small beside what its owner may hold, and copying it nine times for each entry was a sixth of what a new content cost.

use crate::young::Young;

/// Keys of a fixed number of bits and their values.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    key_bits: u32,
    table: Table,
    spilled: Young,
    len: usize,
}

/// Wide lines while the map is small: there are so few that a key's rest does not fit into two bytes.
#[derive(Clone, Debug)]
enum Table {
    Wide(Box<[Wide]>),
    Narrow(Box<[Narrow]>),
}

/// 12 entries of four bytes of key.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Wide {
    rests: [u32; 12],
    values: [u8; 12],
    len: u8,
}

/// 21 entries of two bytes of key: where in the line it lies ([`Place`]).
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Narrow {
    rests: [u16; 21],
    values: [u8; 21],
    len: u8,
}

const NARROW_BITS: u32 = 16;
/// Entries per line, of 12 or 21, up to which a map fills before it grows.
const WIDE_FILL: usize = 8;
const NARROW_FILL: usize = 18;

impl Wide {
    /// How many are left.
    fn retain(&mut self, keep: impl Fn(u8) -> bool) -> usize {
        let mut kept = 0;
        for place in 0..usize::from(self.len) {
            if keep(self.values[place]) {
                (self.rests[kept], self.values[kept]) = (self.rests[place], self.values[place]);
                kept += 1;
            }
        }
        self.len = kept as u8;
        kept
    }

    #[inline]
    fn find(&self, rest: u32) -> Option<usize> {
        position(&self.rests, rest, self.len)
    }

    /// Whether there was room.
    fn push(&mut self, rest: u32, value: u8) -> bool {
        let place = usize::from(self.len);
        let room = place < self.rests.len();
        if room {
            self.rests[place] = rest;
            self.values[place] = value;
            self.len += 1;
        }
        room
    }
}

impl Narrow {
    /// How many are left.
    fn retain(&mut self, keep: impl Fn(u8) -> bool) -> usize {
        let mut kept = 0;
        for place in 0..usize::from(self.len) {
            if keep(self.values[place]) {
                (self.rests[kept], self.values[kept]) = (self.rests[place], self.values[place]);
                kept += 1;
            }
        }
        self.len = kept as u8;
        kept
    }

    #[inline]
    fn find(&self, rest: u16) -> Option<usize> {
        position(&self.rests, rest, self.len)
    }

    /// Whether there was room.
    #[inline]
    fn push(&mut self, rest: u16, value: u8) -> bool {
        let place = usize::from(self.len);
        let room = place < self.rests.len();
        if room {
            self.rests[place] = rest;
            self.values[place] = value;
            self.len += 1;
        }
        room
    }
}

/// Where among the first `len` the wanted one is. Looks at all of them, so that the compiler can do so at once; mostly none is.
#[inline]
fn position<T: Copy + PartialEq, const N: usize>(rests: &[T; N], wanted: T, len: u8) -> Option<usize> {
    if !rests.iter().fold(false, |any, rest| any | (*rest == wanted)) {
        return None;
    }
    rests[..usize::from(len)].iter().position(|rest| *rest == wanted)
}

impl Lines {
    /// An empty map of keys of at most 32 bits.
    pub fn new(key_bits: u32) -> Self {
        Lines {
            key_bits,
            table: Table::Wide(Box::default()),
            spilled: Young::default(),
            len: 0,
        }
    }

    /// A map of these entries, each key once.
    pub fn of(key_bits: u32, len: usize, entries: impl Iterator<Item = (u32, u8)>) -> Self {
        let mut lines = Lines::new(key_bits);
        lines.resize(len);
        entries.for_each(|(key, value)| lines.put(key, value));
        lines
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// How many bits the keys have.
    pub fn key_bits(&self) -> u32 {
        self.key_bits
    }

    /// The value of `key`.
    #[inline]
    pub fn get(&self, key: u32) -> Option<u8> {
        let (value, full) = match &self.table {
            Table::Wide(lines) => {
                let line = lines.get(Place::of(key, lines.len(), self.key_bits).line)?;
                let found = line.find(key).map(|place| line.values[place]);
                (found, usize::from(line.len) == line.rests.len())
            }
            Table::Narrow(lines) => {
                let place = Place::of(key, lines.len(), self.key_bits);
                let line = lines.get(place.line)?;
                let found = line.find(place.rest).map(|place| line.values[place]);
                (found, usize::from(line.len) == line.rests.len())
            }
        };
        match value {
            None if full => self.spilled.get(key),
            value => value,
        }
    }

    /// Reads the line a key would be in, so that it is near when the key is asked for.
    #[inline]
    pub fn touch(&self, key: u32) -> u8 {
        match &self.table {
            Table::Wide(lines) => lines
                .get(Place::of(key, lines.len(), self.key_bits).line)
                .map_or(0, |line| line.len),
            Table::Narrow(lines) => lines
                .get(Place::of(key, lines.len(), self.key_bits).line)
                .map_or(0, |line| line.len),
        }
    }

    /// Adds a key that is not there yet, with a value that is not 0.
    pub fn insert_new(&mut self, key: u32, value: u8) {
        if self.len >= self.room() {
            let more = match &self.table {
                Table::Wide(_) => self.len,
                // Some nine entries are copied for each one added.
                Table::Narrow(_) => self.len / 8,
            };
            *self = Lines::of(self.key_bits, self.len + more + 1, self.iter());
        }
        self.put(key, value);
    }

    /// Keeps the entries whose value passes. The room stays: as many new ones are to come. Costs a look at each line.
    pub fn retain(&mut self, keep: impl Fn(u8) -> bool) {
        self.len = match &mut self.table {
            Table::Wide(lines) => lines.iter_mut().map(|line| line.retain(&keep)).sum(),
            Table::Narrow(lines) => lines.iter_mut().map(|line| line.retain(&keep)).sum(),
        };
        // What spilled goes back to where there is room now.
        let spilled = std::mem::take(&mut self.spilled);
        for (key, value) in spilled.iter().filter(|(_, value)| keep(*value)) {
            self.put(key, value);
        }
        if self.len * 3 < self.room() {
            *self = Lines::of(self.key_bits, self.len + self.len / 8, self.iter());
        }
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u8)> {
        let (wide, narrow): (&[Wide], &[Narrow]) = match &self.table {
            Table::Wide(lines) => (lines, &[]),
            Table::Narrow(lines) => (&[], lines),
        };
        let wide = wide.iter().flat_map(|line| {
            let entries = line.rests.into_iter().zip(line.values);
            entries.take(usize::from(line.len))
        });
        let (count, key_bits) = (narrow.len(), self.key_bits);
        let narrow = narrow.iter().enumerate().flat_map(move |(line, entries)| {
            let pairs = entries.rests.into_iter().zip(entries.values);
            pairs
                .take(usize::from(entries.len))
                .map(move |(rest, value)| (Place { line, rest }.key(count, key_bits), value))
        });
        wide.chain(narrow).chain(self.spilled.iter())
    }

    pub fn memory_bytes(&self) -> usize {
        let lines = match &self.table {
            Table::Wide(lines) => size_of_val(&**lines),
            Table::Narrow(lines) => size_of_val(&**lines),
        };
        lines + self.spilled.memory_bytes()
    }

    /// How many entries it holds before it grows.
    fn room(&self) -> usize {
        match &self.table {
            Table::Wide(lines) => lines.len() * WIDE_FILL,
            Table::Narrow(lines) => lines.len() * NARROW_FILL,
        }
    }

    /// Makes an empty map one that has room for so many entries.
    fn resize(&mut self, len: usize) {
        let lines = len.div_ceil(NARROW_FILL);
        self.table = if rest_bits(lines, self.key_bits) <= NARROW_BITS {
            Table::Narrow(vec![Narrow::default(); lines].into_boxed_slice())
        } else {
            Table::Wide(vec![Wide::default(); len.div_ceil(WIDE_FILL)].into_boxed_slice())
        };
    }

    fn put(&mut self, key: u32, value: u8) {
        debug_assert!(value != 0, "a value of 0 marks a free slot of the spilled");
        let put = match &mut self.table {
            Table::Wide(lines) => lines[Place::of(key, lines.len(), self.key_bits).line].push(key, value),
            Table::Narrow(lines) => {
                let place = Place::of(key, lines.len(), self.key_bits);
                lines[place.line].push(place.rest, value)
            }
        };
        if !put {
            self.spilled.insert_new(key, value);
        }
        self.len += 1;
    }
}

/// Where a key belongs among narrow lines. The product of the key and the number of lines, of twice the bits of a key, says both: its high
/// half is the line, ascending with the keys and as many keys in each; of its low half, in which the keys of a line are as far apart as
/// there are lines, the high bits tell them apart. So no key is divided by anything when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    line: usize,
    rest: u16,
}

impl Place {
    #[inline]
    fn of(key: u32, lines: usize, key_bits: u32) -> Self {
        let product = u64::from(key) * lines as u64;
        let low = product & ((1 << key_bits) - 1);
        Place {
            line: (product >> key_bits) as usize,
            rest: (low >> dropped_bits(key_bits)) as u16,
        }
    }

    /// The inverse of [`Place::of`], where the lines are so many that they may be narrow.
    fn key(self, lines: usize, key_bits: u32) -> u32 {
        let product = (self.line as u64) << key_bits | u64::from(self.rest) << dropped_bits(key_bits);
        product.div_ceil(lines as u64) as u32
    }
}

/// How many bits of the low half of a product a narrow line leaves out.
#[inline]
fn dropped_bits(key_bits: u32) -> u32 {
    key_bits.saturating_sub(NARROW_BITS)
}

/// Bits that tell apart the keys of one line.
fn rest_bits(lines: usize, key_bits: u32) -> u32 {
    let keys = (1u64 << key_bits).div_ceil(lines.max(1) as u64);
    u64::BITS - (keys - 1).leading_zeros()
}

#[cfg(test)]
mod tests {
    //! Goal: the map is a map, whatever its size and its key bits, and takes the stated memory.

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{Lines, Narrow, Wide};

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn it_is_a_map(key_bits in 10u32..=32, keys in prop::collection::vec(any::<u32>(), 0..3_000), near in any::<bool>(), others in prop::collection::vec(any::<u32>(), 50)) {
            let mut lines = Lines::new(key_bits);
            let mut map = BTreeMap::new();
            // Keys that are near each other fall into one line and spill.
            let cut = |key: u32| if near { key % 700 } else { key >> (32 - key_bits) };
            for (index, key) in keys.iter().enumerate() {
                let key = cut(*key);
                let value = (index % 255) as u8 + 1;
                if lines.get(key).is_none() {
                    lines.insert_new(key, value);
                    map.insert(key, value);
                }
            }
            for key in keys.iter().chain(&others) {
                prop_assert_eq!(lines.get(cut(*key)), map.get(&cut(*key)).copied());
            }
            lines.retain(|value| value > 100);
            map.retain(|_, value| *value > 100);
            prop_assert_eq!(lines.len(), map.len());
            prop_assert_eq!(lines.iter().collect::<BTreeMap<_, _>>(), map.clone());
            for key in &keys {
                prop_assert_eq!(lines.get(cut(*key)), map.get(&cut(*key)).copied());
            }
        }
    }

    #[test]
    fn at_scale_an_entry_takes_about_four_bytes() {
        assert_eq!((size_of::<Wide>(), size_of::<Narrow>()), (64, 64));
        let mut lines = Lines::new(26);
        let (mut bytes, mut times) = (0, 0);
        for number in 0..60_000u64 {
            let key = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 38) as u32;
            if lines.get(key).is_none() {
                lines.insert_new(key, 1);
            }
            if lines.len() > 20_000 {
                bytes += lines.memory_bytes() * 1_000 / lines.len();
                times += 1;
            }
        }
        let mean = bytes / times;
        assert!(mean < 4_100, "{mean} thousandths of a byte");
    }
}
