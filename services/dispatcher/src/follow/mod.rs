//! Lists elsewhere that are followed into banks.
//!
//! One dispatcher does this at a time, under the lease of the store. A page goes into its bank in one transaction with the place where to go on,
//! so whoever ends in between reads it again; that changes nothing. Nothing here is timed by another server's clock but that server's list.

mod config;
mod fetch;
mod position;
mod problem;
mod telemetry;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use prometheus::Registry;
use reqwest::{Client, Url};
use tocsin_model::{BankName, Milliseconds, Sampled, Severity, Timestamp};
use tocsin_runtime::Shutdown;
use tocsin_store::{BankSettings, Store, StoreError, UPDATES_MAX};

pub(crate) use config::is_here;
pub use config::{FollowConfig, FollowKind};

use crate::pause;
use fetch::{ANSWER_TIMEOUT, Fetched, NoPage, Session};
use position::{Position, Read, Then};
use problem::Problem;
use telemetry::{FollowMetrics, FollowStopped, ListRead, PageTaken};

/// How often it is looked whether a list is due.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long one dispatcher acts alone: longer than an answer may take and a page is written.
const LEASE: Milliseconds = Milliseconds::from_seconds(60);
/// A list that could not be followed is tried again after this, then after twice as long, and so on up to its interval.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// So many lists are read at once.
const ROUNDS_AT_ONCE: usize = 8;
/// A round that takes longer goes on in the next one, from the place that stands with the last page.
const ROUND_TIME_MAX: Duration = Duration::from_secs(600);
/// ThreatExchange keeps what was withdrawn for 90 days; the `threatexchange` library trusts 85 of them, and 30 of StopNCII's.
const STALE_AFTER: [(FollowKind, Milliseconds); 2] = [
    (FollowKind::ThreatExchange, Milliseconds::from_hours(85 * 24)),
    (FollowKind::StopNcii, Milliseconds::from_hours(30 * 24)),
];

/// What is followed, and by whom.
pub(crate) struct Following {
    store: Store,
    metrics: FollowMetrics,
    client: Client,
    /// Names this dispatcher in the lease.
    instance: String,
    lists: Vec<Followed>,
}

struct Followed {
    config: FollowConfig,
    bank: BankName,
    url: Url,
    due_at: Instant,
    failures: u32,
}

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// The list is read.
    Read,
    /// Another dispatcher does it, or this one ends.
    NotNow,
    /// It could not be read on.
    Stopped(NoPage),
}

