//! Goal: alerts and decisions reach the endpoints of those who may see them, signed and under one id; a bad endpoint is tried again, given
//! up or disabled, and delays no other; nothing inside a machine is called unless an operator said so.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use tocsin_casework::Team;
use tocsin_dispatcher::{DispatcherConfig, check_endpoint, new_signing_secret};
use tocsin_log::{Cleanup, TopicSpec};
use tocsin_model::{AlertLevel, Milliseconds, Name, Scope, Timestamp};
use tocsin_store::{Clock, EndpointKind, NewEndpoint, Replay};

use crate::bench::{Bench, Running, alert, name, until};
use crate::receiver::{Came, Receiver};

/// Loopback, which is called only because this names it.
pub fn loopback() -> DispatcherConfig {
    DispatcherConfig {
        endpoint_networks: vec!["127.0.0.0/8".to_owned()],
        ..DispatcherConfig::default()
    }
}

pub fn webhook(name: &str, team: Team, url: &str) -> NewEndpoint {
    NewEndpoint {
        name: name.parse().unwrap(),
        team,
        kind: EndpointKind::Webhook,
        target: url.to_owned(),
        settings: BTreeMap::new(),
        secret: new_signing_secret(),
    }
}

impl Bench {
    pub async fn add(&self, endpoint: &NewEndpoint) {
        check_endpoint(endpoint, &loopback().endpoint_networks).unwrap();
        self.store.add_endpoint(endpoint).await.unwrap();
    }

    pub async fn team(&self, party: &str) -> Team {
        Team::Party(self.store.party_named(&name(party)).await.unwrap().id)
    }

    fn raise(&self, families: impl IntoIterator<Item = u128>) {
        let raised = |family| alert(family, Scope::All, AlertLevel::Raised, 1.0);
        self.ring(&families.into_iter().map(raised).collect::<Vec<_>>());
    }

    async fn dead(&self, endpoint: &Name) -> Vec<String> {
        let letters = self.store.dead_letters(endpoint, 100).await.unwrap();
        letters.into_iter().map(|letter| letter.reason).collect()
    }
}

/// What a receiver with a library of Standard Webhooks checks.
fn is_signed(came: &Came, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    let (id, at) = (came.header("webhook-id"), came.header("webhook-timestamp"));
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(&came.body);
    let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    came.header("webhook-signature")
        .split(' ')
        .any(|signature| signature == wanted)
}

