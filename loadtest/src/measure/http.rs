//! The load over HTTP: as small platforms publish, in requests of NDJSON to a gateway.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use hdrhistogram::Histogram;
use prometheus::Registry;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tocsin_gateway::{Gateway, GatewayConfig};
use tocsin_loadtest::scenario::PartyPlan;
use tocsin_log::SharedLog;
use tocsin_model::{ContentHash, Event};
use tocsin_runtime::{Shutdown, http};
use tocsin_store::{KeySubject, Role, Roles, Store};

use super::corpus::{self, Framing};
use super::latency::{self, LATENCY_MAX_US, Latency, Load, WARM_UP};
use super::process::Played;
use super::schedule::Due;
use super::sink::Sink;

/// What was measured.
#[derive(Clone, Debug)]
pub(super) struct Http {
    /// Alerts, as over Kafka.
    pub(super) path: Latency,
    /// From when the first event of a request was due until it was answered, in microseconds.
    pub(super) answers: Histogram<u64>,
    pub(super) requests: u64,
    /// Answers that asked to come again later: these events were sent again.
    pub(super) put_off: u64,
    /// Events in all of them, markers too.
    pub(super) events: u64,
    /// Of the gateway, over the whole load.
    pub(super) gateway: Duration,
}

/// How a client gathers events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gathering {
    /// At most so many in a request.
    pub(super) events_max: usize,
    /// None waits longer for others.
    pub(super) linger: Duration,
}

/// Requests of a party on their way: fewer than the gateway takes.
const ON_THEIR_WAY_MAX: usize = 24;
/// How long to wait where the gateway asks to come again.
const PUT_OFF: Duration = Duration::from_millis(100);
/// How often events are sent before the run gives up.
const TRIES_MAX: u32 = 100;
/// How long a request may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// Sends the load to a gateway of its own.
pub(super) fn measure(bootstrap: &str, load: &Load, gathering: Gathering) -> anyhow::Result<Http> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("a runtime for the client")?;
    let directory = tempfile::tempdir()?;
    let store = format!("sqlite:{}", directory.path().join("store.db").display());
    let scenario = corpus::ordinary(
        Framing::Single,
        load.run,
        0,
        super::pipeline::now(),
        tocsin_model::Milliseconds(1),
    );
    let keys = runtime.block_on(publish_keys(&store, &scenario.parties))?;
    let mut gateway = Played::start(
        "gateway",
        &["--bootstrap", bootstrap, "--store", &store].map(str::to_owned),
    )?;
    let address = gateway.wait_for("ready")?;
    let mut client = Client::new(runtime, address.trim(), keys, gathering)?;
    let before = gateway.processor_time()?;
    let path = latency::measure_through(bootstrap, load, Some(&mut client))?;
    let used = gateway.processor_time()? - before;
    gateway.check()?;
    let counted = gateway.stop()?.counted;
    ensure!(
        counted == client.accepted,
        "the gateway took {counted} of {} events",
        client.accepted
    );
    Ok(Http {
        path,
        answers: client.answers,
        requests: client.requests,
        put_off: client.put_off,
        events: client.accepted,
        gateway: used,
    })
}

/// The parties of the load, and a key for each, in the order of the plan.
async fn publish_keys(url: &str, parties: &[PartyPlan]) -> anyhow::Result<Vec<String>> {
    let store = Store::open(url).await?;
    let mut keys = Vec::new();
    for party in parties {
        let platforms: Vec<_> = party.platforms.iter().map(|platform| platform.name.clone()).collect();
        let record = store.add_party(&party.name, &platforms).await?;
        let (_, key) = store
            .issue_key(KeySubject::Party(record.id), Roles::of(&[Role::Publisher]))
            .await?;
        keys.push(key.expose().to_owned());
    }
    store.close().await;
    Ok(keys)
}

/// Serves the gateway until it is asked to stop; says where, once it listens.
pub(super) fn serve_gateway(
    log: SharedLog,
    store: &str,
    registry: &Registry,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("a runtime for the gateway")?;
    runtime.block_on(async {
        let store = Store::open(store).await?;
        let gateway = Gateway::new(&GatewayConfig::default(), log, store, registry)?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("ready http://{}", listener.local_addr()?);
        let (router, _) = tocsin_gateway::router(Arc::new(gateway));
        http::serve(listener, router, shutdown.clone()).await;
        Ok(())
    })
}

/// Events of one party that wait for others to share a request.
#[derive(Debug, Default)]
struct Gathered {
    lines: Vec<u8>,
    events: usize,
    first_due: Option<Duration>,
    on_their_way: usize,
}

/// How a request ended.
#[derive(Debug)]
struct Answered {
    party: usize,
    first_due: Duration,
    at: Instant,
    taken: anyhow::Result<Taken>,
}

/// A client that publishes what is due.
struct Client {
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
    url: String,
    keys: Vec<String>,
    gathering: Gathering,
    began: Option<Instant>,
    gathered: Vec<Gathered>,
    answered: (Sender<Answered>, Receiver<Answered>),
    answers: Histogram<u64>,
    requests: u64,
    put_off: u64,
    accepted: u64,
}

