//! Goal: clients that hang up while the log is slow do not make room for more bodies than there are places.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use prometheus::Registry;
use tocsin_gateway::{Gateway, GatewayConfig};
use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
use tocsin_log::{
    Append, Appender, AppenderOptions, Cleanup, Completion, Log, LogDecorator, LogError, SharedLog, TopicSpec,
};
use tocsin_model::Name;
use tocsin_store::{KeySubject, Role, Roles, Store};
use tower::ServiceExt as _;

/// A log whose appenders wait at a gate, as they do while a log's buffer is full.
struct SlowLog {
    log: EmbeddedLog,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    waiting: usize,
    open: bool,
}

struct SlowAppender {
    appender: Box<dyn Appender>,
    gate: Arc<Gate>,
}

impl Gate {
    fn open(&self) {
        self.state.lock().unwrap().open = true;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        let mut state = self.changed.wait_while(state, |state| !state.open).unwrap();
        state.waiting -= 1;
    }

    fn waiting(&self) -> usize {
        self.state.lock().unwrap().waiting
    }
}

impl Appender for SlowAppender {
    fn append(&self, records: Vec<Append>) -> Completion {
        self.gate.pass();
        self.appender.append(records)
    }
}

impl LogDecorator for SlowLog {
    fn inner(&self) -> &dyn Log {
        &self.log
    }

    fn appender(&self, options: AppenderOptions) -> Result<Box<dyn Appender>, LogError> {
        Ok(Box::new(SlowAppender {
            appender: self.log.appender(options)?,
            gate: Arc::clone(&self.gate),
        }))
    }
}

/// Opens the gate however a test ends: a runtime waits for its blocked threads.
struct Opens(Arc<Gate>);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.open();
    }
}

struct Bench {
    router: Router,
    key: String,
}

impl Bench {
    async fn post(&self) -> Response {
        let event = r#"{"event_id":"01890a5d-ac96-774b-bcce-b302099a8057","platform":"video","kind":"share",
            "occurred_at":"2026-03-15T12:00:00Z","content":[{"algorithm":"url","value":"https://tests.invalid/1"}]}"#;
        let request = Request::post("/v1/events")
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
            .body(Body::from(event))
            .unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "gave up waiting until {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await; // poll: until the condition holds or its time is up
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_stays_taken_while_its_body_is_in_hand() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gate::default());
    let _opens = Opens(Arc::clone(&gate));
    let log: SharedLog = Arc::new(SlowLog {
        log: EmbeddedLog::open(directory.path(), EmbeddedOptions::default()).unwrap(),
        gate: Arc::clone(&gate),
    });
    let url = format!("sqlite:{}", directory.path().join("store.sqlite").display());
    let store = Store::open(&url).await.unwrap();
    let party: Name = "acme".parse().unwrap();
    let party = store.add_party(&party, &["video".parse().unwrap()]).await.unwrap();
    log.ensure_topics(&[TopicSpec {
        name: tocsin_wire::topics::ingest_name(&party.name),
        partitions: 1,
        cleanup: Cleanup::Delete,
        retention_ms: None,
        record_bytes_max: 2 << 20,
        may_grow: false,
        compaction: None,
    }])
    .unwrap();
    let subject = KeySubject::Party(party.id);
    let (_, key) = store.issue_key(subject, Roles::of(&[Role::Publisher])).await.unwrap();
    let limits = GatewayConfig {
        requests_max: 1,
        requests_per_party_max: 1,
        ..GatewayConfig::default()
    };
    let gateway = Gateway::new(&limits, log, store, &Registry::new()).unwrap();
    let bench = Arc::new(Bench {
        router: tocsin_gateway::router(Arc::new(gateway)).0,
        key: key.expose().to_owned(),
    });

    let request = tokio::spawn({
        let bench = Arc::clone(&bench);
        async move { bench.post().await }
    });
    until("the append waits", async || gate.waiting() == 1).await;
    // The client hangs up: the server drops the request, but its thread still waits with the body.
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());

    let second = tokio::time::timeout(Duration::from_secs(10), bench.post()).await;
    let second = second.expect("a request for which there is no place is answered at once");
    assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(gate.waiting(), 1);

    gate.open();
    until("the place is given back", async || {
        bench.post().await.status() == StatusCode::ACCEPTED
    })
    .await;
}
