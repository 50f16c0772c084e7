//! Who takes part in an incident, and what they do.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use tocsin_incident::Command;

use super::super::refused::Refused;
use super::documents::IncidentDocument;
use super::requests::{
    DoneRequest, InviteRequest, MarkingRequest, NoteRequest, NothingRequest, ReasonRequest, RemindRequest, TaskRequest,
};
use super::{AskedCase, AskingAbout, CommandRefusals, NotShared, commanded, coordinated};
use crate::Dispatcher;

/// Invites a party as a participant, at the endpoints it has; for coordinators. One that left can be invited again.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/participants",
    tag = "incidents",
    operation_id = "invite_party",
    params(("id" = String, Path, description = "The incident")),
    request_body = InviteRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn invite_party(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = async |asked: InviteRequest, _: AskingAbout<'_>| {
        let team = dispatcher.team_named("party", &asked.party).await?;
        Ok(Command::Invite {
            team,
            groups: BTreeSet::new(),
            class: asked.class,
            message: asked.message,
        })
    };
    coordinated(&dispatcher, "invite_party", (id, request), make).await
}

/// Reminds a participant at its endpoints, at most every five minutes; for coordinators.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/participants/remind",
    tag = "incidents",
    operation_id = "remind_party",
    params(("id" = String, Path, description = "The incident")),
    request_body = RemindRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn remind_party(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = async |asked: RemindRequest, _: AskingAbout<'_>| {
        let team = dispatcher.team_named("party", &asked.party).await?;
        Ok(Command::Remind {
            team,
            message: asked.message,
        })
    };
    coordinated(&dispatcher, "remind_party", (id, request), make).await
}

/// Says, as an invited party, that you take part.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/acknowledge",
    tag = "incidents",
    operation_id = "acknowledge_invitation",
    params(("id" = String, Path, description = "The incident")),
    request_body = Option<NothingRequest>,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn acknowledge_invitation(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = async |_: NothingRequest, _: AskingAbout<'_>| Ok(Command::Acknowledge);
    commanded(&dispatcher, "acknowledge_invitation", (id, request), make).await
}

/// Leaves, as a participant. What is shared with participants alone is not shared with you any more.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/leave",
    tag = "incidents",
    operation_id = "leave_incident",
    params(("id" = String, Path, description = "The incident")),
    request_body = ReasonRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn leave_incident(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = async |asked: ReasonRequest, _: AskingAbout<'_>| Ok(Command::Leave { reason: asked.reason });
    commanded(&dispatcher, "leave_incident", (id, request), make).await
}

/// Gives the coordinators or a participant something to do; for coordinators.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/tasks",
    tag = "incidents",
    operation_id = "add_task",
    params(("id" = String, Path, description = "The incident")),
    request_body = TaskRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn add_task(State(dispatcher): State<Arc<Dispatcher>>, id: AskedCase, request: Request) -> Response {
    let make = async |asked: TaskRequest, _: AskingAbout<'_>| {
        let (owner, due) = (dispatcher.team_named("owner", &asked.owner).await?, asked.due()?);
        Ok(Command::AddTask {
            does: asked.does,
            owner,
            due,
        })
    };
    coordinated(&dispatcher, "add_task", (id, request), make).await
}

/// Says that a task is done, as its owner or a coordinator.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/tasks/done",
    tag = "incidents",
    operation_id = "finish_task",
    params(("id" = String, Path, description = "The incident")),
    request_body = DoneRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn finish_task(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = async |asked: DoneRequest, _: AskingAbout<'_>| {
        Ok(Command::FinishTask {
            number: asked.number,
            note: asked.note,
        })
    };
    commanded(&dispatcher, "finish_task", (id, request), make).await
}

/// Says, as a participant of a class that has a part in a task, that yours is done.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/tasks/part",
    tag = "incidents",
    operation_id = "finish_part",
    params(("id" = String, Path, description = "The incident")),
    request_body = DoneRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn finish_part(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = async |asked: DoneRequest, _: AskingAbout<'_>| {
        Ok(Command::FinishPart {
            number: asked.number,
            note: asked.note,
        })
    };
    commanded(&dispatcher, "finish_part", (id, request), make).await
}

/// Writes something down, as a coordinator or a participant. It goes as far as its marking says, and never further than the incident.
#[utoipa::path(
    post,
    path = "/v1/incidents/{id}/notes",
    tag = "incidents",
    operation_id = "write_note",
    params(("id" = String, Path, description = "The incident")),
    request_body = NoteRequest,
    responses((status = 200, description = "The incident", body = IncidentDocument), Refused, NotShared, CommandRefusals),
    security(("api_key" = []))
)]
pub(crate) async fn write_note(State(dispatcher): State<Arc<Dispatcher>>, id: AskedCase, request: Request) -> Response {
    let make = async |asked: NoteRequest, _: AskingAbout<'_>| {
        let marking = MarkingRequest::read(asked.marking)?;
        Ok(Command::Note {
            text: asked.text,
            marking,
        })
    };
    commanded(&dispatcher, "write_note", (id, request), make).await
}
