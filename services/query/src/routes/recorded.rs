//! No audit, no restricted answer: whatever a reader is told is in the audit chain before they are told it.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tocsin_audit::{Action, Entry};
use tocsin_runtime::{Problem, http, problem};

use super::reader::principal;
use crate::state::QueryState;

/// Records each request that is answered, also with "nothing here" or "not modified", which tell something too. Refused ones tell nothing and are no records.
pub(super) async fn recorded(State(state): State<QueryState>, request: Request, next: Next) -> Response {
    let (route, about) = http::asked(&request);
    let reader = principal(&state, request.headers()).await;
    let response = next.run(request).await;
    let tells = [StatusCode::NOT_MODIFIED, StatusCode::NOT_FOUND].contains(&response.status());
    if !(response.status().is_success() || tells) {
        return response;
    }
    let written = match reader {
        Ok(reader) => record(&state, reader.audited(Action::Read, route, Some(about))).await,
        // The key became good in between: it is the next request that is answered.
        Err(problem) => Err(problem),
    };
    match written {
        Ok(()) => response,
        Err(problem) => problem.into_response(),
    }
}

/// Writes a record; a problem where it is not known to be in the chain.
pub(super) async fn record(state: &QueryState, entry: Entry) -> Result<(), Problem> {
    let written = state.store().record(entry).await;
    state.metrics().recorded(written.is_ok());
    written.map_err(|error| {
        tracing::error!(
            error = tocsin_runtime::roles::chain(&error),
            "a read could not be recorded"
        );
        Problem::new(problem::AUDIT_UNAVAILABLE).with_retry_after_s(1)
    })
}
