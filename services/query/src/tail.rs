//! Follows the log: a plain thread that reads the state, alerts, families and parties topics from their beginning and applies them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tocsin_log::{LogError, SharedLog, TailReader, TopicPartition};
use tocsin_runtime::Shutdown;

use crate::catch_up::CatchUp;
use crate::metrics::Metrics;
use crate::replica::{Feed, Position, decode};
use crate::state::QueryState;

const POLL_TIMEOUT: Duration = Duration::from_millis(100);
const POLL_RECORDS_MAX: usize = 1_024;
const LAG_INTERVAL: Duration = Duration::from_secs(1);
/// How long the brokers may take to say how far there is to go.
const LAG_TIME_MAX: Duration = Duration::from_secs(1);
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(100);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);

/// One thread's view of the log.
pub(crate) struct Tail {
    log: SharedLog,
    state: QueryState,
    shutdown: Shutdown,
    /// Where to read on, per partition.
    next: BTreeMap<TopicPartition, u64>,
    /// What must be read before the replica is ready; `None` until it is known.
    catch_up: Option<CatchUp>,
    lag_told_at: Option<Instant>,
}

impl Tail {
    pub(crate) fn new(log: SharedLog, state: QueryState, shutdown: Shutdown, partitions: Vec<TopicPartition>) -> Self {
        Tail {
            log,
            state,
            shutdown,
            next: partitions.into_iter().map(|partition| (partition, 0)).collect(),
            catch_up: None,
            lag_told_at: None,
        }
    }

    /// Reads until stopping is requested. A failed read is tried again, from where it failed, after a growing pause.
    pub(crate) fn run(mut self) {
        let mut pause = RETRY_PAUSE_MIN;
        while !self.shutdown.is_requested() {
            let started_at = Instant::now();
            if let Err(error) = self.follow() {
                self.state.metrics().read_failures.inc();
                tracing::warn!(
                    error = tocsin_runtime::roles::chain(&error),
                    "reading the log failed and is tried again"
                );
            }
            if started_at.elapsed() > RETRY_PAUSE_MAX {
                pause = RETRY_PAUSE_MIN;
            }
            self.wait(pause);
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
    }

    fn follow(&mut self) -> Result<(), LogError> {
        let mut spans = BTreeMap::new();
        for (partition, next) in &mut self.next {
            let (first, end) = self.log.bounds(partition)?;
            // A topic with retention may have lost its beginning.
            *next = (*next).max(first);
            spans.insert(partition.clone(), (*next, end));
        }
        self.catch_up.get_or_insert_with(|| CatchUp::new(spans, Instant::now()));
        let starts: Vec<_> = self
            .next
            .iter()
            .map(|(partition, next)| (partition.clone(), *next))
            .collect();
        let mut reader = self.log.tail_reader(&starts)?;
        while !self.shutdown.is_requested() {
            let read = self.poll(reader.as_mut());
            for (partition, next) in &mut self.next {
                *next = reader.position(partition).unwrap_or(*next).max(*next);
            }
            read?;
            self.state.alerts_arrived();
            self.become_ready();
            if self.lag_told_at.is_none_or(|at| at.elapsed() >= LAG_INTERVAL) {
                self.lag_told_at = Some(Instant::now());
                self.tell_lag();
            }
        }
        Ok(())
    }

    fn poll(&self, reader: &mut dyn TailReader) -> Result<usize, LogError> {
        let replica = self.state.replica();
        let metrics = self.state.metrics();
        reader.poll(POLL_TIMEOUT, POLL_RECORDS_MAX, &mut |record| {
            let Some(feed) = Feed::of_topic(record.topic) else {
                return;
            };
            let position = Position::of(&record);
            match decode(feed, &record).and_then(|change| replica.apply(position, change)) {
                Ok(()) => metrics.applied.with_label_values(&[record.topic]).inc(),
                Err(reason) => metrics.record_skipped(record.topic, position, reason),
            }
        })
    }

    fn become_ready(&mut self) {
        if self.state.is_ready() {
            return;
        }
        let Some(catch_up) = &mut self.catch_up else {
            return;
        };
        let now = Instant::now();
        let reached = catch_up.reached(&self.next, now);
        let metrics = self.state.metrics();
        if let Some(seconds) = reached.seconds_left {
            metrics.restore_seconds_left.set(seconds);
        }
        if reached.left > 0 && catch_up.is_due(now) {
            tracing::info!(
                records_read = reached.read,
                records_left = reached.left,
                seconds_left = reached.seconds_left.map(|seconds| seconds.ceil() as u64),
                "reading the state of the key groups"
            );
        }
        if reached.left == 0 {
            metrics.restore_seconds_left.set(0.0);
            self.state.set_ready();
            tracing::info!(
                hot_records = self.state.replica().hot.count(),
                alerts = self.state.replica().alerts.count(),
                "the replica caught up with the log"
            );
        }
    }

    fn tell_lag(&self) {
        let metrics: &Metrics = self.state.metrics();
        let places: Vec<TopicPartition> = self.next.keys().cloned().collect();
        // Without an answer in time the offsets shown stay as they are, and the lag in seconds goes on.
        let ends = self.log.ends(&places, LAG_TIME_MAX).unwrap_or_default();
        for ((partition, next), end) in self.next.iter().zip(ends) {
            let behind = i64::try_from(end.saturating_sub(*next)).unwrap_or(i64::MAX);
            let number = partition.partition.to_string();
            let labels = [partition.topic.as_ref(), number.as_str()];
            metrics
                .next_offset
                .with_label_values(&labels)
                .set(i64::try_from(*next).unwrap_or(i64::MAX));
            metrics.lag_offsets.with_label_values(&labels).set(behind);
        }
        let replica = self.state.replica();
        let now_ms = now_ms();
        for partition in 0..u32::from(replica.partitions.count().get()) {
            if let Some(view) = replica.partitions.of_partition(partition) {
                let seconds = (now_ms.saturating_sub(view.appended_at_ms)).max(0) as f64 / 1_000.0;
                metrics
                    .lag_seconds
                    .with_label_values(&[&partition.to_string()])
                    .set(seconds);
            }
        }
        metrics.hot_records.set(replica.hot.count() as i64);
        metrics.cold_states.set(replica.cold.count() as i64);
        metrics.alerts.set(replica.alerts.count() as i64);
        metrics.announced_contents.set(replica.announced.count() as i64);
        metrics.announced_hashes.set(replica.announced.hashes() as i64);
        metrics.families_disclosed.set(replica.disclosed.len() as i64);
    }

    fn wait(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while !self.shutdown.is_requested() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The host's clock, milliseconds since 1970: only to tell how far an answer is behind.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
