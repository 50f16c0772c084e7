//! Incidents over HTTP: declaring and listing them in `declaring`, the page of one in `page`, what coordinators do in `coordinating`, what
//! participants do in `participating`, what happened in `timeline`, what is learned from it in `debrief`.
//!
//! `ETag` and `If-Match` work as with cases: the entity tag is the incident's version.

mod assessed;
mod coordinating;
mod debrief;
mod debrief_page;
mod declaring;
mod documents;
mod packing;
mod page;
mod participating;
mod requests;
mod timeline;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tocsin_casework::Team;
use tocsin_incident::{Command, Incident, IncidentId, Refusal};
use tocsin_model::Name;
use tocsin_runtime::Problem;
use tocsin_store::Asking;
use utoipa::IntoResponses;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cases::{AskedCase, asked_version};
use super::{answered, body};
use crate::{Dispatcher, problems};

use documents::IncidentDocument;

pub(super) fn routes() -> OpenApiRouter<Arc<Dispatcher>> {
    OpenApiRouter::new()
        .routes(routes!(declaring::list_incidents, declaring::declare_incident))
        .routes(routes!(page::read_incident))
        .routes(routes!(packing::make_pack))
        .routes(routes!(packing::withdraw_pack))
        .routes(routes!(packing::read_pack))
        .routes(routes!(timeline::read_timeline))
        .routes(routes!(debrief::read_debrief))
        .routes(routes!(coordinating::attach_family))
        .routes(routes!(coordinating::detach_family))
        .routes(routes!(coordinating::add_rule))
        .routes(routes!(coordinating::remove_rule))
        .routes(routes!(coordinating::answer_question))
        .routes(routes!(coordinating::activate_protocol))
        .routes(routes!(coordinating::change_level))
        .routes(routes!(coordinating::conclude_incident))
        .routes(routes!(coordinating::reopen_incident))
        .routes(routes!(coordinating::mark_incident))
        .routes(routes!(participating::invite_party))
        .routes(routes!(participating::remind_party))
        .routes(routes!(participating::acknowledge_invitation))
        .routes(routes!(participating::leave_incident))
        .routes(routes!(participating::add_task))
        .routes(routes!(participating::finish_task))
        .routes(routes!(participating::finish_part))
        .routes(routes!(participating::write_note))
}

/// How every route about incidents refuses beside [`Refused`](super::refused::Refused), for their description: what really is answered stands in
/// `problems`.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "no value is made: only the derived descriptions are used")]
pub(super) enum NotShared {
    #[response(
        status = 403,
        description = "The key, or its team, may not do this",
        content_type = "application/problem+json"
    )]
    Forbidden(Problem),
    #[response(
        status = 404,
        description = "No such incident, or it is not shared with you",
        content_type = "application/problem+json"
    )]
    NotFound(Problem),
}

/// How a route that changes an incident refuses, beside [`NotShared`].
#[derive(IntoResponses)]
#[expect(dead_code, reason = "no value is made: only the derived descriptions are used")]
pub(super) enum CommandRefusals {
    #[response(
        status = 400,
        description = "The body or `If-Match` is malformed",
        content_type = "application/problem+json"
    )]
    Malformed(Problem),
    #[response(
        status = 409,
        description = "The incident as it is does not allow it",
        content_type = "application/problem+json"
    )]
    Conflict(Problem),
    #[response(
        status = 412,
        description = "The incident changed since the version in `If-Match`",
        content_type = "application/problem+json"
    )]
    Stale(Problem),
    #[response(
        status = 422,
        description = "A part of the body is unknown, too long or does not fit",
        content_type = "application/problem+json"
    )]
    Unprocessable(Problem),
}

/// Who asks, about which incident.
type AskingAbout<'a> = (&'a Asking, IncidentId);

/// What is no id names no incident.
fn incident_id(asked: AskedCase) -> Result<IncidentId, Problem> {
    let id = asked.ok().and_then(|axum::extract::Path(text)| text.parse().ok());
    id.ok_or_else(|| problems::of_incident_refusal(Refusal::NoSuchIncident).into())
}

/// As [`commanded`], of what coordinators alone do: anybody else is refused before what is in the body is looked up.
async fn coordinated<T: DeserializeOwned>(
    dispatcher: &Dispatcher,
    name: &'static str,
    asked: (AskedCase, Request),
    make: impl AsyncFnOnce(T, AskingAbout<'_>) -> Result<Command, Problem>,
) -> Response {
    let make = async |body: T, about: AskingAbout<'_>| match about.0.team {
        Some(Team::Coordinators) => make(body, about).await,
        _ => Err(problems::of_incident_refusal(Refusal::CoordinatorsOnly).into()),
    };
    commanded(dispatcher, name, asked, make).await
}

/// Carries out what somebody does with an incident: `make` makes the command of the body, and may ask the store for it.
async fn commanded<T: DeserializeOwned>(
    dispatcher: &Dispatcher,
    name: &'static str,
    (id, request): (AskedCase, Request),
    make: impl AsyncFnOnce(T, AskingAbout<'_>) -> Result<Command, Problem>,
) -> Response {
    let command = async {
        let asking = dispatcher.incident_moderator(request.headers()).await?;
        let version = asked_version(request.headers())?;
        let id = incident_id(id)?;
        // Before what is in the body is looked up: who may not see the incident is not told which parties and groups there are.
        let seen = dispatcher.store.incident(asking, id).await;
        seen.map_err(|error| problems::of_store(&error))?;
        let command = make(body::read(request).await?, (&asking, id)).await?;
        let done = dispatcher.store.command_incident(asking, (id, version), &command).await;
        let done = done.map_err(|error| problems::of_store(&error))?;
        dispatcher.incidents.changed.notify_one();
        dispatcher.told.notify_one();
        dispatcher.incident_document(&done.incident, asking.team).await
    };
    answered_incident(dispatcher, name, command.await)
}

/// As [`answered`], with the version as an entity tag.
fn answered_incident(
    dispatcher: &Dispatcher,
    command: &'static str,
    result: Result<IncidentDocument, Problem>,
) -> Response {
    let version = result.as_ref().ok().map(|incident| incident.version);
    tagged(version, answered(dispatcher, command, result))
}

fn tagged(version: Option<u64>, response: Response) -> Response {
    match version {
        Some(version) => ([(header::ETAG, format!("\"{version}\""))], response).into_response(),
        None => response,
    }
}

/// As [`answered`], of what has no version.
fn answered_plainly<T: Serialize>(dispatcher: &Dispatcher, name: &'static str, result: Result<T, Problem>) -> Response {
    answered(dispatcher, name, result)
}

impl Dispatcher {
    /// The incident as the reader may see it: what the coordinators' alerts and cases are called is theirs.
    async fn incident_document(&self, incident: &Incident, team: Option<Team>) -> Result<IncidentDocument, Problem> {
        let protocol = self.protocol(&incident.protocol).await;
        let protocol = protocol.map_err(|error| problems::of_store(&error))?;
        let mut document = IncidentDocument::of(incident, &protocol, &self.names());
        if team != Some(Team::Coordinators) {
            document.origin.reference = None;
        }
        Ok(document)
    }

    /// The team of this name: `coordinators`, or a party's.
    async fn team_named(&self, field: &str, text: &str) -> Result<Team, Problem> {
        if text == "coordinators" {
            return Ok(Team::Coordinators);
        }
        let name: Name = text
            .parse()
            .map_err(|error| requests::invalid(format!("{field}: {error}")))?;
        let party = self.store.party_named(&name).await;
        let party = party.map_err(|error| problems::of_store(&error))?;
        Ok(Team::Party(party.id))
    }
}
