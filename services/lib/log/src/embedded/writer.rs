use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redb::Database;
use tocsin_failpoint::{FailPoint, reach};

use super::batch::{Answer, Batch, Visible};
use super::catalogue::Catalogue;
use super::queue::{Job, Queue, Taken};
use super::{EmbeddedOptions, OneMember, failed};
use crate::{CommitError, Durability, LogError};

/// The one thread that writes. It makes one transaction of whatever waits: while a sync runs the next batch gathers, so the number of
/// syncs follows the disk and not the number of appends.
pub(super) struct Writer {
    pub(super) database: Arc<Database>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) queue: Arc<Queue>,
    pub(super) members: Arc<OneMember>,
    pub(super) options: EmbeddedOptions,
    pub(super) last_stamp_ms: i64,
    epochs: HashMap<String, u64>,
    unsynced: Option<Unsynced>,
    failure: Option<String>,
}

/// What is visible and not yet on disk.
struct Unsynced {
    batches: u32,
    since: Instant,
}

/// Redb frees no page between two synced commits, so these bound what a tail of unsynced batches may hold on to.
const UNSYNCED_BATCHES_MAX: u32 = 64;
const UNSYNCED_TIME_MAX: Duration = Duration::from_millis(200);

/// What one transaction takes from the queue, in bytes.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// What one pass of retention drops at most.
pub(super) const RETENTION_RECORDS_MAX: usize = 2_000;

impl Writer {
    pub(super) fn new(
        database: Arc<Database>,
        catalogue: Arc<Catalogue>,
        queue: Arc<Queue>,
        members: Arc<OneMember>,
        options: EmbeddedOptions,
        last_stamp_ms: i64,
    ) -> Self {
        Writer {
            database,
            catalogue,
            queue,
            members,
            options,
            last_stamp_ms,
            epochs: HashMap::new(),
            unsynced: None,
            failure: None,
        }
    }

    /// Works until the queue is closed and empty, then syncs.
    pub(super) fn run(mut self) {
        // A panic below (none is known) must not leave callers waiting for ever.
        let _abandon = Abandon(self.queue.clone());
        let mut retention_at = Instant::now() + self.options.retention_interval;
        loop {
            let sync_at = self
                .unsynced
                .as_ref()
                .map(|unsynced| unsynced.since + UNSYNCED_TIME_MAX);
            let deadline = sync_at.map_or(retention_at, |sync_at| sync_at.min(retention_at));
            match self.queue.take(BATCH_BYTES_MAX, deadline) {
                Taken::Jobs(jobs) => self.work(jobs),
                Taken::Nothing => {}
                Taken::Closed => break,
            }
            if Instant::now() >= retention_at {
                let more = self.retain();
                let pause = if more {
                    Duration::ZERO
                } else {
                    self.options.retention_interval
                };
                retention_at = Instant::now() + pause;
            }
            if self.sync_is_due() {
                self.work(Vec::new());
            }
        }
        if self.unsynced.is_some() {
            self.unsynced = Some(Unsynced {
                batches: UNSYNCED_BATCHES_MAX,
                since: Instant::now(),
            });
            self.work(Vec::new());
        }
    }

    fn sync_is_due(&self) -> bool {
        self.unsynced.as_ref().is_some_and(|unsynced| {
            unsynced.batches >= UNSYNCED_BATCHES_MAX || unsynced.since.elapsed() >= UNSYNCED_TIME_MAX
        })
    }

    /// Returns whether the pass reached its limit.
    fn retain(&mut self) -> bool {
        let (done, dropped) = std::sync::mpsc::sync_channel(1);
        let now_ms = (self.options.clock)();
        self.work(vec![Job::Retain { now_ms, done }]);
        match dropped.try_recv() {
            Ok(Ok(dropped)) => dropped as usize >= RETENTION_RECORDS_MAX,
            Ok(Err(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "retention of the embedded log failed"
                );
                false
            }
            Err(_) => false,
        }
    }

    fn work(&mut self, jobs: Vec<Job>) {
        let mut answers = Vec::with_capacity(jobs.len());
        let synced = self.sync_is_due() || jobs.iter().any(needs_sync);
        // Until the commit is tried nothing can have been applied; from then on nobody knows.
        let mut unit_error: fn(LogError) -> CommitError = CommitError::NotApplied;
        let result = self.commit(jobs, synced, &mut answers, &mut unit_error);
        match result {
            Ok(visible) => {
                reach(FailPoint::BatchCommitted);
                visible.show(&self.catalogue);
                reach(FailPoint::BatchShown);
                answers.into_iter().for_each(Answer::send);
            }
            Err(error) => {
                let reason = self.failure.get_or_insert_with(|| chain(&error)).clone();
                tracing::error!(reason, "the embedded log cannot write");
                for answer in answers {
                    answer.fail(
                        LogError::Embedded {
                            operation: "write",
                            source: reason.clone().into(),
                        },
                        unit_error,
                    );
                }
            }
        }
    }

    fn commit(
        &mut self,
        jobs: Vec<Job>,
        synced: bool,
        answers: &mut Vec<Answer>,
        unit_error: &mut fn(LogError) -> CommitError,
    ) -> Result<Visible, LogError> {
        let mut jobs = jobs.into_iter();
        let applied = self.apply_all(&mut jobs, synced, answers);
        // Jobs that were not tried get their answer too: the failure.
        answers.extend(jobs.map(untried));
        let (transaction, visible, stamp_ms) = applied?;
        *unit_error = CommitError::Unknown;
        transaction.commit().map_err(failed("commit"))?;
        self.last_stamp_ms = stamp_ms;
        self.unsynced = match (synced, self.unsynced.take()) {
            (true, _) => None,
            (false, None) => Some(Unsynced {
                batches: 1,
                since: Instant::now(),
            }),
            (false, Some(unsynced)) => Some(Unsynced {
                batches: unsynced.batches + 1,
                ..unsynced
            }),
        };
        Ok(visible)
    }

