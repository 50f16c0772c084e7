use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::types::RDKafkaRespErr;

use super::client::{ends, heard};
use super::native::{Batches, Message};
use super::{QUERY_TIME_MAX, Shared, asked, failed, list, named, native, number};
use crate::budget::Budget;
use crate::{GroupEvent, GroupOptions, GroupReader, LogError, Membership, RecordRef, TopicPartition};

/// A member of a Kafka group; see [`GroupReader`].
///
/// The rebalance hook only notes what came and, for new partitions, answers with an empty assignment. A partition enters the client's
/// assignment in `begin`, once, with its offset; so there is no seek, no second assign, and nothing is fetched before. Partitions that go
/// leave it at the poll after [`GroupEvent::Revoked`], so the caller can still commit for them.
///
/// Messages come from their partitions' queues, many at a call and the topics in turn, and events from the client's; see [`Batches`]. A message
/// taken and not handed over is dropped when its partition goes or begins anew, so whatever is handed over belongs to a partition that is ours.
pub(super) struct Member {
    shared: Arc<Shared>,
    options: GroupOptions,
    /// `None` once closed.
    batches: Option<Batches<Hook>>,
    /// Our partitions, and how each flows.
    partitions: HashMap<TopicPartition, Flow>,
    /// Revoked and shown to the caller, to be let go at the next poll.
    leaving: Option<Vec<TopicPartition>>,
}

#[derive(Clone, Copy, Default)]
struct Flow {
    begun: bool,
    paused: bool,
}

/// How long a member may take to leave; then its thread is left behind (rust-rdkafka #453).
const CLOSE_TIME_MAX: Duration = Duration::from_secs(10);
/// While no message comes, events are looked for so often: what a rebalance waits for us at most.
const EVENTS_EVERY: Duration = Duration::from_millis(20);

impl Member {
    pub(super) fn join(shared: Arc<Shared>, options: GroupOptions) -> Result<Self, LogError> {
        let config = shared.options.consumer(&options.group, &options.instance);
        let consumer: BaseConsumer<Hook> = config
            .create_with_context(Hook::default())
            .map_err(failed("make a consumer"))?;
        let topics: Vec<String> = options
            .topics
            .iter()
            .map(|subscription| pattern(subscription))
            .collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(failed("subscribe"))?;
        Ok(Member {
            shared,
            options,
            batches: Some(Batches::new(consumer)),
            partitions: HashMap::new(),
            leaving: None,
        })
    }

    fn batches(&mut self) -> &mut Batches<Hook> {
        self.batches.as_mut().expect("only the drop takes them")
    }

    fn consumer(&self) -> &BaseConsumer<Hook> {
        self.batches.as_ref().expect("only the drop takes them").consumer()
    }

    /// Lets go of what was revoked at the last poll: this is what the group waits for.
    fn let_go(&mut self) -> Result<(), LogError> {
        let Some(leaving) = self.leaving.take() else {
            return Ok(());
        };
        let was_begun = |partition: &&TopicPartition| self.partitions.get(*partition).is_some_and(|flow| flow.begun);
        let begun = list(leaving.iter().filter(was_begun).map(|partition| (partition, None)));
        for partition in &leaving {
            self.partitions.remove(partition);
            self.batches().let_go(partition);
        }
        self.consumer()
            .incremental_unassign(&begun)
            .map_err(failed("let partitions go"))
    }

    /// Serves what is no message. A message would be one of a partition that was not split off, and there is none.
    fn serve_events(&self) -> Result<(), LogError> {
        match self.consumer().poll(Duration::ZERO) {
            Some(Err(error)) if ends(&error) => Err(failed("read")(error)),
            Some(Err(error)) => {
                heard(&error, "while polling");
                Ok(())
            }
            Some(Ok(message)) => Err(LogError::NoSuchPartition {
                topic: message.topic().to_owned(),
                partition: message.partition().max(0).cast_unsigned(),
            }),
            None => Ok(()),
        }
    }

