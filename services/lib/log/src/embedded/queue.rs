use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::{Append, CommitError, Durability, LogError, TopicPartition, TopicSpec, Unit};

/// What the writer thread is asked to do.
pub(super) enum Job {
    Append {
        records: Vec<Append>,
        durability: Durability,
        /// Of a gapless appender: whether a record was refused.
        stopped: Option<Arc<AtomicBool>>,
        done: tokio::sync::oneshot::Sender<Result<Vec<u64>, LogError>>,
    },
    Unit {
        instance: String,
        epoch: u64,
        group: Option<String>,
        unit: Unit,
        done: SyncSender<Result<(), CommitError>>,
    },
    Positions {
        group: String,
        positions: Vec<(TopicPartition, u64)>,
        done: SyncSender<Result<(), LogError>>,
    },
    EnsureTopics {
        specs: Vec<TopicSpec>,
        done: SyncSender<Result<(), LogError>>,
    },
    DeleteTopics {
        names: Vec<String>,
        done: SyncSender<Result<(), LogError>>,
    },
    /// A newer committer of this instance stands: answers its epoch once all older units are applied or refused.
    TakeOver {
        instance: String,
        done: SyncSender<Result<u64, LogError>>,
    },
    /// One bounded pass of retention; answers how many records went.
    Retain {
        now_ms: i64,
        done: SyncSender<Result<u64, LogError>>,
    },
}

impl Job {
    /// What the job counts for in the queue, in bytes.
    fn bytes(&self) -> usize {
        let appends = match self {
            Job::Append { records, .. } => records,
            Job::Unit { unit, .. } => &unit.appends,
            _ => return JOB_BYTES,
        };
        JOB_BYTES
            + appends
                .iter()
                .map(|append| append.bytes() + RECORD_BYTES)
                .sum::<usize>()
    }
}

/// What a job and a record count for beside their bytes.
const JOB_BYTES: usize = 64;
const RECORD_BYTES: usize = 64;

/// The writer's queue, bounded by jobs and by bytes. One job larger than the whole limit is let in when nothing else waits.
pub(super) struct Queue {
    jobs_max: usize,
    bytes_max: usize,
    waiting: Mutex<Waiting>,
    filled: Condvar,
    drained: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<(Job, usize)>,
    bytes: usize,
    closed: bool,
}

/// What [`Queue::take`] found.
pub(super) enum Taken {
    Jobs(Vec<Job>),
    /// Nothing came in time.
    Nothing,
    /// The queue is closed and empty.
    Closed,
}

impl Queue {
    pub(super) fn new(jobs_max: usize, bytes_max: usize) -> Self {
        Queue {
            jobs_max,
            bytes_max,
            waiting: Mutex::default(),
            filled: Condvar::new(),
            drained: Condvar::new(),
        }
    }

    /// Queues a job; blocks while the queue is full. A closed queue drops the job, which its waiter sees as closed.
    pub(super) fn put(&self, job: Job) {
        let bytes = job.bytes();
        let waiting = self.waiting.lock().expect("no holder of this lock panics");
        let mut waiting = self
            .drained
            .wait_while(waiting, |waiting| {
                let full = waiting.jobs.len() >= self.jobs_max || waiting.bytes + bytes > self.bytes_max;
                !waiting.closed && !waiting.jobs.is_empty() && full
            })
            .expect("no holder of this lock panics");
        if waiting.closed {
            return;
        }
        waiting.bytes += bytes;
        waiting.jobs.push_back((job, bytes));
        self.filled.notify_one();
    }

    /// Takes what waits, in order, at most `bytes_max` (but at least one job); waits for the first until `deadline`.
    pub(super) fn take(&self, bytes_max: usize, deadline: Instant) -> Taken {
        let waiting = self.waiting.lock().expect("no holder of this lock panics");
        let timeout = deadline.saturating_duration_since(Instant::now());
        let (mut waiting, _) = self
            .filled
            .wait_timeout_while(waiting, timeout.max(Duration::from_micros(1)), |waiting| {
                waiting.jobs.is_empty() && !waiting.closed
            })
            .expect("no holder of this lock panics");
        let mut jobs = Vec::new();
        let mut bytes = 0;
        while let Some((_, job_bytes)) = waiting.jobs.front() {
            if !jobs.is_empty() && bytes + job_bytes > bytes_max {
                break;
            }
            let (job, job_bytes) = waiting.jobs.pop_front().expect("it was just looked at");
            bytes += job_bytes;
            jobs.push(job);
        }
        waiting.bytes -= bytes;
        self.drained.notify_all();
        match (jobs.is_empty(), waiting.closed) {
            (false, _) => Taken::Jobs(jobs),
            (true, false) => Taken::Nothing,
            (true, true) => Taken::Closed,
        }
    }

    /// Lets nothing more in. What waits is still taken.
    pub(super) fn close(&self) {
        self.waiting.lock().expect("no holder of this lock panics").closed = true;
        self.filled.notify_all();
        self.drained.notify_all();
    }

    /// Lets nothing more in and drops what waits.
    pub(super) fn abandon(&self) {
        let mut waiting = self.waiting.lock().expect("no holder of this lock panics");
        waiting.closed = true;
        waiting.jobs.clear();
        waiting.bytes = 0;
        drop(waiting);
        self.filled.notify_all();
        self.drained.notify_all();
    }
}