impl Client {
    fn new(
        runtime: tokio::runtime::Runtime,
        address: &str,
        keys: Vec<String>,
        gathering: Gathering,
    ) -> anyhow::Result<Client> {
        let http = reqwest::Client::builder().timeout(ANSWERED_WITHIN).build();
        Ok(Client {
            http: http.context("an HTTP client")?,
            url: format!("{address}/v1/events"),
            gathered: keys.iter().map(|_| Gathered::default()).collect(),
            keys,
            gathering,
            runtime,
            began: None,
            answered: channel(),
            answers: Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).context("a histogram of three digits")?,
            requests: 0,
            put_off: 0,
            accepted: 0,
        })
    }

    fn post(&mut self, party: usize) {
        let gathered = &mut self.gathered[party];
        let Some(first_due) = gathered.first_due.take() else {
            return;
        };
        let body = bytes::Bytes::from(std::mem::take(&mut gathered.lines));
        let events = std::mem::take(&mut gathered.events) as u64;
        gathered.on_their_way += 1;
        self.requests += 1;
        let (http, url, key) = (self.http.clone(), self.url.clone(), self.keys[party].clone());
        let answered = self.answered.0.clone();
        self.runtime.spawn(async move {
            let taken = publish(&http, &url, &key, body, events).await;
            // Whoever measures has ended if nobody takes it.
            let _ = answered.send(Answered {
                party,
                first_due,
                at: Instant::now(),
                taken,
            });
        });
    }

    fn take(&mut self, answered: Answered) -> anyhow::Result<()> {
        let taken = answered.taken?;
        self.gathered[answered.party].on_their_way -= 1;
        self.put_off += taken.put_off;
        self.accepted += taken.accepted;
        if let Some(began) = self.began
            && answered.first_due >= WARM_UP
        {
            let took = answered.at.saturating_duration_since(began + answered.first_due);
            self.answers.saturating_record((took.as_micros() as u64).max(1));
        }
        Ok(())
    }
}

impl Sink for Client {
    fn send(&mut self, due: Vec<Due>, began: Instant) -> anyhow::Result<()> {
        self.began = Some(began);
        for due in due {
            let gathered = &mut self.gathered[due.party];
            gathered.first_due.get_or_insert(due.at);
            serde_json::to_writer(&mut gathered.lines, &document(&due.event))?;
            gathered.lines.push(b'\n');
            gathered.events += 1;
            if gathered.events >= self.gathering.events_max {
                self.post(due.party);
            }
        }
        for party in 0..self.gathered.len() {
            let first_due = self.gathered[party].first_due;
            if first_due.is_some_and(|due| began.elapsed().saturating_sub(due) >= self.gathering.linger) {
                self.post(party);
            }
        }
        while let Ok(answered) = self.answered.1.try_recv() {
            self.take(answered)?;
        }
        while self
            .gathered
            .iter()
            .any(|gathered| gathered.on_their_way >= ON_THEIR_WAY_MAX)
        {
            let answered = self.answered.1.recv().context("requests are on their way")?;
            self.take(answered)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<u64> {
        for party in 0..self.gathered.len() {
            self.post(party);
        }
        while self.gathered.iter().any(|gathered| gathered.on_their_way > 0) {
            let answered = self.answered.1.recv().context("requests are on their way")?;
            self.take(answered)?;
        }
        Ok(self.accepted)
    }
}

/// What became of a body.
#[derive(Debug)]
struct Taken {
    /// Events on disk: one that stands in the body twice is there once.
    accepted: u64,
    /// How often the gateway asked to come again.
    put_off: u64,
}

/// Sends a body until it is taken.
async fn publish(
    http: &reqwest::Client,
    url: &str,
    key: &str,
    body: bytes::Bytes,
    events: u64,
) -> anyhow::Result<Taken> {
    for put_off in 0..TRIES_MAX {
        let request = http
            .post(url)
            .bearer_auth(key)
            .header("content-type", "application/x-ndjson");
        let answer = request.body(body.clone()).send().await.context("send events")?;
        let status = answer.status();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            tokio::time::sleep(PUT_OFF).await;
            continue;
        }
        let said = answer.json::<Value>().await.unwrap_or_default();
        let count = |name: &str| said[name].as_u64().unwrap_or(0);
        ensure!(
            status.is_success() && count("accepted") + count("duplicates") == events,
            "the gateway refused events: {status} {said}"
        );
        return Ok(Taken {
            accepted: count("accepted"),
            put_off: u64::from(put_off),
        });
    }
    bail!("the gateway asked to come again {TRIES_MAX} times")
}

/// As a platform would write it.
fn document(event: &Event) -> Value {
    let hash = |hash: &ContentHash| json!({ "algorithm": hash.algorithm().name(), "value": hex::encode(hash.value()) });
    let mut document = json!({
        "event_id": uuid::Uuid::from_bytes(event.event_id.0).to_string(),
        "platform": event.platform.as_str(),
        "kind": event.kind.name(),
        "occurred_at": event.occurred_at.0,
        "content": event.content.iter().map(hash).collect::<Vec<_>>(),
        "surface": event.surface.name(),
        "sharing": "all",
    });
    if let Some(account) = event.account {
        document["account"] = json!(hex::encode(account.0));
        document["account_epoch"] = json!(event.account_epoch);
    }
    if let Some(audience) = event.audience {
        document["audience"] = json!(audience);
    }
    if !event.same_as.is_empty() {
        document["same_as"] = event.same_as.iter().map(hash).collect();
    }
    document
}