async fn outcome(running: &Running, kind: &str, outcome: &str, count: f64) {
    let series = format!("tocsin_dispatcher_deliveries_total{{kind=\"{kind}\",outcome=\"{outcome}\"}}");
    running.metric(&series, |value| value >= count).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_reaches_those_who_may_see_it_and_nobody_else() {
    let bench = Bench::new().await;
    let (of_alpha, of_beta) = (Receiver::start().await, Receiver::start().await);
    let (alpha, beta) = (bench.team("alpha").await, bench.team("beta").await);
    let hook = webhook("of-alpha", alpha, &of_alpha.url);
    bench.add(&hook).await;
    bench.add(&webhook("of-beta", beta, &of_beta.url)).await;
    let topic = NewEndpoint {
        kind: EndpointKind::Kafka,
        target: "tocsin.deliveries.alpha".to_owned(),
        secret: String::new(),
        ..webhook("topic-of-alpha", alpha, "")
    };
    bench.add(&topic).await;
    let running = bench.start_with(loopback()).await;
    let own = alert(2, alpha.scope(), AlertLevel::Raised, 2.0);
    bench.ring(&[
        alert(1, Scope::All, AlertLevel::Raised, 1.0),
        own.clone(),
        alert(3, Scope::Coordinators, AlertLevel::Raised, 3.0),
        alert(4, beta.scope(), AlertLevel::Raised, 4.0),
    ]);
    until("both of alpha's", || of_alpha.count() == 2).await;
    until("both of beta's", || of_beta.count() == 2).await;
    outcome(&running, "kafka", "delivered", 2.0).await;
    outcome(&running, "webhook", "delivered", 4.0).await;
    let came = of_alpha.came();
    let own_came = came
        .iter()
        .find(|came| came.header("ce-id") == own.id.to_string())
        .unwrap();
    assert!(came.iter().all(|came| is_signed(came, &hook.secret)));
    assert!(!is_signed(own_came, &new_signing_secret()));
    assert_eq!(own_came.header("ce-type"), "tocsin.alert.raised");
    let shown = own_came.json();
    assert_eq!(
        (&shown["scope"], &shown["platforms"][0]["platform"]),
        (&json!("party"), &json!("alpha-video"))
    );
    let records = bench.records("tocsin.deliveries.alpha");
    let record = records
        .iter()
        .find(|record| record.value.as_deref() == Some(&own_came.body[..]))
        .unwrap();
    let header = |name: &str| {
        let found = record.headers.iter().find(|header| header.name == name).unwrap();
        String::from_utf8(found.value.to_vec()).unwrap()
    };
    assert_eq!(header("ce_id"), own.id.to_string());
    assert_eq!(
        (header("ce_source"), header("content-type")),
        ("urn:tocsin".to_owned(), "application/json".to_owned())
    );
    assert_eq!(records.len(), 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_reaches_the_team_that_decided() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.add(&webhook("hook", Team::Coordinators, &receiver.url)).await;
    let running = bench.start_with(loopback()).await;
    bench.raise([1]);
    running.queue_of(1, &bench.coordinators).await;
    let claimed = running.post("/v1/queue/claim", &bench.coordinators, json!({})).await["case"].clone();
    let path = format!("/v1/cases/{}/decision", claimed["id"].as_str().unwrap());
    let decision = json!({"fencing": claimed["fencing"], "verdict": "violating"});
    let decided = running.post(&path, &bench.coordinators, decision).await;
    assert_eq!(decided["state"], "decided", "{decided}");
    // The alert came before, and its members may come before the decision itself.
    let told = || {
        let came = receiver.came();
        came.into_iter()
            .find(|came| came.header("ce-type") == "tocsin.decision")
    };
    until("the decision", || told().is_some()).await;
    let decided = told().unwrap();
    let (shown, family) = (decided.json(), &claimed["family"]);
    assert_eq!((&shown["verdict"], &shown["family"]), (&json!("violating"), family));
    assert_eq!(Value::String(decided.header("ce-subject")), *family);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_hangs_or_answers_without_end_delays_no_other() {
    let bench = Bench::new().await;
    let [hanging, endless, quick] = [
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    ];
    hanging.hang();
    endless.pour();
    bench.add(&webhook("hanging", Team::Coordinators, &hanging.url)).await;
    bench.add(&webhook("quick", Team::Coordinators, &quick.url)).await;
    bench.add(&webhook("endless", Team::Coordinators, &endless.url)).await;
    let running = bench.start_with(loopback()).await;
    bench.raise(1..=40);
    until("all forty, beside those that hang", || quick.count() == 40).await;
    assert!(hanging.count() <= 4, "a few at a time: {}", hanging.count());
    until("all forty, whatever comes behind the status", || endless.count() == 40).await;
    outcome(&running, "webhook", "delivered", 80.0).await;
    running.shutdown.request();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_delivery_is_tried_again_under_its_id_until_it_is_given_up() {
    let clock = Clock::standing_at(Timestamp(1_770_000_000_000));
    let bench = Bench::with_clock(clock.clone()).await;
    let receiver = Receiver::start().await;
    receiver.answer(503, vec![("retry-after", "3600".to_owned())]);
    bench.add(&webhook("hook", Team::Coordinators, &receiver.url)).await;
    let running = bench.start_with(loopback()).await;
    bench.raise([1]);
    outcome(&running, "webhook", "retried", 1.0).await;
    clock.advance(Milliseconds::from_seconds(3_599));
    bench.raise([2]);
    outcome(&running, "webhook", "retried", 2.0).await;
    assert_eq!(receiver.count(), 2, "it asked to be left alone for an hour");
    receiver.answer(500, Vec::new());
    // A day is longer than any wait: each step makes both due once more.
    for tries in 2..=12 {
        clock.advance(Milliseconds::from_hours(24));
        until("the next try", || receiver.count() == 2 * tries).await;
        let retried = if tries < 12 { 2.0 * tries as f64 } else { 22.0 };
        outcome(&running, "webhook", "retried", retried).await;
    }
    outcome(&running, "webhook", "dead", 2.0).await;
    assert_eq!(bench.dead(&name("hook")).await, ["status_500", "status_500"]);
    let ids = |came: Vec<Came>| {
        came.iter()
            .map(|came| came.header("webhook-id"))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(ids(receiver.came()).len(), 2, "one id for each, whatever the try");
    receiver.answer(200, Vec::new());
    assert_eq!(
        bench
            .store
            .replay_deliveries(&name("hook"), &Replay::Dead)
            .await
            .unwrap(),
        2
    );
    outcome(&running, "webhook", "delivered", 2.0).await;
    assert_eq!(ids(receiver.came()).len(), 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_gone_is_disabled_and_no_redirect_is_followed() {
    let bench = Bench::new().await;
    let (gone, moved, elsewhere) = (
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    gone.answer(410, Vec::new());
    moved.answer(307, vec![("location", elsewhere.url.clone())]);
    bench.add(&webhook("gone", Team::Coordinators, &gone.url)).await;
    bench.add(&webhook("moved", Team::Coordinators, &moved.url)).await;
    let running = bench.start_with(loopback()).await;
    bench.raise([1]);
    running
        .metric("tocsin_dispatcher_endpoints_gone_total{kind=\"webhook\"}", |count| {
            count == 1.0
        })
        .await;
    outcome(&running, "webhook", "retried", 1.0).await;
    assert_eq!(bench.dead(&name("gone")).await, ["gone"]);
    let endpoints = bench.store.endpoints().await.unwrap();
    let reasons: Vec<_> = endpoints
        .iter()
        .map(|endpoint| endpoint.disabled.as_ref().map(|(_, why)| why.as_str()))
        .collect();
    assert_eq!(reasons, [Some("gone"), None]);
    bench.raise([2]);
    outcome(&running, "webhook", "retried", 2.0).await;
    assert_eq!((gone.count(), elsewhere.count()), (1, 0));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_inside_the_machine_is_called_unless_the_operator_named_it() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let by_name = receiver.url.replace("127.0.0.1", "localhost");
    bench
        .add(&webhook("by-address", Team::Coordinators, &receiver.url))
        .await;
    bench.add(&webhook("by-name", Team::Coordinators, &by_name)).await;
    let running = bench.start().await;
    bench.raise([1]);
    outcome(&running, "webhook", "retried", 2.0).await;
    assert_eq!(receiver.count(), 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_dispatchers_deliver_each_once() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.add(&webhook("hook", Team::Coordinators, &receiver.url)).await;
    // One reads the alerts, as on Kafka; both deliver what their store holds.
    let beside = Bench {
        store: bench.store.clone(),
        ..Bench::new().await
    };
    let (first, second) = (bench.start_with(loopback()).await, beside.start_with(loopback()).await);
    bench.raise(1..=100);
    until("all of them", || receiver.count() >= 100).await;
    running_out(&bench).await;
    let ids: BTreeSet<String> = receiver.came().iter().map(|came| came.header("webhook-id")).collect();
    assert_eq!((receiver.count(), ids.len()), (100, 100));
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_delivered_is_verified_by_the_libraries_of_receivers() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let alpha = bench.team("alpha").await;
    let hook = webhook("hook", alpha, &receiver.url);
    bench.add(&hook).await;
    let rotated = new_signing_secret();
    let overlap = Milliseconds::from_hours(1);
    bench
        .store
        .rotate_endpoint_secret(&hook.name, &rotated, overlap)
        .await
        .unwrap();
    let topic = NewEndpoint {
        kind: EndpointKind::Kafka,
        target: "tocsin.deliveries.alpha".to_owned(),
        secret: String::new(),
        ..webhook("topic", alpha, "")
    };
    bench.add(&topic).await;
    let running = bench.start_with(loopback()).await;
    let levels = [AlertLevel::Raised, AlertLevel::Escalated, AlertLevel::Subsided];
    bench.ring(&levels.map(|level| alert(1, Scope::All, level, 1.0)));
    outcome(&running, "webhook", "delivered", 3.0).await;
    outcome(&running, "kafka", "delivered", 3.0).await;
    let requests: Vec<Value> = receiver
        .came()
        .iter()
        .map(|came| {
            let headers = came
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())));
            let headers: serde_json::Map<String, Value> = headers.collect();
            json!({"headers": headers, "body": std::str::from_utf8(&came.body).unwrap()})
        })
        .collect();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let records: Vec<Value> = bench
        .records("tocsin.deliveries.alpha")
        .iter()
        .map(|record| {
            let headers = record
                .headers
                .iter()
                .map(|header| (header.name.clone(), json!(text(&header.value))));
            let headers: serde_json::Map<String, Value> = headers.collect();
            let (key, value) = (text(record.key.as_ref().unwrap()), text(record.value.as_ref().unwrap()));
            json!({"headers": headers, "key": key, "value": value})
        })
        .collect();
    running.stop().await;
    let sent = json!({
        "secrets": [rotated, hook.secret],
        "stranger": new_signing_secret(),
        "requests": requests,
        "records": records,
    });
    let file = bench.directory.path().join("sent.json");
    std::fs::write(&file, sent.to_string()).unwrap();
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/checks/deliveries.py");
    let checked = std::process::Command::new("python3")
        .arg(script)
        .arg(&file)
        .output()
        .unwrap();
    let (said, failed) = (text(&checked.stdout), text(&checked.stderr));
    if checked.status.code() == Some(77) {
        eprintln!("skipped: {said}");
        return;
    }
    assert_eq!(said, "3 requests and 3 records verified\n", "{failed}");
}

async fn running_out(bench: &Bench) {
    while bench.store.delivery_counts().await.unwrap().waiting > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tools_that_review_are_told_in_their_own_words() {
    let bench = Bench::new().await;
    let (coop, ozone) = (Receiver::start().await, Receiver::start().await);
    coop.answer(201, Vec::new());
    let settings = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, text)| (name.to_string(), text.to_string()))
            .collect()
    };
    bench
        .add(&NewEndpoint {
            kind: EndpointKind::Coop,
            settings: settings(&[("item_type", "item-7"), ("reporter_type", "user-8"), ("policy", "tvec")]),
            secret: "coop-key".to_owned(),
            ..webhook("coop", Team::Coordinators, &coop.url)
        })
        .await;
    bench
        .add(&NewEndpoint {
            kind: EndpointKind::Ozone,
            settings: settings(&[("subject", "did:plc:subject"), ("created_by", "did:plc:tocsin")]),
            secret: "password".to_owned(),
            ..webhook("ozone", Team::Coordinators, &ozone.url)
        })
        .await;
    for (name, topic, shape) in [
        ("worker", "osprey.worker", "worker"),
        ("coordinator", "osprey.input", "coordinator"),
    ] {
        bench
            .add(&NewEndpoint {
                kind: EndpointKind::Osprey,
                target: topic.to_owned(),
                settings: settings(&[("shape", shape)]),
                ..webhook(name, Team::Coordinators, "")
            })
            .await;
        let spec = TopicSpec {
            name: topic.to_owned(),
            partitions: 1,
            cleanup: Cleanup::Delete,
            retention_ms: None,
            record_bytes_max: 1 << 20,
            may_grow: false,
            compaction: None,
        };
        bench.log.ensure_topics(&[spec]).unwrap();
    }
    let running = bench.start_with(loopback()).await;
    bench.ring(&[
        alert(1, Scope::All, AlertLevel::Raised, 10.0),
        alert(1, Scope::All, AlertLevel::Sustained, 10.0),
        alert(1, Scope::All, AlertLevel::Escalated, 999.0),
        alert(1, Scope::All, AlertLevel::Subsided, 1.0),
    ]);
    outcome(&running, "coop", "delivered", 2.0).await;
    outcome(&running, "ozone", "delivered", 3.0).await;
    outcome(&running, "osprey", "delivered", 8.0).await;
    let report = &coop.came()[0];
    assert_eq!(
        (report.path.as_str(), report.header("x-api-key")),
        ("/api/v1/report", "coop-key".to_owned())
    );
    let report = report.json();
    assert_eq!(report["reporter"]["kind"], "user");
    assert_eq!(report["reportedItem"]["typeId"], "item-7");
    assert_eq!(report["reportedForReason"]["policyId"], "tvec");
    let events: BTreeSet<String> = ozone
        .came()
        .iter()
        .inspect(|came| assert_eq!(came.path, "/xrpc/tools.ozone.moderation.emitEvent"))
        .map(|came| came.json()["event"]["$type"].as_str().unwrap().to_owned())
        .collect();
    let expected = ["modEventPriorityScore", "modEventReport", "modEventTag"];
    assert_eq!(
        events,
        expected
            .map(|kind| format!("tools.ozone.moderation.defs#{kind}"))
            .into()
    );
    for topic in ["osprey.worker", "osprey.input"] {
        let records = bench.records(topic);
        assert_eq!(records.len(), 4, "{topic}");
        for record in records {
            let action = tocsin_wire::osprey::decode(record.value.as_ref().unwrap(), None).unwrap();
            assert_eq!(action.name, "virality_alert");
            assert_eq!(action.data["family"], format!("{:032x}", 1));
        }
    }
    running.stop().await;
}
