//! Which case to try first: from the store it knows what is open, from `tocsin.state` what acting on it is worth by the latest figures.
//!
//! It is rebuilt whenever the process starts and decides nothing: the store hands cases out, and where nothing is ranked its own order holds.

mod figures;
mod reader;
mod telemetry;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tocsin_casework::{Case, CaseId, Filter, Ranks, Standing, Team};
use tocsin_model::Timestamp;
use tocsin_runtime::Shutdown;
use tocsin_store::Followed;

use crate::telemetry::StoreFailed;
use crate::{Dispatcher, pause};

pub(crate) use reader::FigureReader;
pub(crate) use telemetry::RankingMetrics;

/// The most cases that are ranked; the store's order holds for the others.
const CASES_MAX: usize = 1_000_000;
/// How many cases a claim tries before it takes the store's order. More are held or claimed meanwhile only if as many people claim at once.
const CANDIDATES: usize = 32;
/// How often to ask the store what other dispatchers did.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(500);

/// The ranks of open cases.
#[derive(Debug)]
pub(crate) struct Ranking {
    ranks: Mutex<Ranks>,
    /// The store's time, as last heard.
    now: AtomicI64,
    /// Whether every open case is ranked.
    is_complete: AtomicBool,
}

impl Ranking {
    pub(crate) fn new() -> Ranking {
        Ranking {
            ranks: Mutex::new(Ranks::new(CASES_MAX)),
            now: AtomicI64::new(i64::MIN),
            is_complete: AtomicBool::new(false),
        }
    }

    /// The cases to try first, the best before the others; none until every open case is known.
    pub(crate) fn candidates(&self, team: Team, filter: &Filter) -> Vec<CaseId> {
        if !self.is_complete() {
            return Vec::new();
        }
        let now = Timestamp(self.now.load(Ordering::Relaxed));
        self.lock().best(team, filter, CANDIDATES, now)
    }

    /// What this process did with a case: the next claim need not wait until the store tells of it.
    pub(crate) fn changed(&self, case: &Case, now: Timestamp) {
        self.put(&[case.standing()], now);
    }

    /// The priority by which a case is ranked.
    pub(crate) fn priority(&self, case: CaseId) -> Option<f64> {
        self.lock().priority(case)
    }

    fn put(&self, standings: &[Standing], now: Timestamp) {
        self.now.fetch_max(now.0, Ordering::Relaxed);
        let mut ranks = self.lock();
        for standing in standings {
            // One that finds no room is handed out by the store's order.
            let _ = ranks.put(standing);
        }
    }

    fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Acquire)
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
    let mut followed = Followed::default();
    while !shutdown.is_requested() {
        match dispatcher.store.follow_standings(&mut followed).await {
            Ok((standings, now)) => {
                let ranking = &dispatcher.ranking;
                ranking.put(&standings, now);
                if !standings.is_empty() {
                    continue;
                }
                ranking.is_complete.store(followed.is_caught_up(), Ordering::Release);
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
