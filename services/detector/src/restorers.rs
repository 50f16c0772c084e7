//! Restores beside the work: polling, units and the partitions that are held go on meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tocsin_log::SharedLog;
use tocsin_model::Timestamp;

use crate::error::DetectorError;
use crate::partition::Partition;
use crate::restore::{Reached, Restore, Restored, Stepped};
use crate::telemetry::{Metrics, PartitionRestored, RestoreWentOn};

/// Who does the work of a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hands {
    /// A thread for each restore, as many at a time as there are processors.
    Threads,
    /// The caller, one step of each restore whenever it asks: so one thread is the whole process, as the simulation wants it.
    Caller,
}

/// A restored partition, and the time through which its hot changes are on the log.
pub(crate) type Outcome = Result<(Box<Partition>, Timestamp), DetectorError>;

/// How often a restore is told of in the log.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// The restores of a process.
pub(crate) struct Restorers {
    log: SharedLog,
    hands: Hands,
    threads_max: usize,
    jobs: BTreeMap<u32, Job>,
    /// Called off, and not ended yet: each ends with its next look.
    leaving: Vec<JoinHandle<Outcome>>,
}

struct Job {
    of: Restored,
    work: Work,
    shared: Arc<Shared>,
    began_at: Instant,
    told_at: Instant,
    /// Since when the topic of now is read, and which.
    here: (&'static str, Instant),
}

enum Work {
    /// For a thread, or for the caller's first step.
    Waiting,
    Thread(JoinHandle<Outcome>),
    Caller(Box<Restore>),
}

/// What a restore and the work tell each other.
#[derive(Default)]
struct Shared {
    is_called_off: AtomicBool,
    reached: Mutex<Reached>,
}

impl Restorers {
    pub(crate) fn new(log: SharedLog, hands: Hands) -> Self {
        Restorers {
            log,
            hands,
            threads_max: std::thread::available_parallelism().map_or(1, usize::from),
            jobs: BTreeMap::new(),
            leaving: Vec::new(),
        }
    }

    /// Begins to restore a partition. One of the same number that is on its way is called off: what it read may be old.
    pub(crate) fn begin(&mut self, of: Restored, now: Instant) {
        let number = of.number;
        self.call_off(number);
        let job = Job {
            of,
            work: Work::Waiting,
            shared: Arc::default(),
            began_at: now,
            told_at: now,
            here: ("", now),
        };
        self.jobs.insert(number, job);
    }

    /// Ends a restore whose partition goes away. Whether there was one.
    pub(crate) fn call_off(&mut self, number: u32) -> bool {
        let Some(job) = self.jobs.remove(&number) else {
            return false;
        };
        job.shared.is_called_off.store(true, Ordering::Release);
        if let Work::Thread(thread) = job.work {
            self.leaving.push(thread);
        }
        true
    }

    /// How many partitions are not restored yet.
    pub(crate) fn count(&self) -> usize {
        self.jobs.len()
    }

    /// Goes on, and hands over what is restored or cannot be.
    pub(crate) fn advance(&mut self, now: Instant, metrics: &Metrics) -> Vec<(u32, Outcome)> {
        self.leaving.retain(|thread| !thread.is_finished());
        let numbers: Vec<u32> = self.jobs.keys().copied().collect();
        let mut ended = Vec::new();
        for number in numbers {
            let Some(job) = self.jobs.get(&number) else { continue };
            let outcome = match &job.work {
                Work::Waiting if self.hands == Hands::Threads => {
                    self.start(number);
                    None
                }
                Work::Waiting | Work::Caller(_) => self.step(number),
                Work::Thread(thread) if !thread.is_finished() => None,
                Work::Thread(_) => self.join(number),
            };
            let Some(outcome) = outcome else { continue };
            let job = self.jobs.remove(&number);
            metrics.hide_restore(number);
            if let Some(found) = job.as_ref().and_then(|job| job.shared.reached().found) {
                metrics.copies.with_label_values(&[found.name()]).inc();
            }
            if let (Some(job), Ok((partition, _))) = (job, &outcome) {
                let restored = PartitionRestored {
                    partition: number,
                    offset: partition.next_offset(),
                    records: job.shared.reached().to_read,
                    took: now.saturating_duration_since(job.began_at),
                };
                restored.emit();
            }
            ended.push((number, outcome));
        }
        ended
    }

