//! How long after an event was published its alert can be read, at a stated rate.
//!
//! The load is open: every event has a time at which it is due, whatever the path does meanwhile, and latency counts from that time. So a path
//! that stalls is not spared what it should have taken meanwhile (no coordinated omission).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use hdrhistogram::Histogram;
use tocsin_loadtest::day::Scenario;
use tocsin_log::{Log, TopicPartition};
use tocsin_model::ContentHash;
use tocsin_wire::topics;

use super::corpus::{self, Framing, Run};
use super::do_nothing::{Beside, DidNothing};
use super::process::Played;
use super::role::connect;
use super::schedule::Schedule;
use super::sink::{Ingest, Sink};
use super::strain::lag_file;
use super::watch::{Sample, Subject, watch};

/// What was measured.
#[derive(Clone, Debug)]
pub(super) struct Latency {
    /// Events due in a second, markers not counted.
    pub(super) rate: f64,
    pub(super) events: u64,
    /// From when the copies of a marker were due to when its alert was read, in microseconds.
    pub(super) alerts: Histogram<u64>,
    /// How far the producer was behind at most: beyond a few milliseconds it could not keep the rate.
    pub(super) producer_behind_max: Duration,
    /// Events sent, and those that stood there before, less those that intake took. Without a loss 0; otherwise the run fails.
    pub(super) lost: u64,
    /// What intake and the detector held meanwhile.
    pub(super) watched: [Vec<Sample>; 2],
    /// What a consumer that does nothing took beside them, if there was one, and they.
    pub(super) beside: Option<AtRate>,
}

/// Processor time at a rate, from before the first event until the last alert was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtRate {
    /// All events of that time, markers too.
    pub(super) events: u64,
    pub(super) intake: Duration,
    pub(super) detector: Duration,
    pub(super) do_nothing: DidNothing,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Events a second, markers not counted.
    pub(super) rate: f64,
    pub(super) lasts: Duration,
    pub(super) run: Run,
    pub(super) traffic: Traffic,
    /// The first party that sends; those before it do not.
    pub(super) parties_from: usize,
    /// Events that stand in the ingest topics and were not taken yet.
    pub(super) already: u64,
    /// How long after the last event a marker may ring.
    pub(super) silence_max: Duration,
    /// Whether a consumer that does nothing reads the same topics meanwhile.
    pub(super) with_do_nothing: bool,
}

/// What the events are about.
#[derive(Clone, Copy, Debug)]
pub enum Traffic {
    /// Ordinary contents.
    Ordinary,
    /// A day of a scenario with this seed, from the beginning of its crisis on.
    Scenario(Scenario, u64),
}

/// What is due is handed to the producer this often.
const SENT_EVERY: Duration = Duration::from_millis(2);
/// The processes are looked at so often.
const WATCHED_EVERY: Duration = Duration::from_millis(200);
/// What is longer is counted as so long: ten minutes.
pub(super) const LATENCY_MAX_US: u64 = 600_000_000;
/// Not measured: connections are made, caches are cold.
pub(super) const WARM_UP: Duration = Duration::from_secs(3);

/// Markers whose alert was not read yet, and the alerts' latencies.
#[derive(Debug)]
struct Heard {
    /// Without a time: it only has to ring.
    due_at: HashMap<ContentHash, Option<Instant>>,
    latencies: Histogram<u64>,
}

/// Sends the load to the ingest topics.
pub(super) fn measure(bootstrap: &str, load: &Load) -> anyhow::Result<Latency> {
    measure_through(bootstrap, load, None)
}

