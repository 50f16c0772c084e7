//! Counts the appeals that wait, and those that wait for somebody who did not decide.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{IntGaugeVec, Opts, Registry};
use tocsin_runtime::Shutdown;

use crate::telemetry::StoreFailed;
use crate::{Dispatcher, pause};

const COUNT_INTERVAL: Duration = Duration::from_secs(10);

/// What is counted of appeals.
#[derive(Clone)]
pub(crate) struct AppealMetrics {
    waiting: IntGaugeVec,
}

impl AppealMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<AppealMetrics, prometheus::Error> {
        let waiting = IntGaugeVec::new(
            Opts::new(
                "tocsin_dispatcher_appeals",
                "Appeals that wait for an answer: those that somebody may answer, and those of teams in which all decided",
            ),
            &["state"],
        )?;
        registry.register(Box::new(waiting.clone()))?;
        Ok(AppealMetrics { waiting })
    }
}

pub(crate) async fn run(dispatcher: Arc<Dispatcher>, metrics: AppealMetrics, shutdown: Shutdown) -> anyhow::Result<()> {
    while !shutdown.is_requested() {
        match dispatcher.store.count_appeals().await {
            Ok(counts) => {
                let reviewable = counts.waiting.saturating_sub(counts.without_reviewer);
                for (state, count) in [
                    ("reviewable", reviewable),
                    ("without_reviewer", counts.without_reviewer),
                ] {
                    let count = i64::try_from(count).unwrap_or(i64::MAX);
                    metrics.waiting.with_label_values(&[state]).set(count);
                }
            }
            Err(error) => StoreFailed { error: &error }.emit(&dispatcher.metrics),
        }
        pause(COUNT_INTERVAL, &shutdown).await;
    }
    Ok(())
}
