//! The gateway: events from platforms over HTTP, onto the ingest topic of their party.
//!
//! `POST /v1/events` takes JSON, NDJSON or Avro, one event or many, and answers for each of them. An event is accepted once it is on
//! disk in the log, not before.
//!
//! What this crate does not do: it corrects no clock, routes nothing, counts no content and keeps no event. Events sent twice are
//! appended twice and counted once: the detector drops them by `event_id`. Events that reach the log by Kafka never pass here, so
//! intake checks everything again.
//!
//! Invariants:
//! * An event goes to the topic of the party whose key was shown, and only if its platform is one of that party's.
//! * A bad event refuses itself only; the good ones beside it go through.
//! * Memory is bounded: the number of requests in hand (in all, and for each party), the body, what it inflates to, and the number of
//!   events in it all have a limit.
//! * Every refusal has a code that is documented (`PROBLEMS.md`) and counted.
//!
//! Start reading at [`router`], then `receive` and `judge`.

mod admission;
mod answer;
mod body;
mod config;
mod document;
mod inflate;
mod judge;
mod media;
mod parties;
pub mod problems;
mod publish;
mod receive;
mod telemetry;

use std::sync::Arc;

use axum::Router;
use prometheus::Registry;
use tocsin_log::SharedLog;
use tocsin_store::Store;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use answer::{EventResult, EventStatus, EventsAnswer};
pub use config::GatewayConfig;
pub use document::EventDocument;
pub use receive::Gateway;

/// The gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The log gives no appender.
    #[error("open an appender for the gateway")]
    Appender(#[source] tocsin_log::LogError),
    /// Another part of the process has metrics of the same names.
    #[error("register the metrics of the gateway")]
    Metrics(#[source] prometheus::Error),
}

impl Gateway {
    /// A gateway that appends to `log`, knows parties and keys by `store`, and counts in `registry`.
    ///
    /// # Errors
    /// See [`GatewayError`].
    pub fn new(
        config: &GatewayConfig,
        log: SharedLog,
        store: Store,
        registry: &Registry,
    ) -> Result<Gateway, GatewayError> {
        Ok(Gateway {
            limits: config.clone(),
            admission: admission::Admission::new(config),
            parties: parties::Parties::new(store),
            publisher: publish::Publisher::open(log, config).map_err(GatewayError::Appender)?,
            metrics: telemetry::Metrics::register(registry).map_err(GatewayError::Metrics)?,
        })
    }
}

/// The routes of the gateway and their description.
pub fn router(gateway: Arc<Gateway>) -> (Router, OpenApi) {
    routes().with_state(gateway).split_for_parts()
}

/// The description of the routes alone.
pub fn description() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<Arc<Gateway>> {
    OpenApiRouter::new().routes(routes!(receive::post_events))
}