    /// Applies jobs in a new transaction until one meets a failure of the store.
    fn apply_all(
        &mut self,
        jobs: &mut std::vec::IntoIter<Job>,
        synced: bool,
        answers: &mut Vec<Answer>,
    ) -> Result<(redb::WriteTransaction, Visible, i64), LogError> {
        if let Some(reason) = &self.failure {
            // After a failed write the store takes no further ones until it is opened again.
            return Err(LogError::Embedded {
                operation: "write after an earlier failure",
                source: reason.clone().into(),
            });
        }
        let mut transaction = self.database.begin_write().map_err(failed("begin a transaction"))?;
        let durability = if synced {
            redb::Durability::Immediate
        } else {
            redb::Durability::None
        };
        let set = transaction.set_durability(durability);
        set.expect("no savepoints are made and one process owns the file");
        transaction.set_quick_repair(synced);
        let stamp_ms = self.last_stamp_ms.max((self.options.clock)());
        let catalogue = self.catalogue.clone();
        let mut batch = Batch::open(&transaction, &catalogue, stamp_ms)?;
        reach(FailPoint::BatchOpened);
        for job in jobs {
            self.apply(&mut batch, job, answers)?;
        }
        let visible = batch.close()?;
        reach(FailPoint::BatchApplied);
        Ok((transaction, visible, stamp_ms))
    }

    /// Applies one job and enters its answer. An error is the store's and spoils the batch.
    fn apply(&mut self, batch: &mut Batch<'_>, job: Job, answers: &mut Vec<Answer>) -> Result<(), LogError> {
        let void = || LogError::Closed;
        match job {
            Job::Append {
                records, stopped, done, ..
            } => {
                if stopped.as_ref().is_some_and(|stopped| stopped.load(Ordering::Relaxed)) {
                    answers.push(Answer::Offsets(done, Err(LogError::Stopped)));
                    return Ok(());
                }
                let (result, error) = split(batch.append(&records), void);
                let result = result.unwrap_or_else(Err);
                if let (Some(stopped), Err(_)) = (stopped, &result) {
                    stopped.store(true, Ordering::Relaxed);
                }
                answers.push(Answer::Offsets(done, result));
                error
            }
            Job::Unit {
                instance,
                epoch,
                group,
                unit,
                done,
            } => {
                if self.epochs.get(&instance) != Some(&epoch) {
                    answers.push(Answer::Unit(
                        done,
                        Err(CommitError::Fenced(LogError::TakenOver { instance })),
                    ));
                    return Ok(());
                }
                let (result, error) = split(batch.unit(group.as_deref(), &self.members, &unit), void);
                let result = result.unwrap_or_else(|void| Err(CommitError::NotApplied(void)));
                answers.push(Answer::Unit(done, result));
                error
            }
            Job::Positions { group, positions, done } => {
                let (result, error) = split(batch.store_positions(&group, &positions), void);
                answers.push(Answer::Done(done, result.unwrap_or_else(Err)));
                error
            }
            Job::EnsureTopics { specs, done } => {
                let (result, error) = split(batch.ensure_topics(&specs), void);
                answers.push(Answer::Done(done, result.unwrap_or_else(Err)));
                error
            }
            Job::DeleteTopics { names, done } => {
                let (result, error) = split(batch.delete_topics(&names).map(Ok), void);
                answers.push(Answer::Done(done, result.unwrap_or_else(Err)));
                error
            }
            Job::TakeOver { instance, done } => {
                let epoch = self.epochs.entry(instance).or_insert(0);
                *epoch += 1;
                answers.push(Answer::Number(done, Ok(*epoch)));
                Ok(())
            }
            Job::Retain { now_ms, done } => {
                let tombstone_retention_ms = self.options.tombstone_retention_ms;
                let dropped = batch.retain(now_ms, tombstone_retention_ms, RETENTION_RECORDS_MAX);
                let (result, error) = split(dropped, void);
                answers.push(Answer::Number(done, result));
                error
            }
        }
    }
}

/// The result for the answer (void if the store failed) and the store's failure.
fn split<T>(result: Result<T, LogError>, void: fn() -> LogError) -> (Result<T, LogError>, Result<(), LogError>) {
    match result {
        Ok(result) => (Ok(result), Ok(())),
        Err(error) => (Err(void()), Err(error)),
    }
}

/// The answer of a job that is not tried; the failure of the batch fills it.
fn untried(job: Job) -> Answer {
    match job {
        Job::Append { done, .. } => Answer::Offsets(done, Err(LogError::Closed)),
        Job::Unit { done, .. } => Answer::Unit(done, Err(CommitError::NotApplied(LogError::Closed))),
        Job::Positions { done, .. } | Job::EnsureTopics { done, .. } | Job::DeleteTopics { done, .. } => {
            Answer::Done(done, Err(LogError::Closed))
        }
        Job::TakeOver { done, .. } | Job::Retain { done, .. } => Answer::Number(done, Err(LogError::Closed)),
    }
}

fn needs_sync(job: &Job) -> bool {
    match job {
        Job::Append { durability, .. } => *durability == Durability::Synced,
        Job::Unit { .. } | Job::EnsureTopics { .. } | Job::DeleteTopics { .. } => true,
        Job::Positions { .. } | Job::TakeOver { .. } | Job::Retain { .. } => false,
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

struct Abandon(Arc<Queue>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
