//! What moved in the queues that somebody watches: asked of the store once a second for all of them, whichever dispatcher changed it, and kept for a
//! while for those who read it.
//!
//! A queue that nobody watches costs nothing. Nothing rests on what is kept here: whoever comes back is told from the store what changed since.

mod telemetry;
mod watching;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::Registry;
use tocsin_casework::{Board, CaseId, RANKED_TOLD, Team, Update};
use tocsin_model::{KeyId, Timestamp};
use tocsin_runtime::streams::{KeyChecks, StreamLimits, StreamSlot, StreamSlots, StreamTimes, TOO_MANY_STREAMS};
use tocsin_runtime::{Problem, Shutdown};
use tocsin_store::{CANDIDATES_MAX, GLANCES_OVERLAP, StoreError, Watched};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::telemetry::StoreFailed;
use crate::{Dispatcher, DispatcherConfig, problems};

use telemetry::StreamMetrics;
pub(crate) use watching::{HeldCase, Taken, Watching};

/// How often the store is asked.
const INTERVAL: Duration = Duration::from_secs(1);
/// So many pages of what changed are read at a time; the rest comes a second later.
const PAGES_MAX: usize = 8;
/// So many cases of a team are known: the first ones, and then those that changed last.
const CASES_KNOWN_MAX: usize = 1_024;
/// So many updates of a team are kept for those who read more slowly than they come.
const UPDATES_KEPT_MAX: usize = 1_024;
/// So many queues are watched at a time.
pub(crate) const TEAMS_MAX: usize = 32;
/// What a queue that is watched may come to hold: cases, their places and updates.
pub(crate) const TEAM_BYTES: u64 = 1 << 20;
/// What a stream may come to hold: a page of what changed while its reader was away, or of the cases that the key holds.
pub(crate) const STREAM_BYTES: u64 = 64 << 10;
/// So many streams at a time read from the store what their readers missed.
const RESUMES_MAX: usize = 8;

/// The first cases of a queue, and of each whether a notice of it is due.
type Order = Vec<(CaseId, bool)>;
/// The place of a stream of a queue.
type QueueSlot = StreamSlot<Team, KeyId>;

/// The queues that are watched.
pub(crate) struct QueueUpdates {
    teams: Mutex<BTreeMap<Team, WatchedTeam>>,
    slots: Arc<StreamSlots<Team, KeyId>>,
    key_checks: KeyChecks,
    /// Rises when something may be there to be told.
    ticks: watch::Sender<u64>,
    resumes: Semaphore,
    metrics: StreamMetrics,
    shutdown: Shutdown,
    times: StreamTimes,
}

/// An update, and how far whoever was told it has come in the order of what is written.
pub(crate) struct Told {
    pub update: Update,
    /// When the case was written so. `None` where time changed it, or the order of the others.
    pub written_at: Option<Timestamp>,
}

/// A queue that somebody watches.
struct WatchedTeam {
    board: Board,
    watchers: usize,
    /// The latest updates; the first of them has this number.
    updates: VecDeque<Arc<Told>>,
    first: u64,
    /// Since when it is watched.
    since: Timestamp,
    /// Whether what was written since must be read again: it may have been read before this was here.
    is_new: bool,
    /// The store's time, as last heard.
    now: Timestamp,
}

impl QueueUpdates {
    pub(crate) fn new(
        config: &DispatcherConfig,
        times: StreamTimes,
        registry: &Registry,
        shutdown: Shutdown,
    ) -> Result<Arc<QueueUpdates>, prometheus::Error> {
        let metrics = StreamMetrics::register(registry)?;
        let limits = StreamLimits {
            count_max: config.queue_streams_max as usize,
            per_scope_max: config.queue_streams_per_team_max as usize,
            per_key_max: config.queue_streams_per_key_max as usize,
        };
        Ok(Arc::new(QueueUpdates {
            teams: Mutex::default(),
            slots: Arc::new(StreamSlots::new(limits, metrics.streams.clone())),
            key_checks: KeyChecks::default(),
            ticks: watch::Sender::new(0),
            resumes: Semaphore::new(RESUMES_MAX),
            metrics,
            shutdown,
            times,
        }))
    }

    pub(crate) fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    pub(crate) fn times(&self) -> StreamTimes {
        self.times
    }

    pub(crate) fn key_checks(&self) -> &KeyChecks {
        &self.key_checks
    }

    pub(crate) fn ticks(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }

    /// Waits until a page of what a reader missed may be read from the store.
    pub(crate) async fn resume(&self) -> SemaphorePermit<'_> {
        self.resumes.acquire().await.expect("nobody closes it")
    }

    pub(crate) fn evicted(&self) {
        self.metrics.evicted.inc();
    }

    fn teams(&self) -> MutexGuard<'_, BTreeMap<Team, WatchedTeam>> {
        self.teams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when the first of those that are watched is; `None` while nobody watches.
    fn watched_since(&self) -> Option<Timestamp> {
        self.teams().values().map(|watched| watched.since).min()
    }

    /// Adds what is news of it to the updates of its team.
    fn tell(
        &self,
        watched: &mut WatchedTeam,
        updates: impl IntoIterator<Item = Update>,
        written_at: Option<Timestamp>,
    ) {
        for update in updates {
            self.metrics.updates.with_label_values(&[update.change.name()]).inc();
            watched.updates.push_back(Arc::new(Told { update, written_at }));
            if watched.updates.len() > UPDATES_KEPT_MAX {
                watched.updates.pop_front();
                watched.first += 1;
            }
        }
    }

    fn end(watched: &WatchedTeam) -> u64 {
        watched.first + watched.updates.len() as u64
    }
}

