//! Logs and metrics.
//!
//! Metrics go to one [`prometheus::Registry`] that every role is handed. House rule for both: one struct per event, in the past tense,
//! with a method `emit` that writes log and metrics together, once per batch and not per item.

use std::io::IsTerminal as _;

use prometheus::Registry;
use prometheus::process_collector::ProcessCollector;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::Refusal;

/// How to log. Section `[telemetry]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// `json` for machines, `text` for people. Default: `text`.
    pub log_format: LogFormat,
    /// What to log, as `tracing-subscriber` filters: `info`, or `warn,tocsin_gateway=debug`. Default: `info`.
    pub filter: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text.
    #[default]
    Text,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        TelemetryConfig {
            log_format: LogFormat::Text,
            filter: "info".to_owned(),
        }
    }
}

impl TelemetryConfig {
    /// What is wrong with it.
    pub fn refusals(&self) -> Vec<Refusal> {
        EnvFilter::try_new(&self.filter)
            .err()
            .map(|error| Refusal::new("telemetry.filter", error.to_string()))
            .into_iter()
            .collect()
    }
}

/// Sends logs to the standard error stream, in the form and to the extent configured. Once in a process; again does nothing.
pub fn start_logging(config: &TelemetryConfig) {
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

/// A registry that holds the figures of the process itself (memory, CPU time, open files).
pub fn registry() -> Registry {
    let registry = Registry::new();
    registry
        .register(Box::new(ProcessCollector::for_self()))
        .expect("a new registry holds no collector of this name");
    registry
}
