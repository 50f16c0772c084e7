//! The watch list on its way to the key groups: what the store says has changed becomes ordered inputs of theirs, in bounded batches.

use tocsin_failpoint::{FailPoint, reach};
use tocsin_log::Append;
use tocsin_model::{Milliseconds, Timestamp, Watch};
use tocsin_store::WatchChange;
use tocsin_wire::SightingsRecord;

use crate::control::{Control, record};
use crate::telemetry::WatchListPublished;

/// How many rows of the store one batch is made of.
const ROWS_MAX: u32 = 4_096;
/// How many batches are published before anything else is looked after: a list of ten million takes ten minutes at least, and in every
/// second of them the groups have time for sightings.
const BATCHES_PER_LOOK: usize = 4;
/// How many entries of lists that stand for nothing are taken away at once.
const FORGOTTEN_MAX: u32 = 16_384;
/// Nobody writes to a list for so long and goes on.
const ABANDONED_AFTER: Milliseconds = Milliseconds::from_hours(1);

impl Control {
    pub(crate) async fn publish_watch_list(&self) -> anyhow::Result<()> {
        let store = &self.dispatcher.store;
        // Looking costs a read; only who finds something asks for the lease.
        if !store.watch_is_pending().await? {
            return Ok(());
        }
        // Before the batches, which the tick might stand too far behind.
        let at = self.latest_tick().await?.unwrap_or(Timestamp(0));
        for _ in 0..BATCHES_PER_LOOK {
            if !self.holds().await? {
                return Ok(());
            }
            let Some(batch) = store.watch_batch(ROWS_MAX).await? else {
                return Ok(());
            };
            let appends: Vec<Append> = batch
                .changes
                .iter()
                .map(|change| self.watch_record(change, at))
                .collect();
            if !appends.is_empty() {
                self.append(appends).await?;
                reach(FailPoint::WatchListAppended);
            }
            store.watch_published(&batch).await?;
            let count = batch.changes.len();
            WatchListPublished { count }.emit(&self.dispatcher.metrics);
        }
        Ok(())
    }

    /// Takes away a part of lists that were replaced, or that nobody went on writing.
    pub(crate) async fn forget_lists(&self) -> anyhow::Result<()> {
        self.dispatcher
            .store
            .forget_lists(FORGOTTEN_MAX, ABANDONED_AFTER)
            .await?;
        Ok(())
    }

    fn watch_record(&self, change: &WatchChange, at: Timestamp) -> Append {
        let content = self.key.content_id(&change.hash);
        let watch = Watch {
            number: change.number,
            content,
            hash: change.hash.clone(),
            listed: change.listed,
            source: change.source.clone(),
            at,
        };
        let to = self.partitions.partition_of(content.group());
        record(to, &SightingsRecord::Watch(watch))
    }
}
