use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use tocsin_model::Scope;
use tocsin_runtime::Problem;
use tocsin_velocity::figures::WindowLength;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa::IntoParams;

use super::INVALID_CURSOR;
use super::export::{self, About};
use super::parameters::{self, Parameters};
use super::reader::Reader;
use crate::answer::{RankedFamilies, TRENDING_LIMIT_MAX, TrendingAnswer, TrendingEntry};
use crate::export::{Table, TableFormat};
use crate::page::Rank;
use crate::replica::ReplicaState;
use crate::state::QueryState;
use crate::tail::now_ms;

/// How old a ranking may be when it is given out again.
pub const TRENDING_AGE_MAX: Duration = Duration::from_millis(500);

const TRENDING_LIMIT_DEFAULT: usize = 20;
/// The most rankings remembered. Beyond it the memory is dropped.
const RANKINGS_MAX: usize = 64;

/// Rankings made a moment ago. A ranking looks at every hot family, so one is made at a time, on a thread of its own: work that nobody waits for any
/// more keeps its turn until it ends.
#[derive(Debug)]
pub struct TrendingCache {
    rankings: Mutex<BTreeMap<(Scope, WindowLength), Remembered>>,
    turn: Arc<Semaphore>,
}

#[derive(Debug)]
struct Remembered {
    /// When it was done: one that took long is given out as often as one that did not.
    made_at: Instant,
    ranking: Arc<Ranking>,
}

/// A ranking, and the entries of its first page.
#[derive(Debug)]
struct Ranking {
    families: RankedFamilies,
    first: Vec<(Rank, TrendingEntry)>,
}

