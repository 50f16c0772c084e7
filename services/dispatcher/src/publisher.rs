//! Puts decisions from the store's outbox on `tocsin.decisions`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tocsin_failpoint::{FailPoint, reach};
use tocsin_log::{Append, Appender, TopicPartition};
use tocsin_model::Milliseconds;
use tocsin_runtime::Shutdown;
use tocsin_store::OutboxEntry;
use tocsin_wire::{decision, topics};

use crate::Dispatcher;
use crate::telemetry::{DecisionsNotPublished, DecisionsPublished};

/// How many decisions are published at once.
const ENTRIES_MAX: u32 = 64;
/// How long they are ours. Another dispatcher takes over what is not acknowledged by then.
const TAKEN_FOR: Milliseconds = Milliseconds::from_seconds(10);
/// How long the log may take; shorter than [`TAKEN_FOR`].
const APPEND_TIMEOUT: Duration = Duration::from_secs(8);
/// How often to look without being woken, at least: for what other dispatchers decided or left behind.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A decision that somebody else is at is no reason to look all the time.
const LOOK_MIN: Duration = Duration::from_millis(20);

pub(crate) async fn run(
    dispatcher: Arc<Dispatcher>,
    appender: Arc<dyn Appender>,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let topic = TopicPartition::new(topics::DECISIONS, 0);
    while !shutdown.is_requested() {
        let mut pause = LOOK_INTERVAL;
        match publish(&dispatcher, appender.as_ref(), &topic).await {
            Ok(0) => pause = until_due(&dispatcher).await,
            Ok(count) => {
                DecisionsPublished { count }.emit(&dispatcher.metrics);
                // Their deliveries are due at the same time, and so are their members.
                dispatcher.told.notify_one();
                dispatcher.carrying.decided();
                continue;
            }
            Err(error) => DecisionsNotPublished { error: &error }.emit(&dispatcher.metrics),
        }
        tokio::select! {
            () = dispatcher.decided.notified() => {}
            () = tokio::time::sleep(pause) => {}
            () = shutdown.requested() => {}
        }
    }
    Ok(())
}

/// How long until the next decision can no longer be taken back; a look that failed is made again as usual.
async fn until_due(dispatcher: &Dispatcher) -> Duration {
    match dispatcher.store.outbox_due_in().await {
        Ok(Some(due_in)) => Duration::from_millis(u64::try_from(due_in.0).unwrap_or(0)).clamp(LOOK_MIN, LOOK_INTERVAL),
        Ok(None) | Err(_) => LOOK_INTERVAL,
    }
}

async fn publish(dispatcher: &Dispatcher, appender: &dyn Appender, topic: &TopicPartition) -> anyhow::Result<u32> {
    let entries = dispatcher.store.outbox_take(ENTRIES_MAX, TAKEN_FOR).await?;
    if entries.is_empty() {
        return Ok(0);
    }
    reach(FailPoint::OutboxTaken);
    let appends = entries.iter().map(|entry| append(entry, topic)).collect();
    tokio::time::timeout(APPEND_TIMEOUT, appender.append(appends)).await??;
    reach(FailPoint::DecisionsAppended);
    let sequences: Vec<i64> = entries.iter().map(|entry| entry.sequence).collect();
    dispatcher.store.outbox_acknowledge(&sequences).await?;
    reach(FailPoint::DecisionsAcknowledged);
    Ok(u32::try_from(entries.len()).unwrap_or(u32::MAX))
}

fn append(entry: &OutboxEntry, topic: &TopicPartition) -> Append {
    Append {
        to: topic.clone(),
        key: Some(Bytes::copy_from_slice(&entry.told.decision.family.0.0.to_be_bytes())),
        value: Some(Bytes::from(decision::encode_told(&entry.told))),
        headers: Vec::new(),
    }
}
