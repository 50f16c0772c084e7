//! What Tocsin needs for the stream of `../shared/peers` beside what the peers needed for it.
//!
//! The stream stands in the peers' topic, as their own tool made it. It is carried over into our schema partition by partition, and drained; the
//! peers' figures come from their own meter, see `loadtest/peers`.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;
use tocsin_log::{Append, Log, TopicPartition, TopicSpec, read_through};
use tocsin_model::{
    AccountPseudonym, Algorithm, Class, ContentHash, Event, EventId, Kind, Milliseconds, Name, PartyId, PlatformId,
    Sharing, Surface, Timestamp,
};
use tocsin_wire::{PartyRecord, PlatformRecord, topics};

use super::core;
use super::corpus::{self, BATCH_EVENTS, Framing};
use super::live;
use super::pipeline::{self, Sender, now, options};
use super::process::{self, Played};
use super::role::connect;

/// The peers' topic and its partitions.
const STREAM: &str = "peers.events";
const STREAM_PARTITIONS: u32 = 4;
/// The peers' platforms are numbers below this.
const PLATFORMS: u16 = 40;
/// The peers' rule: so many in five minutes, and so many times the five minutes before.
const RULE_COUNT: u64 = 10;
const RULE_TIMES: u64 = 10;
const RULE_WINDOW: Milliseconds = Milliseconds::from_minutes(5);

/// Where everything is.
#[derive(Clone, Debug)]
pub struct PeersPlan {
    /// Holds the peers' topic, and takes our single events.
    pub bootstrap: String,
    /// Takes our batches: what was applied once would not be applied again.
    pub bootstrap_batched: String,
    /// What the peers' meter printed, a line of JSON for each variant.
    pub results: PathBuf,
}

/// What one framing took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ours {
    pub(super) elapsed: Duration,
    pub(super) intake: Duration,
    pub(super) detector: Duration,
    /// Resident memory of both when all was applied.
    pub(super) resident_bytes: u64,
}

/// What the peers' rule finds by our counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) contents: u64,
    /// Contents that cross the rule by exact counts, and those of them whose upper count does.
    pub(super) crossing: u64,
    pub(super) found: u64,
    /// Contents whose upper count crosses it and whose exact count does not.
    pub(super) excess: u64,
    /// Filter and panes of all key groups.
    pub(super) cold_bytes: u64,
}

/// Both framings, what was found, and the peers by the names of their variants.
#[derive(Clone, Debug)]
pub(super) struct Compared {
    pub(super) events: u64,
    pub(super) single: Ours,
    pub(super) batched: Ours,
    pub(super) found: Found,
    pub(super) peers: BTreeMap<String, BTreeMap<String, f64>>,
}

pub(super) fn measure(plan: &PeersPlan) -> anyhow::Result<Compared> {
    let peers = read_results(plan)?;
    let carried = carry_over(plan)?;
    let single = drain(&plan.bootstrap, carried.events)?;
    let found = apply_rule(&plan.bootstrap, &carried.counts)?;
    let batched = drain(&plan.bootstrap_batched, carried.events)?;
    Ok(Compared {
        events: carried.events,
        single,
        batched,
        found,
        peers,
    })
}

fn read_results(plan: &PeersPlan) -> anyhow::Result<BTreeMap<String, BTreeMap<String, f64>>> {
    let text = std::fs::read_to_string(&plan.results).context("what the peers measured")?;
    let mut peers = BTreeMap::new();
    for line in text.lines() {
        let line: BTreeMap<String, Value> = serde_json::from_str(line).context("a line of the peers' results")?;
        let name = line
            .get("run")
            .and_then(Value::as_str)
            .context("a variant has a name")?;
        let figures = line
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)));
        peers.insert(name.to_owned(), figures.collect());
    }
    Ok(peers)
}

struct Carried {
    events: u64,
    /// Sightings by content.
    counts: HashMap<[u8; 32], u64>,
}

