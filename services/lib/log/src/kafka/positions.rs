//! Positions into a transaction, within a time that librdkafka does not keep.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::commit::retried;

/// Adds positions to transactions. `send_offsets_to_transaction` does not keep its time-out (librdkafka #5456): when the group's coordinator dies
/// it may never return. So each call has a thread of its own, and is left behind with its producer when it takes too long.
pub(super) struct Positions {
    patience: Patience,
    /// Held by every call too: as many as hold it beside this one have not returned.
    calls: Arc<()>,
}

/// Positions that are not part of the transaction.
#[derive(Debug)]
pub(super) enum NotAdded {
    /// The coordinators refused them.
    Refused(KafkaError),
    /// They did not answer in time. The call may still be under way, so its producer can do nothing more.
    Unanswered,
    /// [`HANGING_MAX`] calls are under way for ever. No further one is tried.
    TooManyHang,
}

/// So many calls may hang at a time, each with a producer and its threads.
const HANGING_MAX: usize = 4;
/// The shortest a call is waited for. Where nothing is wrong it takes milliseconds, and when a broker dies a moved coordinator answers within this
/// once the records could be delivered.
const WAIT_MIN: Duration = Duration::from_secs(3);
/// The longest a call is waited for.
const WAIT_MAX: Duration = Duration::from_secs(10);

impl Positions {
    pub(super) fn new() -> Self {
        Positions {
            patience: Patience { wait: WAIT_MIN },
            calls: Arc::new(()),
        }
    }

    /// Makes the positions part of the open transaction.
    ///
    /// # Errors
    /// See [`NotAdded`].
    pub(super) fn add<C: ProducerContext + 'static>(
        &mut self,
        producer: &Arc<BaseProducer<C>>,
        positions: TopicPartitionList,
        group: Arc<ConsumerGroupMetadata>,
    ) -> Result<(), NotAdded> {
        if Arc::strong_count(&self.calls) > HANGING_MAX {
            return Err(NotAdded::TooManyHang);
        }
        let (done, answer) = sync_channel(1);
        let (producer, call, wait) = (Arc::clone(producer), Arc::clone(&self.calls), self.patience.wait);
        let began_at = Instant::now();
        let send = move || {
            let sent = retried(began_at + wait, |left| {
                producer.send_offsets_to_transaction(&positions, &group, left)
            });
            // Before the answer: whoever has it may count the calls.
            drop((producer, call));
            // Nobody waits any more for one that hung.
            let _ = done.send(sent);
        };
        let thread = std::thread::Builder::new().name("positions".to_owned());
        if thread.spawn(send).is_err() {
            return Err(NotAdded::TooManyHang);
        }
        match answer.recv_timeout(wait) {
            Ok(Err(KafkaError::Transaction(error))) if error.is_retriable() => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            Ok(sent) => {
                self.patience.answered(began_at.elapsed());
                return sent.map_err(NotAdded::Refused);
            }
        }
        self.patience.unanswered();
        Err(NotAdded::Unanswered)
    }
}

/// How long a call is waited for. A dead coordinator is to cost little, and a far one must not be taken for dead again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Patience {
    wait: Duration,
}

impl Patience {
    /// A call took so long: the next may take four times that.
    fn answered(&mut self, took: Duration) {
        self.wait = (4 * took).clamp(WAIT_MIN, WAIT_MAX);
    }

    fn unanswered(&mut self) {
        self.wait = (2 * self.wait).min(WAIT_MAX);
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::mocking::{MockCluster, MockCoordinator};
    use rdkafka::producer::BaseRecord;
    use rdkafka::{ClientConfig, Offset};

    use super::*;

    #[test]
    fn a_far_coordinator_is_waited_for_and_a_dead_one_costs_little() {
        let mut patience = Patience { wait: WAIT_MIN };
        patience.answered(Duration::from_millis(4));
        assert_eq!(patience.wait, WAIT_MIN);
        patience.unanswered();
        assert_eq!(patience.wait, 2 * WAIT_MIN);
        patience.unanswered();
        assert_eq!(patience.wait, WAIT_MAX, "it does not grow for ever");
        patience.answered(Duration::from_secs(2));
        assert_eq!(patience.wait, Duration::from_secs(8));
        patience.answered(Duration::from_millis(4));
        assert_eq!(patience.wait, WAIT_MIN);
    }

    /// librdkafka's own brokers: the transactions' coordinator lives, that of the group is dead and has not moved.
    #[test]
    fn a_dead_coordinator_of_the_group_is_not_waited_for_beyond_the_time() {
        let brokers = MockCluster::new(2).expect("brokers");
        brokers.create_topic("t", 1, 1).expect("a topic");
        brokers.partition_leader("t", 0, Some(1)).expect("a leader");
        brokers
            .coordinator(MockCoordinator::Transaction("i".to_owned()), 1)
            .expect("a coordinator");
        brokers
            .coordinator(MockCoordinator::Group("g".to_owned()), 2)
            .expect("a coordinator");
        let config = |more: &[(&str, &str)]| {
            let mut config = ClientConfig::new();
            config.set("bootstrap.servers", brokers.bootstrap_servers());
            for (name, value) in more {
                config.set(*name, *value);
            }
            config
        };
        let consumer: BaseConsumer = config(&[("group.id", "g")]).create().expect("a consumer");
        let group = Arc::new(consumer.group_metadata().expect("a member"));
        let producer: BaseProducer = config(&[("transactional.id", "i")]).create().expect("a producer");
        let producer = Arc::new(producer);
        let list = || {
            let mut list = TopicPartitionList::new();
            list.add_partition_offset("t", 0, Offset::Offset(1)).expect("an offset");
            list
        };
        let begin = || {
            producer.begin_transaction().expect("a transaction");
            producer
                .send(BaseRecord::<str, str>::to("t").payload("v"))
                .expect("queued");
        };
        producer.init_transactions(Duration::from_secs(10)).expect("taken over");
        let mut positions = Positions::new();
        begin();
        positions
            .add(&producer, list(), Arc::clone(&group))
            .expect("both coordinators answer");
        producer.commit_transaction(Duration::from_secs(10)).expect("committed");

        brokers.broker_down(2).expect("it dies");
        begin();
        positions.patience.wait = Duration::from_millis(500);
        let late = positions.add(&producer, list(), Arc::clone(&group));
        assert!(matches!(late, Err(NotAdded::Unanswered)), "{late:?}");
        assert_eq!(positions.patience.wait, Duration::from_secs(1));
        let _hanging = [(); HANGING_MAX].map(|()| Arc::clone(&positions.calls));
        let refused = positions.add(&producer, list(), group);
        assert!(matches!(refused, Err(NotAdded::TooManyHang)), "{refused:?}");
    }
}
