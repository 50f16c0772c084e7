//! Faults of what comes in: records that are none, events out of their order, floods.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rand::Rng as _;
use rand::rngs::SmallRng;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tocsin::serve::{Role, open_log};
use tocsin_log::{TopicPartition, read_through};
use tocsin_model::{Event, EventId, Timestamp};
use tocsin_tests::site::{ALPHA, BETA_PLATFORM, ingest_topic};
use tocsin_tests::traffic::{share, url};
use tocsin_wire::event::{encode_batch, encode_single_object};
use tocsin_wire::{Reject, topics};

use crate::load::{PARTITIONS, now};
use crate::signal::Signal;
use crate::wait::{LONG, pass, until_within};
use crate::world::{World, role_of};

/// Bad records of a round.
const BAD: usize = 400;
/// Larger than a record of an ingest topic may be, and no larger than its broker takes.
const LARGE_BYTES: usize = (1 << 20) + (1 << 17);
/// A stranger's schema id.
const UNKNOWN_ID: u32 = 99;
/// The schema id of batches.
const BATCH_ID: u32 = 18;
/// The bytes before an event: a marker and a fingerprint.
const FRAMING_BYTES: usize = 10;

/// Records that are none stand among the events, and an intake is killed meanwhile: each is refused and named, and blocks nothing.
pub async fn poison(world: &mut World<'_>, random: &mut SmallRng) -> Result<()> {
    let records = (0..BAD).map(|number| bad_record(random, number)).collect();
    refused(world, random, records).await
}

/// Confluent framing whose schema id is unknown, or names another schema than the record has. (Intake asks no registry while it runs: what an id
/// means is configured, so a registry that is down is an id that nobody configured.)
pub async fn registry(world: &mut World<'_>, random: &mut SmallRng) -> Result<()> {
    let records = (0..BAD).map(|number| {
        let id = if number % 2 == 0 { UNKNOWN_ID } else { BATCH_ID };
        confluent(id, &encode_single_object(&event(random))[FRAMING_BYTES..])
    });
    let records = records.collect();
    refused(world, random, records).await
}

fn confluent(id: u32, body: &[u8]) -> Vec<u8> {
    let mut value = vec![0];
    value.extend(id.to_be_bytes());
    value.extend(body);
    value
}

fn event(random: &mut SmallRng) -> Event {
    share(random.random(), "alpha-video", &url(1), now())
}

/// A record that makes exactly one reject.
fn bad_record(random: &mut SmallRng, number: usize) -> Vec<u8> {
    let mut event = event(random);
    let mut value = encode_single_object(&event);
    match number % 12 {
        0 => Vec::new(),
        1 => b"{\"event_id\":1}".to_vec(),
        2 => {
            value[0] ^= 1;
            value
        }
        // Another fingerprint.
        3 => {
            value[2..FRAMING_BYTES].fill(random.random());
            value
        }
        4 => {
            value.truncate(random.random_range(FRAMING_BYTES..value.len()));
            value
        }
        5 => {
            value.push(random.random());
            value
        }
        6 => confluent(UNKNOWN_ID, &value[FRAMING_BYTES..]),
        7 => {
            event.platform = BETA_PLATFORM.parse().expect("a platform has a name");
            encode_single_object(&event)
        }
        8 => {
            event.event_id = EventId([0; 16]);
            encode_single_object(&event)
        }
        9 => {
            event.occurred_at = Timestamp(0);
            encode_single_object(&event)
        }
        10 => {
            event.content.clear();
            encode_single_object(&event)
        }
        // A few of them are enough.
        _ if number < 24 => vec![0xc3; LARGE_BYTES],
        _ => {
            event.platform = BETA_PLATFORM.parse().expect("a platform has a name");
            encode_batch(&[event])
        }
    }
}

