/// What goes wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another process owns the data directory.
    #[error("the data directory {directory} is in use by another process")]
    InUse {
        /// The directory.
        directory: String,
    },
    /// The topic or partition does not exist.
    #[error("no partition {partition} of topic {topic}")]
    NoSuchPartition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
    },
    /// A topic exists in another shape than asked for.
    #[error("topic {topic} exists with another shape: {difference}")]
    TopicMismatch {
        /// The topic.
        topic: String,
        /// What differs.
        difference: String,
    },
    /// A record is larger than its topic allows.
    #[error("a record of {bytes} bytes is larger than topic {topic} allows")]
    RecordTooLarge {
        /// The topic.
        topic: String,
        /// The record's size.
        bytes: usize,
    },
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
    /// The embedded store failed.
    #[error("{operation} in the embedded log")]
    Embedded {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Kafka failed.
    #[error("{operation} on Kafka{}", topic.as_deref().map(|topic| format!(" (topic {topic})")).unwrap_or_default())]
    Kafka {
        /// What was tried.
        operation: &'static str,
        /// The topic, where one is concerned.
        topic: Option<String>,
        /// Why it failed.
        #[source]
        source: rdkafka::error::KafkaError,
    },
}

/// What is known of a unit whose commit failed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing of it was applied; the same unit may be tried again.
    #[error("the unit was not applied")]
    NotApplied(#[source] LogError),
    /// Another instance took over, or partitions of the unit are no longer ours: nothing was applied, drop the work.
    #[error("the committer was fenced")]
    Fenced(#[source] LogError),
    /// It may or may not have been applied: make a new committer and reload the state.
    #[error("it is not known whether the unit was applied")]
    Unknown(#[source] LogError),
}
