//! The cold counts a replica holds: of each key group and visibility class the newest checkpoint that arrived whole.

use std::sync::Arc;

use dashmap::DashMap;
use tocsin_model::{Class, ContentId, GroupId, Interval, Scope, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder};
use tocsin_sketch::{ColdConfig, ColdCounts};

use crate::replica::hot::classes_of;

/// Cold counts by group and class. Written by one thread, read by many.
#[derive(Debug)]
pub struct ColdTable {
    config: ColdConfig,
    whole: DashMap<(GroupId, Class), Arc<ColdState>>,
    partial: DashMap<(GroupId, Class), Assembly>,
    /// Where the newest checkpoint could not be read: what is held is older than the partition's headers tell.
    broken: DashMap<(GroupId, Class), ()>,
}

/// One checkpoint of the cold counts of a class.
#[derive(Debug)]
pub struct ColdState {
    /// The group's time at the checkpoint.
    pub as_of: Timestamp,
    /// The counts.
    pub counts: ColdCounts,
}

/// Which checkpoint a chunk belongs to, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkPlace {
    /// The input offset of the checkpoint's cut: chunks of one checkpoint have the same.
    pub applied_through: u64,
    /// The group's time at the cut.
    pub as_of: Timestamp,
    /// Which chunk, from 0.
    pub chunk: u32,
    /// How many chunks.
    pub chunks: u32,
}

/// A chunk that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkError {
    /// Its place is impossible, or the checkpoint would be larger than [`ColdTable::STATE_BYTES_MAX`].
    Impossible,
    /// The checkpoint is whole, and its bytes are no cold counts.
    Corrupt(DecodeError),
}

/// What the cold counts of all classes inside a scope say of one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColdSum {
    /// Uploads, blocked uploads and shares.
    pub spread: Interval,
    /// With probability `confidence`, `spread.high` exceeds the truth by at most this.
    pub expected_error: f64,
    /// The probability with which `spread.high` exceeds the truth by at most `expected_error`.
    pub confidence: f64,
    /// The stretch that was really counted: the window rounded outward to the edges of panes.
    pub covered_from: Timestamp,
    /// Its end.
    pub covered_to: Timestamp,
}

#[derive(Debug)]
struct Assembly {
    place: ChunkPlace,
    chunks: Vec<Option<Vec<u8>>>,
    missing: usize,
    bytes: usize,
}

impl ColdTable {
    /// The most chunks of one checkpoint of one class.
    pub const CHUNKS_MAX: u32 = 4_096;
    /// The largest checkpoint of one class, in bytes.
    pub const STATE_BYTES_MAX: usize = 256 << 20;

    /// An empty table for counts of this configuration.
    pub fn new(config: ColdConfig) -> Self {
        ColdTable {
            config,
            whole: DashMap::new(),
            partial: DashMap::new(),
            broken: DashMap::new(),
        }
    }

    /// Takes one chunk. When it completes its checkpoint, the checkpoint replaces the one before.
    ///
    /// # Errors
    /// See [`ChunkError`]; the checkpoint before stays.
    pub fn put(&self, group: GroupId, class: Class, place: ChunkPlace, body: Vec<u8>) -> Result<(), ChunkError> {
        let put = self.assemble(group, class, place, body);
        if put.is_err() {
            self.mark_broken(group, class);
        }
        put
    }

    /// A chunk of a newer checkpoint could not be read: the one held stays as it is, at its own time.
    pub fn mark_broken(&self, group: GroupId, class: Class) {
        self.broken.insert((group, class), ());
    }

    /// Whether the checkpoint held is the newest there is.
    pub fn is_newest(&self, group: GroupId, class: Class) -> bool {
        !self.broken.contains_key(&(group, class))
    }

