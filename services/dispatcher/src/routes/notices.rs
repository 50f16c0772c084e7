//! Notices: what authorities and flaggers want of a team, until when, and what they were answered.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::de::DeserializeOwned;
use tocsin_casework::{CaseId, NoticeCommand, NoticeId, NoticeRefusal};
use tocsin_failpoint::{FailPoint, reach};
use tocsin_model::FamilyId;
use tocsin_runtime::{Problem, problem};
use tocsin_store::{About, NoticeQuery, NoticeState, Noticed};
use tocsin_wire::document::instant;

use super::cases::{AskedCase, case_id};
use super::notice_documents::{
    NoticeAnswerRequest, NoticeDocument, NoticeParameters, NoticeRequest, NoticesDocument, ResumeRequest,
    SuspendRequest, ThreatRequest,
};
use super::refused::{NoSuchCase, NotModerated, NotRead, Refused};
use super::{answered, body};
use crate::{Dispatcher, problems};

const LIMIT_DEFAULT: u32 = 50;

/// The notices of the key's team: those whose time runs first, by when they are due, then the latest first.
#[utoipa::path(
    get,
    path = "/v1/notices",
    tag = "casework",
    operation_id = "read_notices",
    params(NoticeParameters),
    responses(
        (status = 200, description = "A page of notices", body = NoticesDocument),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotRead
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_notices(
    State(dispatcher): State<Arc<Dispatcher>>,
    headers: HeaderMap,
    parameters: Result<Query<NoticeParameters>, QueryRejection>,
) -> Response {
    let read = async {
        let access = dispatcher.reader(&headers).await?;
        let invalid = |detail: &str| Problem::new(problem::INVALID_PARAMETER).with_detail(detail);
        let Query(parameters) = parameters.map_err(|rejection| invalid(&rejection.body_text()))?;
        let state = match parameters.state.as_deref().unwrap_or("open") {
            "all" => None,
            name => Some(
                NoticeState::from_name(name)
                    .ok_or_else(|| invalid("state: open, suspended, overdue, answered or all"))?,
            ),
        };
        let limit = parameters.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=NoticeQuery::LIMIT_MAX).contains(&limit) {
            return Err(invalid("limit: 1 to 200"));
        }
        let case = parameters.case.map(|text| text.parse()).transpose();
        let after = parameters.after.map(|after| after.parse()).transpose();
        let query = NoticeQuery {
            team: access.team,
            state,
            case: case.map_err(|_| invalid("case: 32 hexadecimal digits"))?,
            limit,
            after: after.map_err(|_| invalid("after: not the `next` of a page"))?,
        };
        let page = dispatcher.store.notices(&query).await;
        let page = page.map_err(|error| problems::of_store(&error))?;
        let names = dispatcher.names();
        Ok(NoticesDocument {
            team: access.team_name(),
            as_of: instant(page.as_of),
            notices: page
                .notices
                .iter()
                .map(|notice| NoticeDocument::of(notice, page.as_of, &names))
                .collect(),
            next: page.next.map(|cursor| cursor.to_string()),
        })
    };
    answered(&dispatcher, "read_notices", read.await)
}

/// A notice of the key's team.
#[utoipa::path(
    get,
    path = "/v1/notices/{id}",
    tag = "casework",
    operation_id = "read_notice",
    params(("id" = String, Path, description = "The notice")),
    responses(
        (status = 200, description = "The notice", body = NoticeDocument),
        (status = 404, description = "No such notice of this team", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotRead
    ),
    security(("api_key" = []))
)]
pub(crate) async fn read_notice(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedNotice,
    headers: HeaderMap,
) -> Response {
    let read = async {
        let access = dispatcher.reader(&headers).await?;
        match dispatcher.store.notice(access.team, notice_id(id)?).await {
            Ok((notice, now)) => Ok(NoticeDocument::of(&notice, now, &dispatcher.names())),
            Err(error) => Err(problems::of_store(&error)),
        }
    };
    answered(&dispatcher, "read_notice", read.await)
}

/// Files a notice: it joins the team's case of what it is about, or opens one, also of what was never seen
///
/// A removal order (Regulation (EU) 2021/784, Art. 3) is due one hour after its receipt; it outranks every priority once it is due soon, and is
/// escalated when it is late. `authority`, `reference` and `part` name a notice: sent again, it is answered as it stands. A content that spreads is
/// found with its family; one that does not is a family of its own.
#[utoipa::path(
    post,
    path = "/v1/notices",
    tag = "casework",
    operation_id = "file_notice",
    request_body = NoticeRequest,
    responses(
        (status = 200, description = "The notice, and the case it stands in", body = NoticeDocument),
        (status = 404, description = "No such case in this team's queue", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "A notice of this name says something else", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A part is missing, too long or of an impossible time", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated
    ),
    security(("api_key" = []))
)]
pub(crate) async fn file_notice(State(dispatcher): State<Arc<Dispatcher>>, request: Request) -> Response {
    let file = async {
        let access = dispatcher.moderator(request.headers()).await?;
        let request: NoticeRequest = body::read(request).await?;
        let about = match request.about()? {
            (Some(case), None) => About::Case(CaseId(case)),
            (None, Some(hash)) => {
                let content = dispatcher.links.content_id(&hash);
                let family = dispatcher.ranking.family_of(content, access.team);
                About::Family(family.unwrap_or(FamilyId(content)), hash)
            }
            _ => return Err(Problem::new(problem::INVALID_BODY).with_detail("content or case: one of them")),
        };
        let filing = request.filing(&dispatcher.names())?;
        let by = (access.team, access.principal.key_id);
        let filed = dispatcher.store.file_notice(by, &about, &filing).await;
        Ok(dispatcher.noticed(&filed.map_err(|error| problems::of_store(&error))?))
    };
    answered(&dispatcher, "file_notice", file.await)
}

