//! The HTTP routes. Each one turns its parameters into a question, and the reader's key into a scope; the answer is made elsewhere.

mod alerts;
mod bank_sightings;
mod batch;
mod comparison;
mod conditional;
mod counts;
mod export;
mod families;
mod first_frame;
mod hma;
mod leak_through;
mod meter;
mod parameters;
mod reader;
mod recorded;
mod stream;
mod trending;

use axum::extract::DefaultBodyLimit;
use tocsin_runtime::session_cookie::{OwnOrigin, accept_session};
use tocsin_runtime::{Problem, ProblemKind, problem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::AnswerError;
use crate::state::QueryState;

pub use batch::BATCH_BYTES_MAX;
pub use export::{EXPORT_BINS_MAX, EXPORT_ROWS_MAX, EXPORT_TOO_LARGE};
pub use hma::{
    BANKS_ASKED_MAX, COMPARE_BYTES_MAX, HASHING_NOT_OFFERED, LOOK_UP_TIME_MAX, LOOK_UP_TIMED_OUT, MALFORMED_SIGNAL,
    UNKNOWN_BANK, UNKNOWN_SIGNAL_TYPE, UNMATCHABLE_SIGNAL,
};
pub use leak_through::LEAK_THROUGH_AGE_MAX;
pub(crate) use leak_through::LeakThroughCache;
pub use meter::{Meter, Metered};
pub use tocsin_runtime::streams::{HEARTBEAT_INTERVAL, RECORD_INTERVAL, STALL_MAX, StreamLimits, TOO_MANY_STREAMS};
pub use trending::{TRENDING_AGE_MAX, TrendingCache};

/// The replica has not caught up with the log yet.
pub const NOT_READY: ProblemKind = ProblemKind {
    status: 503,
    code: "not_ready",
    title: "The replica has not caught up with the log yet",
};

/// The family is counted approximately only.
pub const NOT_HOT: ProblemKind = ProblemKind {
    status: 404,
    code: "not_hot",
    title: "The content is not hot: only approximate totals are held",
};

/// Bins of that time are no longer held.
pub const NOT_HELD: ProblemKind = ProblemKind {
    status: 404,
    code: "not_held",
    title: "Bins of that time are no longer held at this resolution",
};

/// The cursor was not given to this reader, for this list, by this deployment.
pub const INVALID_CURSOR: ProblemKind = ProblemKind {
    status: 400,
    code: "invalid_cursor",
    title: "The cursor was not given to this reader, for this list, by this deployment",
};

/// The key has asked as much as it may in a minute.
pub const RATE_LIMITED: ProblemKind = ProblemKind {
    status: 429,
    code: "rate_limited",
    title: "The key has asked as much as it may in a minute",
};

/// The kinds of problems these routes add to those every service may answer.
pub const PROBLEMS: [ProblemKind; 13] = {
    let [
        type_unknown,
        malformed,
        unmatchable,
        bank_unknown,
        no_hashing,
        timed_out,
    ] = hma::PROBLEMS;
    [
        NOT_READY,
        NOT_HOT,
        NOT_HELD,
        INVALID_CURSOR,
        TOO_MANY_STREAMS,
        RATE_LIMITED,
        EXPORT_TOO_LARGE,
        type_unknown,
        malformed,
        unmatchable,
        bank_unknown,
        no_hashing,
        timed_out,
    ]
};

/// The routes, and the description of them.
pub fn router(state: QueryState) -> (axum::Router, utoipa::openapi::OpenApi) {
    router_at(state, OwnOrigin::default())
}

/// As [`router`], where it is known under which address browsers reach them.
pub fn router_at(state: QueryState, own: OwnOrigin) -> (axum::Router, utoipa::openapi::OpenApi) {
    let recorded = axum::middleware::from_fn_with_state(state.clone(), recorded::recorded);
    // On all of them: a route that is added is recorded without anybody thinking of it.
    let session = axum::middleware::from_fn_with_state(own, accept_session);
    let routes = routes().route_layer(recorded).route_layer(session);
    routes.with_state(state).split_for_parts()
}

/// The description of the routes.
pub fn description() -> utoipa::openapi::OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<QueryState> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(families::family))
        .routes(routes!(families::members))
        .routes(routes!(families::series))
        .routes(routes!(families::breakdown))
        .routes(routes!(families::lookup))
        .routes(routes!(comparison::compare))
        .routes(routes!(trending::trending))
        .routes(routes!(leak_through::leak_through))
        .routes(routes!(bank_sightings::bank_sightings))
        .routes(routes!(alerts::alerts))
        .routes(routes!(alerts::alert))
        .routes(routes!(stream::stream))
        .merge(metered())
        .layer(axum::middleware::from_fn(meter::tell_quota))
}

/// The routes on which a key's look-ups are counted.
fn metered() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new()
        .routes(routes!(counts::counts, batch::batch))
        .layer(DefaultBodyLimit::max(batch::BATCH_BYTES_MAX))
        .merge(hma::routes())
}

#[derive(OpenApi)]
#[openapi(modifiers(&BearerKey), components(schemas(crate::answer::FrameAnswer)), tags(
    (name = "query", description = "Figures and alerts inside the reader's scope"),
    (name = "hma", description = "Look-ups in the shape of the open matcher HMA"),
))]
struct Description;

struct BearerKey;

impl Modify for BearerKey {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key with the role `reader` or `moderator`"))
            .build();
        openapi
            .components
            .get_or_insert_with(Default::default)
            .add_security_scheme("api_key", SecurityScheme::Http(scheme));
    }
}

fn unanswered(error: AnswerError) -> Problem {
    match error {
        AnswerError::NotFound => Problem::new(problem::NOT_FOUND),
        AnswerError::NotHot => Problem::new(NOT_HOT),
        AnswerError::NotHeld => Problem::new(NOT_HELD),
        AnswerError::TimeUnknown => Problem::new(problem::UNAVAILABLE)
            .with_detail("the partition has not told its time yet")
            .with_retry_after_s(1),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the tables that clients program against name every code there is.

    use super::*;

    const TABLE: &str = include_str!("../../PROBLEMS.md");

    #[test]
    fn every_code_is_documented() {
        let shared = [
            problem::UNAUTHENTICATED,
            problem::FORBIDDEN,
            problem::NOT_FOUND,
            problem::METHOD_NOT_ALLOWED,
            problem::INVALID_PARAMETER,
            problem::INVALID_BODY,
            problem::BODY_TOO_LARGE,
            problem::UNAVAILABLE,
            problem::AUDIT_UNAVAILABLE,
            problem::INTERNAL,
        ];
        for kind in shared.into_iter().chain(PROBLEMS) {
            let row = format!("| `{}` | {} |", kind.code, kind.status);
            assert!(TABLE.contains(&row), "{row} is not in PROBLEMS.md");
        }
        for code in tocsin_runtime::streams::EndCode::ALL {
            let row = format!("| `{}` |", code.name());
            assert!(TABLE.contains(&row), "{row} is not in PROBLEMS.md");
        }
    }
}
