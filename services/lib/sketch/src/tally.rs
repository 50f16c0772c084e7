//! A compact map from hashed keys to non-zero bytes: what the panes are made of.
//!
//! Two layers: most entries are [`Packed`] (about 3.2 bytes each at scale), new ones wait in [`Young`] and are packed when there is more than
//! one for eight packed ones. So an insert copies some forty bytes in sequence on average, and no slot stays free for long. A dense
//! open-addressing table was the alternative; with room to grow it takes 5 to 9 bytes an entry.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::packed::Packed;
use crate::young::Young;

/// The map. Which layer an entry is in changes no answer and no encoded byte.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    key_bits: u32,
    packed: Packed,
    young: Young,
}

/// New entries below this number are never packed for their share alone.
const YOUNG_MIN: usize = 12;
/// New entries are packed when there are more than one for this many packed ones.
const PACKED_PER_YOUNG: usize = 8;

impl Tally {
    /// An empty map of keys of 1 to 32 bits.
    pub fn new(key_bits: u32) -> Self {
        Tally {
            key_bits,
            packed: Packed::empty(),
            young: Young::default(),
        }
    }

    /// A map of `len` entries with strictly ascending keys.
    pub fn from_sorted(key_bits: u32, len: usize, entries: impl Iterator<Item = (u32, u8)>) -> Self {
        Tally {
            key_bits,
            packed: Packed::from_sorted(key_bits, len, entries),
            young: Young::default(),
        }
    }

    pub fn len(&self) -> usize {
        self.packed.len() + self.young.len()
    }

    /// How many bits the keys have.
    pub fn key_bits(&self) -> u32 {
        self.key_bits
    }

    /// The value of `key`.
    #[inline]
    pub fn get(&self, key: u32) -> Option<u8> {
        self.young.get(key).or_else(|| self.packed.get(key))
    }

    /// The value of `key`; it must not be set to 0.
    #[inline]
    pub fn get_mut(&mut self, key: u32) -> Option<&mut u8> {
        self.young.get_mut(key).or_else(|| self.packed.get_mut(key))
    }

    /// Adds a key that is not there yet, with a value that is not 0.
    pub fn insert_new(&mut self, key: u32, value: u8) {
        self.young.insert_new(key, value);
        if self.young.len() > YOUNG_MIN.max(self.packed.len() / PACKED_PER_YOUNG) {
            self.pack();
        }
    }

    /// All entries, ascending by key.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u8)> {
        Merged::new(self.packed.iter(), self.sorted_young().into_iter())
    }

    pub fn memory_bytes(&self) -> usize {
        self.packed.memory_bytes() + self.young.memory_bytes()
    }

    /// As [`encode_entries`] writes them.
    pub fn encode(&self, out: &mut Encoder) {
        encode_entries(self.iter(), out);
    }

    /// The inverse of [`Tally::encode`].
    pub fn decode(key_bits: u32, len_max: usize, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let entries = decode_entries(key_bits, len_max, input)?;
        Ok(Self::from_sorted(key_bits, entries.len(), entries.into_iter()))
    }

    /// Packs what waits, and gives back the room for more.
    pub fn settle(&mut self) {
        if self.young.len() > 0 {
            self.pack();
        }
        self.young = Young::default();
    }

    /// Moves every entry to the packed layer.
    fn pack(&mut self) {
        self.packed = self.packed.grown(self.key_bits, &self.sorted_young());
        self.young.clear();
    }

    fn sorted_young(&self) -> Vec<(u32, u8)> {
        let mut entries: Vec<_> = self.young.iter().collect();
        entries.sort_unstable();
        entries
    }
}

/// Writes entries, ascending: how many, then each key as the distance to the one before, and its value.
pub(crate) fn encode_entries(entries: impl Iterator<Item = (u32, u8)>, out: &mut Encoder) {
    let entries: Vec<(u32, u8)> = entries.collect();
    out.number(entries.len() as u64);
    let mut next = 0u64;
    for (key, value) in entries {
        out.number(u64::from(key) - next);
        out.byte(value);
        next = u64::from(key) + 1;
    }
}

