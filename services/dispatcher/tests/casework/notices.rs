//! Goal: an order reaches a moderator before everything else, within its hour, and is escalated when nobody answers it; over HTTP.

use reqwest::Method;
use serde_json::{Value, json};
use tocsin_dispatcher::DispatcherConfig;
use tocsin_model::{AlertLevel, Algorithm, ContentHash, DeploymentKey, FamilyId, Milliseconds, Scope, Timestamp};
use tocsin_store::{Clock, EndpointKind, NewEndpoint};
use tocsin_wire::document::instant;

use crate::bench::{Bench, alert, until};
use crate::deliveries::{loopback, webhook};
use crate::receiver::Receiver;

const NOON: Timestamp = Timestamp(1_770_000_000_000);

fn order(reference: &str, byte: u8, received_at: Timestamp) -> Value {
    json!({
        "kind": "removal_order",
        "authority": "Bundeskriminalamt",
        "reference": reference,
        "content": {"algorithm": "sha256", "value": hex(byte)},
        "platform": "alpha-video",
        "received_at": instant(received_at),
        "urls": ["https://example.org/v/1"],
        "statement": "incites to an attack",
    })
}

fn hex(byte: u8) -> String {
    format!("{byte:02x}").repeat(32)
}

/// The content of this hash, as a family of its own.
fn family(byte: u8) -> FamilyId {
    let hash = ContentHash::from_bytes(Algorithm::Sha256, vec![byte; 32], None).unwrap();
    FamilyId(DeploymentKey::from_bytes([7; 32]).content_id(&hash))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_about_what_nobody_saw_is_a_case_that_is_handed_out_first_and_escalated_in_time() {
    let clock = Clock::standing_at(NOON);
    let bench = Bench::with_clock(clock.clone()).await;
    let running = bench.start_with(DispatcherConfig::default()).await;
    bench.ring(&[alert(1, Scope::All, AlertLevel::Raised, 1e6)]);
    running.queue_of(1, &bench.alpha).await;
    until("parties announced", || {
        running.readiness.parts().values().all(Option::is_none)
    })
    .await;
    let filed = running.post("/v1/notices", &bench.alpha, order("A-1", 200, NOON)).await;
    assert_eq!((&filed["state"], &filed["left_s"]), (&json!("open"), &json!(3_600)));
    assert_eq!(
        (&filed["platform"], &filed["content"]["value"]),
        (&json!("alpha-video"), &json!(hex(200)))
    );
    let again = running.post("/v1/notices", &bench.alpha, order("A-1", 200, NOON)).await;
    assert_eq!(again["id"], filed["id"]);
    let queue = running.queue_of(2, &bench.alpha).await;
    assert_eq!(
        queue[1]["id"], filed["case"],
        "its hour is young, and nothing is known of it"
    );
    assert_eq!(
        (&queue[1]["alert"], &queue[1]["lane"]),
        (&Value::Null, &json!("notices"))
    );
    assert_eq!(
        (&queue[1]["hash"]["value"], &queue[1]["open_notices"]),
        (&json!(hex(200)), &json!(1))
    );
    assert_eq!(queue[1]["clocks"]["golden_until"], Value::Null);

    clock.advance(Milliseconds::from_minutes(30));
    let queue = running.queue_of(2, &bench.alpha).await;
    assert_eq!(queue[0]["id"], filed["case"], "half an hour is left");
    let claimed = running
        .post("/v1/queue/claim", &bench.alpha, json!({"lease_s": 60}))
        .await;
    assert_eq!(claimed["case"]["id"], filed["case"]);
    // An alert that comes later finds the case there is.
    let mut late = alert(9, Scope::All, AlertLevel::Raised, 3.0);
    late.family = family(200);
    bench.ring(&[late]);
    running
        .metric("tocsin_dispatcher_alert_effects_total{effect=\"updated\"}", |count| {
            count == 1.0
        })
        .await;

    clock.advance(Milliseconds::from_minutes(30));
    running
        .metric(
            "tocsin_dispatcher_notices_overdue_total{kind=\"removal_order\"}",
            |count| count == 1.0,
        )
        .await;
    let path = format!("/v1/notices/{}", filed["id"].as_str().unwrap());
    let notice = running.get(&path, &bench.alpha).await;
    assert_eq!((&notice["state"], &notice["left_s"]), (&json!("overdue"), &json!(0)));
    assert_eq!(
        notice["overdue_at"].as_str().map(str::to_owned),
        instant(NOON + Milliseconds::from_hours(1))
    );
    let overdue = running.get("/v1/notices?state=overdue", &bench.alpha).await;
    assert_eq!(overdue["notices"][0]["id"], filed["id"]);
    let case = format!("/v1/cases/{}", filed["case"].as_str().unwrap());
    let history = running.get(&format!("{case}/history"), &bench.alpha).await;
    assert_eq!(
        (&history["steps"][0]["kind"], &history["steps"][0]["who"]),
        (&json!("notice_overdue"), &Value::Null)
    );

    let suspend = json!({"ground": "insufficient_information", "note": "the address is cut off"});
    let suspended = running.post(&format!("{path}/suspend"), &bench.alpha, suspend).await;
    assert_eq!(
        (&suspended["state"], &suspended["left_s"]),
        (&json!("suspended"), &Value::Null)
    );
    let resumed = running.post(&format!("{path}/resume"), &bench.alpha, json!({})).await;
    assert_eq!((&resumed["state"], &resumed["left_s"]), (&json!("open"), &json!(3_600)));
    let removed = json!({"outcome": "removed", "note": "removed at 12:40"});
    let answered = running
        .post(&format!("{path}/answer"), &bench.alpha, removed.clone())
        .await;
    assert_eq!(
        (&answered["state"], &answered["answer"]["outcome"]),
        (&json!("answered"), &json!("removed"))
    );
    running.post(&format!("{path}/answer"), &bench.alpha, removed).await;
    assert_eq!(running.get(&case, &bench.alpha).await["open_notices"], 0);

    let threat = json!({"authority": "Europol", "statement": "names a place and an hour"});
    let told = running.post(&format!("{case}/threat"), &bench.alpha, threat).await;
    assert_eq!(
        (&told["kind"], &told["authority"]),
        (&json!("threat_to_life"), &json!("Europol"))
    );
    let reply = format!("/v1/notices/{}/answer", told["id"].as_str().unwrap());
    let replied = json!({"outcome": "replied", "note": "a patrol is there"});
    let replied = running.post(&reply, &bench.alpha, replied).await;
    assert_eq!(replied["answer"]["note"], "a patrol is there");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_notices_get_their_documented_codes_and_open_nothing() {
    let bench = Bench::with_clock(Clock::standing_at(NOON)).await;
    let running = bench.start().await;
    until("parties announced", || {
        running.readiness.parts().values().all(Option::is_none)
    })
    .await;
    let key = bench.alpha.as_str();
    let with = |field: &str, value: Value| {
        let mut changed = order("A-1", 200, NOON);
        changed[field] = value;
        changed
    };
    let (id, nobody) = ("0".repeat(32), format!("/v1/notices/{}", "0".repeat(32)));
    let unknown_case =
        json!({"kind": "referral", "authority": "a", "reference": "b", "case": id, "received_at": instant(NOON)});
    for (body, expected) in [
        (with("kind", json!("threat_to_life")), (400, "invalid_body")),
        (with("received_at", json!("noon")), (400, "invalid_body")),
        (with("platform", json!("nowhere")), (400, "invalid_body")),
        (with("content", Value::Null), (400, "invalid_body")),
        (with("case", json!(id)), (400, "invalid_body")),
        (
            with("content", json!({"algorithm": "sha256", "value": "ab"})),
            (400, "invalid_body"),
        ),
        (with("authority", json!("")), (422, "notice_malformed")),
        (with("statement", json!("a".repeat(2_049))), (422, "notice_malformed")),
        (
            with("received_at", json!(instant(NOON + Milliseconds::from_hours(1)))),
            (422, "notice_times"),
        ),
        (unknown_case, (404, "case_unknown")),
    ] {
        running
            .refused(Method::POST, "/v1/notices", key, Some(body), expected)
            .await;
    }
    let answer = || Some(json!({"outcome": "removed"}));
    for (method, path, key, body, expected) in [
        (Method::GET, nobody.clone(), key, None, (404, "notice_unknown")),
        (
            Method::GET,
            "/v1/notices/x".to_owned(),
            key,
            None,
            (404, "notice_unknown"),
        ),
        (
            Method::GET,
            "/v1/notices?state=lost".to_owned(),
            key,
            None,
            (400, "invalid_parameter"),
        ),
        (
            Method::GET,
            "/v1/notices?limit=0".to_owned(),
            key,
            None,
            (400, "invalid_parameter"),
        ),
        (
            Method::GET,
            "/v1/notices?after=z".to_owned(),
            key,
            None,
            (400, "invalid_parameter"),
        ),
        (
            Method::GET,
            "/v1/notices".to_owned(),
            &bench.operator,
            None,
            (403, "no_queue"),
        ),
        (
            Method::POST,
            format!("{nobody}/answer"),
            key,
            answer(),
            (404, "notice_unknown"),
        ),
        (
            Method::POST,
            "/v1/notices".to_owned(),
            &bench.reader,
            Some(json!({})),
            (403, "forbidden"),
        ),
    ] {
        running.refused(method, &path, key, body, expected).await;
    }
    running.queue_of(0, key).await;
    let filed = running.post("/v1/notices", key, order("A-1", 200, NOON)).await;
    let path = format!("/v1/notices/{}", filed["id"].as_str().unwrap());
    // Another team knows nothing of it.
    running
        .refused(Method::GET, &path, &bench.beta, None, (404, "notice_unknown"))
        .await;
    let differs = Some(order("A-1", 201, NOON));
    running
        .refused(Method::POST, "/v1/notices", key, differs, (409, "notice_differs"))
        .await;
    let replied = Some(json!({"outcome": "replied", "note": "thanks"}));
    running
        .refused(
            Method::POST,
            &format!("{path}/answer"),
            key,
            replied,
            (422, "notice_outcome"),
        )
        .await;
    running
        .refused(
            Method::POST,
            &format!("{path}/resume"),
            key,
            Some(json!({})),
            (409, "notice_running"),
        )
        .await;
    let silent = Some(json!({"ground": "impossible", "note": " "}));
    running
        .refused(
            Method::POST,
            &format!("{path}/suspend"),
            key,
            silent,
            (422, "notice_note"),
        )
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_late_reaches_the_endpoints_of_its_team_once_for_each_deadline() {
    let clock = Clock::standing_at(NOON);
    let bench = Bench::with_clock(clock.clone()).await;
    let (of_alpha, of_beta, of_coordinators) = (
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let (alpha, beta) = (bench.team("alpha").await, bench.team("beta").await);
    bench.add(&webhook("of-alpha", alpha, &of_alpha.url)).await;
    bench.add(&webhook("of-beta", beta, &of_beta.url)).await;
    let coordinators = tocsin_casework::Team::Coordinators;
    bench
        .add(&webhook("of-coordinators", coordinators, &of_coordinators.url))
        .await;
    let topic = NewEndpoint {
        kind: EndpointKind::Kafka,
        target: "tocsin.deliveries.alpha".to_owned(),
        secret: String::new(),
        ..webhook("topic-of-alpha", alpha, "")
    };
    bench.add(&topic).await;
    let running = bench.start_with(loopback()).await;
    until("parties announced", || {
        running.readiness.parts().values().all(Option::is_none)
    })
    .await;
    let filed = running.post("/v1/notices", &bench.alpha, order("A-7", 200, NOON)).await;
    clock.advance(Milliseconds::from_minutes(59));
    running.queue_of(1, &bench.alpha).await;
    assert_eq!(of_alpha.count(), 0, "a minute is left");
    clock.advance(Milliseconds::from_minutes(1));
    until("alpha is told", || of_alpha.count() == 1).await;
    let came = &of_alpha.came()[0];
    assert_eq!(came.header("ce-type"), "tocsin.notice.overdue");
    assert_eq!(came.header("ce-subject"), family(200).to_string());
    let due = json!(instant(NOON + Milliseconds::from_hours(1)));
    assert_eq!(
        came.json(),
        json!({
            "notice": filed["id"],
            "case": filed["case"],
            "family": family(200).to_string(),
            "kind": "removal_order",
            "authority": "Bundeskriminalamt",
            "reference": "A-7",
            "part": 0,
            "platform": "alpha-video",
            "received_at": instant(NOON),
            "due_at": due,
            "overdue_at": due,
        })
    );
    // The topic is made when it is first written to.
    let delivered = "tocsin_dispatcher_deliveries_total{kind=\"kafka\",outcome=\"delivered\"}";
    running.metric(delivered, |count| count == 1.0).await;
    until("it is in the topic", || {
        bench.records("tocsin.deliveries.alpha").len() == 1
    })
    .await;
    assert_eq!(
        bench.records("tocsin.deliveries.alpha")[0].value.as_deref(),
        Some(&came.body[..])
    );

    // Nothing more comes of this deadline, also from a process that starts; of the next one something does.
    running.stop().await;
    let running = bench.start_with(loopback()).await;
    let path = format!("/v1/notices/{}", filed["id"].as_str().unwrap());
    let suspend = json!({"ground": "manifest_errors", "note": "the address is cut off"});
    running.post(&format!("{path}/suspend"), &bench.alpha, suspend).await;
    running.post(&format!("{path}/resume"), &bench.alpha, json!({})).await;
    clock.advance(Milliseconds::from_hours(1));
    until("alpha is told again", || of_alpha.count() == 2).await;
    let came = of_alpha.came();
    assert_ne!(came[0].header("ce-id"), came[1].header("ce-id"));
    until("both are in the topic", || {
        bench.records("tocsin.deliveries.alpha").len() == 2
    })
    .await;
    assert_eq!(
        (of_beta.count(), of_coordinators.count()),
        (0, 0),
        "whose orders are none of theirs"
    );
    running.stop().await;
}
