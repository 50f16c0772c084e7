use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::{CounterVec, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use tocsin_log::CommitError;
use tocsin_model::AlertId;
use tocsin_runtime::Traceparent;
use tocsin_velocity::{Comparison, Counters};

use crate::partition::Partition;
use crate::restore::Reached;

/// The detector's metrics. Labels are bounded by their definition.
pub(crate) struct Metrics {
    sightings: IntCounterVec,
    unreadable: IntCounter,
    hot: IntCounterVec,
    refused: IntCounterVec,
    alerts: IntCounter,
    shadow: IntCounterVec,
    shadow_seconds: CounterVec,
    commits: IntCounter,
    commit_failures: IntCounterVec,
    pub(crate) lag_offsets: IntGaugeVec,
    pub(crate) lag_seconds: IntGaugeVec,
    first_sightings_percent: IntGauge,
    pub(crate) partitions: IntGauge,
    pub(crate) restoring: IntGauge,
    pub(crate) copies: IntCounterVec,
    restore_read: IntGaugeVec,
    restore_left: IntGaugeVec,
    restore_seconds_left: GaugeVec,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Metrics {
            sightings: IntCounterVec::new(
                Opts::new("tocsin_detector_sightings_total", "Sightings by what became of them"),
                &["outcome"],
            )?,
            unreadable: IntCounter::new(
                "tocsin_detector_unreadable_total",
                "Records or sightings that could not be read",
            )?,
            hot: IntCounterVec::new(
                Opts::new("tocsin_detector_hot_total", "What happened to hot records"),
                &["change"],
            )?,
            refused: IntCounterVec::new(
                Opts::new(
                    "tocsin_detector_refused_total",
                    "Links, deltas, families, changes of the watch list and calibrations that were refused",
                ),
                &["what"],
            )?,
            alerts: IntCounter::new("tocsin_detector_alerts_total", "Alerts committed")?,
            shadow: IntCounterVec::new(
                Opts::new(
                    "tocsin_detector_shadow_raises_total",
                    "Episodes raised by the live parameters, by the shadow's, or by both within an hour",
                ),
                &["by"],
            )?,
            shadow_seconds: CounterVec::new(
                Opts::new(
                    "tocsin_detector_shadow_seconds_total",
                    "Of episodes raised by both: how much earlier or later the shadow did, summed up",
                ),
                &["shadow"],
            )?,
            commits: IntCounter::new("tocsin_detector_commits_total", "Commit units applied")?,
            commit_failures: IntCounterVec::new(
                Opts::new(
                    "tocsin_detector_commit_failures_total",
                    "Commit units that failed, by what is known of them",
                ),
                &["kind"],
            )?,
            lag_offsets: IntGaugeVec::new(
                Opts::new(
                    "tocsin_detector_lag_offsets",
                    "Records of the sightings log not yet applied",
                ),
                &["partition"],
            )?,
            lag_seconds: IntGaugeVec::new(
                Opts::new("tocsin_detector_lag_seconds", "Age of the latest tick applied"),
                &["partition"],
            )?,
            first_sightings_percent: IntGauge::new(
                "tocsin_detector_first_sightings_percent",
                "How full the fullest filter of first sightings is: what is new beyond it makes the bounds of all counts wider",
            )?,
            partitions: IntGauge::new(
                "tocsin_detector_partitions",
                "Partitions that this process owns and has restored",
            )?,
            restoring: IntGauge::new(
                "tocsin_detector_partitions_restoring",
                "Partitions that this process owns and has not restored yet",
            )?,
            copies: IntCounterVec::new(
                Opts::new(
                    "tocsin_detector_cached_states_total",
                    "Restores by what became of the local copy of their state",
                ),
                &["outcome"],
            )?,
            restore_read: IntGaugeVec::new(
                Opts::new(
                    "tocsin_detector_restore_records_read",
                    "Of a restore that goes on: records of state and input that were read",
                ),
                &["partition"],
            )?,
            restore_left: IntGaugeVec::new(
                Opts::new(
                    "tocsin_detector_restore_records_left",
                    "Of a restore that goes on: records still to be read, those of the input once the state was read",
                ),
                &["partition"],
            )?,
            restore_seconds_left: GaugeVec::new(
                Opts::new(
                    "tocsin_detector_restore_seconds_left",
                    "Of a restore that goes on: how long what is left of the topic that is read now will take at the pace so far",
                ),
                &["partition"],
            )?,
        };
        registry.register(Box::new(metrics.sightings.clone()))?;
        registry.register(Box::new(metrics.unreadable.clone()))?;
        registry.register(Box::new(metrics.hot.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.alerts.clone()))?;
        registry.register(Box::new(metrics.shadow.clone()))?;
        registry.register(Box::new(metrics.shadow_seconds.clone()))?;
        registry.register(Box::new(metrics.commits.clone()))?;
        registry.register(Box::new(metrics.commit_failures.clone()))?;
        registry.register(Box::new(metrics.lag_offsets.clone()))?;
        registry.register(Box::new(metrics.lag_seconds.clone()))?;
        registry.register(Box::new(metrics.first_sightings_percent.clone()))?;
        registry.register(Box::new(metrics.partitions.clone()))?;
        registry.register(Box::new(metrics.restoring.clone()))?;
        registry.register(Box::new(metrics.copies.clone()))?;
        registry.register(Box::new(metrics.restore_read.clone()))?;
        registry.register(Box::new(metrics.restore_left.clone()))?;
        registry.register(Box::new(metrics.restore_seconds_left.clone()))?;
        Ok(metrics)
    }
}

