//! Applies batches of alerts to the store, and asks again while the store does not answer.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tocsin_failpoint::{FailPoint, reach};
use tocsin_runtime::Shutdown;
use tocsin_store::{AlertEffects, StoreError};
use tokio::sync::mpsc::Receiver;

use crate::alert_reader::{Batch, Positions};
use crate::telemetry::{AlertRefused, AlertsApplied, StoreFailed};
use crate::{Dispatcher, pause};

const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(5);

pub(crate) async fn run(
    dispatcher: Arc<Dispatcher>,
    mut batches: Receiver<Batch>,
    applied: SyncSender<Positions>,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    // Ends when the reader has ended, after the last batch it handed over.
    while let Some(batch) = batches.recv().await {
        let Some(effects) = apply(&dispatcher, &batch, &shutdown).await else {
            break;
        };
        reach(FailPoint::AlertsApplied);
        AlertsApplied {
            effects,
            appended_at_ms: batch.alerts.iter().map(|waiting| waiting.appended_at_ms).collect(),
        }
        .emit(&dispatcher.metrics);
        dispatcher.told.notify_one();
        if applied.send(batch.positions).is_err() {
            break;
        }
    }
    shutdown.requested().await;
    Ok(())
}

/// Until the store has them; `None` when the process stops first.
async fn apply(dispatcher: &Dispatcher, batch: &Batch, shutdown: &Shutdown) -> Option<AlertEffects> {
    let alerts: Vec<_> = batch.alerts.iter().map(|waiting| waiting.alert.clone()).collect();
    let mut sum = AlertEffects::default();
    let mut applied = 0;
    // All at once; after a failure that lies in the data, one by one, so that the bad one is found and the others go on.
    let mut at_once = alerts.len();
    let mut retry = RETRY_FIRST;
    let floor = f64::from(dispatcher.config.unreviewed_below);
    while applied < alerts.len() {
        let next = &alerts[applied..(applied + at_once).min(alerts.len())];
        match dispatcher.store.apply_alerts(next, floor).await {
            Ok(effects) => {
                sum = sum.plus(effects);
                applied += next.len();
            }
            Err(error @ StoreError::Database { .. }) => {
                StoreFailed { error: &error }.emit(&dispatcher.metrics);
                if shutdown.is_requested() {
                    return None;
                }
                pause(retry, shutdown).await;
                retry = (retry * 2).min(RETRY_LAST);
            }
            Err(_) if at_once > 1 => at_once = 1,
            Err(error) => {
                AlertRefused {
                    alert: next[0].id,
                    error: &error,
                }
                .emit(&dispatcher.metrics);
                applied += 1;
            }
        }
    }
    Some(sum)
}
