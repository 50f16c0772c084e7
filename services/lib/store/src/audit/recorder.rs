use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tocsin_audit::Entry;
use tokio::sync::oneshot;

use crate::{Store, StoreError};

/// The most records that wait for the chain; a further one is refused, and with it what it tells of.
pub const RECORDS_WAITING_MAX: usize = 4_096;
/// How long a record may take. Who waits longer is refused; the record may still come.
pub const AUDIT_TIME_MAX: Duration = Duration::from_secs(2);
/// The most records in one transaction.
const BATCH_MAX: usize = 256;

/// Writes what many callers bring in one transaction after the other: whatever came while one was written is the next one.
#[derive(Default)]
pub(crate) struct Recorder {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    is_written: bool,
}

struct Waiting {
    entry: Entry,
    told: oneshot::Sender<Result<(), Arc<StoreError>>>,
}

impl Store {
    /// Writes a record into the audit chain of this process, and returns when it is on the disk. Many at a time share a transaction.
    ///
    /// # Errors
    /// [`StoreError::AuditFull`], [`StoreError::AuditTimedOut`] or [`StoreError::AuditFailed`]: it is not known to be in the chain, and what it
    /// tells of must not be done.
    pub async fn record(&self, entry: Entry) -> Result<(), StoreError> {
        let told = self.enqueue(entry)?;
        match tokio::time::timeout(AUDIT_TIME_MAX, told).await {
            Ok(Ok(written)) => written.map_err(StoreError::AuditFailed),
            // A writer that ended without a word wrote nothing that is known of.
            Ok(Err(_)) | Err(_) => Err(StoreError::AuditTimedOut),
        }
    }

    fn enqueue(&self, entry: Entry) -> Result<oneshot::Receiver<Result<(), Arc<StoreError>>>, StoreError> {
        let (told, written) = oneshot::channel();
        let mut queue = self.inner.recorder.lock();
        // Whoever went away needs no place: their requests are refused anyway.
        if queue.waiting.len() >= RECORDS_WAITING_MAX {
            queue.waiting.retain(|waiting| !waiting.told.is_closed());
        }
        if queue.waiting.len() >= RECORDS_WAITING_MAX {
            return Err(StoreError::AuditFull);
        }
        queue.waiting.push(Waiting { entry, told });
        if !std::mem::replace(&mut queue.is_written, true) {
            // Not on the caller's task: a caller who hangs up would take the records of the others along. It ends when nothing waits, and no later
            // than the pool of connections.
            tokio::spawn(write_waiting(self.clone()));
        }
        Ok(written)
    }
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next batch; none, and nobody writes any more, when nothing waits.
    fn next(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.lock();
        let count = queue.waiting.len().min(BATCH_MAX);
        queue.is_written = count > 0;
        (count > 0).then(|| queue.waiting.drain(..count).collect())
    }
}

async fn write_waiting(store: Store) {
    while let Some(batch) = store.inner.recorder.next() {
        let (entries, told): (Vec<Entry>, Vec<_>) = batch.into_iter().map(|one| (one.entry, one.told)).unzip();
        let written = write(&store, &entries).await.map_err(Arc::new);
        for told in told {
            // Who does not listen any more has refused already.
            let _ = told.send(written.clone());
        }
    }
}

async fn write(store: &Store, entries: &[Entry]) -> Result<(), StoreError> {
    let failed = StoreError::database("write a batch of the audit chain");
    let mut transaction = store.database().begin().await.map_err(&failed)?;
    let now = store.inner.clock.now(&mut transaction).await.map_err(&failed)?;
    store.append_audit(&mut transaction, now, entries).await?;
    transaction.commit().await.map_err(&failed)
}

#[cfg(test)]
mod tests {
    //! Goal: no more records wait than may, and whoever went away holds no place.
    #![allow(clippy::unwrap_used)]

    use tocsin_audit::Action;

    use super::*;
    use crate::audit::changed;

    // On one thread: nothing is written while this test does not wait.
    #[tokio::test]
    async fn no_more_records_wait_than_may() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("store").display());
        let store = Store::open(&url).await.unwrap();
        let enqueue = || store.enqueue(changed(Action::Read, "/v1/alerts", ""));
        let mut waiting: Vec<_> = (0..RECORDS_WAITING_MAX).map(|_| enqueue().unwrap()).collect();
        assert!(matches!(enqueue(), Err(StoreError::AuditFull)));
        assert_eq!(enqueue().unwrap_err().code(), "audit_unavailable");
        waiting.truncate(RECORDS_WAITING_MAX - 2);
        waiting.push(enqueue().unwrap());
        for told in waiting {
            told.await.unwrap().unwrap();
        }
        let written = store.audit_checkpoint().await.unwrap().chains[0].head.records;
        assert_eq!(written, RECORDS_WAITING_MAX as u64 - 1);
        store.record(changed(Action::Read, "/v1/alerts", "")).await.unwrap();
        store.close().await;
        let refused = store.record(changed(Action::Read, "/v1/alerts", "")).await;
        assert!(matches!(refused, Err(StoreError::AuditFailed(_))), "{refused:?}");
    }
}
