//! A dispatcher on a log and a store of its own, and whoever asks it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::Registry;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tocsin_dispatcher::{DispatcherConfig, DispatcherParts};
use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
use tocsin_log::{Append, AppenderOptions, Cleanup, Durability, Record, SharedLog, TopicPartition, TopicSpec};
use tocsin_model::{
    Alert, AlertId, AlertLevel, Algorithm, ContentHash, ContentId, DeploymentKey, FamilyId, Name, PartitionCount,
    PriorityTerm, Scope, Timestamp,
};
use tocsin_runtime::streams::StreamTimes;
use tocsin_runtime::{Readiness, Roles, Shutdown, http};
use tocsin_store::{Clock, KeySubject, PageOf, Role, Store};
use tocsin_wire::{Names, SightingsRecord, topics};

pub const WAIT_MAX: Duration = Duration::from_secs(60);

pub struct Bench {
    pub directory: tempfile::TempDir,
    pub log: SharedLog,
    pub store: Store,
    pub coordinators: String,
    pub alpha: String,
    pub beta: String,
    pub reader: String,
    pub operator: String,
}

pub struct Running {
    /// What the address serves, for requests whose answers are taken when the test wants to.
    pub router: axum::Router,
    pub address: String,
    pub client: reqwest::Client,
    pub shutdown: Shutdown,
    pub roles: Roles,
    pub readiness: Readiness,
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn alert(family: u128, scope: Scope, level: AlertLevel, priority: f64) -> Alert {
    Alert {
        id: AlertId(family << 64 | u128::from(scope.own_class().number()) << 8 | level as u128),
        scope,
        family: FamilyId(ContentId(family)),
        hash: ContentHash::from_bytes(Algorithm::Sha256, vec![family as u8; 32], None).unwrap(),
        level,
        at: Timestamp(crate::example::START.0 + level as i64),
        priority,
        priority_terms: vec![PriorityTerm {
            name: "exposure".into(),
            value: priority,
        }],
        ..crate::example::alert()
    }
}

/// A log with its fixed topics.
fn log_in(directory: &tempfile::TempDir) -> SharedLog {
    let log: SharedLog = Arc::new(EmbeddedLog::open(directory.path(), EmbeddedOptions::default()).unwrap());
    let compacted = [topics::FAMILIES, topics::PARTIES, topics::POPULATIONS, topics::STATE];
    for topic in [topics::ALERTS, topics::DECISIONS, topics::SIGHTINGS]
        .into_iter()
        .chain(compacted)
    {
        let spec = TopicSpec {
            name: topic.to_owned(),
            partitions: if [topics::SIGHTINGS, topics::STATE].contains(&topic) {
                4
            } else {
                1
            },
            cleanup: if compacted.contains(&topic) {
                Cleanup::Compact
            } else {
                Cleanup::Delete
            },
            retention_ms: None,
            record_bytes_max: 1 << 20,
            may_grow: false,
            compaction: None,
        };
        log.ensure_topics(&[spec]).unwrap();
    }
    log
}

impl Bench {
    /// How many of the first 200 records of the audit log are about an object whose name has this part.
    pub async fn recorded(&self, part: &str) -> usize {
        let all = PageOf {
            team: None,
            after: BTreeMap::new(),
            limit: 200,
        };
        let audited = self.store.audit_page(&all).await.unwrap();
        let about = audited.records.iter().filter(|of| of.record.object.contains(part));
        about.count()
    }

    /// A log with its fixed topics, and a store with two parties and their keys.
    pub async fn new() -> Bench {
        Bench::with_clock(Clock::Database).await
    }

