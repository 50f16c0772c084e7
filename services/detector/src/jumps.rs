//! Input that does not go on where the last record ended: whether it is still the log that a partition's state is of.

use tocsin_log::{Log, RecordRef, TopicPartition, is_replaced};
use tocsin_wire::topics;

use crate::error::DetectorError;
use crate::partition::{Partition, TopicIds};

/// Where the records of a partition's input did not follow on one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Jump {
    partition: u32,
    /// The offset of the record that was to come.
    needed: u64,
    /// The offset of the one that came.
    came: u64,
}

/// Applies a record of a partition's input, and tells if it is not the one that was to come. One from before is not applied: it is of another log, or of one whose
/// new leader did not know its end yet when reading began.
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

/// Asks the log what stands behind jumps. A client whose offset is none of the log's begins at what is held first, without a word: a topic that was made anew
/// then shows as a record of before, and input that was deleted unread as a record of later. What stands in place of records of later may also be
/// the markers of transactions, which nobody is handed. `was` tells the id of the topic that a partition's state is of.
///
/// # Errors
/// [`DetectorError::InputReplaced`], [`DetectorError::InputEndsBefore`] or [`DetectorError::InputDeleted`]; or the log cannot be asked: then it is not known, and
/// nothing of these records may be committed.
pub(crate) fn check_jumps(log: &dyn Log, jumps: &[Jump], was: impl Fn(u32) -> u64) -> Result<(), DetectorError> {
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
        if is_replaced(was(partition), now.sightings) {
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
