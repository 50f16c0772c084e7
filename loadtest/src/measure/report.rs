//! Figures: a table for people, flat JSON for machines.

mod open_load;

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;
use serde_json::json;

use super::casework::Outcome as Casework;
use super::claims::Outcome as Claims;
use super::core;
use super::corpus::Framing;
use super::listed::Listed;
use super::matcher::{Measured, Peer};
use super::peers::Compared;
use super::pipeline::Path;
use super::rebalance::Rebalanced;
use super::replay::TransactionCost;
use super::restore::Restored;
use super::scale::Scale;

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
        let each = |work: core::Work| work.allocations as f64 / work.events.max(1) as f64;
        self.set("allocations_per_event_core", each(core.detector));
        self.set("allocations_per_event_intake_core", each(core.intake));
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
        let both = path.intake + path.detector;
        let each = |allocations: u64| allocations as f64 / events.max(1) as f64;
        for (name, value) in [
            (
                "own_ns_per_event",
                nanoseconds_each(both.saturating_sub(path.do_nothing), events),
            ),
            ("events_per_cpu_second", per_second(events, both)),
            ("events_per_cpu_second_intake", per_second(events, path.intake)),
            ("events_per_cpu_second_detector", per_second(events, path.detector)),
            ("events_per_cpu_second_do_nothing", per_second(events, path.do_nothing)),
            (
                "allocations_per_event",
                each(path.intake_allocations + path.detector_allocations),
            ),
            ("allocations_per_event_intake", each(path.intake_allocations)),
            ("allocations_per_event_detector", each(path.detector_allocations)),
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

    pub(super) fn add_commits(&mut self, commits: &Histogram<u64>) {
        for (name, quantile) in [("commit_ms_p50", 0.5), ("commit_ms_p99", 0.99)] {
            self.set(name, commits.value_at_quantile(quantile) as f64 / 1_000.0);
        }
        self.set("commits", commits.len() as f64);
    }

    pub(super) fn add_transactions(&mut self, transactions: &TransactionCost) {
        let TransactionCost { events, on, off } = *transactions;
        self.set("cpu_ns_per_event_transactions_on", nanoseconds_each(on, events));
        self.set("cpu_ns_per_event_transactions_off", nanoseconds_each(off, events));
        let cost = on.as_secs_f64() / off.as_secs_f64().max(f64::MIN_POSITIVE) - 1.0;
        self.set("transactions_cost_percent", 100.0 * cost);
    }

    pub(super) fn add_claims(&mut self, prefix: &str, outcome: &Claims) {
        let milliseconds = |quantile| outcome.answered.value_at_quantile(quantile) as f64 / 1_000.0;
        for (name, value) in [
            ("cases", outcome.flow.cases as f64),
            ("moving_families", outcome.flow.moving as f64),
            ("claims", outcome.agreement.claims as f64),
            ("claims_unanswered", outcome.unanswered as f64),
            ("claims_refused", outcome.refused as f64),
            ("claims_for_longest_waiting", outcome.agreement.waiting as f64),
            ("order_agreement", outcome.agreement.share()),
            ("claim_ms_p50", milliseconds(0.5)),
            ("claim_ms_p99", milliseconds(0.99)),
            ("claim_ms_max", milliseconds(1.0)),
        ] {
            self.set(&format!("{prefix}{name}"), value);
        }
    }

    pub(super) fn add_casework(&mut self, prefix: &str, outcome: &Casework) {
        let milliseconds = |microseconds: u64| microseconds as f64 / 1_000.0;
        for (name, value) in [
            ("cases", outcome.cases as f64),
            ("claims", outcome.claims as f64),
            ("decisions", outcome.decisions as f64),
            ("moderators", outcome.contest.moderators as f64),
            ("dispatchers_killed", f64::from(outcome.contest.kills)),
            ("unanswered", outcome.unanswered as f64),
            ("double_leases", outcome.double_leases as f64),
            ("lost_cases", outcome.lost_cases as f64),
            ("lost_decisions", outcome.lost_decisions as f64),
            ("unpublished_decisions", outcome.unpublished as f64),
            ("fanned_families", outcome.fanned.families as f64),
            ("fanned_members", outcome.fanned.members as f64),
            ("unfanned", outcome.fanned.unfanned as f64),
            ("claims_per_second", per_second(outcome.claims, outcome.elapsed)),
            (
                "contended_claim_ms_p50",
                milliseconds(outcome.claim.value_at_quantile(0.5)),
            ),
            (
                "contended_claim_ms_p99",
                milliseconds(outcome.claim.value_at_quantile(0.99)),
            ),
        ] {
            self.set(&format!("{prefix}{name}"), value);
        }
        for (what, took) in [
            ("decision", &outcome.fanned.decision),
            ("overturn", &outcome.fanned.overturn),
            ("appeal", &outcome.fanned.appeal),
        ] {
            for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
                let value = milliseconds(took.value_at_quantile(quantile));
                self.set(&format!("{prefix}{what}_to_topic_ms_{name}"), value);
            }
        }
    }

    pub(super) fn add_scale(&mut self, scale: &Scale) {
        for (what, pair) in [("detector", scale.detectors), ("do_nothing", scale.do_nothing)] {
            self.set(&format!("scale_speedup_{what}"), pair.speedup());
            for (count, drained) in [("one", pair.one), ("two", pair.two)] {
                let name = |figure: &str| format!("scale_{figure}_{what}_{count}");
                let rate = per_second(drained.counted, drained.elapsed);
                self.set(&name("events_per_second"), rate);
                let cost = nanoseconds_each(drained.processor_time, drained.counted);
                self.set(&name("cpu_ns_per_event"), cost);
            }
        }
        let mut first = None;
        for live in &scale.live {
            let cost = nanoseconds_each(live.processor_time, live.events);
            let name = |figure: &str| format!("{figure}_{}_live_contents", live.contents);
            self.set(&name("core_cpu_ns_per_event"), cost);
            self.set(
                &name("core_bytes_per_content"),
                live.bytes as f64 / live.contents as f64,
            );
            let first = *first.get_or_insert(cost);
            self.set("core_cost_growth_ratio", cost / first.max(f64::MIN_POSITIVE));
        }
    }

    pub(super) fn add_peers(&mut self, compared: &Compared) {
        let (events, found) = (compared.events, compared.found);
        let contents = found.contents.max(1) as f64;
        // Of a peer the best of its variants, in each figure.
        let best = |prefix: &str, figure: &str| {
            let of = compared.peers.iter().filter(|(name, _)| name.starts_with(prefix));
            of.filter_map(|(_, figures)| figures.get(figure).copied())
                .fold(f64::INFINITY, f64::min)
        };
        for (name, figures) in &compared.peers {
            for figure in ["cpu_us", "events_per_s", "alerts", "heap_per_content", "rss_mb"] {
                if let Some(value) = figures.get(figure) {
                    self.set(&format!("peer_{figure}_{name}"), *value);
                }
            }
        }
        for (suffix, ours) in [("", compared.single), ("_batched", compared.batched)] {
            let cost = nanoseconds_each(ours.intake + ours.detector, events);
            self.set(&format!("cpu_ns_per_event{suffix}"), cost);
            for (role, time) in [("intake", ours.intake), ("detector", ours.detector)] {
                let name = format!("cpu_ns_per_event_{role}{suffix}");
                self.set(&name, nanoseconds_each(time, events));
            }
            self.set(&format!("events_per_second{suffix}"), per_second(events, ours.elapsed));
            self.set(&format!("resident_bytes{suffix}"), ours.resident_bytes as f64);
            for (peer, prefix) in [("kafka_streams", "ks-"), ("flink", "flink-")] {
                let ratio = 1_000.0 * best(prefix, "cpu_us") / cost;
                self.set(&format!("cpu_ratio_vs_{peer}{suffix}"), ratio);
            }
        }
        let theirs = best("", "heap_per_content");
        let cold = found.cold_bytes as f64 / contents;
        let everything = compared.single.resident_bytes as f64 / contents;
        for (name, value) in [
            ("events", events as f64),
            ("contents", contents),
            ("bytes_per_content_cold", cold),
            ("bytes_per_content_everything", everything),
            ("bytes_per_content_ratio", theirs / cold),
            ("bytes_per_content_ratio_everything", theirs / everything),
            ("rule_crossing", found.crossing as f64),
            ("rule_found", found.found as f64),
            ("rule_excess", found.excess as f64),
        ] {
            self.set(name, value);
        }
    }

    pub(super) fn add_matcher(&mut self, measured: &[Measured], peers: &[Peer]) {
        for set in measured {
            let lookups = set.lookups as u64;
            let name = &set.name;
            self.set(&format!("lookups_per_second_{name}"), per_second(lookups, set.elapsed));
            self.set(
                &format!("lookups_per_cpu_second_{name}"),
                per_second(lookups, set.processor_time),
            );
            let (elapsed, processor_time) = set.batched;
            self.set(
                &format!("lookups_per_second_batched_{name}"),
                per_second(lookups, elapsed),
            );
            let ratio = set.processor_time.as_secs_f64() / processor_time.as_secs_f64().max(f64::EPSILON);
            self.set(&format!("batched_over_single_{name}"), ratio);
            self.set(&format!("bytes_per_hash_{name}"), set.bytes_per_hash);
            let visible = set.insert_visible.as_secs_f64() * 1e6;
            self.set(&format!("insert_visible_us_p99_{name}"), visible);
        }
        // Lookups one at a time are held to theirs one at a time, and to theirs of a thousand at once.
        let rate = |elapsed: fn(&Measured) -> Duration| {
            let random = measured.first();
            random.map_or(0.0, |set| per_second(set.lookups as u64, elapsed(set)))
        };
        let (own, batched) = (rate(|set| set.elapsed), rate(|set| set.batched.0));
        for peer in peers {
            let name: String = peer
                .name
                .chars()
                .map(|letter| if letter.is_alphanumeric() { letter } else { '_' })
                .collect();
            let name = format!("{}_batch_{}", name.to_lowercase(), peer.batch);
            self.set(&format!("lookups_per_second_{name}"), peer.lookups_per_second);
            self.set(&format!("speedup_vs_{name}"), own / peer.lookups_per_second);
            if peer.batch > 1 {
                self.set(&format!("speedup_batched_vs_{name}"), batched / peer.lookups_per_second);
            }
        }
    }

    pub(super) fn add_listed(&mut self, measured: &[Listed]) {
        for list in measured {
            let name = list.name;
            let ratio = |[without, with]: [Duration; 2]| without.as_secs_f64() / with.as_secs_f64().max(f64::EPSILON);
            let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
            self.set(&format!("listed_rate_kept_{name}"), ratio(list.ordinary));
            self.set(&format!("listed_rate_kept_pictures_{name}"), ratio(list.picture));
            self.set(&format!("listed_rate_kept_mixed_{name}"), list.rate_kept_mixed());
            for (of, [without, with]) in [("ordinary", list.ordinary), ("picture", list.picture)] {
                self.set(&format!("listed_ns_{of}_without_{name}"), without.as_nanos() as f64);
                self.set(&format!("listed_ns_{of}_{name}"), with.as_nanos() as f64);
            }
            self.set(&format!("link_lag_ms_p99_{name}"), milliseconds(list.link_lag_p99));
            self.set(&format!("link_lag_ms_max_{name}"), milliseconds(list.link_lag_max));
            self.set(&format!("listed_links_{name}"), list.links as f64);
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
            println!("{name:<44} {:>14}", rounded(*value));
        }
    }

    pub(super) fn write(&self, path: &FilePath, machine: &str, commit: &str) -> anyhow::Result<()> {
        let rounded = self.0.iter().map(|(name, value)| (name.as_str(), rounded(*value)));
        let figures: BTreeMap<&str, f64> = rounded.collect();
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

/// To a tenth; what is small to three digits.
fn rounded(value: f64) -> f64 {
    let parts = if value.abs() < 100.0 { 1_000.0 } else { 10.0 };
    (value * parts).round() / parts
}

/// Processor time comes in hundredths of a second: what took less is as fast as what took one, and never infinitely so.
const TIME_MIN: Duration = Duration::from_millis(10);

pub(super) fn per_second(events: u64, elapsed: Duration) -> f64 {
    events as f64 / elapsed.max(TIME_MIN).as_secs_f64()
}

fn nanoseconds_each(time: Duration, events: u64) -> f64 {
    time.as_nanos() as f64 / events.max(1) as f64
}
