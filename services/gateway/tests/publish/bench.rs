use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use reqwest::{Body, RequestBuilder, Response};
use serde_json::{Value, json};
use tocsin_gateway::{EventsAnswer, Gateway, GatewayConfig};
use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
use tocsin_log::{Cleanup, SharedLog, TopicPartition, TopicSpec};
use tocsin_model::KeyId;
use tocsin_model::{Event, Name};
use tocsin_runtime::{Readiness, Shutdown, http};
use tocsin_store::{KeySubject, PartyRecord, Role, Roles, Store};
use tocsin_wire::{Schemas, event};

/// A gateway over real HTTP, on a real log, with a real store; one party, `acme`.
pub(crate) struct Bench {
    _directory: tempfile::TempDir,
    log: SharedLog,
    pub(crate) store: Store,
    pub(crate) party: PartyRecord,
    pub(crate) key_id: KeyId,
    pub(crate) key: String,
    pub(crate) address: String,
    pub(crate) client: reqwest::Client,
    shutdown: Shutdown,
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn limits() -> GatewayConfig {
    GatewayConfig {
        body_timeout_ms: 200,
        ..GatewayConfig::default()
    }
}

impl Bench {
    pub(crate) async fn start(limits: GatewayConfig) -> Bench {
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
            // A connection for each request: the server closes one whose body it refused unread, and a request must not race with that.
            client: reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap(),
            shutdown,
        }
    }

    pub(crate) fn post(&self, media_type: &str, body: impl Into<Body>) -> RequestBuilder {
        self.client
            .post(format!("{}/v1/events", self.address))
            .bearer_auth(&self.key)
            .header("content-type", media_type)
            .body(body)
    }

    pub(crate) async fn post_json(&self, body: &Value) -> Response {
        self.post("application/json", body.to_string()).send().await.unwrap()
    }

    pub(crate) async fn accepted(&self, request: RequestBuilder) -> EventsAnswer {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 202);
        response.json().await.unwrap()
    }

    pub(crate) async fn refused(&self, request: RequestBuilder, status: u16, code: &str) {
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
    pub(crate) async fn refused_alone(&self, bad: Value, code: &str) {
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

    pub(crate) async fn counted(&self, series: &str) {
        let url = format!("{}/metrics", self.address);
        let text = self.client.get(url).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with(series));
        let count: f64 = line.unwrap_or_else(|| panic!("{series} in {text}"))[series.len()..]
            .parse()
            .unwrap();
        assert!(count >= 1.0);
    }

    /// Everything on the party's topic, decoded as intake does.
    pub(crate) fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        self.for_each_record(|record| {
            let decoded = event::decode(record.value.unwrap(), Schemas::builtin()).unwrap();
            events.extend(decoded.to_events().into_iter().map(Result::unwrap));
        });
        events
    }

    pub(crate) fn for_each_record(&self, mut each: impl FnMut(tocsin_log::RecordRef<'_>)) {
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

pub(crate) fn good(number: u32) -> Value {
    json!({
        "event_id": format!("01920000-0000-7000-8000-{number:012}"),
        "platform": "video",
        "kind": "upload",
        "occurred_at": "2026-03-15T13:40:00Z",
        "content": [{"algorithm": "sha256", "value": format!("{number:064x}")}],
    })
}

pub(crate) fn with(field: &str, value: Value) -> Value {
    let mut event = good(9);
    event[field] = value;
    event
}

pub(crate) fn event_of(value: &Value) -> Event {
    event::from_json(value.to_string().as_bytes()).unwrap()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