fn carry_over(plan: &PeersPlan) -> anyhow::Result<Carried> {
    let from = connect(&plan.bootstrap)?;
    let party: Name = "peers".parse()?;
    let to = [&plan.bootstrap, &plan.bootstrap_batched].map(|bootstrap| connect(bootstrap));
    let [single, batched] = to;
    let (single, batched) = (single?, batched?);
    for log in [single.as_ref(), batched.as_ref()] {
        prepare(log, &party)?;
    }
    let appenders = [single.appender(options())?, batched.appender(options())?];
    let mut senders = [
        Sender::new(appenders[0].as_ref(), Framing::Single),
        Sender::new(appenders[1].as_ref(), Framing::Batched),
    ];
    let mut counts = HashMap::new();
    let (mut events, mut first, at) = (0, None, now());
    let topic = topics::ingest_name(&party);
    for partition in 0..STREAM_PARTITIONS {
        let place = TopicPartition::new(topic.as_str(), partition);
        let (mut batch, mut failed) = (Vec::new(), None);
        read_through(
            from.as_ref(),
            &TopicPartition::new(STREAM, partition),
            ..,
            &|| false,
            &mut |record| {
                let event = record.value.and_then(peer_event);
                let sent = event.context("a record of the peers").and_then(|(hash, mut event)| {
                    // As long after the first as in the peers' stream.
                    let begin = *first.get_or_insert(event.occurred_at.0);
                    event.occurred_at = Timestamp(at.0 + event.occurred_at.0 - begin);
                    *counts.entry(hash).or_insert(0) += 1;
                    events += 1;
                    batch.push(event.clone());
                    if batch.len() == BATCH_EVENTS {
                        senders[1].send(&place, std::mem::take(&mut batch))?;
                    }
                    senders[0].send(&place, vec![event])
                });
                if let Err(error) = sent {
                    failed.get_or_insert(error);
                }
            },
        )?;
        failed.map_or(Ok(()), Err)?;
        if !batch.is_empty() {
            senders[1].send(&place, batch)?;
        }
    }
    for sender in &mut senders {
        sender.finish()?;
    }
    ensure!(events > 0, "{STREAM} holds nothing");
    Ok(Carried { events, counts })
}

fn prepare(log: &dyn Log, party: &Name) -> anyhow::Result<()> {
    let mut specs: Vec<TopicSpec> = topics::fixed().map(pipeline::spec).collect();
    specs.push(pipeline::spec(&topics::ingest(party)));
    log.ensure_topics(&specs)?;
    let platforms = (0..PLATFORMS).map(|number| {
        Ok(PlatformRecord {
            id: PlatformId(1_000 + number),
            name: platform(number)?,
        })
    });
    let record = PartyRecord {
        id: PartyId(1_000),
        name: party.clone(),
        platforms: platforms.collect::<anyhow::Result<_>>()?,
        revoked: false,
    };
    let append = Append {
        to: TopicPartition::new(topics::PARTIES, 0),
        key: Some(record.key().into()),
        value: Some(record.encode().into()),
        headers: Vec::new(),
    };
    log.appender(options())?.append(vec![append]).wait()?;
    Ok(())
}

fn platform(number: u16) -> anyhow::Result<Name> {
    Ok(format!("peers-{number}").parse()?)
}

/// An event of the peers in our schema: `event_id` fixed 16, `platform` int, `kind` enum, `occurred_at` timestamp-millis, `content_hash` fixed 32,
/// `account` fixed 16, `region` string, `audience` int, `surface` string. Their four kinds stand for nothing and all count; ours that count are three.
fn peer_event(value: &[u8]) -> Option<([u8; 32], Event)> {
    let mut rest = value;
    let event_id: [u8; 16] = fixed(&mut rest)?;
    let number = u16::try_from(long(&mut rest)?).ok()?;
    let kind =
        [Kind::Upload, Kind::BlockedUpload, Kind::Share, Kind::Share][usize::try_from(long(&mut rest)?).ok()? % 4];
    let occurred_at = Timestamp(long(&mut rest)?);
    let hash: [u8; 32] = fixed(&mut rest)?;
    let account: [u8; 16] = fixed(&mut rest)?;
    let region_bytes = usize::try_from(long(&mut rest)?).ok()?;
    let region = rest.get(..region_bytes)?.to_ascii_uppercase();
    rest = rest.get(region_bytes..)?;
    let audience = u32::try_from(long(&mut rest)?).ok()?;
    let event = Event {
        event_id: EventId(event_id),
        platform: platform(number).ok()?,
        kind,
        occurred_at,
        content: vec![ContentHash::from_bytes(Algorithm::Sha256, hash.to_vec(), None).ok()?],
        same_as: Vec::new(),
        frames: Vec::new(),
        account: Some(AccountPseudonym(account)),
        account_epoch: 1,
        region: region.try_into().ok(),
        language: None,
        audience: Some(audience),
        surface: Surface::Recommendation,
        labels: Vec::new(),
        sharing: Sharing::All,
    };
    Some((hash, event))
}

