//! A query role on an embedded log, asked over HTTP without a socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
use tocsin_log::{
    Append, Appender, AppenderOptions, Cleanup, Durability, Headers, RecordRef, SharedLog, StampedBy, TopicPartition,
    TopicSpec,
};
use tocsin_model::{Kind, PartitionCount, Sharing};
use tocsin_query::replica::{Feed, Position, ReplicaState, decode};
use tocsin_query::{
    INCIDENTS_AGE_MAX, LOOK_UP_TIME_MAX, Meter, Metered, Metrics, QueryConfig, QueryParts, QueryState, QueryStateParts,
    RECORD_INTERVAL, StreamLimits, StreamSlots, router, spawn,
};
use tocsin_runtime::{Readiness, Roles, Shutdown};
use tocsin_store::{KeySubject, Role, Roles as KeyRoles, Store};
use tower::ServiceExt as _;

#[path = "../../../../lib/runtime/tests/sse/mod.rs"]
mod sse;

pub use sse::*;

use crate::world::*;

pub const WAIT_MAX: Duration = Duration::from_secs(30);
pub const ALERT_PARTITIONS: u32 = 3;

/// A query role on an embedded log, and keys of every kind.
pub struct Api {
    pub router: Router,
    pub state: QueryState,
    pub readiness: Readiness,
    pub registry: prometheus::Registry,
    pub roles: Roles,
    pub appender: Box<dyn Appender>,
    pub store: Store,
    pub keys: Keys,
    pub _log: SharedLog,
    pub _directory: tempfile::TempDir,
}

pub struct Keys {
    pub party_1: String,
    pub party_2: String,
    pub coordinators: String,
    pub publisher: String,
}

pub async fn keys(store: &Store) -> Keys {
    let mut parties = Vec::new();
    for name in ["one", "two"] {
        let platform = format!("{name}-video").parse().unwrap();
        parties.push(store.add_party(&name.parse().unwrap(), &[platform]).await.unwrap().id);
    }
    assert_eq!((parties[0].0, parties[1].0), (1, 2), "as the world numbers them");
    let issue = async |subject, role| {
        let (_, key) = store.issue_key(subject, KeyRoles::of(&[role])).await.unwrap();
        key.expose().to_owned()
    };
    Keys {
        party_1: issue(KeySubject::Party(parties[0]), Role::Reader).await,
        party_2: issue(KeySubject::Party(parties[1]), Role::Moderator).await,
        coordinators: issue(KeySubject::Coordinators, Role::Reader).await,
        publisher: issue(KeySubject::Party(parties[0]), Role::Publisher).await,
    }
}

pub fn append(appender: &dyn Appender, made: &[Made]) {
    let appends = made.iter().map(|made| Append {
        to: TopicPartition::new(made.feed.topic(), made.partition),
        key: Some(made.key.clone().into()),
        value: made.value.clone().map(Into::into),
        headers: Vec::new(),
    });
    let appends: Vec<Append> = appends.collect();
    let completion = appender.append(appends);
    std::thread::scope(|scope| scope.spawn(|| completion.wait()).join().unwrap()).unwrap();
}

