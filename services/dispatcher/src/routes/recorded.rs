//! No audit, no restricted answer: what is asked for is in the audit chain before it is done, what is told before it is told.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use prometheus::{IntCounterVec, Opts, Registry};
use tocsin_audit::{Action, Entry};
use tocsin_runtime::{Problem, http, problem};

use crate::{Dispatcher, problems};

/// What an operator sees of the records of requests.
pub(crate) struct RecordedMetrics {
    requests: IntCounterVec,
}

impl RecordedMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<RecordedMetrics, prometheus::Error> {
        let options = Opts::new(
            "tocsin_dispatcher_requests_recorded_total",
            "Requests whose record in the audit chain was written, or was not and which were refused, by outcome",
        );
        let requests = IntCounterVec::new(options, &["outcome"])?;
        registry.register(Box::new(requests.clone()))?;
        for outcome in OUTCOMES {
            requests.with_label_values(&[outcome]);
        }
        Ok(RecordedMetrics { requests })
    }
}

/// What becomes of a record.
const OUTCOMES: [&str; 2] = ["written", "refused"];

/// Records a request of a key that is known: one that only reads once it is answered, any other before it is carried out, since what is done is
/// not undone by an answer that is held back.
pub(super) async fn recorded(State(dispatcher): State<Arc<Dispatcher>>, request: Request, next: Next) -> Response {
    let known = match http::bearer_token(request.headers()) {
        Some(key) => match dispatcher.store.authenticate(key).await {
            Ok(known) => known,
            Err(error) => return problems::of_store(&error).into_response(),
        },
        None => None,
    };
    // Whoever is not known is refused by the route, which says how. A key that became good in between is answered from its next request on.
    let Some(principal) = known else {
        let response = next.run(request).await;
        return match response.status() {
            StatusCode::UNAUTHORIZED => response,
            status if status.is_client_error() || status.is_server_error() => response,
            _ => Problem::new(problem::UNAUTHENTICATED).into_response(),
        };
    };
    let is_read = request.method() == Method::GET;
    let action = if is_read { Action::Read } else { Action::Commanded };
    let (route, about) = http::asked(&request);
    let entry = principal.audited(action, route, Some(about));
    if !is_read {
        return match dispatcher.record(entry).await {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response(),
        };
    }
    let response = next.run(request).await;
    if !(response.status().is_success() || response.status() == StatusCode::NOT_FOUND) {
        return response;
    }
    match dispatcher.record(entry).await {
        Ok(()) => response,
        Err(problem) => problem.into_response(),
    }
}

impl Dispatcher {
    /// Writes a record; a problem where it is not known to be in the chain.
    pub(super) async fn record(&self, entry: Entry) -> Result<(), Problem> {
        let written = self.store.record(entry).await;
        let [recorded, refused] = OUTCOMES;
        let outcome = if written.is_ok() { recorded } else { refused };
        self.recorded.requests.with_label_values(&[outcome]).inc();
        written.map_err(|error| {
            tracing::error!(
                error = tocsin_runtime::roles::chain(&error),
                "a request could not be recorded"
            );
            Problem::new(problem::AUDIT_UNAVAILABLE).with_retry_after_s(1)
        })
    }
}
