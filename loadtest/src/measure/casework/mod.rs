//! Casework by many people at once: who claims gets a case that nobody else holds, and no case and no decision is lost, though dispatchers are
//! killed meanwhile.

mod appealing;
mod fanning;
mod moderators;
pub(super) mod seed;
mod verdict;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use hdrhistogram::Histogram;
use prometheus::Registry;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::StatusCode;
use serde_json::Value;
use tocsin_dispatcher::{DispatcherConfig, DispatcherParts};
use tocsin_log::SharedLog;
use tocsin_runtime::{Readiness, Roles, Shutdown, http};
use tocsin_store::{KeySubject, Role, Store};

pub(super) use self::fanning::Fanned;
use self::moderators::Moderators;
use super::corpus;
use super::process::Played;

/// What is asked of the casework.
#[derive(Clone, Copy, Debug)]
pub struct Contest {
    /// Claims at least. There are so many cases that most claims find one.
    pub claims: u64,
    /// People at work at a time.
    pub moderators: usize,
    /// Dispatchers on one database.
    pub dispatchers: usize,
    /// How often one of them is killed, and started again.
    pub kills: u32,
    /// Decides who does what, and when who is killed.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) contest: Contest,
    pub(super) cases: u64,
    pub(super) claims: u64,
    pub(super) decisions: u64,
    /// Answers that never came, from dispatchers that were killed.
    pub(super) unanswered: u64,
    /// Leases of one case that held at the same time, or had the same number.
    pub(super) double_leases: u64,
    /// Cases that nobody decided about and nobody can claim.
    pub(super) lost_cases: u64,
    /// Decisions that were acknowledged and do not stand.
    pub(super) lost_decisions: u64,
    /// Decisions that stand and are not on the log.
    pub(super) unpublished: u64,
    pub(super) elapsed: Duration,
    /// Of claims that were answered, in microseconds, each from when it was sent: people wait for an answer before they ask again.
    pub(super) claim: Histogram<u64>,
    /// How decisions reached a party, after all that.
    pub(super) fanned: Fanned,
}

/// Seven claims in ten end with a decision; the others give the case back, or let the lease end.
const CASES_PER_CLAIM: f64 = 0.72;
/// After a kill the next comes so long later at the earliest.
const KILLED_APART: Duration = Duration::from_secs(2);

/// Where the dispatchers listen.
type Addresses = Arc<RwLock<Vec<String>>>;

/// Lets moderators work on one database until they have claimed so often, and then decide about what is left; then a party, of a name and contents that no
/// other run on this log has, is told of decisions.
pub(super) fn contest(bootstrap: &str, store: &str, contest: Contest, party: (&str, u128)) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Runtime::new().context("a runtime for moderators")?;
    let cases = (contest.claims as f64 * CASES_PER_CLAIM).ceil() as u64;
    let key = runtime.block_on(seed::cases(store, cases))?;
    let mut random = SmallRng::seed_from_u64(contest.seed);
    let mut dispatchers = Vec::new();
    let addresses: Addresses = Arc::default();
    for number in 0..contest.dispatchers {
        let mut dispatcher = start((bootstrap, store), number)?;
        let address = dispatcher.wait_for("ready")?;
        addresses.write().unwrap_or_else(PoisonError::into_inner).push(address);
        dispatchers.push(dispatcher);
    }
    let moderators = Moderators::new(addresses.clone(), key, contest)?;
    let began = std::time::Instant::now();
    let working = runtime.spawn(moderators.clone().work());
    let mut killed = 0;
    while !working.is_finished() {
        // Kills fall on the whole of the work, whatever it takes.
        let due = u64::from(killed) * contest.claims / u64::from(contest.kills + 1);
        if killed < contest.kills && moderators.claims() > due {
            killed += 1;
            let place = random.random_range(0..dispatchers.len());
            std::thread::sleep(Duration::from_millis(random.random_range(0..1_000)));
            // Dropped, it is killed where it stands.
            drop(dispatchers.remove(place));
            let mut dispatcher = start((bootstrap, store), place)?;
            let address = dispatcher.wait_for("ready")?;
            dispatchers.insert(place, dispatcher);
            addresses.write().unwrap_or_else(PoisonError::into_inner)[place] = address;
            std::thread::sleep(KILLED_APART);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    runtime.block_on(working).context("moderators do not panic")??;
    let worked = moderators.into_worked()?;
    let elapsed = began.elapsed();
    let found = runtime.block_on(verdict::judge(bootstrap, store, &worked))?;
    for dispatcher in dispatchers {
        dispatcher.stop()?;
    }
    let fanned = fanning::measure((bootstrap, store), contest, party)?;
    Ok(Outcome {
        fanned,
        contest: Contest {
            kills: killed,
            ..contest
        },
        cases,
        claims: worked.claims,
        decisions: found.decisions,
        unanswered: worked.unanswered,
        double_leases: verdict::double_leases(&worked.leases),
        lost_cases: cases - found.decided,
        lost_decisions: found.lost_decisions,
        unpublished: found.unpublished,
        elapsed,
        claim: worked.claim,
    })
}

/// Starts a dispatcher as a process of its own.
fn start((bootstrap, store): (&str, &str), number: usize) -> anyhow::Result<Played> {
    let number = number.to_string();
    let arguments = ["--bootstrap", bootstrap, "--store", store, "--instance", &number];
    Played::start("dispatcher", &arguments.map(str::to_owned))
}

/// The URL of a store in a file below this directory.
pub(super) fn in_file(directory: &Path) -> String {
    format!("sqlite:{}", directory.join("casework.db").display())
}

/// Serves a dispatcher until it is asked to stop; says where, once it listens.
pub(super) fn serve_dispatcher(
    log: SharedLog,
    (store, instance): (&str, &str),
    registry: &Registry,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("a runtime for the dispatcher")?;
    runtime.block_on(async {
        let readiness = Readiness::new();
        let mut roles = Roles::new(shutdown.clone());
        let parts = DispatcherParts {
            config: DispatcherConfig::default(),
            instance: format!("loadtest-dispatcher-{instance}"),
            log,
            store: Store::open(store).await?,
            key: corpus::setup().key,
            partitions: corpus::setup().partitions,
            promote_at: tocsin_detector::DetectorConfig::default().promote_at,
            ingest_form: tocsin_dispatcher::IngestForm::default(),
            stream_times: tocsin_runtime::streams::StreamTimes::default(),
            registry: registry.clone(),
            readiness: readiness.flag("dispatcher", "starting"),
        };
        let dispatcher = tocsin_dispatcher::spawn(parts, &mut roles)?;
        let (router, _) = tocsin_dispatcher::router(dispatcher);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("ready http://{}", listener.local_addr()?);
        http::serve(listener, router, shutdown.clone()).await;
        roles.join(Duration::from_secs(10)).await?;
        Ok(())
    })
}

/// A key of a moderator.
pub(super) async fn moderators_key(store: &Store, of: KeySubject) -> anyhow::Result<String> {
    let roles = tocsin_store::Roles::of(&[Role::Moderator, Role::Reader]);
    let (_, key) = store.issue_key(of, roles).await?;
    Ok(key.expose().to_owned())
}

/// Asks a dispatcher once.
pub(super) async fn post(
    http: &reqwest::Client,
    key: &str,
    url: &str,
    body: &Value,
) -> reqwest::Result<(StatusCode, Value)> {
    let answer = http.post(url).bearer_auth(key).json(body).send().await?;
    let status = answer.status();
    Ok((status, answer.json().await?))
}