/// A list cannot be followed at all.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The client of HTTP could not be made.
    #[error("make a client of HTTP")]
    Client(#[from] reqwest::Error),
    /// A metric of this name is registered already.
    #[error("register the metrics of followed lists")]
    Metrics(#[from] prometheus::Error),
}

impl Following {
    /// The lists of a configuration that was validated.
    pub(crate) fn new(
        follows: &[FollowConfig],
        store: Store,
        instance: String,
        registry: &Registry,
    ) -> Result<Following, FollowError> {
        let followed = |config: &FollowConfig| {
            Some(Followed {
                bank: config.bank.parse().ok()?,
                url: Url::parse(&config.url).ok()?,
                config: config.clone(),
                due_at: Instant::now(),
                failures: 0,
            })
        };
        Ok(Following {
            store,
            metrics: FollowMetrics::register(registry)?,
            client: fetch::client(ANSWER_TIMEOUT)?,
            instance,
            lists: follows.iter().filter_map(followed).collect(),
        })
    }

    pub(crate) async fn run(mut self, shutdown: Shutdown) -> anyhow::Result<()> {
        while !shutdown.is_requested() {
            let is_due = |place: &usize| self.lists[*place].due_at <= Instant::now();
            let due = (0..self.lists.len()).filter(is_due);
            // One that hangs, or is long, keeps none of the others waiting for more than the time of a round.
            let rounds = futures::stream::iter(due).map(|place| {
                let round = tokio::time::timeout(ROUND_TIME_MAX, self.round(&self.lists[place]));
                async move { (place, round.await.unwrap_or(Ok(Round::NotNow))) }
            });
            let rounds = rounds.buffer_unordered(ROUNDS_AT_ONCE).collect::<Vec<_>>();
            let rounds = tokio::select! {
                rounds = rounds => rounds,
                () = shutdown.requested() => Vec::new(),
            };
            for (place, round) in rounds {
                self.rest(place, round);
            }
            pause(LOOK_INTERVAL, &shutdown).await;
        }
        Ok(())
    }

    /// Says how a round went, and when the next is due.
    fn rest(&mut self, place: usize, round: Result<Round, StoreError>) {
        let list = &mut self.lists[place];
        let interval = Duration::from_secs(list.config.interval_s);
        let doubled = RETRY_AFTER.saturating_mul(1 << list.failures.min(10));
        let (wait, code) = match round {
            Ok(Round::Read) => {
                list.failures = 0;
                list.due_at = Instant::now() + interval;
                return;
            }
            Ok(Round::NotNow) => {
                list.due_at = Instant::now() + RETRY_AFTER;
                return;
            }
            // A server may ask for more time, never for less than it is given anyway.
            Ok(Round::Stopped(NoPage { problem, retry_after })) => {
                let wait = retry_after.map_or(doubled.min(interval), |asked| asked.max(RETRY_AFTER));
                (wait, problem.code())
            }
            Err(error) => (doubled.min(interval), error.code()),
        };
        list.failures += 1;
        list.due_at = Instant::now() + wait;
        FollowStopped {
            bank: &list.bank,
            code,
            wait_s: wait.as_secs(),
        }
        .emit(&self.metrics);
    }

    /// Reads a list from where it was to its end, page by page.
    async fn round(&self, list: &Followed) -> Result<Round, StoreError> {
        let name = list.bank.as_str();
        let mut position = match self.begin(list).await? {
            Ok(position) => position,
            Err(round) => return Ok(round),
        };
        let Some(credentials) = credentials(&list.config) else {
            return self.stopped(name, no_page(Problem::CredentialsMissing)).await;
        };
        let mut session = Session::new(&self.client, list.config.kind, &list.url, &credentials);
        loop {
            if !self.store.hold_calibrator(&self.instance, LEASE).await? {
                return Ok(Round::NotNow);
            }
            let Fetched { page, server_time } = match session.page(&position).await {
                Ok(fetched) => fetched,
                Err(none) => {
                    // A place within a round may not be known any more.
                    if none.problem == Problem::RequestRefused && position.next.is_some() {
                        let text = position.round_anew().text();
                        self.store.update_list(&list.bank, &[], Some((name, &text))).await?;
                    }
                    return self.stopped(name, none).await;
                }
            };
            let read = Read {
                page: &page,
                server_time,
                base: &list.url,
            };
            let (next, then) = position.behind(list.config.kind, &read);
            let changes = self.take(list, &page.updates, &next).await?;
            PageTaken {
                bank: &list.bank,
                changes,
                rejects: &page.rejects,
            }
            .emit(&self.metrics);
            position = next;
            match then {
                Then::GoOn => {}
                Then::Rest => {
                    self.store.note_attempt(name, None).await?;
                    let at = now().0 / 1_000;
                    ListRead { bank: &list.bank, at }.emit(&self.metrics);
                    return Ok(Round::Read);
                }
                Then::Stop(problem) => return self.stopped(name, no_page(problem)).await,
            }
        }
    }

    /// Where a list is to be read from; its bank is made when it is not there.
    async fn begin(&self, list: &Followed) -> Result<Result<Position, Round>, StoreError> {
        if !self.store.hold_calibrator(&self.instance, LEASE).await? {
            return Ok(Err(Round::NotNow));
        }
        let banks = self.store.banks().await?;
        if !banks.iter().any(|bank| bank.name == list.bank) {
            let settings = BankSettings {
                source: list.config.kind.source(),
                severity: Severity::MIN,
                enabled: true,
                sampled: Sampled::ALL,
            };
            self.store.set_bank(&list.bank, &settings).await?;
        }
        let states = self.store.follow_states().await?;
        let state = states.into_iter().find(|state| state.name == list.bank.as_str());
        let stale = STALE_AFTER.iter().find(|(kind, _)| *kind == list.config.kind);
        let advanced_at = state.as_ref().and_then(|state| state.advanced_at);
        if let (Some((_, after)), Some(at)) = (stale, advanced_at)
            && now() - at > *after
        {
            return self
                .stopped(list.bank.as_str(), no_page(Problem::CheckpointStale))
                .await
                .map(Err);
        }
        Ok(Ok(Position::parse(state.and_then(|state| state.checkpoint).as_deref())))
    }

    /// Puts a page into its bank; the place where to go on stands with the last of it.
    async fn take(
        &self,
        list: &Followed,
        updates: &[tocsin_model::ListUpdate],
        next: &Position,
    ) -> Result<u64, StoreError> {
        let mut chunks: Vec<&[tocsin_model::ListUpdate]> = updates.chunks(UPDATES_MAX).collect();
        let last = chunks.pop().unwrap_or(&[]);
        let mut changes = 0;
        for chunk in chunks {
            changes += self.store.update_list(&list.bank, chunk, None).await?;
        }
        let text = next.text();
        let place = Some((list.bank.as_str(), text.as_str()));
        Ok(changes + self.store.update_list(&list.bank, last, place).await?)
    }

    async fn stopped(&self, name: &str, none: NoPage) -> Result<Round, StoreError> {
        self.store.note_attempt(name, Some(none.problem.code())).await?;
        Ok(Round::Stopped(none))
    }
}

fn no_page(problem: Problem) -> NoPage {
    NoPage {
        problem,
        retry_after: None,
    }
}

/// From a file or the environment; no longer than credentials are.
fn credentials(config: &FollowConfig) -> Option<String> {
    const BYTES_MAX: u64 = 64 * 1024;
    let text = match config.credentials_env.as_str() {
        "" => {
            let file = &config.credentials_file;
            let is_short = std::fs::metadata(file).is_ok_and(|about| about.len() <= BYTES_MAX);
            is_short.then(|| std::fs::read_to_string(file).ok()).flatten()
        }
        name => std::env::var(name).ok(),
    };
    let text = text?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// This host's clock: only how long ago a list was last followed is read from it.
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| since.as_millis() as i64))
}
