//! Where a process listens, and the routes every process has: `/healthz`, `/readyz`, `/metrics`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus::{Encoder as _, Registry, TextEncoder};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::tls::TlsConfig;
use crate::{Readiness, Refusal};

pub use crate::retry_after::retry_after;
pub use crate::server::{serve, serve_tls, serve_whole, whole};

/// Where to listen. Section `[http]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Address and port; port 0 takes a free one. Default: `127.0.0.1:8340`.
    pub listen: String,
    /// TLS, if the process ends it itself. Default: plain HTTP, for a machine by itself and behind something that ends TLS.
    pub tls: TlsConfig,
}

/// What `/readyz` answers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ReadinessAnswer {
    /// `ready` or `waiting`.
    pub status: String,
    /// Each part of the process: `ready`, or what it waits for.
    pub parts: BTreeMap<String, String>,
}

#[derive(Clone)]
struct Operations {
    registry: Registry,
    readiness: Readiness,
}

impl HttpConfig {
    /// What addresses of this process begin with: `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_on() { "https" } else { "http" }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            listen: "127.0.0.1:8340".to_owned(),
            tls: TlsConfig::default(),
        }
    }
}

impl HttpConfig {
    /// What is wrong with it.
    pub fn refusals(&self) -> Vec<Refusal> {
        let mut refusals = self.tls.refusals();
        if self.listen.parse::<SocketAddr>().is_err() {
            let reason = "an address and a port are wanted: 127.0.0.1:8340";
            refusals.push(Refusal::new("http.listen", reason));
        }
        refusals
    }
}

/// The routes every process has.
pub fn operations(registry: Registry, readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Operations { registry, readiness })
}

/// The token of an `Authorization: Bearer` header, when there is exactly one such header and it is text; the scheme in any case (RFC 9110, section 11.1).
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// What is asked: the method and the route as it is described, such as `GET /v1/families/{id}`; and the path with its query. In a layer of routes.
pub fn asked(request: &Request) -> (String, String) {
    let matched = request.extensions().get::<MatchedPath>();
    let route = format!("{} {}", request.method(), matched.map_or("", MatchedPath::as_str));
    let about = request.uri().path_and_query().map_or("", |about| about.as_str());
    (route.trim_end().to_owned(), about.to_owned())
}

async fn readyz(State(operations): State<Operations>) -> Response {
    let parts = operations.readiness.parts();
    let is_ready = parts.values().all(Option::is_none);
    let answer = ReadinessAnswer {
        status: if is_ready { "ready" } else { "waiting" }.to_owned(),
        parts: parts
            .into_iter()
            .map(|(name, waiting)| (name.to_owned(), waiting.unwrap_or_else(|| "ready".to_owned())))
            .collect(),
    };
    let status = if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(answer)).into_response()
}

async fn metrics(State(operations): State<Operations>) -> Response {
    let mut text = Vec::new();
    let encoder = TextEncoder::new();
    match encoder.encode(&operations.registry.gather(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response(),
        Err(error) => Problem::internal(&error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what a probe and a scraper see.
    #![allow(clippy::unwrap_used)]

    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn get_text(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_names_what_is_waited_for() {
        let readiness = Readiness::new();
        let router = operations(crate::telemetry::registry(), readiness.clone());
        assert_eq!(get_text(&router, "/healthz").await.0, StatusCode::OK);
        let log = readiness.flag("log", "opening");
        readiness.flag("store", "migrating").set_ready();
        let (status, text) = get_text(&router, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            text,
            r#"{"status":"waiting","parts":{"log":"opening","store":"ready"}}"#
        );
        log.set_ready();
        assert_eq!(get_text(&router, "/readyz").await.0, StatusCode::OK);
    }

    #[test]
    fn one_bearer_token_is_read_and_nothing_else() {
        let read = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, (*value).parse().unwrap());
            }
            bearer_token(&headers).map(str::to_owned)
        };
        assert_eq!(read(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(read(&["bearer  abc"]).as_deref(), Some("abc"));
        for values in [
            &[][..],
            &["abc"],
            &["Basic abc"],
            &["Bearer"],
            &["Bearer a", "Bearer b"],
            &["Bearer \u{e9}"],
        ] {
            assert_eq!(read(values), None, "{values:?}");
        }
    }

    #[tokio::test]
    async fn metrics_show_what_was_counted() {
        let registry = crate::telemetry::registry();
        let counter = prometheus::IntCounter::new("tocsin_example_total", "An example").unwrap();
        registry.register(Box::new(counter.clone())).unwrap();
        counter.inc_by(3);
        let (_, text) = get_text(&operations(registry, Readiness::new()), "/metrics").await;
        assert!(text.contains("\ntocsin_example_total 3\n"), "{text}");
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
    }
}
