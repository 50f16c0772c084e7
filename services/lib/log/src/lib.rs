//! The log seam: an ordered, partitioned log with read, append and one atomic commit unit.
//!
//! Two implementations stand behind it: [`EmbeddedLog`](embedded::EmbeddedLog), durable, in a data directory, owned by one process; and
//! [`KafkaLog`](kafka::KafkaLog), Apache Kafka through rdkafka. Above the seam nothing knows which one it runs on.
//!
//! What this crate does not do: it knows nothing of events, blocks or groups of keys. Keys and values are bytes.
//!
//! Invariants:
//! * Offsets of one partition only grow; a reader sees them in order, and sees nothing of a unit that was not committed.
//! * A [`Committer`] applies a [`Unit`] wholly or not at all.
//! * Compaction keeps at least the newest record of each key; a record without a value removes its key.
//!
//! Start reading at [`Log`].

mod budget;
mod decorator;
pub mod embedded;
mod error;
pub mod kafka;
mod namespace;
mod read_through;
mod record;
mod topic;
mod topic_watch;

use std::sync::Arc;
use std::time::Duration;

pub use budget::POLL_BYTES_MAX;
pub use decorator::LogDecorator;
pub use error::{CommitError, LogError};
pub use namespace::Namespaced;
pub use read_through::{Progress, ReadThrough, STALLED_TIME_MAX, read_through};
pub use record::{Append, Header, Headers, Record, RecordRef, StampedBy, TopicPartition};
pub use topic::{
    Cleanup, Compaction, PARTITIONS_MAX, RECORD_BYTES_MAX, TOPIC_NAME_BYTES_MAX, TopicDifference, TopicInfo, TopicSpec,
};
pub use topic_watch::{TopicWatch, is_replaced};

/// A log. Cheap to share.
pub trait Log: Send + Sync + 'static {
    /// Creates the topics that are absent. A topic that exists in another shape is an error: with another number of partitions, another clean-up
    /// policy, or (on Kafka) another limit of a batch's bytes or stamps that are the senders'.
    fn ensure_topics(&self, specs: &[TopicSpec]) -> Result<(), LogError>;

    /// Deletes the topics of these names that exist, with everything in them, and returns once they are gone. A topic made anew under the name
    /// is another one: it has another id, and its offsets begin at 0. For commands that nothing else runs beside.
    fn delete_topics(&self, names: &[&str]) -> Result<(), LogError>;

    /// What differs, in the order of `specs`: topics that are absent, those of another shape, and those that keep records longer or shorter, or are
    /// compacted at other times; on Kafka, what an operator sets for all topics is what is wanted. Changes nothing.
    fn check_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicDifference>, LogError>;

    /// The topics that exist, ascending by name. The internal topics of Kafka are left out.
    fn topics(&self) -> Result<Vec<TopicInfo>, LogError>;

    /// First offset still held, and the offset the next record will get (of Kafka: the high watermark, open transactions included).
    fn bounds(&self, partition: &TopicPartition) -> Result<(u64, u64), LogError>;

    /// The offset of the first record that was appended at or after a time (milliseconds since 1970), or the offset that the next record will get
    /// where none was. Of a topic of Kafka that others may stamp: by those stamps.
    fn offset_at(&self, partition: &TopicPartition, at_ms: i64) -> Result<u64, LogError>;

    /// The offsets that the next records will get, as [`Log::bounds`] tells them, if all can be told within `time_max`. For those who show
    /// a lag on a thread that has other work: they do without rather than wait for a broker.
    fn ends(&self, partitions: &[TopicPartition], time_max: Duration) -> Result<Vec<u64>, LogError>;

    /// The positions stored for a group, of whoever reads as its member; `None` where none is. For those who look how far others are behind.
    fn positions(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        time_max: Duration,
    ) -> Result<Vec<Option<u64>>, LogError>;

    /// An appender outside any commit unit. Appends of one appender to one partition keep their order; a retry inside never doubles.
    fn appender(&self, options: AppenderOptions) -> Result<Box<dyn Appender>, LogError>;

    /// A reader that shares partitions with the other members of its group.
    fn group_reader(&self, options: GroupOptions) -> Result<Box<dyn GroupReader>, LogError>;

    /// A reader of stated partitions from stated offsets, outside any group. Sees committed records only.
    fn tail_reader(&self, starts: &[(TopicPartition, u64)]) -> Result<Box<dyn TailReader>, LogError>;

    /// The one committer of an instance. `instance` is stable over restarts (a Kafka `transactional.id`): a new committer with the same
    /// name fences the old one.
    fn committer(&self, instance: &str) -> Result<Box<dyn Committer>, LogError>;
}

/// A shared log.
pub type SharedLog = Arc<dyn Log>;

/// How an appender works.
#[derive(Clone, Debug)]
pub struct AppenderOptions {
    /// A name for logs and metrics.
    pub name: String,
    /// Whether a completed append survives a power failure ([`Durability::Synced`]) or a process failure in order.
    pub durability: Durability,
    /// Whether nothing is appended behind a record that was not: from its first failure on such an appender answers only errors. For
    /// whoever takes a later record as proof that the earlier ones are there.
    pub gapless: bool,
}

/// What a completed append promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It is on disk (Kafka: acknowledged by all in-sync replicas).
    Synced,
    /// It will be on disk before anything appended after it: a crash loses at most a tail. (Kafka: the same as `Synced`.)
    Ordered,
}

