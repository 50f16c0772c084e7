//! The queue and the cases over HTTP.
//!
//! A lease has a number, `fencing`; whoever renews, releases or decides says it in the body. (An `If-Match` header would do the same by
//! an entity tag, but it would name the whole document, which changes with every alert, and not the lease, which is what must not have
//! changed.)

mod access;
mod body;
mod cases;
mod documents;
mod families;
mod queue;
mod refused;

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde::Serialize;
use tocsin_runtime::Problem;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Dispatcher;
use crate::telemetry::CommandAnswered;

pub(crate) use families::Links;

/// The routes of the dispatcher and their description.
pub fn router(dispatcher: Arc<Dispatcher>) -> (Router, OpenApi) {
    routes().with_state(dispatcher).split_for_parts()
}

/// The description of the routes.
pub fn description() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<Arc<Dispatcher>> {
    OpenApiRouter::new()
        .routes(routes!(queue::read_queue))
        .routes(routes!(queue::claim_best))
        .routes(routes!(cases::read_case))
        .routes(routes!(cases::claim_case))
        .routes(routes!(cases::renew_lease))
        .routes(routes!(cases::release_case))
        .routes(routes!(cases::decide_case))
        .routes(routes!(families::link_contents))
}

/// Counts the command and makes its response.
fn answered<T: Serialize>(dispatcher: &Dispatcher, command: &'static str, result: Result<T, Problem>) -> Response {
    CommandAnswered {
        command,
        code: result.as_ref().map_or_else(Problem::code, |_| "ok"),
    }
    .emit(&dispatcher.metrics);
    match result {
        Ok(document) => Json(document).into_response(),
        Err(problem) => problem.into_response(),
    }
}