impl Metrics {
    /// How full the filters of first sightings of each partition are: the fullest is shown.
    pub(crate) fn show_first_sightings(&self, partitions: &BTreeMap<u32, Partition>) {
        let percents = partitions.values().map(Partition::first_sightings_percent);
        self.first_sightings_percent.set(percents.max().unwrap_or(0) as i64);
    }

    /// A partition is another process's now: its lag is told there, and would stand still here.
    pub(crate) fn hide_lag(&self, partition: u32) {
        let label = partition.to_string();
        // One that was never shown is absent already.
        let _ = self.lag_offsets.remove_label_values(&[&label]);
        let _ = self.lag_seconds.remove_label_values(&[&label]);
    }
}

impl Metrics {
    /// A restore is through, or called off.
    pub(crate) fn hide_restore(&self, partition: u32) {
        let label = partition.to_string();
        // One that was never shown is absent already.
        let _ = self.restore_read.remove_label_values(&[&label]);
        let _ = self.restore_left.remove_label_values(&[&label]);
        let _ = self.restore_seconds_left.remove_label_values(&[&label]);
    }
}

/// A restore is not through yet.
pub(crate) struct RestoreWentOn {
    pub(crate) partition: u32,
    pub(crate) reached: Reached,
    pub(crate) seconds_left: Option<f64>,
}

impl RestoreWentOn {
    pub(crate) fn show(&self, metrics: &Metrics) {
        let label = self.partition.to_string();
        let (read, left) = (self.reached.read, self.reached.left());
        metrics.restore_read.with_label_values(&[&label]).set(read as i64);
        metrics.restore_left.with_label_values(&[&label]).set(left as i64);
        if let Some(seconds) = self.seconds_left {
            metrics.restore_seconds_left.with_label_values(&[&label]).set(seconds);
        }
    }

    pub(crate) fn emit(&self) {
        tracing::info!(
            partition = self.partition,
            topic = self.reached.topic,
            records_read = self.reached.read,
            records_left = self.reached.left(),
            seconds_left = self.seconds_left.map(|seconds| seconds.ceil() as u64),
            "restoring a partition"
        );
    }
}

/// A restore is through.
pub(crate) struct PartitionRestored {
    pub(crate) partition: u32,
    pub(crate) offset: u64,
    pub(crate) records: u64,
    pub(crate) took: Duration,
}

impl PartitionRestored {
    pub(crate) fn emit(&self) {
        tracing::info!(
            partition = self.partition,
            offset = self.offset,
            records = self.records,
            milliseconds = self.took.as_millis() as u64,
            "restored a partition"
        );
    }
}