/// Sends records each of which must be refused once, kills an intake among them, and compares the refusals with what was sent.
async fn refused(world: &mut World<'_>, random: &mut SmallRng, records: Vec<Vec<u8>>) -> Result<()> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &world.brokers.bootstrap)
        .set("enable.idempotence", "true")
        .set("message.max.bytes", (4 << 20).to_string());
    let producer: FutureProducer = config.create().context("make a producer")?;
    let topic = ingest_topic(ALPHA);
    let kill_at = random.random_range(0..records.len());
    let mut sent = BTreeSet::new();
    for (number, value) in records.iter().enumerate() {
        let partition = random.random_range(0..i32::from(PARTITIONS));
        let record = FutureRecord::<[u8], [u8]>::to(&topic)
            .partition(partition)
            .payload(value);
        let delivered = producer.send(record, LONG).await;
        let delivered = delivered.map_err(|(error, _)| error).context("send a bad record")?;
        sent.insert((delivered.partition.cast_unsigned(), delivered.offset.cast_unsigned()));
        if number == kill_at {
            world.member("intake-1")?.kill().await?;
            let plan = world.members.remove("intake-1").context("it was there")?.plan;
            world.start(plan).await?;
        }
    }
    world.heals().await?;
    let config = world.site.config()?;
    let log = tokio::task::block_in_place(|| open_log(&config))?;
    let mut standing = Vec::new();
    let all = until_within(LONG, "every bad record is refused", async || {
        standing.clear();
        let place = TopicPartition::new(topics::REJECTS, 0);
        let read = tokio::task::block_in_place(|| {
            read_through(log.as_ref(), &place, .., &|| false, &mut |record| {
                standing.extend(Reject::decode(record.value.unwrap_or_default()));
            })
        });
        let sources: BTreeSet<_> = standing
            .iter()
            .map(|reject| (reject.source.partition, reject.source.offset))
            .collect();
        Ok((read.is_ok() && sources.len() >= sent.len()).then_some(()))
    })
    .await;
    tokio::task::block_in_place(|| drop(log));
    if let Err(error) = all {
        world.violations.push(format!("rejects: {error:#}"));
    }
    let sources: BTreeSet<_> = standing
        .iter()
        .map(|reject| (reject.source.partition, reject.source.offset))
        .collect();
    for (partition, offset) in sent.difference(&sources) {
        world.violations.push(format!(
            "rejects: the bad record at {offset} of partition {partition} is not named"
        ));
    }
    for (partition, offset) in sources.difference(&sent) {
        world.violations.push(format!(
            "rejects: the record at {offset} of partition {partition} is refused, and is good"
        ));
    }
    world.figures.insert("bad_records_sent", sent.len() as f64);
    world.figures.insert("rejects", sources.len() as f64);
    // An intake that is killed between a refusal and its position refuses again; the source names both.
    world
        .figures
        .insert("rejects_repeated", (standing.len() - sources.len()) as f64);
    Ok(())
}

/// Events are late, too late, and ahead of their time, and a detector is killed meanwhile.
pub async fn disorder(world: &mut World<'_>, random: &mut SmallRng) -> Result<()> {
    pass(Duration::from_millis(random.random_range(3_000..8_000))).await;
    world.member("detector-1")?.kill().await?;
    let plan = world.members.remove("detector-1").context("it was there")?.plan;
    world.start(plan).await?;
    world.heals().await?;
    Ok(())
}

/// What a process may hold at most in an overload, `memory.limit_bytes`: little more than [`OVERLOAD_SETTINGS`] allow each role, or it would not start.
const LIMITS: [(&str, u64); 4] = [
    ("intake-1", INTAKE_BYTES_MAX),
    ("intake-2", INTAKE_BYTES_MAX),
    ("detector-1", DETECTOR_BYTES_MAX),
    ("detector-2", DETECTOR_BYTES_MAX),
];
const INTAKE_BYTES_MAX: u64 = 256 << 20;
const DETECTOR_BYTES_MAX: u64 = 704 << 20;
/// So small that a process which grows with its backlog comes to its limit.
pub const OVERLOAD_SETTINGS: [(&str, &str); 3] = [
    ("intake.announced_hashes_max", "10000"),
    ("detector.hot_limit", "4096"),
    ("detector.retry_tokens_max", "65536"),
];