impl Default for TrendingCache {
    fn default() -> Self {
        TrendingCache {
            rankings: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

impl TrendingCache {
    /// One that is young enough.
    fn recent(&self, scope: Scope, length: WindowLength, now: Instant) -> Option<Arc<Ranking>> {
        let rankings = self.rankings.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = rankings.get(&(scope, length))?;
        let is_young = now.saturating_duration_since(remembered.made_at) < TRENDING_AGE_MAX;
        is_young.then(|| Arc::clone(&remembered.ranking))
    }

    /// Makes a ranking by `rank` and remembers it from when it is done, by `clock`.
    fn make(&self, rank: impl FnOnce() -> Ranking, clock: impl FnOnce() -> Instant) -> Arc<Ranking> {
        let ranking = Arc::new(rank());
        let families = &ranking.families;
        self.put((families.scope, families.length), clock(), Arc::clone(&ranking));
        ranking
    }

    /// Waits until nobody else looks at every hot family.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        turn.map_err(|error| Problem::internal(&error))
    }

    fn put(&self, of: (Scope, WindowLength), made_at: Instant, ranking: Arc<Ranking>) {
        let mut rankings = self.rankings.lock().unwrap_or_else(PoisonError::into_inner);
        if rankings.len() >= RANKINGS_MAX {
            rankings.clear();
        }
        rankings.insert(of, Remembered { made_at, ranking });
    }
}

/// Which ranking.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TrendingParameters {
    /// `5m`, `1h` (the default) or `24h`.
    window: Option<String>,
    /// How many families, 1 to 100; 20 when absent. Of a table 1 to 10,000, and as many when absent.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// `next` of an earlier answer for the same window: the families that rank behind it.
    after: Option<String>,
    /// `json` (the default), `csv` or `parquet`; instead of `Accept`.
    format: Option<String>,
}

/// The hot families of the reader's scope, the most spread first
///
/// In pages: `next` of an answer, passed as `after`, goes on behind its last family. A ranking moves while it is read: a family that rises or falls past
/// that place comes twice or not at all. The first 10,000 are ranked.
///
/// As a table (`text/csv`, `application/vnd.apache.parquet`) it has one row for each family, without platforms; the header `Link` names the next page, and
/// `tocsin-left-out` says how many families spread too and are in no page.
#[utoipa::path(get, path = "/v1/trending", tag = "query", security(("api_key" = [])),
    params(TrendingParameters),
    responses(
        (status = 200, content((TrendingAnswer = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"))),
        (status = 400, description = "`invalid_parameter`, `invalid_cursor`, `export_too_large`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn trending(
    State(state): State<QueryState>,
    reader: Reader,
    uri: Uri,
    headers: HeaderMap,
    Parameters(parameters): Parameters<TrendingParameters>,
) -> Result<Response, Problem> {
    let length = parameters::window(parameters.window.as_deref())?;
    if let Some(format) = export::format(parameters.format.as_deref(), &headers)? {
        let limit = export::rows(parameters.limit.as_deref())?;
        let after = after(&state, reader.scope, length, parameters.after.as_deref())?;
        let ranking = ranking(&state, reader.scope, length).await?;
        return Ok(table(&state, &ranking, (after, limit), format, &uri));
    }
    let limit = parameters::limit(parameters.limit.as_deref(), TRENDING_LIMIT_DEFAULT, TRENDING_LIMIT_MAX)?;
    let after = after(&state, reader.scope, length, parameters.after.as_deref())?;
    let ranking = ranking(&state, reader.scope, length).await?;
    let (places, more) = ranking.families.page(after, limit);
    let next = places.last().filter(|_| more);
    let next = next.map(|last| last.seal(state.key(), reader.scope, list(length)));
    let entries = match after {
        None => {
            let first = ranking
                .first
                .iter()
                .take_while(|(rank, _)| places.last().is_some_and(|last| rank <= last));
            first.map(|(_, entry)| entry.clone()).collect()
        }
        Some(_) => {
            let (worker, behind, places) = (state.clone(), Arc::clone(&ranking), places.to_vec());
            let entries = tokio::task::spawn_blocking(move || {
                let entry = |rank| behind.families.entry(worker.replica(), rank, now_ms());
                places.iter().filter_map(entry).collect()
            });
            entries.await.map_err(|error| Problem::internal(&error))?
        }
    };
    Ok(Json(ranking.families.answer(entries, next)).into_response())
}

/// A page of the ranking as a table; its rows are made as they are taken.
fn table(
    state: &QueryState,
    ranking: &Arc<Ranking>,
    (after, limit): (Option<Rank>, usize),
    format: TableFormat,
    asked: &Uri,
) -> Response {
    let families = &ranking.families;
    let (places, more) = families.page(after, limit);
    let cursor = places.last().filter(|_| more);
    let cursor = cursor.map(|last| last.seal(state.key(), families.scope, list(families.length)));
    let told = families.answer(Vec::new(), None);
    let about = About {
        name: format!("trending-{}", told.window),
        as_of: told.as_of,
        lag_ms: told.lag_ms,
        next: cursor.map(|cursor| export::next_page(asked, &cursor)),
        left_out: Some(told.families_left_out),
    };
    let places = families.page_range(after, limit);
    let (worker, ranking) = (state.clone(), Arc::clone(ranking));
    let row = move |place: usize| {
        let rank = ranking.families.ranks.get(place)?;
        let entry = ranking.families.entry(worker.replica(), rank, now_ms())?;
        Some(export::trending_row(entry))
    };
    let table = Table {
        columns: export::TRENDING,
        rows: Box::new(places.filter_map(row)),
    };
    export::answered(format, table, about)
}

/// What a cursor of this list is sealed for.
fn list(length: WindowLength) -> &'static str {
    match length {
        WindowLength::Minutes5 => "trending 5m",
        WindowLength::Hour1 => "trending 1h",
        WindowLength::Hours24 => "trending 24h",
    }
}

/// Behind which place a page begins.
fn after(state: &QueryState, scope: Scope, length: WindowLength, text: Option<&str>) -> Result<Option<Rank>, Problem> {
    let open = |text| Rank::open(state.key(), scope, list(length), text);
    text.map(open).transpose().map_err(|_| Problem::new(INVALID_CURSOR))
}

/// A ranking that was done at most [`TRENDING_AGE_MAX`] ago.
async fn ranking(state: &QueryState, scope: Scope, length: WindowLength) -> Result<Arc<Ranking>, Problem> {
    if let Some(recent) = state.trending().recent(scope, length, Instant::now()) {
        return Ok(recent);
    }
    let turn = state.trending().turn().await?;
    if let Some(recent) = state.trending().recent(scope, length, Instant::now()) {
        return Ok(recent);
    }
    let worker = state.clone();
    let made = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let rank = || ranked(worker.replica(), scope, length);
        worker.trending().make(rank, Instant::now)
    });
    made.await.map_err(|error| Problem::internal(&error))
}

fn ranked(replica: &ReplicaState, scope: Scope, length: WindowLength) -> Ranking {
    let now_ms = now_ms();
    let families = RankedFamilies::of(replica, scope, length, now_ms);
    let (places, _) = families.page(None, TRENDING_LIMIT_MAX);
    let entry = |rank: &Rank| Some((*rank, families.entry(replica, rank, now_ms)?));
    let first = places.iter().filter_map(entry).collect();
    Ranking { families, first }
}

#[cfg(test)]
mod tests {
    //! Goal: a ranking is given out again for its time, however long it took to make.
    #![allow(clippy::unwrap_used)]

    use std::cell::Cell;

    use tocsin_model::{Milliseconds, PartitionCount};
    use tocsin_sketch::ColdConfig;

    use super::*;
    use crate::replica::{AlertLimits, ReplicaLimits};

    #[test]
    fn a_ranking_that_took_long_is_given_out_again() {
        let replica = ReplicaState::new(
            PartitionCount::new(1).unwrap(),
            ColdConfig {
                width: 64,
                seed: 1,
                lateness: Milliseconds::from_hours(2),
            },
            ReplicaLimits {
                hot_records_max: 1,
                announced_hashes_max: 1,
                alerts: AlertLimits {
                    count_max: 1,
                    age_ms_max: 1,
                },
            },
        );
        let cache = TrendingCache::default();
        let (scope, length) = (Scope::All, WindowLength::Hour1);
        let clock = Cell::new(Instant::now());
        let made = cache.make(
            || {
                clock.set(clock.get() + 2 * TRENDING_AGE_MAX);
                ranked(&replica, scope, length)
            },
            || clock.get(),
        );
        let recent = cache.recent(scope, length, clock.get() + TRENDING_AGE_MAX / 2).unwrap();
        assert!(Arc::ptr_eq(&recent, &made));
        assert!(cache.recent(scope, length, clock.get() + TRENDING_AGE_MAX).is_none());
        assert!(cache.recent(Scope::Coordinators, length, clock.get()).is_none());
    }
}
