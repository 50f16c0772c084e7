//! How long a detector needs from its start until it holds so many live contents again, from the state topic alone, and how long partitions
//! stand still when detectors come and go.
//!
//! The state is written by the real detector: blocks of sightings go to its input, it applies them, checkpoints and stops.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use tocsin_log::{Append, Appender, Completion, Log, TailReader, TopicPartition};
use tocsin_model::{
    AccountToken, Algorithm, ClockFlag, ContentHash, HashRef, Kind, Milliseconds, PartyId, PlatformId, Sharing,
    Sighting, SourceCoordinate, SourceId, Surface, Timestamp,
};
use tocsin_wire::block::{BlockWriter, SightingNames};
use tocsin_wire::state::{StateHeader, StateKey, StateRecord};
use tocsin_wire::{SightingsRecord, TickTime, topics};

use super::corpus::{self, PARTITIONS};
use super::pipeline;
use super::process::Played;
use super::role::connect;

/// The contents were first seen within so long a time, all of it inside the longest window.
const SPAN: Milliseconds = Milliseconds::from_minutes(23 * 60);
/// One sighting in so many is of a content that is seen again and again.
const ONE_IN_POPULAR: u64 = 5;
/// Those: a quarter of the hot table.
const POPULAR: u64 = 4_096;
const LOTS_ON_THEIR_WAY_MAX: usize = 64;
/// Restores, each of a process that is killed when it is ready.
const RUNS: usize = 3;
/// The longest that the detector may take without coming further.
const STANDSTILL_MAX: Duration = Duration::from_secs(180);

/// What was measured.
pub(super) struct Restored {
    pub(super) contents: u64,
    pub(super) events: u64,
    /// Of the state topic as it is restored from, and of the newest record of each key alone.
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) bytes_newest: u64,
    /// The median run: from the start of the process until it is ready, its processor time and its largest memory.
    pub(super) elapsed: Duration,
    pub(super) processor_time: Duration,
    pub(super) memory_bytes: u64,
    /// The same with local copies that are level with the topic.
    pub(super) cached_elapsed: Duration,
    pub(super) cached_processor_time: Duration,
    /// A reader that does nothing, over the same records.
    pub(super) do_nothing_elapsed: Duration,
    pub(super) do_nothing: Duration,
}

pub(super) fn measure(bootstrap: &str, contents: u64) -> anyhow::Result<Restored> {
    let log = connect(bootstrap)?;
    let events = fill(log.as_ref(), contents).context("fill the input")?;
    let mut detector = detector(bootstrap, "0")?;
    detector.wait_for("ready")?;
    wait_until_applied(log.as_ref(), &mut detector)?;
    let applied = detector.stop()?.counted;
    ensure!(applied >= events, "the detector took {applied} of {events} events");
    let (records, bytes, bytes_newest) = size(log.as_ref())?;

    let mut arguments = vec!["--bootstrap".to_owned(), bootstrap.to_owned()];
    arguments.extend(["--until".to_owned(), records.to_string()]);
    arguments.extend(["--topic".to_owned(), topics::STATE.to_owned()]);
    let mut reader = Played::start("do-nothing", &arguments)?;
    reader.wait_for("began")?;
    let (began, before) = (Instant::now(), reader.processor_time()?);
    reader.wait_for("done")?;
    let (do_nothing_elapsed, do_nothing) = (began.elapsed(), reader.processor_time()? - before);
    drop(reader);

    let (elapsed, processor_time, memory_bytes) = median_restore(bootstrap, &[])?;
    let cache = std::env::temp_dir().join(format!("tocsin-loadtest-{}", std::process::id()));
    let cached = ["--cache".to_owned(), cache.display().to_string()];
    // The first of them makes the copies.
    start(bootstrap, "0", &cached)?.wait_for("ready")?;
    let with_copies = median_restore(bootstrap, &cached);
    std::fs::remove_dir_all(&cache)?;
    let (cached_elapsed, cached_processor_time, _) = with_copies?;
    Ok(Restored {
        contents,
        events,
        records,
        bytes,
        bytes_newest,
        elapsed,
        processor_time,
        memory_bytes,
        cached_elapsed,
        cached_processor_time,
        do_nothing_elapsed,
        do_nothing,
    })
}

