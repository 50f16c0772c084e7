//! How long after an event was published its alert can be read, at a stated rate.
//!
//! The load is open: every event has a time at which it is due, whatever the path does meanwhile, and latency counts from that time. So a path
//! that stalls is not spared what it should have taken meanwhile (no coordinated omission).

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;
use tocsin_loadtest::scenario::Scenario;
use tocsin_log::{Append, Completion, Log, TopicPartition};
use tocsin_model::{ContentHash, Event, Milliseconds};
use tocsin_wire::{event, topics};

use super::corpus::{self, Framing, Run};
use super::pipeline::{ingest_topics, now, options};
use super::process::Played;
use super::role::connect;
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
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Events a second, markers not counted.
    pub(super) rate: f64,
    pub(super) lasts: Duration,
    pub(super) run: Run,
    /// The first party that sends; those before it do not.
    pub(super) parties_from: usize,
    /// Events that stand in the ingest topics and were not taken yet.
    pub(super) already: u64,
    /// How long after the last event a marker may ring.
    pub(super) silence_max: Duration,
}

/// What is due is handed to the producer this often.
const SENT_EVERY: Duration = Duration::from_millis(2);
/// A marker is due this often: all its copies at once.
const MARKER_EVERY: Duration = Duration::from_millis(20);
/// The processes are looked at so often.
const WATCHED_EVERY: Duration = Duration::from_millis(200);
/// Lots that are not acknowledged yet; with more of them the producer waits, and falls behind.
const LOTS_ON_THEIR_WAY_MAX: usize = 2_000;
/// What is longer is counted as so long: ten minutes.
const LATENCY_MAX_US: u64 = 600_000_000;
/// Not measured: connections are made, caches are cold.
const WARM_UP: Duration = Duration::from_secs(3);

/// Markers whose alert was not read yet, and the alerts' latencies.
#[derive(Debug)]
struct Heard {
    /// Without a time: it only has to ring.
    due_at: HashMap<ContentHash, Option<Instant>>,
    latencies: Histogram<u64>,
}

pub(super) fn measure(bootstrap: &str, load: &Load) -> anyhow::Result<Latency> {
    let rate = load.rate;
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
        let sent = send(log.as_ref(), load, &heard);
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
    let counted = intake.stop()?.counted;
    detector.stop()?;
    let all = load.already + sent.events + sent.copies;
    ensure!(counted == all, "intake took {counted} of {all} events");
    let heard = heard.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure!(heard.due_at.is_empty(), "{} markers did not ring", heard.due_at.len());
    Ok(Latency {
        rate,
        events: sent.events,
        alerts: heard.latencies,
        producer_behind_max: sent.behind_max,
        lost: all.saturating_sub(counted),
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
    /// Of ordinary traffic.
    events: u64,
    /// Of markers.
    copies: u64,
    behind_max: Duration,
}

/// Sends everything when it is due.
fn send(log: &dyn Log, load: &Load, heard: &Mutex<Heard>) -> anyhow::Result<Sent> {
    let rate = load.rate;
    let whole = WARM_UP + load.lasts;
    let mut ordinary = (rate * whole.as_secs_f64()) as u64;
    let span = Milliseconds(whole.as_millis() as i64);
    let mut scenario = corpus::ordinary(Framing::Single, load.run, ordinary, now(), span);
    // Those that do not send have their topics all the same.
    let (all_parties, all_topics) = (scenario.parties.clone(), ingest_topics(&scenario));
    scenario.parties.drain(..load.parties_from);
    let ingest = ingest_topics(&scenario);
    let appender = log.appender(options())?;
    let mut events = Scenario::new(&scenario).map(|generated| (generated.party, generated.event));
    let record = |topic: &str, partition: u32, event: &Event| Append {
        to: TopicPartition::new(topic, partition),
        key: None,
        value: Some(Bytes::from(event::encode_single_object(event))),
        headers: Vec::new(),
    };
    let mut on_their_way: VecDeque<Completion> = VecDeque::new();
    let (mut sent, mut marked, mut copies_sent, mut behind_max) = (0, 0, 0, Duration::ZERO);
    let began = Instant::now();
    loop {
        let since = began.elapsed();
        let due = (since.as_secs_f64() * rate) as u64;
        let mut lot = Vec::new();
        // At most a tenth of a second's at a time, so that markers that are due wait for no more.
        let lot_ends = due.min(sent + (rate / 10.0) as u64 + 1).min(ordinary);
        while sent < lot_ends {
            let Some((party, event)) = events.next() else {
                // The scenario has nearly as many as were asked for.
                ordinary = sent;
                break;
            };
            let topic = ingest.iter().find(|topic| *topic.name == *topics::ingest_name(&party));
            let topic = topic.context("every party has a topic")?;
            lot.push(record(&topic.name, (sent % u64::from(topic.partitions)) as u32, &event));
            sent += 1;
        }
        while MARKER_EVERY * marked <= since.min(whole) {
            let due_at = began + MARKER_EVERY * marked;
            let topic = &ingest[marked as usize % ingest.len()];
            let place = format!("{:?} {marked}", load.run);
            let party = &scenario.parties[marked as usize % ingest.len()];
            if let Some((hash, copies)) = corpus::markers(party, &place, now())
                .into_iter()
                .nth(marked as usize % usize::from(corpus::PARTITIONS))
            {
                if due_at >= began + WARM_UP {
                    lock(heard).due_at.insert(hash, Some(due_at));
                }
                copies_sent += copies.len() as u64;
                lot.extend(
                    copies
                        .iter()
                        .map(|copy| record(&topic.name, marked % topic.partitions, copy)),
                );
            }
            marked += 1;
        }
        if !lot.is_empty() {
            let behind = began
                .elapsed()
                .saturating_sub(Duration::from_secs_f64(sent as f64 / rate));
            if since >= WARM_UP {
                behind_max = behind_max.max(behind);
            }
            on_their_way.push_back(appender.append(lot));
        }
        while let Some(result) = on_their_way.front_mut().and_then(Completion::poll_now) {
            result?;
            on_their_way.pop_front();
        }
        while on_their_way.len() > LOTS_ON_THEIR_WAY_MAX {
            on_their_way.pop_front().context("there are many")?.wait()?;
        }
        if since >= whole && sent >= due.min(ordinary) {
            break;
        }
        std::thread::sleep(SENT_EVERY.saturating_sub(began.elapsed() - since));
    }
    // Once these have rung, everything before them on each partition was taken.
    let mut last = Vec::new();
    for (topic, party) in all_topics.iter().zip(&all_parties) {
        for partition in 0..topic.partitions {
            let place = format!("{:?} end {partition}", load.run);
            if let Some((hash, copies)) = corpus::markers(party, &place, now()).into_iter().next() {
                lock(heard).due_at.insert(hash, None);
                copies_sent += copies.len() as u64;
                last.extend(copies.iter().map(|copy| record(&topic.name, partition, copy)));
            }
        }
    }
    on_their_way.push_back(appender.append(last));
    for completion in on_their_way {
        completion.wait()?;
    }
    Ok(Sent {
        events: sent,
        copies: copies_sent,
        behind_max,
    })
}
