use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use tocsin_casework::Change;

/// What the streams of queues tell of themselves.
pub(super) struct StreamMetrics {
    pub streams: IntGauge,
    pub evicted: IntCounter,
    pub updates: IntCounterVec,
}

impl StreamMetrics {
    pub(super) fn register(registry: &Registry) -> Result<StreamMetrics, prometheus::Error> {
        let updates = Opts::new(
            "tocsin_dispatcher_queue_updates_total",
            "Changes of cases in queues that somebody watches, by change.",
        );
        let metrics = StreamMetrics {
            streams: IntGauge::new("tocsin_dispatcher_queue_streams", "Streams of queues that are open.")?,
            evicted: IntCounter::new(
                "tocsin_dispatcher_queue_streams_evicted_total",
                "Streams of queues whose reader was sent away since it took too little.",
            )?,
            updates: IntCounterVec::new(updates, &["change"])?,
        };
        registry.register(Box::new(metrics.streams.clone()))?;
        registry.register(Box::new(metrics.evicted.clone()))?;
        registry.register(Box::new(metrics.updates.clone()))?;
        for change in Change::ALL {
            metrics.updates.with_label_values(&[change.name()]);
        }
        Ok(metrics)
    }
}
