//! Evidence: preservations of a party's data about its cases, and the archives that are handed out of them, to that party alone.

mod documents;

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use serde::de::DeserializeOwned;
use tocsin_evidence::{PreservationCommand, PreservationId, PreservationRefusal, PreservationState};
use tocsin_model::{Name, PartyId};
use tocsin_runtime::{Problem, problem};
use tocsin_store::{PreservationQuery, Subject};
use tocsin_wire::document::instant;
use utoipa::IntoResponses;

use super::access::Access;
use super::cases::{AskedCase, case_id};
use super::refused::{NoSuchCase, NotModerated, Refused};
use super::{answered, body};
use crate::evidence::NotExported;
use crate::telemetry::CommandAnswered;
use crate::{Dispatcher, problems};

use documents::{
    BasisRequest, ExtendRequest, PreservationDocument, PreservationParameters, PreservationWithCustodyDocument,
    PreservationsDocument, ReleasePreservationRequest,
};

const LIMIT_DEFAULT: u32 = 50;

/// How a route about one preservation refuses, beside [`Refused`]: what really is answered stands in `problems`.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "no value is made: only the derived descriptions are used")]
pub(super) enum NoSuchPreservation {
    #[response(
        status = 404,
        description = "No such preservation of this party",
        content_type = "application/problem+json"
    )]
    NotFound(Problem),
}

/// Preserves what is known of a case: the case with its steps, decisions, notices and appeals, your own events about its family, and what is counted of them
///
/// The copy is made at once, in a store of its own, and outlives the original: six months, as Regulation (EU) 2021/784 has it (Art. 6), and longer if it is
/// extended. A removal order that is filed does it by itself, and so does an appeal about a case.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/preservations",
    tag = "evidence",
    operation_id = "preserve_case",
    params(("id" = String, Path, description = "The case")),
    request_body = BasisRequest,
    responses(
        (status = 200, description = "The preservation", body = PreservationDocument),
        (status = 409, description = "As many run as may", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The basis says nothing, or too much", body = Problem, content_type = "application/problem+json"),
        (status = 501, description = "There is no sealed store", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchCase
    ),
    security(("api_key" = []))
)]
pub(crate) async fn preserve_case(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let preserve = async {
        let own = dispatcher.preserver(request.headers()).await?;
        let basis = body::read::<BasisRequest>(request).await?.basis()?;
        let id = case_id(id)?;
        if !dispatcher.evidence.is_kept() {
            return Err(problems::NO_SEALED_STORE.into());
        }
        let placed = Box::pin(dispatcher.store.preserve(own.by(), id, &basis)).await;
        let (placed, _) = placed.map_err(|error| problems::of_store(&error))?;
        dispatcher.evidence.placed();
        Ok(PreservationDocument::from(&placed))
    };
    answered(&dispatcher, "preserve_case", preserve.await)
}

/// The preservations of the key's party, the latest first.
#[utoipa::path(
    get,
    path = "/v1/preservations",
    tag = "evidence",
    operation_id = "read_preservations",
    params(PreservationParameters),
    responses(
        (status = 200, description = "A page of preservations", body = PreservationsDocument),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The key may not moderate, or is not a party's", body = Problem, content_type = "application/problem+json"),
        Refused
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_preservations(
    State(dispatcher): State<Arc<Dispatcher>>,
    headers: HeaderMap,
    parameters: Result<Query<PreservationParameters>, QueryRejection>,
) -> Response {
    let read = async {
        let own = dispatcher.preserver(&headers).await?;
        let invalid = |detail: &str| Problem::new(problem::INVALID_PARAMETER).with_detail(detail);
        let Query(parameters) = parameters.map_err(|rejection| invalid(&rejection.body_text()))?;
        let state = parameters.state.map(|name| {
            PreservationState::from_name(&name).ok_or_else(|| invalid("state: waiting, sealed, ended or deleted"))
        });
        let limit = parameters.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=PreservationQuery::LIMIT_MAX).contains(&limit) {
            return Err(invalid("limit: 1 to 200"));
        }
        let case = parameters.case.map(|text| text.parse()).transpose();
        let after = parameters.after.map(|after| after.parse()).transpose();
        let query = PreservationQuery {
            party: own.party,
            state: state.transpose()?,
            case: case.map_err(|_| invalid("case: 32 hexadecimal digits"))?,
            limit,
            after: after.map_err(|_| invalid("after: not the `next` of a page"))?,
        };
        let page = dispatcher.store.preservations(&query).await;
        let page = page.map_err(|error| problems::of_store(&error))?;
        Ok(PreservationsDocument {
            team: own.name.to_string(),
            as_of: instant(page.as_of),
            preservations: page.preservations.iter().map(PreservationDocument::from).collect(),
            next: page.next.map(|next| next.to_string()),
        })
    };
    answered(&dispatcher, "read_preservations", read.await)
}

