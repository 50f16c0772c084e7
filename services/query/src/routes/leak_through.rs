use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use tocsin_model::Scope;
use tocsin_runtime::Problem;
use tokio::sync::Semaphore;

use super::conditional::answered;
use super::hma::{LOOK_UP_TIMED_OUT, unavailable};
use super::reader::Reader;
use super::unanswered;
use crate::answer::{LeakThroughAnswer, leak_through_answer, listed_contents};
use crate::state::QueryState;
use crate::tail::now_ms;

/// How old an answer may be when it is given out again.
pub const LEAK_THROUGH_AGE_MAX: Duration = Duration::from_secs(60);

/// The most scopes whose answers are remembered. Beyond it the memory is dropped.
const SCOPES_MAX: usize = 256;
/// Of so many contents at a time the store is asked who lists them.
const ASKED_AT_ONCE: usize = 4_096;

/// Answers made a moment ago. One looks at all that is listed, so one is made at a time: work that nobody waits for any more keeps its turn
/// until it ends.
#[derive(Debug)]
pub(crate) struct LeakThroughCache {
    answers: Mutex<BTreeMap<Scope, (Instant, Arc<LeakThroughAnswer>)>>,
    turn: Arc<Semaphore>,
}

impl Default for LeakThroughCache {
    fn default() -> Self {
        LeakThroughCache {
            answers: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

impl LeakThroughCache {
    fn recent(&self, scope: Scope) -> Option<Arc<LeakThroughAnswer>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (made_at, answer) = answers.get(&scope)?;
        (made_at.elapsed() < LEAK_THROUGH_AGE_MAX).then(|| Arc::clone(answer))
    }

    fn put(&self, scope: Scope, answer: Arc<LeakThroughAnswer>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= SCOPES_MAX {
            answers.clear();
        }
        answers.insert(scope, (Instant::now(), answer));
    }
}

/// How listed contents fared, by bank and platform
///
/// Of the contents on the watch list of which anything was seen since: how many attempts were posted all the same, how long it took from the listing
/// to the first blocked upload and the first removal, and what is uploaded again still. An answer is at most a minute old.
#[utoipa::path(get, path = "/v1/leak-through", tag = "query", security(("api_key" = [])),
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of an earlier answer")),
    responses(
        (status = 200, body = LeakThroughAnswer),
        (status = 304, description = "The figures are those of `If-None-Match`; `tocsin-as-of` says up to when"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`, `look_up_timed_out`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn leak_through(
    State(state): State<QueryState>,
    reader: Reader,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let answer = recent_or_made(&state, reader.scope).await?;
    Ok(answered(
        &state,
        reader.scope,
        &headers,
        LeakThroughAnswer::clone(&answer),
    ))
}

async fn recent_or_made(state: &QueryState, scope: Scope) -> Result<Arc<LeakThroughAnswer>, Problem> {
    if let Some(recent) = state.leak_through().recent(scope) {
        return Ok(recent);
    }
    let turn = Arc::clone(&state.leak_through().turn).acquire_owned();
    let turn = in_time(state, turn).await?;
    let turn = turn.map_err(|error| Problem::internal(&error))?;
    if let Some(recent) = state.leak_through().recent(scope) {
        return Ok(recent);
    }
    let worker = state.clone();
    let listed = tokio::task::spawn_blocking(move || (listed_contents(worker.replica(), scope, now_ms()), turn));
    let (listed, turn) = listed.await.map_err(|error| Problem::internal(&error))?;
    let listed = listed.map_err(unanswered)?;
    let mut listings = Vec::new();
    for hashes in listed.hashes().chunks(ASKED_AT_ONCE) {
        let of_each = in_time(state, state.store().listings_of_each(hashes)).await?;
        listings.extend(of_each.map_err(|error| unavailable(&error))?);
    }
    let worker = state.clone();
    let made = tokio::task::spawn_blocking(move || {
        let answer = leak_through_answer(scope, &listed, &listings, &worker.replica().names);
        (answer, turn)
    });
    // Whoever has the turn next finds the answer.
    let (answer, _turn) = made.await.map_err(|error| Problem::internal(&error))?;
    let answer = Arc::new(answer);
    state.leak_through().put(scope, Arc::clone(&answer));
    Ok(answer)
}

/// What comes no later than a look-up may take.
pub(super) async fn in_time<T>(state: &QueryState, what: impl Future<Output = T>) -> Result<T, Problem> {
    let in_time = tokio::time::timeout(state.look_up_time_max(), what).await;
    in_time.map_err(|_| Problem::new(LOOK_UP_TIMED_OUT).with_retry_after_s(1))
}
