//! The path through Kafka: from ingest topics that are full to the last alert that a reader of committed records sees.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{bail, ensure};
use bytes::Bytes;
use tocsin_loadtest::scenario::ScenarioConfig;
use tocsin_log::{Append, AppenderOptions, Completion, Durability, Log, TopicPartition, TopicSpec};
use tocsin_model::{ContentHash, Event, Milliseconds, Timestamp};
use tocsin_wire::event;
use tocsin_wire::topics::{self, TopicDeclaration};

use super::corpus::{self, BATCH_EVENTS, Framing, Run};
use super::process::{Ended, Played};
use super::role::connect;

/// Within the two minutes that clock correction lets pass, so that no clock is corrected.
const SPAN: Milliseconds = Milliseconds::from_minutes(1);
/// Records handed to the producer at a time, and how many such lots are on their way at most.
const LOT_RECORDS: usize = 2_000;
const LOTS_ON_THEIR_WAY_MAX: usize = 8;
/// The longest the path may take without an alert.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(180);

/// What was measured of one framing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    pub(super) events: u64,
    pub(super) elapsed: Duration,
    pub(super) do_nothing_elapsed: Duration,
    /// Processor time of the processes over that time.
    pub(super) intake: Duration,
    pub(super) detector: Duration,
    pub(super) do_nothing: Duration,
    /// Allocations of the processes from their first event to their last.
    pub(super) intake_allocations: u64,
    pub(super) detector_allocations: u64,
}

/// What stands in the ingest topics.
struct Filled {
    topics: Vec<String>,
    records: u64,
    events: u64,
    markers: BTreeSet<ContentHash>,
}

pub(super) fn measure(bootstrap: &str, framing: Framing, events: u64) -> anyhow::Result<Path> {
    let log = connect(bootstrap)?;
    let filled = fill(log.as_ref(), framing, events)?;
    let address = ["--bootstrap".to_owned(), bootstrap.to_owned()];

    let mut arguments = address.to_vec();
    arguments.extend(["--until".to_owned(), filled.records.to_string()]);
    for topic in &filled.topics {
        arguments.extend(["--topic".to_owned(), topic.clone()]);
    }
    let mut reader = Played::start("do-nothing", &arguments)?;
    reader.wait_for("began")?;
    let (began, before) = (Instant::now(), reader.processor_time()?);
    reader.wait_for("done")?;
    let (do_nothing_elapsed, do_nothing) = (began.elapsed(), reader.processor_time()? - before);
    let read = reader.stop()?.counted;
    ensure!(read == filled.records, "{read} of {} records were read", filled.records);

    let mut detector = Played::start("detector", &address)?;
    detector.wait_for("ready")?;
    let mut intake = Played::start("intake", &address)?;
    intake.wait_for("began")?;
    let began = Instant::now();
    let (intake_before, detector_before) = (intake.processor_time()?, detector.processor_time()?);
    wait_for_alerts(log.as_ref(), filled.markers, &mut [&mut intake, &mut detector])?;
    let mut path = Path {
        events: filled.events,
        elapsed: began.elapsed(),
        do_nothing_elapsed,
        intake: intake.processor_time()? - intake_before,
        detector: detector.processor_time()? - detector_before,
        do_nothing,
        intake_allocations: 0,
        detector_allocations: 0,
    };
    let Ended {
        counted: accepted,
        allocated,
    } = intake.stop()?;
    path.intake_allocations = allocated;
    ensure!(
        accepted == filled.events,
        "intake took {accepted} of {} events",
        filled.events
    );
    let Ended {
        counted: applied,
        allocated,
    } = detector.stop()?;
    path.detector_allocations = allocated;
    ensure!(
        applied >= filled.events,
        "the detector took {applied} of {} events",
        filled.events
    );
    Ok(path)
}

/// Creates all topics and registers all parties, of both framings: a group whose only member restarts under the same name keeps its
/// assignment, so a topic that is made between the two runs would not be read. A cluster that holds records of Tocsin is left alone.
pub(super) fn prepare(bootstrap: &str) -> anyhow::Result<()> {
    let log = connect(bootstrap)?;
    refuse_used(log.as_ref())?;
    let fixed: Vec<TopicSpec> = topics::fixed().map(spec).collect();
    log.ensure_topics(&fixed)?;
    let appender = log.appender(options())?;
    for framing in [Framing::Single, Framing::Batched] {
        let scenario = corpus::ordinary(framing, Run::Throughput, 0, now(), SPAN);
        log.ensure_topics(&ingest_topics(&scenario))?;
        let parties = corpus::party_records(framing, &scenario.parties).into_iter();
        let appends = parties.map(|party| Append {
            to: TopicPartition::new(topics::PARTIES, 0),
            key: Some(party.key().into()),
            value: Some(party.encode().into()),
            headers: Vec::new(),
        });
        appender.append(appends.collect()).wait()?;
    }
    Ok(())
}

pub(super) fn options() -> AppenderOptions {
    AppenderOptions {
        name: "loadtest".to_owned(),
        durability: Durability::Ordered,
        gapless: false,
    }
}

pub(super) fn ingest_topics(scenario: &ScenarioConfig) -> Vec<TopicSpec> {
    let parties = scenario.parties.iter();
    parties.map(|party| spec(&topics::ingest(&party.name))).collect()
}

