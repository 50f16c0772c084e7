use prometheus::{IntCounter, IntGauge, Registry};

/// What the ranks tell of themselves.
#[derive(Clone)]
pub(crate) struct RankingMetrics {
    pub cases: IntGauge,
    pub families: IntGauge,
    pub left_out: IntCounter,
    pub read_failures: IntCounter,
}

impl RankingMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<RankingMetrics, prometheus::Error> {
        let metrics = RankingMetrics {
            cases: IntGauge::new(
                "tocsin_dispatcher_ranked_cases",
                "Open cases that are ranked in memory.",
            )?,
            families: IntGauge::new(
                "tocsin_dispatcher_ranked_families",
                "Families with open cases that are ranked by the latest figures.",
            )?,
            left_out: IntCounter::new(
                "tocsin_dispatcher_ranked_records_left_out_total",
                "Hot records of families with open cases that found no room in the ranks.",
            )?,
            read_failures: IntCounter::new(
                "tocsin_dispatcher_ranked_read_failures_total",
                "Times that reading the state for the ranks failed and was begun again.",
            )?,
        };
        registry.register(Box::new(metrics.cases.clone()))?;
        registry.register(Box::new(metrics.families.clone()))?;
        registry.register(Box::new(metrics.left_out.clone()))?;
        registry.register(Box::new(metrics.read_failures.clone()))?;
        Ok(metrics)
    }
}
