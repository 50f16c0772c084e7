//! Appeals: filed by those who publish or moderate, answered by a reviewer who did not decide.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::de::DeserializeOwned;
use tocsin_casework::{AppealCommand, AppealEvent, AppealId, AppealRefusal, AppealSummary, By, Team};
use tocsin_failpoint::{FailPoint, reach};
use tocsin_model::{ContentId, FamilyId, Milliseconds};
use tocsin_runtime::{Problem, problem};
use tocsin_store::{AppealQuery, AppealState, Appealed};
use tocsin_wire::document::instant;

use super::access::Access;
use super::appeal_documents::{
    AppealAnswerRequest, AppealClaimRequest, AppealDocument, AppealFiguresDocument, AppealFiguresParameters,
    AppealParameters, AppealReleaseRequest, AppealRenewRequest, AppealRequest, AppealsDocument,
};
use super::refused::{NotModerated, NotRead, Refused};
use super::{answered, body};
use crate::{Dispatcher, problems};

const LIMIT_DEFAULT: u32 = 50;
/// The longest period that is summed up.
const HOURS_MAX: u32 = 31 * 24;

/// The appeals of the key's team, the first filed first.
#[utoipa::path(
    get,
    path = "/v1/appeals",
    tag = "casework",
    operation_id = "read_appeals",
    params(AppealParameters),
    responses(
        (status = 200, description = "A page of appeals", body = AppealsDocument),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotRead
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_appeals(
    State(dispatcher): State<Arc<Dispatcher>>,
    headers: HeaderMap,
    parameters: Result<Query<AppealParameters>, QueryRejection>,
) -> Response {
    let read = async {
        let access = dispatcher.reader(&headers).await?;
        let invalid = |detail: &str| Problem::new(problem::INVALID_PARAMETER).with_detail(detail);
        let Query(parameters) = parameters.map_err(|rejection| invalid(&rejection.body_text()))?;
        let state = match parameters.state.as_deref().unwrap_or("open") {
            "all" => None,
            name => Some(
                AppealState::from_name(name)
                    .ok_or_else(|| invalid("state: open, without_reviewer, answered or all"))?,
            ),
        };
        let limit = parameters.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=AppealQuery::LIMIT_MAX).contains(&limit) {
            return Err(invalid("limit: 1 to 200"));
        }
        let case = parameters.case.map(|text| text.parse()).transpose();
        let after = parameters.after.map(|after| after.parse()).transpose();
        let query = AppealQuery {
            team: access.team,
            state,
            case: case.map_err(|_| invalid("case: 32 hexadecimal digits"))?,
            platform: None,
            limit,
            after: after.map_err(|_| invalid("after: not the `next` of a page"))?,
        };
        dispatcher.appeals_page(&query, &access).await
    };
    answered(&dispatcher, "read_appeals", read.await)
}

/// An appeal of the key's team: also for whoever files appeals, to read the answer.
#[utoipa::path(
    get,
    path = "/v1/appeals/{id}",
    tag = "casework",
    operation_id = "read_appeal",
    params(("id" = String, Path, description = "The appeal")),
    responses(
        (status = 200, description = "The appeal", body = AppealDocument),
        (status = 404, description = "No such appeal of this team", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotRead
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_appeal(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedAppeal,
    headers: HeaderMap,
) -> Response {
    let read = async {
        let access = dispatcher.appeal_reader(&headers).await?;
        dispatcher.appeal_document(&access, appeal_id(id)?).await
    };
    answered(&dispatcher, "read_appeal", read.await)
}

/// Files an appeal against a decision of the key's team, or against a refused upload
///
/// It waits in the lane `appeals` for a reviewer who did not decide. `reference` names it: sent again, it is answered as it stands. The answer comes as
/// an event (`tocsin.appeal.answered`) to the team's endpoints, and stands here.
#[utoipa::path(
    post,
    path = "/v1/appeals",
    tag = "casework",
    operation_id = "file_appeal",
    request_body = AppealRequest,
    responses(
        (status = 200, description = "The appeal", body = AppealDocument),
        (status = 409, description = "An appeal of this reference says something else", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A part is missing or too long, the platform is another's, there is no such decision, it is about other content, or too many wait", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated
    ),
    security(("api_key" = []))
)]
pub(crate) async fn file_appeal(State(dispatcher): State<Arc<Dispatcher>>, request: Request) -> Response {
    let file = async {
        let access = dispatcher.appellant(request.headers()).await?;
        let request: AppealRequest = body::read(request).await?;
        let content = dispatcher.links.content_id(&request.content()?);
        let family = dispatcher.known_family(access.team, content);
        let family = family.unwrap_or(FamilyId(content));
        let filing = request.filing(&dispatcher.names())?;
        let by = (access.team, access.principal.key_id);
        let filed = dispatcher.store.file_appeal(by, (content, family), &filing).await;
        let filed = filed.map_err(|error| problems::of_store(&error))?;
        dispatcher.evidence.placed();
        dispatcher.appeal_document(&access, filed.appeal.id).await
    };
    answered(&dispatcher, "file_appeal", file.await)
}

/// Claims an appeal, to answer it. Who decided about its case is refused.
#[utoipa::path(
    post,
    path = "/v1/appeals/{id}/claim",
    tag = "casework",
    operation_id = "claim_appeal",
    params(("id" = String, Path, description = "The appeal")),
    request_body(content = Option<AppealClaimRequest>, description = "How long to hold it"),
    responses(
        (status = 200, description = "The appeal, now held", body = AppealDocument),
        (status = 404, description = "No such appeal of this team", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Somebody holds it, it was answered, or you decided", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The lease is too short or too long", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated
    ),
    security(("api_key" = []))
)]
pub(crate) async fn claim_appeal(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedAppeal,
    request: Request,
) -> Response {
    let make = |claim: AppealClaimRequest| {
        let length = dispatcher.lease_length(claim.lease_s);
        Ok((0, AppealCommand::Claim { length }))
    };
    commanded(&dispatcher, "claim_appeal", (id, request), make).await
}

