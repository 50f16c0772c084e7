use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tocsin_model::{Algorithm, BankName, ContentHash, Scope};
use tocsin_runtime::Problem;
use tocsin_store::WatchCursor;
use utoipa::IntoParams;

use super::INVALID_CURSOR;
use super::hma::{UNKNOWN_BANK, unavailable};
use super::leak_through::in_time;
use super::parameters::{Parameters, refused};
use super::reader::Reader;
use crate::answer::{BANK_SIGHTINGS_MAX, BankSightingsAnswer, EntrySightings, bank_sightings_answer, entry_sightings};
use crate::sealed::{SealKind, class_bytes};
use crate::state::QueryState;
use crate::tail::now_ms;

/// Of so many entries at a time the store is asked.
const ENTRIES_AT_ONCE: u32 = 4_096;
/// So often for one answer: it looks at 16,384 entries at most.
const ASKED_MAX: u32 = 4;

/// Where a page ended is a hash of the bank, and may be one of which nothing was seen: it is nobody's to read.
const CURSOR: SealKind = SealKind {
    seal: "bank sightings cursor seal",
    stream: "bank sightings cursor stream",
    bytes_max: 1 + ContentHash::URL_LENGTH_MAX,
};

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BankSightingsParameters {
    /// The bank, as the watch list names it. Families that are hot and live incidents are none of its banks.
    #[param(required = true)]
    bank: Option<String>,
    /// `next` of an earlier answer for the same bank: the entries behind those.
    after: Option<String>,
}

/// What was seen of the entries of a bank
///
/// Of each entry of which something is counted exactly inside the reader's scope: when its own content was seen first and last, how often and on which
/// platforms, and of which family it is now. It is told so whether its content founded its family or joined one of another hash. One answer looks
/// at 16,384 entries at most and tells of 1,000.
#[utoipa::path(get, path = "/v1/bank-sightings", tag = "query", security(("api_key" = [])),
    params(BankSightingsParameters),
    responses(
        (status = 200, body = BankSightingsAnswer),
        (status = 400, description = "`invalid_parameter`, `invalid_cursor`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_bank`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`, `look_up_timed_out`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn bank_sightings(
    State(state): State<QueryState>,
    reader: Reader,
    Parameters(parameters): Parameters<BankSightingsParameters>,
) -> Result<Json<BankSightingsAnswer>, Problem> {
    let bank = known(&state, parameters.bank.as_deref()).await?;
    let of = (&bank, reader.scope);
    let open = |text: &str| open(&state, of, text).ok_or_else(|| Problem::new(INVALID_CURSOR));
    let mut last = parameters.after.as_deref().map(open).transpose()?;
    // One answer is made at a time: work that nobody waits for any more keeps its turn until it ends.
    let turn = Arc::clone(state.bank_sightings_turn()).acquire_owned();
    let turn = in_time(&state, turn).await?;
    let mut turn = turn.map_err(|error| Problem::internal(&error))?;
    let mut sightings: Vec<EntrySightings> = Vec::new();
    let mut is_end = false;
    for _ in 0..ASKED_MAX {
        let after = last.as_ref().map(|last| WatchCursor::behind(&bank, last));
        let page = state
            .store()
            .watch_listings(Some(&bank), after.as_ref(), ENTRIES_AT_ONCE);
        let (entries, next) = in_time(&state, page).await?.map_err(|error| unavailable(&error))?;
        is_end = next.is_none();
        let hashes: Vec<ContentHash> = entries.into_iter().map(|entry| entry.hash).collect();
        let (count, worker, scope) = (hashes.len(), state.clone(), reader.scope);
        let room = BANK_SIGHTINGS_MAX - sightings.len();
        let looked = tokio::task::spawn_blocking(move || (look(&worker, scope, hashes, room), turn));
        let ((seen, looked_at, reached), kept) = looked.await.map_err(|error| Problem::internal(&error))?;
        turn = kept;
        sightings.extend(seen);
        last = reached.or(last);
        if looked_at < count {
            is_end = false;
            break;
        }
        if is_end || sightings.len() >= BANK_SIGHTINGS_MAX {
            break;
        }
    }
    drop(turn);
    let next = last.filter(|_| !is_end).map(|last| seal(&state, of, &last));
    let bank = bank.to_string();
    let answer = bank_sightings_answer(state.replica(), reader.scope, bank, (sightings, next), now_ms());
    Ok(Json(answer))
}

/// What was seen of these entries, until there is no room for more; how many were looked at, and the last of them.
fn look(
    state: &QueryState,
    scope: Scope,
    hashes: Vec<ContentHash>,
    room: usize,
) -> (Vec<EntrySightings>, usize, Option<ContentHash>) {
    let (mut seen, mut looked_at, mut reached) = (Vec::new(), 0, None);
    for hash in hashes {
        if seen.len() >= room {
            break;
        }
        let id = state.key().content_id(&hash);
        seen.extend(entry_sightings(state.replica(), scope, (&hash, id)));
        looked_at += 1;
        reached = Some(hash);
    }
    (seen, looked_at, reached)
}

/// A bank of the watch list.
async fn known(state: &QueryState, name: Option<&str>) -> Result<BankName, Problem> {
    let name = name.ok_or_else(|| refused("bank: absent"))?;
    let bank: BankName = name.parse().map_err(|_| refused("bank: no name of a bank"))?;
    let banks = in_time(state, state.banks().all(state.store())).await?;
    let banks = banks.map_err(|error| unavailable(&error))?;
    match banks.contains_key(bank.as_str()) {
        true => Ok(bank),
        false => Err(Problem::new(UNKNOWN_BANK)),
    }
}

fn seal(state: &QueryState, (bank, scope): (&BankName, Scope), last: &ContentHash) -> String {
    let mut bytes = vec![last.algorithm() as u8];
    bytes.extend_from_slice(last.value());
    CURSOR.seal(state.key(), &[&class_bytes(scope), bank.as_str().as_bytes()], bytes)
}

fn open(state: &QueryState, (bank, scope): (&BankName, Scope), text: &str) -> Option<ContentHash> {
    let context: [&[u8]; 2] = [&class_bytes(scope), bank.as_str().as_bytes()];
    let bytes = CURSOR.open(state.key(), &context, text)?;
    let (algorithm, value) = bytes.split_first()?;
    ContentHash::from_bytes(Algorithm::from_number(*algorithm)?, value.to_vec(), None).ok()
}