/// Appends records.
pub trait Appender: Send + Sync {
    /// Hands over records; the completion tells their offsets, in the order given. Blocks only while the stated buffer limit is reached.
    fn append(&self, records: Vec<Append>) -> Completion;
}

/// The result of an append: a future, or waited for from a plain thread.
pub struct Completion(tokio::sync::oneshot::Receiver<Result<Vec<u64>, LogError>>);

impl Completion {
    /// A completion and the sender that fulfils it.
    pub fn channel() -> (tokio::sync::oneshot::Sender<Result<Vec<u64>, LogError>>, Completion) {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        (sender, Completion(receiver))
    }

    /// Waits on a plain thread (never inside an async runtime).
    pub fn wait(self) -> Result<Vec<u64>, LogError> {
        self.0.blocking_recv().unwrap_or(Err(LogError::Closed))
    }

    /// The result if it is there already.
    pub fn poll_now(&mut self) -> Option<Result<Vec<u64>, LogError>> {
        match self.0.try_recv() {
            Ok(result) => Some(result),
            Err(tokio::sync::oneshot::error::TryRecvError::Empty) => None,
            Err(tokio::sync::oneshot::error::TryRecvError::Closed) => Some(Err(LogError::Closed)),
        }
    }
}

impl std::future::Future for Completion {
    type Output = Result<Vec<u64>, LogError>;
    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0)
            .poll(context)
            .map(|received| received.unwrap_or(Err(LogError::Closed)))
    }
}

/// Which group, and what it reads.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// The name of the group.
    pub group: String,
    /// A name of this member that is stable over restarts; it gets its partitions back without a rebalance. Empty: none, the member is a
    /// new one each time. (The embedded log has one member and does not look at it.)
    pub instance: String,
    /// Topics by full name, or by a prefix that ends in `*` (topics that appear later are found).
    pub topics: Vec<String>,
}

/// What a poll of a group reader tells beside the records it hands to its sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEvent {
    /// Nothing but (perhaps) records.
    Polled,
    /// These partitions are ours. Nothing is read from them until [`GroupReader::begin`] says where.
    Assigned(Vec<TopicPartition>),
    /// These partitions go away. Their uncommitted work must be finished or dropped before the next poll.
    Revoked(Vec<TopicPartition>),
}

/// Reads as a member of a group. Owned by one thread.
pub trait GroupReader: Send {
    /// Waits at most `timeout` for records or an event, and hands at most `records_max` records and (but for the last record)
    /// [`POLL_BYTES_MAX`] bytes to `sink`, borrowed. An event is returned before any record that follows it. Topics come in turn: what is
    /// in one keeps the records of another waiting for some polls at most, however much it is.
    fn poll(
        &mut self,
        timeout: Duration,
        records_max: usize,
        sink: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<GroupEvent, LogError>;

    /// Starts an assigned partition at an offset (clamped to what is still held).
    fn begin(&mut self, partition: &TopicPartition, offset: u64) -> Result<(), LogError>;

    /// The position last committed for this group, if any.
    fn committed(&mut self, partition: &TopicPartition) -> Result<Option<u64>, LogError>;

    /// Stops and restarts the flow from partitions (back-pressure). Polling must go on meanwhile.
    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError>;

    /// See [`GroupReader::pause`].
    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError>;

    /// Stores positions (the next offset to read) for this group, outside any unit.
    fn commit_positions(&mut self, positions: &[(TopicPartition, u64)]) -> Result<(), LogError>;

    /// Proof of membership that a committer needs to commit positions.
    fn membership(&self) -> Membership;

    /// Leaves the group in order.
    fn close(self: Box<Self>);
}

/// Proof of membership in a group, taken anew after each poll.
pub enum Membership {
    /// The embedded log: the group's name.
    Embedded(String),
    /// Kafka's group metadata.
    Kafka(Arc<rdkafka::consumer::ConsumerGroupMetadata>),
    /// Not a member at the moment, of the group of this name: positions cannot be committed.
    Absent(String),
}

/// Reads stated partitions to their moving end. Owned by one thread.
pub trait TailReader: Send {
    /// Waits at most `timeout` and hands at most `records_max` records and (but for the last record) [`POLL_BYTES_MAX`] bytes to `sink`,
    /// borrowed. Returns how many records.
    fn poll(
        &mut self,
        timeout: Duration,
        records_max: usize,
        sink: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<usize, LogError>;

    /// The offset up to which this partition was read: records, and gaps left by transactions and compaction.
    fn position(&self, partition: &TopicPartition) -> Option<u64>;
}

/// The atomic unit: appends and input positions together.
#[derive(Debug, Default)]
pub struct Unit {
    /// Records to append, in order.
    pub appends: Vec<Append>,
    /// Next offsets to read, of the group whose membership is shown.
    pub positions: Vec<(TopicPartition, u64)>,
}

/// Commits units. Owned by one thread.
pub trait Committer: Send {
    /// Applies the unit wholly or not at all, and returns once it is durable.
    ///
    /// # Errors
    /// [`CommitError`] says what is known: not applied (try again), fenced (stop), or not known (make a new committer and reload state).
    fn commit(&mut self, membership: &Membership, unit: Unit) -> Result<(), CommitError>;
}
