//! What goes to the state topic: changed hot records, checkpoints of whole groups in chunks, and the header that says what they stand for.

use std::ops::Range;

use bytes::Bytes;
use tocsin_failpoint::{FailPoint, reach};
use tocsin_log::{Append, TopicPartition};
use tocsin_model::{Class, KEY_GROUPS, KeyEpoch, Milliseconds, Timestamp};
use tocsin_sketch::ColdCounts;
use tocsin_sketch::codec::Encoder;
use tocsin_velocity::{Group, HotKey, SnapshotLayout};
use tocsin_wire::state::{StateHeader, StateKey, StateRecord};
use tocsin_wire::topics;

use crate::partition::{Checkpointed, Partition, Tracked};

/// A state larger than this goes into several records.
const CHUNK_BYTES: usize = 512 * 1024;
/// One unit carries checkpoints of at most so many bytes, and at least one group's.
const CHECKPOINT_BYTES_PER_UNIT: usize = 4 * 1024 * 1024;

/// The state records of one partition in one unit.
#[derive(Debug)]
pub(crate) struct StateUnit {
    partition: TopicPartition,
    copies: TopicPartition,
    layout: SnapshotLayout,
    records: Vec<Placed>,
    /// Keys and values, one behind the other: a unit has thousands, twice a second, and they share one piece of memory.
    bytes: Vec<u8>,
    /// Where a body is written before its length is known.
    body: Encoder,
}

/// Where a record stands in the bytes of its unit.
#[derive(Clone, Debug)]
struct Placed {
    is_copy: bool,
    key: Range<usize>,
    /// `None` removes the key.
    value: Option<Range<usize>>,
}

impl StateUnit {
    pub(crate) fn new(partition: u32, layout: SnapshotLayout) -> Self {
        StateUnit {
            partition: TopicPartition::new(topics::STATE, partition),
            copies: TopicPartition::new(topics::CHECKPOINTS, partition),
            layout,
            records: Vec::new(),
            bytes: Vec::new(),
            body: Encoder::new(),
        }
    }

    /// The hot records that changed; those that are gone are removed.
    pub(crate) fn add_changed(&mut self, partition: &mut Partition) {
        let applied_through = partition.next_offset();
        for tracked in partition.groups_mut() {
            for key in tracked.group.take_changed() {
                self.hot(&tracked.group, key, applied_through);
            }
        }
        reach(FailPoint::ChangesTaken);
    }

    /// Everything of a group, as of this offset of its input; the keys of its hot records.
    pub(crate) fn add_all(&mut self, group: &Group, offset: u64) -> Vec<StateKey> {
        let keys = group.kept_keys();
        for key in &keys {
            self.hot(group, *key, offset);
        }
        self.checkpoint(group, offset);
        keys.into_iter().map(|key| hot_key(group, key)).collect()
    }

    pub(crate) fn into_appends(self) -> Vec<Append> {
        let bytes = Bytes::from(self.bytes);
        let append = |placed: Placed| Append {
            to: if placed.is_copy { &self.copies } else { &self.partition }.clone(),
            key: Some(bytes.slice(placed.key)),
            value: placed.value.map(|value| bytes.slice(value)),
            headers: Vec::new(),
        };
        self.records.into_iter().map(append).collect()
    }

    fn hot(&mut self, group: &Group, key: HotKey, applied_through: u64) {
        let state_key = hot_key(group, key);
        let Some(record) = group.kept(key) else {
            return self.remove(state_key);
        };
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        record.encode(&mut body);
        let (now, whole) = (group.now(), (self.layout.version(), 0, 1));
        self.put(state_key, applied_through, now, whole, body.written());
        self.body = body;
    }

    /// Checkpoints of the groups whose state is newer than `round`, as many as fit, of those that were not copied for audits for so long, and of
    /// those that stand in another layout.
    /// Returns whether the round is complete.
    pub(crate) fn add_checkpoints(
        &mut self,
        partition: &mut Partition,
        round_began_at: u64,
        copied_every: Milliseconds,
    ) -> bool {
        let (offset, now) = (partition.next_offset(), partition.now());
        let format = self.layout.version();
        let mut bytes = 0;
        for tracked in partition.groups_mut() {
            let version = tracked.group.version();
            let last = tracked.checkpointed.as_ref();
            let is_in_layout = last.is_some_and(|last| last.format == format);
            let is_of_this_round = last.is_some_and(|last| last.offset >= round_began_at);
            let is_unchanged = last.is_some_and(|last| last.version == version);
            let copy_is_due = tracked.copied_at.is_none_or(|at| now - at >= copied_every);
            if is_in_layout && (is_of_this_round || (is_unchanged && !copy_is_due)) {
                continue;
            }
            if bytes >= CHECKPOINT_BYTES_PER_UNIT {
                return false;
            }
            let first = self.records.len();
            bytes += self.checkpoint(&tracked.group, offset);
            if copy_is_due {
                bytes += self.copy(first);
                tracked.copied_at = Some(now);
            }
            tracked.checkpointed = Some(Checkpointed {
                version,
                offset,
                format,
            });
            reach(FailPoint::GroupCut);
        }
        true
    }

