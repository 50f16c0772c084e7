//! Daily aggregates for researchers: the days that are published, what was published of each, in the same bytes for ever, and the data sheet.

mod documents;

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use tocsin_report::Day;
use tocsin_research::{Deployment, Publication, data_sheet};
use tocsin_runtime::{Problem, problem};
use tocsin_store::{RESEARCH_AFTER, RESEARCH_DAYS_MAX};
use tocsin_wire::retention;
use utoipa::IntoParams;

use super::answered;
use super::refused::{NotResearched, Refused};
use crate::telemetry::CommandAnswered;
use crate::{Dispatcher, problems};

use documents::{DataSheetDocument, ResearchDayDocument, ResearchDaysDocument};

const LIMIT_DEFAULT: u32 = 100;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ResearchDaysParameters {
    /// `next` of the page before, or any day: those behind it are listed. From the first day on when absent.
    pub after: Option<String>,
    /// How many days at most: 1 to 500, by default 100.
    pub limit: Option<u32>,
}

/// In which form.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ResearchDayParameters {
    /// `json` (the default), or `csv`.
    pub form: Option<String>,
}

/// The days that are published, ascending: each a day after its end, and never changed since.
#[utoipa::path(
    get,
    path = "/v1/research/days",
    tag = "research",
    operation_id = "read_research_days",
    params(ResearchDaysParameters),
    responses(
        (status = 200, description = "A page", body = ResearchDaysDocument),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotResearched
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_days(
    State(dispatcher): State<Arc<Dispatcher>>,
    headers: HeaderMap,
    parameters: Result<Query<ResearchDaysParameters>, QueryRejection>,
) -> Response {
    let read = async {
        dispatcher.begin_research(&headers).await?;
        let Query(asked) = parameters.map_err(|rejection| invalid(&rejection.body_text()))?;
        let limit = asked.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=RESEARCH_DAYS_MAX).contains(&limit) {
            return Err(invalid("limit: 1 to 500"));
        }
        let after = asked.after.map(|after| after.parse::<Day>());
        let after = after.transpose().map_err(|error| invalid(&format!("after: {error}")))?;
        let page = dispatcher.store.research_days(after, limit).await;
        let (days, is_more) = page.map_err(|error| problems::of_store(&error))?;
        Ok(ResearchDaysDocument::of(&days, is_more))
    };
    answered(&dispatcher, "read_research_days", read.await)
}

/// What was published of a day: rounded and suppressed numbers of families, by party, table and cell.
#[utoipa::path(
    get,
    path = "/v1/research/days/{day}",
    tag = "research",
    operation_id = "read_research_day",
    params(("day" = String, Path, description = "The day, UTC: `YYYY-MM-DD`"), ResearchDayParameters),
    responses(
        (
            status = 200,
            description = "The day; as JSON its entity tag is the digest of the list of days",
            content((ResearchDayDocument = "application/json"), (String = "text/csv"))
        ),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "Nothing is published of the day, or not yet", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotResearched
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_day(
    State(dispatcher): State<Arc<Dispatcher>>,
    asked: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    parameters: Result<Query<ResearchDayParameters>, QueryRejection>,
) -> Response {
    let read = async {
        dispatcher.begin_research(&headers).await?;
        let Query(parameters) = parameters.map_err(|rejection| invalid(&rejection.body_text()))?;
        let is_csv = match parameters.form.as_deref() {
            None | Some("json") => false,
            Some("csv") => true,
            Some(_) => return Err(invalid("form: json or csv")),
        };
        let Path(day) = asked.map_err(|rejection| invalid(&rejection.body_text()))?;
        let day: Day = day.parse().map_err(|error| invalid(&format!("day: {error}")))?;
        let published = dispatcher.store.research_day(day).await;
        let published = published.map_err(|error| problems::of_store(&error))?;
        let published = published.ok_or(problems::NO_SUCH_RESEARCH_DAY)?;
        if is_csv {
            // What was written was of this form; a later one reads it with its own reader.
            let publication: Publication = serde_json::from_str(&published.document).map_err(|error| {
                tracing::error!(%day, %error, "a published day cannot be read");
                Problem::from(problem::INTERNAL)
            })?;
            let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned())];
            return Ok((kind, tocsin_research::csv(&publication)).into_response());
        }
        let headers = [
            (header::CONTENT_TYPE, "application/json".to_owned()),
            (header::ETAG, format!("\"{}\"", published.digest)),
        ];
        Ok((headers, published.document).into_response())
    };
    let read: Result<Response, Problem> = read.await;
    CommandAnswered {
        command: "read_research_day",
        code: read.as_ref().map_or_else(Problem::code, |_| "ok"),
    }
    .emit(&dispatcher.metrics);
    read.unwrap_or_else(Problem::into_response)
}

/// The data sheet of the daily aggregates: why and how they are made, what is suppressed and how, every table, cell and column, limits, terms of use,
/// retention and whom to ask. After T. Gebru et al., "Datasheets for Datasets".
#[utoipa::path(
    get,
    path = "/v1/research/data-sheet",
    tag = "research",
    operation_id = "read_research_data_sheet",
    responses((status = 200, description = "The data sheet", body = DataSheetDocument), Refused, NotResearched),
    security(("api_key" = []))
)]
pub(crate) async fn read_data_sheet(State(dispatcher): State<Arc<Dispatcher>>, headers: HeaderMap) -> Response {
    let read = async {
        dispatcher.begin_research(&headers).await?;
        let retention = retention::of_table("research_days").map_or("not stated", |kind| kind.ends.as_str());
        let after = RESEARCH_AFTER.0 / (60 * 60 * 1_000);
        let sheet = data_sheet(Deployment {
            contact: &dispatcher.config.research_contact,
            retention,
            published_after_hours: u32::try_from(after).unwrap_or(u32::MAX),
        });
        Ok(DataSheetDocument::of(sheet))
    };
    answered(&dispatcher, "read_research_data_sheet", read.await)
}

impl Dispatcher {
    /// Whether researchers are told anything here, and whoever asks is one.
    async fn begin_research(&self, headers: &HeaderMap) -> Result<(), Problem> {
        self.researcher(headers).await?;
        match self.store.drill() {
            None => Ok(()),
            Some(_) => Err(problems::NO_RESEARCH_IN_DRILLS.into()),
        }
    }
}

fn invalid(detail: &str) -> Problem {
    Problem::new(problem::INVALID_PARAMETER).with_detail(detail.to_owned())
}
