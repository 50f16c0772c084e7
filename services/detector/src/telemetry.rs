use prometheus::{CounterVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use tocsin_model::AlertId;
use tocsin_runtime::Traceparent;
use tocsin_velocity::{Comparison, Counters};

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
    pub(crate) partitions: IntGauge,
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
            partitions: IntGauge::new("tocsin_detector_partitions", "Partitions owned by this process")?,
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
        registry.register(Box::new(metrics.partitions.clone()))?;
        Ok(metrics)
    }
}

impl Metrics {
    /// A partition is another process's now: its lag is told there, and would stand still here.
    pub(crate) fn hide_lag(&self, partition: u32) {
        let label = partition.to_string();
        // One that was never shown is absent already.
        let _ = self.lag_offsets.remove_label_values(&[&label]);
        let _ = self.lag_seconds.remove_label_values(&[&label]);
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
    pub(crate) kind: &'static str,
    pub(crate) error: &'a tocsin_log::CommitError,
}

impl CommitFailed<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.commit_failures.with_label_values(&[self.kind]).inc();
        tracing::warn!(kind = self.kind, error = %tocsin_runtime::roles::chain(self.error), "a commit unit failed");
    }
}
