//! The Kafka log: Apache Kafka through rdkafka.
//!
//! Each reader, appender and committer is a client of its own; readers belong to the thread that polls them. Start at [`KafkaLog`]; the
//! settings of all clients, with reasons, stand in `settings`.
//!
//! Invariants:
//! * The classic group protocol with cooperative-sticky assignment. A partition enters the client's assignment once, at
//!   [`GroupReader::begin`], with the offset stated there: nothing is fetched before.
//! * Readers see committed records only; [`Log::bounds`] includes open transactions.
//! * A committer's `transactional.id` is its instance's name, so a restart fences what went before.

mod append;
mod client;
mod commit;
mod group;
mod native;
mod positions;
mod settings;
mod tail;
mod topics;

use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

pub use settings::KafkaOptions;

use client::Quiet;

use crate::{
    Append, Appender, AppenderOptions, Committer, GroupOptions, GroupReader, Log, LogError, TailReader,
    TopicDifference, TopicInfo, TopicPartition, TopicSpec,
};

/// How long a question to the brokers may take.
const QUERY_TIME_MAX: Duration = Duration::from_secs(15);
/// How long one try of a question may take, and the pause before the next.
const TRY_TIME_MAX: Duration = Duration::from_secs(3);
const TRY_PAUSE: Duration = Duration::from_millis(50);

/// Apache Kafka as a log.
pub struct KafkaLog {
    shared: Arc<Shared>,
}

/// What the clients of one log share.
struct Shared {
    options: KafkaOptions,
    queries: BaseConsumer<Quiet>,
    /// Clients that ask for the positions of a group and are no members of it, by group.
    outsiders: Mutex<HashMap<String, BaseConsumer<Quiet>>>,
    /// The largest record of each topic this process declared, in bytes; of others the broker enforces its own limit.
    record_bytes_max: Mutex<HashMap<String, u32>>,
}

impl KafkaLog {
    /// Connects, and fails if no broker answers within 15 s.
    pub fn connect(options: KafkaOptions) -> Result<Self, LogError> {
        let queries: BaseConsumer<Quiet> = options
            .queries()
            .create_with_context(Quiet)
            .map_err(failed("make a client"))?;
        queries
            .fetch_metadata(None, QUERY_TIME_MAX)
            .map_err(failed("connect"))?;
        Ok(KafkaLog {
            shared: Arc::new(Shared {
                options,
                queries,
                outsiders: Mutex::default(),
                record_bytes_max: Mutex::default(),
            }),
        })
    }
}

impl Shared {
    fn bounds(&self, partition: &TopicPartition) -> Result<(u64, u64), LogError> {
        self.bounds_within(partition, QUERY_TIME_MAX)
    }

    fn bounds_within(&self, partition: &TopicPartition, time_max: Duration) -> Result<(u64, u64), LogError> {
        let is_again = Cell::new(false);
        let fetched = asked(time_max, |left| {
            let topic = &partition.topic;
            // The leader that librdkafka knows is asked for minutes, dead or alive, unless the brokers are asked anew who leads.
            if is_again.replace(true) {
                let _ = self.queries.fetch_metadata(Some(topic), left);
            }
            let fetched = self.queries.fetch_watermarks(topic, number(partition), left);
            // Errors of the connection gather in the client's queue: they are served here, where the answer tells of them too.
            while self.queries.poll(Duration::ZERO).is_some() {}
            fetched
        });
        let (low, high) = fetched.map_err(|error| named(error, "ask for the bounds", partition))?;
        Ok((low.max(0).cast_unsigned(), high.max(0).cast_unsigned()))
    }

    fn offset_at(&self, partition: &TopicPartition, at_ms: i64) -> Result<u64, LogError> {
        let end = self.bounds(partition)?.1;
        // In a question for offsets the time stands in place of the offset. Times below zero are logical ones there.
        let time = Some(at_ms.max(0).cast_unsigned());
        let asked_for = |left| {
            let found = self.queries.offsets_for_times(list([(partition, time)]), left);
            while self.queries.poll(Duration::ZERO).is_some() {}
            found
        };
        let found = asked(QUERY_TIME_MAX, asked_for);
        let found = found.map_err(|error| named(error, "ask for the offset at a time", partition))?;
        let element = found.find_partition(&partition.topic, number(partition));
        let offset = element.and_then(|element| element.offset().to_raw());
        // Without such a record the answer is the logical offset of the end.
        Ok(offset
            .filter(|offset| *offset >= 0)
            .map_or(end, |offset| end.min(offset.cast_unsigned())))
    }