/// Records that an authority was told of an imminent threat to life: Regulation (EU) 2021/784, Art. 14(5)
///
/// Telling them is yours to do, at once; this keeps whom, when and what, and their answer when it comes (`answer`, outcome `replied`).
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/threat",
    tag = "casework",
    operation_id = "report_threat",
    params(("id" = String, Path, description = "The case")),
    request_body = ThreatRequest,
    responses(
        (status = 200, description = "What was recorded", body = NoticeDocument),
        (status = 422, description = "A part is missing, too long or of an impossible time", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchCase
    ),
    security(("api_key" = []))
)]
pub(crate) async fn report_threat(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedCase,
    request: Request,
) -> Response {
    let report = async {
        let access = dispatcher.moderator(request.headers()).await?;
        let request: ThreatRequest = body::read(request).await?;
        let case = dispatcher.store.case(access.team, case_id(id)?).await;
        let (case, now) = case.map_err(|error| problems::of_store(&error))?;
        let filing = request.filing(now)?;
        let by = (access.team, access.principal.key_id);
        let told = dispatcher.store.file_notice(by, &About::Case(case.id), &filing).await;
        Ok(dispatcher.noticed(&told.map_err(|error| problems::of_store(&error))?))
    };
    answered(&dispatcher, "report_threat", report.await)
}

/// Answers a notice: what was done, in words.
#[utoipa::path(
    post,
    path = "/v1/notices/{id}/answer",
    tag = "casework",
    operation_id = "answer_notice",
    params(("id" = String, Path, description = "The notice")),
    request_body = NoticeAnswerRequest,
    responses(
        (status = 200, description = "The notice", body = NoticeDocument),
        (status = 404, description = "No such notice of this team", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It was answered", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The words are missing or too long, or it is no answer to this kind", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated
    ),
    security(("api_key" = []))
)]
pub(crate) async fn answer_notice(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedNotice,
    request: Request,
) -> Response {
    commanded(
        &dispatcher,
        "answer_notice",
        (id, request),
        NoticeAnswerRequest::command,
    )
    .await
}

/// Stops the hour of a removal order, on the grounds of Art. 3(7) and (8).
#[utoipa::path(
    post,
    path = "/v1/notices/{id}/suspend",
    tag = "casework",
    operation_id = "suspend_notice",
    params(("id" = String, Path, description = "The notice")),
    request_body = SuspendRequest,
    responses(
        (status = 200, description = "The notice", body = NoticeDocument),
        (status = 404, description = "No such notice of this team", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It was answered, or its time is suspended", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is no removal order, or the reason is missing or too long", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated
    ),
    security(("api_key" = []))
)]
pub(crate) async fn suspend_notice(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedNotice,
    request: Request,
) -> Response {
    commanded(&dispatcher, "suspend_notice", (id, request), SuspendRequest::command).await
}

/// Lets the hour of a removal order run anew, in full: the grounds have ceased.
#[utoipa::path(
    post,
    path = "/v1/notices/{id}/resume",
    tag = "casework",
    operation_id = "resume_notice",
    params(("id" = String, Path, description = "The notice")),
    request_body = ResumeRequest,
    responses(
        (status = 200, description = "The notice", body = NoticeDocument),
        (status = 404, description = "No such notice of this team", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It was answered, or its time runs", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The note is too long", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated
    ),
    security(("api_key" = []))
)]
pub(crate) async fn resume_notice(
    State(dispatcher): State<Arc<Dispatcher>>,
    id: AskedNotice,
    request: Request,
) -> Response {
    let make = |resume: ResumeRequest| Ok(NoticeCommand::Resume { note: resume.note });
    commanded(&dispatcher, "resume_notice", (id, request), make).await
}

/// Carries out what a moderator does with a notice: `make` makes of the body the command.
async fn commanded<T: DeserializeOwned>(
    dispatcher: &Dispatcher,
    name: &'static str,
    (id, request): (AskedNotice, Request),
    make: impl FnOnce(T) -> Result<NoticeCommand, Problem>,
) -> Response {
    let command = async {
        let access = dispatcher.moderator(request.headers()).await?;
        let command = make(body::read(request).await?)?;
        let by = (access.team, access.principal.key_id);
        let done = dispatcher.store.command_notice(by, notice_id(id)?, &command).await;
        Ok(dispatcher.noticed(&done.map_err(|error| problems::of_store(&error))?))
    };
    answered(dispatcher, name, command.await)
}

impl Dispatcher {
    /// Ranks the case anew, and tells of the notice.
    fn noticed(&self, done: &Noticed) -> NoticeDocument {
        reach(FailPoint::NoticeStored);
        self.evidence.placed();
        self.ranking.changed(&done.case, done.now);
        NoticeDocument::of(&done.notice, done.now, &self.names())
    }
}

/// The id in the path, if it is text.
type AskedNotice = Result<Path<String>, PathRejection>;

/// What is no id names no notice.
fn notice_id(asked: AskedNotice) -> Result<NoticeId, Problem> {
    let id = asked.ok().and_then(|Path(text)| text.parse().ok());
    id.ok_or_else(|| Problem::new(problems::of_notice_refusal(NoticeRefusal::NoSuchNotice)))
}