fn fixed<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*bytes)
}

/// A number as Avro writes it: zigzag, seven bits a byte.
fn long(rest: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
        }
    }
    None
}

fn drain(bootstrap: &str, events: u64) -> anyhow::Result<Ours> {
    let arguments = ["--bootstrap", bootstrap, "--until", &events.to_string()].map(str::to_owned);
    let mut detector = Played::start("detector", &arguments)?;
    detector.wait_for("ready")?;
    let mut intake = Played::start("intake", &arguments)?;
    intake.wait_for("began")?;
    let began = Instant::now();
    let (intake_before, detector_before) = (intake.processor_time()?, detector.processor_time()?);
    detector.wait_for("done")?;
    let resident = [&intake, &detector].map(|played| process::resources(played.id()));
    let mut ours = Ours {
        elapsed: began.elapsed(),
        intake: intake.processor_time()?.saturating_sub(intake_before),
        detector: detector.processor_time()?.saturating_sub(detector_before),
        resident_bytes: 0,
    };
    for resources in resident {
        ours.resident_bytes += resources?.resident_bytes;
    }
    for (played, name) in [(intake, "intake"), (detector, "the detector")] {
        let counted = played.stop()?.counted;
        ensure!(counted == events, "{name} took {counted} of {events} events");
    }
    Ok(ours)
}

/// Applies the sightings in the log to key groups here, and the peers' rule to what they count.
fn apply_rule(bootstrap: &str, counts: &HashMap<[u8; 32], u64>) -> anyhow::Result<Found> {
    let log = connect(bootstrap)?;
    let setup = corpus::setup();
    let mut partitions = live::partitions(setup.partitions, 0);
    for number in 0..u32::from(setup.partitions.get()) {
        read_through(
            log.as_ref(),
            &TopicPartition::new(topics::SIGHTINGS, number),
            ..,
            &|| false,
            &mut |record| core::apply_one(&mut partitions, number, record),
        )?;
    }
    let groups: BTreeMap<_, _> = partitions
        .iter()
        .flat_map(|partition| partition.states())
        .map(|group| (group.id(), group))
        .collect();
    let cold = |group: &tocsin_model::GroupId| {
        let mut classes = groups.get(group).into_iter().flat_map(|group| group.cold());
        classes.find(|(class, _)| *class == Class::All).map(|(_, cold)| cold)
    };
    let mut found = Found {
        contents: counts.len() as u64,
        crossing: 0,
        found: 0,
        excess: 0,
        cold_bytes: groups
            .values()
            .flat_map(|group| group.cold())
            .map(|(_, cold)| cold.memory_bytes() as u64)
            .sum(),
    };
    for (hash, count) in counts {
        let hash = ContentHash::from_bytes(Algorithm::Sha256, hash.to_vec(), None)?;
        let id = setup.key.content_id(&hash);
        let now = groups.get(&id.group()).map_or(Timestamp::MIN, |group| group.now());
        // Events may lie a little ahead of the groups' time.
        let (to, from) = (now + RULE_WINDOW, now - RULE_WINDOW);
        let counted = cold(&id.group()).map(|cold| {
            let before = cold.count(id, from - RULE_WINDOW, from).count;
            (cold.count(id, from, to).count.high, before.low)
        });
        let (upper, before) = counted.unwrap_or_default();
        let crosses = upper >= RULE_COUNT && upper >= RULE_TIMES * before;
        // The stream is shorter than a window: by exact counts there is nothing before.
        match (*count >= RULE_COUNT, crosses) {
            (true, crosses) => {
                found.crossing += 1;
                found.found += u64::from(crosses);
            }
            (false, true) => found.excess += 1,
            (false, false) => {}
        }
    }
    Ok(found)
}
