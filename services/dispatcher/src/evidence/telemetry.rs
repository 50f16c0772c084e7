use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};
use tocsin_evidence::{Manifest, PreservationId};
use tocsin_store::PreservationCounts;

/// What an operator sees of preservations. No label names a party, a case or a preservation.
#[derive(Clone)]
pub(crate) struct EvidenceMetrics {
    preservations: IntGaugeVec,
    copies: IntCounterVec,
    exports: IntCounterVec,
    events: IntCounter,
    seconds: Histogram,
}

/// What becomes of a copy that is begun.
const COPIES: [&str; 5] = ["sealed", "cut", "given_up", "failed", "undeleted"];
/// What becomes of an export.
const EXPORTS: [&str; 4] = ["given", "busy", "damaged", "broken_off"];

impl EvidenceMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<EvidenceMetrics, prometheus::Error> {
        let metrics = EvidenceMetrics {
            preservations: IntGaugeVec::new(
                Opts::new(
                    "tocsin_dispatcher_preservations",
                    "Preservations: waiting for their copy, sealed, and ended with a copy that is still to be deleted",
                ),
                &["state"],
            )?,
            copies: IntCounterVec::new(
                Opts::new(
                    "tocsin_dispatcher_sealed_copies_total",
                    "Copies, by outcome: sealed whole, sealed and cut at a limit, given_up because they were no longer wanted, or failed; and undeleted: that were to be deleted and could not be",
                ),
                &["outcome"],
            )?,
            exports: IntCounterVec::new(
                Opts::new(
                    "tocsin_dispatcher_evidence_exports_total",
                    "Exports of sealed copies, by outcome: given, busy, refused because the copy is damaged, or broken_off while they were given",
                ),
                &["outcome"],
            )?,
            events: IntCounter::new(
                "tocsin_dispatcher_sealed_events_total",
                "Events of parties that were sealed",
            )?,
            seconds: Histogram::with_opts(
                HistogramOpts::new("tocsin_dispatcher_sealing_seconds", "How long copies took")
                    .buckets(vec![0.05, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0]),
            )?,
        };
        for outcome in COPIES {
            metrics.copies.with_label_values(&[outcome]);
        }
        for outcome in EXPORTS {
            metrics.exports.with_label_values(&[outcome]);
        }
        registry.register(Box::new(metrics.preservations.clone()))?;
        registry.register(Box::new(metrics.copies.clone()))?;
        registry.register(Box::new(metrics.exports.clone()))?;
        registry.register(Box::new(metrics.events.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn counted(&self, counts: &PreservationCounts) {
        for (state, count) in [
            ("waiting", counts.waiting),
            ("sealed", counts.sealed),
            ("ended", counts.ended),
        ] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.preservations.with_label_values(&[state]).set(count);
        }
    }

    pub(crate) fn busy(&self) {
        self.exports.with_label_values(&[EXPORTS[1]]).inc();
    }

    pub(crate) fn exported(&self) {
        self.exports.with_label_values(&[EXPORTS[0]]).inc();
    }

    pub(crate) fn broken_off(&self) {
        self.exports.with_label_values(&[EXPORTS[3]]).inc();
    }
}

/// A copy was sealed.
pub(crate) struct CopySealed<'a> {
    pub id: PreservationId,
    pub manifest: &'a Manifest,
    pub events: u64,
    pub took: Duration,
}

impl CopySealed<'_> {
    pub(crate) fn emit(&self, metrics: &EvidenceMetrics) {
        let is_whole = self.manifest.cut.is_empty();
        let outcome = if is_whole { COPIES[0] } else { COPIES[1] };
        metrics.copies.with_label_values(&[outcome]).inc();
        metrics.events.inc_by(self.events);
        metrics.seconds.observe(self.took.as_secs_f64());
        let (preservation, events) = (self.id, self.events);
        if is_whole {
            tracing::info!(%preservation, events, "a copy was sealed");
        } else {
            tracing::warn!(%preservation, events, cut = ?self.manifest.cut, "a copy was sealed that ends at a limit");
        }
    }
}

/// A copy is no longer wanted, or another process makes it.
pub(crate) struct CopyGivenUp {
    pub id: PreservationId,
}

impl CopyGivenUp {
    pub(crate) fn emit(&self, metrics: &EvidenceMetrics) {
        metrics.copies.with_label_values(&[COPIES[2]]).inc();
        tracing::info!(preservation = %self.id, "a copy was given up that is no longer wanted here");
    }
}

/// A copy could not be made, and is tried again.
pub(crate) struct CopyFailed<'a> {
    pub id: PreservationId,
    pub error: &'a (dyn std::error::Error + 'static),
}

impl CopyFailed<'_> {
    pub(crate) fn emit(&self, metrics: &EvidenceMetrics) {
        metrics.copies.with_label_values(&[COPIES[3]]).inc();
        let (preservation, error) = (self.id, tocsin_runtime::roles::chain(self.error));
        tracing::error!(%preservation, error, "a copy could not be sealed, and is tried again");
    }
}

/// A copy of which nobody knew is not as it was sealed, and is made anew.
pub(crate) struct CopySetAside<'a> {
    pub id: PreservationId,
    pub error: &'a (dyn std::error::Error + 'static),
}

impl CopySetAside<'_> {
    pub(crate) fn emit(&self, metrics: &EvidenceMetrics) {
        metrics.copies.with_label_values(&[COPIES[3]]).inc();
        let (preservation, error) = (self.id, tocsin_runtime::roles::chain(self.error));
        tracing::error!(%preservation, error, "a copy that was to be noted is damaged: it is set aside, and made anew");
    }
}

/// A copy of what ended could not be deleted, and is tried again.
pub(crate) struct CopyUndeleted<'a> {
    pub id: PreservationId,
    pub error: &'a (dyn std::error::Error + 'static),
}

impl CopyUndeleted<'_> {
    pub(crate) fn emit(&self, metrics: &EvidenceMetrics) {
        metrics.copies.with_label_values(&[COPIES[4]]).inc();
        let (preservation, error) = (self.id, tocsin_runtime::roles::chain(self.error));
        tracing::error!(%preservation, error, "a sealed copy could not be deleted, and is tried again");
    }
}

/// Removal orders from before orders were preserved were preserved.
pub(crate) struct EarlierPreserved {
    pub count: usize,
    pub unreadable: usize,
}

impl EarlierPreserved {
    pub(crate) fn emit(&self) {
        tracing::info!(
            count = self.count,
            unreadable = self.unreadable,
            "removal orders that were filed earlier are preserved"
        );
    }
}

/// A sealed copy is not as it was sealed.
pub(crate) struct CopyDamaged<'a> {
    pub id: PreservationId,
    pub error: &'a (dyn std::error::Error + 'static),
}

impl CopyDamaged<'_> {
    pub(crate) fn emit(&self, metrics: &EvidenceMetrics) {
        metrics.exports.with_label_values(&[EXPORTS[2]]).inc();
        let (preservation, error) = (self.id, tocsin_runtime::roles::chain(self.error));
        tracing::error!(%preservation, error, "a sealed copy is damaged");
    }
}
