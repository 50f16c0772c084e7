//! The thread that reads alerts. It decodes them, hands them over in batches, and commits a batch's positions once the store has it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use tocsin_failpoint::{FailPoint, reach};
use tocsin_log::{GroupEvent, GroupReader, LogError, RecordRef, SharedLog, TopicPartition};
use tocsin_model::Alert;
use tocsin_runtime::Shutdown;
use tokio::sync::mpsc::Sender;

use crate::telemetry::{AlertUnreadable, LagUnknown, Metrics};

/// How many alerts wait here at most while the store works.
const ALERTS_WAITING_MAX: usize = 4_096;
/// How many records one poll brings at most.
const RECORDS_PER_POLL_MAX: usize = 256;
/// How many alerts one transaction of the store takes at most.
const ALERTS_PER_BATCH_MAX: usize = 256;
const POLL_TIMEOUT: Duration = Duration::from_millis(20);
const LAG_INTERVAL: Duration = Duration::from_secs(1);
/// How long the brokers may take to say how far there is to go.
const LAG_TIME_MAX: Duration = Duration::from_secs(1);
/// How long the last batch may take when the process stops.
const LAST_BATCH_TIMEOUT: Duration = Duration::from_secs(5);

/// An alert, and where its partition goes on behind it.
pub(crate) struct Waiting {
    pub alert: Alert,
    pub appended_at_ms: i64,
    from: TopicPartition,
    next_offset: u64,
}

/// The next offset of each partition.
pub(crate) type Positions = BTreeMap<TopicPartition, u64>;

/// Alerts that one transaction of the store applies, and the positions to commit then.
pub(crate) struct Batch {
    pub alerts: Vec<Waiting>,
    pub positions: Positions,
}

pub(crate) struct AlertReader {
    reader: Box<dyn GroupReader>,
    batches: Sender<Batch>,
    applied: Receiver<Positions>,
    metrics: Metrics,
    assigned: BTreeSet<TopicPartition>,
    waiting: Vec<Waiting>,
    /// Positions of records that were read, also of those that could not be decoded.
    read: Positions,
    /// Positions that the group has.
    committed: Positions,
    is_paused: bool,
    is_handed_over: bool,
}

impl AlertReader {
    pub(crate) fn new(
        reader: Box<dyn GroupReader>,
        batches: Sender<Batch>,
        applied: Receiver<Positions>,
        metrics: Metrics,
    ) -> AlertReader {
        AlertReader {
            reader,
            batches,
            applied,
            metrics,
            assigned: BTreeSet::new(),
            waiting: Vec::new(),
            read: Positions::new(),
            committed: Positions::new(),
            is_paused: false,
            is_handed_over: false,
        }
    }

    pub(crate) fn run(mut self, log: &SharedLog, shutdown: &Shutdown) -> Result<(), LogError> {
        let mut lag_told_at = Instant::now();
        while !shutdown.is_requested() {
            self.set_flow()?;
            self.poll()?;
            while let Ok(positions) = self.applied.try_recv() {
                self.commit(positions)?;
            }
            self.hand_over();
            if lag_told_at.elapsed() >= LAG_INTERVAL {
                lag_told_at = Instant::now();
                self.tell_lag(log);
            }
        }
        if self.is_handed_over
            && let Ok(positions) = self.applied.recv_timeout(LAST_BATCH_TIMEOUT)
        {
            self.commit(positions)?;
        }
        self.reader.close();
        Ok(())
    }

    /// Stops reading while too much waits; polling goes on, or the group would take us for dead.
    fn set_flow(&mut self) -> Result<(), LogError> {
        let is_full = self.waiting.len() + RECORDS_PER_POLL_MAX > ALERTS_WAITING_MAX;
        let assigned: Vec<TopicPartition> = self.assigned.iter().cloned().collect();
        if is_full && !self.is_paused {
            self.reader.pause(&assigned)?;
        } else if !is_full && self.is_paused {
            self.reader.resume(&assigned)?;
        }
        self.is_paused = is_full;
        Ok(())
    }