    /// What the unit says to groups of other partitions, as the values of their log, and cannot say anew: figures are in the state itself, but
    /// a link that follows a merge, a decision that goes after a family, or that a member is gone, is said once. It stands until the next unit,
    /// which waits for it to have arrived.
    pub(crate) fn set_onward(&mut self, partition: &mut Partition, said: &[Vec<u8>]) {
        let number = partition.number();
        let key = |chunk| StateKey::Onward {
            partition: number,
            chunk,
        };
        let mut chunks = 0;
        if !said.is_empty() {
            let mut body = Encoder::new();
            body.number(said.len() as u64);
            said.iter().for_each(|value| body.bytes(value));
            let body = body.finish();
            chunks = chunks_of(body.len());
            self.put_chunks(key, partition.next_offset(), partition.now(), body);
        }
        (chunks..partition.onward_chunks()).for_each(|chunk| self.remove(key(chunk)));
        partition.set_onward_chunks(chunks);
    }

    /// The header of the unit. `as_of` is the time through which every hot change has been written.
    pub(crate) fn finish(mut self, partition: &Partition, epoch: KeyEpoch, as_of: Timestamp) -> Vec<Append> {
        let header = StateHeader {
            next_offset: partition.next_offset(),
            checkpoint_offset: checkpoint_offset(partition),
            partition_count: partition.partitions().get(),
            group_count: KEY_GROUPS,
            key_epoch: epoch.0,
            schema_version: StateHeader::SCHEMA_VERSION,
            state_version: state_version(partition, self.layout),
            // The program before knows no binding.
            binding: (self.layout == SnapshotLayout::Current).then(|| partition.binding()),
        };
        self.add_header(partition.number(), &header, as_of);
        self.into_appends()
    }

    pub(crate) fn add_header(&mut self, partition: u32, header: &StateHeader, as_of: Timestamp) {
        let whole = (header.format(), 0, 1);
        self.put(
            StateKey::Header { partition },
            header.next_offset,
            as_of,
            whole,
            &header.encode(),
        );
    }

    /// The same records for audits, from the one of this number on; how many bytes they are.
    fn copy(&mut self, first: usize) -> usize {
        let copies = self.records[first..].iter().map(|record| Placed {
            is_copy: true,
            ..record.clone()
        });
        let copies: Vec<Placed> = copies.collect();
        let bytes = copies.iter().filter_map(|copy| copy.value.clone());
        let bytes = bytes.map(|value| value.len()).sum();
        self.records.extend(copies);
        bytes
    }

    fn checkpoint(&mut self, group: &Group, offset: u64) -> usize {
        let id = group.id();
        let mut bytes = self.put_chunks(
            |chunk| StateKey::Core { group: id, chunk },
            offset,
            group.now(),
            group.encode_core_in(self.layout),
        );
        for (class, cold) in group.cold() {
            bytes += self.add_cold(group, class, cold, offset);
        }
        bytes
    }

    /// Cold counts of one class; how many bytes.
    pub(crate) fn add_cold(&mut self, group: &Group, class: Class, cold: &ColdCounts, offset: u64) -> usize {
        let id = group.id();
        let key = |chunk| StateKey::Cold {
            group: id,
            class,
            chunk,
        };
        self.put_chunks(key, offset, group.now(), Group::encode_cold(cold))
    }

    fn put_chunks(&mut self, key: impl Fn(u32) -> StateKey, offset: u64, as_of: Timestamp, body: Vec<u8>) -> usize {
        let bytes = body.len();
        let chunks = chunks_of(bytes);
        for chunk in 0..chunks {
            let from = chunk as usize * CHUNK_BYTES;
            let part = &body[from..bytes.min(from + CHUNK_BYTES)];
            self.put(key(chunk), offset, as_of, (self.layout.version(), chunk, chunks), part);
        }
        bytes
    }

    fn put(
        &mut self,
        key: StateKey,
        applied_through: u64,
        as_of: Timestamp,
        (format, chunk, chunks): (u16, u32, u32),
        body: &[u8],
    ) {
        let record = StateRecord {
            applied_through,
            as_of,
            format,
            chunk,
            chunks,
            body: Vec::new(),
        };
        let key = self.put_key(key);
        record.encode_around(body, &mut self.bytes);
        self.records.push(Placed {
            is_copy: false,
            value: Some(key.end..self.bytes.len()),
            key,
        });
    }

    pub(crate) fn remove(&mut self, key: StateKey) {
        let key = self.put_key(key);
        self.records.push(Placed {
            is_copy: false,
            key,
            value: None,
        });
    }

    fn put_key(&mut self, key: StateKey) -> Range<usize> {
        let from = self.bytes.len();
        key.put(&mut self.bytes);
        from..self.bytes.len()
    }
}

fn hot_key(group: &Group, key: HotKey) -> StateKey {
    StateKey::Hot {
        group: group.id(),
        content: key.content,
        class: key.class,
    }
}

fn chunks_of(bytes: usize) -> u32 {
    bytes.div_ceil(CHUNK_BYTES).max(1) as u32
}

/// Whether a restore would find everything applied so far in checkpoints.
pub(crate) fn is_checkpointed(partition: &Partition) -> bool {
    checkpoint_offset(partition) == partition.next_offset()
}

/// The layout that a restore meets: the latest of any group's checkpoint.
fn state_version(partition: &Partition, layout: SnapshotLayout) -> u16 {
    let written = partition.groups().filter_map(|tracked| tracked.checkpointed.as_ref());
    written
        .map(|last| last.format)
        .max()
        .map_or(layout.version(), |last| last.max(layout.version()))
}

/// The offset from which a restore must apply input again: every group's checkpoint holds what came before.
fn checkpoint_offset(partition: &Partition) -> u64 {
    let needed = |tracked: &Tracked| match &tracked.checkpointed {
        Some(last) if last.version != tracked.group.version() => last.offset,
        None if tracked.group.version() > 0 => tracked.applied_from,
        _ => partition.next_offset(),
    };
    partition.groups().map(needed).min().unwrap_or(partition.next_offset())
}
