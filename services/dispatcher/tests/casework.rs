//! Goal: over a real log, a real store and real HTTP: an alert becomes a case, the case is claimed and decided, the decision is on the
//! log; other teams see nothing of it, and bad input gets its documented code.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::Registry;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tocsin_dispatcher::{DispatcherConfig, DispatcherParts};
use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
use tocsin_log::{Append, AppenderOptions, Cleanup, Durability, Record, SharedLog, TopicPartition, TopicSpec};
use tocsin_model::{
    Alert, AlertId, AlertLevel, Algorithm, ContentHash, ContentId, DeploymentKey, FamilyId, GroupId, Name,
    PartitionCount, PlatformId, Population, Populations, PriorityTerm, Scope, Timestamp, Verdict,
};
use tocsin_runtime::{Readiness, Roles, Shutdown, http};
use tocsin_store::{KeySubject, Role, Store};
use tocsin_velocity::null::{STEP_PART, shipped};
use tocsin_wire::{Names, SightingsRecord, TickTime, population, topics};

#[path = "../../lib/model/tests/example/mod.rs"]
mod example;

const WAIT_MAX: Duration = Duration::from_secs(20);

struct Bench {
    directory: tempfile::TempDir,
    log: SharedLog,
    store: Store,
    coordinators: String,
    alpha: String,
    beta: String,
    reader: String,
    operator: String,
}

