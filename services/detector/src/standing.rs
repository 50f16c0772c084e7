//! Whether the topics that a process reads and writes are still those that it restored from.

use std::collections::BTreeMap;

use tocsin_log::{Log, RecordRef, SharedLog, TopicPartition, TopicWatch, is_replaced};
use tocsin_wire::topics;

use crate::check::SHORT_LOOKS_MAX;
use crate::error::DetectorError;
use crate::partition::{Partition, TopicIds};
use crate::restorers::Hands;

/// Where the records of a partition's input did not follow on one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Jump {
    partition: u32,
    /// The offset of the record that was to come.
    needed: u64,
    /// The offset of the one that came.
    came: u64,
}

/// Applies a record of a partition's input, and tells if it is not the one that was to come. One from before is not applied: a log that stands as it was hands
/// none over a second time, so it is of another.
pub(crate) fn apply_next(partition: &mut Partition, record: RecordRef<'_>) -> Option<Jump> {
    let jump = Jump {
        partition: partition.number(),
        needed: partition.next_offset(),
        came: record.offset,
    };
    if jump.came >= jump.needed {
        partition.apply(record);
    }
    (jump.came != jump.needed).then_some(jump)
}

/// What is known of the topics while a process runs.
pub(crate) struct Standing {
    watch: TopicWatch,
    /// How often in a row a partition's input was seen to end before its position.
    short: BTreeMap<u32, u32>,
}

impl Standing {
    /// # Errors
    /// No thread can be had.
    pub(crate) fn watch(log: &SharedLog, hands: Hands) -> Result<Self, DetectorError> {
        let watch = match hands {
            Hands::Threads => TopicWatch::begin(log)?,
            Hands::Caller => TopicWatch::in_turn(log),
        };
        Ok(Standing {
            watch,
            short: BTreeMap::new(),
        })
    }

    /// Asks the log what stands behind jumps. A client whose offset is none of the log's begins at what is held first, without a word: a topic that was made anew
    /// then shows as a record of before, and input that was deleted unread as a record of later. What stands in place of records of later may also be
    /// the markers of transactions, which nobody is handed.
    ///
    /// # Errors
    /// [`DetectorError::InputReplaced`], [`DetectorError::InputEndsBefore`] or [`DetectorError::InputDeleted`]; or the log cannot be asked: then it is not known, and
    /// nothing of these records may be committed.
    pub(crate) fn check_jumps(
        &self,
        log: &dyn Log,
        partitions: &BTreeMap<u32, Partition>,
        jumps: &[Jump],
    ) -> Result<(), DetectorError> {
        if jumps.is_empty() {
            return Ok(());
        }
        let now = TopicIds::of(log)?;
        for Jump {
            partition,
            needed,
            came,
        } in jumps.iter().copied()
        {
            let was = partitions.get(&partition).map_or(0, |of| of.topics().sightings);
            if is_replaced(was, now.sightings) {
                return Err(DetectorError::InputReplaced { partition });
            }
            if came < needed {
                return Err(DetectorError::InputEndsBefore {
                    partition,
                    needed,
                    end: came,
                });
            }
            let (first_held, _) = log.bounds(&TopicPartition::new(topics::SIGHTINGS, partition))?;
            if first_held > needed {
                return Err(DetectorError::InputDeleted {
                    partition,
                    needed,
                    first_held,
                });
            }
        }
        Ok(())
    }

    /// Looks at the partitions, and at the ends of their inputs in the same order, as far as they are known.
    ///
    /// # Errors
    /// [`DetectorError::InputReplaced`], [`DetectorError::InputEndsBefore`] or [`DetectorError::StateReplaced`].
    pub(crate) fn check(&mut self, partitions: &BTreeMap<u32, Partition>, ends: &[u64]) -> Result<(), DetectorError> {
        self.short.retain(|number, _| partitions.contains_key(number));
        for (place, (number, partition)) in partitions.iter().enumerate() {
            let (number, ids) = (*number, partition.topics());
            if self.watch.is_replaced(topics::SIGHTINGS, ids.sightings) {
                return Err(DetectorError::InputReplaced { partition: number });
            }
            if self.watch.is_replaced(topics::STATE, ids.state) {
                return Err(DetectorError::StateReplaced);
            }
            let Some(&end) = ends.get(place) else { continue };
            let needed = partition.next_offset();
            if end >= needed {
                self.short.remove(&number);
                continue;
            }
            let looks = self.short.entry(number).or_insert(0);
            *looks += 1;
            if *looks >= SHORT_LOOKS_MAX {
                return Err(DetectorError::InputEndsBefore {
                    partition: number,
                    needed,
                    end,
                });
            }
            self.watch.ask();
        }
        Ok(())
    }
}
