//! Goal: over real HTTP, onto a real log, with a real store: good events arrive, every bad input gets its documented code, is counted,
//! and takes nothing good down with it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures::future::Either;
use prometheus::Registry;
use reqwest::{Body, RequestBuilder, Response};
use serde_json::{Value, json};
use tocsin_gateway::{EventsAnswer, Gateway, GatewayConfig};
use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
use tocsin_log::{Cleanup, SharedLog, TopicPartition, TopicSpec};
use tocsin_model::{Event, Name};
use tocsin_runtime::{Readiness, Shutdown, Traceparent, http};
use tocsin_store::{KeyId, KeySubject, PartyRecord, Role, Roles, Store};
use tocsin_wire::{Schemas, event};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct Bench {
    _directory: tempfile::TempDir,
    log: SharedLog,
    store: Store,
    party: PartyRecord,
    key_id: KeyId,
    key: String,
    address: String,
    client: reqwest::Client,
    shutdown: Shutdown,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn limits() -> GatewayConfig {
    GatewayConfig {
        body_timeout_ms: 200,
        ..GatewayConfig::default()
    }
}

impl Bench {
    async fn start(limits: GatewayConfig) -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let log: SharedLog = Arc::new(EmbeddedLog::open(directory.path(), EmbeddedOptions::default()).unwrap());
        let url = format!("sqlite:{}", directory.path().join("store.sqlite").display());
        let store = Store::open(&url).await.unwrap();
        let party = store
            .add_party(&name("acme"), &[name("video"), name("chat")])
            .await
            .unwrap();
        store.add_party(&name("other"), &[name("forum")]).await.unwrap();
        log.ensure_topics(&[TopicSpec {
            name: tocsin_wire::topics::ingest_name(&party.name),
            partitions: 2,
            cleanup: Cleanup::Delete,
            retention_ms: None,
            record_bytes_max: 2 << 20,
            may_grow: false,
            compaction: None,
        }])
        .unwrap();
        let publisher = Roles::of(&[Role::Publisher]);
        let (key_id, key) = store.issue_key(KeySubject::Party(party.id), publisher).await.unwrap();

        let registry = Registry::new();
        let gateway = Gateway::new(&limits, Arc::clone(&log), store.clone(), &registry).unwrap();
        let (router, _) = tocsin_gateway::router(Arc::new(gateway));
        let router = router.merge(http::operations(registry, Readiness::new()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = Shutdown::new();
        tokio::spawn(http::serve(listener, router, shutdown.clone()));
        Bench {
            _directory: directory,
            log,
            store,
            party,
            key_id,
            key: key.expose().to_owned(),
            address,
            client: reqwest::Client::new(),
            shutdown,
        }
    }

    fn post(&self, media_type: &str, body: impl Into<Body>) -> RequestBuilder {
        self.client
            .post(format!("{}/v1/events", self.address))
            .bearer_auth(&self.key)
            .header("content-type", media_type)
            .body(body)
    }

    async fn post_json(&self, body: &Value) -> Response {
        self.post("application/json", body.to_string()).send().await.unwrap()
    }

    async fn accepted(&self, request: RequestBuilder) -> EventsAnswer {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 202);
        response.json().await.unwrap()
    }

    async fn refused(&self, request: RequestBuilder, status: u16, code: &str) {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{code}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["type"], format!("urn:tocsin:problem:{code}"));
        self.counted(&format!(
            "tocsin_gateway_requests_total{{code=\"{code}\",status=\"{status}\"}} "
        ))
        .await;
    }

    /// One event is refused with `code`; a good event before it and one behind it are accepted and arrive.
    async fn refused_alone(&self, bad: Value, code: &str) {
        let before = self.events().len();
        let answer = self.post_json(&json!([good(1), bad, good(2)])).await;
        assert_eq!(answer.status(), 202, "{code}");
        let answer: EventsAnswer = answer.json().await.unwrap();
        assert_eq!((answer.accepted, answer.rejected), (2, 1), "{answer:?}");
        assert_eq!(answer.results[1].code.as_deref(), Some(code), "{answer:?}");
        assert_eq!(self.events().len(), before + 2);
        self.counted(&format!("tocsin_gateway_events_rejected_total{{code=\"{code}\"}} "))
            .await;

        let alone = self.post("application/json", bad.to_string());
        let response = alone.send().await.unwrap();
        assert_eq!(response.status(), 422, "{code}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["code"], "all_rejected");
        assert_eq!(problem["results"][0]["code"], code);
        assert_eq!(self.events().len(), before + 2);
    }

    async fn counted(&self, series: &str) {
        let url = format!("{}/metrics", self.address);
        let text = self.client.get(url).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with(series));
        let count: f64 = line.unwrap_or_else(|| panic!("{series} in {text}"))[series.len()..]
            .parse()
            .unwrap();
        assert!(count >= 1.0);
    }

    /// Everything on the party's topic, decoded as intake does.
    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        self.for_each_record(|record| {
            let decoded = event::decode(record.value.unwrap(), Schemas::builtin()).unwrap();
            events.extend(decoded.to_events().into_iter().map(Result::unwrap));
        });
        events
    }

    fn for_each_record(&self, mut each: impl FnMut(tocsin_log::RecordRef<'_>)) {
        let topic = tocsin_wire::topics::ingest_name(&self.party.name);
        let partitions: Vec<_> = (0..2)
            .map(|partition| TopicPartition::new(topic.as_str(), partition))
            .collect();
        let starts: Vec<_> = partitions.iter().map(|partition| (partition.clone(), 0)).collect();
        let mut reader = self.log.tail_reader(&starts).unwrap();
        let is_at_end = |reader: &dyn tocsin_log::TailReader| {
            let ends = |partition| self.log.bounds(partition).unwrap().1;
            partitions
                .iter()
                .all(|partition| reader.position(partition).unwrap_or(0) >= ends(partition))
        };
        while !is_at_end(reader.as_ref()) {
            reader.poll(Duration::from_millis(100), 1_000, &mut each).unwrap();
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

fn good(number: u32) -> Value {
    json!({
        "event_id": format!("01920000-0000-7000-8000-{number:012}"),
        "platform": "video",
        "kind": "upload",
        "occurred_at": "2026-03-15T13:40:00Z",
        "content": [{"algorithm": "sha256", "value": format!("{number:064x}")}],
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut event = good(9);
    event[field] = value;
    event
}

fn event_of(value: &Value) -> Event {
    event::from_json(value.to_string().as_bytes()).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_arrives_and_is_answered_event_by_event() {
    let bench = Bench::start(limits()).await;
    let forms: Vec<(&str, Vec<u8>)> = vec![
        ("application/json", good(1).to_string().into()),
        (
            "application/json; charset=utf-8",
            json!([good(2), good(3)]).to_string().into(),
        ),
        ("application/x-ndjson", format!("{}\n\n{}\r\n", good(4), good(5)).into()),
        ("application/avro", event::encode_single_object(&event_of(&good(6)))),
        (
            "avro/binary",
            event::encode_batch(&[event_of(&good(7)), event_of(&good(8))]),
        ),
    ];
    for (media_type, body) in forms {
        for packed in [false, true] {
            let request = match packed {
                true => bench.post(media_type, gzip(&body)).header("content-encoding", "gzip"),
                false => bench.post(media_type, body.clone()),
            };
            let answer = bench.accepted(request).await;
            assert_eq!(answer.rejected, 0, "{media_type}: {answer:?}");
            assert!(
                answer
                    .results
                    .iter()
                    .enumerate()
                    .all(|(place, result)| result.index == place)
            );
        }
    }
    // Each was sent twice, accepted twice, and is for the detector to count once.
    let mut events = bench.events();
    events.sort_by_key(|event| event.event_id);
    let expected: Vec<Event> = (1..=8)
        .flat_map(|number| [event_of(&good(number)), event_of(&good(number))])
        .collect();
    assert_eq!(events, expected);
    bench
        .counted("tocsin_gateway_events_total{party=\"acme\",status=\"accepted\"} ")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trace_goes_on_in_the_record() {
    let bench = Bench::start(limits()).await;
    let request = bench.post("application/json", good(1).to_string());
    bench.accepted(request.header("traceparent", TRACEPARENT)).await;
    let mut traces = Vec::new();
    bench.for_each_record(|record| traces.push(Traceparent::from_header(record.headers.get(Traceparent::HEADER))));
    assert_eq!(traces.len(), 1);
    assert_eq!(traces[0].trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_ne!(traces[0].to_string(), TRACEPARENT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_event_is_refused_alone() {
    let bench = Bench::start(limits()).await;
    let hash = |algorithm: &str, value: &str| json!([{"algorithm": algorithm, "value": value}]);
    let hashes = |count| json!(vec![json!({"algorithm": "md5", "value": "0".repeat(32)}); count]);
    let mut no_platform = good(9);
    no_platform.as_object_mut().unwrap().remove("platform");
    let cases = [
        (with("platform", json!("forum")), "platform_not_of_party"),
        (with("platform", json!("No Name")), "platform_malformed"),
        (no_platform, "missing_field"),
        (
            with("occurred_at", json!("1970-01-01T00:00:00Z")),
            "timestamp_out_of_range",
        ),
        (with("occurred_at", json!(0)), "timestamp_out_of_range"),
        (
            with("occurred_at", json!("2100-01-01T00:00:00Z")),
            "timestamp_out_of_range",
        ),
        (with("occurred_at", json!("yesterday")), "invalid_field"),
        (with("event_id", json!("")), "invalid_field"),
        (
            with("event_id", json!("00000000-0000-0000-0000-000000000000")),
            "event_id_nil",
        ),
        (with("content", json!([])), "no_routing_hash"),
        (with("content", hashes(17)), "list_too_long"),
        (with("content", hash("sha256", "abc")), "hash_malformed"),
        (with("content", hash("crc32", "00")), "algorithm_unknown"),
        (with("content", hash("url", &"u".repeat(2_049))), "hash_malformed"),
        (
            with("labels", json!([{"name": "x".repeat(65), "confidence": 1}])),
            "label_malformed",
        ),
        (with("sharing", json!("everyone")), "invalid_field"),
        (with("colour", json!("red")), "unknown_field"),
        (json!("not an event"), "malformed_json"),
    ];
    for (bad, code) in cases {
        bench.refused_alone(bad, code).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_that_stand_twice_in_a_request_are_told_apart() {
    let bench = Bench::start(limits()).await;
    let mut other = good(1);
    other["kind"] = json!("share");
    let answer: EventsAnswer = bench
        .post_json(&json!([good(1), good(1), other]))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!((answer.accepted, answer.duplicates, answer.rejected), (1, 1, 1));
    assert_eq!(answer.results[2].code.as_deref(), Some("event_id_reused"));
    assert_eq!(bench.events(), [event_of(&good(1))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_line_or_a_torn_batch_keeps_what_can_be_read() {
    let bench = Bench::start(limits()).await;
    let lines = format!("{}\n{{\"event_id\":\n{}\n", good(1), good(2));
    let answer = bench.accepted(bench.post("application/x-ndjson", lines)).await;
    assert_eq!((answer.accepted, answer.rejected), (2, 1));
    assert_eq!(answer.results[1].code.as_deref(), Some("malformed_json"));

    let mut torn = event::encode_batch(&[event_of(&good(3)), event_of(&good(4))]);
    torn.truncate(torn.len() - 20);
    let answer = bench.accepted(bench.post("application/avro", torn)).await;
    assert_eq!((answer.accepted, answer.rejected), (1, 1));
    assert_eq!(answer.results[1].code.as_deref(), Some("malformed_avro"));
    assert_eq!(bench.events().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_cannot_be_read_are_refused_whole() {
    let bench = Bench::start(limits()).await;
    let json = "application/json";
    let avro = "application/avro";
    let mut unknown_schema = event::encode_single_object(&event_of(&good(1)));
    unknown_schema[5] ^= 1;
    let too_many = format!("[{}1]", "1,".repeat(10_000));
    let million = format!("[{}1]", "1,".repeat(500_000 - 2));
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        (avro, vec![0xff, 0xfe, 0xfd], 400, "unknown_framing"),
        (avro, Vec::new(), 400, "unknown_framing"),
        (avro, vec![0, 0, 0, 0, 7, 1, 2], 400, "unknown_schema_id"),
        (avro, unknown_schema, 400, "unknown_schema"),
        (json, b"[{\"event_id\": ".to_vec(), 400, "malformed_json"),
        (json, b"[]".to_vec(), 422, "no_events"),
        (json, b"\xff\xfe\x00".to_vec(), 422, "all_rejected"),
        (json, vec![b'['; 100_000], 400, "malformed_json"),
        ("application/x-ndjson", b"\n\n".to_vec(), 422, "no_events"),
        (json, too_many.into_bytes(), 413, "too_many_events"),
        (json, million.into_bytes(), 413, "too_many_events"),
        (json, vec![b' '; (1 << 20) + 1], 413, "body_too_large"),
        ("text/plain", b"{}".to_vec(), 415, "unsupported_media_type"),
    ];
    for (media_type, body, status, code) in cases {
        bench.refused(bench.post(media_type, body), status, code).await;
    }
    assert_eq!(bench.events(), []);
    bench.accepted(bench.post(json, good(1).to_string())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packed_bodies_are_bounded_and_must_be_whole() {
    let bench = Bench::start(limits()).await;
    let packed = |bytes: Vec<u8>| bench.post("application/json", bytes).header("content-encoding", "gzip");
    let bomb = gzip(&vec![b' '; 200 << 20]);
    assert!(bomb.len() < 1 << 20);
    bench.refused(packed(bomb), 413, "body_too_large").await;
    bench.refused(packed(b"plain".to_vec()), 400, "invalid_body").await;
    let unknown = bench.post("application/json", "{}").header("content-encoding", "br");
    bench.refused(unknown, 415, "unsupported_media_type").await;
    bench.accepted(packed(gzip(good(1).to_string().as_bytes()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_body_times_out_and_blocks_nobody() {
    let bench = Bench::start(limits()).await;
    let begun = futures::stream::once(async { Ok::<_, std::io::Error>(b"[".to_vec()) });
    let never = futures::stream::pending();
    let body = Body::wrap_stream(futures::StreamExt::chain(begun, never));
    let slow = bench.refused(bench.post("application/json", body), 408, "body_timeout");
    let quick = bench.accepted(bench.post("application/json", good(1).to_string()));
    tokio::join!(slow, quick);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_requests_than_places_are_turned_away() {
    let bench = Bench::start(GatewayConfig {
        requests_max: 1,
        requests_per_party_max: 1,
        body_timeout_ms: 60_000,
        ..GatewayConfig::default()
    })
    .await;
    // Neither body ends before it is told to, so whichever request comes second finds no place.
    let endless = || {
        let (sender, body) = futures::channel::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
        let request = bench.post("application/json", Body::wrap_stream(body));
        (sender, Box::pin(request.send()))
    };
    let ((first_sender, first), (second_sender, second)) = (endless(), endless());
    let either = futures::future::select(first, second);
    let (response, holder, mut sender) = match tokio::time::timeout(Duration::from_secs(20), either).await.unwrap() {
        Either::Left((response, second)) => (response.unwrap(), second, second_sender),
        Either::Right((response, first)) => (response.unwrap(), first, first_sender),
    };
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "overloaded");
    bench
        .counted("tocsin_gateway_requests_total{code=\"overloaded\",status=\"503\"} ")
        .await;

    sender.try_send(Ok(good(2).to_string().into_bytes())).unwrap();
    drop(sender);
    assert_eq!(holder.await.unwrap().status(), 202);
    assert_eq!(bench.post_json(&good(3)).await.status(), 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_valid_key_of_a_party_publishes() {
    let bench = Bench::start(limits()).await;
    let body = good(1).to_string();
    let with_key = |key: &str| {
        let request = bench.client.post(format!("{}/v1/events", bench.address));
        request
            .header("content-type", "application/json")
            .bearer_auth(key)
            .body(body.clone())
    };
    let anonymous = bench
        .client
        .post(format!("{}/v1/events", bench.address))
        .body(body.clone());
    bench.refused(anonymous, 401, "unauthenticated").await;
    let wrong_secret = match bench.key.strip_suffix('0') {
        Some(start) => format!("{start}1"),
        None => format!("{}0", &bench.key[..bench.key.len() - 1]),
    };
    for key in ["", "abc", "tocsin_", &wrong_secret, &bench.key[..bench.key.len() - 1]] {
        bench.refused(with_key(key), 401, "unauthenticated").await;
    }
    let reader = Roles::of(&[Role::Reader]);
    let (_, reader) = bench
        .store
        .issue_key(KeySubject::Party(bench.party.id), reader)
        .await
        .unwrap();
    bench.refused(with_key(reader.expose()), 403, "forbidden").await;
    let (_, coordinator) = bench
        .store
        .issue_key(KeySubject::Coordinators, Roles::all())
        .await
        .unwrap();
    bench.refused(with_key(coordinator.expose()), 403, "forbidden").await;

    bench.accepted(with_key(&bench.key)).await;
    bench.store.revoke_key(bench.key_id).await.unwrap();
    bench.refused(with_key(&bench.key), 401, "unauthenticated").await;
    assert_eq!(bench.events().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_party_whose_topic_is_not_made_yet_is_told_to_wait() {
    let bench = Bench::start(limits()).await;
    let other = bench.store.party_named(&name("other")).await.unwrap();
    let (_, key) = bench
        .store
        .issue_key(KeySubject::Party(other.id), Roles::all())
        .await
        .unwrap();
    let mut event = good(1);
    event["platform"] = json!("forum");
    let request = bench
        .client
        .post(format!("{}/v1/events", bench.address))
        .bearer_auth(key.expose());
    let response = request.json(&event).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "5");
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_batch_becomes_records_that_intake_reads() {
    let bench = Bench::start(limits()).await;
    // 2,000 events of 1,700 bytes of URL: 3.4 MB, more than one record may hold.
    let events: Vec<Value> = (0..2_000)
        .map(|number| {
            let mut event = good(number);
            event["content"] =
                json!([{"algorithm": "url", "value": format!("https://example.org/{number}/{}", "x".repeat(1_700))}]);
            event
        })
        .collect();
    let body = gzip(json!(events).to_string().as_bytes());
    let answer = bench
        .accepted(bench.post("application/json", body).header("content-encoding", "gzip"))
        .await;
    assert_eq!(answer.accepted, 2_000);
    assert_eq!(bench.events().len(), 2_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_routes_and_methods_are_problems_too() {
    let bench = Bench::start(limits()).await;
    let get = |path: &str| bench.client.get(format!("{}{path}", bench.address));
    for (request, status, code) in [
        (get("/v1/nothing"), 404, "not_found"),
        (get("/v1/events"), 405, "method_not_allowed"),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.json::<Value>().await.unwrap()["code"], code);
    }
}
