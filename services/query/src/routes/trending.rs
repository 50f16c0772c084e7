use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tocsin_model::Scope;
use tocsin_runtime::Problem;
use tocsin_velocity::figures::WindowLength;
use tokio::sync::Semaphore;
use utoipa::IntoParams;

use super::parameters::{self, Parameters};
use super::reader::Reader;
use crate::answer::{TRENDING_LIMIT_MAX, TrendingAnswer, trending_answer};
use crate::state::QueryState;
use crate::tail::now_ms;

/// How old a ranking may be when it is given out again.
pub const TRENDING_AGE_MAX: Duration = Duration::from_millis(500);

const TRENDING_LIMIT_DEFAULT: usize = 20;
/// The most rankings remembered. Beyond it the memory is dropped.
const RANKINGS_MAX: usize = 256;

/// Rankings made a moment ago. A ranking looks at every hot family, so one is made at a time, on a thread of its own.
#[derive(Debug)]
pub struct TrendingCache {
    rankings: Mutex<BTreeMap<(Scope, WindowLength), Ranking>>,
    turn: Semaphore,
}

#[derive(Debug)]
struct Ranking {
    made_at: Instant,
    answer: Arc<TrendingAnswer>,
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
    fn recent(&self, scope: Scope, length: WindowLength) -> Option<Arc<TrendingAnswer>> {
        let rankings = self.rankings.lock().unwrap_or_else(PoisonError::into_inner);
        let ranking = rankings.get(&(scope, length))?;
        (ranking.made_at.elapsed() < TRENDING_AGE_MAX).then(|| Arc::clone(&ranking.answer))
    }

    fn put(&self, scope: Scope, length: WindowLength, answer: Arc<TrendingAnswer>) {
        let mut rankings = self.rankings.lock().unwrap_or_else(PoisonError::into_inner);
        if rankings.len() >= RANKINGS_MAX {
            rankings.clear();
        }
        let made_at = Instant::now();
        rankings.insert((scope, length), Ranking { made_at, answer });
    }
}

/// Which ranking.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TrendingParameters {
    /// `5m`, `1h` (the default) or `24h`.
    window: Option<String>,
    /// How many families, 1 to 100; 20 when absent.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
}

/// The hot families of the reader's scope, the most spread first
#[utoipa::path(get, path = "/v1/trending", tag = "query", security(("api_key" = [])),
    params(TrendingParameters),
    responses(
        (status = 200, body = TrendingAnswer),
        (status = 400, description = "`invalid_parameter`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn trending(
    State(state): State<QueryState>,
    reader: Reader,
    Parameters(parameters): Parameters<TrendingParameters>,
) -> Result<Json<TrendingAnswer>, Problem> {
    let length = parameters::window(parameters.window.as_deref())?;
    let limit = parameters::limit(parameters.limit.as_deref(), TRENDING_LIMIT_DEFAULT, TRENDING_LIMIT_MAX)?;
    let ranking = ranking(&state, reader.scope, length).await?;
    let mut answer = TrendingAnswer::clone(&ranking);
    answer.families.truncate(limit);
    Ok(Json(answer))
}

async fn ranking(state: &QueryState, scope: Scope, length: WindowLength) -> Result<Arc<TrendingAnswer>, Problem> {
    if let Some(recent) = state.trending().recent(scope, length) {
        return Ok(recent);
    }
    let _turn = state
        .trending()
        .turn
        .acquire()
        .await
        .map_err(|error| Problem::internal(&error))?;
    if let Some(recent) = state.trending().recent(scope, length) {
        return Ok(recent);
    }
    let worker = state.clone();
    let made = tokio::task::spawn_blocking(move || {
        trending_answer(worker.replica(), scope, length, TRENDING_LIMIT_MAX, now_ms())
    });
    let ranking = Arc::new(made.await.map_err(|error| Problem::internal(&error))?);
    state.trending().put(scope, length, Arc::clone(&ranking));
    Ok(ranking)
}