struct Running {
    address: String,
    client: reqwest::Client,
    shutdown: Shutdown,
    roles: Roles,
    readiness: Readiness,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn alert(family: u128, scope: Scope, level: AlertLevel, priority: f64) -> Alert {
    Alert {
        id: AlertId(family << 64 | u128::from(scope.own_class().number()) << 8 | level as u128),
        scope,
        family: FamilyId(ContentId(family)),
        hash: ContentHash::from_bytes(Algorithm::Sha256, vec![family as u8; 32], None).unwrap(),
        level,
        at: Timestamp(example::START.0 + level as i64),
        priority,
        priority_terms: vec![PriorityTerm {
            name: "exposure".to_owned(),
            value: priority,
        }],
        ..example::alert()
    }
}

impl Bench {
    /// A log with its fixed topics, and a store with two parties and their keys.
    async fn new() -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let log: SharedLog = Arc::new(EmbeddedLog::open(directory.path(), EmbeddedOptions::default()).unwrap());
        let compacted = [topics::PARTIES, topics::POPULATIONS];
        for topic in [topics::ALERTS, topics::DECISIONS, topics::SIGHTINGS]
            .into_iter()
            .chain(compacted)
        {
            let spec = TopicSpec {
                name: topic.to_owned(),
                partitions: if topic == topics::SIGHTINGS { 4 } else { 1 },
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
        let url = format!("sqlite:{}", directory.path().join("store.sqlite").display());
        let store = Store::open(&url).await.unwrap();
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

    async fn start(&self) -> Running {
        self.start_with(DispatcherConfig::default()).await
    }

    async fn start_with(&self, config: DispatcherConfig) -> Running {
        let (registry, readiness, shutdown) = (Registry::new(), Readiness::new(), Shutdown::new());
        let mut roles = Roles::new(shutdown.clone());
        let parts = DispatcherParts {
            config,
            instance: "dispatcher-0".to_owned(),
            log: self.log.clone(),
            store: self.store.clone(),
            key: DeploymentKey::from_bytes([7; 32]),
            partitions: PartitionCount::new(4).unwrap(),
            registry: registry.clone(),
            readiness: readiness.flag("dispatcher", "the registry of parties"),
        };
        let dispatcher = tocsin_dispatcher::spawn(parts, &mut roles).unwrap();
        let (router, _) = tocsin_dispatcher::router(dispatcher);
        let router = router.merge(http::operations(registry, readiness.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(http::serve(listener, router, shutdown.clone()));
        Running {
            address,
            client: fresh_connections(),
            shutdown,
            roles,
            readiness,
        }
    }

    fn append(&self, topic: &str, values: &[Vec<u8>]) {
        let without_key: Vec<_> = values.iter().map(|value| (None, value.clone())).collect();
        self.append_under(topic, &without_key);
    }

    fn append_under(&self, topic: &str, records: &[(Option<Vec<u8>>, Vec<u8>)]) {
        let appends = records
            .iter()
            .map(|(key, value)| Append {
                to: TopicPartition::new(topic, 0),
                key: key.clone().map(Into::into),
                value: Some(value.clone().into()),
                headers: Vec::new(),
            })
            .collect();
        let options = AppenderOptions {
            name: "test".to_owned(),
            durability: Durability::Synced,
            gapless: false,
        };
        let log = self.log.clone();
        let appended = std::thread::spawn(move || log.appender(options).unwrap().append(appends).wait());
        appended.join().unwrap().unwrap();
    }

    fn ring(&self, alerts: &[Alert]) {
        let values: Vec<_> = alerts
            .iter()
            .map(|alert| tocsin_wire::alert::encode(alert, &Names::default()))
            .collect();
        self.append(topics::ALERTS, &values);
    }

    /// The records of partition 0.
    fn records(&self, topic: &str) -> Vec<Record> {
        self.records_of(TopicPartition::new(topic, 0))
    }

    /// What dispatchers told the key groups, by partition.
    fn controls(&self) -> Vec<(u32, SightingsRecord<'static>)> {
        let mut controls = Vec::new();
        for number in 0..4 {
            for record in self.records_of(TopicPartition::new(topics::SIGHTINGS, number)) {
                match SightingsRecord::decode(record.value.as_ref().unwrap()).unwrap() {
                    SightingsRecord::Calibration(told) => controls.push((number, SightingsRecord::Calibration(told))),
                    SightingsRecord::Watch(told) => controls.push((number, SightingsRecord::Watch(told))),
                    _ => {}
                }
            }
        }
        controls
    }

    fn records_of(&self, partition: TopicPartition) -> Vec<Record> {
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
                    headers: Vec::new(),
                });
            };
            reader.poll(Duration::from_millis(100), 1_000, &mut sink).unwrap();
        }
        records
    }
}

/// A client with a connection for each request: the server closes one whose body it refused unread, and a request must not race with that.
fn fresh_connections() -> reqwest::Client {
    let client = reqwest::Client::builder().pool_max_idle_per_host(0);
    client.build().expect("a client without TLS can be made")
}

impl Running {
    async fn send(&self, method: Method, path: &str, key: &str, body: Option<Value>) -> (StatusCode, Value) {
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

    async fn get(&self, path: &str, key: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, key, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn post(&self, path: &str, key: &str, body: Value) -> Value {
        let (status, body) = self.send(Method::POST, path, key, Some(body)).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn refused(&self, method: Method, path: &str, key: &str, body: Option<Value>, (status, code): (u16, &str)) {
        let (answered, problem) = self.send(method, path, key, body).await;
        assert_eq!(
            (answered.as_u16(), problem["code"].as_str()),
            (status, Some(code)),
            "{path}: {problem}"
        );
    }

    /// The queue, once it has so many cases.
    async fn queue_of(&self, cases: usize, key: &str) -> Vec<Value> {
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

    async fn metric(&self, series: &str, wanted: impl Fn(f64) -> bool) {
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

    async fn stop(self) {
        self.shutdown.request();
        self.roles.join(Duration::from_secs(10)).await.unwrap();
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < WAIT_MAX, "{what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_becomes_a_case_and_its_decision_is_on_the_log() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    bench.ring(&[
        alert(1, Scope::All, AlertLevel::Raised, 10.0),
        alert(2, Scope::Coordinators, AlertLevel::Raised, 20.0),
    ]);
    let queue = running.queue_of(2, &bench.coordinators).await;
    assert_eq!(
        (&queue[0]["priority"], &queue[0]["state"]),
        (&json!(20.0), &json!("open"))
    );
    assert_eq!(queue[1]["alert"]["spread_24h"], json!({"low": 40, "high": 44}));
    let of_alpha = running.queue_of(1, &bench.alpha).await;
    assert_eq!(of_alpha[0]["team"], "alpha");
    assert_eq!(
        running.queue_of(0, &bench.beta).await.len(),
        0,
        "no platform of beta saw it"
    );
    until("parties announced", || {
        running.readiness.parts().values().all(Option::is_none)
    })
    .await;
    let alpha_case = running
        .get(
            &format!("/v1/cases/{}", of_alpha[0]["id"].as_str().unwrap()),
            &bench.alpha,
        )
        .await;
    assert_eq!(alpha_case["alert"]["platforms"][0]["platform"], "alpha-video");

    let claimed = running
        .post("/v1/queue/claim", &bench.coordinators, json!({"lease_s": 60}))
        .await;
    let case = &claimed["case"];
    assert_eq!(
        (&case["id"], &case["state"], &case["lease"]["is_yours"]),
        (&queue[0]["id"], &json!("claimed"), &json!(true))
    );
    let path = format!("/v1/cases/{}", case["id"].as_str().unwrap());
    let fencing = case["fencing"].as_u64().unwrap();
    running
        .post(
            &format!("{path}/renew"),
            &bench.coordinators,
            json!({"fencing": fencing}),
        )
        .await;

    // A team's case is nobody else's, and a lease is its holder's.
    running
        .refused(Method::GET, &path, &bench.alpha, None, (404, "case_unknown"))
        .await;
    let decision = json!({"fencing": fencing, "verdict": "violating", "rationale": "the known attack"});
    let decide = format!("{path}/decision");
    running
        .refused(
            Method::POST,
            &decide,
            &bench.alpha,
            Some(decision.clone()),
            (404, "case_unknown"),
        )
        .await;
    running
        .refused(
            Method::POST,
            &decide,
            &bench.reader,
            Some(decision.clone()),
            (403, "forbidden"),
        )
        .await;
    let stale = json!({"fencing": fencing + 1, "verdict": "benign"});
    running
        .refused(
            Method::POST,
            &decide,
            &bench.coordinators,
            Some(stale),
            (409, "lease_stale"),
        )
        .await;

    let decided = running.post(&decide, &bench.coordinators, decision.clone()).await;
    assert_eq!(
        (&decided["state"], &decided["decision"]["verdict"]),
        (&json!("decided"), &json!("violating"))
    );
    let again = running.post(&decide, &bench.coordinators, decision).await;
    assert_eq!(again["decision"], decided["decision"]);

    until("a decision on the log", || bench.records(topics::DECISIONS).len() == 1).await;
    let record = bench.records(topics::DECISIONS).remove(0);
    let published = tocsin_wire::decision::decode(&record.value.unwrap()).unwrap();
    assert_eq!(record.key.unwrap()[..], 2u128.to_be_bytes());
    assert_eq!(
        (published.family, published.scope, published.verdict),
        (FamilyId(ContentId(2)), Scope::Coordinators, Verdict::Violating)
    );
    assert_eq!(format!("{:032x}", published.id.0), decided["decision"]["id"]);

    let rest = running.post("/v1/queue/claim", &bench.coordinators, json!({})).await;
    let released = format!("/v1/cases/{}/release", rest["case"]["id"].as_str().unwrap());
    let released = running
        .post(
            &released,
            &bench.coordinators,
            json!({"fencing": rest["case"]["fencing"]}),
        )
        .await;
    assert_eq!(released["state"], "open");
    let decided_queue = running.get("/v1/queue?state=decided", &bench.reader).await;
    assert_eq!(decided_queue["cases"][0]["id"], case["id"]);
    running.stop().await;
    assert_eq!(bench.records(topics::DECISIONS).len(), 1, "published once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_no_alert_and_counts_none_twice() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    bench.ring(&[alert(1, Scope::Coordinators, AlertLevel::Raised, 1.0)]);
    running.queue_of(1, &bench.coordinators).await;
    running.stop().await;

    // While it is away: the same alert again, one that is no alert, and a new one behind it.
    bench.ring(&[alert(1, Scope::Coordinators, AlertLevel::Raised, 1.0)]);
    bench.append(topics::ALERTS, &[b"this is no alert".to_vec(), Vec::new()]);
    bench.ring(&[alert(2, Scope::Coordinators, AlertLevel::Raised, 2.0)]);
    let running = bench.start().await;
    running.queue_of(2, &bench.coordinators).await;
    running
        .metric("tocsin_dispatcher_alert_effects_total{effect=\"opened\"}", |count| {
            count == 1.0
        })
        .await;
    running
        .metric(
            "tocsin_dispatcher_alerts_refused_total{reason=\"unreadable\"}",
            |count| count == 2.0,
        )
        .await;
    running
        .metric("tocsin_dispatcher_alerts_lag_offsets", |lag| lag == 0.0)
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parties_are_announced_and_their_topics_made() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    let parties = || -> Vec<tocsin_wire::PartyRecord> {
        let records = bench.records(topics::PARTIES);
        records
            .iter()
            .map(|record| tocsin_wire::PartyRecord::decode(record.value.as_ref().unwrap()).unwrap())
            .collect()
    };
    until("two parties", || parties().len() == 2).await;
    let exists = |topic: &str| bench.log.topics().unwrap().iter().any(|info| info.name == topic);
    until("their topics", || {
        exists("tocsin.ingest.alpha") && exists("tocsin.ingest.beta")
    })
    .await;
    let gamma = bench.store.add_party(&name("gamma"), &[name("gamma")]).await.unwrap();
    until("a third party", || parties().iter().any(|party| party.id == gamma.id)).await;
    until("its topic", || exists("tocsin.ingest.gamma")).await;
    bench.store.revoke_party(gamma.id).await.unwrap();
    until("the revocation", || {
        parties().iter().any(|party| party.id == gamma.id && party.revoked)
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_its_documented_code() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    bench.ring(&[alert(1, Scope::Coordinators, AlertLevel::Raised, 1.0)]);
    running.queue_of(1, &bench.coordinators).await;
    let key = bench.coordinators.as_str();
    let claimed = running.post("/v1/queue/claim", key, json!({})).await;
    let path = format!("/v1/cases/{}", claimed["case"]["id"].as_str().unwrap());
    let decide = format!("{path}/decision");
    let claim = format!("{path}/claim");

    for (method, path, key, body, expected) in [
        (
            Method::GET,
            "/v1/queue",
            "tocsin_nobody",
            None,
            (401, "unauthenticated"),
        ),
        (Method::GET, "/v1/queue", &bench.operator, None, (403, "no_queue")),
        (Method::POST, "/v1/queue/claim", &bench.reader, None, (403, "forbidden")),
        (
            Method::GET,
            "/v1/queue?state=lost",
            key,
            None,
            (400, "invalid_parameter"),
        ),
        (Method::GET, "/v1/queue?limit=0", key, None, (400, "invalid_parameter")),
        (
            Method::GET,
            "/v1/queue?limit=many",
            key,
            None,
            (400, "invalid_parameter"),
        ),
        (
            Method::GET,
            "/v1/queue?after=zzz",
            key,
            None,
            (400, "invalid_parameter"),
        ),
        (Method::GET, "/v1/queue?owner=me", key, None, (400, "invalid_parameter")),
        (Method::GET, "/v1/cases/1", key, None, (404, "case_unknown")),
        (Method::GET, "/v1/cases/%F0%9F", key, None, (404, "case_unknown")),
        (
            Method::GET,
            "/v1/cases/0123456789abcdef0123456789abcdef",
            key,
            None,
            (404, "case_unknown"),
        ),
        (Method::DELETE, &path, key, None, (405, "method_not_allowed")),
        (Method::POST, &claim, key, None, (409, "case_claimed")),
        (
            Method::POST,
            &claim,
            key,
            Some(json!({"lease_s": 0})),
            (422, "lease_length"),
        ),
        (
            Method::POST,
            &claim,
            key,
            Some(json!({"lease": 5})),
            (400, "invalid_body"),
        ),
        (Method::POST, &decide, key, None, (400, "invalid_body")),
        (
            Method::POST,
            &decide,
            key,
            Some(json!({"fencing": -1, "verdict": "benign"})),
            (400, "invalid_body"),
        ),
        (
            Method::POST,
            &decide,
            key,
            Some(json!({"fencing": 1, "verdict": "guilty"})),
            (400, "invalid_body"),
        ),
        (
            Method::POST,
            &decide,
            key,
            Some(json!({"fencing": u64::MAX, "verdict": "benign"})),
            (409, "lease_stale"),
        ),
        (
            Method::POST,
            &decide,
            key,
            Some(json!({"fencing": 1, "verdict": "benign", "rationale": "x".repeat(8_193)})),
            (422, "rationale_too_long"),
        ),
        (
            Method::POST,
            &decide,
            key,
            Some(json!({"fencing": 1, "verdict": "benign", "rationale": "\0"})),
            (422, "rationale_malformed"),
        ),
        (
            Method::POST,
            &decide,
            key,
            Some(json!({"fencing": 1, "verdict": "benign", "rationale": "x".repeat(1 << 20)})),
            (413, "body_too_large"),
        ),
    ] {
        running.refused(method, path, key, body, expected).await;
    }
    let other_type = running
        .client
        .post(format!("{}{decide}", running.address))
        .bearer_auth(key);
    let response = other_type
        .header("content-type", "text/plain")
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 415);

    let unchanged = running.get(&path, key).await;
    assert_eq!(
        (&unchanged["state"], &unchanged["fencing"]),
        (&json!("claimed"), &json!(1)),
        "nothing was half done"
    );
    assert!(bench.records(topics::DECISIONS).is_empty());
    running
        .metric(
            "tocsin_dispatcher_commands_total{code=\"rationale_too_long\",command=\"decide_case\"}",
            |n| n == 1.0,
        )
        .await;
    running.stop().await;
    drop(bench.directory);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_partys_topic_of_another_shape_keeps_no_other_party_waiting() {
    let bench = Bench::new().await;
    let standing = TopicSpec {
        name: "tocsin.ingest.alpha".to_owned(),
        partitions: 4,
        cleanup: Cleanup::Compact,
        retention_ms: None,
        record_bytes_max: 1 << 20,
        may_grow: false,
        compaction: None,
    };
    bench.log.ensure_topics(&[standing]).unwrap();
    let running = bench.start().await;
    let has = |topic: &str| bench.log.topics().unwrap().iter().any(|found| found.name == topic);
    until("parties announced", || {
        running.readiness.parts().values().all(Option::is_none)
    })
    .await;
    assert!(has("tocsin.ingest.beta"));
    bench
        .store
        .add_party(&name("gamma"), &[name("gamma-chat")])
        .await
        .unwrap();
    until("the next party has its topic", || has("tocsin.ingest.gamma")).await;
    let refused = "tocsin_dispatcher_failures_total{operation=\"make_ingest_topic\"}";
    running.metric(refused, |count| count == 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_groups_have_seen_makes_a_calibration_a_step_away_and_not_another_at_once() {
    let bench = Bench::new().await;
    let at = Timestamp(1_770_000_000_000);
    let seen = |group: u16, uploads: u64| {
        let mut population = Population::new(PlatformId(7));
        (0..500).for_each(|_| population.reuploads.add(uploads, 10));
        let seen = Populations {
            group: GroupId(group),
            at,
            platforms: vec![population],
        };
        (Some(population::key(GroupId(group))), population::encode(&seen))
    };
    let elsewhere = (Some(population::key(GroupId(9))), seen(8, 0).1);
    let broken = (Some(population::key(GroupId(10))), b"no population".to_vec());
    // Of a group the newest counts.
    let records = [seen(5, 0), seen(6, 10), elsewhere, broken, seen(5, 10)];
    bench.append_under(topics::POPULATIONS, &records);
    bench.append(topics::SIGHTINGS, &[SightingsRecord::Tick(TickTime::At(at)).encode()]);
    let running = bench.start().await;
    until("every partition is told", || bench.controls().len() == 4).await;
    for (_, told) in bench.controls() {
        let SightingsRecord::Calibration(told) = told else {
            panic!("{told:?}")
        };
        let [null] = told.platforms[..] else { panic!("{told:?}") };
        let before = shipped(PlatformId(7));
        assert_eq!(
            (told.number, null.platform, null.hours),
            (1, PlatformId(7), before.hours)
        );
        let step = null.reuploads.mean() - before.reuploads.mean();
        assert!((step - STEP_PART).abs() < 1e-9, "{null:?}");
        assert!(told.effective_from > at && told.is_usable());
    }
    running
        .metric("tocsin_dispatcher_calibration_number", |number| number == 1.0)
        .await;
    running
        .metric("tocsin_dispatcher_population_groups", |groups| groups == 2.0)
        .await;
    running
        .metric("tocsin_dispatcher_populations_refused", |refused| refused == 2.0)
        .await;
    running
        .metric("tocsin_dispatcher_null_reuploads{platform=\"7\"}", |mean| mean > 0.29)
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_and_the_watch_list_reach_the_key_groups_once() {
    let bench = Bench::new().await;
    let at = Timestamp(1_770_000_000_000);
    bench.append(topics::SIGHTINGS, &[SightingsRecord::Tick(TickTime::At(at)).encode()]);
    let config = DispatcherConfig {
        pages_per_day: 30,
        ..DispatcherConfig::default()
    };
    let threshold = tocsin_velocity::budget::Prior::SHIPPED.threshold(30.0);
    let running = bench.start_with(config.clone()).await;
    until("another budget than the shipped one makes a threshold", || {
        bench.controls().len() == 4
    })
    .await;
    for (place, (partition, told)) in bench.controls().into_iter().enumerate() {
        let SightingsRecord::Calibration(told) = told else {
            panic!("{told:?}")
        };
        assert_eq!((partition, told.number), (place as u32, 1));
        assert_eq!(
            (told.page_threshold, told.pages_per_day, told.episodes),
            (threshold, 30.0, 0)
        );
        assert!(told.effective_from > at, "{told:?}");
    }

    let hash = ContentHash::from_bytes(Algorithm::Sha256, vec![9; 32], None).unwrap();
    let severity = tocsin_model::Severity::new(2).unwrap();
    bench.store.watch(&hash, &name("north"), severity).await.unwrap();
    until("the watch list is published", || bench.controls().len() == 5).await;
    let content = DeploymentKey::from_bytes([7; 32]).content_id(&hash);
    let partition = PartitionCount::new(4).unwrap().partition_of(content.group());
    let controls = bench.controls();
    let told = controls.iter().find_map(|(number, told)| match told {
        SightingsRecord::Watch(told) if *number == partition => Some(told),
        _ => None,
    });
    let told = told.unwrap();
    assert_eq!((told.content, told.listed, told.at), (content, Some(severity), at));
    running.stop().await;

    // Another start finds all of that in the store and says nothing again.
    let running = bench.start_with(config).await;
    running
        .metric("tocsin_dispatcher_pages_per_day_target", |value| value == 30.0)
        .await;
    running
        .metric("tocsin_dispatcher_page_threshold", |value| value == threshold)
        .await;
    assert_eq!(bench.controls().len(), 5);
    running.stop().await;
}