    /// As [`Bench::new`], its store timed by `clock`.
    pub async fn with_clock(clock: Clock) -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("store.sqlite").display());
        Bench::on(directory, &url, clock).await
    }

    /// As [`Bench::new`], its store an empty database at `url`.
    pub async fn on(directory: tempfile::TempDir, url: &str, clock: Clock) -> Bench {
        let log = log_in(&directory);
        let store = Store::open_with_clock(url, clock).await.unwrap();
        let alpha = store.add_party(&name("alpha"), &[name("alpha-video")]).await.unwrap();
        let beta = store.add_party(&name("beta"), &[name("beta-chat")]).await.unwrap();
        let key = async |subject, roles: &[Role]| {
            let (_, key) = store.issue_key(subject, tocsin_store::Roles::of(roles)).await.unwrap();
            key.expose().to_owned()
        };
        Bench {
            coordinators: key(KeySubject::Coordinators, &[Role::Moderator]).await,
            alpha: key(KeySubject::Party(alpha.id), &[Role::Moderator]).await,
            beta: key(KeySubject::Party(beta.id), &[Role::Moderator]).await,
            reader: key(KeySubject::Coordinators, &[Role::Reader]).await,
            operator: key(KeySubject::Operator, &Role::ALL).await,
            directory,
            log,
            store,
        }
    }

    /// Another log beside this one, on the same store: for a second dispatcher.
    pub fn beside(&self) -> Bench {
        let directory = tempfile::tempdir().unwrap();
        Bench {
            log: log_in(&directory),
            directory,
            store: self.store.clone(),
            coordinators: self.coordinators.clone(),
            alpha: self.alpha.clone(),
            beta: self.beta.clone(),
            reader: self.reader.clone(),
            operator: self.operator.clone(),
        }
    }

    pub async fn start(&self) -> Running {
        self.start_with(DispatcherConfig {
            undo_s: 0,
            ..DispatcherConfig::default()
        })
        .await
    }

    pub async fn start_with(&self, config: DispatcherConfig) -> Running {
        self.start_timed(config, StreamTimes::default()).await
    }

    /// Streams wait and are recorded as `stream_times` says.
    pub async fn start_timed(&self, config: DispatcherConfig, stream_times: StreamTimes) -> Running {
        let (registry, readiness, shutdown) = (Registry::new(), Readiness::new(), Shutdown::new());
        let mut roles = Roles::new(shutdown.clone());
        let parts = DispatcherParts {
            config,
            instance: "dispatcher-0".to_owned(),
            log: self.log.clone(),
            store: self.store.clone(),
            key: DeploymentKey::from_bytes([7; 32]),
            partitions: PartitionCount::new(4).unwrap(),
            promote_at: 3,
            ingest_form: tocsin_dispatcher::IngestForm::default(),
            stream_times,
            registry: registry.clone(),
            readiness: readiness.flag("dispatcher", "the registry of parties"),
        };
        let dispatcher = tocsin_dispatcher::spawn(parts, &mut roles).unwrap();
        let (router, _) = tocsin_dispatcher::router(dispatcher);
        let router = router.merge(http::operations(registry, readiness.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(http::serve(listener, router.clone(), shutdown.clone()));
        Running {
            router,
            address,
            client: fresh_connections(),
            shutdown,
            roles,
            readiness,
        }
    }

    pub fn append(&self, topic: &str, values: &[Vec<u8>]) {
        let without_key: Vec<_> = values.iter().map(|value| (None, value.clone())).collect();
        self.append_under(topic, &without_key);
    }

    pub fn append_under(&self, topic: &str, records: &[(Option<Vec<u8>>, Vec<u8>)]) {
        let appends = records
            .iter()
            .map(|(key, value)| Append {
                to: TopicPartition::new(topic, 0),
                key: key.clone().map(Into::into),
                value: Some(value.clone().into()),
                headers: Vec::new(),
            })
            .collect();
        self.append_all(appends);
    }

    pub fn append_all(&self, appends: Vec<Append>) {
        let options = AppenderOptions {
            name: "test".to_owned(),
            durability: Durability::Synced,
            gapless: false,
        };
        let log = self.log.clone();
        let appended = std::thread::spawn(move || log.appender(options).unwrap().append(appends).wait());
        appended.join().unwrap().unwrap();
    }

    pub fn ring(&self, alerts: &[Alert]) {
        let values: Vec<_> = alerts
            .iter()
            .map(|alert| tocsin_wire::alert::encode(alert, &Names::default()))
            .collect();
        self.append(topics::ALERTS, &values);
    }

    /// The records of partition 0.
    pub fn records(&self, topic: &str) -> Vec<Record> {
        self.records_of(TopicPartition::new(topic, 0))
    }

    /// What dispatchers told the key groups, by partition.
    pub fn controls(&self) -> Vec<(u32, SightingsRecord<'static>)> {
        let mut controls = Vec::new();
        for number in 0..4 {
            for record in self.records_of(TopicPartition::new(topics::SIGHTINGS, number)) {
                match SightingsRecord::decode(record.value.as_ref().unwrap()).unwrap() {
                    SightingsRecord::Calibration(told) => controls.push((number, SightingsRecord::Calibration(told))),
                    SightingsRecord::Watch(told) => controls.push((number, SightingsRecord::Watch(told))),
                    SightingsRecord::Weighing(told) => controls.push((number, SightingsRecord::Weighing(told))),
                    SightingsRecord::Link(told) => controls.push((number, SightingsRecord::Link(told))),
                    _ => {}
                }
            }
        }
        controls
    }

    pub fn records_of(&self, partition: TopicPartition) -> Vec<Record> {
        let (start, end) = self.log.bounds(&partition).unwrap();
        let mut reader = self.log.tail_reader(&[(partition.clone(), start)]).unwrap();
        let mut records = Vec::new();
        while reader.position(&partition).unwrap_or(start) < end {
            let mut sink = |record: tocsin_log::RecordRef<'_>| {
                records.push(Record {
                    from: partition.clone(),
                    offset: record.offset,
                    appended_at_ms: record.appended_at_ms,
                    key: record.key.map(|key| key.to_vec().into()),
                    value: record.value.map(|value| value.to_vec().into()),
                    headers: record.headers.to_vec(),
                });
            };
            reader.poll(Duration::from_millis(100), 1_000, &mut sink).unwrap();
        }
        records
    }
}

