use std::time::Duration;

use tocsin_log::{Log, LogError, RecordRef, TopicPartition};
use tocsin_model::Timestamp;

use super::position::{Position, Positions};

/// How long one wait for records takes at most, and how many one brings.
const POLL: Duration = Duration::from_millis(200);
const RECORDS_PER_POLL: usize = 1_000;

/// Where a reading begins.
#[derive(Clone, Debug)]
pub(crate) enum Begin {
    /// With what the log received from this time on.
    Since(Timestamp),
    /// Where another one ended.
    After(Positions),
}

/// A walk through all partitions of a topic, up to what was written when it began.
pub(crate) struct Walk {
    /// What is read next, by partition.
    pub at: Vec<Position>,
    /// How far is written.
    ends: Vec<u64>,
    /// Whether something that was asked for may be deleted.
    pub deleted: bool,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// All of it was taken.
    Taken,
    /// It was taken up to this place, and the walk ends here.
    Stopped(u32),
}

impl Walk {
    /// What the log received from `kept_from` on is not deleted yet.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) fn begin(log: &dyn Log, topic: &str, (begin, kept_from): (&Begin, Timestamp)) -> Result<Walk, LogError> {
        let known = log.topics()?.into_iter().find(|info| info.name == topic);
        let mut walk = Walk {
            at: Vec::new(),
            ends: Vec::new(),
            deleted: false,
        };
        // A topic that was not made yet is an empty one.
        for partition in 0..known.map_or(0, |info| info.partitions) {
            let place = TopicPartition::new(topic, partition);
            let (first, end) = log.bounds(&place)?;
            let (at, deleted) = match begin {
                Begin::Since(since) => {
                    let offset = log.offset_at(&place, since.0)?;
                    // Where the oldest that is kept was received before, nothing is missing; nor of a time of which nothing is deleted yet.
                    let deleted = first > 0 && offset <= first && *since < kept_from;
                    (Position { offset, index: 0 }, deleted)
                }
                Begin::After(positions) => {
                    let at = positions.0.get(partition as usize).copied().unwrap_or_default();
                    (at, at.offset < first)
                }
            };
            let oldest = Position {
                offset: first,
                index: 0,
            };
            walk.at.push(if at.offset < first { oldest } else { at });
            walk.ends.push(end);
            walk.deleted |= deleted;
        }
        Ok(walk)
    }

    /// Whether something is left to read.
    pub(crate) fn is_behind(&self) -> bool {
        self.at.iter().zip(&self.ends).any(|(at, end)| at.offset < *end)
    }

    /// Reads to the ends, until `take` stops it, or `goes_on`, which is asked before each wait with a partition that is read, says no. `take` is handed each
    /// record with the place of the first event that is not read yet.
    ///
    /// # Errors
    /// The log cannot be read, or what `goes_on` failed with.
    pub(crate) fn run(
        &mut self,
        log: &dyn Log,
        topic: &str,
        goes_on: &mut dyn FnMut(u32) -> Result<bool, LogError>,
        take: &mut dyn FnMut(&RecordRef<'_>, u32) -> Step,
    ) -> Result<(), LogError> {
        let places = self.at.iter().zip(&self.ends).zip(0..);
        let behind = places.filter(|((at, end), _)| at.offset < **end);
        let starts: Vec<(TopicPartition, u64)> = behind
            .map(|((at, _), partition)| (TopicPartition::new(topic, partition), at.offset))
            .collect();
        let Some((first, _)) = starts.first() else {
            return Ok(());
        };
        let first = first.partition;
        let mut reader = log.tail_reader(&starts)?;
        let mut is_stopped = false;
        while self.is_behind() && goes_on(first)? {
            reader.poll(POLL, RECORDS_PER_POLL, &mut |record| {
                is_stopped = is_stopped || self.step(&record, take);
            })?;
            if is_stopped {
                break;
            }
            for (place, _) in &starts {
                let number = place.partition as usize;
                let (at, end) = (&mut self.at[number], self.ends[number]);
                // What lies behind the last record is a gap.
                if at.offset < end && reader.position(place).is_some_and(|position| position >= end) {
                    *at = Position { offset: end, index: 0 };
                }
            }
        }
        // What was deleted meanwhile may have been deleted before it was read.
        for (place, offset) in &starts {
            self.deleted |= log.bounds(place)?.0 > *offset;
        }
        Ok(())
    }

    /// Whether the walk ends with this record.
    fn step(&mut self, record: &RecordRef<'_>, take: &mut dyn FnMut(&RecordRef<'_>, u32) -> Step) -> bool {
        let number = record.partition as usize;
        let (Some(at), Some(end)) = (self.at.get(number).copied(), self.ends.get(number)) else {
            return false;
        };
        // More may have been written since, and a poll brings more than is asked for.
        if record.offset < at.offset || record.offset >= *end {
            return false;
        }
        let skipped = if record.offset == at.offset { at.index } else { 0 };
        let (offset, index, stops) = match take(record, skipped) {
            Step::Taken => (record.offset + 1, 0, false),
            Step::Stopped(index) => (record.offset, index, true),
        };
        self.at[number] = Position { offset, index };
        stops
    }
}
