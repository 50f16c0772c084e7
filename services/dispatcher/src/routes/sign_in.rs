//! How people come in: at the OpenID provider, or by a link that is good once. Nobody is known yet on these routes, so none is recorded as a request;
//! that somebody signed in is in the audit chain by the store.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use serde::Deserialize;
use tocsin_model::Milliseconds;
use tocsin_runtime::session_cookie::{AskedBy, CROSS_SITE, SESSION_COOKIE, clear_cookie, cookie, set_cookie};
use tocsin_runtime::{Problem, problem};
use tocsin_store::{Account, AccountSignIn, Opened};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::sign_in::{ATTEMPT_LIFETIME, Attempt, CODE_BYTES_MAX, CameBack, NotSignedIn, Provider};
use crate::telemetry::CommandAnswered;
use crate::{Dispatcher, problems};

/// The cookie of a sign-in that goes on at the provider.
const ATTEMPT_COOKIE: &str = "__Host-tocsin-sign-in";
/// For how long it is kept that a sign-in came to its end: longer than any of its age is taken.
const STATE_LIFETIME: Milliseconds = Milliseconds::from_minutes(15);
/// Where somebody goes on to who did not say.
const RETURN_TO_DEFAULT: &str = "/v1/session";
/// The longest link, in bytes.
const LINK_BYTES_MAX: usize = 128;

/// With what somebody comes, and where they go on to.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BeginParameters {
    /// An invitation, as `tocsin person invite` shows it: the account with which somebody signs in is bound to its person.
    pub invitation: Option<String>,
    /// A path of this deployment to which the browser goes on; `/v1/session` when absent.
    pub return_to: Option<String>,
}

/// What the provider sends back with a browser. What else it says is passed over.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CallbackParameters {
    /// The code, for which the provider gives an ID token once.
    pub code: Option<String>,
    /// What went to the provider with the browser.
    pub state: Option<String>,
    /// Who says it is the provider (RFC 9207).
    pub iss: Option<String>,
    /// Why the provider signed nobody in.
    pub error: Option<String>,
}

/// The link.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LinkParameters {
    /// As `tocsin person link` shows it.
    pub link: String,
}

pub(super) fn routes() -> OpenApiRouter<Arc<Dispatcher>> {
    OpenApiRouter::new()
        .routes(routes!(begin_sign_in))
        .routes(routes!(finish_sign_in))
        .routes(routes!(show_link, sign_in_by_link))
}

/// Begins a sign-in: sends the browser to the provider. Nobody needs to be known.
#[utoipa::path(
    get,
    path = "/v1/sign-in",
    tag = "sign-in",
    operation_id = "begin_sign_in",
    params(BeginParameters),
    responses(
        (status = 303, description = "To the provider"),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 501, description = "No provider is named", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The provider or the store does not answer, or too many sign in", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn begin_sign_in(
    State(dispatcher): State<Arc<Dispatcher>>,
    parameters: Result<Query<BeginParameters>, QueryRejection>,
) -> Response {
    let begin = async {
        let parameters = query(parameters)?;
        let provider = dispatcher.provider()?;
        let now = dispatcher.store.time().await;
        let now = now.map_err(|error| problems::of_store(&error))?;
        let attempt = Attempt::begin(now, rand::random(), parameters.invitation, parameters.return_to);
        let attempt = attempt.ok_or_else(|| invalid("invitation: a link; return_to: a path of this deployment"))?;
        let (sealed, secrets) = dispatcher.sign_in.attempts.seal(&attempt);
        let url = provider.where_to(&secrets).await.map_err(of_not_signed_in)?;
        let mut response = go_on(url.as_str())?;
        let cookie = set_cookie(ATTEMPT_COOKIE, &sealed, ATTEMPT_LIFETIME.0 / 1_000);
        response.headers_mut().append(header::SET_COOKIE, cookie);
        Ok(response)
    };
    told(&dispatcher, "begin_sign_in", begin.await)
}

