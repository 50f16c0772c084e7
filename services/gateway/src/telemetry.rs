use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};
use tocsin_model::Name;
use tocsin_runtime::{Problem, Traceparent};

use crate::answer::{EventStatus, EventsAnswer};

/// What the gateway counts. Labels are codes and names of registered parties, both bounded.
pub struct Metrics {
    requests: IntCounterVec,
    events: IntCounterVec,
    rejected: IntCounterVec,
    seconds: Histogram,
}

/// A request was answered with what became of its events.
pub struct EventsReceived<'a> {
    pub party: &'a Name,
    pub answer: &'a EventsAnswer,
    pub trace: Traceparent,
    pub took: Duration,
}

/// A request was refused as a whole.
pub struct RequestRefused<'a> {
    pub problem: &'a Problem,
    pub trace: Traceparent,
    pub took: Duration,
}

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let metrics = Metrics {
            requests: counter(
                "tocsin_gateway_requests_total",
                "Requests to publish, by code (`accepted` where at least one event was) and HTTP status of their answer",
                &["code", "status"],
            )?,
            events: counter(
                "tocsin_gateway_events_total",
                "Events received over HTTP, by party and by what became of them",
                &["party", "status"],
            )?,
            rejected: counter(
                "tocsin_gateway_events_rejected_total",
                "Events refused over HTTP, by code",
                &["code"],
            )?,
            seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "tocsin_gateway_request_seconds",
                    "From the head of a request to its answer",
                )
                .buckets(vec![
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
                ]),
            )?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.events.clone()))?;
        registry.register(Box::new(metrics.rejected.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        Ok(metrics)
    }
}

impl EventsReceived<'_> {
    pub fn emit(&self, metrics: &Metrics) {
        let EventsAnswer {
            accepted,
            duplicates,
            rejected,
            results,
        } = self.answer;
        let party = self.party.as_str();
        for (status, count) in [
            ("accepted", accepted),
            ("duplicate", duplicates),
            ("rejected", rejected),
        ] {
            metrics.events.with_label_values(&[party, status]).inc_by(*count as u64);
        }
        let refusals = results.iter().filter(|result| result.status == EventStatus::Rejected);
        for code in refusals.filter_map(|result| result.code.as_deref()) {
            metrics.rejected.with_label_values(&[code]).inc();
        }
        let outcome = match accepted + duplicates {
            0 => ["all_rejected", "422"],
            _ => ["accepted", "202"],
        };
        metrics.requests.with_label_values(&outcome).inc();
        metrics.seconds.observe(self.took.as_secs_f64());
        tracing::debug!(
            party,
            accepted,
            duplicates,
            rejected,
            trace_id = self.trace.trace_id(),
            "received events"
        );
    }
}

impl RequestRefused<'_> {
    pub fn emit(&self, metrics: &Metrics) {
        let (code, status) = (self.problem.code(), self.problem.status());
        metrics.requests.with_label_values(&[code, status.as_str()]).inc();
        metrics.seconds.observe(self.took.as_secs_f64());
        tracing::debug!(code, trace_id = self.trace.trace_id(), "refused a request to publish");
    }
}
