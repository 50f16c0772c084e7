//! Figures: a table for people, flat JSON for machines.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use super::core;
use super::corpus::Framing;
use super::latency::Latency;
use super::pipeline::Path;
use super::rebalance::Rebalanced;
use super::restore::Restored;

/// The figures of a run, by name.
#[derive(Clone, Debug, Default)]
pub struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// Measures the core and adds what it did.
    pub fn with_core(mut self, events: u64) -> anyhow::Result<Self> {
        let core = core::measure(events).context("the core")?;
        let work = |work: core::Work| {
            (
                per_second(work.events, work.elapsed),
                nanoseconds_each(work.processor_time, work.events),
            )
        };
        let (detector_rate, detector_cost) = work(core.detector);
        let (intake_rate, intake_cost) = work(core.intake);
        self.set("core_events", core.detector.events as f64);
        self.set("core_events_per_second", detector_rate);
        self.set("core_cpu_ns_per_event", detector_cost);
        self.set("intake_core_events_per_second", intake_rate);
        self.set("intake_core_cpu_ns_per_event", intake_cost);
        Ok(self)
    }

    pub(super) fn add_path(&mut self, framing: Framing, path: &Path) {
        let suffix = match framing {
            Framing::Single => "",
            Framing::Batched => "_batched",
        };
        let Path { events, .. } = *path;
        for (name, value) in [
            ("pipeline_events", events as f64),
            ("pipeline_events_per_second", per_second(events, path.elapsed)),
            (
                "do_nothing_events_per_second",
                per_second(events, path.do_nothing_elapsed),
            ),
            ("cpu_ns_per_event_intake", nanoseconds_each(path.intake, events)),
            ("cpu_ns_per_event_detector", nanoseconds_each(path.detector, events)),
            ("cpu_ns_per_event_do_nothing", nanoseconds_each(path.do_nothing, events)),
        ] {
            self.set(&format!("{name}{suffix}"), value);
        }
    }

    pub(super) fn add_latency(&mut self, latency: &Latency) {
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
            self.set(name, value);
        }
    }

    pub(super) fn add_restore(&mut self, restored: &Restored) {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        for (name, value) in [
            ("restore_contents", restored.contents as f64),
            ("restore_events", restored.events as f64),
            ("restore_records", restored.records as f64),
            ("restore_megabytes", megabytes(restored.bytes)),
            ("restore_megabytes_newest", megabytes(restored.bytes_newest)),
            (
                "restore_bytes_per_content",
                restored.bytes_newest as f64 / restored.contents.max(1) as f64,
            ),
            ("restore_seconds", restored.elapsed.as_secs_f64()),
            ("restore_cpu_seconds", restored.processor_time.as_secs_f64()),
            ("restore_cached_seconds", restored.cached_elapsed.as_secs_f64()),
            (
                "restore_cached_cpu_seconds",
                restored.cached_processor_time.as_secs_f64(),
            ),
            ("restore_memory_megabytes_max", megabytes(restored.memory_bytes)),
            ("restore_do_nothing_seconds", restored.do_nothing_elapsed.as_secs_f64()),
            ("restore_do_nothing_cpu_seconds", restored.do_nothing.as_secs_f64()),
        ] {
            self.set(name, value);
        }
    }

    pub(super) fn add_rebalance(&mut self, rebalanced: &Rebalanced) {
        for (name, gap) in [
            ("steady", rebalanced.steady),
            ("join", rebalanced.join),
            ("leave", rebalanced.leave),
            ("kill", rebalanced.kill),
        ] {
            self.set(&format!("gap_ms_{name}_moved"), gap.moved_ms as f64);
            self.set(&format!("gap_ms_{name}_kept"), gap.kept_ms as f64);
        }
    }

    /// Prints a table.
    pub fn print(&self) {
        for (name, value) in &self.0 {
            println!("{name:<44} {value:>14.1}");
        }
    }

    pub(super) fn write(&self, path: &FilePath, machine: &str, commit: &str) -> anyhow::Result<()> {
        let tenths = self
            .0
            .iter()
            .map(|(name, value)| (name.as_str(), (value * 10.0).round() / 10.0));
        let figures: BTreeMap<&str, f64> = tenths.collect();
        let document = json!({ "figures": figures, "machine": machine, "commit": commit });
        let text = serde_json::to_string_pretty(&document)? + "\n";
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
    }

    fn set(&mut self, name: &str, value: f64) {
        self.0.insert(name.to_owned(), value);
    }
}

/// Processor, cores, memory, kernel and how busy it is: without the last no figure of a shared machine means anything.
pub(super) fn machine() -> anyhow::Result<String> {
    let read = |path: &str| std::fs::read_to_string(path).with_context(|| format!("read {path}"));
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let processor = field(&read("/proc/cpuinfo")?, "model name");
    let memory = field(&read("/proc/meminfo")?, "MemTotal");
    let kernel = read("/proc/sys/kernel/osrelease")?;
    let load = read("/proc/loadavg")?;
    let cores = std::thread::available_parallelism()?;
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    Ok(format!(
        "{processor}, {cores} cores, {memory}, Linux {}, load average {}",
        kernel.trim(),
        load.join(" ")
    ))
}

fn per_second(events: u64, elapsed: Duration) -> f64 {
    events as f64 / elapsed.as_secs_f64()
}

fn nanoseconds_each(time: Duration, events: u64) -> f64 {
    time.as_nanos() as f64 / events.max(1) as f64
}
