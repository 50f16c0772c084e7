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
    /// A topic cannot be created as asked for.
    #[error("topic {topic} cannot be created: {reason}")]
    TopicRefused {
        /// The topic.
        topic: String,
        /// Why.
        reason: String,
    },
    /// A record without a key for a compacted topic.
    #[error("a record without a key cannot go to the compacted topic {topic}")]
    KeyMissing {
        /// The topic.
        topic: String,
    },
    /// The embedded log lets one member into a group, and there is one.
    #[error("group {group} has a member already")]
    GroupInUse {
        /// The group.
        group: String,
    },
    /// Positions of a group that the committing side is not (or no longer) a member of.
    #[error("not a member of group {group}")]
    NotAMember {
        /// The group.
        group: String,
    },
    /// The group does not know this member any more. It joins anew only when its reader is polled, so it is refused until then.
    #[error("the group has put this member out")]
    Expelled,
    /// A newer committer of the same instance took over.
    #[error("a newer committer of instance {instance} took over")]
    TakenOver {
        /// The instance.
        instance: String,
    },
    /// The embedded log's file is not one, or is damaged.
    #[error("the log file {path} is damaged or is not a log file")]
    Damaged {
        /// The file.
        path: String,
        /// What was found.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An earlier record of a gapless appender was not appended, so this one is not either.
    #[error("an earlier record of this appender was not appended")]
    Stopped,
    /// Reading to a stated end was called off.
    #[error("reading partition {partition} of topic {topic} was called off")]
    CalledOff {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
    },
    /// Reading to a stated end came no further for a minute.
    #[error("reading partition {partition} of topic {topic} stands at offset {position} and does not reach {end}")]
    Stalled {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// Where it stands.
        position: u64,
        /// Where it should get.
        end: u64,
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