/// Fills the ingest topics of a framing.
fn fill(log: &dyn Log, framing: Framing, events: u64) -> anyhow::Result<Filled> {
    let scenario = corpus::ordinary(framing, Run::Throughput, events, now(), SPAN);
    let ingest = ingest_topics(&scenario);
    let appender = log.appender(options())?;
    let mut sender = Sender::new(appender.as_ref(), framing);
    let mut open: Vec<(TopicPartition, Vec<Event>)> = ingest
        .iter()
        .flat_map(|topic| (0..topic.partitions).map(|partition| TopicPartition::new(topic.name.as_str(), partition)))
        .map(|place| (place, Vec::new()))
        .collect();
    for (number, (party, event)) in corpus::events(&scenario, events).enumerate() {
        let topic = scenario.parties.iter().position(|plan| plan.name == party);
        let first: usize = ingest[..topic.unwrap_or(0)]
            .iter()
            .map(|topic| topic.partitions as usize)
            .sum();
        let count = ingest[topic.unwrap_or(0)].partitions as usize;
        let (place, gathered) = &mut open[first + number % count];
        gathered.push(event);
        let full = if framing == Framing::Single { 1 } else { BATCH_EVENTS };
        if gathered.len() == full {
            sender.send(place, std::mem::take(gathered))?;
        }
    }
    let mut expected = BTreeSet::new();
    for (place, gathered) in open {
        if !gathered.is_empty() {
            sender.send(&place, gathered)?;
        }
        let party = scenario
            .parties
            .iter()
            .find(|party| topics::ingest_name(&party.name) == *place.topic);
        let Some(party) = party else { continue };
        for (hash, copies) in corpus::markers(party, &place.partition.to_string(), now()) {
            expected.insert(hash);
            match framing {
                Framing::Single => copies
                    .into_iter()
                    .try_for_each(|copy| sender.send(&place, vec![copy]))?,
                Framing::Batched => sender.send(&place, copies)?,
            }
        }
    }
    sender.finish()?;
    Ok(Filled {
        topics: ingest.into_iter().map(|topic| topic.name).collect(),
        records: sender.records,
        events: sender.events,
        markers: expected,
    })
}

fn refuse_used(log: &dyn Log) -> anyhow::Result<()> {
    for topic in log
        .topics()?
        .into_iter()
        .filter(|topic| topic.name.starts_with("tocsin."))
    {
        for partition in 0..topic.partitions {
            let (_, end) = log.bounds(&TopicPartition::new(topic.name.as_str(), partition))?;
            ensure!(
                end == 0,
                "{} holds records: a load test needs a cluster of its own",
                topic.name
            );
        }
    }
    Ok(())
}

pub(super) fn spec(declaration: &TopicDeclaration) -> TopicSpec {
    tocsin_dispatcher::topic_spec(declaration, corpus::setup().partitions)
}

pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| since.as_millis() as i64))
}

/// Appends events in lots.
pub(super) struct Sender<'a> {
    appender: &'a dyn tocsin_log::Appender,
    framing: Framing,
    lot: Vec<Append>,
    on_their_way: Vec<Completion>,
    records: u64,
    pub(super) events: u64,
}

impl<'a> Sender<'a> {
    pub(super) fn new(appender: &'a dyn tocsin_log::Appender, framing: Framing) -> Self {
        Sender {
            appender,
            framing,
            lot: Vec::new(),
            on_their_way: Vec::new(),
            records: 0,
            events: 0,
        }
    }

    pub(super) fn send(&mut self, place: &TopicPartition, events: Vec<Event>) -> anyhow::Result<()> {
        self.records += 1;
        self.events += events.len() as u64;
        let value = match self.framing {
            Framing::Single => event::encode_single_object(&events[0]),
            Framing::Batched => event::encode_batch(&events),
        };
        self.lot.push(Append {
            to: place.clone(),
            key: None,
            value: Some(Bytes::from(value)),
            headers: Vec::new(),
        });
        if self.lot.len() >= LOT_RECORDS {
            self.on_their_way
                .push(self.appender.append(std::mem::take(&mut self.lot)));
        }
        if self.on_their_way.len() > LOTS_ON_THEIR_WAY_MAX {
            self.on_their_way.remove(0).wait()?;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        self.on_their_way
            .push(self.appender.append(std::mem::take(&mut self.lot)));
        for completion in self.on_their_way.drain(..) {
            completion.wait()?;
        }
        Ok(())
    }
}

fn wait_for_alerts(
    log: &dyn Log,
    mut expected: BTreeSet<ContentHash>,
    processes: &mut [&mut Played],
) -> anyhow::Result<()> {
    let mut alerts = log.tail_reader(&[(TopicPartition::new(topics::ALERTS, 0), 0)])?;
    let mut heard_at = Instant::now();
    while !expected.is_empty() {
        let read = alerts.poll(Duration::from_millis(20), 1_000, &mut |record| {
            let alert = record.value.and_then(|value| tocsin_wire::alert::decode(value).ok());
            if let Some(alert) = alert {
                expected.remove(&alert.alert.hash);
            }
        })?;
        if read > 0 {
            heard_at = Instant::now();
        } else if heard_at.elapsed() > SILENCE_MAX {
            bail!(
                "{} markers did not ring, and nothing else did for {SILENCE_MAX:?}",
                expected.len()
            );
        }
        for process in processes.iter_mut() {
            process.check()?;
        }
    }
    Ok(())
}
