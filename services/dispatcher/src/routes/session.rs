//! Who speaks, and the end of a session.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use tocsin_runtime::session_cookie::{SESSION_COOKIE, clear_cookie};
use tocsin_runtime::{Problem, http};
use tocsin_store::{Role, Subject};
use tocsin_wire::document::instant;
use utoipa::ToSchema;

use super::answered;
use super::refused::Refused;
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

/// Who speaks: by the session or the key that is shown.
#[utoipa::path(
    get,
    path = "/v1/session",
    tag = "sign-in",
    operation_id = "read_session",
    responses((status = 200, description = "Who speaks", body = SignedInDocument), Refused),
    security(("api_key" = []), ("session" = []))
)]
pub(crate) async fn read_session(State(dispatcher): State<Arc<Dispatcher>>, headers: HeaderMap) -> Response {
    let read = async {
        let principal = dispatcher.anybody(&headers).await?;
        let token = http::bearer_token(&headers).unwrap_or_default();
        let told = dispatcher.store.signed_in(principal.key_id, token).await;
        let told = told.map_err(|error| problems::of_store(&error))?;
        Ok::<_, Problem>(SignedInDocument {
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
    };
    answered(&dispatcher, "read_session", read.await)
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
    responses(
        (status = 204, description = "The session is over"),
        (status = 403, description = "A page that is not of this origin asks for it", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "An API key was shown, not a session", body = Problem, content_type = "application/problem+json"),
        Refused
    ),
    security(("api_key" = []), ("session" = []))
)]
pub(crate) async fn sign_out(State(dispatcher): State<Arc<Dispatcher>>, headers: HeaderMap) -> Response {
    let end = async {
        dispatcher.anybody(&headers).await?;
        let token = http::bearer_token(&headers).unwrap_or_default();
        let ended = dispatcher.store.end_session(token).await;
        match ended.map_err(|error| problems::of_store(&error))? {
            true => Ok(()),
            false => Err(problems::NO_SESSION.into()),
        }
    };
    let ended: Result<(), Problem> = end.await;
    let is_over = ended.is_ok();
    let response = answered(&dispatcher, "sign_out", ended);
    match is_over {
        true => {
            let cookies = [(header::SET_COOKIE, clear_cookie(SESSION_COOKIE))];
            (StatusCode::NO_CONTENT, cookies).into_response()
        }
        false => response,
    }
}
