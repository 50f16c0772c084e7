//! Reports: what a team did within some days, as figures, each with what it counts, from what, and what bounds it. As JSON, or as a page in `page`.

mod documents;
mod page;

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use tocsin_casework::Team;
use tocsin_report::{Day, Period, Report, Tally};
use tocsin_runtime::{Problem, problem};
use utoipa::{IntoParams, IntoResponses};

use super::access::Access;
use super::html::PageReader;
use super::refused::Refused;
use super::{answered, html};
use crate::reporting::Made;
use crate::{Dispatcher, problems};

use documents::ReportDocument;

/// Which report, and in which form.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReportParameters {
    /// The first day, UTC: `YYYY-MM-DD`.
    pub from: String,
    /// The last day, which is in it. At most 400 days.
    pub to: String,
    /// Whose: the name of the key's own party, or `coordinators`. It need not be said.
    pub party: Option<String>,
    /// `json` (the default), or `html` for a page that can be printed.
    pub form: Option<String>,
}

/// How a report is refused beside [`Refused`], for its description: what really is answered stands in `problems`.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "no value is made: only the derived descriptions are used")]
pub(super) enum NotReported {
    #[response(
        status = 400,
        description = "A parameter is missing or malformed",
        content_type = "application/problem+json"
    )]
    Malformed(Problem),
    #[response(
        status = 403,
        description = "The key may not read, or its team has no such reports",
        content_type = "application/problem+json"
    )]
    Forbidden(Problem),
    #[response(
        status = 404,
        description = "The report is another team's",
        content_type = "application/problem+json"
    )]
    NotFound(Problem),
    #[response(
        status = 422,
        description = "The days are too many, the last is before the first, or too much would be read",
        content_type = "application/problem+json"
    )]
    Unprocessable(Problem),
}

/// What the key's team did within some days: cases, what was found before the first report, decisions by kind and label, removals, times by step,
/// notices by authority and outcome, appeals and overturns, false alarms, and who took part in incidents. Of the coordinators, only those parties that agreed to be named, and their platforms.
#[utoipa::path(
    get,
    path = "/v1/reports",
    tag = "reports",
    operation_id = "read_report",
    params(ReportParameters),
    responses(
        (status = 200, description = "The report", content((ReportDocument = "application/json"), (String = "text/html"))),
        Refused,
        NotReported
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_report(
    State(dispatcher): State<Arc<Dispatcher>>,
    parameters: Result<Query<ReportParameters>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let access = dispatcher.reader(&headers).await;
    let asked = (&headers, parameters);
    let made = made(&dispatcher, access, asked, tocsin_report::transparency).await;
    shown(&dispatcher, "read_report", made)
}

/// The figures that a hosting service provider publishes each year: Regulation (EU) 2021/784 on terrorist content online, Art. 7(3), as far as they are known here.
#[utoipa::path(
    get,
    path = "/v1/reports/terrorist-content",
    tag = "reports",
    operation_id = "read_terrorist_content",
    params(ReportParameters),
    responses(
        (status = 200, description = "The report", content((ReportDocument = "application/json"), (String = "text/html"))),
        Refused,
        NotReported
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_terrorist_content(
    State(dispatcher): State<Arc<Dispatcher>>,
    parameters: Result<Query<ReportParameters>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let access = dispatcher.reporting_party(&headers).await;
    let asked = (&headers, parameters);
    let made = made(&dispatcher, access, asked, tocsin_report::terrorist_content).await;
    shown(&dispatcher, "read_terrorist_content", made)
}

/// The report of a kind, and who reads it if it is wanted as a page.
async fn made(
    dispatcher: &Dispatcher,
    access: Result<Access, Problem>,
    (headers, parameters): (&HeaderMap, Result<Query<ReportParameters>, QueryRejection>),
    of: fn(&Tally) -> Report,
) -> Result<(Report, Option<PageReader>), Problem> {
    let access = access?;
    let asked = Asked::read(parameters, &access)?;
    let reader = match asked.is_page {
        true => Some(dispatcher.page_reader(headers).await?),
        false => None,
    };
    let tally = dispatcher.tally(access.team, asked.period).await?;
    Ok((of(&tally), reader))
}

/// What is asked for, as far as the key may.
struct Asked {
    period: Period,
    is_page: bool,
}

impl Asked {
    fn read(parameters: Result<Query<ReportParameters>, QueryRejection>, access: &Access) -> Result<Asked, Problem> {
        let Query(asked) = parameters.map_err(|rejection| invalid(&rejection.body_text()))?;
        let is_page = match asked.form.as_deref() {
            None | Some("json") => false,
            Some("html") => true,
            Some(_) => return Err(invalid("form: json or html")),
        };
        if asked.party.is_some_and(|party| party != access.team_name()) {
            return Err(problems::NO_SUCH_REPORT.into());
        }
        let period = period(&asked.from, &asked.to)?;
        Ok(Asked { period, is_page })
    }
}

/// The days from the one to the other.
pub(super) fn period(from: &str, to: &str) -> Result<Period, Problem> {
    let day = |name: &str, text: &str| {
        text.parse::<Day>()
            .map_err(|error| invalid(&format!("{name}: {error}")))
    };
    Period::new(day("from", from)?, day("to", to)?)
        .map_err(|error| Problem::new(problems::REPORT_DAYS).with_detail(error.to_string()))
}

pub(super) fn invalid(detail: &str) -> Problem {
    Problem::new(problem::INVALID_PARAMETER).with_detail(detail.to_owned())
}

fn shown(dispatcher: &Dispatcher, name: &'static str, read: Result<(Report, Option<PageReader>), Problem>) -> Response {
    let page = match &read {
        Ok((report, Some(reader))) => Some(page::html(report, reader)),
        _ => None,
    };
    let document = read.map(|(report, _)| ReportDocument::of(report, dispatcher.store.drill()));
    let response = answered(dispatcher, name, document);
    page.map_or(response, html::page)
}

impl Dispatcher {
    /// Those who may look at what only parties have.
    pub(super) async fn reporting_party(&self, headers: &HeaderMap) -> Result<Access, Problem> {
        let access = self.reader(headers).await?;
        match access.team {
            Team::Party(_) => Ok(access),
            Team::Coordinators => Err(problems::PARTIES_ONLY.into()),
        }
    }

    /// A place for what is read for a report, until it is dropped.
    pub(super) fn begin_report(&self, team: Team) -> Result<Made, Problem> {
        let made = self.reports.begin(team);
        made.ok_or_else(|| Problem::new(problems::REPORTS_BUSY).with_retry_after_s(5))
    }

    async fn tally(&self, team: Team, period: Period) -> Result<Tally, Problem> {
        let _made = self.begin_report(team)?;
        let tally = self.store.tally(team, period).await;
        tally.map_err(|error| problems::of_store(&error))
    }
}
