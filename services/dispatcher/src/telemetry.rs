use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use tocsin_casework::Team;
use tocsin_log::LogError;
use tocsin_model::{AlertId, Calibration, PlatformNull};
use tocsin_store::{AlertEffects, QueueCounts};
use tocsin_wire::Names;

/// What the dispatcher counts. Labels are names of this file, of platforms that an operator added, and codes of
/// problems: bounded.
#[derive(Clone)]
pub(crate) struct Metrics {
    alerts: IntCounterVec,
    alerts_refused: IntCounterVec,
    alert_seconds: Histogram,
    pub alerts_lag_offsets: IntGauge,
    alerts_lag_seconds: Gauge,
    cases: IntGaugeVec,
    commands: IntCounterVec,
    decisions_published: IntCounter,
    outbox_entries: IntGauge,
    registry_version: IntGauge,
    watch_published: IntCounter,
    calibrations: IntCounter,
    calibration: IntGauge,
    null_reuploads: GaugeVec,
    null_rhythm: GaugeVec,
    population_groups: IntGauge,
    populations_refused: IntGauge,
    pages_budget: Gauge,
    pages_last_day: Gauge,
    page_threshold: Gauge,
    page_episodes: IntGauge,
    failures: IntCounterVec,
}

/// A record of the alerts' topic is no alert that this version knows.
pub(crate) struct AlertUnreadable<'a> {
    pub partition: u32,
    pub offset: u64,
    pub reason: &'a str,
}

/// A batch of alerts is in the store.
pub(crate) struct AlertsApplied {
    pub effects: AlertEffects,
    pub appended_at_ms: Vec<i64>,
}

/// The store cannot apply an alert because of what it holds; it was left out.
pub(crate) struct AlertRefused<'a> {
    pub alert: AlertId,
    pub error: &'a (dyn Error + 'static),
}

/// The store did not answer; it is asked again.
pub(crate) struct StoreFailed<'a> {
    pub error: &'a (dyn Error + 'static),
}

/// Decisions are on the log.
pub(crate) struct DecisionsPublished {
    pub count: u32,
}

/// Decisions could not be published; they stay in the outbox and are tried again.
pub(crate) struct DecisionsNotPublished<'a> {
    pub error: &'a anyhow::Error,
}

/// How many alerts there are to read is not known at the moment.
pub(crate) struct LagUnknown<'a> {
    pub error: &'a LogError,
}

/// Parties are on the log.
pub(crate) struct PartiesAnnounced {
    pub count: usize,
    pub version: u64,
}

/// A party's ingest topic exists in another shape than it must have. It is looked at again.
pub(crate) struct IngestTopicRefused<'a> {
    pub topic: &'a str,
    pub error: &'a LogError,
}

/// Parties could not be announced; they are tried again.
pub(crate) struct PartiesNotAnnounced<'a> {
    pub error: &'a anyhow::Error,
}

/// Changes of the watch list are on the log.
pub(crate) struct WatchListPublished {
    pub count: usize,
}

/// A calibration is on the log.
pub(crate) struct Calibrated<'a> {
    pub calibration: &'a Calibration,
}

/// Pages were counted.
pub(crate) struct PagesCounted {
    pub budget: f64,
    pub pages_last_day: usize,
    pub episodes: usize,
    pub page_threshold: f64,
}

/// The nulls of platforms were looked at.
pub(crate) struct NullsInForce<'a> {
    pub number: u64,
    pub nulls: &'a [PlatformNull],
    pub names: &'a Names,
}

/// What the key groups have seen of ordinary contents was read.
pub(crate) struct PopulationsRead {
    pub groups: usize,
    pub refused: u64,
}

/// Pages could not be counted, or a threshold or the watch list not be published; it is tried again.
pub(crate) struct ControlFailed<'a> {
    pub operation: &'static str,
    pub error: &'a anyhow::Error,
}

/// The queues were counted.
pub(crate) struct QueuesCounted<'a> {
    pub counts: &'a [QueueCounts],
    pub outbox_entries: u64,
}