    fn assemble(&self, group: GroupId, class: Class, place: ChunkPlace, body: Vec<u8>) -> Result<(), ChunkError> {
        if place.chunks == 0 || place.chunks > Self::CHUNKS_MAX || place.chunk >= place.chunks {
            return Err(ChunkError::Impossible);
        }
        let key = (group, class);
        let mut assembly = self.partial.entry(key).or_insert_with(|| Assembly::new(place));
        if !assembly.is_of(place) {
            if assembly.place.applied_through > place.applied_through {
                // A chunk of an older checkpoint, left over by compaction.
                return Ok(());
            }
            *assembly = Assembly::new(place);
        }
        if assembly.take(place.chunk, body).is_none() {
            drop(assembly);
            self.partial.remove(&key);
            return Err(ChunkError::Impossible);
        }
        if assembly.missing > 0 {
            return Ok(());
        }
        drop(assembly);
        let Some((_, assembly)) = self.partial.remove(&key) else {
            return Ok(());
        };
        let bytes: Vec<u8> = assembly.chunks.into_iter().flatten().flatten().collect();
        let mut input = Decoder::new(&bytes);
        let counts = ColdCounts::decode(self.config, &mut input).map_err(ChunkError::Corrupt)?;
        input.finish().map_err(ChunkError::Corrupt)?;
        let state = ColdState {
            as_of: place.as_of,
            counts,
        };
        self.whole.insert(key, Arc::new(state));
        self.broken.remove(&key);
        Ok(())
    }

    /// The group no longer has cold counts of this class.
    pub fn remove(&self, group: GroupId, class: Class) {
        self.whole.remove(&(group, class));
        self.partial.remove(&(group, class));
        self.broken.remove(&(group, class));
    }

    /// The cold counts of a content's group that a reader may see, own class first.
    pub fn visible(&self, content: ContentId, scope: Scope) -> Vec<(Class, Arc<ColdState>)> {
        classes_of(scope)
            .filter_map(|class| {
                let state = self.whole.get(&(content.group(), class))?;
                Some((class, Arc::clone(&state)))
            })
            .collect()
    }

    /// How many checkpoints are held.
    pub fn count(&self) -> usize {
        self.whole.len()
    }
}

impl Assembly {
    fn new(place: ChunkPlace) -> Self {
        Assembly {
            place,
            chunks: vec![None; place.chunks as usize],
            missing: place.chunks as usize,
            bytes: 0,
        }
    }

    fn is_of(&self, place: ChunkPlace) -> bool {
        (self.place.applied_through, self.place.chunks, self.place.as_of)
            == (place.applied_through, place.chunks, place.as_of)
    }

    /// Takes a chunk; `None` when the whole would be too large.
    fn take(&mut self, chunk: u32, body: Vec<u8>) -> Option<()> {
        let slot = self.chunks.get_mut(usize::try_from(chunk).ok()?)?;
        match slot {
            Some(old) => self.bytes -= old.len(),
            None => self.missing -= 1,
        }
        self.bytes += body.len();
        *slot = Some(body);
        (self.bytes <= ColdTable::STATE_BYTES_MAX).then_some(())
    }
}

/// The sum of the counts of contents in `from..to`, each in one state: bounds and expected errors add up, the covered stretch is the
/// widest. `None` without states.
pub fn cold_sum<'a>(
    states: impl Iterator<Item = (ContentId, &'a ColdState)>,
    from: Timestamp,
    to: Timestamp,
) -> Option<ColdSum> {
    states
        .map(|(content, state)| {
            let count = state.counts.count(content, from, to);
            ColdSum {
                spread: count.count,
                expected_error: count.expected_error,
                confidence: count.confidence,
                covered_from: count.covered_from,
                covered_to: count.covered_to,
            }
        })
        .reduce(|a, b| ColdSum {
            spread: a.spread.plus(b.spread),
            expected_error: a.expected_error + b.expected_error,
            // Union bound: both hold together at least this often.
            confidence: (a.confidence + b.confidence - 1.0).max(0.0),
            covered_from: a.covered_from.min(b.covered_from),
            covered_to: a.covered_to.max(b.covered_to),
        })
}