impl Api {
    pub async fn start(made: &[Made]) -> Api {
        let directory = tempfile::tempdir().unwrap();
        let log: SharedLog =
            Arc::new(EmbeddedLog::open(&directory.path().join("log"), EmbeddedOptions::default()).unwrap());
        let topic = |feed: Feed, partitions, cleanup| TopicSpec {
            name: feed.topic().to_owned(),
            partitions,
            cleanup,
            retention_ms: None,
            record_bytes_max: 1 << 20,
            may_grow: false,
            compaction: None,
        };
        log.ensure_topics(&[
            topic(Feed::State, u32::from(PARTITIONS), Cleanup::Compact),
            topic(Feed::Alerts, ALERT_PARTITIONS, Cleanup::Delete),
            topic(Feed::Families, 1, Cleanup::Compact),
            topic(Feed::Parties, 1, Cleanup::Compact),
        ])
        .unwrap();
        let appender = log
            .appender(AppenderOptions {
                name: "test".to_owned(),
                durability: Durability::Ordered,
                gapless: false,
            })
            .unwrap();
        append(appender.as_ref(), made);
        let store = Store::open(&format!("sqlite:{}", directory.path().join("store").display()))
            .await
            .unwrap();
        let keys = keys(&store).await;
        let mut roles = Roles::new(Shutdown::new());
        let readiness = Readiness::new();
        let registry = prometheus::Registry::new();
        let parts = QueryParts {
            config: QueryConfig {
                streams_per_scope_max: 2,
                streams_per_key_max: 2,
                ..QueryConfig::default()
            },
            log: Arc::clone(&log),
            store: store.clone(),
            key: key(),
            partitions: tocsin_model::PartitionCount::new(PARTITIONS).unwrap(),
            cold: cold_config(),
            registry: registry.clone(),
            readiness: readiness.flag("query", "catching up"),
        };
        let state = spawn(parts, &mut roles).unwrap();
        let api = Api {
            router: router(state.clone()).0,
            state,
            readiness,
            registry,
            roles,
            appender,
            store,
            keys,
            _log: log,
            _directory: directory,
        };
        api.wait_until(|api| api.state.is_ready()).await;
        api
    }

    pub async fn wait_until(&self, condition: impl Fn(&Api) -> bool) {
        let until = Instant::now() + WAIT_MAX;
        while !condition(self) {
            assert!(Instant::now() < until, "nothing came of it in time");
            tokio::time::sleep(Duration::from_millis(5)).await; // poll: the caller's condition
        }
    }

    pub async fn get(&self, key: &str, path: &str) -> (StatusCode, Value) {
        get(&self.router, Some(key), path).await
    }

    pub async fn stop(self) {
        self.roles.shutdown().request();
        self.roles.join(WAIT_MAX).await.unwrap();
    }
}

pub fn request(key: Option<&str>, path: &str) -> axum::http::request::Builder {
    let request = Request::get(path);
    match key {
        Some(key) => request.header("authorization", format!("Bearer {key}")),
        None => request,
    }
}

pub async fn get(router: &Router, key: Option<&str>, path: &str) -> (StatusCode, Value) {
    let request = request(key, path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    if !status.is_success() {
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
    }
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

impl Reading {
    pub async fn open(router: &Router, key: &str, last_event_id: Option<&str>) -> Result<Reading, (StatusCode, Value)> {
        Reading::open_of(router, key, "/v1/stream", last_event_id).await
    }

    /// The numbers of the next `count` alerts, and the id of the last.
    pub async fn alerts(&mut self, count: usize) -> (Vec<u128>, String) {
        let mut numbers = Vec::new();
        let mut last = String::new();
        while numbers.len() < count {
            let event = self.next().await.unwrap();
            assert_eq!(event.name, "alert");
            numbers.push(u128::from_str_radix(event.data["id"].as_str().unwrap(), 16).unwrap());
            last = event.id.unwrap();
        }
        (numbers, last)
    }
}

/// A query role without a log: what a test puts into its replica is all it knows.
pub struct Bare {
    pub router: Router,
    pub state: QueryState,
    pub readiness: Readiness,
    pub registry: prometheus::Registry,
    pub store: Store,
    pub keys: Keys,
    fed: AtomicU64,
    _directory: tempfile::TempDir,
}

/// What a [`Bare`] allows.
struct Limits {
    stall_max: Duration,
    record_interval: Duration,
    per_minute: u32,
    look_up_time_max: Duration,
    incidents_age_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            stall_max: WAIT_MAX,
            record_interval: RECORD_INTERVAL,
            per_minute: 6_000,
            look_up_time_max: LOOK_UP_TIME_MAX,
            incidents_age_max: INCIDENTS_AGE_MAX,
        }
    }
}

impl Bare {
    /// Puts records into its replica, as if the log had brought them.
    pub fn feed(&self, made: &[Made]) {
        for made in made {
            let offset = self.fed.fetch_add(1, Ordering::Relaxed);
            let record = RecordRef {
                topic: made.feed.topic(),
                partition: made.partition,
                offset,
                appended_at_ms: START + offset as i64,
                stamped_by: StampedBy::Log,
                key: Some(&made.key),
                value: made.value.as_deref(),
                headers: Headers::Slice(&[]),
            };
            let change = decode(made.feed, &record).unwrap();
            self.state.replica().apply(Position::of(&record), change).unwrap();
        }
    }

