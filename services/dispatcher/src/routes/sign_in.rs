//! How people come in: at the OpenID provider, or by a link that is good once. Nobody is known yet on these routes, so none is recorded as a request;
//! that somebody signed in is in the audit chain by the store.

use std::sync::Arc;

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Form, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use tocsin_model::Milliseconds;
use tocsin_runtime::session_cookie::{AskedBy, CROSS_SITE, SESSION_COOKIE, clear_cookie, cookie, set_cookie};
use tocsin_runtime::{Problem, problem};
use tocsin_store::{Account, AccountSignIn, LinkPurpose, Opened};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::sign_in_page;
use crate::sign_in::{ATTEMPT_LIFETIME, Attempt, CODE_BYTES_MAX, CameBack, NotSignedIn, Provider, Secrets, here_now};
use crate::telemetry::CommandAnswered;
use crate::{Dispatcher, problems};

/// The cookie of a sign-in that goes on at the provider.
const ATTEMPT_COOKIE: &str = "__Host-tocsin-sign-in";
/// For how long it is kept that a sign-in came to its end: longer than any of its age is taken.
const STATE_LIFETIME: Milliseconds = Milliseconds::from_minutes(15);
/// Where somebody goes on to who did not say.
const RETURN_TO_DEFAULT: &str = "/v1/session?form=html";
/// The longest link, in bytes.
const LINK_BYTES_MAX: usize = 128;
/// The longest form, in bytes.
const FORM_BYTES_MAX: usize = 4 << 10;

/// With what somebody comes, and where they go on to.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BeginParameters {
    /// An invitation, as `tocsin person invite` shows it: a page tells whose it is, and begins the sign-in only when its reader says so.
    pub invitation: Option<String>,
    /// A path of this deployment to which the browser goes on; the page of the session, `/v1/session?form=html`, when absent.
    pub return_to: Option<String>,
}

/// What the page of an invitation sends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationForm {
    /// The invitation: the account with which somebody signs in is bound to its person.
    pub invitation: String,
    /// As in the address of the page.
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

/// What the page of a link sends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkForm {
    /// The link.
    pub link: String,
}

pub(super) fn routes() -> OpenApiRouter<Arc<Dispatcher>> {
    OpenApiRouter::new()
        .routes(routes!(begin_sign_in, begin_invited))
        .routes(routes!(finish_sign_in))
        .routes(routes!(show_link, sign_in_by_link))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
}

