use std::ops::{Bound, RangeBounds};
use std::time::Duration;

use crate::{Log, LogError, RecordRef, TopicPartition};

/// How long one wait for more records takes at most.
const POLL: Duration = Duration::from_millis(200);
const RECORDS_PER_POLL: usize = 1_000;

/// Hands every record of a partition within `offsets` to `sink`, in order, and returns behind the last one. Without an end: as far as is
/// written now. Offsets that are no longer held or not written yet are passed over.
///
/// # Errors
/// The log cannot be read.
pub fn read_through(
    log: &dyn Log,
    partition: &TopicPartition,
    offsets: impl RangeBounds<u64>,
    sink: &mut dyn FnMut(RecordRef<'_>),
) -> Result<(), LogError> {
    let (first_held, written) = log.bounds(partition)?;
    let begin = match offsets.start_bound() {
        Bound::Included(offset) => *offset,
        Bound::Excluded(offset) => offset.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match offsets.end_bound() {
        Bound::Included(offset) => offset.saturating_add(1),
        Bound::Excluded(offset) => *offset,
        Bound::Unbounded => u64::MAX,
    };
    let (begin, end) = (begin.max(first_held), end.min(written));
    if begin >= end {
        return Ok(());
    }
    let mut reader = log.tail_reader(&[(partition.clone(), begin)])?;
    while reader.position(partition).unwrap_or(begin) < end {
        reader.poll(POLL, RECORDS_PER_POLL, &mut |record| {
            // More may have been written, or asked for, than the end.
            if record.offset < end {
                sink(record);
            }
        })?;
    }
    Ok(())
}
