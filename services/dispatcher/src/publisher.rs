//! Puts decisions from the store's outbox on `tocsin.decisions`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
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
/// How often to look without being woken: for what other dispatchers left behind.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) async fn run(
    dispatcher: Arc<Dispatcher>,
    appender: Arc<dyn Appender>,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let topic = TopicPartition::new(topics::DECISIONS, 0);
    while !shutdown.is_requested() {
        match publish(&dispatcher, appender.as_ref(), &topic).await {
            Ok(0) => {}
            Ok(count) => {
                DecisionsPublished { count }.emit(&dispatcher.metrics);
                continue;
            }
            Err(error) => DecisionsNotPublished { error: &error }.emit(&dispatcher.metrics),
        }
        tokio::select! {
            () = dispatcher.decided.notified() => {}
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
            () = shutdown.requested() => {}
        }
    }
    Ok(())
}

async fn publish(dispatcher: &Dispatcher, appender: &dyn Appender, topic: &TopicPartition) -> anyhow::Result<u32> {
    let entries = dispatcher.store.outbox_take(ENTRIES_MAX, TAKEN_FOR).await?;
    if entries.is_empty() {
        return Ok(0);
    }
    let appends = entries.iter().map(|entry| append(entry, topic)).collect();
    tokio::time::timeout(APPEND_TIMEOUT, appender.append(appends)).await??;
    let sequences: Vec<i64> = entries.iter().map(|entry| entry.sequence).collect();
    dispatcher.store.outbox_acknowledge(&sequences).await?;
    Ok(u32::try_from(entries.len()).unwrap_or(u32::MAX))
}

fn append(entry: &OutboxEntry, topic: &TopicPartition) -> Append {
    Append {
        to: topic.clone(),
        key: Some(Bytes::copy_from_slice(&entry.decision.family.0.0.to_be_bytes())),
        value: Some(Bytes::from(decision::encode(&entry.decision))),
        headers: Vec::new(),
    }
}
