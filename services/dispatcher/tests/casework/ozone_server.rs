//! An Ozone: a server that keeps moderation events, takes and tells them as its lexicon and its code say, and fails as it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tocsin_wire::document::parse_instant;

use crate::bench::until;

pub const ANNA: &str = "did:plc:anna";
pub const TOCSIN: &str = "did:plc:tocsin";
pub const STANDS: &str = "did:plc:stand";
pub const COLLECTION: &str = "org.tocsin.family";
pub const LEXICON: &str = "tools.ozone.moderation.defs#";
/// Fewer than are asked for, so that there are several pages.
const PAGE: usize = 3;

/// What Ozone knows: events, and how often it was asked.
#[derive(Clone, Default)]
pub struct Ozone {
    pub events: Arc<Mutex<Vec<Value>>>,
    /// How often its events were read from the beginning on.
    asked: Arc<Mutex<u64>>,
    /// The records that are there, by their URIs.
    records: Arc<Mutex<BTreeMap<String, Value>>>,
    /// How often records were asked for in vain.
    refused: Arc<Mutex<u64>>,
    /// What becomes of the next requests to take an event.
    faults: Arc<Mutex<VecDeque<Fault>>>,
}

/// How a request goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It is too much: again after seven seconds.
    TooMany,
    /// The event is taken, and its answer is lost on the way.
    Lost,
    /// The event is taken, and its answer breaks off.
    Half,
}

