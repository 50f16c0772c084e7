//! Deciding a case.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use tocsin_casework::Command;
use tocsin_model::DecisionId;
use tocsin_runtime::Problem;

use super::cases::{AskedCase, commanded};
use super::documents::CaseDocument;
use super::refused::{NoSuchCase, NotModerated, Refused, Stale};
use super::requests::{DecisionRequest, DraftRequest, WithdrawRequest, id as read_id};
use crate::Dispatcher;

/// Keeps an unfinished decision with the case, in place of the one before: whoever holds it next finds it.
#[utoipa::path(
    put,
    path = "/v1/cases/{id}/draft",
    tag = "casework",
    operation_id = "save_draft",
    params(("id" = String, Path, description = "The case")),
    request_body = DraftRequest,
    responses(
        (status = 200, description = "The case", body = CaseDocument),
        (status = 409, description = "The lease does not hold the case (any more)", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A part of it is too long or malformed", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchCase,
        Stale
    ),
    security(("api_key" = []))
)]
pub(crate) async fn save_draft(State(dispatcher): State<Arc<Dispatcher>>, id: AskedCase, request: Request) -> Response {
    let make = |asked: DraftRequest| Ok((asked.fencing, Command::SaveDraft(asked.draft()?)));
    commanded(&dispatcher, "save_draft", (id, request), make).await
}

/// Decides the case for all copies, present and future, in the team's scope, and gives it back. It goes out when it can no longer be taken back
/// (`goes_out_at`). The same decision sent again under the same lease is answered alike and counts once.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/decision",
    tag = "casework",
    operation_id = "decide_case",
    params(("id" = String, Path, description = "The case")),
    request_body = DecisionRequest,
    responses(
        (status = 200, description = "The case", body = CaseDocument),
        (status = 409, description = "The lease does not hold the case (any more)", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A part of it is too long, malformed or out of range", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchCase,
        Stale
    ),
    security(("api_key" = []))
)]
pub(crate) async fn decide_case(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = |asked: DecisionRequest| {
        let fencing = asked.fencing;
        let command = Command::Decide {
            id: DecisionId(rand::random()),
            ruling: asked.ruling()?,
            undo_for: dispatcher.config.undo(),
        };
        Ok((fencing, command))
    };
    commanded(&dispatcher, "decide_case", (id, request), make).await
}

/// Takes your decision back before it goes out: nobody is told of it. You hold the case again, with what you decided as the draft.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/withdraw",
    tag = "casework",
    operation_id = "withdraw_decision",
    params(("id" = String, Path, description = "The case")),
    request_body = WithdrawRequest,
    responses(
        (status = 200, description = "The case", body = CaseDocument),
        (status = 409, description = "The decision is not yours, does not stand, or went out", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The lease is too short or too long", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchCase,
        Stale
    ),
    security(("api_key" = []))
)]
pub(crate) async fn withdraw_decision(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = |asked: WithdrawRequest| {
        let command = Command::Withdraw {
            decision: DecisionId(read_id("decision", &asked.decision)?),
            length: dispatcher.lease_length(asked.lease_s),
        };
        Ok((0, command))
    };
    commanded(&dispatcher, "withdraw_decision", (id, request), make).await
}
