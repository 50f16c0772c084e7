//! Goal: what people decide in Ozone is the team's decision here, once, and of the families that were reported there alone; what Tocsin or a machine said
//! decides nothing. Ozone is a server that answers as its lexicon says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tocsin_casework::Team;
use tocsin_dispatcher::{DispatcherConfig, check_endpoint};
use tocsin_model::{AlertLevel, KeyId, Scope};
use tocsin_store::{EndpointKind, KeySubject, NewEndpoint, Role, Roles};
use tocsin_wire::document::parse_instant;
use tocsin_wire::topics;

use crate::bench::{Bench, Running, alert, name, until};
use crate::carrying::case_until;
use crate::database::on_empty;

const ANNA: &str = "did:plc:anna";
const TOCSIN: &str = "did:plc:tocsin";
const STANDS: &str = "did:plc:stand";
const COLLECTION: &str = "org.tocsin.family";
const LEXICON: &str = "tools.ozone.moderation.defs#";
/// Fewer than are asked for, so that there are several pages.
const PAGE: usize = 3;

/// What Ozone knows: events, and how often it was asked.
#[derive(Clone, Default)]
struct Ozone {
    events: Arc<Mutex<Vec<Value>>>,
    asked: Arc<Mutex<u64>>,
}

impl Ozone {
    async fn start() -> (Ozone, String) {
        let ozone = Ozone::default();
        let routes = Router::new()
            .route("/xrpc/tools.ozone.moderation.queryEvents", get(query_events))
            .route("/xrpc/tools.ozone.moderation.emitEvent", post(emit_event))
            .with_state(ozone.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (ozone, address)
    }

    /// Something that somebody did.
    fn emit(&self, kind: &str, by: &str, subject: Value, change: impl FnOnce(&mut Value)) {
        let mut events = self.events.lock().unwrap();
        let mut event = json!({
            "id": events.len() as i64 + 1,
            "event": {"$type": format!("{LEXICON}{kind}"), "comment": "footage of the attack"},
            "subject": subject,
            "subjectBlobCids": [],
            "createdBy": by,
            "createdAt": now(),
        });
        change(&mut event);
        events.push(event);
    }

    fn asked(&self) -> u64 {
        *self.asked.lock().unwrap()
    }

    /// Waits until everything that is there now was read.
    async fn is_read(&self) {
        let asked = self.asked();
        until("Ozone is read again", || self.asked() > asked + 4).await;
    }
}

fn now() -> String {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    tocsin_wire::document::instant(tocsin_model::Timestamp(since.as_millis() as i64)).unwrap()
}

fn is_admin(headers: &HeaderMap) -> bool {
    // admin:pass
    headers
        .get("authorization")
        .is_some_and(|value| value == "Basic YWRtaW46cGFzcw==")
}

async fn emit_event(
    State(ozone): State<Ozone>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    if !is_admin(&headers) {
        return (
            StatusCode::UNAUTHORIZED,
            Json(json!({"error": "AuthenticationRequired"})),
        );
    }
    let kind = body["event"]["$type"]
        .as_str()
        .unwrap()
        .strip_prefix(LEXICON)
        .unwrap()
        .to_owned();
    let by = body["createdBy"].as_str().unwrap().to_owned();
    ozone.emit(&kind, &by, body["subject"].clone(), |event| {
        event["event"] = body["event"].clone()
    });
    (StatusCode::OK, Json(json!({})))
}

/// `tools.ozone.moderation.queryEvents`, ascending, as far as Tocsin asks.
async fn query_events(
    State(ozone): State<Ozone>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> (StatusCode, Json<Value>) {
    if !is_admin(&headers) {
        return (
            StatusCode::UNAUTHORIZED,
            Json(json!({"error": "AuthenticationRequired"})),
        );
    }
    *ozone.asked.lock().unwrap() += 1;
    let url = reqwest::Url::parse(&format!("http://ozone/?{}", query.unwrap_or_default())).unwrap();
    let mut asked: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in url.query_pairs() {
        asked.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    let one = |name: &str| asked.get(name).map(|values| values[0].clone());
    assert_eq!(one("sortDirection").as_deref(), Some("asc"));
    assert_eq!(one("subjectType").as_deref(), Some("record"));
    assert!((1..=100).contains(&one("limit").unwrap().parse::<u32>().unwrap()));
    let after = parse_instant(&one("createdAfter").unwrap()).expect("a datetime");
    let cursor: usize = one("cursor").map_or(0, |cursor| cursor.parse().unwrap());
    let events = ozone.events.lock().unwrap();
    let is_asked = |event: &&Value| {
        let is_type = asked["types"].iter().any(|kind| event["event"]["$type"] == **kind);
        let is_new = event["createdAt"]
            .as_str()
            .and_then(parse_instant)
            .is_none_or(|at| at >= after);
        let uri = event["subject"]["uri"].as_str().unwrap_or_default();
        let is_in = asked["collections"]
            .iter()
            .any(|collection| uri.contains(&format!("/{collection}/")));
        is_type && is_new && is_in
    };
    let found: Vec<Value> = events
        .iter()
        .filter(is_asked)
        .skip(cursor)
        .take(PAGE)
        .cloned()
        .collect();
    let mut answer = json!({"events": found});
    if found_is_full(&answer) {
        answer["cursor"] = json!((cursor + PAGE).to_string());
    }
    (StatusCode::OK, Json(answer))
}

fn found_is_full(answer: &Value) -> bool {
    answer["events"].as_array().unwrap().len() == PAGE
}

fn record(family: &Value) -> Value {
    let uri = format!("at://{STANDS}/{COLLECTION}/{}", family.as_str().unwrap());
    json!({"$type": "com.atproto.repo.strongRef", "uri": uri, "cid": "bafyreia"})
}

fn config() -> DispatcherConfig {
    DispatcherConfig {
        undo_s: 0,
        endpoint_networks: vec!["127.0.0.0/8".to_owned()],
        ..DispatcherConfig::default()
    }
}

async fn endpoint(bench: &Bench, address: &str) -> KeyId {
    let alpha = bench.store.party_named(&name("alpha")).await.unwrap().id;
    let issued = bench
        .store
        .issue_key(KeySubject::Party(alpha), Roles::of(&[Role::Moderator]))
        .await;
    let key = issued.unwrap().0;
    let settings = [
        ("subject", STANDS.to_owned()),
        ("created_by", TOCSIN.to_owned()),
        ("collection", COLLECTION.to_owned()),
        ("decide_as", key.to_string()),
        ("moderators", ANNA.to_owned()),
    ];
    let endpoint = NewEndpoint {
        name: name("alpha-ozone"),
        team: Team::Party(alpha),
        kind: EndpointKind::Ozone,
        target: address.to_owned(),
        settings: settings.map(|(name, text)| (name.to_owned(), text)).into(),
        secret: "pass".to_owned(),
    };
    check_endpoint(&endpoint, &config().endpoint_networks).unwrap();
    bench.store.add_endpoint(&endpoint).await.unwrap();
    key
}

async fn path_of(running: &Running, key: &str, family: &Value) -> String {
    let queue = running.get("/v1/queue", key).await;
    let case = queue["cases"]
        .as_array()
        .unwrap()
        .iter()
        .find(|case| case["family"] == *family)
        .unwrap();
    format!("/v1/cases/{}", case["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_decide_in_ozone_is_decided_here_once() {
    on_empty(async |url| {
        let bench = Bench::on(tempfile::tempdir().unwrap(), &url, tocsin_store::Clock::Database).await;
        let (ozone, address) = Ozone::start().await;
        let key = endpoint(&bench, &address).await;
        let running = bench.start_with(config()).await;
        let families = [1, 2, 3].map(|family| alert(family, Scope::All, AlertLevel::Raised, family as f64));
        bench.ring(&families);
        running.queue_of(3, &bench.alpha).await;
        let [one, two, three] = families.map(|alert| json!(alert.family.to_string()));

        // Each family is told to Ozone as a record of its own.
        until("three reports in Ozone", || ozone.events.lock().unwrap().len() == 3).await;
        let told: Vec<Value> = ozone
            .events
            .lock()
            .unwrap()
            .iter()
            .map(|event| event["subject"]["uri"].clone())
            .collect();
        assert!(
            [&one, &two, &three]
                .iter()
                .all(|family| told.contains(&record(family)["uri"])),
            "{told:?}"
        );

        let (path, second) = (
            path_of(&running, &bench.alpha, &one).await,
            path_of(&running, &bench.alpha, &two).await,
        );
        let third = path_of(&running, &bench.alpha, &three).await;
        // Somebody has the third in hand.
        running.post(&format!("{third}/claim"), &bench.alpha, json!({})).await;

        ozone.emit("modEventTakedown", TOCSIN, record(&two), |_| {});
        ozone.emit("modEventTakedown", "did:plc:automod", record(&two), |_| {});
        ozone.emit("modEventTakedown", ANNA, record(&json!("0".repeat(32))), |_| {});
        ozone.emit("modEventTakedown", ANNA, record(&two), |event| {
            event["createdBy"] = json!(7)
        });
        ozone.emit(
            "modEventTakedown",
            ANNA,
            json!({"$type": "com.atproto.admin.defs#repoRef", "did": STANDS}),
            |_| {},
        );
        ozone.emit("modEventAcknowledge", ANNA, record(&two), |_| {});
        ozone.emit("modEventTakedown", ANNA, record(&three), |_| {});
        ozone.emit("modEventEscalate", ANNA, record(&two), |_| {});
        ozone.emit("modEventTakedown", ANNA, record(&one), |event| {
            event["event"]["policies"] = json!(["terrorism"])
        });
        let decided = case_until(&running, &path, &bench.alpha, |case| case["state"] == "decided").await;
        let decision = &decided["decision"];
        assert_eq!(
            (
                &decision["verdict"],
                &decision["recommended_action"],
                &decision["policy"],
                &decision["rationale"]
            ),
            (
                &json!("violating"),
                &json!("remove"),
                &json!("terrorism"),
                &json!("footage of the attack")
            )
        );
        assert_eq!(decision["decided_by"], json!(key.to_string()));
        let escalated = running.get(&second, &bench.alpha).await;
        assert_eq!(
            (&escalated["state"], &escalated["desk"]),
            (&json!("open"), &json!("expert"))
        );
        assert_eq!(
            escalated["decision"],
            Value::Null,
            "neither Tocsin nor a machine decides"
        );
        let held = running.get(&third, &bench.alpha).await;
        assert_eq!((&held["state"], &held["decision"]), (&json!("claimed"), &Value::Null));
        let history = running.get(&format!("{third}/history"), &bench.alpha).await;
        let refused = history["steps"]
            .as_array()
            .unwrap()
            .iter()
            .find(|step| step["kind"] == "ozone_refused")
            .unwrap();
        assert_eq!(refused["about"], "case_claimed");
        // Of the other teams' cases of the same families nothing was decided.
        assert_eq!(running.queue_of(3, &bench.coordinators).await[0]["state"], "open");

        // It is read again and again, also by a process that knows nothing of it, and counts once.
        ozone.is_read().await;
        let malformed = "tocsin_dispatcher_ozone_events_total{outcome=\"malformed\"}";
        running.metric(malformed, |count| count == 1.0).await;
        running.stop().await;
        let running = bench.start_with(config()).await;
        ozone.is_read().await;
        until("the decision is on the log", || {
            bench.records(topics::DECISIONS).len() == 1
        })
        .await;
        let steps = running.get(&format!("{path}/history"), &bench.alpha).await;
        let count = |kind: &str| {
            steps["steps"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|step| step["kind"] == kind)
                .count()
        };
        assert_eq!((count("claimed"), count("decided")), (1, 1));

        ozone.emit("modEventReverseTakedown", ANNA, record(&one), |_| {});
        let reversed = case_until(&running, &path, &bench.alpha, |case| {
            case["decision"]["verdict"] == "benign"
        })
        .await;
        assert_eq!(reversed["decision"]["recommended_action"], "keep");
        until("both decisions are on the log", || {
            bench.records(topics::DECISIONS).len() == 2
        })
        .await;

        // A key that is no longer good decides nothing.
        bench.store.revoke_key(key).await.unwrap();
        ozone.emit("modEventTakedown", ANNA, record(&one), |_| {});
        let failures = "tocsin_dispatcher_ozone_read_failures_total";
        running.metric(failures, |failures| failures >= 1.0).await;
        assert_eq!(running.get(&path, &bench.alpha).await["decision"], reversed["decision"]);
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_an_undo_holds_back_its_family_alone() {
    let bench = Bench::new().await;
    let (ozone, address) = Ozone::start().await;
    endpoint(&bench, &address).await;
    let held = DispatcherConfig { undo_s: 2, ..config() };
    let running = bench.start_with(held).await;
    let families = [1, 2].map(|family| alert(family, Scope::All, AlertLevel::Raised, family as f64));
    bench.ring(&families);
    running.queue_of(2, &bench.alpha).await;
    let [one, two] = families.map(|alert| json!(alert.family.to_string()));
    let (first, second) = (
        path_of(&running, &bench.alpha, &one).await,
        path_of(&running, &bench.alpha, &two).await,
    );
    // The second finds the decision of the first held for undo, and the third is of another family.
    ozone.emit("modEventTakedown", ANNA, record(&one), |_| {});
    ozone.emit("modEventReverseTakedown", ANNA, record(&one), |_| {});
    ozone.emit("modEventTakedown", ANNA, record(&two), |_| {});
    let taken = case_until(&running, &second, &bench.alpha, |case| case["state"] == "decided").await;
    assert_eq!(taken["decision"]["verdict"], "violating");
    let waits = running.get(&first, &bench.alpha).await;
    assert_eq!(
        waits["decision"]["verdict"], "violating",
        "the second was taken beside it"
    );
    let reversed = case_until(&running, &first, &bench.alpha, |case| {
        case["decision"]["verdict"] == "benign"
    })
    .await;
    assert_eq!(reversed["decision"]["recommended_action"], "keep");
    let decided = "tocsin_dispatcher_ozone_events_total{outcome=\"decided\"}";
    running.metric(decided, |count| count == 3.0).await;
    let failures = "tocsin_dispatcher_ozone_read_failures_total";
    running.metric(failures, |count| count == 0.0).await;
    running.stop().await;
}