/// A client with a connection for each request: the server closes one whose body it refused unread, and a request must not race with that.
pub fn fresh_connections() -> reqwest::Client {
    let client = reqwest::Client::builder().pool_max_idle_per_host(0);
    client.build().expect("a client without TLS can be made")
}

impl Running {
    pub async fn send(&self, method: Method, path: &str, key: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = self
            .client
            .request(method, format!("{}{path}", self.address))
            .bearer_auth(key);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let response = request.send().await.unwrap();
        let status = response.status();
        let body = response.text().await.unwrap();
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }

    pub async fn get(&self, path: &str, key: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, key, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub async fn post(&self, path: &str, key: &str, body: Value) -> Value {
        let (status, body) = self.send(Method::POST, path, key, Some(body)).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub async fn refused(
        &self,
        method: Method,
        path: &str,
        key: &str,
        body: Option<Value>,
        (status, code): (u16, &str),
    ) {
        let (answered, problem) = self.send(method, path, key, body).await;
        assert_eq!(
            (answered.as_u16(), problem["code"].as_str()),
            (status, Some(code)),
            "{path}: {problem}"
        );
    }

    /// The queue, once it has so many cases.
    pub async fn queue_of(&self, cases: usize, key: &str) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let queue = self.get("/v1/queue", key).await;
            let found = queue["cases"].as_array().unwrap();
            if found.len() == cases {
                return found.clone();
            }
            assert!(
                began.elapsed() < WAIT_MAX,
                "{} cases in the queue, not {cases}",
                found.len()
            );
        }
    }

    pub async fn metric(&self, series: &str, wanted: impl Fn(f64) -> bool) {
        let began = Instant::now();
        loop {
            let text = self
                .client
                .get(format!("{}/metrics", self.address))
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix(series));
            if line.is_some_and(|value| wanted(value.trim().parse().unwrap())) {
                return;
            }
            assert!(began.elapsed() < WAIT_MAX, "{series} in {text}");
        }
    }

    /// Waits for the sum of the series that begin so.
    pub async fn metric_sum(&self, series: &str, wanted: impl Fn(f64) -> bool) {
        let began = Instant::now();
        loop {
            let metrics = self.client.get(format!("{}/metrics", self.address)).send().await;
            let text = metrics.unwrap().text().await.unwrap();
            let of_series = text.lines().filter(|line| line.starts_with(series));
            let values = of_series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            if wanted(values.sum()) {
                return;
            }
            assert!(began.elapsed() < WAIT_MAX, "{series} in {text}");
        }
    }

    pub async fn stop(self) {
        self.shutdown.request();
        self.roles.join(Duration::from_secs(10)).await.unwrap();
    }
}

pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < WAIT_MAX, "{what}");
        tokio::task::yield_now().await;
    }
}