    fn poll(&mut self) -> Result<(), LogError> {
        let (waiting, read, metrics) = (&mut self.waiting, &mut self.read, &self.metrics);
        let event = self.reader.poll(POLL_TIMEOUT, RECORDS_PER_POLL_MAX, &mut |record| {
            let from = TopicPartition::new(record.topic, record.partition);
            read.insert(from.clone(), record.offset + 1);
            match decoded(&record) {
                Ok(alert) => waiting.push(Waiting {
                    alert,
                    appended_at_ms: record.appended_at_ms,
                    next_offset: record.offset + 1,
                    from,
                }),
                Err(reason) => AlertUnreadable {
                    partition: record.partition,
                    offset: record.offset,
                    reason: &reason,
                }
                .emit(metrics),
            }
        })?;
        match event {
            GroupEvent::Polled => {}
            GroupEvent::Assigned(partitions) => {
                for partition in partitions {
                    let offset = self.reader.committed(&partition)?.unwrap_or(0);
                    self.reader.begin(&partition, offset)?;
                    self.committed.insert(partition.clone(), offset);
                    self.assigned.insert(partition);
                }
                self.is_paused = false;
            }
            GroupEvent::Revoked(partitions) => {
                // What was handed over may still be applied, here and by the next owner: the store applies each alert once.
                self.waiting.retain(|waiting| !partitions.contains(&waiting.from));
                for partition in &partitions {
                    self.assigned.remove(partition);
                    self.read.remove(partition);
                    self.committed.remove(partition);
                }
            }
        }
        Ok(())
    }

    fn hand_over(&mut self) {
        if self.is_handed_over || (self.waiting.is_empty() && self.read.is_empty()) {
            return;
        }
        let rest = self.waiting.split_off(self.waiting.len().min(ALERTS_PER_BATCH_MAX));
        let alerts = std::mem::replace(&mut self.waiting, rest);
        let positions = match self.waiting.is_empty() {
            true => std::mem::take(&mut self.read),
            // Only as far as this batch goes; what waits behind it is not in the store yet.
            false => alerts
                .iter()
                .map(|waiting| (waiting.from.clone(), waiting.next_offset))
                .collect(),
        };
        // The channel holds one batch and none is there; it is closed only when the process stops.
        self.is_handed_over = self.batches.try_send(Batch { alerts, positions }).is_ok();
    }

    fn commit(&mut self, mut positions: Positions) -> Result<(), LogError> {
        self.is_handed_over = false;
        positions.retain(|partition, _| self.assigned.contains(partition));
        let positions: Vec<(TopicPartition, u64)> = positions.into_iter().collect();
        match self.reader.commit_positions(&positions) {
            Ok(()) => {
                reach(FailPoint::AlertPositionsCommitted);
                self.committed.extend(positions);
                Ok(())
            }
            // The positions of the next batch make up for it.
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "positions of alerts were not committed"
                );
                Ok(())
            }
        }
    }

    /// A log that does not answer is no reason to stop: what reads from it finds out by itself.
    fn tell_lag(&self, log: &SharedLog) {
        let (places, positions): (Vec<TopicPartition>, Vec<u64>) = self.committed.clone().into_iter().unzip();
        match log.ends(&places, LAG_TIME_MAX) {
            Ok(ends) => {
                let behind = ends
                    .iter()
                    .zip(positions)
                    .map(|(end, position)| end.saturating_sub(position));
                self.metrics.alerts_lag_offsets.set(behind.sum::<u64>() as i64);
            }
            Err(error) => LagUnknown { error: &error }.emit(&self.metrics),
        }
    }
}

fn decoded(record: &RecordRef<'_>) -> Result<Alert, String> {
    let value = record.value.ok_or("the record has no value")?;
    let record = tocsin_wire::alert::decode(value).map_err(|error| error.to_string())?;
    Ok(record.alert)
}

#[cfg(test)]
mod tests {
    //! Goal: the thread that reads alerts outlives a log that does not answer how far there is to go.
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
    use tocsin_log::{Cleanup, GroupOptions, TopicSpec};

    use super::*;

    #[test]
    fn a_log_that_does_not_tell_the_lag_ends_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let open = |name: &str| -> SharedLog {
            Arc::new(EmbeddedLog::open(&directory.path().join(name), EmbeddedOptions::default()).unwrap())
        };
        // The log that is read has the topic, and the one that is asked has not.
        let (read, asked) = (open("read"), open("asked"));
        let spec = TopicSpec {
            name: "alerts".to_owned(),
            partitions: 1,
            cleanup: Cleanup::Delete,
            retention_ms: None,
            record_bytes_max: 1 << 20,
            may_grow: false,
            compaction: None,
        };
        read.ensure_topics(&[spec]).unwrap();
        let options = GroupOptions {
            group: "tests".to_owned(),
            instance: String::new(),
            topics: vec!["alerts".to_owned()],
        };
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let (batches, _handed_over) = tokio::sync::mpsc::channel(1);
        let (_applied, positions) = std::sync::mpsc::sync_channel(1);
        let reader = AlertReader::new(read.group_reader(options).unwrap(), batches, positions, metrics.clone());
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let thread = std::thread::spawn(move || reader.run(&asked, &stop));
        let began = Instant::now();
        while metrics.failures("ask_lag") < 2 && !thread.is_finished() && began.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(5)); // poll: until it asked twice
        }
        shutdown.request();
        thread.join().unwrap().unwrap();
        assert!(metrics.failures("ask_lag") >= 2);
    }
}
