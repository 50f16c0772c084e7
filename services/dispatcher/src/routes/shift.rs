//! What their own work comes to, for those who do it. There is no route that tells of anybody else.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tocsin_casework::{PauseRules, Shift};
use tocsin_model::{KeyId, Milliseconds, Timestamp, Verdict};
use tocsin_runtime::{Problem, problem};
use tocsin_store::StoreError;
use tocsin_wire::document::instant;
use utoipa::{IntoParams, ToSchema};

use super::answered;
use super::refused::{NotRead, Refused};
use crate::telemetry::StoreFailed;
use crate::{Dispatcher, problems};

const HOURS_DEFAULT: u32 = 12;
const HOURS_MAX: u32 = 24;

/// How far back.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ShiftParameters {
    /// What was done within so many hours until now: 1 to 24, by default 12.
    pub hours: Option<u32>,
}

/// What the work of the one who asks comes to.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShiftDocument {
    /// The store's time of this answer, RFC 3339.
    pub as_of: Option<String>,
    /// How many hours it is about.
    pub hours: u32,
    /// The first step in them; null: nothing was done.
    pub began_at: Option<String>,
    /// Cases, appeals and second reviews looked at: each one claimed.
    pub cases_seen: u32,
    /// Those of severity 2 and more.
    pub grave_seen: u32,
    /// What was looked at within the last hour.
    pub cases_seen_1h: u32,
    /// Decisions that stand.
    pub decided: DecidedCounts,
    /// Cases, appeals and second reviews given back, with a reason or without.
    pub given_back: u32,
    /// Cases handed over or sent to a desk.
    pub handed_on: u32,
    /// Cases put aside.
    pub held: u32,
    /// How many pauses.
    pub pauses: u32,
    /// Since when without a pause; and whether one is due.
    pub pause: PauseDocument,
}

/// How often what was decided.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecidedCounts {
    /// `violating`.
    pub violating: u32,
    /// `benign`.
    pub benign: u32,
    /// `newsworthy`.
    pub newsworthy: u32,
    /// `disputed`.
    pub disputed: u32,
    /// `needs_expert`.
    pub needs_expert: u32,
}

/// Whether it is time for a pause. Nobody but the one who asks is told, and nothing is refused because of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PauseDocument {
    /// Whether the operator's settings say so: after `dispatcher.pause_after_min` of work, or after `dispatcher.pause_after_cases`.
    pub due: bool,
    /// Since when without a pause of `dispatcher.pause_min`, RFC 3339; null: pausing now.
    pub working_since: Option<String>,
    /// What was looked at since then: cases, appeals and second reviews.
    pub cases_seen: u32,
}

/// What you did within the last hours: cases, appeals and second reviews looked at, decisions, pauses. Of the key that asks alone.
#[utoipa::path(
    get,
    path = "/v1/shift",
    tag = "casework",
    operation_id = "read_shift",
    params(ShiftParameters),
    responses(
        (status = 200, description = "Your shift", body = ShiftDocument),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotRead
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_shift(
    State(dispatcher): State<Arc<Dispatcher>>,
    headers: HeaderMap,
    parameters: Result<Query<ShiftParameters>, QueryRejection>,
) -> Response {
    let read = async {
        let access = dispatcher.moderator(&headers).await?;
        let invalid = |detail: &str| Problem::new(problem::INVALID_PARAMETER).with_detail(detail);
        let Query(parameters) = parameters.map_err(|rejection| invalid(&rejection.body_text()))?;
        let hours = parameters.hours.unwrap_or(HOURS_DEFAULT);
        if !(1..=HOURS_MAX).contains(&hours) {
            return Err(invalid("hours: 1 to 24"));
        }
        let length = Milliseconds::from_hours(i64::from(hours));
        let rules = dispatcher.config.pause_rules();
        let shift = dispatcher.store.shift(access.principal.key_id, length, &rules).await;
        let (shift, now) = shift.map_err(|error| problems::of_store(&error))?;
        Ok(ShiftDocument {
            as_of: instant(now),
            hours,
            began_at: shift.began_at.and_then(instant),
            cases_seen: shift.cases_seen,
            grave_seen: shift.grave_seen,
            cases_seen_1h: shift.cases_seen_1h,
            decided: DecidedCounts::of(&shift),
            given_back: shift.given_back,
            handed_on: shift.handed_on,
            held: shift.held,
            pauses: shift.pauses,
            pause: PauseDocument::of(&shift),
        })
    };
    answered(&dispatcher, "read_shift", read.await)
}

impl DecidedCounts {
    fn of(shift: &Shift) -> DecidedCounts {
        let count = |verdict| shift.decided_as(verdict);
        DecidedCounts {
            violating: count(Verdict::Violating),
            benign: count(Verdict::Benign),
            newsworthy: count(Verdict::Newsworthy),
            disputed: count(Verdict::Disputed),
            needs_expert: count(Verdict::NeedsExpert),
        }
    }
}

impl PauseDocument {
    fn of(shift: &Shift) -> PauseDocument {
        PauseDocument {
            due: shift.pause_due,
            working_since: shift.working_since.and_then(instant),
            cases_seen: shift.cases_seen_since,
        }
    }
}

impl Dispatcher {
    /// Whether it is time for a pause for whoever claimed just now, by the store's clock. Nothing is told where nobody is ever told, nor where the store does not say:
    /// a claim is not refused for that.
    pub(super) async fn pause_at(&self, key: KeyId, now: Timestamp) -> Option<PauseDocument> {
        let rules = self.config.pause_rules();
        if !rules.any() {
            return None;
        }
        let until = (now, PauseRules::LOOKS_BACK);
        self.pause_told(self.store.shift_until(key, until, &rules).await)
    }

    /// The same of whoever claimed something that does not tell when.
    pub(super) async fn pause_of(&self, key: KeyId) -> Option<PauseDocument> {
        let rules = self.config.pause_rules();
        if !rules.any() {
            return None;
        }
        let shift = self.store.shift(key, PauseRules::LOOKS_BACK, &rules).await;
        self.pause_told(shift.map(|(shift, _)| shift))
    }

    fn pause_told(&self, shift: Result<Shift, StoreError>) -> Option<PauseDocument> {
        match shift {
            Ok(shift) => Some(PauseDocument::of(&shift)),
            Err(error) => {
                StoreFailed { error: &error }.emit(&self.metrics);
                None
            }
        }
    }
}
