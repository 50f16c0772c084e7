//! How far the replica stands in each partition of the state.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use tocsin_model::{GroupId, Milliseconds, PartitionCount, Timestamp};

/// What the last header of a partition said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionView {
    /// The partition's time: everything before it is counted in the hot records.
    pub as_of: Timestamp,
    /// The next input offset: what lies before it is applied.
    pub next_offset: u64,
    /// Every group's checkpoint holds the inputs before this offset.
    pub checkpoint_offset: u64,
    /// When the log appended the header, milliseconds since 1970.
    pub appended_at_ms: i64,
}

/// The newest header of every partition.
#[derive(Debug)]
pub struct Partitions {
    count: PartitionCount,
    progress: RwLock<Vec<Progress>>,
}

/// One partition.
#[derive(Clone, Debug, Default)]
struct Progress {
    view: Option<PartitionView>,
    /// Earlier headers, to tell which time an input offset stands for: (next offset, time), both ascending.
    times: VecDeque<(u64, Timestamp)>,
    /// The time up to which the checkpoints of all groups hold everything.
    checkpointed: Option<Timestamp>,
}

/// Earlier headers are remembered at this distance of time, ...
const TIMES_STEP: Milliseconds = Milliseconds::from_seconds(1);
/// ... and so many of them: 17 minutes, where a checkpoint is due every minute.
const TIMES_MAX: usize = 1_024;

impl Partitions {
    /// No headers yet.
    pub fn new(count: PartitionCount) -> Self {
        Partitions {
            count,
            progress: RwLock::new(vec![Progress::default(); usize::from(count.get())]),
        }
    }

    /// Whether the state of `group` belongs into `partition`.
    pub fn owns(&self, partition: u32, group: GroupId) -> bool {
        self.count.partition_of(group) == partition
    }

    /// Takes a header. A header that goes back in time is not taken: an answer's `as_of` never goes back. Tells whether it was taken.
    pub fn advance(&self, partition: u32, view: PartitionView) -> bool {
        let mut progress = self.progress.write().unwrap_or_else(PoisonError::into_inner);
        let Some(progress) = progress.get_mut(partition as usize) else {
            return false;
        };
        if progress.view.is_some_and(|held| held.as_of > view.as_of) {
            return false;
        }
        progress.take(view);
        true
    }

    /// The newest header of the partition that owns `group`.
    pub fn of_group(&self, group: GroupId) -> Option<PartitionView> {
        self.of_partition(self.count.partition_of(group))
    }

    /// The newest header of a partition.
    pub fn of_partition(&self, partition: u32) -> Option<PartitionView> {
        let progress = self.progress.read().unwrap_or_else(PoisonError::into_inner);
        progress.get(partition as usize)?.view
    }

    /// The time up to which the checkpoint of `group` holds everything, as far as its partition's headers tell: a group that sees nothing
    /// is not checkpointed again, and its old checkpoint is as good as a new one.
    pub fn checkpointed(&self, group: GroupId) -> Option<Timestamp> {
        let progress = self.progress.read().unwrap_or_else(PoisonError::into_inner);
        progress.get(self.count.partition_of(group) as usize)?.checkpointed
    }

    /// How many partitions there are.
    pub fn count(&self) -> PartitionCount {
        self.count
    }

    /// The headers that are known.
    pub fn known(&self) -> Vec<PartitionView> {
        let progress = self.progress.read().unwrap_or_else(PoisonError::into_inner);
        progress.iter().filter_map(|progress| progress.view).collect()
    }
}

impl Progress {
    fn take(&mut self, view: PartitionView) {
        self.view = Some(view);
        let passed = |times: &VecDeque<(u64, Timestamp)>| {
            let index = times.partition_point(|(next_offset, _)| *next_offset <= view.checkpoint_offset);
            index.checked_sub(1).map(|index| times[index].1)
        };
        let now = (view.next_offset <= view.checkpoint_offset).then_some(view.as_of);
        self.checkpointed = self.checkpointed.max(passed(&self.times)).max(now);
        match self.times.back() {
            Some((next_offset, at)) if view.as_of < *at + TIMES_STEP || view.next_offset < *next_offset => return,
            _ => self.times.push_back((view.next_offset, view.as_of)),
        }
        if self.times.len() > TIMES_MAX {
            self.times.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_holds_what_its_offset_stands_for() {
        let partitions = Partitions::new(PartitionCount::new(1).expect("one is a count"));
        let header = |at: i64, next_offset, checkpoint_offset| {
            let view = PartitionView {
                as_of: Timestamp(at),
                next_offset,
                checkpoint_offset,
                appended_at_ms: 0,
            };
            partitions.advance(0, view)
        };
        let group = GroupId(3);
        assert!(header(10_000, 5, 0));
        assert_eq!(partitions.checkpointed(group), None);
        assert!(header(20_000, 9, 5));
        assert_eq!(partitions.checkpointed(group), Some(Timestamp(10_000)));
        assert!(header(30_000, 12, 8));
        assert_eq!(partitions.checkpointed(group), Some(Timestamp(10_000)));
        // Nothing came after the checkpoint: it is as good as now.
        assert!(header(40_000, 12, 12));
        assert_eq!(partitions.checkpointed(group), Some(Timestamp(40_000)));
        assert!(!header(39_000, 13, 13));
        assert_eq!(
            partitions.of_partition(0).map(|view| view.as_of),
            Some(Timestamp(40_000))
        );
    }
}