/// Begins a sign-in: sends the browser to the provider. With an invitation a page asks first: whoever made somebody come here may not be its person. Nobody
/// needs to be known.
#[utoipa::path(
    get,
    path = "/v1/sign-in",
    tag = "sign-in",
    operation_id = "begin_sign_in",
    params(BeginParameters),
    responses(
        (status = 200, description = "With an invitation: a page that names its person", body = String, content_type = "text/html"),
        (status = 303, description = "To the provider"),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The invitation was used, is too old, or was never given", body = Problem, content_type = "application/problem+json"),
        (status = 501, description = "No provider is named", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The provider or the store does not answer, or too many sign in", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn begin_sign_in(
    State(dispatcher): State<Arc<Dispatcher>>,
    parameters: Result<Query<BeginParameters>, QueryRejection>,
) -> Response {
    let begin = async {
        let BeginParameters { invitation, return_to } = query(parameters)?;
        let Some(invitation) = invitation else {
            return dispatcher.begin(None, return_to).await;
        };
        dispatcher.provider()?;
        let invitation = checked("invitation", &invitation)?;
        attempt(None, return_to.clone())?;
        let of = dispatcher.store.look_at_link(invitation, LinkPurpose::Invitation).await;
        let of = of.map_err(|error| problems::of_store(&error))?;
        Ok(sign_in_page::of_invitation(&of, invitation, return_to.as_deref()))
    };
    told(&dispatcher, "begin_sign_in", begin.await)
}

/// Begins a sign-in with an invitation, from the page that named its person: sends the browser to the provider.
#[utoipa::path(
    post,
    path = "/v1/sign-in",
    tag = "sign-in",
    operation_id = "begin_invited",
    request_body(content = InvitationForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "To the provider"),
        (status = 400, description = "The form is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "A page that is not of this origin asks for it", body = Problem, content_type = "application/problem+json"),
        (status = 501, description = "No provider is named", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The provider does not answer, or too many sign in", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn begin_invited(
    State(dispatcher): State<Arc<Dispatcher>>,
    headers: HeaderMap,
    form: Result<Form<InvitationForm>, FormRejection>,
) -> Response {
    let begin = async {
        let InvitationForm { invitation, return_to } = read(form)?;
        dispatcher.refuse_other_pages(&headers)?;
        checked("invitation", &invitation)?;
        dispatcher.begin(Some(invitation), return_to).await
    };
    told(&dispatcher, "begin_sign_in", begin.await)
}

/// Ends a sign-in: the provider sent the browser back. Whoever signed in has a session from now on, as a cookie. However it ends, it is over.
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
    // Whether this browser began it is known before anything else is asked, of the store least of all.
    let begun = query(parameters).and_then(|back| {
        let provider = dispatcher.provider()?;
        let sealed = cookie(&headers, ATTEMPT_COOKIE);
        let attempt = sealed.and_then(|sealed| {
            let state = back.state.as_deref().unwrap_or_default();
            dispatcher.sign_in.attempts.open(sealed, state, here_now())
        });
        let begun = attempt.ok_or(problems::SIGN_IN_STATE_INVALID)?;
        let place = provider.place().map_err(of_not_signed_in)?;
        Ok((back, begun, place))
    });
    let (back, begun, _place) = match begun {
        Ok(begun) => begun,
        Err(problem) => return told(&dispatcher, "finish_sign_in", Err(problem)),
    };
    let finished = dispatcher.finish(back, &begun).await;
    let mut response = told(&dispatcher, "finish_sign_in", finished);
    let cookies = response.headers_mut();
    cookies.append(header::SET_COOKIE, clear_cookie(ATTEMPT_COOKIE));
    response
}

/// A page with a button that uses a one-time link. Whatever looks at the address before its reader does uses nothing up.
#[utoipa::path(
    get,
    path = "/v1/sign-in/link",
    tag = "sign-in",
    operation_id = "show_link",
    params(LinkParameters),
    responses(
        (status = 200, description = "The page, which names the link's person", body = String, content_type = "text/html"),
        (status = 400, description = "A parameter is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The link was used, is too old, or was never given", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer, or too many look", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn show_link(
    State(dispatcher): State<Arc<Dispatcher>>,
    parameters: Result<Query<LinkParameters>, QueryRejection>,
) -> Response {
    let show = async {
        let parameters = query(parameters)?;
        let link = checked("link", &parameters.link)?;
        let of = dispatcher.store.look_at_link(link, LinkPurpose::SignIn).await;
        let of = of.map_err(|error| problems::of_store(&error))?;
        Ok(sign_in_page::of_link(&of, link))
    };
    told(&dispatcher, "show_link", show.await)
}

/// Signs the person of a one-time link in, as a cookie. The link is good once and for ten minutes.
#[utoipa::path(
    post,
    path = "/v1/sign-in/link",
    tag = "sign-in",
    operation_id = "sign_in_by_link",
    request_body(content = LinkForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "Signed in, and on to the session"),
        (status = 400, description = "The form is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "A page that is not of this origin asks for it", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The link was used, is too old, or was never given", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn sign_in_by_link(
    State(dispatcher): State<Arc<Dispatcher>>,
    headers: HeaderMap,
    form: Result<Form<LinkForm>, FormRejection>,
) -> Response {
    let sign_in = async {
        let form = read(form)?;
        dispatcher.refuse_other_pages(&headers)?;
        let link = checked("link", &form.link)?;
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

    /// Nobody is to be signed in as somebody else, nor to bind their account to somebody else, by a page elsewhere.
    fn refuse_other_pages(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match AskedBy::of(headers, &self.sign_in.config.own_origin()) {
            AskedBy::Another => Err(CROSS_SITE.into()),
            AskedBy::ThisOrigin | AskedBy::Unknown => Ok(()),
        }
    }

    /// On to the provider. It asks the store nothing: whoever begins many sign-ins holds up nobody who is known.
    async fn begin(&self, invitation: Option<String>, return_to: Option<String>) -> Result<Response, Problem> {
        let provider = self.provider()?;
        let attempt = attempt(invitation, return_to)?;
        let (sealed, secrets) = self.sign_in.attempts.seal(&attempt);
        let url = provider.where_to(&secrets).await.map_err(of_not_signed_in)?;
        let mut response = go_on(url.as_str())?;
        let cookie = set_cookie(ATTEMPT_COOKIE, &sealed, ATTEMPT_LIFETIME.0 / 1_000);
        response.headers_mut().append(header::SET_COOKIE, cookie);
        Ok(response)
    }

    /// Ends a sign-in that this browser began.
    async fn finish(&self, back: CallbackParameters, begun: &(Attempt, Secrets)) -> Result<Response, Problem> {
        let (attempt, secrets) = begun;
        let provider = self.provider()?;
        let state = secrets.state_digest();
        // Sent again: whatever the provider would make of its code now.
        if !self.sign_in.came_back.note(state) {
            return Err(problems::SIGN_IN_STATE_INVALID.into());
        }
        if back.error.is_some() {
            return Err(problems::SIGN_IN_REFUSED.into());
        }
        let code = back.code.filter(|code| (1..=CODE_BYTES_MAX).contains(&code.len()));
        let code = code.ok_or_else(|| invalid("code: 1 to 4,096 bytes"))?;
        let back = CameBack {
            code: &code,
            issuer: back.iss.as_deref(),
        };
        let subject = provider.subject(back, secrets).await;
        let subject = subject.map_err(of_not_signed_in)?;
        let account = Account::new(provider.issuer(), &subject);
        let account = account.map_err(problems::of_sign_in_refusal)?;
        let sign_in = AccountSignIn {
            account: &account,
            state,
            state_lifetime: STATE_LIFETIME,
            invitation: attempt.invitation.as_deref(),
            terms: self.sign_in.terms(),
        };
        let opened = self.store.sign_in_by_account(sign_in).await;
        let opened = opened.map_err(|error| problems::of_store(&error))?;
        signed_in(&opened, attempt.return_to.as_deref().unwrap_or(RETURN_TO_DEFAULT))
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

fn read<T>(form: Result<Form<T>, FormRejection>) -> Result<T, Problem> {
    let Form(form) = form.map_err(|rejection| invalid(&rejection.body_text()))?;
    Ok(form)
}

fn attempt(invitation: Option<String>, return_to: Option<String>) -> Result<Attempt, Problem> {
    let attempt = Attempt::begin(here_now(), rand::random(), invitation, return_to);
    attempt.ok_or_else(|| invalid("invitation: a link; return_to: a path of this deployment"))
}

/// The text of a link, of which nothing has to be escaped in a page.
fn checked<'a>(what: &str, link: &'a str) -> Result<&'a str, Problem> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_link = (1..=LINK_BYTES_MAX).contains(&link.len()) && link.bytes().all(is_plain);
    is_link
        .then_some(link)
        .ok_or_else(|| invalid(&format!("{what}: letters, digits and '_'")))
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
