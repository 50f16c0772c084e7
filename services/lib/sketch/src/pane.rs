//! What one stretch of time holds: how often each content spread in it.
//!
//! A pane begins as a list of key fingerprints with their counts and becomes a count-min sketch once it holds more than two contents per
//! cell of a row, where both take about the same memory. The list is the better of the two below that point: at equal memory it errs only
//! where two fingerprints of 24 to 32 bits are equal, while a count-min sketch of that size is wrong on most contents.

use std::collections::BTreeMap;

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::count_min::CountMin;
use crate::tally::Tally;

/// The hash of a content by which panes know it: bits of the keyed content hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PaneKey(pub u32);

/// Counts of one stretch of time.
#[derive(Clone, Debug)]
pub(crate) struct Pane {
    /// Events in it.
    total: u64,
    counts: Counts,
}

#[derive(Clone, Debug)]
enum Counts {
    List(List),
    Sketch(CountMin),
}

/// Fingerprints and counts. Counts of 255 and more stand in `large`.
#[derive(Clone, Debug)]
struct List {
    tally: Tally,
    large: BTreeMap<u32, u64>,
}

/// A pane's upper bound of one content's count and how far above the truth it may be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PaneCount {
    pub high: u64,
    /// So much of `high` stands in cells of a sketch, which contents share. The rest is listed: the content's own, unless fingerprints are equal.
    pub shared: u64,
    /// Events in the pane if it is a sketch, otherwise 0.
    pub sketch_total: u64,
    /// Probability that another content has the same fingerprint.
    pub collision_probability: f64,
}

impl PaneCount {
    /// How often the content probably spread: what is listed, and what its cells hold beyond what others' events put into a cell, which is
    /// their mean and three standard deviations more. Of a content that was never counted the least of four cells lies above that once in
    /// 10^11 times, however many others came. The correction of count-mean-min (Deng and Rafiei, New estimation algorithms for streaming
    /// data, 2007), from above: it may say too little, so it is no bound.
    pub fn probable(&self, width: usize) -> u64 {
        let mean = self.sketch_total.div_ceil(width as u64);
        let noise = mean + NOISE_DEVIATIONS * (mean.isqrt() + 1);
        (self.high - self.shared).saturating_add(self.shared.saturating_sub(noise))
    }
}

/// See [`PaneCount::probable`].
const NOISE_DEVIATIONS: u64 = 3;
/// The value that says: the count stands in `large`.
const LARGE: u8 = u8::MAX;
const KEY_BITS: u32 = 32;
/// A sealed pane's fingerprints have this many bits more than its buckets, so that two bytes hold the rest.
const SEALED_REMAINDER_BITS: u32 = 16;

/// From how many contents on a pane is a sketch of `width` cells a row.
pub(crate) const fn list_len_max(width: usize) -> usize {
    2 * width
}

impl Pane {
    /// A pane with nothing in it.
    pub fn new() -> Self {
        Pane {
            total: 0,
            counts: Counts::List(List::new(Tally::new(KEY_BITS))),
        }
    }

    /// A pane of `total` events: these contents, ascending, each once, and those in a sketch.
    pub fn of(total: u64, entries: &[(u32, u64)], sketch: Option<CountMin>, width: usize) -> Self {
        let counts = if sketch.is_some() || entries.len() > list_len_max(width) {
            let mut sketch = sketch.unwrap_or_else(|| CountMin::new(width));
            for (key, count) in entries {
                sketch.add(*key, u32::try_from(*count).unwrap_or(u32::MAX));
            }
            Counts::Sketch(sketch)
        } else {
            Counts::List(List::from_sorted(KEY_BITS, entries.len(), entries.iter().copied()))
        };
        Pane { total, counts }
    }

