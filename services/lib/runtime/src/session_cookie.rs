//! How a browser shows a session: by a cookie that no script reads, and that is heeded for what pages of this origin ask for alone.
//!
//! A cookie goes along with whatever a browser sends, also when a page elsewhere made it send it. So a command is taken with one only when the browser
//! says that a page of this origin asked for it: by `Sec-Fetch-Site` (Fetch Metadata), or by `Origin` where the browser is too old for that. An
//! `Authorization` header goes along with nothing by itself, and is taken as it is.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::problem::{Problem, ProblemKind};

/// The cookie of a session. The prefix binds it to one host and to TLS, and to no host above it (RFC 6265bis, section 4.1.3).
pub const SESSION_COOKIE: &str = "__Host-tocsin-session";
/// What a session's token begins with: no other text of a cookie is taken, an API key least of all.
const TOKEN_PREFIX: &str = "tocsin_session_";
/// The longest text of cookies that is looked at, in bytes.
const COOKIES_BYTES_MAX: usize = 16 << 10;

/// A browser brought a session's cookie along for a page that is not of this origin.
pub const CROSS_SITE: ProblemKind = ProblemKind {
    status: 403,
    code: "cross_site",
    title: "Only pages of this origin may do this with a browser's session",
};

/// A cookie of this origin alone that no script reads. `value`: without spaces, quotes, commas, semicolons, backslashes.
///
/// # Panics
/// The value holds a control character.
pub fn set_cookie(name: &str, value: &str, age_max_s: i64) -> HeaderValue {
    let text = format!("{name}={value}; Path=/; Max-Age={age_max_s}; Secure; HttpOnly; SameSite=Lax");
    let mut value = HeaderValue::from_str(&text).expect("cookies are made of digits and letters");
    value.set_sensitive(true);
    value
}

/// Takes a cookie from the browser.
pub fn clear_cookie(name: &str) -> HeaderValue {
    set_cookie(name, "", 0)
}

/// The value of a cookie, when there is exactly one of this name.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    let lines = lines.filter(|line| line.len() <= COOKIES_BYTES_MAX);
    // Bytes: what others put into cookies of theirs, text or not, hides none of ours.
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    let mut values = pairs.filter_map(|pair| {
        let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        std::str::from_utf8(value).ok()
    });
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// Which page made a browser send a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// One of this origin.
    ThisOrigin,
    /// Another, or none: an address that somebody typed in.
    Another,
    /// It is not said: no browser of today sent it.
    Unknown,
}

/// Where browsers reach this deployment, `https://HOST`, as far as it is known: else it is the host that a request names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnOrigin(Option<String>);

impl OwnOrigin {
    /// By an address without a path; an empty one says nothing.
    pub fn of(public_url: &str) -> OwnOrigin {
        let origin = public_url.trim_end_matches('/');
        OwnOrigin((!origin.is_empty()).then(|| origin.to_owned()))
    }

    fn is(&self, origin: &HeaderValue, headers: &HeaderMap) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        if let OwnOrigin(Some(own)) = self {
            return own.eq_ignore_ascii_case(origin);
        }
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        authority.is_some_and(|authority| host.is_some_and(|host| host.eq_ignore_ascii_case(authority)))
    }
}

impl AskedBy {
    /// As the browser says.
    pub fn of(headers: &HeaderMap, own: &OwnOrigin) -> AskedBy {
        let is_of_this = match (headers.get("sec-fetch-site"), headers.get(header::ORIGIN)) {
            (Some(site), _) => site == "same-origin",
            (None, Some(origin)) => own.is(origin, headers),
            (None, None) => return AskedBy::Unknown,
        };
        if is_of_this {
            AskedBy::ThisOrigin
        } else {
            AskedBy::Another
        }
    }
}

/// Turns the cookie of a session into the token it is, as if it had been shown as `Authorization: Bearer`. Before everything that asks who speaks.
///
/// What is answered to a cookie is its person's: nothing between keeps it for others (RFC 9111 spares answers to `Authorization` alone), and the browser shows none of
/// it again once they signed out. What a route lets be kept and asked for anew (`no-cache`) is for machines: a browser that goes back asks nobody (RFC 9111, section 6).
pub async fn accept_session(State(own): State<OwnOrigin>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    if headers.contains_key(header::AUTHORIZATION) {
        return next.run(request).await;
    }
    let token = cookie(headers, SESSION_COOKIE).filter(|token| token.starts_with(TOKEN_PREFIX));
    let bearer = token.and_then(|token| HeaderValue::from_str(&format!("Bearer {token}")).ok());
    let Some(mut bearer) = bearer else {
        return next.run(request).await;
    };
    let only_reads = [Method::GET, Method::HEAD].contains(request.method());
    if !only_reads && AskedBy::of(headers, &own) != AskedBy::ThisOrigin {
        return private(Problem::new(CROSS_SITE).into_response());
    }
    bearer.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    private(next.run(request).await)
}

