use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use serde::Serialize;
use tocsin_exchange::SignalType;
use tocsin_family::{Pdq, Video};
use tocsin_model::{Algorithm, ContentHash};
use tocsin_runtime::{Problem, problem};
use utoipa::ToSchema;

use super::MALFORMED_SIGNAL;
use super::signal::{hash, signal_type, turn_down, video};
use crate::routes::meter::MeteredReader;
use crate::routes::parameters::Parameters;
use crate::state::QueryState;

/// The largest body of a comparison, in bytes.
pub const COMPARE_BYTES_MAX: usize = 1 << 20;
/// The most pairs of signals in one comparison: one for each type there is.
const PAIRS_MAX: usize = SignalType::ALL.len();

/// What is told of two signals: an array of whether they match and how far apart they are, as HMA has it.
type ComparisonAnswer = [ComparisonPart; 2];

/// A half of what is told of two signals.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ComparisonPart {
    /// The first: whether they match.
    IsMatch(bool),
    /// The second: how far apart they are.
    Distance(DistanceAnswer),
}

/// How far apart two signals are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DistanceAnswer {
    /// Of pdq signals, in how many of 256 bits they differ. Absent where signals are equal or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<u32>,
    /// Of vpdq signals, which part of the frames of either shows what the other does, in percent: of the first and of the second. Absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    shares: Option<[u16; 2]>,
}

/// Whether pairs of signals match, by type
///
/// HMA takes them as a body only, which `POST` does here too. Each parameter is a signal type, its value two signals separated by a comma; `vpdq`
/// signals, which hold commas themselves, are compared by `POST`.
#[utoipa::path(get, path = "/m/compare", tag = "hma", security(("api_key" = [])),
    params(("pdq" = Option<String>, Query, description = "Two signals separated by a comma; likewise `sha256`, `video_sha256`, `md5`, `photo_md5`, `video_md5`")),
    responses(
        (status = 200, description = "Comparisons by signal type", body = BTreeMap<String, Vec<ComparisonPart>>),
        (status = 400, description = "`invalid_parameter`, `unknown_signal_type`, `malformed_signal`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn compare(
    State(state): State<QueryState>,
    _metered: MeteredReader,
    Parameters(pairs): Parameters<Vec<(String, String)>>,
) -> Result<Json<BTreeMap<String, ComparisonAnswer>>, Problem> {
    let pairs = pairs.into_iter().map(|(kind, pair)| {
        let pair = pair.split(',').map(str::to_owned).collect();
        (kind, pair)
    });
    compare_all(&state, pairs.collect())
}

/// Whether pairs of signals match, by type
///
/// The body is JSON: each signal type with an array of two signals.
#[utoipa::path(post, path = "/m/compare", tag = "hma", security(("api_key" = [])),
    request_body(content = BTreeMap<String, Vec<String>>, description = "Two signals for each signal type; 1 MiB at most"),
    responses(
        (status = 200, description = "Comparisons by signal type", body = BTreeMap<String, Vec<ComparisonPart>>),
        (status = 400, description = "`invalid_body`, `unknown_signal_type`, `malformed_signal`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn compare_body(
    State(state): State<QueryState>,
    _metered: MeteredReader,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<BTreeMap<String, ComparisonAnswer>>, Problem> {
    let body = body.map_err(|_| Problem::new(problem::BODY_TOO_LARGE))?;
    let pairs: BTreeMap<String, Vec<String>> = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(problem::INVALID_BODY).with_detail(error.to_string()))?;
    compare_all(&state, pairs.into_iter().collect())
}

fn compare_all(
    state: &QueryState,
    pairs: Vec<(String, Vec<String>)>,
) -> Result<Json<BTreeMap<String, ComparisonAnswer>>, Problem> {
    if pairs.len() > PAIRS_MAX {
        return Err(Problem::new(problem::INVALID_PARAMETER).with_detail("one pair for each signal type"));
    }
    let mut answer = BTreeMap::new();
    for (name, pair) in pairs {
        let kind = signal_type(state, &name)?;
        let [left, right] = pair.as_slice() else {
            return Err(turn_down(
                state,
                MALFORMED_SIGNAL,
                &format!("{name}: two signals are wanted"),
            ));
        };
        if kind.algorithm() == Algorithm::Vpdq {
            let (left, right) = (video(state, left)?, video(state, right)?);
            answer.insert(name, compared_by_frames(&left, &right));
            continue;
        }
        let (left, right) = (hash(state, kind, left, None)?, hash(state, kind, right, None)?);
        answer.insert(name, compared(&left, &right));
    }
    Ok(Json(answer))
}

fn compared(left: &ContentHash, right: &ContentHash) -> ComparisonAnswer {
    let pdq = |hash: &ContentHash| match hash.algorithm() {
        Algorithm::Pdq => hash.value().try_into().ok().map(Pdq::from_bytes),
        _ => None,
    };
    let distance = match (pdq(left), pdq(right)) {
        (Some(left), Some(right)) => Some(left.distance(&right)),
        _ => None,
    };
    let is_match = distance.map_or(left == right, |distance| distance <= Pdq::DISTANCE_MAX);
    [
        ComparisonPart::IsMatch(is_match),
        ComparisonPart::Distance(DistanceAnswer { distance, shares: None }),
    ]
}

fn compared_by_frames(left: &Video, right: &Video) -> ComparisonAnswer {
    let shares = [(left, right), (right, left)].map(|(of, other)| of.share(other, Video::AGREEMENT_DISTANCE_MAX));
    [
        ComparisonPart::IsMatch(left.same(right).is_some()),
        ComparisonPart::Distance(DistanceAnswer {
            distance: None,
            shares: Some(shares),
        }),
    ]
}