/// A preservation of the key's party, with its chain of custody.
#[utoipa::path(
    get,
    path = "/v1/preservations/{id}",
    tag = "evidence",
    operation_id = "read_preservation",
    params(("id" = String, Path, description = "The preservation")),
    responses(
        (status = 200, description = "The preservation", body = PreservationWithCustodyDocument),
        (status = 403, description = "The key may not moderate, or is not a party's", body = Problem, content_type = "application/problem+json"),
        Refused,
        NoSuchPreservation
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_preservation(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedPreservation,
    headers: HeaderMap,
) -> Response {
    let read = async {
        let own = dispatcher.preserver(&headers).await?;
        let read = dispatcher.store.preservation(own.party, preservation_id(id)?).await;
        let read = read.map_err(|error| problems::of_store(&error))?;
        Ok(PreservationWithCustodyDocument {
            preservation: PreservationDocument::from(&read.preservation),
            custody: read.custody.iter().map(Into::into).collect(),
            public_key: hex::encode(dispatcher.evidence.signer.public().0),
        })
    };
    answered(&dispatcher, "read_preservation", read.await)
}

/// Extends a preservation: it holds longer, as long as a review, a complaint or an investigation goes on.
#[utoipa::path(
    post,
    path = "/v1/preservations/{id}/extend",
    tag = "evidence",
    operation_id = "extend_preservation",
    params(("id" = String, Path, description = "The preservation")),
    request_body = ExtendRequest,
    responses(
        (status = 200, description = "The preservation", body = PreservationDocument),
        (status = 409, description = "It ended, or was extended as often as may be", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The time is no later end or too late, or the reason says nothing or too much", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchPreservation
    ),
    security(("api_key" = []))
)]
pub(crate) async fn extend_preservation(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedPreservation,
    request: Request,
) -> Response {
    commanded(
        &dispatcher,
        "extend_preservation",
        (id, request),
        ExtendRequest::command,
    )
    .await
}

/// Releases a preservation: it ends now, and its copy is deleted. Not before six months where the law asks for them.
#[utoipa::path(
    post,
    path = "/v1/preservations/{id}/release",
    tag = "evidence",
    operation_id = "release_preservation",
    params(("id" = String, Path, description = "The preservation")),
    request_body = ReleasePreservationRequest,
    responses(
        (status = 200, description = "The preservation", body = PreservationDocument),
        (status = 409, description = "It ended, or the law asks for six months", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The reason says nothing or too much", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchPreservation
    ),
    security(("api_key" = []))
)]
pub(crate) async fn release_preservation(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedPreservation,
    request: Request,
) -> Response {
    let make = ReleasePreservationRequest::command;
    commanded(&dispatcher, "release_preservation", (id, request), make).await
}

