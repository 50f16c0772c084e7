//! Logs and metrics.
//!
//! Metrics go to one [`prometheus::Registry`] that every role is handed. House rule for both: one struct per event, in the past tense,
//! with a method `emit` that writes log and metrics together, once per batch and not per item.

use std::io::{IsTerminal as _, Write};

use prometheus::Registry;
use prometheus::process_collector::ProcessCollector;
use serde::{Deserialize, Serialize};
use tocsin_model::DrillId;
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
    start(config, None);
}

/// As [`start_logging`], for the roles of a drill: every line says that it is of one. As JSON in a field `drill`, as text first.
pub fn start_logging_of_drill(config: &TelemetryConfig, drill: DrillId) {
    start(config, Some(drill));
}

fn start(config: &TelemetryConfig, drill: Option<DrillId>) {
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let format = config.log_format;
    let writer = move || Marking {
        mark: drill.map(|drill| mark(drill, format)).unwrap_or_default(),
        format,
        inner: std::io::stderr(),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(writer);
    let started = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

fn mark(drill: DrillId, format: LogFormat) -> String {
    match format {
        LogFormat::Json => format!("\"drill\":\"{drill}\","),
        LogFormat::Text => format!("DRILL {drill} "),
    }
}

/// Puts a mark into each event: the subscriber writes one at a time, each whole.
struct Marking<W> {
    /// Empty: nothing is put in.
    mark: String,
    format: LogFormat,
    inner: W,
}

impl<W: Write> Write for Marking<W> {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        if self.mark.is_empty() {
            return self.inner.write(event);
        }
        let at = match self.format {
            LogFormat::Json => usize::from(event.starts_with(b"{")),
            LogFormat::Text => 0,
        };
        let marked = [&event[..at], self.mark.as_bytes(), &event[at..]].concat();
        self.inner.write_all(&marked)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
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

#[cfg(test)]
mod tests {
    //! Goal: every line of a drill's log says that it is of one, in either form.
    #![allow(clippy::unwrap_used)]

    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, drill: Option<DrillId>) -> Vec<String> {
        let lines = Lines::default();
        let inner = lines.clone();
        let writer = move || Marking {
            mark: drill.map(|drill| mark(drill, format)).unwrap_or_default(),
            format,
            inner: inner.clone(),
        };
        let builder = tracing_subscriber::fmt().with_ansi(false).with_writer(writer);
        let log = || {
            for number in 0..3 {
                tracing::warn!(number, text = "a \"word\"", "it happened");
            }
        };
        match format {
            LogFormat::Json => tracing::subscriber::with_default(builder.json().flatten_event(true).finish(), log),
            LogFormat::Text => tracing::subscriber::with_default(builder.finish(), log),
        }
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_line_says_of_which_drill_it_is() {
        let drill = Some(DrillId(0xab));
        let lines = logged(LogFormat::Text, drill);
        assert!(
            lines.len() == 3 && lines.iter().all(|line| line.starts_with("DRILL 000000ab ")),
            "{lines:?}"
        );
        let lines = logged(LogFormat::Json, drill);
        assert_eq!(lines.len(), 3);
        for line in &lines {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(
                (&line["drill"], &line["message"]),
                (&"000000ab".into(), &"it happened".into())
            );
        }
        for format in [LogFormat::Text, LogFormat::Json] {
            let lines = logged(format, None);
            assert!(
                lines.len() == 3 && !lines.concat().to_lowercase().contains("drill"),
                "{lines:?}"
            );
        }
    }
}