/// Sends the load to `sink`, or to the ingest topics.
pub(super) fn measure_through(bootstrap: &str, load: &Load, sink: Option<&mut dyn Sink>) -> anyhow::Result<Latency> {
    let (rate, is_direct) = (load.rate, sink.is_none());
    ensure!(rate >= 1.0, "a rate of {rate} events a second is none");
    let log = connect(bootstrap)?;
    let directory = tempfile::tempdir()?;
    let arguments = |role: &str| {
        let lag = lag_file(directory.path(), role).display().to_string();
        ["--bootstrap", bootstrap, "--lag", &lag].map(str::to_owned)
    };
    let mut detector = Played::start("detector", &arguments("detector"))?;
    detector.wait_for("ready")?;
    let mut intake = Played::start("intake", &arguments("intake"))?;
    intake.wait_for("ready")?;
    let beside = load
        .with_do_nothing
        .then(|| Beside::start(bootstrap, &corpus::topic_names(Framing::Single)));
    let beside = beside.transpose().context("a consumer that does nothing")?;
    let before = [intake.processor_time()?, detector.processor_time()?];
    let subjects = [("intake", &intake), ("detector", &detector)].map(|(role, played)| Subject {
        process: played.id(),
        lag: lag_file(directory.path(), role),
    });
    let heard = Mutex::new(Heard {
        due_at: HashMap::new(),
        latencies: Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).context("a histogram of three digits")?,
    });
    let ended = AtomicBool::new(false);
    let (sent, watched) = std::thread::scope(|scope| {
        let listener = scope.spawn(|| listen(log.as_ref(), &heard, &ended));
        let watcher = scope.spawn(|| watch(&subjects, WATCHED_EVERY, &ended));
        let sent = send(log.as_ref(), load, sink, &heard);
        if sent.is_err() {
            ended.store(true, Ordering::Relaxed);
        }
        let waited = Instant::now();
        while !lock(&heard).due_at.is_empty() && waited.elapsed() < load.silence_max && !listener.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        ended.store(true, Ordering::Relaxed);
        let watched = watcher.join().expect("it does not panic");
        listener.join().expect("it does not panic")?;
        sent.map(|sent| (sent, watched))
    })?;
    intake.check()?;
    detector.check()?;
    let used = [
        intake.processor_time()? - before[0],
        detector.processor_time()? - before[1],
    ];
    let did_nothing = beside
        .map(Beside::stop)
        .transpose()
        .context("the consumer that does nothing")?;
    let counted = intake.stop()?.counted;
    detector.stop()?;
    let all = load.already + sent.arrived;
    ensure!(counted == all, "intake took {counted} of {all} events");
    if let Some(did_nothing) = did_nothing.filter(|_| is_direct) {
        let read = did_nothing.records;
        ensure!(
            read == sent.arrived,
            "the consumer that does nothing read {read} of {} events",
            sent.arrived
        );
    }
    let heard = heard.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure!(heard.due_at.is_empty(), "{} markers did not ring", heard.due_at.len());
    Ok(Latency {
        rate,
        events: sent.events,
        alerts: heard.latencies,
        producer_behind_max: sent.behind_max,
        lost: all.saturating_sub(counted),
        beside: did_nothing.map(|do_nothing| AtRate {
            events: sent.arrived,
            intake: used[0],
            detector: used[1],
            do_nothing,
        }),
        watched: watched.try_into().map_err(|_| anyhow!("two processes are watched"))?,
    })
}

fn lock(heard: &Mutex<Heard>) -> std::sync::MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes when alerts can be read.
fn listen(log: &dyn Log, heard: &Mutex<Heard>, ended: &AtomicBool) -> anyhow::Result<()> {
    let place = TopicPartition::new(topics::ALERTS, 0);
    let (_, end) = log.bounds(&place)?;
    let mut alerts = log.tail_reader(&[(place, end)])?;
    let mut hashes = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        alerts.poll(Duration::from_millis(20), 10_000, &mut |record| {
            let alert = record.value.and_then(|value| tocsin_wire::alert::decode(value).ok());
            hashes.extend(alert.map(|alert| (alert.alert.hash, Instant::now())));
        })?;
        let mut heard = lock(heard);
        for (hash, at) in hashes.drain(..) {
            if let Some(Some(due_at)) = heard.due_at.remove(&hash) {
                let microseconds = at.saturating_duration_since(due_at).as_micros() as u64;
                heard.latencies.saturating_record(microseconds.max(1));
            }
        }
    }
    Ok(())
}

/// What was sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// Markers not counted.
    events: u64,
    /// All that came to the log.
    arrived: u64,
    behind_max: Duration,
}

/// Sends everything when it is due. What ends the load goes straight to the ingest topics, for it has to reach every partition.
fn send(log: &dyn Log, load: &Load, sink: Option<&mut dyn Sink>, heard: &Mutex<Heard>) -> anyhow::Result<Sent> {
    let mut schedule = Schedule::new(load);
    let mut ingest = Ingest::open(log, schedule.parties())?;
    let mut behind_max = Duration::ZERO;
    let began = Instant::now();
    let hear = |markers: Vec<(ContentHash, Option<Duration>)>| {
        let markers = markers.into_iter().map(|(hash, at)| (hash, at.map(|at| began + at)));
        lock(heard).due_at.extend(markers);
    };
    let sink: &mut dyn Sink = match sink {
        Some(sink) => sink,
        None => &mut ingest,
    };
    loop {
        let since = began.elapsed();
        let lot = schedule.due(since)?;
        hear(lot.markers);
        // What is due first is behind most: markers stand at the end of a lot, however late it is.
        let first = lot.due.iter().map(|due| due.at).min();
        if let Some(first) = first.filter(|_| since >= WARM_UP) {
            behind_max = behind_max.max(began.elapsed().saturating_sub(first));
        }
        sink.send(lot.due, began)?;
        if schedule.is_over(since) {
            break;
        }
        std::thread::sleep(SENT_EVERY.saturating_sub(began.elapsed() - since));
    }
    let arrived = sink.finish()?;
    let lot = schedule.last(began.elapsed());
    hear(lot.markers);
    let mut ends = Ingest::open(log, schedule.parties())?;
    ends.send(lot.due, began)?;
    Ok(Sent {
        events: schedule.sent(),
        arrived: arrived + ends.finish()?,
        behind_max,
    })
}