/// The inverse of [`encode_entries`].
pub(crate) fn decode_entries(
    key_bits: u32,
    len_max: usize,
    input: &mut Decoder<'_>,
) -> Result<Vec<(u32, u8)>, DecodeError> {
    let len = input.length(2)?;
    if len > len_max {
        return Err(DecodeError::Invalid("number of tally entries"));
    }
    let mut entries = Vec::with_capacity(len);
    let mut next = 0u64;
    for _ in 0..len {
        let key = next
            .checked_add(input.number()?)
            .filter(|key| key >> key_bits == 0)
            .ok_or(DecodeError::Invalid("tally key"))?;
        let value = input.byte()?;
        if value == 0 {
            return Err(DecodeError::Invalid("tally value"));
        }
        entries.push((key as u32, value));
        next = key + 1;
    }
    Ok(entries)
}

/// Two ascending sequences without a common key, as one.
struct Merged<A: Iterator, B: Iterator> {
    first: std::iter::Peekable<A>,
    second: std::iter::Peekable<B>,
}

impl<A, B> Merged<A, B>
where
    A: Iterator<Item = (u32, u8)>,
    B: Iterator<Item = (u32, u8)>,
{
    fn new(first: A, second: B) -> Self {
        Merged {
            first: first.peekable(),
            second: second.peekable(),
        }
    }
}

impl<A, B> Iterator for Merged<A, B>
where
    A: Iterator<Item = (u32, u8)>,
    B: Iterator<Item = (u32, u8)>,
{
    type Item = (u32, u8);
    fn next(&mut self) -> Option<(u32, u8)> {
        match (self.first.peek(), self.second.peek()) {
            (Some(a), Some(b)) if b < a => self.second.next(),
            (Some(_), _) => self.first.next(),
            (None, _) => self.second.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a tally is a map, whatever its size, its key bits and the order of inserts.
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::Tally;
    use crate::codec::{Decoder, Encoder};

    fn bytes(tally: &Tally) -> Vec<u8> {
        let mut out = Encoder::new();
        tally.encode(&mut out);
        out.finish()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn it_is_a_map(key_bits in 1u32..=32, keys in prop::collection::vec(any::<u32>(), 0..2_000), others in prop::collection::vec(any::<u32>(), 50)) {
            let mut tally = Tally::new(key_bits);
            let mut map = BTreeMap::new();
            for (index, key) in keys.iter().enumerate() {
                let key = key >> (32 - key_bits);
                let value = (index % 255) as u8 + 1;
                match tally.get_mut(key) {
                    Some(there) => *there = value,
                    None => tally.insert_new(key, value),
                }
                map.insert(key, value);
            }
            for key in keys.iter().chain(&others).map(|key| key >> (32 - key_bits)) {
                prop_assert_eq!(tally.get(key), map.get(&key).copied());
            }
            prop_assert_eq!(tally.iter().collect::<BTreeMap<_, _>>(), map.clone());
            prop_assert_eq!(tally.len(), map.len());
            let encoded = bytes(&tally);
            let restored = Tally::decode(key_bits, map.len(), &mut Decoder::new(&encoded)).unwrap();
            prop_assert_eq!(bytes(&restored), encoded.clone());
            tally.settle();
            prop_assert_eq!(bytes(&tally), encoded);
        }
    }

    #[test]
    fn at_scale_an_entry_takes_less_than_four_bytes() {
        let mut tally = Tally::new(27);
        let count = 40_000u32;
        for number in 0..count {
            let key = (u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 37) as u32;
            if tally.get(key).is_none() {
                tally.insert_new(key, 1);
            }
        }
        assert!(
            tally.memory_bytes() < 4 * tally.len(),
            "{} bytes for {}",
            tally.memory_bytes(),
            tally.len()
        );
    }
}
