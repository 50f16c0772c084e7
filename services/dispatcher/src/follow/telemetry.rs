use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};
use tocsin_exchange::Rejects;
use tocsin_model::BankName;

/// What following counts. `bank` is one that an operator configured.
#[derive(Clone)]
pub(super) struct FollowMetrics {
    pages: IntCounterVec,
    changes: IntCounterVec,
    rejects: IntCounterVec,
    problems: IntCounterVec,
    read_at: IntGaugeVec,
}

/// A page of a followed list is in its bank.
pub(super) struct PageTaken<'a> {
    pub bank: &'a BankName,
    pub changes: u64,
    pub rejects: &'a Rejects,
}

/// A followed list is read to its end.
pub(super) struct ListRead<'a> {
    pub bank: &'a BankName,
    /// Seconds since 1970.
    pub at: i64,
}

/// A list could not be followed further; it is tried again from where it was.
pub(super) struct FollowStopped<'a> {
    pub bank: &'a BankName,
    pub code: &'static str,
    pub wait_s: u64,
}

impl FollowMetrics {
    pub(super) fn register(registry: &Registry) -> Result<FollowMetrics, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let metrics = FollowMetrics {
            pages: counters(
                "tocsin_dispatcher_follow_pages_total",
                "Pages of followed lists that were taken",
                &["bank"],
            )?,
            changes: counters(
                "tocsin_dispatcher_follow_changes_total",
                "Entries that changed by followed lists",
                &["bank"],
            )?,
            rejects: counters(
                "tocsin_dispatcher_follow_rejects_total",
                "Entries of followed lists that were refused",
                &["bank", "code"],
            )?,
            problems: counters(
                "tocsin_dispatcher_follow_problems_total",
                "Times that a list could not be followed further",
                &["bank", "code"],
            )?,
            read_at: IntGaugeVec::new(
                Opts::new(
                    "tocsin_dispatcher_follow_read_timestamp_seconds",
                    "When a followed list was last read to its end",
                ),
                &["bank"],
            )?,
        };
        registry.register(Box::new(metrics.pages.clone()))?;
        registry.register(Box::new(metrics.changes.clone()))?;
        registry.register(Box::new(metrics.rejects.clone()))?;
        registry.register(Box::new(metrics.problems.clone()))?;
        registry.register(Box::new(metrics.read_at.clone()))?;
        Ok(metrics)
    }
}

impl PageTaken<'_> {
    pub(super) fn emit(&self, metrics: &FollowMetrics) {
        let bank = self.bank.as_str();
        metrics.pages.with_label_values(&[bank]).inc();
        metrics.changes.with_label_values(&[bank]).inc_by(self.changes);
        for (code, count) in self.rejects.by_code() {
            metrics.rejects.with_label_values(&[bank, code.code()]).inc_by(count);
        }
        tracing::debug!(bank, changes = self.changes, rejects = %self.rejects, "took a page of a followed list");
    }
}

impl ListRead<'_> {
    pub(super) fn emit(&self, metrics: &FollowMetrics) {
        let bank = self.bank.as_str();
        metrics.read_at.with_label_values(&[bank]).set(self.at);
        tracing::info!(bank, "a followed list is read");
    }
}

impl FollowStopped<'_> {
    pub(super) fn emit(&self, metrics: &FollowMetrics) {
        let bank = self.bank.as_str();
        metrics.problems.with_label_values(&[bank, self.code]).inc();
        let (code, wait_s) = (self.code, self.wait_s);
        tracing::warn!(
            bank,
            code,
            wait_s,
            "a list could not be followed further; it is tried again"
        );
    }
}
