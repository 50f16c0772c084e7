//! Which case to try first: from the store it knows what is open, from `tocsin.state` what acting on it is worth by the latest figures.
//!
//! It is rebuilt whenever the process starts and decides nothing: the store hands cases out, and where nothing is ranked its own order holds.
//! What changes is read every half second by when it changed; a change that is told late, or whose time is wrong, is found by reading all open
//! cases again, a page at a time.

mod figures;
mod reader;
mod telemetry;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tocsin_casework::{Case, CaseId, DUE_TOLD, Filter, RANKED_TOLD, Ranks, Standing, Team};
use tocsin_model::{ContentId, FamilyId, Milliseconds, Timestamp};
use tocsin_runtime::Shutdown;
use tocsin_store::{Followed, STANDINGS_MAX, StoreError};

use crate::telemetry::StoreFailed;
use crate::{Dispatcher, DispatcherConfig, pause};

use figures::Figures;
pub use figures::platform_clocks;
pub(crate) use reader::FigureReader;
pub(crate) use telemetry::RankingMetrics;

/// How many cases a claim tries before it takes the store's order. More are held or claimed meanwhile only if as many people claim at once.
const CANDIDATES: usize = 32;
/// How often to ask the store what other dispatchers did.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(500);
/// How many cases the store is told of each time what their state says: a few of them change where or when they spread.
const OBSERVED_MAX: usize = 64;
/// How long after all open cases were read they are read again. One page is read each time that nothing is left to follow.
const WALK_INTERVAL: Duration = Duration::from_secs(60);
/// How often the store is asked what evidence is worth to teams, and of what others were told.
const WEIGH_INTERVAL: Duration = Duration::from_secs(10);

/// The ranks of open cases.
#[derive(Debug)]
pub(crate) struct Ranking {
    ranks: Mutex<Ranks>,
    /// What `tocsin.state` says, on which the ranks stand. Locked before the ranks, where both are.
    figures: Mutex<Figures>,
    /// What is due within this time goes first.
    urgent_within: Milliseconds,
    /// The store's time, as last heard.
    now: AtomicI64,
    /// Whether every open case is ranked.
    is_complete: AtomicBool,
    /// Whether it was read through.
    is_read: AtomicBool,
    /// Whether it must be read again: a family is kept now whose records may have been left out.
    read_again: AtomicBool,
    /// Whether it is known which decided families are followed: their records are found in one reading.
    is_followed: AtomicBool,
}

impl Ranking {
    /// As an operator chose.
    pub(crate) fn new(config: &DispatcherConfig) -> Ranking {
        Ranking {
            ranks: Mutex::new(Ranks::new(config.ranked_cases_max as usize)),
            figures: Mutex::new(Figures::new(config.ranked_records_max as usize)),
            urgent_within: config.urgent_within(),
            now: AtomicI64::new(i64::MIN),
            is_complete: AtomicBool::new(false),
            is_read: AtomicBool::new(false),
            read_again: AtomicBool::new(false),
            is_followed: AtomicBool::new(false),
        }
    }

    /// The cases to try first, the best before the others; none until every open case is known.
    pub(crate) fn candidates(&self, team: Team, filter: &Filter) -> Vec<CaseId> {
        if !self.is_complete() {
            return Vec::new();
        }
        let now = Timestamp(self.now.load(Ordering::Relaxed));
        let urgent = now + self.urgent_within;
        self.lock().best(team, filter, CANDIDATES, (now, urgent))
    }

    /// The cases of a team's queue of which a notice is due soon and the first `count` behind them, and of each whether one is; `None` until every open case is
    /// known.
    pub(crate) fn order(&self, team: Team) -> Option<Vec<(CaseId, bool)>> {
        if !self.is_complete() {
            return None;
        }
        let now = Timestamp(self.now.load(Ordering::Relaxed));
        let urgent = now + self.urgent_within;
        let ranks = self.lock();
        Some(ranks.first(team, (DUE_TOLD, RANKED_TOLD), (now, urgent)))
    }

    /// What this process did with a case: the next claim need not wait until the store tells of it.
    pub(crate) fn changed(&self, case: &Case, now: Timestamp) {
        self.put(&[case.standing()], now);
    }

    /// The priority by which a case is ranked.
    pub(crate) fn priority(&self, case: CaseId) -> Option<f64> {
        self.lock().priority(case)
    }

    /// The family of a content by the hot records that a team may see; `None` of what does not spread.
    pub(crate) fn family_of(&self, content: ContentId, team: Team) -> Option<FamilyId> {
        self.figures().family_of(content, team)
    }

    fn put(&self, standings: &[Standing], now: Timestamp) {
        self.now.fetch_max(now.0, Ordering::Relaxed);
        let mut ranks = self.lock();
        for standing in standings {
            // One that finds no room is handed out when no candidate is to be had, or as the one that waits longest.
            let _ = ranks.put(standing);
        }
    }

