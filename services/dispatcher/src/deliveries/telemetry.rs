use prometheus::{Gauge, IntCounterVec, IntGauge, Opts, Registry};
use tocsin_model::Name;
use tocsin_store::{DeliveryCounts, EndpointKind};

/// What deliveries count. Labels are kinds of endpoints and outcomes of this file: bounded.
#[derive(Clone)]
pub(crate) struct DeliveryMetrics {
    deliveries: IntCounterVec,
    waiting: IntGauge,
    dead_letters: IntGauge,
    oldest_seconds: Gauge,
    endpoints_disabled: IntCounterVec,
}

/// A delivery was tried.
pub(crate) struct DeliveryTried<'a> {
    pub endpoint: &'a Name,
    pub kind: EndpointKind,
    /// `delivered`, `retried` or `dead`.
    pub outcome: &'static str,
    pub delivery: &'a str,
    pub attempt: u32,
    /// What went wrong, if anything.
    pub reason: &'a str,
}

/// An endpoint said that it is gone, and gets nothing more.
pub(crate) struct EndpointGone<'a> {
    pub endpoint: &'a Name,
    pub kind: EndpointKind,
}

/// Deliveries were counted.
pub(crate) struct DeliveriesCounted {
    pub counts: DeliveryCounts,
}

impl DeliveryMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<DeliveryMetrics, prometheus::Error> {
        let metrics = DeliveryMetrics {
            deliveries: IntCounterVec::new(
                Opts::new(
                    "tocsin_dispatcher_deliveries_total",
                    "Deliveries tried, by kind of endpoint and outcome",
                ),
                &["kind", "outcome"],
            )?,
            waiting: IntGauge::new("tocsin_dispatcher_deliveries_waiting", "Deliveries not made yet")?,
            dead_letters: IntGauge::new(
                "tocsin_dispatcher_dead_letters",
                "Deliveries that were given up and can be replayed",
            )?,
            oldest_seconds: Gauge::new(
                "tocsin_dispatcher_delivery_oldest_seconds",
                "How old the oldest delivery not made yet is; 0 when none waits",
            )?,
            endpoints_disabled: IntCounterVec::new(
                Opts::new(
                    "tocsin_dispatcher_endpoints_gone_total",
                    "Endpoints disabled because they said that they are gone",
                ),
                &["kind"],
            )?,
        };
        registry.register(Box::new(metrics.deliveries.clone()))?;
        registry.register(Box::new(metrics.waiting.clone()))?;
        registry.register(Box::new(metrics.dead_letters.clone()))?;
        registry.register(Box::new(metrics.oldest_seconds.clone()))?;
        registry.register(Box::new(metrics.endpoints_disabled.clone()))?;
        Ok(metrics)
    }
}

impl DeliveryTried<'_> {
    pub(crate) fn emit(&self, metrics: &DeliveryMetrics) {
        let kind = self.kind.name();
        metrics.deliveries.with_label_values(&[kind, self.outcome]).inc();
        let (endpoint, delivery, attempt, reason) = (self.endpoint, self.delivery, self.attempt, self.reason);
        match self.outcome {
            "dead" => tracing::error!(%endpoint, kind, delivery, attempt, reason, "gave up a delivery"),
            "retried" => tracing::warn!(%endpoint, kind, delivery, attempt, reason, "a delivery is tried again later"),
            _ => tracing::debug!(%endpoint, kind, delivery, attempt, "delivered"),
        }
    }
}

impl EndpointGone<'_> {
    pub(crate) fn emit(&self, metrics: &DeliveryMetrics) {
        metrics.endpoints_disabled.with_label_values(&[self.kind.name()]).inc();
        tracing::error!(endpoint = %self.endpoint, "an endpoint answered 410 Gone and is disabled");
    }
}

impl DeliveriesCounted {
    pub(crate) fn emit(&self, metrics: &DeliveryMetrics) {
        let counts = &self.counts;
        metrics.waiting.set(i64::try_from(counts.waiting).unwrap_or(i64::MAX));
        metrics.dead_letters.set(i64::try_from(counts.dead).unwrap_or(i64::MAX));
        let oldest = counts.oldest_waiting.map_or(0, |age| age.0.max(0));
        metrics.oldest_seconds.set(oldest as f64 / 1_000.0);
    }
}