impl Ozone {
    pub async fn start() -> (Ozone, String) {
        let ozone = Ozone::default();
        let routes = Router::new()
            .route("/xrpc/tools.ozone.moderation.queryEvents", get(query_events))
            .route("/xrpc/tools.ozone.moderation.getRecords", get(get_records))
            .route("/xrpc/tools.ozone.moderation.emitEvent", post(emit_event))
            .with_state(ozone.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (ozone, address)
    }

    /// Something that somebody did.
    pub fn emit(&self, kind: &str, by: &str, subject: Value, change: impl FnOnce(&mut Value)) {
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

    pub fn asked(&self) -> u64 {
        *self.asked.lock().unwrap()
    }

    /// Takes an event as Ozone does, in the order in which it looks.
    fn take(&self, body: &Value) -> Result<(), (&'static str, &'static str)> {
        let kind = body["event"]["$type"]
            .as_str()
            .unwrap()
            .strip_prefix(LEXICON)
            .unwrap()
            .to_owned();
        let of_subject = self.of(&body["subject"]["uri"]);
        let is_kind = |event: &Value, kind: &str| event["event"]["$type"] == format!("{LEXICON}{kind}");
        let count = |kind: &str| of_subject.iter().filter(|event| is_kind(event, kind)).count();
        let is_down = count("modEventTakedown") > count("modEventReverseTakedown");
        match kind.as_str() {
            "modEventTakedown" if is_down => return Err(("InvalidRequest", "Subject is already taken down")),
            "modEventReverseTakedown" if !is_down => return Err(("InvalidRequest", "Subject is not taken down")),
            _ => {}
        }
        let is_same = |event: &&Value| is_kind(event, &kind) && event["externalId"] == body["externalId"];
        if !body["externalId"].is_null() && of_subject.iter().any(|event| is_same(&event)) {
            return Err((
                "DuplicateExternalId",
                "An event with the same external ID already exists for the subject.",
            ));
        }
        let by = body["createdBy"].as_str().unwrap().to_owned();
        self.emit(&kind, &by, body["subject"].clone(), |event| {
            event["event"] = body["event"].clone();
            event["externalId"] = body["externalId"].clone();
            event["subjectBlobCids"] = body["subjectBlobCids"].clone();
            if event["subjectBlobCids"].is_null() {
                event["subjectBlobCids"] = json!([]);
            }
        });
        Ok(())
    }

    /// A record with these blobs is there.
    pub fn show(&self, record: &Value, blobs: &[String]) {
        let blobs: Vec<Value> = blobs
            .iter()
            .map(|cid| json!({"cid": cid, "mimeType": "image/jpeg", "size": 7, "createdAt": now()}))
            .collect();
        let uri = record["uri"].as_str().unwrap().to_owned();
        let view = json!({
            "$type": format!("{LEXICON}recordViewDetail"),
            "uri": uri,
            "cid": record["cid"],
            "value": {"$type": "app.bsky.feed.post", "text": ""},
            "blobs": blobs,
            "indexedAt": now(),
        });
        self.records.lock().unwrap().insert(uri, view);
    }

    /// How often it was asked for records in vain.
    pub fn refused(&self) -> u64 {
        *self.refused.lock().unwrap()
    }

    /// The events on a subject.
    pub fn of(&self, uri: &Value) -> Vec<Value> {
        let events = self.events.lock().unwrap();
        events
            .iter()
            .filter(|event| event["subject"]["uri"] == *uri)
            .cloned()
            .collect()
    }

    /// The kinds of the events that Tocsin brought about a subject, in order.
    pub fn told(&self, uri: &Value) -> Vec<String> {
        let of = self.of(uri);
        let own = of.iter().filter(|event| event["createdBy"] == TOCSIN);
        let kind = |event: &Value| event["event"]["$type"].as_str().unwrap().replace(LEXICON, "");
        own.map(kind).collect()
    }

    /// Goes wrong so, the next times.
    pub fn fail(&self, faults: &[Fault]) {
        self.faults.lock().unwrap().extend(faults);
    }

    pub fn faults_left(&self) -> usize {
        self.faults.lock().unwrap().len()
    }

    /// Waits until everything that is there now was read: a read begins when the one before it is done.
    pub async fn is_read(&self) {
        let asked = self.asked();
        until("Ozone is read again", || self.asked() > asked + 1).await;
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

async fn emit_event(State(ozone): State<Ozone>, headers: HeaderMap, Json(body): Json<Value>) -> Response<Body> {
    let answer = |status: u16, body: Value| {
        Response::builder()
            .status(status)
            .body(body.to_string().into())
            .unwrap()
    };
    if !is_admin(&headers) {
        return answer(401, json!({"error": "AuthenticationRequired"}));
    }
    let fault = ozone.faults.lock().unwrap().pop_front();
    if matches!(fault, Some(Fault::TooMany)) {
        let limited = Response::builder().status(429).header("retry-after", "7");
        return limited
            .body(json!({"error": "RateLimitExceeded"}).to_string().into())
            .unwrap();
    }
    if let Err((error, message)) = ozone.take(&body) {
        return answer(400, json!({"error": error, "message": message}));
    }
    match fault {
        Some(Fault::Lost) => answer(502, json!({})),
        Some(Fault::Half) => {
            let broken = std::io::Error::other("broken off");
            let parts = [Ok(Bytes::from_static(b"{\"id\": ")), Err(broken)];
            Response::new(Body::from_stream(futures::stream::iter(parts)))
        }
        _ => answer(200, json!({"id": 1})),
    }
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
    if one("cursor").is_none() {
        *ozone.asked.lock().unwrap() += 1;
    }
    let cursor: usize = one("cursor").map_or(0, |cursor| cursor.parse().unwrap());
    let events = ozone.events.lock().unwrap();
    let is_asked = |event: &&Value| {
        let is_type = asked["types"].iter().any(|kind| event["event"]["$type"] == **kind);
        let is_new = event["createdAt"]
            .as_str()
            .and_then(parse_instant)
            .is_none_or(|at| at >= after);
        let uri = event["subject"]["uri"].as_str().unwrap_or_default();
        let collections = asked.get("collections");
        let is_in = collections.is_none_or(|all| all.iter().any(|collection| uri.contains(&format!("/{collection}/"))));
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

/// `tools.ozone.moderation.getRecords`; the first time it is in no state to say.
async fn get_records(
    State(ozone): State<Ozone>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> (StatusCode, Json<Value>) {
    if !is_admin(&headers) {
        let refused = json!({"error": "AuthenticationRequired"});
        return (StatusCode::UNAUTHORIZED, Json(refused));
    }
    let mut refused = ozone.refused.lock().unwrap();
    if *refused == 0 {
        *refused += 1;
        let error = json!({"error": "UpstreamFailure"});
        return (StatusCode::BAD_GATEWAY, Json(error));
    }
    let url = reqwest::Url::parse(&format!("http://ozone/?{}", query.unwrap_or_default())).unwrap();
    let uris: Vec<String> = url.query_pairs().map(|(_, uri)| uri.into_owned()).collect();
    assert!((1..=100).contains(&uris.len()), "{uris:?}");
    let records = ozone.records.lock().unwrap();
    let not_found = |uri: &str| json!({"$type": format!("{LEXICON}recordViewNotFound"), "uri": uri});
    let view = |uri: &String| records.get(uri).cloned().unwrap_or_else(|| not_found(uri));
    let views: Vec<Value> = uris.iter().map(view).collect();
    (StatusCode::OK, Json(json!({ "records": views })))
}

fn found_is_full(answer: &Value) -> bool {
    answer["events"].as_array().unwrap().len() == PAGE
}

pub fn record(family: &Value) -> Value {
    let uri = format!("at://{STANDS}/{COLLECTION}/{}", family.as_str().unwrap());
    json!({"$type": "com.atproto.repo.strongRef", "uri": uri, "cid": "bafyreia"})
}
