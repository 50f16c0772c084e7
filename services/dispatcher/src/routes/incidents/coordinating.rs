//! What coordinators do with an incident.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use tocsin_incident::Command;

use super::super::refused::Refused;
use super::documents::IncidentDocument;
use super::page::Act;
use super::requests::{
    AttachRequest, DetachRequest, LevelRequest, MarkRequest, MarkingRequest, QuestionAnswerRequest, ReasonRequest,
    RemoveRuleRequest, RuleRequest, family,
};
use super::{AskedCase, AskingAbout, CommandRefusals, NotShared, coordinated};
use crate::Dispatcher;

/// Attaches a family. Whoever reads the incident learns that it belongs to it.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/families",
    tag = "incidents",
    operation_id = "attach_family",
    params(("id" = String, Path, description = "The incident")),
    request_body = AttachRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn attach_family(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = async |asked: AttachRequest, _: AskingAbout<'_>| {
        let family = family("family", &asked.family)?;
        Ok(Command::Attach { family })
    };
    coordinated(&dispatcher, "attach_family", (id, request), make).await
}

/// Takes a family out again.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/families/remove",
    tag = "incidents",
    operation_id = "detach_family",
    params(("id" = String, Path, description = "The incident")),
    request_body = DetachRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn detach_family(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = async |asked: DetachRequest, _: AskingAbout<'_>| {
        let family = family("family", &asked.family)?;
        Ok(Command::Detach {
            family,
            reason: asked.reason,
        })
    };
    coordinated(&dispatcher, "detach_family", (id, request), make).await
}

/// Attaches the families of such alerts from now on, where coordinators may see the alert.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/rules",
    tag = "incidents",
    operation_id = "add_rule",
    params(("id" = String, Path, description = "The incident")),
    request_body = RuleRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn add_rule(State(dispatcher): State<Arc<Dispatcher>>, id: AskedCase, request: Request) -> Response {
    let make = async |asked: RuleRequest, _: AskingAbout<'_>| Ok(Command::AddRule(asked.rule(&dispatcher.names())?));
    coordinated(&dispatcher, "add_rule", (id, request), make).await
}

/// Ends a rule. What it attached stays.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/rules/remove",
    tag = "incidents",
    operation_id = "remove_rule",
    params(("id" = String, Path, description = "The incident")),
    request_body = RemoveRuleRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn remove_rule(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = async |asked: RemoveRuleRequest, _: AskingAbout<'_>| {
        Ok(Command::RemoveRule {
            number: asked.number,
            reason: asked.reason,
        })
    };
    coordinated(&dispatcher, "remove_rule", (id, request), make).await
}

/// Answers a question of the protocol, or opens it again.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/answers",
    tag = "incidents",
    operation_id = "answer_question",
    params(("id" = String, Path, description = "The incident")),
    request_body = QuestionAnswerRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn answer_question(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = async |asked: QuestionAnswerRequest, _: AskingAbout<'_>| {
        Ok(Command::Answer {
            question: asked.question,
            answer: asked.answer,
            reason: asked.reason,
        })
    };
    coordinated(&dispatcher, "answer_question", (id, request), make).await
}

/// Activates the protocol at a level: its steps become tasks, and participants are told. What criteria say is kept beside it, and does not decide.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/activate",
    tag = "incidents",
    operation_id = "activate_protocol",
    params(("id" = String, Path, description = "The incident")),
    request_body = LevelRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn activate_protocol(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = async |asked: LevelRequest, by: AskingAbout<'_>| {
        let shown = dispatcher.shown(by, &Act::Level(&asked.level)).await?;
        Ok(Command::Activate {
            level: asked.level,
            reason: asked.reason,
            shown,
        })
    };
    coordinated(&dispatcher, "activate_protocol", (id, request), make).await
}

/// Goes to another level, up or down. The steps of a level become tasks when it is reached first.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/level",
    tag = "incidents",
    operation_id = "change_level",
    params(("id" = String, Path, description = "The incident")),
    request_body = LevelRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn change_level(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = async |asked: LevelRequest, by: AskingAbout<'_>| {
        let shown = dispatcher.shown(by, &Act::Level(&asked.level)).await?;
        Ok(Command::ChangeLevel {
            level: asked.level,
            reason: asked.reason,
            shown,
        })
    };
    coordinated(&dispatcher, "change_level", (id, request), make).await
}

/// Says that it is over. What criteria say is kept beside it, and does not decide.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/conclude",
    tag = "incidents",
    operation_id = "conclude_incident",
    params(("id" = String, Path, description = "The incident")),
    request_body = ReasonRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn conclude_incident(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = async |asked: ReasonRequest, by: AskingAbout<'_>| {
        let shown = dispatcher.shown(by, &Act::Conclusion).await?;
        Ok(Command::Conclude {
            reason: asked.reason,
            shown,
        })
    };
    coordinated(&dispatcher, "conclude_incident", (id, request), make).await
}

/// Says that it is not over after all: it is at the level at which it was.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/reopen",
    tag = "incidents",
    operation_id = "reopen_incident",
    params(("id" = String, Path, description = "The incident")),
    request_body = ReasonRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn reopen_incident(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = async |asked: ReasonRequest, _: AskingAbout<'_>| Ok(Command::Reopen { reason: asked.reason });
    coordinated(&dispatcher, "reopen_incident", (id, request), make).await
}

/// Changes how far the incident may go. Who may not read it any more finds it gone.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/marking",
    tag = "incidents",
    operation_id = "mark_incident",
    params(("id" = String, Path, description = "The incident")),
    request_body = MarkRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn mark_incident(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = async |asked: MarkRequest, _: AskingAbout<'_>| {
        let marking = MarkingRequest::read(Some(asked.marking))?;
        Ok(Command::Mark {
            marking,
            reason: asked.reason,
        })
    };
    coordinated(&dispatcher, "mark_incident", (id, request), make).await
}
