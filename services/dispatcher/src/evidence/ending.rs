//! Preservations that end, and their copies that go then: a task of its own, so that a copy that takes long to make keeps none longer than it may be kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tocsin_evidence::PreservationId;
use tocsin_failpoint::{FailPoint, reach};
use tocsin_runtime::Shutdown;
use tocsin_store::{EXPIRED_MAX, EndedCopy, StoreError};

use super::LOOK_INTERVAL;
use super::sealed_store::Removed;
use super::telemetry::{CopyUndeleted, EarlierPreserved};
use crate::telemetry::StoreFailed;
use crate::{Dispatcher, pause};

const COUNT_INTERVAL: Duration = Duration::from_secs(10);
const SWEEP_INTERVAL: Duration = Duration::from_secs(3_600);
/// How long nothing is deleted after something could not be.
const FAILED_PAUSE: Duration = Duration::from_secs(30);

/// Where a copy was to be deleted nothing is.
#[derive(Debug, thiserror::Error)]
#[error("the copy is not in this sealed store: it may lie in another, or in one that is not mounted")]
struct NotHere;

/// Ends what is over, and deletes the copies of what ended. First, preserves removal orders from before they were preserved.
pub(crate) async fn run(dispatcher: Arc<Dispatcher>, shutdown: Shutdown) -> anyhow::Result<()> {
    let evidence = &dispatcher.evidence;
    let (mut earlier, mut counted_at, mut swept_at) = (Some(0), None::<Instant>, None::<Instant>);
    let mut failed_at = None::<Instant>;
    while !shutdown.is_requested() {
        if swept_at.is_none_or(|at| at.elapsed() >= SWEEP_INTERVAL) {
            match sweep(&dispatcher).await {
                Ok(()) => swept_at = Some(Instant::now()),
                Err(error) => StoreFailed { error: &error }.emit(&dispatcher.metrics),
            }
        }
        let is_due = counted_at.is_none_or(|at| at.elapsed() >= COUNT_INTERVAL);
        let deletes = failed_at.is_none_or(|at| at.elapsed() >= FAILED_PAUSE);
        let ended = end(&dispatcher, &mut earlier, deletes.then_some(&mut failed_at)).await;
        if is_due {
            counted_at = Some(Instant::now());
            match dispatcher.store.count_preservations().await {
                Ok(counts) => evidence.metrics.counted(&counts),
                Err(error) => StoreFailed { error: &error }.emit(&dispatcher.metrics),
            }
        }
        match ended {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => StoreFailed { error: &error }.emit(&dispatcher.metrics),
        }
        pause(LOOK_INTERVAL, &shutdown).await;
    }
    Ok(())
}

/// How many were placed, ended or deleted: then there may be more to do at once. `failed_at` is given where it is time to delete.
async fn end(
    dispatcher: &Arc<Dispatcher>,
    earlier: &mut Option<i64>,
    failed_at: Option<&mut Option<Instant>>,
) -> Result<usize, StoreError> {
    let expired = dispatcher.store.expire_preservations().await?;
    let mut deleted = 0;
    if let Some(failed_at) = failed_at {
        *failed_at = None;
        let mut after = 0;
        loop {
            let page = dispatcher.store.ended_preservations(after).await?;
            for ended in &page {
                after = ended.place;
                match delete(dispatcher, *ended).await? {
                    true => deleted += 1,
                    false => *failed_at = Some(Instant::now()),
                }
            }
            if page.len() < EXPIRED_MAX as usize {
                break;
            }
        }
    }
    // Last, so that orders that cannot be read keep nothing longer than it may be kept.
    let mut looked = 0;
    if let Some(after) = *earlier {
        let orders = dispatcher.store.preserve_earlier_orders(after).await?;
        *earlier = orders.next;
        looked += usize::from(orders.next.is_some());
        if orders.placed + orders.unreadable > 0 {
            EarlierPreserved {
                count: orders.placed,
                unreadable: orders.unreadable,
            }
            .emit();
            dispatcher.evidence.placed();
        }
    }
    Ok(looked + expired + deleted)
}

/// Whether nothing of the copy is left, and that is noted.
async fn delete(dispatcher: &Arc<Dispatcher>, EndedCopy { id, was_sealed, .. }: EndedCopy) -> Result<bool, StoreError> {
    let Some(store) = dispatcher.evidence.store.clone() else {
        // What was never sealed leaves nothing.
        if !was_sealed {
            dispatcher.store.deleted_copy(id).await?;
        }
        return Ok(!was_sealed);
    };
    let metrics = &dispatcher.evidence.metrics;
    let removing = store.clone();
    let error: Option<Box<dyn std::error::Error + Send + Sync>> =
        match tokio::task::spawn_blocking(move || removing.remove(id)).await {
            Ok(Ok(Removed::Nothing)) if was_sealed => Some(NotHere.into()),
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.into()),
            Err(error) => Some(error.into()),
        };
    if let Some(error) = error {
        // Another dispatcher may have deleted and noted it since the page was read.
        if !dispatcher.store.deleted_among(&[id]).await?.is_empty() {
            return Ok(true);
        }
        CopyUndeleted { id, error: &*error }.emit(metrics);
        return Ok(false);
    }
    reach(FailPoint::CopyDeleted);
    dispatcher.store.deleted_copy(id).await?;
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || store.forget(id)).await {
        // An empty directory is left, which the next sweep removes.
        CopyUndeleted { id, error: &error }.emit(metrics);
    }
    Ok(true)
}

/// Deletes what a process that ended left behind, or somebody put back: copies of which it is noted that they were deleted.
async fn sweep(dispatcher: &Arc<Dispatcher>) -> Result<(), StoreError> {
    let Some(store) = dispatcher.evidence.store.clone() else {
        return Ok(());
    };
    let Ok(Ok(ids)) = tokio::task::spawn_blocking(move || store.ids()).await else {
        return Ok(());
    };
    remove_deleted(dispatcher, &ids).await
}

/// Deletes of these copies those of which it is noted that they were deleted.
pub(super) async fn remove_deleted(dispatcher: &Arc<Dispatcher>, ids: &[PreservationId]) -> Result<(), StoreError> {
    let Some(store) = dispatcher.evidence.store.clone() else {
        return Ok(());
    };
    for id in dispatcher.store.deleted_among(ids).await? {
        let store = store.clone();
        let removed = tokio::task::spawn_blocking(move || store.remove(id).and_then(|_| store.forget(id)));
        if let Ok(Err(error)) = removed.await {
            CopyUndeleted { id, error: &error }.emit(&dispatcher.evidence.metrics);
        }
    }
    Ok(())
}
