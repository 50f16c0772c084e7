use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use tocsin_casework::{By, CaseId, Command, Refusal, Team};
use tocsin_model::{KeyId, Name, PartyId};
use tocsin_runtime::{Problem, problem};
use tocsin_store::{Commanded, Principal, Role, Roles, Subject};
use tocsin_wire::document::instant;

use super::access::Access;
use super::documents::{CaseDocument, HistoryDocument, HistoryStep, StreamDocument, platform_name};
use super::refused::{NoSuchCase, NotModerated, NotRead, Refused, Stale};
use super::requests::{ClaimRequest, ReleaseRequest, RenewRequest};
use super::{answered, body};
use crate::{Dispatcher, problems};

/// The most cases that went into another one, of those that are told with it.
const MERGED_TOLD_MAX: u32 = 200;

/// A case of the key's team. `ETag` names its version. One that went into another goes on answering, and says into which.
#[utoipa::path(
    get,
    path = "/v1/cases/{id}",
    tag = "casework",
    operation_id = "read_case",
    params(("id" = String, Path, description = "The case")),
    responses(
        (status = 200, description = "The case", body = CaseDocument),
        Refused,
        NotRead,
        NoSuchCase
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_case(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    headers: HeaderMap,
) -> Response {
    let read = async {
        let access = dispatcher.reader(&headers).await?;
        dispatcher.case_whole(&access, case_id(id)?).await
    };
    answered_case(&dispatcher, "read_case", read.await)
}

/// What people did with a case, the latest first.
#[utoipa::path(
    get,
    path = "/v1/cases/{id}/history",
    tag = "casework",
    operation_id = "read_history",
    params(("id" = String, Path, description = "The case")),
    responses(
        (status = 200, description = "At most the latest 200 steps", body = HistoryDocument),
        Refused,
        NotRead,
        NoSuchCase
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_history(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    headers: HeaderMap,
) -> Response {
    let read = async {
        let access = dispatcher.reader(&headers).await?;
        let history = dispatcher.store.case_history(access.team, case_id(id)?).await;
        let history = history.map_err(|error| problems::of_store(&error))?;
        let steps = history.into_iter().map(|entry| HistoryStep {
            at: instant(entry.at),
            who: entry.who.map(|who| who.to_string()),
            person: entry.person,
            kind: entry.kind,
            about: entry.about,
            note: entry.note,
        });
        Ok(HistoryDocument { steps: steps.collect() })
    };
    answered(&dispatcher, "read_history", read.await)
}

/// Claims a case: one that waits, or one that was decided, to decide again.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/claim",
    tag = "casework",
    operation_id = "claim_case",
    params(("id" = String, Path, description = "The case")),
    request_body(content = Option<ClaimRequest>, description = "How long to hold it"),
    responses(
        (status = 200, description = "The case, held under a new `fencing` number", body = CaseDocument),
        (status = 409, description = "Somebody holds it, it is closed or went into another, or a decision can still be taken back", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The lease is too short or too long", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchCase,
        Stale
    ),
    security(("api_key" = []))
)]
pub(crate) async fn claim_case(State(dispatcher): State<Arc<Dispatcher>>, id: AskedCase, request: Request) -> Response {
    let claimed = async {
        let access = dispatcher.moderator(request.headers()).await?;
        let by = By {
            who: access.principal.key_id,
            fencing: 0,
            version: asked_version(request.headers())?,
        };
        let claim: ClaimRequest = body::read(request).await?;
        let length = dispatcher.lease_length(claim.lease_s);
        let done = dispatcher
            .carry_out(access.team, case_id(id)?, by, &Command::Claim { length })
            .await?;
        Ok(CaseDocument {
            pause: dispatcher.pause_at(by.who, done.now).await,
            ..dispatcher.document(&done.case, done.now, &access)
        })
    };
    answered_case(&dispatcher, "claim_case", claimed.await)
}

/// Holds the case longer: from now for the length asked for.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/renew",
    tag = "casework",
    operation_id = "renew_lease",
    params(("id" = String, Path, description = "The case")),
    request_body = RenewRequest,
    responses(
        (status = 200, description = "The case", body = CaseDocument),
        (status = 409, description = "The lease does not hold the case (any more)", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The lease is too short or too long", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchCase,
        Stale
    ),
    security(("api_key" = []))
)]
pub(crate) async fn renew_lease(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = |renew: RenewRequest| {
        let length = dispatcher.lease_length(renew.lease_s);
        Ok((renew.fencing, Command::Renew { length }))
    };
    commanded(&dispatcher, "renew_lease", (id, request), make).await
}