/// Ends a sign-in: the provider sent the browser back. Whoever signed in has a session from now on, as a cookie.
#[utoipa::path(
    get,
    path = "/v1/sign-in/callback",
    tag = "sign-in",
    operation_id = "finish_sign_in",
    params(CallbackParameters),
    responses(
        (status = 303, description = "Signed in, and on to where the sign-in was begun for"),
        (status = 400, description = "A parameter is malformed, or this browser began no such sign-in", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The provider signed nobody in, its ID token is refused, or the account is bound to nobody", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "With an invitation: the account is bound to another person", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "With an invitation: it was used or is too old", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The provider's name of the account is none", body = Problem, content_type = "application/problem+json"),
        (status = 501, description = "No provider is named", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The provider or the store does not answer, or too many sign in", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn finish_sign_in(
    State(dispatcher): State<Arc<Dispatcher>>,
    headers: HeaderMap,
    parameters: Result<Query<CallbackParameters>, QueryRejection>,
) -> Response {
    let finish = async {
        let back = query(parameters)?;
        let provider = dispatcher.provider()?;
        let now = dispatcher.store.time().await;
        let now = now.map_err(|error| problems::of_store(&error))?;
        let sealed = cookie(&headers, ATTEMPT_COOKIE);
        let attempt = sealed.and_then(|sealed| {
            let state = back.state.as_deref().unwrap_or_default();
            dispatcher.sign_in.attempts.open(sealed, state, now)
        });
        let (attempt, secrets) = attempt.ok_or(problems::SIGN_IN_STATE_INVALID)?;
        if back.error.is_some() {
            return Err(problems::SIGN_IN_REFUSED.into());
        }
        let code = back.code.filter(|code| (1..=CODE_BYTES_MAX).contains(&code.len()));
        let code = code.ok_or_else(|| invalid("code: 1 to 4,096 bytes"))?;
        let back = CameBack {
            code: &code,
            issuer: back.iss.as_deref(),
        };
        let subject = provider.subject(back, &secrets, now).await;
        let subject = subject.map_err(of_not_signed_in)?;
        let account = Account::new(provider.issuer(), &subject);
        let account = account.map_err(problems::of_sign_in_refusal)?;
        let sign_in = AccountSignIn {
            account: &account,
            state: secrets.state_digest(),
            state_lifetime: STATE_LIFETIME,
            invitation: attempt.invitation.as_deref(),
            terms: dispatcher.sign_in.terms(),
        };
        let opened = dispatcher.store.sign_in_by_account(sign_in).await;
        let opened = opened.map_err(|error| problems::of_store(&error))?;
        let return_to = attempt.return_to.as_deref().unwrap_or(RETURN_TO_DEFAULT);
        let mut response = signed_in(&opened, return_to)?;
        let cookies = response.headers_mut();
        cookies.append(header::SET_COOKIE, clear_cookie(ATTEMPT_COOKIE));
        Ok(response)
    };
    told(&dispatcher, "finish_sign_in", finish.await)
}

/// A page with a button that uses a one-time link. Whatever looks at the address before its reader does uses nothing up.
#[utoipa::path(
    get,
    path = "/v1/sign-in/link",
    tag = "sign-in",
    operation_id = "show_link",
    params(LinkParameters),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn show_link(
    State(dispatcher): State<Arc<Dispatcher>>,
    parameters: Result<Query<LinkParameters>, QueryRejection>,
) -> Response {
    let shown = query(parameters).and_then(|parameters| {
        let link = checked(&parameters.link)?;
        let headers = [
            (
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
            ),
            // The link stands in the address. The origin is told within this deployment, which asks for it.
            (header::REFERRER_POLICY, "same-origin"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        Ok((headers, Html(page(link))).into_response())
    });
    told(&dispatcher, "show_link", shown)
}

/// Signs the person of a one-time link in, as a cookie. The link is good once and for ten minutes.
#[utoipa::path(
    post,
    path = "/v1/sign-in/link",
    tag = "sign-in",
    operation_id = "sign_in_by_link",
    params(LinkParameters),
    responses(
        (status = 303, description = "Signed in, and on to the session"),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "A page that is not of this origin asks for it", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The link was used, is too old, or was never given", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn sign_in_by_link(
    State(dispatcher): State<Arc<Dispatcher>>,
    headers: HeaderMap,
    parameters: Result<Query<LinkParameters>, QueryRejection>,
) -> Response {
    let sign_in = async {
        let parameters = query(parameters)?;
        // Nobody is to be signed in as somebody else by a page elsewhere.
        if AskedBy::of(&headers) == AskedBy::Another {
            return Err(CROSS_SITE.into());
        }
        let link = checked(&parameters.link)?;
        let opened = dispatcher.store.sign_in_by_link(link, dispatcher.sign_in.terms()).await;
        let opened = opened.map_err(|error| problems::of_store(&error))?;
        signed_in(&opened, RETURN_TO_DEFAULT)
    };
    told(&dispatcher, "sign_in_by_link", sign_in.await)
}

impl Dispatcher {
    fn provider(&self) -> Result<&Provider, Problem> {
        let provider = self.sign_in.provider.as_ref();
        provider.ok_or_else(|| problems::SIGN_IN_NOT_OFFERED.into())
    }
}

/// The problem of somebody whom the provider did not sign in. Why stands in the log alone.
fn of_not_signed_in(not: NotSignedIn) -> Problem {
    if !matches!(not, NotSignedIn::Overloaded | NotSignedIn::CodeRefused) {
        tracing::warn!(error = tocsin_runtime::roles::chain(&not), "nobody was signed in");
    }
    match not {
        NotSignedIn::Provider(_) => Problem::new(problems::SIGN_IN_UNAVAILABLE).with_retry_after_s(5),
        NotSignedIn::Overloaded => Problem::new(problem::OVERLOADED).with_retry_after_s(1),
        NotSignedIn::CodeRefused => problems::SIGN_IN_REFUSED.into(),
        NotSignedIn::Token(_) => problems::SIGN_IN_TOKEN_INVALID.into(),
    }
}

fn query<T>(parameters: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    let Query(parameters) = parameters.map_err(|rejection| invalid(&rejection.body_text()))?;
    Ok(parameters)
}

fn invalid(detail: &str) -> Problem {
    Problem::new(problem::INVALID_PARAMETER).with_detail(detail)
}

/// The text of a link, of which nothing has to be escaped in a page.
fn checked(link: &str) -> Result<&str, Problem> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_link = (1..=LINK_BYTES_MAX).contains(&link.len()) && link.bytes().all(is_plain);
    is_link
        .then_some(link)
        .ok_or_else(|| invalid("link: letters, digits and '_'"))
}

fn page(link: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Tocsin: sign in</title>\n\
         <style>body {{ font: 1rem sans-serif; margin: 20vh auto; width: 20rem; text-align: center }}</style></head>\n\
         <body><h1>Tocsin</h1>\n<form method=\"post\" action=\"/v1/sign-in/link?link={link}\"><button autofocus>Sign in</button></form>\n\
         <p>This link is good once.</p></body>\n</html>\n"
    )
}

/// On to an address, which nobody keeps.
fn go_on(to: &str) -> Result<Response, Problem> {
    let to = HeaderValue::from_str(to).map_err(|error| Problem::internal(&error))?;
    let headers = [
        (header::LOCATION, to),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

fn signed_in(opened: &Opened, return_to: &str) -> Result<Response, Problem> {
    let mut response = go_on(return_to)?;
    let cookie = set_cookie(SESSION_COOKIE, opened.token.expose(), opened.length.0 / 1_000);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Counts what came of it.
fn told(dispatcher: &Dispatcher, command: &'static str, result: Result<Response, Problem>) -> Response {
    CommandAnswered {
        command,
        code: result.as_ref().map_or_else(Problem::code, |_| "ok"),
    }
    .emit(&dispatcher.metrics);
    result.unwrap_or_else(|problem| problem.into_response())
}