/// One party floods its topic, far beyond what the path takes in, for the intakes run a tenth of the time only. The other's alerts stay timely, the
/// backlog drains, and no process holds more than its limit.
pub async fn overload(world: &mut World<'_>) -> Result<()> {
    const FLOOD_PER_SECOND: u32 = 40_000;
    const LASTS: Duration = Duration::from_secs(8);
    /// Of each turn an intake runs so long, and stands still for the rest.
    const RUNS: Duration = Duration::from_millis(10);
    const STANDS: Duration = Duration::from_millis(90);
    /// The other parties' alarms, at the latest.
    const ALERT_SECONDS_MAX: f64 = 3.0;
    for (name, limit) in LIMITS {
        let plan = world
            .plan(role_of(name), name)
            .with(&format!("memory.limit_bytes={limit}"));
        world.member(name)?.terminate().await?;
        world.start(plan).await?;
    }
    world.heals().await.context("with limits of memory")?;
    let intakes = ["intake-1", "intake-2"];
    let mut apis = Vec::new();
    for name in intakes {
        apis.push(world.member(name)?.api().await?);
    }
    let total = async |metric: &str| -> Result<f64> {
        let mut total = 0.0;
        for api in &apis {
            total += api.metric(metric).await?.unwrap_or(0.0);
        }
        Ok(total)
    };
    let before = total("tocsin_intake_events_total").await?;
    let began = Instant::now();
    world.load.flood(FLOOD_PER_SECOND);
    while began.elapsed() < LASTS {
        for (signal, time) in [(Signal::Stop, STANDS), (Signal::Continue, RUNS)] {
            for name in intakes {
                world.member(name)?.signal(signal)?;
            }
            pass(time).await;
        }
    }
    world.load.flood(0);
    let taken = total("tocsin_intake_events_total").await? - before;
    let lag = total("tocsin_intake_lag_offsets").await?;
    let flooded = world.load.flooded();
    let drains_since = Instant::now();
    until_within(LONG * 2, "the backlog is drained", async || {
        Ok((total("tocsin_intake_lag_offsets").await? < 50.0).then_some(()))
    })
    .await?;
    let drain = drains_since.elapsed().as_secs_f64();
    world.heals().await?;
    let alerts = world.longest_since(began).as_secs_f64();
    world.figures.insert("flooded_events", flooded as f64);
    world
        .figures
        .insert("flood_of_capacity_level", flooded as f64 / taken.max(1.0));
    world.figures.insert("lag_records_level", lag);
    world.figures.insert("drain_seconds", drain);
    world.figures.insert("alerts_of_others_seconds", alerts);
    judge_memory(world).await?;
    if alerts > ALERT_SECONDS_MAX {
        world
            .violations
            .push(format!("overload: an alert of the other party took {alerts:.1} s"));
    }
    world.heals().await?;
    Ok(())
}

/// Holds the most that each process ever took to the limit that it says it has.
async fn judge_memory(world: &mut World<'_>) -> Result<()> {
    for (name, limit) in LIMITS {
        let told = world
            .member(name)?
            .api()
            .await?
            .metric("tocsin_memory_limit_bytes")
            .await?;
        if told != Some(limit as f64) {
            let wrong = format!("overload: {name} says that its limit is {told:?}, it is {limit}");
            world.violations.push(wrong);
        }
        let held = world.member(name)?.most_resident_bytes()?;
        if held > limit {
            let wrong = format!("overload: {name} held {held} bytes, its limit is {limit}");
            world.violations.push(wrong);
        }
        let [bytes, of_limit] = match role_of(name) {
            Role::Intake => ["intake_resident_bytes", "intake_memory_of_limit_level"],
            _ => ["detector_resident_bytes", "detector_memory_of_limit_level"],
        };
        for (figure, value) in [(bytes, held as f64), (of_limit, held as f64 / limit as f64)] {
            let most = world.figures.entry(figure).or_insert(0.0);
            *most = most.max(value);
        }
    }
    Ok(())
}