/// A command of a moderator or reader was answered.
pub(crate) struct CommandAnswered<'a> {
    pub command: &'static str,
    /// `ok`, or the code of the problem.
    pub code: &'a str,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let counters = |name: &str, help: &str, label: &str| IntCounterVec::new(Opts::new(name, help), &[label]);
        let metrics = Metrics {
            alerts: counters(
                "tocsin_dispatcher_alert_effects_total",
                "What alerts did to cases",
                "effect",
            )?,
            alerts_refused: counters(
                "tocsin_dispatcher_alerts_refused_total",
                "Alerts left out: unreadable, or refused by the store",
                "reason",
            )?,
            alert_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "tocsin_dispatcher_alert_seconds",
                    "From an alert's append stamp until the store had it",
                )
                .buckets(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0]),
            )?,
            alerts_lag_offsets: IntGauge::new(
                "tocsin_dispatcher_alerts_lag_offsets",
                "Alerts on the log that the store does not have yet",
            )?,
            alerts_lag_seconds: Gauge::new(
                "tocsin_dispatcher_alerts_lag_seconds",
                "How old the last applied alert was when the store had it",
            )?,
            cases: IntGaugeVec::new(
                Opts::new(
                    "tocsin_dispatcher_cases",
                    "Cases that wait or are held, by kind of team",
                ),
                &["team", "state"],
            )?,
            commands: IntCounterVec::new(
                Opts::new(
                    "tocsin_dispatcher_commands_total",
                    "Requests by command and code of the answer",
                ),
                &["command", "code"],
            )?,
            decisions_published: IntCounter::new(
                "tocsin_dispatcher_decisions_published_total",
                "Decisions put on the log",
            )?,
            outbox_entries: IntGauge::new(
                "tocsin_dispatcher_outbox_entries",
                "Decisions that are not yet on the log",
            )?,
            registry_version: IntGauge::new(
                "tocsin_dispatcher_registry_version",
                "The version of the party registry that is on the log",
            )?,
            watch_published: IntCounter::new(
                "tocsin_dispatcher_watch_changes_published_total",
                "Changes of the watch list put on the log",
            )?,
            calibrations: IntCounter::new(
                "tocsin_dispatcher_calibrations_total",
                "Calibrations put on the log by this dispatcher",
            )?,
            calibration: IntGauge::new(
                "tocsin_dispatcher_calibration_number",
                "The number of the latest calibration; 0 is what the version ships with",
            )?,
            null_reuploads: GaugeVec::new(
                Opts::new(
                    "tocsin_dispatcher_null_reuploads",
                    "Of ordinary contents of a platform that was calibrated, the part of copies that is uploaded anew",
                ),
                &["platform"],
            )?,
            null_rhythm: GaugeVec::new(
                Opts::new(
                    "tocsin_dispatcher_null_rhythm",
                    "Of a platform that was calibrated, how many times as busy the busiest hour of the day is as the quietest",
                ),
                &["platform"],
            )?,
            population_groups: IntGauge::new(
                "tocsin_dispatcher_population_groups",
                "Key groups whose populations the latest calibration was made from",
            )?,
            populations_refused: IntGauge::new(
                "tocsin_dispatcher_populations_refused",
                "Records of populations that could not be read at the latest look",
            )?,
            pages_budget: Gauge::new(
                "tocsin_dispatcher_pages_per_day_target",
                "The operator's budget: pages per day",
            )?,
            pages_last_day: Gauge::new(
                "tocsin_dispatcher_pages_per_day",
                "Episodes that paged in the last 24 hours of the log's time",
            )?,
            page_threshold: Gauge::new(
                "tocsin_dispatcher_page_threshold",
                "The page score from which an episode pages, by the latest calibration",
            )?,
            page_episodes: IntGauge::new(
                "tocsin_dispatcher_page_episodes",
                "Episodes that the page threshold rests on",
            )?,
            failures: counters(
                "tocsin_dispatcher_failures_total",
                "What failed and is tried again",
                "operation",
            )?,
        };
        let collectors: [Box<dyn prometheus::core::Collector>; 22] = [
            Box::new(metrics.alerts.clone()),
            Box::new(metrics.alerts_refused.clone()),
            Box::new(metrics.alert_seconds.clone()),
            Box::new(metrics.alerts_lag_offsets.clone()),
            Box::new(metrics.alerts_lag_seconds.clone()),
            Box::new(metrics.cases.clone()),
            Box::new(metrics.commands.clone()),
            Box::new(metrics.decisions_published.clone()),
            Box::new(metrics.outbox_entries.clone()),
            Box::new(metrics.registry_version.clone()),
            Box::new(metrics.watch_published.clone()),
            Box::new(metrics.calibrations.clone()),
            Box::new(metrics.calibration.clone()),
            Box::new(metrics.null_reuploads.clone()),
            Box::new(metrics.null_rhythm.clone()),
            Box::new(metrics.population_groups.clone()),
            Box::new(metrics.populations_refused.clone()),
            Box::new(metrics.pages_budget.clone()),
            Box::new(metrics.pages_last_day.clone()),
            Box::new(metrics.page_threshold.clone()),
            Box::new(metrics.page_episodes.clone()),
            Box::new(metrics.failures.clone()),
        ];
        for collector in collectors {
            registry.register(collector)?;
        }
        Ok(metrics)
    }
}

#[cfg(test)]
impl Metrics {
    /// How often an operation failed.
    pub(crate) fn failures(&self, operation: &str) -> u64 {
        self.failures.with_label_values(&[operation]).get()
    }
}

impl AlertUnreadable<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.alerts_refused.with_label_values(&["unreadable"]).inc();
        let AlertUnreadable {
            partition,
            offset,
            reason,
        } = self;
        tracing::error!(partition, offset, reason, "left out an unreadable alert");
    }
}