/// Starts a detector until it is ready and kills it, a few times: the median's time, processor time and largest memory.
fn median_restore(bootstrap: &str, further: &[String]) -> anyhow::Result<(Duration, Duration, u64)> {
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        let mut detector = start(bootstrap, "0", further)?;
        detector.wait_for("ready")?;
        let elapsed = began.elapsed();
        runs.push((elapsed, detector.processor_time()?, detector.memory_bytes_max()?));
        eprintln!("restored in {:.1} s", elapsed.as_secs_f64());
    }
    runs.sort();
    Ok(runs[RUNS / 2])
}

pub(super) fn detector(bootstrap: &str, instance: &str) -> anyhow::Result<Played> {
    start(bootstrap, instance, &[])
}

fn start(bootstrap: &str, instance: &str, further: &[String]) -> anyhow::Result<Played> {
    let arguments = ["--bootstrap", bootstrap, "--instance", instance].map(str::to_owned);
    Played::start("detector", &[&arguments[..], further].concat())
}

/// Blocks of sightings and ticks, as intake appends them. How many sightings.
fn fill(log: &dyn Log, contents: u64) -> anyhow::Result<u64> {
    let appender = log.appender(pipeline::options())?;
    let setup = corpus::setup();
    let events = contents * ONE_IN_POPULAR / (ONE_IN_POPULAR - 1);
    let begin = pipeline::now().0 - SPAN.0;
    let mut sender = Sender {
        appender: appender.as_ref(),
        on_their_way: Vec::new(),
    };
    let mut writers: Vec<BlockWriter> = (0..PARTITIONS).map(|_| BlockWriter::new(setup.epoch)).collect();
    let (party, platform) = ("alpha".parse()?, "alpha-video".parse()?);
    let mut ticked_at = begin;
    let mut new = POPULAR;
    for event in 0..events {
        let at = begin + (event as i128 * i128::from(SPAN.0) / i128::from(events)) as i64;
        let number = match event % ONE_IN_POPULAR {
            0 => setup.key.digest("popular", &[&event.to_le_bytes()]) as u64 % POPULAR,
            _ => {
                new += 1;
                new
            }
        };
        let token = setup.key.digest("token", &[&event.to_le_bytes()]) as u64;
        let hash = content_hash(&setup.key, number);
        let content = setup.key.content_id(&hash);
        let partition = setup.partitions.partition_of(content.group());
        let sighting = Sighting {
            source: SourceCoordinate {
                source: SourceId(1),
                offset: event,
                index: 0,
            },
            event_token: token,
            party: PartyId(1),
            platform: PlatformId(1),
            kind: Kind::Share,
            sharing: Sharing::All,
            surface: Surface::Feed,
            clock: ClockFlag::Plausible,
            occurred_at: Timestamp(at),
            received_at: Timestamp(at),
            content,
            hash: HashRef {
                algorithm: hash.algorithm(),
                value: hash.value(),
            },
            account: Some(AccountToken(token)),
            account_epoch: 1,
            audience: 0,
            region: [0; 2],
            language: [0; 2],
            tvec_confidence: Sighting::NO_LABEL,
        };
        let names = SightingNames {
            party: &party,
            platform: &platform,
        };
        let writer = &mut writers[partition as usize];
        let is_full = writer.is_full() || writer.push(&sighting, names).is_err();
        if is_full {
            sender.send(partition, block(writer))?;
            writer
                .push(&sighting, names)
                .ok()
                .context("an empty block has room for a sighting")?;
        }
        if at - ticked_at >= Milliseconds::from_minutes(1).0 || event + 1 == events {
            ticked_at = at;
            for (partition, writer) in (0..).zip(&mut writers) {
                if !writer.is_empty() {
                    sender.send(partition, block(writer))?;
                }
                let tick = SightingsRecord::Tick(TickTime::At(Timestamp(at)));
                sender.send(partition, tick.encode())?;
            }
        }
    }
    sender.finish()?;
    Ok(events)
}

