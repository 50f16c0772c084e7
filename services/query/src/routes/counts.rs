use axum::Json;
use axum::extract::State;
use tocsin_model::ContentHash;
use tocsin_runtime::Problem;

use super::meter::MeteredReader;
use super::parameters::{self, Parameters, refused};
use super::unanswered;
use crate::answer::{COUNTS_MAX, CountsAnswer, count_answer, counts_answer};
use crate::state::QueryState;
use crate::tail::now_ms;

/// How often contents were seen
///
/// Of any hash, hot or cold, inside the reader's scope: an interval that holds the truth for each window, the time up to which it holds, and
/// whether the content is quarantined as a flood. An `algorithm` holds for every `value` behind it, so several hashes, 64 at most, are asked
/// about at once: `?algorithm=md5&value=...&value=...&algorithm=pdq&value=...`. Each hash is one look-up of the key's quota.
#[utoipa::path(get, path = "/v1/counts", tag = "query", security(("api_key" = [])),
    params(
        ("algorithm" = String, Query, description = "`sha256`, `md5`, `pdq`, `vpdq` or `url`"),
        ("value" = String, Query, description = "Hexadecimal, or the URL"),
    ),
    responses(
        (status = 200, body = CountsAnswer),
        (status = 400, description = "`invalid_parameter`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn counts(
    State(state): State<QueryState>,
    metered: MeteredReader,
    Parameters(pairs): Parameters<Vec<(String, String)>>,
) -> Result<Json<CountsAnswer>, Problem> {
    let hashes = hashes(&pairs)?;
    metered.charge(&state, hashes.len().saturating_sub(1) as u32)?;
    let scope = metered.reader.scope;
    let counts = hashes.iter().map(|hash| {
        let id = state.key().content_id(hash);
        count_answer(state.replica(), scope, Some(hash), id, now_ms()).map_err(unanswered)
    });
    let counts = counts.collect::<Result<_, _>>()?;
    Ok(Json(counts_answer(scope, counts)))
}

/// The hashes that are asked about: one at least, and [`COUNTS_MAX`] at most.
fn hashes(pairs: &[(String, String)]) -> Result<Vec<ContentHash>, Problem> {
    let (mut algorithm, mut hashes) = (None, Vec::new());
    for (name, text) in pairs {
        match name.as_str() {
            "algorithm" => algorithm = Some(text.as_str()),
            "value" if hashes.len() == COUNTS_MAX => return Err(refused(&format!("value: {COUNTS_MAX} at most"))),
            "value" => hashes.push(parameters::content_hash(algorithm, Some(text))?),
            other => return Err(refused(&format!("{other}: unknown"))),
        }
    }
    // What is absent is told by the same words as elsewhere.
    if hashes.is_empty() {
        parameters::content_hash(algorithm, None)?;
    }
    Ok(hashes)
}