    /// Tells how far each restore is.
    pub(crate) fn show(&mut self, now: Instant, metrics: &Metrics) {
        for (number, job) in &mut self.jobs {
            let reached = job.shared.reached();
            if reached.to_read == 0 {
                continue;
            }
            if job.here.0 != reached.topic {
                job.here = (reached.topic, now);
            }
            let went_on = RestoreWentOn {
                partition: *number,
                reached,
                seconds_left: seconds_left(now.saturating_duration_since(job.here.1), reached),
            };
            went_on.show(metrics);
            if now.saturating_duration_since(job.told_at) >= TOLD_EVERY {
                job.told_at = now;
                went_on.emit();
            }
        }
    }

    fn start(&mut self, number: u32) {
        let is_on_thread = |job: &&Job| matches!(job.work, Work::Thread(_));
        let running = self.jobs.values().filter(is_on_thread).count() + self.leaving.len();
        let Some(job) = self.jobs.get_mut(&number).filter(|_| running < self.threads_max) else {
            return;
        };
        let (log, of, shared) = (self.log.clone(), job.of.clone(), job.shared.clone());
        let hook = tocsin_failpoint::inherited();
        let work = move || {
            let _adopted = tocsin_failpoint::adopt(hook);
            let mut restore = Restore::begin(log.as_ref(), of)?;
            loop {
                shared.tell(restore.reached());
                match restore.step(log.as_ref(), &|| shared.is_called_off.load(Ordering::Acquire))? {
                    Stepped::Further(further) => restore = *further,
                    Stepped::Restored(partition, as_of) => return Ok((partition, as_of)),
                }
            }
        };
        let name = format!("restore-{number}");
        // Without a thread it is tried again at the next look.
        if let Ok(thread) = std::thread::Builder::new().name(name).spawn(work) {
            job.work = Work::Thread(thread);
        }
    }

    fn step(&mut self, number: u32) -> Option<Outcome> {
        let job = self.jobs.get_mut(&number)?;
        let restore = match std::mem::replace(&mut job.work, Work::Waiting) {
            Work::Caller(restore) => Ok(*restore),
            Work::Waiting | Work::Thread(_) => Restore::begin(self.log.as_ref(), job.of.clone()),
        };
        match restore.and_then(|restore| restore.step(self.log.as_ref(), &|| false)) {
            Ok(Stepped::Further(restore)) => {
                job.shared.tell(restore.reached());
                job.work = Work::Caller(restore);
                None
            }
            Ok(Stepped::Restored(partition, as_of)) => Some(Ok((partition, as_of))),
            Err(error) => Some(Err(error)),
        }
    }

    fn join(&mut self, number: u32) -> Option<Outcome> {
        let job = self.jobs.get_mut(&number)?;
        match std::mem::replace(&mut job.work, Work::Waiting) {
            Work::Thread(thread) => Some(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
            Work::Waiting | Work::Caller(_) => None,
        }
    }
}

impl Drop for Restorers {
    /// Nobody else must hold the log when a process has ended: what is on its way is called off and waited for.
    fn drop(&mut self) {
        let numbers: Vec<u32> = self.jobs.keys().copied().collect();
        for number in numbers {
            self.call_off(number);
        }
        for thread in self.leaving.drain(..) {
            // How it ended matters to nobody now.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn tell(&self, reached: Reached) {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = reached;
    }

    fn reached(&self) -> Reached {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// At the pace of the topic that is read now; `None` before anything of it was.
fn seconds_left(since: Duration, reached: Reached) -> Option<f64> {
    let left = reached.to_read_here.saturating_sub(reached.read_here) as f64;
    (reached.read_here > 0).then(|| since.as_secs_f64() * left / reached.read_here as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_goes_by_the_pace_of_the_topic_that_is_read() {
        let reached = |read_here, to_read_here| Reached {
            topic: "t",
            read: 500 + read_here,
            to_read: 500 + to_read_here,
            read_here,
            to_read_here,
            found: None,
        };
        let left = |seconds, reached| seconds_left(Duration::from_secs(seconds), reached);
        assert_eq!(left(10, reached(25, 100)), Some(30.0));
        assert_eq!(left(10, reached(100, 100)), Some(0.0));
        assert_eq!(left(10, reached(0, 100)), None);
    }
}