    pub async fn start(replica: ReplicaState, stall_max: Duration) -> Bare {
        Bare::metered(replica, stall_max, 6_000).await
    }

    /// One whose keys may look up so many hashes a minute.
    pub async fn metered(replica: ReplicaState, stall_max: Duration, per_minute: u32) -> Bare {
        let limits = Limits {
            stall_max,
            per_minute,
            ..Limits::default()
        };
        Bare::limited(replica, limits).await
    }

    /// One that answers from what it knows of live incidents while that is no older than this.
    pub async fn knowing_incidents_for(replica: ReplicaState, incidents_age_max: Duration) -> Bare {
        let limits = Limits {
            incidents_age_max,
            ..Limits::default()
        };
        Bare::limited(replica, limits).await
    }

    /// One in which a look-up may take no longer than this.
    pub async fn hurried(replica: ReplicaState, look_up_time_max: Duration) -> Bare {
        let limits = Limits {
            look_up_time_max,
            ..Limits::default()
        };
        Bare::limited(replica, limits).await
    }

    /// One whose streams are recorded as often as this.
    pub async fn recording(replica: ReplicaState, record_interval: Duration) -> Bare {
        let limits = Limits {
            record_interval,
            ..Limits::default()
        };
        Bare::limited(replica, limits).await
    }

    /// Of its store.
    pub fn store_url(&self) -> String {
        format!("sqlite:{}", self._directory.path().join("store").display())
    }

    async fn limited(replica: ReplicaState, limits: Limits) -> Bare {
        let Limits {
            stall_max,
            record_interval,
            per_minute,
            look_up_time_max,
            incidents_age_max,
        } = limits;
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", directory.path().join("store").display()))
            .await
            .unwrap();
        let keys = keys(&store).await;
        let readiness = Readiness::new();
        let registry = prometheus::Registry::new();
        let state = QueryState::new(QueryStateParts {
            replica,
            store: store.clone(),
            key: key(),
            alert_partitions: 1,
            slots: StreamSlots::new(
                StreamLimits {
                    count_max: 20_000,
                    per_scope_max: 20_000,
                    per_key_max: 20_000,
                },
                prometheus::IntGauge::new("streams", "streams").unwrap(),
            ),
            look_ups: Meter::new(Metered::LookUps, per_minute),
            reads: Meter::new(Metered::Reads, 2 * per_minute),
            metrics: Metrics::new(&registry).unwrap(),
            shutdown: Shutdown::new(),
            readiness: readiness.flag("query", "catching up"),
            stall_max,
            record_interval,
            look_up_time_max,
            incidents_age_max,
        });
        Bare {
            router: router(state.clone()).0,
            state,
            readiness,
            registry,
            store,
            keys,
            fed: AtomicU64::new(0),
            _directory: directory,
        }
    }
}

/// A counter of a registry, over all its labels or those with this one.
pub fn counted(registry: &prometheus::Registry, name: &str, label: Option<&str>) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name).unwrap();
    let metrics = family.get_metric().iter();
    let metrics = metrics.filter(|metric| label.is_none_or(|label| metric.get_label()[0].value() == label));
    metrics.map(|metric| metric.get_counter().get_value()).sum()
}

pub fn empty_replica() -> ReplicaState {
    ReplicaState::new(PartitionCount::new(PARTITIONS).unwrap(), cold_config(), limits())
}

pub fn crisis() -> Vec<Made> {
    let mut world = World::default();
    world.see_many(seen(1, 1, Sharing::All, 0), 12);
    world.see_many(
        Seen {
            kind: Kind::Share,
            ..seen(1, 1, Sharing::Party, 1_000)
        },
        9,
    );
    world.see_many(seen(2, 1, Sharing::Party, 2_000), 9);
    world.see_many(seen(3, 2, Sharing::Coordinators, 3_000), 2);
    let mut made = vec![party(1, "one"), party(2, "two")];
    made.extend(world.records(60_000));
    made
}
