//! What says of every answer of a drill that it is one: a header, and on pages a line at their top.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse as _, Response};
use tocsin_model::DrillId;

/// The header of every answer of a drill: its id.
pub(crate) const DRILL_HEADER: HeaderName = HeaderName::from_static("tocsin-drill");

/// The longest page that is marked; the longest that is made is a report's.
const PAGE_BYTES_MAX: usize = 64 << 20;

/// Marks whatever these routes answer, refusals among it; of routes that are [whole](tocsin_runtime::http::whole) that no route or method is known too.
pub(super) fn marked(router: Router, drill: DrillId) -> Router {
    router.layer(map_response(move |response: Response| mark(response, drill)))
}

async fn mark(response: Response, drill: DrillId) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let mut response = match is_page {
        true => mark_page(response, drill).await,
        false => response,
    };
    let id = HeaderValue::from_str(&drill.to_string()).expect("digits are a header's value");
    response.headers_mut().insert(DRILL_HEADER, id);
    response
}

async fn mark_page(response: Response, drill: DrillId) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, PAGE_BYTES_MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let page = with_line(&String::from_utf8_lossy(&bytes), drill);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(page))
}

/// The page with a line right behind the opening of its body; before everything where it has none.
fn with_line(page: &str, drill: DrillId) -> String {
    let line = format!("<p><strong>DRILL {drill}: nothing on this page is real.</strong></p>");
    let opening = page
        .find("<body")
        .and_then(|from| Some(from + page[from..].find('>')? + 1));
    let (before, behind) = page.split_at(opening.unwrap_or(0));
    format!("{before}{line}{behind}")
}

#[cfg(test)]
mod tests {
    //! Goal: every answer has the header, and a page also says it in words; what is no page keeps its bytes.
    #![allow(clippy::unwrap_used)]

    use axum::response::Html;
    use axum::routing::get;

    use super::*;

    const DRILL: DrillId = DrillId(0xab);

    #[test]
    fn a_page_says_it_first() {
        let line = "<p><strong>DRILL 000000ab: nothing on this page is real.</strong></p>";
        let page = |text: &str| with_line(text, DRILL);
        assert_eq!(
            page("<html><body class=\"a\"><h1>R</h1></body>"),
            format!("<html><body class=\"a\">{line}<h1>R</h1></body>")
        );
        assert_eq!(page("<h1>R</h1>"), format!("{line}<h1>R</h1>"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_answer_is_marked() {
        let router = Router::new()
            .route("/page", get(async || Html("<body>a</body>")))
            .route("/data", get(async || "a"));
        let router = marked(tocsin_runtime::http::whole(router), DRILL);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = tocsin_runtime::Shutdown::new();
        let id = HeaderValue::from_static("000000ab");
        let serving = tokio::spawn(tocsin_runtime::http::serve_whole(listener, router, shutdown.clone()));
        for (path, expected) in [
            (
                "/page",
                "<body><p><strong>DRILL 000000ab: nothing on this page is real.</strong></p>a</body>",
            ),
            ("/data", "a"),
        ] {
            let answer = reqwest::get(format!("http://{address}{path}")).await.unwrap();
            assert_eq!(answer.headers()["tocsin-drill"], "000000ab", "{path}");
            assert_eq!(answer.text().await.unwrap(), expected, "{path}");
        }
        let client = reqwest::Client::new();
        let refused = [
            client.get(format!("http://{address}/unknown")),
            client.post(format!("http://{address}/data")),
        ];
        for (asked, status) in refused.into_iter().zip([404, 405]) {
            let answer = asked.send().await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()["tocsin-drill"]),
                (status, &id)
            );
        }
        shutdown.request();
        serving.await.unwrap();
    }
}
