use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use tocsin_model::Name;

use super::NotRead;

/// What becomes of an event.
pub(super) const OUTCOMES: [&str; 12] = [
    "decided",
    "escalated",
    "opened",
    "joined",
    "stands",
    "no_case",
    "refused",
    "not_a_person",
    "not_meant",
    "no_content",
    "too_many",
    "malformed",
];

/// What the taking of decisions made in Ozone tells of itself.
#[derive(Clone)]
pub(crate) struct OzoneMetrics {
    events: IntCounterVec,
    failures: IntCounter,
}

impl OzoneMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<OzoneMetrics, prometheus::Error> {
        let events = Opts::new(
            "tocsin_dispatcher_ozone_events_total",
            "Events of Ozone that were looked at, by what became of them.",
        );
        let metrics = OzoneMetrics {
            events: IntCounterVec::new(events, &["outcome"])?,
            failures: IntCounter::new(
                "tocsin_dispatcher_ozone_read_failures_total",
                "Times that the events of an Ozone could not be read.",
            )?,
        };
        registry.register(Box::new(metrics.events.clone()))?;
        registry.register(Box::new(metrics.failures.clone()))?;
        for outcome in OUTCOMES {
            metrics.events.with_label_values(&[outcome]);
        }
        Ok(metrics)
    }
}

/// An event was looked at, and is not looked at again.
pub(super) struct EventTaken<'a> {
    pub endpoint: &'a Name,
    pub event: i64,
    pub outcome: &'static str,
}

/// Ozone is asked again later.
pub(super) struct NotReadOn<'a> {
    pub endpoint: &'a Name,
    pub why: &'a NotRead,
}

impl EventTaken<'_> {
    pub(super) fn emit(self, metrics: &OzoneMetrics) {
        metrics.events.with_label_values(&[self.outcome]).inc();
        let (endpoint, event, outcome) = (self.endpoint, self.event, self.outcome);
        match outcome {
            "malformed" | "refused" | "too_many" => {
                tracing::warn!(%endpoint, event, outcome, "an event of Ozone was not taken");
            }
            "not_a_person" | "not_meant" | "no_content" => {
                tracing::debug!(%endpoint, event, outcome, "an event of Ozone stands for nothing here");
            }
            _ => tracing::info!(%endpoint, event, outcome, "an event of Ozone was taken"),
        }
    }
}

impl NotReadOn<'_> {
    pub(super) fn emit(self, metrics: &OzoneMetrics) {
        metrics.failures.inc();
        tracing::warn!(
            endpoint = %self.endpoint,
            error = tocsin_runtime::roles::chain(self.why),
            "what happened in Ozone was not read on; it is asked for again"
        );
    }
}