fn private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let keep_none = HeaderValue::from_static("private, no-store");
    headers.insert(header::CACHE_CONTROL, keep_none);
    headers.append(header::VARY, HeaderValue::from_static("cookie"));
    response
}

#[cfg(test)]
mod tests {
    //! Goal: a cookie is a session for pages of this origin alone, and nothing else is one.
    #![allow(clippy::unwrap_used)]

    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;
    use crate::http::bearer_token;

    const TOKEN: &str = "tocsin_session_00";

    /// What the routes behind are shown, or that they are not reached.
    async fn shown(method: Method, headers: &[(&str, &str)]) -> Result<String, StatusCode> {
        shown_at("", method, headers).await
    }

    async fn shown_at(public_url: &str, method: Method, headers: &[(&str, &str)]) -> Result<String, StatusCode> {
        let response = answer(public_url, method, headers).await;
        if response.status() != StatusCode::OK {
            return Err(response.status());
        }
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 10).await.unwrap();
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn answer(public_url: &str, method: Method, headers: &[(&str, &str)]) -> Response {
        let own = OwnOrigin::of(public_url);
        let tell = async |headers: HeaderMap| {
            let said = bearer_token(&headers).unwrap_or("nothing").to_owned();
            ([(header::CACHE_CONTROL, "private, no-cache")], said)
        };
        let router = Router::new()
            .route("/", get(tell).post(tell))
            .route_layer(axum::middleware::from_fn_with_state(own, accept_session));
        let mut request = Request::builder()
            .method(method)
            .uri("/")
            .header("host", "bell.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_cookie_is_the_token_it_holds() {
        let own = format!("{SESSION_COOKIE}={TOKEN}");
        let twice = format!("{own}; {own}");
        for (cookies, wanted) in [
            (own.as_str(), TOKEN),
            (&format!("a=b; {own}; c=d"), TOKEN),
            (&format!("name=\u{e9}; {own};flag"), TOKEN),
            ("", "nothing"),
            (&twice, "nothing"),
            (&format!("tocsin-session={TOKEN}"), "nothing"),
            (&format!("{SESSION_COOKIE}=tocsin_00"), "nothing"),
        ] {
            assert_eq!(
                shown(Method::GET, &[("cookie", cookies)]).await.unwrap(),
                wanted,
                "{cookies}"
            );
        }
        let both = [("cookie", own.as_str()), ("authorization", "Bearer tocsin_1")];
        assert_eq!(shown(Method::POST, &both).await.unwrap(), "tocsin_1");
    }

    #[tokio::test]
    async fn a_command_by_cookie_comes_from_a_page_of_this_origin() {
        let own = format!("{SESSION_COOKIE}={TOKEN}");
        let cookie = ("cookie", own.as_str());
        for (said, is_taken) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "null")], true),
            (&[("origin", "https://bell.example")], true),
            (&[], false),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "none")], false),
            (
                &[("sec-fetch-site", "cross-site"), ("origin", "https://bell.example")],
                false,
            ),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "https://bell.example.evil.example")], false),
            (&[("origin", "https://bell.example:8443")], false),
            (&[("origin", "null")], false),
        ] {
            let headers = [&[cookie], said].concat();
            let wanted = if is_taken {
                Ok(TOKEN.to_owned())
            } else {
                Err(StatusCode::FORBIDDEN)
            };
            assert_eq!(shown(Method::POST, &headers).await, wanted, "{said:?}");
        }
    }

    #[tokio::test]
    async fn a_page_is_of_the_public_address_where_there_is_one() {
        let own = format!("{SESSION_COOKIE}={TOKEN}");
        for (origin, is_taken) in [
            ("https://tocsin.example", true),
            ("http://tocsin.example", false),
            ("https://tocsin.example:8443", false),
            // What the request names as its host says nothing then.
            ("https://bell.example", false),
        ] {
            let headers = [("cookie", own.as_str()), ("origin", origin)];
            let shown = shown_at("https://tocsin.example/", Method::POST, &headers).await;
            assert_eq!(shown.is_ok(), is_taken, "{origin}");
        }
    }

    #[tokio::test]
    async fn nobody_keeps_what_was_answered_to_a_cookie_whatever_the_route_says() {
        let own = format!("{SESSION_COOKIE}={TOKEN}");
        let told = |response: &Response| {
            let text = |name| {
                response
                    .headers()
                    .get(name)
                    .map(|value| value.to_str().unwrap().to_owned())
            };
            (text(header::CACHE_CONTROL), text(header::VARY))
        };
        let kept_by_none = (Some("private, no-store".to_owned()), Some("cookie".to_owned()));
        for method in [Method::GET, Method::POST] {
            let by_cookie = answer("", method.clone(), &[("cookie", &own)]).await;
            assert_eq!(told(&by_cookie), kept_by_none, "{method}");
        }
        let by_key = answer("", Method::GET, &[("authorization", "Bearer tocsin_1")]).await;
        assert_eq!(told(&by_key), (Some("private, no-cache".to_owned()), None));
    }
}
