use std::ops::{Bound, RangeBounds};
use std::time::{Duration, Instant};

use crate::{Log, LogError, RecordRef, TailReader, TopicPartition};

/// How long one wait for more records takes at most.
const POLL: Duration = Duration::from_millis(200);
const RECORDS_PER_POLL: usize = 1_000;
/// How long a reader may come no further before it is given up: longer than a broker takes to end a transaction that hides records.
pub const STALLED_TIME_MAX: Duration = Duration::from_secs(60);

/// Hands every record of a partition within `offsets` to `sink`, in order, and returns behind the last one. Without an end: as far as is
/// written now. Offsets that are no longer held or not written yet are passed over. Asks `is_called_off` before each wait.
///
/// # Errors
/// The log cannot be read; [`LogError::CalledOff`]; [`LogError::Stalled`] when it comes no further for [`STALLED_TIME_MAX`].
pub fn read_through(
    log: &dyn Log,
    partition: &TopicPartition,
    offsets: impl RangeBounds<u64>,
    is_called_off: &dyn Fn() -> bool,
    sink: &mut dyn FnMut(RecordRef<'_>),
) -> Result<(), LogError> {
    let mut reading = ReadThrough::new(log, partition, offsets)?;
    while reading.goes_on(is_called_off)? {
        reading.poll(sink)?;
    }
    Ok(())
}

/// [`read_through`], one poll at a time.
pub struct ReadThrough {
    /// `None`: there is nothing to read.
    reader: Option<Box<dyn TailReader>>,
    begin: u64,
    progress: Progress,
}

impl ReadThrough {
    /// Of the records within `offsets` that are held and written now.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn new(log: &dyn Log, partition: &TopicPartition, offsets: impl RangeBounds<u64>) -> Result<Self, LogError> {
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
        let reader = match begin < end {
            true => Some(log.tail_reader(&[(partition.clone(), begin)])?),
            false => None,
        };
        Ok(ReadThrough {
            reader,
            begin,
            progress: Progress::new(partition, end, STALLED_TIME_MAX),
        })
    }

    /// Whether the end is still to be reached.
    ///
    /// # Errors
    /// [`LogError::CalledOff`] and [`LogError::Stalled`].
    pub fn goes_on(&mut self, is_called_off: &dyn Fn() -> bool) -> Result<bool, LogError> {
        match &self.reader {
            Some(reader) => self.progress.goes_on(reader.as_ref(), is_called_off),
            None => Ok(false),
        }
    }

    /// Waits for records, not long, and hands over what came.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn poll(&mut self, sink: &mut dyn FnMut(RecordRef<'_>)) -> Result<(), LogError> {
        let (end, Some(reader)) = (self.progress.end, &mut self.reader) else {
            return Ok(());
        };
        reader.poll(POLL, RECORDS_PER_POLL, &mut |record| {
            // More may have been written, or asked for, than the end.
            if record.offset < end {
                sink(record);
            }
        })?;
        Ok(())
    }

    /// The offset behind the last one.
    pub fn end(&self) -> u64 {
        self.progress.end.max(self.begin)
    }

    /// How many offsets there are to read. Of a compacted topic not every one has a record.
    pub fn length(&self) -> u64 {
        self.progress.end.saturating_sub(self.begin)
    }

    /// How many of them are read.
    pub fn read(&self) -> u64 {
        let position = self
            .reader
            .as_ref()
            .and_then(|reader| reader.position(&self.progress.partition));
        position
            .unwrap_or(self.begin)
            .clamp(self.begin, self.begin + self.length())
            - self.begin
    }
}

/// Watches over a reader that is to reach an end.
#[derive(Debug)]
pub struct Progress {
    partition: TopicPartition,
    end: u64,
    stalled_time_max: Duration,
    position: Option<u64>,
    came_further_at: Instant,
}

impl Progress {
    /// Of a reader of `partition` that is to reach `end`, and comes further at least every `stalled_time_max`.
    pub fn new(partition: &TopicPartition, end: u64, stalled_time_max: Duration) -> Self {
        Progress {
            partition: partition.clone(),
            end,
            stalled_time_max,
            position: None,
            came_further_at: Instant::now(),
        }
    }

    /// Whether the end is still to be reached.
    ///
    /// # Errors
    /// [`LogError::CalledOff`] and [`LogError::Stalled`].
    pub fn goes_on(&mut self, reader: &dyn TailReader, is_called_off: &dyn Fn() -> bool) -> Result<bool, LogError> {
        let position = reader.position(&self.partition);
        if position.is_some_and(|position| position >= self.end) {
            return Ok(false);
        }
        let (topic, partition) = (self.partition.topic.to_string(), self.partition.partition);
        if is_called_off() {
            return Err(LogError::CalledOff { topic, partition });
        }
        if position > self.position {
            self.position = position;
            self.came_further_at = Instant::now();
        } else if self.came_further_at.elapsed() >= self.stalled_time_max {
            let (position, end) = (position.unwrap_or(0), self.end);
            return Err(LogError::Stalled {
                topic,
                partition,
                position,
                end,
            });
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: who reads to an end that does not come ends too, and says where it stood.

    use super::*;

    /// Stands at an offset.
    struct At(Option<u64>);

    impl TailReader for At {
        fn poll(&mut self, _: Duration, _: usize, _: &mut dyn FnMut(RecordRef<'_>)) -> Result<usize, LogError> {
            Ok(0)
        }

        fn position(&self, _: &TopicPartition) -> Option<u64> {
            self.0
        }
    }

    #[test]
    fn a_reader_that_comes_no_further_is_given_up() {
        let place = TopicPartition::new("t", 3);
        let mut progress = Progress::new(&place, 10, Duration::ZERO);
        let mut goes_on = |position| progress.goes_on(&At(position), &|| false);
        assert!(goes_on(Some(4)).is_ok_and(|goes_on| goes_on));
        assert!(goes_on(Some(5)).is_ok_and(|goes_on| goes_on), "it came further");
        let given_up = goes_on(Some(5));
        assert!(
            matches!(
                given_up,
                Err(LogError::Stalled {
                    partition: 3,
                    position: 5,
                    end: 10,
                    ..
                })
            ),
            "{given_up:?}"
        );
        assert!(goes_on(Some(10)).is_ok_and(|goes_on| !goes_on));
        let mut patient = Progress::new(&place, 10, STALLED_TIME_MAX);
        assert!(patient.goes_on(&At(None), &|| false).is_ok_and(|goes_on| goes_on));
    }

    #[test]
    fn reading_is_called_off_unless_it_is_done() {
        let place = TopicPartition::new("t", 3);
        let mut progress = Progress::new(&place, 10, STALLED_TIME_MAX);
        let called_off = progress.goes_on(&At(Some(9)), &|| true);
        assert!(matches!(called_off, Err(LogError::CalledOff { .. })), "{called_off:?}");
        assert!(progress.goes_on(&At(Some(10)), &|| true).is_ok_and(|goes_on| !goes_on));
    }
}
