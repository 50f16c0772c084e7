use std::ops::Range;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Deserialize;
use tocsin_runtime::Problem;
use tocsin_wire::document::instant;
use utoipa::IntoParams;

use super::INVALID_CURSOR;
use super::conditional::answered;
use super::export::{self, About};
use super::parameters::{self, Parameters, refused};
use super::reader::Reader;
use super::unanswered;
use crate::answer::{
    BreakdownAnswer, BreakdownLength, FamilyAnswer, MEMBERS_LIMIT_MAX, MembersAnswer, RankedMembers, SeriesAnswer,
    SeriesQuestion, breakdown_answer, family_answer, members_answer, series_answer,
};
use crate::export::{Table, TableFormat};
use crate::page::Rank;
use crate::state::QueryState;
use crate::tail::now_ms;

/// Which bins.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SeriesParameters {
    /// `5s` (held for half an hour), `1m` (3 hours, the default) or `15m` (25 hours).
    resolution: Option<String>,
    /// The start, RFC 3339, rounded down to a bin; the oldest bin held when absent or earlier.
    from: Option<String>,
    /// The end, excluded, rounded up to a bin; the open bin when absent or later.
    to: Option<String>,
    /// `json` (the default), `csv` or `parquet`; instead of `Accept`.
    format: Option<String>,
}

/// Which content.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LookupParameters {
    /// `sha256`, `md5`, `pdq`, `vpdq` or `url`.
    #[param(required = true)]
    algorithm: Option<String>,
    /// Hexadecimal, or the URL.
    #[param(required = true)]
    value: Option<String>,
}

/// What is known of a family, or of a content alone
///
/// Exact and by platform, kind, surface and reach where it is hot; one total per window with its bounds where it is cold. What the reader
/// may not see is as if it were not there.
#[utoipa::path(get, path = "/v1/families/{id}", tag = "query", security(("api_key" = [])),
    params(("id" = String, Path, description = "The family or a content, 32 hexadecimal digits")),
    responses(
        (status = 200, body = FamilyAnswer),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn family(
    State(state): State<QueryState>,
    reader: Reader,
    Path(id): Path<String>,
) -> Result<Json<FamilyAnswer>, Problem> {
    let content = parameters::content_id(&id)?;
    family_answer(state.replica(), reader.scope, content, None, now_ms())
        .map(Json)
        .map_err(unanswered)
}

/// Which members.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MembersParameters {
    /// How many members, 1 to 1,000; 1,000 when absent. Of a table 1 to 10,000, and as many when absent.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// `next` of an earlier answer for the same id: the members that rank behind it.
    after: Option<String>,
    /// `json` (the default), `csv` or `parquet`; instead of `Accept`.
    format: Option<String>,
}

