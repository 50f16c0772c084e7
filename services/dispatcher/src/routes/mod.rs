//! The queue, the cases and the incidents over HTTP.
//!
//! A lease has a number, `fencing`; whoever holds it says it in the body with whatever they do. Who also sends `If-Match` insists that nobody
//! changed the case since they saw it: the entity tag is the case's version, which figures do not change. An alert every few seconds would
//! otherwise refuse every decision.

mod access;
mod accounts;
mod acknowledgements;
mod alert_documents;
mod appeal_documents;
mod appeals;
mod audit;
mod body;
mod case_clocks;
mod cases;
mod clocks;
mod coop;
mod coop_items;
mod deciding;
mod documents;
mod evidence;
mod families;
mod handling;
mod html;
mod incidents;
mod notice_documents;
mod notices;
mod opinion_documents;
mod queue;
mod queue_documents;
mod queue_stream;
mod recorded;
mod refused;
mod reports;
mod requests;
mod research;
mod reviews;
mod session;
mod shift;
mod sign_in;
mod sign_in_page;
mod statements;
mod tools;

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde::Serialize;
use tocsin_runtime::Problem;
use tocsin_runtime::session_cookie::accept_session;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Dispatcher;
use crate::telemetry::CommandAnswered;

pub(crate) use families::Links;
pub(crate) use recorded::RecordedMetrics;

/// The routes of the dispatcher and their description.
pub fn router(dispatcher: Arc<Dispatcher>) -> (Router, OpenApi) {
    let recorded = axum::middleware::from_fn_with_state(dispatcher.clone(), recorded::recorded);
    // On all of them: a route that is added is recorded without anybody thinking of it.
    let own = routes().route_layer(recorded).merge(sign_in::routes());
    let origin = dispatcher.config.sign_in.own_origin();
    own.route_layer(axum::middleware::from_fn_with_state(origin, accept_session))
        .with_state(dispatcher)
        .split_for_parts()
}

/// The description of the routes.
pub fn description() -> OpenApi {
    routes().merge(sign_in::routes()).into_openapi()
}

fn routes() -> OpenApiRouter<Arc<Dispatcher>> {
    OpenApiRouter::new()
        .routes(routes!(queue::read_queue))
        .routes(routes!(queue::claim_best))
        .routes(routes!(queue_stream::watch_queue))
        .routes(routes!(queue::read_moderators))
        .routes(routes!(shift::read_shift))
        .routes(routes!(clocks::read_clocks))
        .routes(routes!(cases::read_case))
        .routes(routes!(cases::claim_case))
        .routes(routes!(cases::renew_lease))
        .routes(routes!(cases::release_case))
        .routes(routes!(cases::read_history))
        .routes(routes!(case_clocks::read_case_clocks, case_clocks::tell_clock))
        .routes(routes!(acknowledgements::read_acknowledgements))
        .routes(routes!(acknowledgements::read_unconfirmed))
        .routes(routes!(accounts::read_accounts))
        .routes(routes!(handling::hand_over_case))
        .routes(routes!(handling::escalate_case))
        .routes(routes!(handling::hold_case))
        .routes(routes!(handling::skip_case))
        .routes(routes!(deciding::save_draft))
        .routes(routes!(deciding::decide_case))
        .routes(routes!(deciding::withdraw_decision))
        .routes(routes!(coop::take_coop_action))
        .routes(routes!(coop_items::read_coop_items))
        .routes(routes!(notices::read_notices, notices::file_notice))
        .routes(routes!(notices::read_notice))
        .routes(routes!(notices::answer_notice))
        .routes(routes!(notices::suspend_notice))
        .routes(routes!(notices::resume_notice))
        .routes(routes!(notices::report_threat))
        .routes(routes!(appeals::read_appeals, appeals::file_appeal))
        .routes(routes!(appeals::read_appeal_figures))
        .routes(routes!(appeals::read_appeal))
        .routes(routes!(appeals::claim_appeal))
        .routes(routes!(appeals::renew_appeal))
        .routes(routes!(appeals::release_appeal))
        .routes(routes!(appeals::answer_appeal))
        .routes(routes!(reviews::read_review))
        .routes(routes!(reviews::renew_review))
        .routes(routes!(reviews::release_review))
        .routes(routes!(reviews::answer_review))
        .routes(routes!(reviews::read_quality))
        .routes(routes!(families::link_contents))
        .routes(routes!(evidence::preserve_case))
        .routes(routes!(evidence::read_preservations))
        .routes(routes!(evidence::read_preservation))
        .routes(routes!(evidence::extend_preservation))
        .routes(routes!(evidence::release_preservation))
        .routes(routes!(evidence::export_preservation))
        .routes(routes!(reports::read_report))
        .routes(routes!(reports::read_terrorist_content))
        .routes(routes!(statements::read_statements))
        .routes(routes!(research::read_days))
        .routes(routes!(research::read_day))
        .routes(routes!(research::read_data_sheet))
        .routes(routes!(audit::read_audit))
        .routes(routes!(audit::read_checkpoint))
        .routes(routes!(session::read_session))
        .routes(routes!(session::sign_out))
        .merge(incidents::routes())
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
