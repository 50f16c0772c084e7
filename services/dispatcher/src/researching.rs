//! Publishes days for researchers, one behind the other, once they are due. Every dispatcher looks; the store publishes each day once.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{IntCounter, Opts, Registry};
use tocsin_report::Day;
use tocsin_runtime::Shutdown;

use crate::telemetry::StoreFailed;
use crate::{Dispatcher, pause};

const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// What is counted of days for researchers.
#[derive(Clone)]
pub(crate) struct ResearchMetrics {
    published: IntCounter,
}

impl ResearchMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<ResearchMetrics, prometheus::Error> {
        let published = IntCounter::with_opts(Opts::new(
            "tocsin_dispatcher_research_days_total",
            "Days that this dispatcher published for researchers",
        ))?;
        registry.register(Box::new(published.clone()))?;
        Ok(ResearchMetrics { published })
    }
}

/// A day is published.
struct DayPublished {
    day: Day,
}

impl DayPublished {
    fn emit(&self, metrics: &ResearchMetrics) {
        metrics.published.inc();
        tracing::info!(day = %self.day, "a day was published for researchers");
    }
}

pub(crate) async fn run(
    dispatcher: Arc<Dispatcher>,
    metrics: ResearchMetrics,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    while !shutdown.is_requested() {
        match dispatcher.store.publish_research_day().await {
            // The next one may be due as well.
            Ok(Some(day)) => {
                DayPublished { day }.emit(&metrics);
                continue;
            }
            Ok(None) => {}
            Err(error) => StoreFailed { error: &error }.emit(&dispatcher.metrics),
        }
        pause(LOOK_INTERVAL, &shutdown).await;
    }
    Ok(())
}
