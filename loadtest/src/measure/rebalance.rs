//! How long partitions stand still when a detector comes, leaves or is killed: the longest time between two headers of each, by the log's stamps,
//! while ticks go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use tocsin_log::{Append, Log, SharedLog, TailReader, TopicPartition};
use tocsin_wire::state::StateKey;
use tocsin_wire::{SightingsRecord, TickTime, topics};

use super::corpus::PARTITIONS;
use super::pipeline;
use super::process::Played;
use super::restore::detector;

const TICK_EVERY: Duration = Duration::from_millis(50);
/// How long headers are watched once a change is over.
const AFTERWARDS: Duration = Duration::from_secs(4);
/// How long a member that was killed is waited for.
const SESSION: Duration = Duration::from_secs(8);
/// The longest a partition may stand still.
const STANDSTILL_MAX: Duration = Duration::from_secs(120);

/// The longest time without a header, in milliseconds: of the half of the partitions that stood still longest, and of the other half.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gap {
    pub(super) moved_ms: i64,
    pub(super) kept_ms: i64,
}

/// What was measured. Two detectors have two partitions each.
pub(super) struct Rebalanced {
    /// While nothing happens: what the commits' interval alone makes.
    pub(super) steady: Gap,
    /// A second detector comes.
    pub(super) join: Gap,
    /// It ends in order.
    pub(super) leave: Gap,
    /// It comes again, and is killed.
    pub(super) kill: Gap,
}

pub(super) fn measure(bootstrap: &str, log: &SharedLog) -> anyhow::Result<Rebalanced> {
    let _ticking = Ticking::start(log)?;
    let _first = detector(bootstrap, "0")?;
    let mut headers = Headers::follow(log.as_ref())?;
    headers.until_all_move()?;
    headers.gap()?;
    let steady = headers.gap()?;
    let second = headers.until_ready(detector(bootstrap, "1")?)?;
    let join = headers.gap()?;
    second.stop()?;
    headers.until_all_move()?;
    let leave = headers.gap()?;
    let again = headers.until_ready(detector(bootstrap, "1")?)?;
    headers.gap()?;
    drop(again);
    // A member that was killed is missed when its session ends: until then its partitions only seem to have moved on.
    headers.watch_for(SESSION)?;
    headers.until_all_move()?;
    let kill = headers.gap()?;
    Ok(Rebalanced {
        steady,
        join,
        leave,
        kill,
    })
}

/// Appends ticks until it is dropped.
struct Ticking(Arc<AtomicBool>);

impl Ticking {
    fn start(log: &SharedLog) -> anyhow::Result<Self> {
        let appender = log.appender(pipeline::options())?;
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = stopped.clone();
        std::thread::Builder::new().name("ticks".to_owned()).spawn(move || {
            while !stop.load(Ordering::Acquire) {
                let tick = SightingsRecord::Tick(TickTime::AppendStamp).encode();
                let to_each = (0..u32::from(PARTITIONS)).map(|number| Append {
                    to: TopicPartition::new(topics::SIGHTINGS, number),
                    key: None,
                    value: Some(tick.clone().into()),
                    headers: Vec::new(),
                });
                drop(appender.append(to_each.collect()));
                std::thread::sleep(TICK_EVERY);
            }
        })?;
        Ok(Ticking(stopped))
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// When each partition had headers.
struct Headers {
    reader: Box<dyn TailReader>,
    /// The latest one of each, and the longest time between two since this was last asked.
    latest: BTreeMap<u32, i64>,
    longest: BTreeMap<u32, i64>,
}

impl Headers {
    fn follow(log: &dyn Log) -> anyhow::Result<Self> {
        let mut starts = Vec::new();
        for number in 0..u32::from(PARTITIONS) {
            let place = TopicPartition::new(topics::STATE, number);
            let (_, end) = log.bounds(&place)?;
            starts.push((place, end));
        }
        Ok(Headers {
            reader: log.tail_reader(&starts)?,
            latest: BTreeMap::new(),
            longest: BTreeMap::new(),
        })
    }

    fn look(&mut self) -> anyhow::Result<()> {
        let (latest, longest) = (&mut self.latest, &mut self.longest);
        self.reader.poll(Duration::from_millis(50), 10_000, &mut |record| {
            let key = record.key.and_then(StateKey::from_bytes);
            if !matches!(key, Some(StateKey::Header { .. })) {
                return;
            }
            if let Some(before) = latest.insert(record.partition, record.appended_at_ms) {
                let gap = longest.entry(record.partition).or_default();
                *gap = (*gap).max(record.appended_at_ms - before);
            }
        })?;
        Ok(())
    }

    /// Until each partition had a header that is younger than this call, and for a while longer.
    fn until_all_move(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        let began_at = pipeline::now().0;
        while (0..u32::from(PARTITIONS)).any(|number| self.latest.get(&number).is_none_or(|at| *at <= began_at)) {
            self.look()?;
            ensure!(began.elapsed() < STANDSTILL_MAX, "a partition stands still");
        }
        self.watch()
    }

    fn watch(&mut self) -> anyhow::Result<()> {
        self.watch_for(AFTERWARDS)
    }

    fn watch_for(&mut self, time: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        while began.elapsed() < time {
            self.look()?;
        }
        Ok(())
    }

    /// Until a detector that was just started is ready.
    fn until_ready(&mut self, mut started: Played) -> anyhow::Result<Played> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new().name("wait".to_owned()).spawn(move || {
            let ready = started.wait_for("ready").map(|_| started);
            // Whoever asked may be gone.
            let _ = sender.send(ready);
        })?;
        let began = Instant::now();
        let ready = loop {
            match receiver.try_recv() {
                Ok(ready) => break ready?,
                Err(std::sync::mpsc::TryRecvError::Empty) => self.look()?,
                Err(error) => return Err(error.into()),
            }
            ensure!(began.elapsed() < STANDSTILL_MAX, "a detector does not become ready");
        };
        self.until_all_move()?;
        Ok(ready)
    }

    fn gap(&mut self) -> anyhow::Result<Gap> {
        self.watch()?;
        let mut gaps: Vec<i64> = std::mem::take(&mut self.longest).into_values().collect();
        ensure!(gaps.len() == usize::from(PARTITIONS), "a partition had no two headers");
        gaps.sort_unstable();
        Ok(Gap {
            kept_ms: gaps[usize::from(PARTITIONS) / 2 - 1],
            moved_ms: gaps[usize::from(PARTITIONS) - 1],
        })
    }
}