impl AlertsApplied {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        let effects = &self.effects;
        for (effect, count) in [
            ("opened", effects.opened),
            ("reopened", effects.reopened),
            ("updated", effects.updated),
            ("closed_unreviewed", effects.closed_unreviewed),
            ("stale", effects.stale),
            ("duplicate", effects.duplicates),
        ] {
            metrics.alerts.with_label_values(&[effect]).inc_by(count);
        }
        let now_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64);
        for appended_at_ms in &self.appended_at_ms {
            let seconds = now_ms.saturating_sub(*appended_at_ms).max(0) as f64 / 1_000.0;
            metrics.alert_seconds.observe(seconds);
            metrics.alerts_lag_seconds.set(seconds);
        }
        tracing::debug!(alerts = self.appended_at_ms.len(), ?effects, "applied alerts");
    }
}

impl AlertRefused<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.alerts_refused.with_label_values(&["store"]).inc();
        tracing::error!(alert = %self.alert, error = self.error, "left out an alert that the store cannot apply");
    }
}

impl StoreFailed<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.failures.with_label_values(&["store"]).inc();
        tracing::warn!(error = self.error, "the store did not answer");
    }
}

impl LagUnknown<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.failures.with_label_values(&["ask_lag"]).inc();
        tracing::warn!(error = %tocsin_runtime::roles::chain(self.error), "how many alerts there are to read is not known");
    }
}

impl DecisionsPublished {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.decisions_published.inc_by(u64::from(self.count));
        tracing::info!(count = self.count, "published decisions");
    }
}

impl DecisionsNotPublished<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.failures.with_label_values(&["publish_decisions"]).inc();
        tracing::warn!(error = %format_args!("{:#}", self.error), "decisions were not published");
    }
}

impl PartiesAnnounced {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics
            .registry_version
            .set(i64::try_from(self.version).unwrap_or(i64::MAX));
        tracing::info!(count = self.count, version = self.version, "announced parties");
    }
}

impl IngestTopicRefused<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.failures.with_label_values(&["make_ingest_topic"]).inc();
        tracing::error!(
            topic = self.topic,
            error = %tocsin_runtime::roles::chain(self.error),
            "an ingest topic has another shape"
        );
    }
}

impl PartiesNotAnnounced<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.failures.with_label_values(&["announce_parties"]).inc();
        tracing::warn!(error = %format_args!("{:#}", self.error), "parties were not announced");
    }
}

impl WatchListPublished {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.watch_published.inc_by(self.count as u64);
        tracing::info!(count = self.count, "published changes of the watch list");
    }
}

impl Calibrated<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.calibrations.inc();
        let Calibration {
            number,
            page_threshold,
            pages_per_day,
            episodes,
            platforms,
            ..
        } = self.calibration;
        tracing::info!(
            number,
            page_threshold,
            pages_per_day,
            episodes,
            platforms = platforms.len(),
            "calibrated the key groups"
        );
    }
}

impl NullsInForce<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.calibration.set(i64::try_from(self.number).unwrap_or(i64::MAX));
        // A platform without a null of its own is shown no more.
        metrics.null_reuploads.reset();
        metrics.null_rhythm.reset();
        for null in self.nulls {
            let name = self.names.platforms.get(&null.platform);
            let label = name.map_or_else(|| null.platform.0.to_string(), |name| name.as_str().to_owned());
            metrics
                .null_reuploads
                .with_label_values(&[&label])
                .set(null.reuploads.mean());
            let busiest = null.hours.iter().copied().fold(0.0, f64::max);
            let quietest = null.hours.iter().copied().fold(f64::INFINITY, f64::min);
            metrics.null_rhythm.with_label_values(&[&label]).set(busiest / quietest);
        }
    }
}

impl PopulationsRead {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.population_groups.set(self.groups as i64);
        metrics
            .populations_refused
            .set(i64::try_from(self.refused).unwrap_or(i64::MAX));
        if self.refused > 0 {
            tracing::warn!(records = self.refused, "passed over populations that could not be read");
        }
    }
}

impl PagesCounted {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.pages_budget.set(self.budget);
        metrics.pages_last_day.set(self.pages_last_day as f64);
        metrics.page_threshold.set(self.page_threshold);
        metrics.page_episodes.set(self.episodes as i64);
    }
}

impl ControlFailed<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.failures.with_label_values(&[self.operation]).inc();
        let (operation, error) = (self.operation, self.error);
        tracing::warn!(operation, error = %format_args!("{error:#}"), "the key groups were not told");
    }
}

impl QueuesCounted<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        let mut sums = [("coordinators", 0, 0), ("parties", 0, 0)];
        for counts in self.counts {
            let sum = match counts.team {
                Team::Coordinators => &mut sums[0],
                Team::Party(_) => &mut sums[1],
            };
            sum.1 += counts.open;
            sum.2 += counts.claimed;
        }
        for (team, open, claimed) in sums {
            metrics.cases.with_label_values(&[team, "open"]).set(open as i64);
            metrics.cases.with_label_values(&[team, "claimed"]).set(claimed as i64);
        }
        metrics.outbox_entries.set(self.outbox_entries as i64);
    }
}

impl CommandAnswered<'_> {
    pub(crate) fn emit(&self, metrics: &Metrics) {
        metrics.commands.with_label_values(&[self.command, self.code]).inc();
        tracing::debug!(command = self.command, code = self.code, "answered");
    }
}
