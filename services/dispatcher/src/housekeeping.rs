//! Tells the length of the queues, and forgets which alerts were applied once the log no longer holds them, and sessions and links once they are over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tocsin_model::Milliseconds;
use tocsin_runtime::Shutdown;
use tocsin_store::StoreError;
use tocsin_wire::topics;

use crate::telemetry::{QueuesCounted, StoreFailed};
use crate::{Dispatcher, pause};

/// The shortest time between two counts.
const COUNT_INTERVAL: Duration = Duration::from_secs(10);
/// Counting reads every case there is, so with very many of them it is done more seldom: it takes one part in so many of the time at most.
const COUNT_SHARE: u32 = 50;
const FORGET_INTERVAL: Duration = Duration::from_secs(3_600);
/// How much longer than the log the store remembers an alert.
const MARGIN: Milliseconds = Milliseconds::from_hours(24);

pub(crate) async fn run(dispatcher: Arc<Dispatcher>, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut forgotten_at = None::<Instant>;
    while !shutdown.is_requested() {
        let began = Instant::now();
        if let Err(error) = count(&dispatcher).await {
            StoreFailed { error: &error }.emit(&dispatcher.metrics);
        }
        let counted_for = began.elapsed();
        if forgotten_at.is_none_or(|at| at.elapsed() >= FORGET_INTERVAL) {
            match forget(&dispatcher).await {
                Ok(()) => forgotten_at = Some(Instant::now()),
                Err(error) => StoreFailed { error: &error }.emit(&dispatcher.metrics),
            }
        }
        pause(COUNT_INTERVAL.max(counted_for * COUNT_SHARE), &shutdown).await;
    }
    Ok(())
}

async fn forget(dispatcher: &Dispatcher) -> Result<(), StoreError> {
    dispatcher.store.forget_applied_alerts(remembered_for()).await?;
    dispatcher.store.forget_sign_ins().await?;
    dispatcher.store.forget_shift_steps().await?;
    Ok(())
}

async fn count(dispatcher: &Dispatcher) -> Result<(), StoreError> {
    QueuesCounted {
        counts: &dispatcher.store.queue_counts().await?,
        outbox_entries: dispatcher.store.outbox_length().await?,
    }
    .emit(&dispatcher.metrics);
    Ok(())
}

/// How long alerts, and what was delivered of them, are remembered.
pub(crate) fn remembered_for() -> Milliseconds {
    let declaration = topics::fixed().find(|declaration| declaration.name == topics::ALERTS);
    let kept_ms = declaration
        .and_then(|declaration| declaration.retention_ms())
        .unwrap_or(0);
    Milliseconds(i64::try_from(kept_ms).unwrap_or(i64::MAX).saturating_add(MARGIN.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_remembered_longer_than_the_log_keeps_them() {
        assert_eq!(remembered_for(), Milliseconds::from_hours(31 * 24));
        for table in ["applied_alerts", "deliveries", "delivery_events"] {
            let stated = tocsin_wire::retention::of_table(table).and_then(|kind| kind.hours);
            assert_eq!(stated, Some(31 * 24), "{table} is kept as is stated");
        }
        let stated = tocsin_wire::retention::of_table("shift_steps").and_then(|kind| kind.hours);
        let kept = stated.map(|hours| Milliseconds::from_hours(hours as i64));
        assert_eq!(kept, Some(tocsin_store::SHIFT_STEPS_KEPT));
    }
}