    /// Counts events with these keys, which ascend: as [`Pane::add`] of each, in one piece where nothing was counted before.
    pub fn add_all(&mut self, keys: &[u32], width: usize) {
        let runs = keys.chunk_by(|a, b| a == b);
        let contents = runs.clone().count();
        if self.total > 0 || contents > list_len_max(width) {
            return keys.iter().for_each(|key| self.add(PaneKey(*key), width));
        }
        let entries = runs.map(|run| (run[0], run.len() as u64));
        self.total = keys.len() as u64;
        self.counts = Counts::List(List::from_sorted(KEY_BITS, contents, entries));
    }

    /// No more events are expected: gives back the room for them.
    pub fn settle(&mut self) {
        if let Counts::List(list) = &mut self.counts {
            list.tally.settle();
        }
    }

    /// Counts one event.
    pub fn add(&mut self, key: PaneKey, width: usize) {
        self.total = self.total.saturating_add(1);
        match &mut self.counts {
            Counts::List(list) => {
                list.add_one(key.0);
                if list.tally.len() > list_len_max(width) {
                    let sketch = list.to_sketch(width);
                    self.counts = Counts::Sketch(sketch);
                }
            }
            Counts::Sketch(sketch) => sketch.add(key.0, 1),
        }
    }

    /// An upper bound of the content's count.
    #[inline]
    pub fn high(&self, key: PaneKey) -> u64 {
        match &self.counts {
            Counts::List(list) => list.get(key.0),
            Counts::Sketch(sketch) => match sketch.get(key.0) {
                // A cell that cannot grow bounds nothing.
                u32::MAX => u64::MAX,
                count => u64::from(count),
            },
        }
    }

    /// [`Pane::high`] with its error.
    #[inline]
    pub fn count(&self, key: PaneKey) -> PaneCount {
        let (sketch_total, collision_probability) = match &self.counts {
            Counts::List(list) => (0, list.tally.len() as f64 / (1u64 << list.tally.key_bits()) as f64),
            Counts::Sketch(_) => (self.total, 0.0),
        };
        let high = self.high(key);
        let shared = match &self.counts {
            Counts::List(_) => 0,
            Counts::Sketch(_) => high,
        };
        PaneCount {
            high,
            shared,
            sketch_total,
            collision_probability,
        }
    }

    /// One pane of all these, for a stretch of time that no more events are taken for.
    pub fn sealed<'a>(panes: impl Iterator<Item = &'a Pane> + Clone, width: usize) -> Pane {
        let total = panes.clone().fold(0u64, |sum, pane| sum.saturating_add(pane.total));
        let mut entries: Vec<(u32, u64)> = panes.clone().flat_map(Pane::listed).collect();
        entries.sort_unstable();
        merge_equal_keys(&mut entries);
        let any_sketch = panes.clone().any(|pane| matches!(pane.counts, Counts::Sketch(_)));
        let counts = if any_sketch || entries.len() > list_len_max(width) {
            let mut merged = CountMin::new(width);
            for pane in panes {
                if let Counts::Sketch(sketch) = &pane.counts {
                    merged.merge(sketch);
                }
            }
            for (key, count) in entries {
                merged.add(key, u32::try_from(count).unwrap_or(u32::MAX));
            }
            Counts::Sketch(merged)
        } else {
            let bucket_bits = entries.len().max(1).ilog2().saturating_sub(3);
            let key_bits = (bucket_bits + SEALED_REMAINDER_BITS).min(KEY_BITS);
            for entry in &mut entries {
                entry.0 >>= KEY_BITS - key_bits;
            }
            merge_equal_keys(&mut entries);
            Counts::List(List::from_sorted(key_bits, entries.len(), entries.into_iter()))
        };
        Pane { total, counts }
    }

    pub fn memory_bytes(&self) -> usize {
        match &self.counts {
            // A map node of a large count takes some 32 bytes with its share of the tree.
            Counts::List(list) => list.tally.memory_bytes() + list.large.len() * 32,
            Counts::Sketch(sketch) => sketch.memory_bytes(),
        }
    }

    /// Total, what it is (0 a sketch, otherwise the list's fingerprint bits), then that.
    pub fn encode(&self, out: &mut Encoder) {
        out.number(self.total);
        match &self.counts {
            Counts::List(list) => {
                out.number(u64::from(list.tally.key_bits()));
                list.tally.encode(out);
                for count in list.large.values() {
                    out.number(count - u64::from(LARGE));
                }
            }
            Counts::Sketch(sketch) => {
                out.number(0);
                sketch.encode(out);
            }
        }
    }

    /// The inverse of [`Pane::encode`].
    pub fn decode(width: usize, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let total = input.number()?;
        let key_bits: u32 = input.narrow("fingerprint bits")?;
        let counts = match key_bits {
            0 => Counts::Sketch(CountMin::decode(width, input)?),
            SEALED_REMAINDER_BITS..=KEY_BITS => {
                let tally = Tally::decode(key_bits, list_len_max(width), input)?;
                let mut list = List::new(tally);
                let large: Vec<u32> = list
                    .tally
                    .iter()
                    .filter(|(_, value)| *value == LARGE)
                    .map(|(key, _)| key)
                    .collect();
                for key in large {
                    let count = input
                        .number()?
                        .checked_add(u64::from(LARGE))
                        .ok_or(DecodeError::Invalid("count"))?;
                    list.large.insert(key, count);
                }
                Counts::List(list)
            }
            _ => return Err(DecodeError::Invalid("fingerprint bits")),
        };
        Ok(Pane { total, counts })
    }

    /// The contents and counts, if this pane still lists them.
    fn listed(&self) -> impl Iterator<Item = (u32, u64)> {
        let list = match &self.counts {
            Counts::List(list) => Some(list),
            Counts::Sketch(_) => None,
        };
        list.into_iter().flat_map(List::iter)
    }
}