/// The contents of a hot family
///
/// How each came into it, when it was first seen on each platform, which one leads and which were posted although the family was on the watch
/// list; and of listed contents, what came since on each platform: posted or blocked, how soon, and what comes again.
///
/// As a table (`text/csv`, `application/vnd.apache.parquet`) it has one row for each member, without platforms; the header `Link` names the next page.
#[utoipa::path(get, path = "/v1/families/{id}/members", tag = "query", security(("api_key" = [])),
    params(("id" = String, Path, description = "The family or a content, 32 hexadecimal digits"), MembersParameters,
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of an earlier answer")),
    responses(
        (status = 200, content((MembersAnswer = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"))),
        (status = 304, description = "The figures are those of `If-None-Match`; `tocsin-as-of` says up to when"),
        (status = 400, description = "`invalid_parameter`, `invalid_cursor`, `export_too_large`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`, `not_hot`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn members(
    State(state): State<QueryState>,
    reader: Reader,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    Parameters(parameters): Parameters<MembersParameters>,
) -> Result<Response, Problem> {
    let content = parameters::content_id(&id)?;
    // A cursor is for the id that was asked about, whatever family that belongs to meanwhile.
    let list = format!("members {content}");
    let open = |text| Rank::open(state.key(), reader.scope, &list, text);
    let after = parameters.after.as_deref().map(open).transpose();
    let after = after.map_err(|_| Problem::new(INVALID_CURSOR))?;
    // Every member is looked at: on a thread where it holds up nobody.
    let worker = state.clone();
    if let Some(format) = export::format(parameters.format.as_deref(), &headers)? {
        let limit = export::rows(parameters.limit.as_deref())?;
        let ranked = tokio::task::spawn_blocking(move || {
            RankedMembers::of(worker.replica(), reader.scope, content, now_ms()).map_err(unanswered)
        });
        let ranked = ranked.await.map_err(|error| Problem::internal(&error))??;
        let (places, more) = ranked.page(after, limit);
        let cursor = places.last().filter(|_| more);
        let next = cursor.map(|last| export::next_page(&uri, &last.seal(state.key(), reader.scope, &list)));
        let places = ranked.page_range(after, limit);
        return Ok(members_table(&state, ranked, places, format, next));
    }
    let limit = parameters::limit(parameters.limit.as_deref(), MEMBERS_LIMIT_MAX, MEMBERS_LIMIT_MAX)?;
    let page = tokio::task::spawn_blocking(move || {
        members_answer(worker.replica(), reader.scope, content, (after, limit), now_ms()).map_err(unanswered)
    });
    let (mut answer, last) = page.await.map_err(|error| Problem::internal(&error))??;
    answer.next = last.map(|last| last.seal(state.key(), reader.scope, &list));
    Ok(answered(&state, reader.scope, &headers, answer))
}

/// Members as a table; its rows are made as they are taken.
fn members_table(
    state: &QueryState,
    ranked: RankedMembers,
    places: Range<usize>,
    format: TableFormat,
    next: Option<String>,
) -> Response {
    let freshness = ranked.freshness();
    let as_of = instant(freshness.as_of);
    let about = About {
        name: format!("members-{}", ranked.family()),
        as_of: as_of.clone(),
        lag_ms: Some(freshness.lag_ms),
        next,
        left_out: None,
    };
    let worker = state.clone();
    let row = move |place: usize| {
        let member = ranked.member(worker.replica(), ranked.ranks.get(place)?)?;
        Some(export::member_row(member, as_of.as_deref()))
    };
    let table = Table {
        columns: export::MEMBERS,
        rows: Box::new(places.filter_map(row)),
    };
    export::answered(format, table, about)
}

/// The bins of a hot family
///
/// Counts by platform and kind at one of three resolutions, exact since promotion. Bins without an event are left out.
///
/// As a table (`text/csv`, `application/vnd.apache.parquet`) it has one row for each bin, 100,000 at most.
#[utoipa::path(get, path = "/v1/families/{id}/series", tag = "query", security(("api_key" = [])),
    params(("id" = String, Path, description = "The family or a content, 32 hexadecimal digits"), SeriesParameters,
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of an earlier answer")),
    responses(
        (status = 200, content((SeriesAnswer = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"))),
        (status = 304, description = "The figures are those of `If-None-Match`; `tocsin-as-of` says up to when"),
        (status = 400, description = "`invalid_parameter`, `export_too_large`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`, `not_hot`, `not_held`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn series(
    State(state): State<QueryState>,
    reader: Reader,
    Path(id): Path<String>,
    headers: HeaderMap,
    Parameters(parameters): Parameters<SeriesParameters>,
) -> Result<Response, Problem> {
    let content = parameters::content_id(&id)?;
    let question = SeriesQuestion {
        resolution: parameters::resolution(parameters.resolution.as_deref())?,
        from: parameters::instant("from", parameters.from.as_deref())?,
        to: parameters::instant("to", parameters.to.as_deref())?,
    };
    if let (Some(from), Some(to)) = (question.from, question.to)
        && from >= to
    {
        return Err(refused("from: must lie before to"));
    }
    let format = export::format(parameters.format.as_deref(), &headers)?;
    let answer = series_answer(state.replica(), reader.scope, content, question, now_ms());
    let answer = answer.map_err(unanswered)?;
    let Some(format) = format else {
        return Ok(answered(&state, reader.scope, &headers, answer));
    };
    let about = About {
        name: format!("series-{}-{}", answer.family, answer.resolution),
        as_of: answer.as_of.clone(),
        lag_ms: Some(answer.lag_ms),
        next: None,
        left_out: None,
    };
    Ok(export::answered(format, export::series_table(answer)?, about))
}

/// Which window.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BreakdownParameters {
    /// `1h` (the default), `6h`, `12h` or `24h`.
    window: Option<String>,
}

/// Where a hot family spreads, and what changed
///
/// The share of each surface, platform, region and language in the spread of a window, as an interval, and its change against the window of the
/// same length before. `rising_surface` is where to intervene.
#[utoipa::path(get, path = "/v1/families/{id}/breakdown", tag = "query", security(("api_key" = [])),
    params(("id" = String, Path, description = "The family or a content, 32 hexadecimal digits"), BreakdownParameters,
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of an earlier answer")),
    responses(
        (status = 200, body = BreakdownAnswer),
        (status = 304, description = "The figures are those of `If-None-Match`; `tocsin-as-of` says up to when"),
        (status = 400, description = "`invalid_parameter`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`, `not_hot`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn breakdown(
    State(state): State<QueryState>,
    reader: Reader,
    Path(id): Path<String>,
    headers: HeaderMap,
    Parameters(parameters): Parameters<BreakdownParameters>,
) -> Result<Response, Problem> {
    let content = parameters::content_id(&id)?;
    let wanted = parameters.window.as_deref().unwrap_or("1h");
    let length = BreakdownLength::ALL.into_iter().find(|length| length.name() == wanted);
    let length = length.ok_or_else(|| refused("window: 1h, 6h, 12h or 24h"))?;
    let answer = breakdown_answer(state.replica(), reader.scope, content, length, now_ms());
    Ok(answered(&state, reader.scope, &headers, answer.map_err(unanswered)?))
}

/// What is known of a content hash
///
/// Answers as `/v1/families/{id}` does, for the content this hash names. A content is named by its strongest hash (sha256, then md5, pdq,
/// vpdq, url).
#[utoipa::path(get, path = "/v1/lookup", tag = "query", security(("api_key" = [])),
    params(LookupParameters),
    responses(
        (status = 200, body = FamilyAnswer),
        (status = 400, description = "`invalid_parameter`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`not_ready`, `unavailable`, `audit_unavailable`", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn lookup(
    State(state): State<QueryState>,
    reader: Reader,
    Parameters(parameters): Parameters<LookupParameters>,
) -> Result<Json<FamilyAnswer>, Problem> {
    let hash = parameters::content_hash(parameters.algorithm.as_deref(), parameters.value.as_deref())?;
    let content = state.key().content_id(&hash);
    family_answer(state.replica(), reader.scope, content, Some(&hash), now_ms())
        .map(Json)
        .map_err(unanswered)
}