    /// What both logs refuse before anything is sent.
    fn check(&self, append: &Append) -> Result<(), LogError> {
        let declared = self.record_bytes_max.lock().expect("no holder of this lock panics");
        let bytes = append.bytes();
        match declared.get(&*append.to.topic) {
            Some(bytes_max) if bytes > *bytes_max as usize => Err(LogError::RecordTooLarge {
                topic: append.to.topic.to_string(),
                bytes,
            }),
            _ => Ok(()),
        }
    }
}

impl Log for KafkaLog {
    fn ensure_topics(&self, specs: &[TopicSpec]) -> Result<(), LogError> {
        topics::ensure(&self.shared, specs)
    }

    fn delete_topics(&self, names: &[&str]) -> Result<(), LogError> {
        topics::delete(&self.shared, names)
    }

    fn check_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicDifference>, LogError> {
        topics::check(&self.shared, specs)
    }

    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        topics::list(&self.shared)
    }

    fn bounds(&self, partition: &TopicPartition) -> Result<(u64, u64), LogError> {
        self.shared.bounds(partition)
    }

    fn offset_at(&self, partition: &TopicPartition, at_ms: i64) -> Result<u64, LogError> {
        self.shared.offset_at(partition, at_ms)
    }

    fn ends(&self, partitions: &[TopicPartition], time_max: Duration) -> Result<Vec<u64>, LogError> {
        let deadline = Instant::now() + time_max;
        let end = |partition| {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let late = KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
                return Err(named(late, "ask for the end in time", partition));
            }
            Ok(self.shared.bounds_within(partition, left)?.1)
        };
        partitions.iter().map(end).collect()
    }

    fn positions(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        time_max: Duration,
    ) -> Result<Vec<Option<u64>>, LogError> {
        let asked = list(partitions.iter().map(|partition| (partition, None)));
        let mut outsiders = self.shared.outsiders.lock().expect("no holder of this lock panics");
        let outsider = match outsiders.entry(group.to_owned()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let made = self.shared.options.outsider(group).create_with_context(Quiet);
                entry.insert(made.map_err(failed("make a client"))?)
            }
        };
        let answer = outsider.committed_offsets(asked, time_max);
        while outsider.poll(Duration::ZERO).is_some() {}
        let answer = answer.map_err(failed("ask for the positions of a group"))?;
        let position = |partition: &TopicPartition| {
            let found = answer.find_partition(&partition.topic, number(partition))?;
            found
                .offset()
                .to_raw()
                .filter(|offset| *offset >= 0)
                .map(i64::cast_unsigned)
        };
        Ok(partitions.iter().map(position).collect())
    }

    fn appender(&self, options: AppenderOptions) -> Result<Box<dyn Appender>, LogError> {
        Ok(Box::new(append::Producing::new(self.shared.clone(), &options)?))
    }

    fn group_reader(&self, options: GroupOptions) -> Result<Box<dyn GroupReader>, LogError> {
        Ok(Box::new(group::Member::join(self.shared.clone(), options)?))
    }

    fn tail_reader(&self, starts: &[(TopicPartition, u64)]) -> Result<Box<dyn TailReader>, LogError> {
        Ok(Box::new(tail::Tail::new(&self.shared, starts)?))
    }

    fn committer(&self, instance: &str) -> Result<Box<dyn Committer>, LogError> {
        Ok(Box::new(commit::Transactions::new(self.shared.clone(), instance)?))
    }
}

/// Asks until there is an answer, or an error that does not pass, or the time is over. librdkafka puts a question to the leader it knows: when that one
/// has died the question fails, or waits for its whole time-out, while another leads. So no try takes the whole time.
fn asked<T>(time_max: Duration, ask: impl Fn(Duration) -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    let deadline = Instant::now() + time_max;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match ask(left.min(TRY_TIME_MAX)) {
            Err(error) if is_passing(&error) && Instant::now() < deadline => std::thread::sleep(TRY_PAUSE),
            answer => return answer,
        }
    }
}