/// Holds an appeal longer.
#[utoipa::path(
    post,
    path = "/v1/appeals/{id}/renew",
    tag = "casework",
    operation_id = "renew_appeal",
    params(("id" = String, Path, description = "The appeal")),
    request_body = AppealRenewRequest,
    responses(
        (status = 200, description = "The appeal", body = AppealDocument),
        (status = 404, description = "No such appeal of this team", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The lease does not hold it (any more)", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The lease is too short or too long", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated
    ),
    security(("api_key" = []))
)]
pub(crate) async fn renew_appeal(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedAppeal,
    request: Request,
) -> Response {
    let make = |renew: AppealRenewRequest| {
        let length = dispatcher.lease_length(renew.lease_s);
        Ok((renew.fencing, AppealCommand::Renew { length }))
    };
    commanded(&dispatcher, "renew_appeal", (id, request), make).await
}

/// Gives an appeal back, unanswered.
#[utoipa::path(
    post,
    path = "/v1/appeals/{id}/release",
    tag = "casework",
    operation_id = "release_appeal",
    params(("id" = String, Path, description = "The appeal")),
    request_body = AppealReleaseRequest,
    responses(
        (status = 200, description = "The appeal", body = AppealDocument),
        (status = 404, description = "No such appeal of this team", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The lease does not hold it (any more)", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated
    ),
    security(("api_key" = []))
)]
pub(crate) async fn release_appeal(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedAppeal,
    request: Request,
) -> Response {
    let make = |release: AppealReleaseRequest| Ok((release.fencing, AppealCommand::Release));
    commanded(&dispatcher, "release_appeal", (id, request), make).await
}

/// Answers an appeal: whether the decision stands, and how far that goes
///
/// What concerns this upload changes nothing else. A member that is overturned is an exception from what the team decided until then, and the party's
/// opinion of it is withdrawn. A family that is overturned is decided anew, for all copies, at once; the other appeals about it are answered with it.
/// The answer goes to the team's endpoints. It is not taken back. The same answer sent again under the same lease counts once.
#[utoipa::path(
    post,
    path = "/v1/appeals/{id}/answer",
    tag = "casework",
    operation_id = "answer_appeal",
    params(("id" = String, Path, description = "The appeal")),
    request_body = AppealAnswerRequest,
    responses(
        (status = 200, description = "The appeal", body = AppealDocument),
        (status = 404, description = "No such appeal of this team", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The lease does not hold it (any more), it was answered, you decided, or somebody is at the case", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The words are missing or too long, or cause or verdict do not fit", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated
    ),
    security(("api_key" = []))
)]
pub(crate) async fn answer_appeal(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedAppeal,
    request: Request,
) -> Response {
    let make = |answer: AppealAnswerRequest| Ok((answer.fencing, answer.command()?));
    commanded(&dispatcher, "answer_appeal", (id, request), make).await
}

