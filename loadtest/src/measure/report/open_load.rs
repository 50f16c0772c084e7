//! Figures of loads that do not wait for the path.

use std::time::Duration;

use super::super::disk::Space;
use super::super::http::Http;
use super::super::latency::{AtRate, Latency};
use super::super::strain::Overload;
use super::super::watch::{self, Sample};
use super::{Figures, nanoseconds_each, per_second};

impl Figures {
    pub(in super::super) fn add_latency(&mut self, prefix: &str, latency: &Latency) {
        let milliseconds = |microseconds: u64| microseconds as f64 / 1_000.0;
        let alerts = &latency.alerts;
        for (name, value) in [
            ("latency_rate_events_per_second", latency.rate),
            ("latency_events", latency.events as f64),
            ("alert_latency_samples", alerts.len() as f64),
            ("alert_latency_ms_p50", milliseconds(alerts.value_at_quantile(0.5))),
            ("alert_latency_ms_p99", milliseconds(alerts.value_at_quantile(0.99))),
            ("alert_latency_ms_p999", milliseconds(alerts.value_at_quantile(0.999))),
            ("alert_latency_ms_max", milliseconds(alerts.max())),
            (
                "producer_behind_ms_max",
                latency.producer_behind_max.as_secs_f64() * 1_000.0,
            ),
        ] {
            self.set(&format!("{prefix}{name}"), value);
        }
        if let Some(at_rate) = &latency.beside {
            self.add_at_rate(prefix, at_rate);
        }
    }

    fn add_at_rate(&mut self, prefix: &str, at_rate: &AtRate) {
        let AtRate {
            events,
            intake,
            detector,
            do_nothing,
        } = *at_rate;
        let own = (intake + detector).saturating_sub(do_nothing.processor_time);
        for (name, time) in [
            ("cpu_ns_per_event_intake", intake),
            ("cpu_ns_per_event_detector", detector),
            ("cpu_ns_per_event_do_nothing", do_nothing.processor_time),
            ("own_ns_per_event", own),
        ] {
            self.set(&format!("{prefix}at_rate_{name}"), nanoseconds_each(time, events));
        }
        self.set(&format!("{prefix}do_nothing_records"), do_nothing.records as f64);
        for (name, delay) in ["p50", "p99", "max"].into_iter().zip(do_nothing.delays_ms) {
            self.set(&format!("{prefix}do_nothing_delay_ms_{name}"), delay as f64);
        }
    }

    pub(in super::super) fn add_http(&mut self, http: &Http) {
        let milliseconds = |microseconds: u64| microseconds as f64 / 1_000.0;
        let answers = &http.answers;
        self.add_latency("", &http.path);
        for (name, value) in [
            ("http_requests", http.requests as f64),
            ("http_events", http.events as f64),
            ("http_requests_put_off", http.put_off as f64),
            ("http_answer_ms_p50", milliseconds(answers.value_at_quantile(0.5))),
            ("http_answer_ms_p99", milliseconds(answers.value_at_quantile(0.99))),
            ("http_answer_ms_p999", milliseconds(answers.value_at_quantile(0.999))),
            ("http_answer_ms_max", milliseconds(answers.max())),
            ("cpu_ns_per_event_gateway", nanoseconds_each(http.gateway, http.events)),
        ] {
            self.set(name, value);
        }
    }

    /// The flood that was played, and the one that was to be; `capacity`: events that the path carries in the time of the other parties' load.
    pub(in super::super) fn add_flood(&mut self, wanted: u64, events: u64, capacity: f64, space: Option<Space>) {
        self.set("overload_flood_events_wanted", wanted as f64);
        self.set(
            "overload_flood_of_capacity",
            events as f64 / capacity.max(f64::MIN_POSITIVE),
        );
        if let Some(space) = space {
            self.set("overload_disk_bytes_per_event", space.bytes_per_event);
            self.set("overload_disk_bytes_free", space.free_bytes as f64);
        }
    }

    pub(in super::super) fn add_overload(&mut self, overload: &Overload, maximum: f64) {
        self.add_latency("overload_", &overload.others);
        let rate = per_second(overload.flood_events, overload.drained);
        let [intake, detector] = overload.resident_bytes_max;
        for (name, value) in [
            ("flood_events", overload.flood_events as f64),
            ("seconds_until_drained", overload.drained.as_secs_f64()),
            ("lost", overload.others.lost as f64),
            ("drain_events_per_second", rate),
            ("drain_rate_of_maximum", rate / maximum.max(f64::MIN_POSITIVE)),
            ("resident_bytes_max_intake", intake as f64),
            ("resident_bytes_max_detector", detector as f64),
        ] {
            self.set(&format!("overload_{name}"), value);
        }
    }

    pub(in super::super) fn add_soak(&mut self, soak: &Latency, lasts: Duration) {
        self.add_latency("soak_", soak);
        self.set("soak_seconds", lasts.as_secs_f64());
        for (role, samples) in ["intake", "detector"].into_iter().zip(&soak.watched) {
            // What a process reaches for at its start is no slope.
            let samples = &samples[samples.len() / 3..];
            let held = |sample: &Sample| sample.resources.resident_bytes as f64;
            let open = |sample: &Sample| sample.resources.descriptors as f64;
            let lag = |sample: &Sample| sample.lag;
            let values: [&dyn Fn(&Sample) -> f64; 3] = [&held, &open, &lag];
            for (name, value) in ["resident_bytes", "descriptors", "lag_records"].into_iter().zip(values) {
                let slope = watch::slope_per_minute(samples, value);
                self.set(&format!("soak_{name}_per_minute_{role}"), slope);
                let last = samples.last().map_or(0.0, value);
                self.set(&format!("soak_{name}_last_{role}"), last);
            }
        }
    }
}
