use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tocsin_casework::{ClockSummary, Clocks, PlatformSummary, Waits};
use tocsin_model::{Milliseconds, Timestamp};
use tocsin_runtime::{Problem, problem};
use tocsin_wire::document::instant;
use utoipa::{IntoParams, ToSchema};

use super::answered;
use super::documents::platform_name;
use super::refused::{NotRead, Refused};
use crate::{Dispatcher, problems};

/// The longest period that is summed up.
const HOURS_MAX: u32 = 31 * 24;

/// Which cases.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ClockParameters {
    /// Those opened within so many hours until now: 1 to 744, by default 24.
    pub hours: Option<u32>,
}

/// When what happened to a case first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClocksDocument {
    /// The family was seen, as far as the team's alerts know, RFC 3339. Null: nothing was seen of it.
    pub first_seen: Option<String>,
    /// It rang. Null: it was opened by a notice, and never rang.
    pub alert_at: Option<String>,
    /// The case was opened.
    pub opened_at: Option<String>,
    /// Somebody took it.
    pub claimed_at: Option<String>,
    /// Somebody decided, and did not take it back.
    pub decided_at: Option<String>,
    /// When the golden hour is over: 60 minutes from the first sighting.
    pub golden_until: Option<String>,
    /// What is left of it, in seconds; 0 once it is over or the case was decided.
    pub golden_left_s: i64,
}

/// How fast a team was.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClockSummaryDocument {
    /// The store's time of this answer, RFC 3339.
    pub as_of: Option<String>,
    /// How many hours it is about.
    pub hours: u32,
    /// How many cases were opened; beyond 100,000 the latest of them.
    pub cases: usize,
    /// How many of them were claimed.
    pub claimed: usize,
    /// How many were decided.
    pub decided: usize,
    /// How many were decided within 60 minutes of the first sighting.
    pub decided_in_golden_hour: usize,
    /// From the first sighting to the alert; null where there is none.
    pub to_alert: Option<WaitsDocument>,
    /// From the first sighting to the claim.
    pub to_claim: Option<WaitsDocument>,
    /// From the first sighting to the decision.
    pub to_decision: Option<WaitsDocument>,
    /// The same on each platform that something is known of.
    pub platforms: Vec<PlatformSummaryDocument>,
}

/// How fast it went on one platform: from the first sighting there.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlatformSummaryDocument {
    /// The platform, by its name.
    pub platform: String,
    /// How many cases something is known of there.
    pub cases: usize,
    /// To the first report there.
    pub to_report: Option<WaitsDocument>,
    /// To the first notice.
    pub to_notice: Option<WaitsDocument>,
    /// To the alert of the case.
    pub to_alert: Option<WaitsDocument>,
    /// To the time others were told.
    pub to_share: Option<WaitsDocument>,
    /// To the claim of the case.
    pub to_claim: Option<WaitsDocument>,
    /// To the decision of the case.
    pub to_decision: Option<WaitsDocument>,
    /// To the first removal there.
    pub to_removal: Option<WaitsDocument>,
    /// To the removal of all that is known there.
    pub to_confirmation: Option<WaitsDocument>,
    /// How many cases leaked there after others were told.
    pub leaked: usize,
    /// How many were removed there within 60 minutes of their first sighting there.
    pub removed_in_golden_hour: usize,
}

/// How long something took.
#[derive(Debug, Serialize, ToSchema)]
pub struct WaitsDocument {
    /// At most so long in half of all cases, in seconds.
    pub median_s: f64,
    /// At most so long in nine of ten, in seconds.
    pub ninth_decile_s: f64,
}

/// How fast the key's team was: from the first sighting to the alert, the claim and the decision. Of the team as a whole, never of one person.
#[utoipa::path(
    get,
    path = "/v1/clocks",
    tag = "casework",
    operation_id = "read_clocks",
    params(ClockParameters),
    responses(
        (status = 200, description = "The clocks of the team's cases, summed up", body = ClockSummaryDocument),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotRead
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_clocks(
    State(dispatcher): State<Arc<Dispatcher>>,
    headers: HeaderMap,
    parameters: Result<Query<ClockParameters>, QueryRejection>,
) -> Response {
    let read = async {
        let access = dispatcher.reader(&headers).await?;
        let invalid = |detail: &str| Problem::new(problem::INVALID_PARAMETER).with_detail(detail);
        let Query(parameters) = parameters.map_err(|rejection| invalid(&rejection.body_text()))?;
        let hours = parameters.hours.unwrap_or(24);
        if !(1..=HOURS_MAX).contains(&hours) {
            return Err(invalid("hours: 1 to 744"));
        }
        let period = Milliseconds::from_hours(i64::from(hours));
        let clocks = dispatcher.store.clocks(access.team, period).await;
        let (clocks, now) = clocks.map_err(|error| problems::of_store(&error))?;
        let of_cases: Vec<Clocks> = clocks.iter().map(|(clocks, _)| *clocks).collect();
        let summary = ClockSummary::of(&of_cases);
        let (platforms, names) = (PlatformSummary::of(&clocks), dispatcher.names());
        Ok(ClockSummaryDocument {
            as_of: instant(now),
            hours,
            cases: summary.cases,
            claimed: summary.claimed,
            decided: summary.decided,
            decided_in_golden_hour: summary.decided_in_golden_hour,
            to_alert: summary.to_alert.map(WaitsDocument::from),
            to_claim: summary.to_claim.map(WaitsDocument::from),
            to_decision: summary.to_decision.map(WaitsDocument::from),
            platforms: platforms
                .iter()
                .map(|(platform, summary)| PlatformSummaryDocument::of(platform_name(&names, *platform), summary))
                .collect(),
        })
    };
    answered(&dispatcher, "read_clocks", read.await)
}

impl ClocksDocument {
    pub(super) fn of(clocks: &Clocks, now: Timestamp) -> ClocksDocument {
        ClocksDocument {
            first_seen: clocks.first_seen.and_then(instant),
            alert_at: clocks.alert_at.and_then(instant),
            opened_at: instant(clocks.opened_at),
            claimed_at: clocks.claimed_at.and_then(instant),
            decided_at: clocks.decided_at.and_then(instant),
            golden_until: clocks.golden_until().and_then(instant),
            golden_left_s: clocks.golden_left(now).0 / 1_000,
        }
    }
}

impl PlatformSummaryDocument {
    fn of(platform: String, summary: &PlatformSummary) -> PlatformSummaryDocument {
        let waits = |waits: Option<Waits>| waits.map(WaitsDocument::from);
        PlatformSummaryDocument {
            platform,
            cases: summary.cases,
            to_report: waits(summary.to_report),
            to_notice: waits(summary.to_notice),
            to_alert: waits(summary.to_alert),
            to_share: waits(summary.to_share),
            to_claim: waits(summary.to_claim),
            to_decision: waits(summary.to_decision),
            to_removal: waits(summary.to_removal),
            to_confirmation: waits(summary.to_confirmation),
            leaked: summary.leaked,
            removed_in_golden_hour: summary.removed_in_golden_hour,
        }
    }
}

impl From<Waits> for WaitsDocument {
    fn from(waits: Waits) -> WaitsDocument {
        WaitsDocument {
            median_s: waits.median.0 as f64 / 1_000.0,
            ninth_decile_s: waits.ninth_decile.0 as f64 / 1_000.0,
        }
    }
}