impl List {
    fn new(tally: Tally) -> Self {
        List {
            tally,
            large: BTreeMap::new(),
        }
    }

    fn from_sorted(key_bits: u32, len: usize, entries: impl Iterator<Item = (u32, u64)> + Clone) -> Self {
        let small = |count: u64| u8::try_from(count).unwrap_or(LARGE);
        let values = entries.clone().map(|(key, count)| (key, small(count)));
        List {
            tally: Tally::from_sorted(key_bits, len, values),
            large: entries.filter(|(_, count)| *count >= u64::from(LARGE)).collect(),
        }
    }

    #[inline]
    fn add_one(&mut self, key: u32) {
        match self.tally.get_mut(key) {
            None => self.tally.insert_new(key, 1),
            Some(value) if *value < LARGE - 1 => *value += 1,
            Some(value) if *value < LARGE => {
                *value = LARGE;
                self.large.insert(key, u64::from(LARGE));
            }
            Some(_) => {
                if let Some(large) = self.large.get_mut(&key) {
                    *large = large.saturating_add(1);
                }
            }
        }
    }

    #[inline]
    fn get(&self, key: u32) -> u64 {
        let key = key >> (KEY_BITS - self.tally.key_bits());
        match self.tally.get(key) {
            None => 0,
            Some(LARGE) => self.large.get(&key).copied().unwrap_or(u64::MAX),
            Some(value) => u64::from(value),
        }
    }

    fn iter(&self) -> impl Iterator<Item = (u32, u64)> {
        self.tally.iter().map(|(key, value)| match value {
            LARGE => (key, self.large.get(&key).copied().unwrap_or(u64::MAX)),
            _ => (key, u64::from(value)),
        })
    }

    fn to_sketch(&self, width: usize) -> CountMin {
        let mut sketch = CountMin::new(width);
        for (key, count) in self.iter() {
            sketch.add(key, u32::try_from(count).unwrap_or(u32::MAX));
        }
        sketch
    }
}

/// Sums the counts of neighbours with one key.
fn merge_equal_keys(entries: &mut Vec<(u32, u64)>) {
    entries.dedup_by(|next, kept| {
        let equal = next.0 == kept.0;
        if equal {
            kept.1 = kept.1.saturating_add(next.1);
        }
        equal
    });
}
