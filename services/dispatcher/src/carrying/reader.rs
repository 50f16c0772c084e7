use std::sync::Arc;
use std::time::{Duration, Instant};

use tocsin_log::{LogError, SharedLog, TopicPartition};
use tocsin_runtime::Shutdown;
use tocsin_wire::family::{self, FamilyRecord};
use tocsin_wire::topics;

use super::telemetry::CarryingMetrics;
use crate::Dispatcher;

const POLL_TIMEOUT: Duration = Duration::from_millis(100);
const POLL_RECORDS_MAX: usize = 1_024;
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How many families wait until the store was asked of them, before more is read.
const DUE_MAX: usize = 16_384;

/// Reads `tocsin.families` from its beginning, outside any group, on a thread of its own.
pub(crate) struct MembershipReader {
    pub dispatcher: Arc<Dispatcher>,
    pub log: SharedLog,
    pub metrics: CarryingMetrics,
}

impl MembershipReader {
    /// Reads until the process ends. What fails is begun again: the topic is compacted, and the store carries nothing twice.
    pub(crate) fn run(self, shutdown: &Shutdown) {
        while !shutdown.is_requested() {
            if let Err(error) = self.follow(shutdown) {
                self.metrics.read_failures.inc();
                tracing::warn!(
                    error = tocsin_runtime::roles::chain(&error),
                    "reading who belongs to which family failed"
                );
            }
            wait(RETRY_PAUSE, shutdown);
        }
    }

    fn follow(&self, shutdown: &Shutdown) -> Result<(), LogError> {
        let partition = TopicPartition::new(topics::FAMILIES, 0);
        let (first, end) = self.log.bounds(&partition)?;
        let mut reader = self.log.tail_reader(&[(partition.clone(), first)])?;
        let carrying = &self.dispatcher.carrying;
        while !shutdown.is_requested() {
            if carrying.lock().due_len() > DUE_MAX {
                wait(POLL_TIMEOUT, shutdown);
                continue;
            }
            let mut memberships = Vec::new();
            reader.poll(POLL_TIMEOUT, POLL_RECORDS_MAX, &mut |record| {
                // What only a later version knows moves no case.
                memberships.extend(family::read(record.key, record.value).ok());
            })?;
            let mut known = carrying.lock();
            for record in memberships {
                match record {
                    FamilyRecord::Announcement(said) => known.announced(said),
                    FamilyRecord::Withdrawal(content, class) => known.withdrawn(content, class),
                    FamilyRecord::FurtherHash(_) | FamilyRecord::FurtherHashGone(..) => {}
                }
            }
            drop(known);
            if first >= end || reader.position(&partition).is_some_and(|position| position >= end) {
                carrying.set_read();
            }
        }
        Ok(())
    }
}

/// In steps, so that the process ends soon when it is to.
fn wait(length: Duration, shutdown: &Shutdown) {
    let until = Instant::now() + length;
    while !shutdown.is_requested() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
}
