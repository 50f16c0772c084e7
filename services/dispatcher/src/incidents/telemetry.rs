use prometheus::{IntGauge, Registry};

/// What open incidents tell of themselves.
#[derive(Clone)]
pub(crate) struct IncidentMetrics {
    pub open: IntGauge,
    pub left_out: IntGauge,
}

impl IncidentMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<IncidentMetrics, prometheus::Error> {
        let metrics = IncidentMetrics {
            open: IntGauge::new("tocsin_dispatcher_incidents_open", "Incidents that are not concluded.")?,
            left_out: IntGauge::new(
                "tocsin_dispatcher_incident_assessments_left_out",
                "Families of open incidents that are not held to their protocols over time, because too many are.",
            )?,
        };
        registry.register(Box::new(metrics.open.clone()))?;
        registry.register(Box::new(metrics.left_out.clone()))?;
        Ok(metrics)
    }
}