/// The sealed copy of a preservation as an archive, by a right of its own
///
/// A tar with the files of the copy, their signed manifest, the chain of custody up to this export, and a signed statement of it. `tocsin evidence verify` checks
/// it without asking anybody. Who asked for it and by what right is in the custody and in the audit chain before the first byte is given.
#[utoipa::path(
    post,
    path = "/v1/preservations/{id}/export",
    tag = "evidence",
    operation_id = "export_preservation",
    params(("id" = String, Path, description = "The preservation")),
    request_body = BasisRequest,
    responses(
        (status = 200, description = "The archive", content_type = "application/x-tar", body = Vec<u8>),
        (status = 409, description = "It ended, its copy is still being made, or was handed out as often as may be", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The basis says nothing, or too much", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`evidence_busy`: another export is under way", body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "`sealed_copy_damaged`", body = Problem, content_type = "application/problem+json"),
        (status = 501, description = "There is no sealed store", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchPreservation
    ),
    security(("api_key" = []))
)]
pub(crate) async fn export_preservation(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedPreservation,
    request: Request,
) -> Response {
    let export = async {
        let own = dispatcher.preserver(request.headers()).await?;
        let basis = body::read::<BasisRequest>(request).await?.basis()?;
        let id = preservation_id(id)?;
        let turn = dispatcher
            .export_turn(own.party)
            .map_err(|refused| not_exported(&refused))?;
        let by = own.access.principal.key_id;
        let given = Box::pin(dispatcher.export(turn, (own.party, own.name.as_str(), by), (id, &basis))).await;
        let given = given.map_err(|refused| not_exported(&refused))?;
        let headers = [
            (header::CONTENT_TYPE, "application/x-tar".to_owned()),
            (header::CONTENT_LENGTH, given.bytes.to_string()),
            (
                header::CONTENT_DISPOSITION,
                format!("attachment; filename=\"evidence-{id}.tar\""),
            ),
        ];
        Ok::<Response, Problem>((headers, given.body).into_response())
    };
    let exported = export.await;
    CommandAnswered {
        command: "export_preservation",
        code: exported.as_ref().map_or_else(Problem::code, |_| "ok"),
    }
    .emit(&dispatcher.metrics);
    exported.unwrap_or_else(|problem| problem.into_response())
}

/// Carries out what a moderator does with a preservation: `make` makes of the body the command.
async fn commanded<T: DeserializeOwned>(
    dispatcher: &Dispatcher,
    name: &'static str,
    (id, request): (AskedPreservation, Request),
    make: impl FnOnce(T) -> Result<PreservationCommand, Problem>,
) -> Response {
    let command = async {
        let own = dispatcher.preserver(request.headers()).await?;
        let command = make(body::read(request).await?)?;
        let id = preservation_id(id)?;
        let done = Box::pin(dispatcher.store.command_preservation(own.by(), id, &command)).await;
        let (changed, _) = done.map_err(|error| problems::of_store(&error))?;
        dispatcher.evidence.placed();
        Ok(PreservationDocument::from(&changed))
    };
    answered(dispatcher, name, command.await)
}

/// A party's moderator: whoever handles evidence.
struct Own {
    access: Access,
    party: PartyId,
    name: Name,
}

impl Own {
    fn by(&self) -> (PartyId, tocsin_model::KeyId) {
        (self.party, self.access.principal.key_id)
    }
}

impl Dispatcher {
    /// Those who preserve and export: a party's moderators, for only a party has events of its own.
    async fn preserver(&self, headers: &HeaderMap) -> Result<Own, Problem> {
        let access = self.moderator(headers).await?;
        let Subject::Party(party, name) = access.principal.subject.clone() else {
            return Err(problems::PARTIES_ONLY.into());
        };
        Ok(Own { access, party, name })
    }
}

fn not_exported(refused: &NotExported) -> Problem {
    match refused {
        NotExported::Busy => Problem::new(problems::EVIDENCE_BUSY).with_retry_after_s(1),
        NotExported::NotKept => problems::NO_SEALED_STORE.into(),
        NotExported::Damaged => problems::COPY_DAMAGED.into(),
        NotExported::Store(error) => problems::of_store(error),
    }
}

/// The id in the path, if it is text.
type AskedPreservation = Result<Path<String>, PathRejection>;

/// What is no id names no preservation.
fn preservation_id(asked: AskedPreservation) -> Result<PreservationId, Problem> {
    let id = asked.ok().and_then(|Path(text)| text.parse().ok());
    let unknown = problems::of_preservation_refusal(PreservationRefusal::NoSuchPreservation);
    id.ok_or_else(|| Problem::new(unknown))
}