    /// The next message to hand over, of those that were taken.
    fn next_message(&mut self) -> Result<Option<Message>, LogError> {
        while let Some(message) = self.batches().next() {
            match message.error() {
                Some(error) if ends(&error) => return Err(failed("read")(error)),
                Some(error) => heard(&error, "while polling"),
                None => return Ok(Some(message)),
            }
        }
        Ok(None)
    }

    fn next_change(&mut self) -> Option<GroupEvent> {
        let change = self.consumer().context().take()?;
        match &change {
            GroupEvent::Assigned(partitions) => {
                let new = partitions.iter().map(|partition| (partition.clone(), Flow::default()));
                self.partitions.extend(new);
            }
            GroupEvent::Revoked(partitions) => self.leaving = Some(partitions.clone()),
            GroupEvent::Polled => {}
        }
        Some(change)
    }

    fn flow(&mut self, partition: &TopicPartition) -> Result<&mut Flow, LogError> {
        self.partitions
            .get_mut(partition)
            .ok_or_else(|| LogError::NoSuchPartition {
                topic: partition.topic.to_string(),
                partition: partition.partition,
            })
    }
}

impl GroupReader for Member {
    fn poll(
        &mut self,
        timeout: Duration,
        records_max: usize,
        sink: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<GroupEvent, LogError> {
        self.let_go()?;
        let deadline = Instant::now() + timeout;
        let mut handed = 0;
        let mut budget = Budget::of_poll(records_max);
        loop {
            self.serve_events()?;
            if let Some(change) = self.next_change() {
                return Ok(change);
            }
            let mut is_idle = false;
            while !budget.is_spent() && !is_idle {
                match self.next_message()? {
                    Some(message) => {
                        let record = message.record();
                        budget.spend(&record);
                        sink(record);
                        handed += 1;
                    }
                    None => is_idle = true,
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if handed > 0 || left.is_zero() {
                return Ok(self.next_change().unwrap_or(GroupEvent::Polled));
            }
            if budget.is_spent() {
                // Who wants no records is not to be woken by them.
                std::thread::sleep(left.min(EVENTS_EVERY));
            } else {
                self.batches().wait(left.min(EVENTS_EVERY));
            }
        }
    }

    fn begin(&mut self, partition: &TopicPartition, offset: u64) -> Result<(), LogError> {
        let flow = *self.flow(partition)?;
        let (first, end) = self.shared.bounds(partition)?;
        let start = list([(partition, Some(offset.clamp(first, end)))]);
        if flow.begun {
            let gone = self.consumer().incremental_unassign(&start);
            gone.map_err(|error| named(error, "stop a partition", partition))?;
        }
        let split = self.batches().split_off(partition);
        split.map_err(|error| named(error, "split a partition off", partition))?;
        let assigned = self.consumer().incremental_assign(&start);
        assigned.map_err(|error| named(error, "start a partition", partition))?;
        if flow.paused {
            let paused = self.consumer().pause(&start);
            paused.map_err(|error| named(error, "pause a partition", partition))?;
            self.batches().pause(partition);
        }
        self.flow(partition)?.begun = true;
        Ok(())
    }

    fn committed(&mut self, partition: &TopicPartition) -> Result<Option<u64>, LogError> {
        let answer = asked(QUERY_TIME_MAX, |left| {
            self.consumer().committed_offsets(list([(partition, None)]), left)
        });
        let answer = answer.map_err(|error| named(error, "ask for a position", partition))?;
        let found = answer.find_partition(&partition.topic, number(partition));
        let offset = found
            .and_then(|found| found.offset().to_raw())
            .filter(|offset| *offset >= 0);
        Ok(offset.map(i64::cast_unsigned))
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        for partition in partitions {
            let flow = self.flow(partition)?;
            flow.paused = true;
            if flow.begun {
                let paused = self.consumer().pause(&list([(partition, None)]));
                paused.map_err(|error| named(error, "pause a partition", partition))?;
            }
            self.batches().pause(partition);
        }
        Ok(())
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        for partition in partitions {
            let flow = self.flow(partition)?;
            flow.paused = false;
            if flow.begun {
                let resumed = self.consumer().resume(&list([(partition, None)]));
                resumed.map_err(|error| named(error, "resume a partition", partition))?;
            }
            self.batches().resume(partition);
        }
        Ok(())
    }

    fn commit_positions(&mut self, positions: &[(TopicPartition, u64)]) -> Result<(), LogError> {
        if positions.is_empty() {
            return Ok(());
        }
        let positions = list(positions.iter().map(|(partition, offset)| (partition, Some(*offset))));
        self.consumer()
            .commit(&positions, CommitMode::Sync)
            .map_err(failed("store positions"))
    }

    fn membership(&self) -> Membership {
        // Without a generation the coordinator does not check the member: better no proof than one that is not looked at.
        let consumer = self.consumer();
        let metadata = consumer
            .group_metadata()
            .filter(|_| native::generation(consumer.client()).is_some());
        match metadata {
            Some(metadata) => Membership::Kafka(Arc::new(metadata)),
            None => Membership::Absent(self.options.group.clone()),
        }
    }

    fn close(self: Box<Self>) {}
}

impl Drop for Member {
    fn drop(&mut self) {
        let Some(batches) = self.batches.take() else { return };
        let leaving = self.leaving.take();
        batches.consumer().context().closing.store(true, Ordering::Release);
        let (done, closed) = sync_channel::<()>(1);
        let close = move || {
            if leaving.is_some() {
                // The group still waits for this answer.
                let _ = batches.consumer().unassign();
            }
            batches.consumer().unsubscribe();
            drop(batches);
            drop(done);
        };
        let spawned = std::thread::Builder::new().name("leave-group".to_owned()).spawn(close);
        if spawned.is_err() || closed.recv_timeout(CLOSE_TIME_MAX) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!(group = self.options.group, "leaving the group did not end in time");
        }
    }
}

/// Notes what a rebalance brings. It runs on the polling thread, inside `poll`; it holds no consumer (rust-rdkafka #627).
#[derive(Default)]
struct Hook {
    changes: Mutex<VecDeque<GroupEvent>>,
    closing: AtomicBool,
}

impl Hook {
    fn take(&self) -> Option<GroupEvent> {
        self.changes.lock().expect("no holder of this lock panics").pop_front()
    }

    fn note(&self, change: GroupEvent) {
        self.changes
            .lock()
            .expect("no holder of this lock panics")
            .push_back(change);
    }
}

impl ClientContext for Hook {
    fn error(&self, error: KafkaError, reason: &str) {
        heard(&error, reason);
    }
}

impl ConsumerContext for Hook {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let assigned = error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Acquire) {
            // Nobody reads the changes any more: everything goes at once.
            let answered = if assigned {
                consumer.incremental_assign(&TopicPartitionList::new())
            } else {
                consumer.unassign()
            };
            if let Err(error) = answered {
                heard(&error, "while leaving the group");
            }
            return;
        }
        let named = partitions
            .elements()
            .iter()
            .map(|element| TopicPartition::new(element.topic(), element.partition().max(0).cast_unsigned()))
            .collect();
        if assigned {
            // The group waits for an answer; the partitions themselves enter at `begin`.
            if let Err(error) = consumer.incremental_assign(&TopicPartitionList::new()) {
                heard(&error, "while answering an assignment");
            }
            self.note(GroupEvent::Assigned(named));
        } else {
            self.note(GroupEvent::Revoked(named));
        }
    }
}

/// A subscription in librdkafka's words: a regular expression begins with `^`.
fn pattern(subscription: &str) -> String {
    match subscription.strip_suffix('*') {
        Some(prefix) => format!("^{}.*", prefix.replace('.', "\\.")),
        None => subscription.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_prefix_becomes_an_anchored_expression() {
        assert_eq!(super::pattern("tocsin.ingest.*"), "^tocsin\\.ingest\\..*");
        assert_eq!(super::pattern("tocsin.alerts"), "tocsin.alerts");
    }
}