fn content_hash(key: &tocsin_model::DeploymentKey, number: u64) -> ContentHash {
    let half = key.digest("content", &[&number.to_le_bytes()]).to_le_bytes();
    ContentHash::from_bytes(Algorithm::Sha256, [half, half].concat(), None).expect("a SHA-256 has 32 bytes")
}

fn block(writer: &mut BlockWriter) -> Vec<u8> {
    let mut value = Vec::new();
    SightingsRecord::begin_block(&mut value);
    writer.finish(&mut value);
    value
}

struct Sender<'a> {
    appender: &'a dyn Appender,
    on_their_way: Vec<Completion>,
}

impl Sender<'_> {
    fn send(&mut self, partition: u32, value: Vec<u8>) -> anyhow::Result<()> {
        let append = Append {
            to: TopicPartition::new(topics::SIGHTINGS, partition),
            key: None,
            value: Some(Bytes::from(value)),
            headers: Vec::new(),
        };
        self.on_their_way.push(self.appender.append(vec![append]));
        if self.on_their_way.len() > LOTS_ON_THEIR_WAY_MAX {
            self.on_their_way.remove(0).wait()?;
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        for completion in self.on_their_way {
            completion.wait()?;
        }
        Ok(())
    }
}

/// Follows the state topic from its beginning.
fn state_reader(log: &dyn Log) -> anyhow::Result<Box<dyn TailReader>> {
    let starts = (0..u32::from(PARTITIONS)).map(|number| (TopicPartition::new(topics::STATE, number), 0));
    Ok(log.tail_reader(&starts.collect::<Vec<_>>())?)
}

/// Waits until the headers of all partitions stand at the end of the input.
fn wait_until_applied(log: &dyn Log, detector: &mut Played) -> anyhow::Result<()> {
    let mut ends = BTreeMap::new();
    for number in 0..u32::from(PARTITIONS) {
        let (_, end) = log.bounds(&TopicPartition::new(topics::SIGHTINGS, number))?;
        ends.insert(number, end);
    }
    let mut reader = state_reader(log)?;
    let mut came_further_at = Instant::now();
    while !ends.is_empty() {
        let read = reader.poll(Duration::from_millis(100), 1_000, &mut |record| {
            let key = record.key.and_then(StateKey::from_bytes);
            if !matches!(key, Some(StateKey::Header { .. })) {
                return;
            }
            let record_of_state = record.value.and_then(|value| StateRecord::decode(value).ok());
            let header = record_of_state.and_then(|record| StateHeader::decode(&record.body).ok());
            if header.is_some_and(|header| {
                ends.get(&record.partition)
                    .is_some_and(|end| header.next_offset >= *end)
            }) {
                ends.remove(&record.partition);
            }
        })?;
        if read > 0 {
            came_further_at = Instant::now();
        }
        ensure!(
            came_further_at.elapsed() < STANDSTILL_MAX,
            "the detector came no further"
        );
        detector.check()?;
    }
    Ok(())
}

/// Records and bytes of the state topic, and bytes of the newest record of each key.
fn size(log: &dyn Log) -> anyhow::Result<(u64, u64, u64)> {
    let (mut records, mut bytes, mut newest) = (0, 0, BTreeMap::new());
    for number in 0..u32::from(PARTITIONS) {
        let place = TopicPartition::new(topics::STATE, number);
        tocsin_log::read_through(log, &place, .., &|| false, &mut |record| {
            let of_record = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
            records += 1;
            bytes += of_record as u64;
            newest.insert((number, record.key.map(<[u8]>::to_vec)), of_record as u64);
        })?;
    }
    Ok((records, bytes, newest.into_values().sum()))
}