/// A unit was committed.
pub(crate) struct UnitCommitted<'a> {
    pub(crate) counters: Counters,
    pub(crate) unreadable: u64,
    pub(crate) alerts: &'a [AlertCommitted],
}

/// An alert is on the log.
pub(crate) struct AlertCommitted {
    pub(crate) id: AlertId,
    pub(crate) trace: Option<Traceparent>,
}

impl AlertCommitted {
    fn emit(&self) {
        let id = format!("{:032x}", self.id.0);
        match self.trace {
            Some(trace) => tracing::info!(alert = id, trace_id = trace.trace_id(), "an alert rang"),
            None => tracing::info!(alert = id, "an alert rang"),
        }
    }
}

impl UnitCommitted<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        let counters = &self.counters;
        for (outcome, count) in [
            ("counted", counters.counted),
            ("resent", counters.resent),
            ("retried", counters.retried),
            ("late", counters.late),
            ("unknown_kind", counters.unknown_kind),
        ] {
            metrics.sightings.with_label_values(&[outcome]).inc_by(count);
        }
        for (change, count) in [
            ("promoted", counters.promoted),
            ("live", counters.live),
            ("evicted", counters.evicted),
            ("quarantined", counters.quarantined),
            ("refused", counters.hot_refused),
        ] {
            metrics.hot.with_label_values(&[change]).inc_by(count);
        }
        metrics
            .refused
            .with_label_values(&["link"])
            .inc_by(counters.links_refused);
        metrics
            .refused
            .with_label_values(&["link_of_one_party"])
            .inc_by(counters.links_uncorroborated);
        metrics
            .refused
            .with_label_values(&["delta"])
            .inc_by(counters.deltas_refused);
        metrics
            .refused
            .with_label_values(&["family"])
            .inc_by(counters.states_refused);
        metrics
            .refused
            .with_label_values(&["watch"])
            .inc_by(counters.watches_refused);
        metrics
            .refused
            .with_label_values(&["calibration"])
            .inc_by(counters.calibrations_refused);
        metrics
            .refused
            .with_label_values(&["weighing"])
            .inc_by(counters.weighings_refused);
        metrics.unreadable.inc_by(self.unreadable);
        metrics.alerts.inc_by(self.alerts.len() as u64);
        self.alerts.iter().for_each(AlertCommitted::emit);
        metrics.commits.inc();
        if self.unreadable > 0 {
            tracing::warn!(records = self.unreadable, "passed over records that could not be read");
        }
    }
}

/// The shadow was compared with what is in force.
pub(crate) struct ShadowCompared {
    pub(crate) comparison: Comparison,
}

impl ShadowCompared {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        let Comparison {
            both,
            earlier_ms,
            later_ms,
            live_only,
            shadow_only,
            given_up,
        } = self.comparison;
        for (by, count) in [
            ("both", both),
            ("live_only", live_only),
            ("shadow_only", shadow_only),
            ("given_up", given_up),
        ] {
            metrics.shadow.with_label_values(&[by]).inc_by(count);
        }
        for (shadow, milliseconds) in [("earlier", earlier_ms), ("later", later_ms)] {
            let seconds = milliseconds as f64 / 1_000.0;
            metrics.shadow_seconds.with_label_values(&[shadow]).inc_by(seconds);
        }
        tracing::info!(
            both,
            live_only,
            shadow_only,
            earlier_ms,
            later_ms,
            given_up,
            "compared the shadow"
        );
    }
}

/// A unit was not committed.
pub(crate) struct CommitFailed<'a> {
    pub(crate) error: &'a CommitError,
}

impl CommitFailed<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        let kind = match self.error {
            CommitError::NotApplied(_) => "not_applied",
            CommitError::Fenced(_) => "fenced",
            CommitError::Unknown(_) => "unknown",
        };
        metrics.commit_failures.with_label_values(&[kind]).inc();
        tracing::warn!(kind, error = %tocsin_runtime::roles::chain(self.error), "a commit unit failed");
    }
}