/// What the appeals of the key's team come to: by outcome, by cause, and how long they waited. Of the team as a whole, never of one person.
#[utoipa::path(
    get,
    path = "/v1/appeals/figures",
    tag = "casework",
    operation_id = "read_appeal_figures",
    params(AppealFiguresParameters),
    responses(
        (status = 200, description = "The team's appeals, summed up", body = AppealFiguresDocument),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotRead
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_appeal_figures(
    State(dispatcher): State<Arc<Dispatcher>>,
    headers: HeaderMap,
    parameters: Result<Query<AppealFiguresParameters>, QueryRejection>,
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
        let answers = dispatcher.store.answered_appeals(access.team, period).await;
        let (answers, counts, now) = answers.map_err(|error| problems::of_store(&error))?;
        let figures = (AppealSummary::of(&answers), counts);
        Ok(AppealFiguresDocument::of((access.team_name(), hours), figures, now))
    };
    answered(&dispatcher, "read_appeal_figures", read.await)
}

/// Carries out what a reviewer does with an appeal: `make` makes of the body the fencing number and the command.
async fn commanded<T: DeserializeOwned>(
    dispatcher: &Dispatcher,
    name: &'static str,
    (id, request): (AskedAppeal, Request),
    make: impl FnOnce(T) -> Result<(u64, AppealCommand), Problem>,
) -> Response {
    let command = async {
        let access = dispatcher.moderator(request.headers()).await?;
        let (fencing, command) = make(body::read(request).await?)?;
        let by = By {
            who: access.principal.key_id,
            fencing,
            version: None,
        };
        let id = appeal_id(id)?;
        // Where the content belongs may have changed since the appeal was filed.
        let known = dispatcher.store.appeal(access.team, id).await;
        let (known, _) = known.map_err(|error| problems::of_store(&error))?;
        let about = (id, dispatcher.known_family(access.team, known.appeal.content));
        let done = dispatcher
            .store
            .command_appeal((access.team, by), about, &command)
            .await;
        dispatcher.appealed(&done.map_err(|error| problems::of_store(&error))?);
        dispatcher.appeal_document(&access, id).await
    };
    answered(dispatcher, name, command.await)
}

impl Dispatcher {
    /// A page of appeals, as it is answered.
    pub(super) async fn appeals_page(&self, query: &AppealQuery, access: &Access) -> Result<AppealsDocument, Problem> {
        let page = self.store.appeals(query).await;
        let page = page.map_err(|error| problems::of_store(&error))?;
        let (names, asker) = (self.names(), access.principal.key_id);
        let appeals = page.appeals.iter();
        Ok(AppealsDocument {
            team: access.team_name(),
            as_of: instant(page.as_of),
            appeals: appeals
                .map(|listed| AppealDocument::of(listed, (page.as_of, asker), &names))
                .collect(),
            next: page.next.map(|cursor| cursor.to_string()),
        })
    }

    /// An appeal as it is now.
    pub(super) async fn appeal_document(&self, access: &Access, id: AppealId) -> Result<AppealDocument, Problem> {
        let read = self.store.appeal(access.team, id).await;
        let (listed, now) = read.map_err(|error| problems::of_store(&error))?;
        Ok(AppealDocument::of(
            &listed,
            (now, access.principal.key_id),
            &self.names(),
        ))
    }

    /// Wakes those who tell of what came of an answer.
    fn appealed(&self, done: &Appealed) {
        reach(FailPoint::AppealStored);
        if let Some(case) = &done.case {
            self.ranking.changed(case, done.now);
        }
        if done.decision.is_some() {
            self.decided.notify_one();
        }
        if done.event == AppealEvent::Answered {
            self.told.notify_one();
        }
    }

    /// The family of a content: among what spreads now, or as it was announced; `None` where nothing is known of it.
    fn known_family(&self, team: Team, content: ContentId) -> Option<FamilyId> {
        let spreads = self.ranking.family_of(content, team);
        spreads.or_else(|| self.carrying.family_of(team, content))
    }
}

/// The id in the path, if it is text.
type AskedAppeal = Result<Path<String>, PathRejection>;

/// What is no id names no appeal.
fn appeal_id(asked: AskedAppeal) -> Result<AppealId, Problem> {
    let id = asked.ok().and_then(|Path(text)| text.parse().ok());
    id.ok_or_else(|| Problem::new(problems::of_appeal_refusal(AppealRefusal::NoSuchAppeal)))
}
