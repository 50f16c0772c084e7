use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use tocsin_casework::{Memberships, MergeEffects};

/// What is told of cases that are carried along with their families.
#[derive(Clone)]
pub(crate) struct CarryingMetrics {
    carried: IntCounterVec,
    due: IntGauge,
    joined: IntGauge,
    left_out: IntCounter,
    pub members_told: IntCounter,
    pub read_failures: IntCounter,
}

impl CarryingMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<CarryingMetrics, prometheus::Error> {
        let metrics = CarryingMetrics {
            carried: IntCounterVec::new(
                Opts::new(
                    "tocsin_dispatcher_cases_carried_total",
                    "Cases that were carried along with their families, by what became of them: merged, disputed or split.",
                ),
                &["outcome"],
            )?,
            due: IntGauge::new(
                "tocsin_dispatcher_carrying_due",
                "Families to be looked at: a group said to which family they belong, or a decision can still be taken back.",
            )?,
            joined: IntGauge::new(
                "tocsin_dispatcher_carrying_contents",
                "Announced contents of which it is known to which family they belong.",
            )?,
            left_out: IntCounter::new(
                "tocsin_dispatcher_carrying_left_out_total",
                "Announced contents that found no room: a case of theirs that opens later is carried along when the dispatcher starts again, and so are they told of decisions.",
            )?,
            members_told: IntCounter::new(
                "tocsin_dispatcher_members_told_total",
                "Members of families that were told of a decision: those that were there, and those that came since.",
            )?,
            read_failures: IntCounter::new(
                "tocsin_dispatcher_carrying_read_failures_total",
                "Times that reading who belongs to which family failed and was begun again.",
            )?,
        };
        for outcome in ["merged", "disputed", "split"] {
            metrics.carried.with_label_values(&[outcome]);
        }
        registry.register(Box::new(metrics.carried.clone()))?;
        registry.register(Box::new(metrics.due.clone()))?;
        registry.register(Box::new(metrics.joined.clone()))?;
        registry.register(Box::new(metrics.left_out.clone()))?;
        registry.register(Box::new(metrics.members_told.clone()))?;
        registry.register(Box::new(metrics.read_failures.clone()))?;
        Ok(metrics)
    }

    pub(super) fn merged(&self, effects: &MergeEffects) {
        let outcome = if effects.is_disputed { "disputed" } else { "merged" };
        self.carried.with_label_values(&[outcome]).inc();
    }

    pub(super) fn split(&self) {
        self.carried.with_label_values(&["split"]).inc();
    }

    pub(super) fn tell(&self, memberships: &mut Memberships) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.due.set(gauge(memberships.due_len()));
        self.joined.set(gauge(memberships.len()));
        self.left_out.inc_by(std::mem::take(&mut memberships.left_out));
    }
}
