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
use tokio::sync::Semaphore;
use utoipa::IntoParams;

use super::INVALID_CURSOR;
use super::export::{self, About};
use super::parameters::{self, Parameters};
use super::reader::Reader;
use crate::answer::{RankedFamilies, TRENDING_LIMIT_MAX, TrendingAnswer, TrendingEntry};
use crate::export::{Table, TableFormat};
use crate::page::Rank;
use crate::state::QueryState;
use crate::tail::now_ms;

/// How old a ranking may be when it is given out again.
pub const TRENDING_AGE_MAX: Duration = Duration::from_millis(500);

const TRENDING_LIMIT_DEFAULT: usize = 20;
/// The most rankings remembered. Beyond it the memory is dropped.
const RANKINGS_MAX: usize = 64;

/// Rankings made a moment ago. A ranking looks at every hot family, so one is made at a time, on a thread of its own.
#[derive(Debug)]
pub struct TrendingCache {
    rankings: Mutex<BTreeMap<(Scope, WindowLength), Remembered>>,
    turn: Semaphore,
}

#[derive(Debug)]
struct Remembered {
    /// When it was begun: what happened before is in it.
    begun_at: Instant,
    ranking: Arc<Ranking>,
}

/// A ranking, and the entries of its first page.
#[derive(Debug)]
pub(super) struct Ranking {
    families: RankedFamilies,
    first: Vec<(Rank, TrendingEntry)>,
}

impl Ranking {
    /// The order of the families.
    pub(super) fn families(&self) -> &RankedFamilies {
        &self.families
    }
}

impl Default for TrendingCache {
    fn default() -> Self {
        TrendingCache {
            rankings: Mutex::default(),
            turn: Semaphore::new(1),
        }
    }
}

impl TrendingCache {
    /// One that is young enough, and begun at `since` or later.
    fn recent(&self, scope: Scope, length: WindowLength, since: Option<Instant>) -> Option<Arc<Ranking>> {
        let rankings = self.rankings.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = rankings.get(&(scope, length))?;
        let is_young = remembered.begun_at.elapsed() < TRENDING_AGE_MAX;
        let is_since = since.is_none_or(|since| remembered.begun_at >= since);
        (is_young && is_since).then(|| Arc::clone(&remembered.ranking))
    }

    fn put(&self, scope: Scope, length: WindowLength, begun_at: Instant, ranking: Arc<Ranking>) {
        let mut rankings = self.rankings.lock().unwrap_or_else(PoisonError::into_inner);
        if rankings.len() >= RANKINGS_MAX {
            rankings.clear();
        }
        rankings.insert((scope, length), Remembered { begun_at, ranking });
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
/// As a table (`text/csv`, `application/vnd.apache.parquet`) it has one row for each family, without platforms; the header `Link` names the next page.
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
        let ranking = ranking(&state, reader.scope, length, None).await?;
        return Ok(table(&state, &ranking, (after, limit), format, &uri));
    }
    let limit = parameters::limit(parameters.limit.as_deref(), TRENDING_LIMIT_DEFAULT, TRENDING_LIMIT_MAX)?;
    let after = after(&state, reader.scope, length, parameters.after.as_deref())?;
    let ranking = ranking(&state, reader.scope, length, None).await?;
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
    };
    let (worker, ranking, places) = (state.clone(), Arc::clone(ranking), places.to_vec());
    let row = move |rank| {
        let entry = ranking.families.entry(worker.replica(), &rank, now_ms())?;
        Some(export::trending_row(entry))
    };
    let table = Table {
        columns: export::TRENDING,
        rows: Box::new(places.into_iter().filter_map(row)),
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

/// A ranking that is at most [`TRENDING_AGE_MAX`] old, and holds everything before `since`.
pub(super) async fn ranking(
    state: &QueryState,
    scope: Scope,
    length: WindowLength,
    since: Option<Instant>,
) -> Result<Arc<Ranking>, Problem> {
    if let Some(recent) = state.trending().recent(scope, length, since) {
        return Ok(recent);
    }
    let _turn = state
        .trending()
        .turn
        .acquire()
        .await
        .map_err(|error| Problem::internal(&error))?;
    if let Some(recent) = state.trending().recent(scope, length, since) {
        return Ok(recent);
    }
    let (worker, begun_at) = (state.clone(), Instant::now());
    let made = tokio::task::spawn_blocking(move || {
        let (replica, now_ms) = (worker.replica(), now_ms());
        let families = RankedFamilies::of(replica, scope, length, now_ms);
        let (places, _) = families.page(None, TRENDING_LIMIT_MAX);
        let entry = |rank: &Rank| Some((*rank, families.entry(replica, rank, now_ms)?));
        let first = places.iter().filter_map(entry).collect();
        Ranking { families, first }
    });
    let ranking = Arc::new(made.await.map_err(|error| Problem::internal(&error))?);
    state.trending().put(scope, length, begun_at, Arc::clone(&ranking));
    Ok(ranking)
}