/// Gives the case back, undecided, with a note for whoever takes it next.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/release",
    tag = "casework",
    operation_id = "release_case",
    params(("id" = String, Path, description = "The case")),
    request_body = ReleaseRequest,
    responses(
        (status = 200, description = "The case", body = CaseDocument),
        (status = 409, description = "The lease does not hold the case (any more)", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The note is too long or malformed", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchCase,
        Stale
    ),
    security(("api_key" = []))
)]
pub(crate) async fn release_case(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let make = |release: ReleaseRequest| Ok((release.fencing, Command::Release { note: release.note }));
    commanded(&dispatcher, "release_case", (id, request), make).await
}

/// Carries out what a moderator does with a case: `make` makes of the body the fencing number and the command.
pub(super) async fn commanded<T: DeserializeOwned>(
    dispatcher: &Dispatcher,
    name: &'static str,
    (id, request): (AskedCase, Request),
    make: impl FnOnce(T) -> Result<(u64, Command), Problem>,
) -> Response {
    let command = async {
        let access = dispatcher.moderator(request.headers()).await?;
        let version = asked_version(request.headers())?;
        let (fencing, command) = make(body::read(request).await?)?;
        let by = By {
            who: access.principal.key_id,
            fencing,
            version,
        };
        let done = dispatcher.carry_out(access.team, case_id(id)?, by, &command).await?;
        Ok(dispatcher.document(&done.case, done.now, &access))
    };
    answered_case(dispatcher, name, command.await)
}

impl Dispatcher {
    /// A case of a team, with all that is told where one is asked for.
    async fn case_whole(&self, access: &Access, id: CaseId) -> Result<CaseDocument, Problem> {
        let read = self.store.case(access.team, id).await;
        let (case, now) = read.map_err(|error| problems::of_store(&error))?;
        let merged = self.store.merged_cases(access.team, id, MERGED_TOLD_MAX).await;
        let merged = merged.map_err(|error| problems::of_store(&error))?;
        let members_told = match &case.decision {
            Some(decision) => {
                let told = self.store.members_told(decision.id).await;
                Some(told.map_err(|error| problems::of_store(&error))?)
            }
            None => None,
        };
        let whole = self.whole_document((&case, &merged, members_told), now, access);
        let acknowledgement = match case.decision_out(now) {
            Some(decision) => self.awaited(decision.id, 0).await?.map(|(document, _)| document),
            None => None,
        };
        let streams = self.store.case_streams(id).await;
        let names = self.names();
        let streams = streams.map_err(|error| problems::of_store(&error))?.into_iter();
        let streams = streams.map(|(content, platform)| StreamDocument {
            content: content.to_string(),
            platform: platform_name(&names, platform),
        });
        Ok(CaseDocument {
            streams: streams.collect(),
            opinions: self.opinions(&case, access).await?,
            acknowledgement,
            ..whole
        })
    }

    /// A case of a party as its moderators are told it, as JSON in one line: nothing in it is told to others than those who may see it.
    pub(crate) async fn case_as_told(&self, (party, name): (PartyId, &Name), id: CaseId) -> Result<String, Problem> {
        let access = Access {
            principal: Principal {
                key_id: KeyId(0),
                subject: Subject::Party(party, name.clone()),
                roles: Roles::of(&[Role::Moderator]),
            },
            team: Team::Party(party),
        };
        let document = self.case_whole(&access, id).await?;
        serde_json::to_string(&document).map_err(|error| Problem::internal(&error))
    }

    /// Carries out a command, and wakes those who follow.
    pub(super) async fn carry_out(
        &self,
        team: Team,
        id: CaseId,
        by: By,
        command: &Command,
    ) -> Result<Commanded, Problem> {
        let done = self.store.command(team, id, by, command).await;
        let done = done.map_err(|error| problems::of_store(&error))?;
        Ok(self.done(done))
    }
}

/// As [`answered`], with the version as an entity tag.
pub(super) fn answered_case(
    dispatcher: &Dispatcher,
    command: &'static str,
    result: Result<CaseDocument, Problem>,
) -> Response {
    let tag = result.as_ref().ok().map(|case| format!("\"{}\"", case.version));
    let response = answered(dispatcher, command, result);
    match tag {
        Some(tag) => ([(header::ETAG, tag)], response).into_response(),
        None => response,
    }
}

/// The version that the one who asks insists on.
pub(super) fn asked_version(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(asked) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = asked.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let digits = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let version = digits.and_then(|digits| digits.parse().ok());
    let malformed = || Problem::new(problem::INVALID_PARAMETER).with_detail("If-Match: what ETag said of it");
    version.map(Some).ok_or_else(malformed)
}

/// The id in the path, if it is text.
pub(super) type AskedCase = Result<Path<String>, PathRejection>;

/// What is no id names no case.
pub(super) fn case_id(asked: AskedCase) -> Result<CaseId, Problem> {
    let id = asked.ok().and_then(|Path(text)| text.parse().ok());
    id.ok_or_else(|| Problem::new(problems::of_refusal(Refusal::NoSuchCase)))
}