    /// What the store said now of these cases: whatever it did not tell of is not there.
    pub(crate) fn asked(&self, ids: &[CaseId], standings: &[Standing], now: Timestamp) {
        self.put(standings, now);
        let mut ranks = self.lock();
        for id in ids {
            if !standings.iter().any(|standing| standing.id == *id) {
                ranks.forget(*id);
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Acquire)
    }

    /// What is known of families. None of it may be used before the state was read through.
    pub(crate) fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the state was read through since reading it began.
    pub(crate) fn is_read(&self) -> bool {
        self.is_read.load(Ordering::Acquire)
    }

    /// Keeps the records of these families, and reads the state again for those of which none are held.
    pub(crate) fn keep(&self, families: BTreeSet<FamilyId>) {
        if self.figures().keep(families, Instant::now()) {
            self.read_again();
        }
    }

    /// Keeps the records of these decided families; whether some may be found only by reading the state again.
    pub(crate) fn follow(&self, families: BTreeSet<FamilyId>) -> bool {
        let is_missed = self.figures().follow(families, Instant::now());
        let was_followed = self.is_followed.swap(true, Ordering::AcqRel);
        is_missed && was_followed
    }

    /// Reads the state again.
    pub(crate) fn read_again(&self) {
        self.read_again.store(true, Ordering::Release);
    }

    /// Whether reading the state may begin: it is known what is looked for.
    fn is_prepared(&self) -> bool {
        self.is_complete() && self.is_followed.load(Ordering::Acquire)
    }

    fn begin_reading(&self) {
        self.is_read.store(false, Ordering::Release);
        self.figures().clear();
        self.read_again.store(false, Ordering::Release);
    }

    fn is_to_be_read_again(&self) -> bool {
        self.is_read() && self.read_again.load(Ordering::Acquire)
    }

    /// It is read through now, or was before.
    fn set_read(&self) {
        if !self.is_read() {
            self.figures().observe_anew();
        }
        self.is_read.store(true, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Ranks> {
        self.ranks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the cases of the store.
pub(crate) async fn follow_cases(
    dispatcher: Arc<Dispatcher>,
    metrics: RankingMetrics,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    if let Err(error) = dispatcher.store.refresh_case_statistics().await {
        StoreFailed { error: &error }.emit(&dispatcher.metrics);
    }
    let mut followed = Followed::default();
    let mut walk = Walk {
        after: None,
        due: Instant::now() + WALK_INTERVAL,
    };
    let mut weigh_at = Instant::now();
    while !shutdown.is_requested() {
        if Instant::now() >= weigh_at {
            weigh_at = Instant::now() + WEIGH_INTERVAL;
            if let Err(error) = follow_shared(&dispatcher).await {
                StoreFailed { error: &error }.emit(&dispatcher.metrics);
            }
            match dispatcher.store.latest_weighings().await {
                Ok(weighings) => dispatcher.ranking.figures().set_weighings(weighings),
                Err(error) => StoreFailed { error: &error }.emit(&dispatcher.metrics),
            }
        }
        match dispatcher.store.follow_standings(&mut followed).await {
            Ok((standings, now)) => {
                let ranking = &dispatcher.ranking;
                ranking.put(&standings, now);
                for standing in &standings {
                    dispatcher.carrying.case_changed(standing.family);
                }
                if !standings.is_empty() {
                    continue;
                }
                tell_observed(&dispatcher).await;
                ranking.is_complete.store(followed.is_caught_up(), Ordering::Release);
                if let Err(error) = walk.step(&dispatcher, Instant::now()).await {
                    StoreFailed { error: &error }.emit(&dispatcher.metrics);
                }
                metrics
                    .cases
                    .set(i64::try_from(ranking.lock().len()).unwrap_or(i64::MAX));
            }
            Err(error) => StoreFailed { error: &error }.emit(&dispatcher.metrics),
        }
        pause(FOLLOW_INTERVAL, &shutdown).await;
    }
    Ok(())
}

/// Tells the store what the state says of the clocks, regions and languages of open cases. Every dispatcher does: the same thing twice is once.
async fn tell_observed(dispatcher: &Dispatcher) {
    // What is read in part would replace what is known whole.
    if !dispatcher.ranking.is_read() {
        return;
    }
    let untold = dispatcher.ranking.figures().take_untold(OBSERVED_MAX);
    for (family, team, observed) in untold {
        if let Err(error) = dispatcher.store.observe(team, family, &observed).await {
            dispatcher.ranking.figures().put_back(family, team);
            StoreFailed { error: &error }.emit(&dispatcher.metrics);
        }
    }
}

/// Sets the clocks of what others were told of, and of copies that were posted in spite of it. Every dispatcher does: the same thing twice is once.
async fn follow_shared(dispatcher: &Dispatcher) -> Result<(), StoreError> {
    dispatcher.store.set_shared_clocks().await?;
    let shared = dispatcher.store.shared_families().await?;
    dispatcher.ranking.figures().share(shared, Instant::now());
    if !dispatcher.ranking.is_read() {
        return Ok(());
    }
    let leaks = dispatcher.ranking.figures().leaks();
    for leak in &leaks {
        dispatcher.store.note_leaks(leak.0, &leak.1).await?;
        dispatcher.ranking.figures().leaks_told(leak);
    }
    Ok(())
}

/// All open cases, read again in the order of their ids.
struct Walk {
    /// Where to go on.
    after: Option<CaseId>,
    /// When the next one begins.
    due: Instant,
}

impl Walk {
    /// Reads a page if it is time. What this process did meanwhile with one of its cases is followed after it.
    async fn step(&mut self, dispatcher: &Dispatcher, at: Instant) -> Result<(), StoreError> {
        if at < self.due {
            return Ok(());
        }
        let open = dispatcher.store.open_standings(self.after).await?;
        let is_full = open.len() >= STANDINGS_MAX as usize;
        let through = open.last().map(|standing| standing.id).filter(|_| is_full);
        dispatcher.ranking.lock().put_stretch((self.after, through), &open);
        for standing in &open {
            dispatcher.carrying.case_changed(standing.family);
        }
        self.after = through;
        if through.is_none() {
            self.due = at + WALK_INTERVAL;
        }
        Ok(())
    }
}