/// Whether a broker has just died, or a partition or a group is between two that serve it.
fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::FencedLeaderEpoch
                | RDKafkaErrorCode::UnknownLeaderEpoch
                | RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::DestroyBroker
                | RDKafkaErrorCode::OperationTimedOut
        )
    )
}

fn failed(operation: &'static str) -> impl Fn(KafkaError) -> LogError {
    move |source| LogError::Kafka {
        operation,
        topic: None,
        source,
    }
}

/// An error about one partition, in the seam's words where it has some.
fn named(source: KafkaError, operation: &'static str, partition: &TopicPartition) -> LogError {
    match source.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition,
        ) => LogError::NoSuchPartition {
            topic: partition.topic.to_string(),
            partition: partition.partition,
        },
        _ => LogError::Kafka {
            operation,
            topic: Some(partition.topic.to_string()),
            source,
        },
    }
}

/// An error about one record.
fn named_record(source: KafkaError, operation: &'static str, append: &Append) -> LogError {
    let topic = append.to.topic.to_string();
    match source.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => LogError::RecordTooLarge {
            topic,
            bytes: append.bytes(),
        },
        Some(RDKafkaErrorCode::InvalidRecord) if append.key.is_none() => LogError::KeyMissing { topic },
        _ => named(source, operation, &append.to),
    }
}

/// Kafka numbers partitions with an `i32`; ours are checked against [`PARTITIONS_MAX`](crate::PARTITIONS_MAX) or came from Kafka.
fn number(partition: &TopicPartition) -> i32 {
    i32::try_from(partition.partition).unwrap_or(i32::MAX)
}

/// A list for librdkafka; an offset too large for it is its largest.
fn list<'a>(partitions: impl IntoIterator<Item = (&'a TopicPartition, Option<u64>)>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in partitions {
        let offset = offset.map_or(Offset::Invalid, |offset| {
            Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX))
        });
        list.add_partition_offset(&partition.topic, number(partition), offset)
            .expect("none of these offsets is a logical one");
    }
    list
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use rdkafka::mocking::MockCluster;

    use super::*;

    #[test]
    fn a_question_is_put_again_until_somebody_serves_it() {
        let asked_with = |answers: &[Result<u8, RDKafkaErrorCode>]| {
            let answers = RefCell::new(answers.iter());
            let answer = asked(QUERY_TIME_MAX, |left| {
                assert!(left <= TRY_TIME_MAX, "one try takes the whole time");
                let answer = *answers.borrow_mut().next().expect("asked too often");
                answer.map_err(KafkaError::MetadataFetch)
            });
            (answer.ok(), answers.into_inner().len())
        };
        use RDKafkaErrorCode::{DestroyBroker, NotCoordinator, OperationTimedOut, TopicAuthorizationFailed};
        let passing = [Err(DestroyBroker), Err(OperationTimedOut), Err(NotCoordinator), Ok(7)];
        assert_eq!(asked_with(&passing), (Some(7), 0));
        let not_passing = [Err(TopicAuthorizationFailed), Ok(7)];
        assert_eq!(asked_with(&not_passing), (None, 1));
        let late = asked(Duration::ZERO, |_| {
            Err::<(), _>(KafkaError::MetadataFetch(OperationTimedOut))
        });
        assert!(late.is_err(), "the time is over");
    }

    /// librdkafka's own brokers.
    #[test]
    fn a_leader_that_died_is_asked_for_the_bounds_no_more() {
        let brokers = MockCluster::new(2).expect("brokers");
        brokers.create_topic("t", 1, 1).expect("a topic");
        brokers.partition_leader("t", 0, Some(2)).expect("a leader");
        let log = KafkaLog::connect(KafkaOptions::new(brokers.bootstrap_servers())).expect("a log");
        let partition = TopicPartition::new("t", 0);
        assert_eq!(log.bounds(&partition).expect("its leader answers"), (0, 0));
        brokers.broker_down(2).expect("it dies");
        let failed = log.shared.bounds_within(&partition, Duration::ZERO);
        let Err(LogError::Kafka { source, .. }) = failed else {
            panic!("{failed:?}")
        };
        assert!(is_passing(&source), "{source:?}");
        brokers.partition_leader("t", 0, Some(1)).expect("a leader");
        assert_eq!(log.bounds(&partition).expect("the next leader answers"), (0, 0));
    }
}