impl Dispatcher {
    /// Begins to watch a team's queue with a key: whatever changes from now on is told. With it a time, by the store's clock, up to which nothing is.
    pub(crate) async fn watch_queue(&self, team: Team, key: KeyId) -> Result<(Watching, Timestamp), Problem> {
        let updates = &self.queue_updates;
        let too_many = || Problem::new(TOO_MANY_STREAMS).with_retry_after_s(15);
        let slot = updates.slots.take(team, key).ok_or_else(too_many)?;
        if let Some(watched) = updates.teams().get_mut(&team) {
            return Ok((Watching::begin(updates, watched, (team, key), slot), watched.now));
        }
        let standing = self.store.standing_cases(team, CASES_KNOWN_MAX as u32).await;
        let (standing, now) = standing.map_err(|error| problems::of_store(&error))?;
        let mut teams = updates.teams();
        if teams.len() >= TEAMS_MAX && !teams.contains_key(&team) {
            return Err(too_many());
        }
        // Who came at the same time and was faster may have begun it.
        let watched = teams.entry(team).or_insert_with(|| WatchedTeam {
            board: Board::new(now, CASES_KNOWN_MAX, standing),
            watchers: 0,
            updates: VecDeque::new(),
            first: 0,
            since: now,
            is_new: true,
            now,
        });
        Ok((Watching::begin(updates, watched, (team, key), slot), watched.now))
    }
}

/// Asks what changed as long as somebody watches.
pub(crate) async fn run(dispatcher: Arc<Dispatcher>, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut watched: Option<Watched> = None;
    while !shutdown.is_requested() {
        let began = Instant::now();
        match dispatcher.queue_updates.watched_since() {
            None => watched = None,
            Some(since) => {
                let watched = watched.get_or_insert_with(|| Watched::from(since));
                if let Err(error) = tick(&dispatcher, watched).await {
                    StoreFailed { error: &error }.emit(&dispatcher.metrics);
                }
                dispatcher.queue_updates.ticks.send_modify(|tick| *tick += 1);
            }
        }
        crate::pause(INTERVAL.saturating_sub(began.elapsed()), &shutdown).await;
    }
    Ok(())
}

async fn tick(dispatcher: &Dispatcher, watched: &mut Watched) -> Result<(), StoreError> {
    let updates = &dispatcher.queue_updates;
    for (team, of_team) in updates.teams().iter_mut() {
        if std::mem::take(&mut of_team.is_new) {
            watched.add_team(*team, of_team.since);
        }
    }
    let mut is_through = false;
    for _ in 0..PAGES_MAX {
        let (glances, now) = dispatcher.store.watch_cases(watched).await?;
        is_through = glances.is_empty();
        let mut teams = updates.teams();
        for (glance, written_at) in glances {
            if let Some(of_team) = teams.get_mut(&glance.team) {
                let update = of_team.board.take(glance, now);
                updates.tell(of_team, update, Some(written_at));
            }
        }
        for of_team in teams.values_mut() {
            of_team.now = now;
        }
        drop(teams);
        if is_through {
            break;
        }
        // Readers take a page while the next is read.
        updates.ticks.send_modify(|tick| *tick += 1);
    }
    let orders = orders(dispatcher);
    for (team, order) in &orders {
        let unknown: Vec<CaseId> = match (updates.teams().get(team), order) {
            (Some(of_team), Some(order)) => of_team.board.unknown(order).take(RANKED_TOLD).collect(),
            _ => Vec::new(),
        };
        let mut glances = Vec::new();
        for some in unknown.chunks(CANDIDATES_MAX) {
            glances.extend(dispatcher.store.glances_of(*team, some).await?);
        }
        let mut teams = updates.teams();
        let Some(of_team) = teams.get_mut(team) else {
            continue;
        };
        let now = of_team.now;
        let mut news = of_team.board.tick(now);
        // What is written this moment, or stands behind the last page, is told by a page.
        let told = glances
            .into_iter()
            .filter(|(_, written_at)| is_through && *written_at + GLANCES_OVERLAP <= now);
        for (glance, _) in told {
            of_team.board.learn(glance, now);
        }
        if let Some(order) = order {
            news.extend(of_team.board.rank(order, now));
        }
        updates.tell(of_team, news, None);
    }
    Ok(())
}

/// The order of each queue that is watched, and of each case whether a notice of it is due; none before every open case is ranked.
fn orders(dispatcher: &Dispatcher) -> Vec<(Team, Option<Order>)> {
    let teams: Vec<Team> = dispatcher.queue_updates.teams().keys().copied().collect();
    let order = |team| {
        let order = dispatcher.ranking.order(team);
        (team, order)
    };
    teams.into_iter().map(order).collect()
}
