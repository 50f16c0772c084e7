//! The load: identified events, published to real Kafka when they are due, whatever becomes of those before. A seed decides all of them.
//!
//! Beside ordinary events there are markers: every so often a new content is uploaded so often at once that it rings. How long its alert
//! takes is how long the path stood still.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tocsin_model::{AccountPseudonym, ContentHash, Event, Kind, PartitionCount, Timestamp};
use tocsin_tests::site::{ALPHA, ALPHA_PLATFORMS, BETA, BETA_PLATFORM, deployment_key, ingest_topic};
use tocsin_tests::traffic::{content, share, url};
use tocsin_wire::event::{encode_batch, encode_single_object};
use tokio::task::JoinHandle;

/// Contents of ordinary events.
pub const CONTENTS: usize = 40;
/// Ordinary events in a second.
const RATE: u32 = 100;
/// A marker is due this often.
const MARKER_EVERY: Duration = Duration::from_millis(400);
const MARKER_COPIES: usize = 40;
/// Events after which intake knows that no clock is wrong.
const CLOCKS_KNOWN_AFTER: u64 = 2_000;
/// Events of one record in a flood.
const FLOOD_BATCH: usize = 100;
const STEP: Duration = Duration::from_millis(20);
/// Partitions of each ingest topic, and of the sightings.
pub const PARTITIONS: u16 = 4;

/// Stands for the schema of events, where a deployment says so.
pub const CONFLUENT_ID: u32 = 17;

/// What happens to ordinary events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// They are told as they happen, a few of them twice.
    #[default]
    Ordinary,
    /// Many are late, too late or ahead of their time.
    Disturbed,
    /// Every second one has Confluent's framing, with the schema id [`CONFLUENT_ID`].
    Confluent,
}

/// One event that was handed to the producer.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The event.
    pub event: Event,
    /// Whose topic it went to.
    pub party: &'static str,
    /// Whether Kafka has said that it stands.
    pub is_acknowledged: bool,
    /// Whether it is older than what counts in windows.
    pub is_late: bool,
}

/// The load of a round.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    task: JoinHandle<Result<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    sent: Mutex<Vec<Sent>>,
    /// When the copies of each marker were due.
    markers: Mutex<BTreeMap<ContentHash, Instant>>,
    outstanding: AtomicU32,
    is_over: AtomicBool,
    /// Events of [`BETA`] beside the others in a second.
    flood: AtomicU32,
    flooded: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Load {
    /// Begins to publish.
    ///
    /// # Errors
    /// The producer cannot be made.
    pub fn start(bootstrap: &str, seed: u64, order: Order) -> Result<Load> {
        let shared = Arc::new(Shared::default());
        let publisher = Publisher {
            shared: shared.clone(),
            producer: producer(bootstrap)?,
            random: SmallRng::seed_from_u64(seed),
            order,
            number: 0,
            recent: VecDeque::new(),
        };
        Ok(Load {
            shared,
            task: tokio::spawn(publisher.run()),
        })
    }

    /// From now on one party publishes so many more in a second.
    pub fn flood(&self, per_second: u32) {
        self.shared.flood.store(per_second, Ordering::Relaxed);
    }

    /// How many more it has published.
    pub fn flooded(&self) -> u64 {
        self.shared.flooded.load(Ordering::Relaxed)
    }

    /// Markers so far, and when they were due.
    pub fn markers(&self) -> BTreeMap<ContentHash, Instant> {
        lock(&self.shared.markers).clone()
    }

    /// Ends it, and waits until it is known of each event whether it stands.
    ///
    /// # Errors
    /// It had failed.
    pub async fn stop(&mut self) -> Result<Vec<Sent>> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        (&mut self.task).await.context("the load does not panic")??;
        crate::wait::until_within(
            crate::wait::LONG * 2,
            "all events are acknowledged or given up",
            async || Ok((self.shared.outstanding.load(Ordering::Acquire) == 0).then_some(())),
        )
        .await?;
        Ok(std::mem::take(&mut lock(&self.shared.sent)))
    }
}

/// As a party's own producer is set up.
fn producer(bootstrap: &str) -> Result<FutureProducer> {
    let mut config = ClientConfig::new();
    for (name, value) in [
        ("bootstrap.servers", bootstrap),
        ("enable.idempotence", "true"),
        ("acks", "all"),
        ("linger.ms", "2"),
        ("message.timeout.ms", "180000"),
        ("reconnect.backoff.max.ms", "500"),
        ("retry.backoff.max.ms", "500"),
        ("socket.timeout.ms", "10000"),
        ("socket.connection.setup.timeout.ms", "3000"),
    ] {
        config.set(name, value);
    }
    config.create().context("make a producer")
}

