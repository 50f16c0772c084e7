use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use tocsin_casework::Reminder;
use tocsin_store::{Acknowledged, Reminded};

/// What is told of decisions and of what platforms confirm of them.
#[derive(Clone)]
pub(crate) struct AcknowledgingMetrics {
    pub followed: IntGauge,
    pub left_out: IntGauge,
    pub unconfirmed: IntGauge,
    confirmed: IntCounter,
    reuploads: IntCounterVec,
    told: IntCounterVec,
    members_left_out: IntCounter,
}

impl AcknowledgingMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<AcknowledgingMetrics, prometheus::Error> {
        let metrics = AcknowledgingMetrics {
            followed: IntGauge::new(
                "tocsin_dispatcher_followed_decisions",
                "Decisions of which it is followed what the platforms of those who decided do.",
            )?,
            left_out: IntGauge::new(
                "tocsin_dispatcher_followed_decisions_left_out",
                "Decisions that should be followed and are not: there are more than may be followed.",
            )?,
            unconfirmed: IntGauge::new(
                "tocsin_dispatcher_unconfirmed_members",
                "Members of decided families, each on a platform, of which it is not confirmed that the decision was carried out.",
            )?,
            confirmed: IntCounter::new(
                "tocsin_dispatcher_confirmed_members_total",
                "Members, each on a platform, of which this dispatcher heard that a decision was carried out.",
            )?,
            reuploads: IntCounterVec::new(
                Opts::new(
                    "tocsin_dispatcher_reuploaded_members_total",
                    "Members, each on a platform, of which copies came after their removal was confirmed, by what followed: recommended again without a person, or left to one.",
                ),
                &["answer"],
            )?,
            told: IntCounterVec::new(
                Opts::new(
                    "tocsin_dispatcher_unconfirmed_told_total",
                    "Times that somebody was told by this dispatcher that a decision is not confirmed: reminded, or escalated.",
                ),
                &["kind"],
            )?,
            members_left_out: IntCounter::new(
                "tocsin_dispatcher_confirmed_members_left_out_total",
                "Members, each on a platform, that found no room among those of which it is kept what is confirmed.",
            )?,
        };
        // An alarm needs a nought to rise from.
        for kind in ["reminded", "escalated"] {
            metrics.told.with_label_values(&[kind]);
        }
        for answer in ["recommended", "person"] {
            metrics.reuploads.with_label_values(&[answer]);
        }
        registry.register(Box::new(metrics.followed.clone()))?;
        registry.register(Box::new(metrics.left_out.clone()))?;
        registry.register(Box::new(metrics.unconfirmed.clone()))?;
        registry.register(Box::new(metrics.confirmed.clone()))?;
        registry.register(Box::new(metrics.reuploads.clone()))?;
        registry.register(Box::new(metrics.told.clone()))?;
        registry.register(Box::new(metrics.members_left_out.clone()))?;
        Ok(metrics)
    }

    pub(super) fn heard(&self, acknowledged: &Acknowledged) {
        let by_a_person = acknowledged.returned.saturating_sub(acknowledged.recommended);
        self.confirmed.inc_by(acknowledged.confirmed as u64);
        self.members_left_out.inc_by(acknowledged.left_out as u64);
        for (answer, count) in [("recommended", acknowledged.recommended), ("person", by_a_person)] {
            self.reuploads.with_label_values(&[answer]).inc_by(count as u64);
        }
    }
}

/// Whoever decided was told that platforms did not confirm it.
pub(super) struct RemovalUnconfirmed<'a> {
    pub reminded: &'a Reminded,
}

impl RemovalUnconfirmed<'_> {
    pub(super) fn emit(&self, metrics: &AcknowledgingMetrics) {
        let Reminded { case, unconfirmed, .. } = self.reminded;
        match self.reminded.reminder {
            Reminder::Reminded(number) => {
                metrics.told.with_label_values(&["reminded"]).inc();
                tracing::info!(%case, number, unconfirmed, "platforms did not confirm a decision: whoever decided is reminded");
            }
            Reminder::Escalated => {
                metrics.told.with_label_values(&["escalated"]).inc();
                tracing::error!(%case, unconfirmed, "platforms did not confirm a decision, and nobody is reminded again");
            }
        }
    }
}
