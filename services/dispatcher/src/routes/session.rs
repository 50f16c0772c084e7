//! Who speaks, and the end of a session.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use tocsin_runtime::session_cookie::{SESSION_COOKIE, clear_cookie};
use tocsin_runtime::{Problem, http, problem};
use tocsin_store::{Role, Subject};
use tocsin_wire::document::instant;
use utoipa::{IntoParams, ToSchema};

use super::html::{PageReader, or_none, text};
use super::refused::Refused;
use super::{answered, html};
use crate::{Dispatcher, problems};

/// Who speaks, by key or session.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedInDocument {
    /// `operator`, `coordinators` or a party's name.
    pub team: String,
    /// What they may do: `publisher`, `moderator`, `reader`, `auditor`, `researcher`.
    pub roles: Vec<&'static str>,
    /// The id of the key as which they speak.
    pub key: String,
    /// The person's name in their team; null where the key is no person's.
    pub person: Option<String>,
    /// Null where the key itself was shown.
    pub session: Option<SessionDocument>,
}

/// How long a session lasts.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionDocument {
    /// When it was opened, RFC 3339.
    pub opened_at: Option<String>,
    /// When it is over unless it is used meanwhile, RFC 3339.
    pub idle_at: Option<String>,
    /// When it is over in any case, RFC 3339.
    pub expires_at: Option<String>,
}

/// In which form.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionParameters {
    /// `json` (the default), or `html` for a page: of a session with a button to sign out.
    pub form: Option<String>,
}

/// How the end of a session is answered.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SignOutParameters {
    /// `html` for a page that says so, as the buttons of pages ask for; nothing is answered when absent.
    pub form: Option<String>,
}

/// Who speaks: by the session or the key that is shown. Somebody who signed in without saying for what comes to the page of it.
#[utoipa::path(
    get,
    path = "/v1/session",
    tag = "sign-in",
    operation_id = "read_session",
    params(SessionParameters),
    responses(
        (status = 200, description = "Who speaks", content((SignedInDocument = "application/json"), (String = "text/html"))),
        (status = 400, description = "There is no such form", body = Problem, content_type = "application/problem+json"),
        Refused
    ),
    security(("api_key" = []), ("session" = []))
)]
pub(crate) async fn read_session(
    State(dispatcher): State<Arc<Dispatcher>>,
    parameters: Result<Query<SessionParameters>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let read = async {
        let told = dispatcher.signed_in(&headers).await?;
        let Query(asked) = parameters.map_err(|rejection| invalid(&rejection.body_text()))?;
        match asked.form.as_deref() {
            None | Some("json") => Ok((told, false)),
            Some("html") => Ok((told, true)),
            Some(_) => Err(invalid("form: json or html")),
        }
    };
    let read: Result<(SignedInDocument, bool), Problem> = read.await;
    let page = match &read {
        Ok((told, true)) => Some(session_page(told)),
        _ => None,
    };
    let response = answered(&dispatcher, "read_session", read.map(|(told, _)| told));
    page.map_or(response, html::page)
}

impl Dispatcher {
    async fn signed_in(&self, headers: &HeaderMap) -> Result<SignedInDocument, Problem> {
        let principal = self.anybody(headers).await?;
        let token = http::bearer_token(headers).unwrap_or_default();
        let told = self.store.signed_in(principal.key_id, token).await;
        let told = told.map_err(|error| problems::of_store(&error))?;
        Ok(SignedInDocument {
            team: team_text(&principal.subject),
            roles: principal.roles.iter().map(Role::name).collect(),
            key: principal.key_id.to_string(),
            person: told.person.map(|name| name.to_string()),
            session: told.session.map(|session| SessionDocument {
                opened_at: instant(session.opened_at),
                idle_at: instant(session.idle_at),
                expires_at: instant(session.expires_at),
            }),
        })
    }

    /// Who reads a page.
    pub(super) async fn page_reader(&self, headers: &HeaderMap) -> Result<PageReader, Problem> {
        Ok(self.signed_in(headers).await?.page_reader())
    }
}

impl SignedInDocument {
    fn page_reader(&self) -> PageReader {
        PageReader {
            signed_in_as: self.session.is_some().then(|| self.who()),
        }
    }

    fn who(&self) -> String {
        match &self.person {
            Some(person) => format!("{person} of {}", self.team),
            None => self.team.clone(),
        }
    }
}

fn invalid(detail: &str) -> Problem {
    Problem::new(problem::INVALID_PARAMETER).with_detail(detail)
}

/// Who speaks, and how long they may.
fn session_page(told: &SignedInDocument) -> String {
    let mut page = html::opening("Tocsin", &told.page_reader());
    let _ = writeln!(
        page,
        "<p>You speak as <b>{}</b>: {}.</p>",
        text(&told.who()),
        told.roles.join(", ")
    );
    if let Some(session) = &told.session {
        let _ = writeln!(
            page,
            "<p>The session is over on {}, or on {} unless it is used before.</p>",
            or_none(session.expires_at.as_deref()),
            or_none(session.idle_at.as_deref()),
        );
    }
    page.push_str(html::ENDING);
    page
}

/// What somebody sees who signed out.
fn signed_out_page() -> String {
    let nobody = PageReader { signed_in_as: None };
    let opening = html::opening("You are signed out", &nobody);
    format!(
        "{opening}<p>The session is over on every page and in every window. At the provider, if you came by one, you may still be signed in.</p>\n{}",
        html::ENDING
    )
}

/// For whom somebody speaks, by name.
pub(super) fn team_text(subject: &Subject) -> String {
    match subject {
        Subject::Operator => "operator".to_owned(),
        Subject::Coordinators => "coordinators".to_owned(),
        Subject::Party(_, name) => name.to_string(),
    }
}

/// Ends the session that is shown, everywhere, and takes its cookie from the browser.
#[utoipa::path(
    post,
    path = "/v1/sign-out",
    tag = "sign-in",
    operation_id = "sign_out",
    params(SignOutParameters),
    responses(
        (status = 200, description = "The session is over: a page that says so", body = String, content_type = "text/html"),
        (status = 204, description = "The session is over"),
        (status = 400, description = "There is no such form", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "A page that is not of this origin asks for it", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "An API key was shown, not a session", body = Problem, content_type = "application/problem+json"),
        Refused
    ),
    security(("api_key" = []), ("session" = []))
)]
pub(crate) async fn sign_out(
    State(dispatcher): State<Arc<Dispatcher>>,
    parameters: Result<Query<SignOutParameters>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let end = async {
        dispatcher.anybody(&headers).await?;
        let Query(asked) = parameters.map_err(|rejection| invalid(&rejection.body_text()))?;
        let is_page = match asked.form.as_deref() {
            None => false,
            Some("html") => true,
            Some(_) => return Err(invalid("form: html")),
        };
        let token = http::bearer_token(&headers).unwrap_or_default();
        let ended = dispatcher.store.end_session(token).await;
        match ended.map_err(|error| problems::of_store(&error))? {
            true => Ok(is_page),
            false => Err(problems::NO_SESSION.into()),
        }
    };
    let ended: Result<bool, Problem> = end.await;
    let is_page = ended.as_ref().ok().copied();
    let response = answered(&dispatcher, "sign_out", ended);
    let mut response = match is_page {
        None => return response,
        Some(true) => html::page(signed_out_page()),
        Some(false) => StatusCode::NO_CONTENT.into_response(),
    };
    let cookie = clear_cookie(SESSION_COOKIE);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}