struct Publisher {
    shared: Arc<Shared>,
    producer: FutureProducer,
    random: SmallRng,
    order: Order,
    number: u64,
    /// What a producer may send again.
    recent: VecDeque<(Event, &'static str, bool)>,
}

impl Publisher {
    async fn run(mut self) -> Result<()> {
        let began = Instant::now();
        let (mut owed, mut owed_flood, mut looked_at, mut markers) = (0.0, 0.0, began, 0);
        let mut step = tokio::time::interval(STEP);
        while !self.shared.is_over.load(Ordering::Relaxed) {
            step.tick().await;
            let now = Instant::now();
            let passed = (now - looked_at).as_secs_f64();
            looked_at = now;
            owed += f64::from(RATE) * passed;
            owed_flood += f64::from(self.shared.flood.load(Ordering::Relaxed)) * passed;
            while owed >= 1.0 {
                owed -= 1.0;
                self.publish_ordinary();
            }
            while owed_flood >= FLOOD_BATCH as f64 {
                owed_flood -= FLOOD_BATCH as f64;
                let events = (0..FLOOD_BATCH).map(|_| {
                    let number = self.random.random_range(0..CONTENTS);
                    self.event(&url(number), BETA_PLATFORM)
                });
                let events: Vec<Event> = events.collect();
                let value = encode_batch(&events);
                self.send(events, BETA, false, &value);
                self.shared.flooded.fetch_add(FLOOD_BATCH as u64, Ordering::Relaxed);
            }
            while MARKER_EVERY * markers <= now - began {
                self.publish_marker(markers, began + MARKER_EVERY * markers);
                markers += 1;
            }
        }
        Ok(())
    }

    fn publish_ordinary(&mut self) {
        if self.random.random_bool(0.03)
            && let Some((event, party, is_late)) = self.recent.front().cloned()
        {
            self.publish(event, party, is_late);
            return;
        }
        let number = self.random.random_range(0..CONTENTS);
        let (platform, party) = match self.random.random_range(0..3) {
            2 => (BETA_PLATFORM, BETA),
            alpha => (ALPHA_PLATFORMS[alpha], ALPHA),
        };
        let mut event = self.event(&url(number), platform);
        event.kind = [Kind::Upload, Kind::BlockedUpload, Kind::Share, Kind::Report][self.random.random_range(0..4)];
        let mut is_late = false;
        if self.order == Order::Disturbed {
            let minutes = match self.random.random_range(0..10) {
                0 => -self.random.random_range(1..90), // late, and counted
                1 => -self.random.random_range(180..300),
                // Ahead: counted when it is received. A clock's fault is estimated from the lowest twentieth, so they are fewer, and begin
                // once it is known that the clocks are right.
                _ if self.number > CLOCKS_KNOWN_AFTER && self.number.is_multiple_of(40) => {
                    self.random.random_range(10..600)
                }
                _ => 0,
            };
            is_late = minutes <= -180;
            event.occurred_at = Timestamp(event.occurred_at.0 + minutes * 60_000);
        }
        self.recent.push_back((event.clone(), party, is_late));
        if self.recent.len() > 50 {
            self.recent.pop_front();
        }
        self.publish(event, party, is_late);
    }

    /// The partitions of the sightings take turns.
    fn publish_marker(&mut self, number: u32, due_at: Instant) {
        let count = PartitionCount::new(PARTITIONS).expect("a number of partitions");
        let falls_there = |url: &String| {
            let id = deployment_key().content_id(&content(url));
            count.partition_of(id.group()) == number % u32::from(PARTITIONS)
        };
        let urls = (0..).map(|place| format!("https://tests.invalid/marker/{number}/{place}"));
        let url = { urls }.find(falls_there).expect("one in four falls there");
        lock(&self.shared.markers).insert(content(&url), due_at);
        for copy in 0..MARKER_COPIES {
            let mut event = self.event(&url, ALPHA_PLATFORMS[copy % 2]);
            event.kind = Kind::Upload;
            self.publish(event, ALPHA, false);
        }
    }

    /// A new event, of somebody else each time.
    fn event(&mut self, url: &str, platform: &str) -> Event {
        self.number += 1;
        let id = (u128::from(self.random.random::<u64>()) << 64) | u128::from(self.number);
        let mut event = share(id, platform, url, now());
        event.account = Some(AccountPseudonym(id.to_be_bytes()));
        event
    }

    fn publish(&mut self, event: Event, party: &'static str, is_late: bool) {
        let mut value = encode_single_object(&event);
        if self.order == Order::Confluent && self.random.random_bool(0.5) {
            // A marker, the id, and the same body.
            let id = CONFLUENT_ID.to_be_bytes();
            value.splice(..10, [0].into_iter().chain(id));
        }
        self.send(vec![event], party, is_late, &value);
    }

    /// Sends these events as one record.
    fn send(&mut self, events: Vec<Event>, party: &'static str, is_late: bool, value: &[u8]) {
        let indexes = {
            let mut sent = lock(&self.shared.sent);
            let first = sent.len();
            sent.extend(events.into_iter().map(|event| Sent {
                event,
                party,
                is_acknowledged: false,
                is_late,
            }));
            first..sent.len()
        };
        let topic = ingest_topic(party);
        let partition = self.random.random_range(0..i32::from(PARTITIONS));
        let record = FutureRecord::<[u8], [u8]>::to(&topic)
            .partition(partition)
            .payload(value);
        // A full queue refuses it: it was never sent, and is not acknowledged.
        let Ok(delivered) = self.producer.send_result(record) else {
            return;
        };
        let shared = self.shared.clone();
        shared.outstanding.fetch_add(1, Ordering::AcqRel);
        tokio::spawn(async move {
            if let Ok(Ok(_)) = delivered.await {
                for sent in &mut lock(&shared.sent)[indexes] {
                    sent.is_acknowledged = true;
                }
            }
            shared.outstanding.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

/// The host's time, as a platform tells it.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
