use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use tocsin_casework::{Case, CaseId, Refusal};
use tocsin_model::{Timestamp, Verdict};
use tocsin_runtime::{Problem, problem};
use tocsin_store::StoreError;

use super::access::Access;
use super::documents::{CaseDocument, ClaimRequest, DecisionRequest, ReleaseRequest, RenewRequest};
use super::refused::{NoSuchCase, NotModerated, NotRead, Refused};
use super::{answered, body};
use crate::{Dispatcher, problems};

/// A case of the key's team.
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
        let read = dispatcher.store.case(access.team, case_id(id)?).await;
        dispatcher.told(read, &access)
    };
    answered(&dispatcher, "read_case", read.await)
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
        (status = 409, description = "Somebody holds it, or it is closed", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The lease is too short or too long", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchCase
    ),
    security(("api_key" = []))
)]
pub(crate) async fn claim_case(State(dispatcher): State<Arc<Dispatcher>>, id: AskedCase, request: Request) -> Response {
    let claim = async {
        let access = dispatcher.moderator(request.headers()).await?;
        let claim: ClaimRequest = body::read(request).await?;
        let length = dispatcher.lease_length(claim.lease_s);
        let who = access.principal.key_id;
        let claimed = dispatcher.store.claim(access.team, case_id(id)?, who, length).await;
        dispatcher.told(claimed, &access)
    };
    answered(&dispatcher, "claim_case", claim.await)
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
        NoSuchCase
    ),
    security(("api_key" = []))
)]
pub(crate) async fn renew_lease(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let renew = async {
        let access = dispatcher.moderator(request.headers()).await?;
        let renew: RenewRequest = body::read(request).await?;
        let length = dispatcher.lease_length(renew.lease_s);
        let holder = (access.principal.key_id, renew.fencing);
        let renewed = dispatcher.store.renew(access.team, case_id(id)?, holder, length).await;
        dispatcher.told(renewed, &access)
    };
    answered(&dispatcher, "renew_lease", renew.await)
}

/// Gives the case back, undecided.
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
        Refused,
        NotModerated,
        NoSuchCase
    ),
    security(("api_key" = []))
)]
pub(crate) async fn release_case(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let release = async {
        let access = dispatcher.moderator(request.headers()).await?;
        let release: ReleaseRequest = body::read(request).await?;
        let holder = (access.principal.key_id, release.fencing);
        let released = dispatcher.store.release(access.team, case_id(id)?, holder).await;
        dispatcher.told(released, &access)
    };
    answered(&dispatcher, "release_case", release.await)
}

/// Decides the case for all copies, present and future, in the team's scope, and gives it back. The same decision sent again under the
/// same lease is answered alike and counts once.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/decision",
    tag = "casework",
    operation_id = "decide_case",
    params(("id" = String, Path, description = "The case")),
    request_body = DecisionRequest,
    responses(
        (status = 200, description = "The case with its decision, which is stored and will be published", body = CaseDocument),
        (status = 409, description = "The lease does not hold the case (any more)", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is larger than 64 KiB", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The rationale is too long or malformed", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchCase
    ),
    security(("api_key" = []))
)]
pub(crate) async fn decide_case(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let decide = async {
        let access = dispatcher.moderator(request.headers()).await?;
        let decision: DecisionRequest = body::read(request).await?;
        let verdict = Verdict::from_name(&decision.verdict).ok_or_else(|| {
            let known = Verdict::ALL.map(Verdict::name).join(", ");
            Problem::new(problem::INVALID_BODY).with_detail(format!("verdict: one of {known}"))
        })?;
        let holder = (access.principal.key_id, decision.fencing);
        let ruling = (verdict, decision.rationale.as_str());
        let decided = dispatcher.store.decide(access.team, case_id(id)?, holder, ruling).await;
        dispatcher.decided.notify_one();
        dispatcher.told.notify_one();
        dispatcher.told(decided, &access)
    };
    answered(&dispatcher, "decide_case", decide.await)
}

impl Dispatcher {
    fn told(&self, result: Result<(Case, Timestamp), StoreError>, access: &Access) -> Result<CaseDocument, Problem> {
        match result {
            Ok((case, now)) => Ok(self.document(&case, now, access)),
            Err(error) => Err(problems::of_store(&error)),
        }
    }
}

/// The id in the path, if it is text.
type AskedCase = Result<Path<String>, PathRejection>;

/// What is no id names no case.
fn case_id(asked: AskedCase) -> Result<CaseId, Problem> {
    let id = asked.ok().and_then(|Path(text)| text.parse().ok());
    id.ok_or_else(|| Problem::new(problems::of_refusal(Refusal::NoSuchCase)))
}
