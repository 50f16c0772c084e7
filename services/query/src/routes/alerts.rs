use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use tocsin_model::{AlertId, ContentId};
use tocsin_runtime::{Problem, problem};
use tocsin_wire::document::instant;
use utoipa::IntoParams;

use super::INVALID_CURSOR;
use super::conditional::answered;
use super::parameters::{self, Parameters};
use super::reader::Reader;
use crate::answer::{AlertAnswer, AlertsAnswer, Freshness, alert_answer, scope_name};
use crate::cursor::Cursor;
use crate::state::QueryState;
use crate::tail::now_ms;

const ALERTS_LIMIT_DEFAULT: usize = 50;
/// The most alerts in one answer.
pub const ALERTS_LIMIT_MAX: usize = 500;

/// Which alerts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AlertsParameters {
    /// `next` of an earlier answer, or the id of an event of the stream; the newest alerts when absent.
    since: Option<String>,
    /// How many alerts, 1 to 500; 50 when absent.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
}

/// The alerts of the reader's scope in order of arrival
///
/// Without `since`: the newest. With it: those that came after, the oldest first. An alert of a reader's scope is one of scope `all`, or one
/// of the reader's own scope.
#[utoipa::path(get, path = "/v1/alerts", tag = "query", security(("api_key" = [])),
    params(AlertsParameters, ("If-None-Match" = Option<String>, Header, description = "The `ETag` of an earlier answer")),
    responses(
        (status = 200, body = AlertsAnswer),
        (status = 304, description = "The figures are those of `If-None-Match`; `tocsin-as-of` says up to when"),
        (status = 400, description = "`invalid_parameter`, `invalid_cursor`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn alerts(
    State(state): State<QueryState>,
    reader: Reader,
    headers: HeaderMap,
    Parameters(parameters): Parameters<AlertsParameters>,
) -> Result<Response, Problem> {
    let limit = parameters::limit(parameters.limit.as_deref(), ALERTS_LIMIT_DEFAULT, ALERTS_LIMIT_MAX)?;
    let replica = state.replica();
    let (mut next, page) = match parameters.since.as_deref() {
        Some(since) => {
            let cursor = Cursor::open(state.key(), reader.scope, since).map_err(|_| Problem::new(INVALID_CURSOR))?;
            let page = replica.alerts.after(reader.scope, &cursor, limit);
            (cursor, page)
        }
        None => replica.alerts.newest(reader.scope, limit),
    };
    for held in &page.alerts {
        next.pass(held.partition, held.offset);
    }
    let freshness = Freshness::of_all(replica, now_ms());
    let answer = AlertsAnswer {
        scope: scope_name(reader.scope),
        alerts: page
            .alerts
            .iter()
            .map(|held| alert_answer(held, reader.scope, &replica.names))
            .collect(),
        next: next.seal(state.key(), reader.scope, state.alert_partitions()),
        more: page.more,
        gap: page.gap,
        as_of: freshness.and_then(|freshness| instant(freshness.as_of)),
        lag_ms: freshness.map(|freshness| freshness.lag_ms),
    };
    Ok(answered(&state, reader.scope, &headers, answer))
}

/// One alert
#[utoipa::path(get, path = "/v1/alerts/{id}", tag = "query", security(("api_key" = [])),
    params(("id" = String, Path, description = "The alert, 32 hexadecimal digits"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of an earlier answer")),
    responses(
        (status = 200, body = AlertAnswer),
        (status = 304, description = "The figures are those of `If-None-Match`; `tocsin-as-of` says up to when"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn alert(
    State(state): State<QueryState>,
    reader: Reader,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // An alert's id has the form of a content's.
    let held = ContentId::parse(&id).and_then(|id| state.replica().alerts.get(reader.scope, AlertId(id.0)));
    match held {
        Some(held) => {
            let answer = alert_answer(&held, reader.scope, &state.replica().names);
            Ok(answered(&state, reader.scope, &headers, answer))
        }
        None => Err(Problem::new(problem::NOT_FOUND)),
    }
}
