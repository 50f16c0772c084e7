//! The filter that keeps contents seen once out of the panes: a fingerprint and a coarse time stamp for each content's first sighting.
//!
//! A content whose fingerprint equals another's is taken for seen before: it is then counted in the panes like any repetition, and an answer
//! may add 1 for the other's sighting. So an error over-counts by 1 and never under-counts. The rate is (entries / 2^fingerprint bits), at
//! most 1 in 1,024 when the filter is full.

use tocsin_model::{Milliseconds, Timestamp};

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::lines::Lines;
use crate::tally::{decode_entries, encode_entries};

/// The hash of a content by which the filter knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FilterKey(pub u32);

/// First sightings of the contents of one class.
#[derive(Clone, Debug)]
pub(crate) struct FirstSightings {
    shape: FilterShape,
    entries: Lines,
}

/// Sizes of a filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FilterShape {
    /// Most entries, a power of two.
    pub len_max: usize,
    /// The length of one step of the time stamps.
    pub step: Milliseconds,
    /// Steps from the newest possible stamp to the oldest kept.
    pub steps: i64,
}

/// What the filter said of a sighting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sighted {
    /// It is the first: the filter holds it now and nothing else must.
    First,
    /// The content was seen before (then, as far as the filter knows), or the filter is full: the sighting must be counted elsewhere.
    Again(Option<Step>),
}

/// The time in which a first sighting lies, `to` exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// Stamps are 1 to 255, going round; 0 marks a free slot of the map below.
const STAMPS: i64 = 255;
/// Old entries are forgotten each time this many steps have passed.
const STEPS_PER_SWEEP: i64 = 8;

impl FilterShape {
    /// A filter of `len_max` entries (a power of two) whose stamps tell apart all times from `behind` before now to `ahead` after it.
    pub fn new(len_max: usize, behind: Milliseconds, ahead: Milliseconds) -> Self {
        let minute = Milliseconds::from_minutes(1).0;
        // Two steps are lost to rounding at either end, and old entries stay until the next sweep.
        let span = behind.0 + ahead.0;
        let step = Milliseconds((span / (STAMPS - 3 - STEPS_PER_SWEEP) / minute + 1) * minute);
        FilterShape {
            len_max,
            step,
            steps: span / step.0 + 2,
        }
    }

    /// Bits of a fingerprint. From a quarter of the most entries on two bytes of it are stored, the rest is where it stands.
    pub fn key_bits(self) -> u32 {
        (self.len_max.ilog2() + 10).clamp(16, 32)
    }

    /// The number of the step that holds `at`.
    pub fn number(self, at: Timestamp) -> i64 {
        at.0.div_euclid(self.step.0)
    }
}

impl FirstSightings {
    pub fn new(shape: FilterShape) -> Self {
        FirstSightings {
            shape,
            entries: Lines::new(shape.key_bits()),
        }
    }

    /// One sighting at `at`. The content's entry keeps the time of the sighting that made it. `newest` is the latest time any sighting can
    /// have now.
    #[inline]
    pub fn sight(&mut self, key: FilterKey, at: Timestamp, newest: Timestamp) -> Sighted {
        let known = self.step_of(key, newest);
        if known.is_some() || self.entries.len() >= self.shape.len_max {
            return Sighted::Again(known);
        }
        let stamp = self.shape.number(at).rem_euclid(STAMPS) as u8 + 1;
        self.entries.insert_new(self.truncate(key), stamp);
        Sighted::First
    }

    /// When the content was first seen, if the filter holds it.
    #[inline]
    pub fn step_of(&self, key: FilterKey, newest: Timestamp) -> Option<Step> {
        let stamp = self.entries.get(self.truncate(key))?;
        let newest = self.shape.number(newest);
        let from = Timestamp((newest - age_of(stamp, newest)) * self.shape.step.0);
        Some(Step {
            from,
            to: from + self.shape.step,
        })
    }

    /// Time passes: the latest time any sighting can have moves, and what left the horizon at the last sweep is forgotten.
    ///
    /// Sweeps are at multiples of [`STEPS_PER_SWEEP`], so that what is forgotten depends on where time stands and not on its jumps.
    pub fn advance(&mut self, newest_until_now: Timestamp, newest: Timestamp) {
        let sweep = |at: Timestamp| self.shape.number(at).div_euclid(STEPS_PER_SWEEP);
        let until_now = self.shape.number(newest_until_now);
        if sweep(newest) > sweep(newest_until_now) {
            let age_max = self.shape.steps - (sweep(newest) * STEPS_PER_SWEEP - until_now);
            // Asked once for each stamp there is, and not for each of the entries: all of them are looked at, in every group at once.
            let is_kept: [bool; 256] = std::array::from_fn(|stamp| age_of(stamp as u8, until_now) <= age_max);
            self.entries.retain(|stamp| is_kept[usize::from(stamp)]);
        }
    }

    /// The probability that a content the filter has not seen has the fingerprint of one it has.
    pub fn collision_probability(&self) -> f64 {
        self.entries.len() as f64 / (1u64 << self.entries.key_bits()) as f64
    }

    /// Contents held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn memory_bytes(&self) -> usize {
        self.entries.memory_bytes()
    }

    /// Number of entries, then each key as the distance to the one before, and its stamp. Stamps mean something only beside the time they
    /// are kept at.
    pub fn encode(&self, out: &mut Encoder) {
        let mut entries: Vec<(u32, u8)> = self.entries.iter().collect();
        entries.sort_unstable();
        encode_entries(entries.into_iter(), out);
    }

    pub fn decode(shape: FilterShape, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let entries = decode_entries(shape.key_bits(), shape.len_max, input)?;
        Ok(FirstSightings {
            shape,
            entries: Lines::of(shape.key_bits(), entries.len(), entries.into_iter()),
        })
    }

    /// Reads what [`FirstSightings::sight`] will, so that it is near then.
    #[inline]
    pub fn touch(&self, key: FilterKey) -> u8 {
        self.entries.touch(self.truncate(key))
    }

    fn truncate(&self, key: FilterKey) -> u32 {
        key.0 >> (32 - self.shape.key_bits())
    }
}

/// How many steps before step `newest` the stamp lies: 0 to 254.
fn age_of(stamp: u8, newest: i64) -> i64 {
    (newest - (i64::from(stamp) - 1)).rem_euclid(STAMPS)
}
