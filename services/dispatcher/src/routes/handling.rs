//! What a moderator does with a case they hold instead of deciding it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use tocsin_casework::Command;
use tocsin_model::{KeyId, Milliseconds};
use tocsin_runtime::Problem;

use super::cases::{AskedCase, commanded};
use super::documents::CaseDocument;
use super::refused::{NoSuchCase, NotModerated, Refused, Stale};
use super::requests::{EscalateRequest, HandOverRequest, HoldRequest, SkipRequest, desk, id as read_id};
use crate::Dispatcher;

/// Hands the case to another person of the team, with a note. They hold it under a new `fencing` number.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/hand-over",
    tag = "casework",
    operation_id = "hand_over_case",
    params(("id" = String, Path, description = "The case")),
    request_body = HandOverRequest,
    responses(
        (status = 200, description = "The case", body = CaseDocument),
        (status = 409, description = "The lease does not hold the case (any more)", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The note is missing, or the key is no moderator's of the team", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchCase,
        Stale
    ),
    security(("api_key" = []))
)]
pub(crate) async fn hand_over_case(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = |asked: HandOverRequest| {
        let command = Command::HandOver {
            to: KeyId(read_id("to", &asked.to)?),
            length: dispatcher.lease_length(asked.lease_s),
            note: asked.note,
        };
        Ok((asked.fencing, command))
    };
    commanded(&dispatcher, "hand_over_case", (id, request), make).await
}

/// Sends the case to a desk, where it waits for those who claim there.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/escalate",
    tag = "casework",
    operation_id = "escalate_case",
    params(("id" = String, Path, description = "The case")),
    request_body = EscalateRequest,
    responses(
        (status = 200, description = "The case", body = CaseDocument),
        (status = 409, description = "The lease does not hold the case (any more)", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The note is missing or too long", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchCase,
        Stale
    ),
    security(("api_key" = []))
)]
pub(crate) async fn escalate_case(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = |asked: EscalateRequest| {
        let to = desk(&asked.to)?;
        Ok((asked.fencing, Command::Escalate { to, note: asked.note }))
    };
    commanded(&dispatcher, "escalate_case", (id, request), make).await
}

/// Puts the case aside: nobody is handed it until then, unless its spread escalates.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/hold",
    tag = "casework",
    operation_id = "hold_case",
    params(("id" = String, Path, description = "The case")),
    request_body = HoldRequest,
    responses(
        (status = 200, description = "The case", body = CaseDocument),
        (status = 409, description = "The lease does not hold the case (any more)", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The reason is missing, or the time too short or too long", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchCase,
        Stale
    ),
    security(("api_key" = []))
)]
pub(crate) async fn hold_case(State(dispatcher): State<Arc<Dispatcher>>, id: AskedCase, request: Request) -> Response {
    let make = |asked: HoldRequest| {
        let command = Command::Hold {
            length: Milliseconds::from_seconds(i64::from(asked.hold_s)),
            reason: asked.reason,
        };
        Ok((asked.fencing, command))
    };
    commanded(&dispatcher, "hold_case", (id, request), make).await
}

/// Gives the case back with a reason. Whoever skips a case is not handed it for an hour; others are.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/skip",
    tag = "casework",
    operation_id = "skip_case",
    params(("id" = String, Path, description = "The case")),
    request_body = SkipRequest,
    responses(
        (status = 200, description = "The case", body = CaseDocument),
        (status = 409, description = "The lease does not hold the case (any more)", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The reason is missing or too long", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchCase,
        Stale
    ),
    security(("api_key" = []))
)]
pub(crate) async fn skip_case(State(dispatcher): State<Arc<Dispatcher>>, id: AskedCase, request: Request) -> Response {
    let make = |asked: SkipRequest| Ok((asked.fencing, Command::Skip { reason: asked.reason }));
    commanded(&dispatcher, "skip_case", (id, request), make).await
}
