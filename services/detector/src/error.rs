use tocsin_log::{CommitError, LogError};

/// Why a detector stops.
#[derive(Debug, thiserror::Error)]
pub enum DetectorError {
    /// The log failed.
    #[error("the log failed")]
    Log(#[source] Box<LogError>),
    /// A unit could not be committed.
    #[error("a unit could not be committed")]
    Commit(#[source] Box<CommitError>),
    /// A metric could not be registered.
    #[error("a metric could not be registered")]
    Metrics(#[source] prometheus::Error),
    /// The state was written with another number of sightings partitions.
    #[error("the state was written with {written} sightings partitions, {configured} are configured")]
    OtherPartitionCount {
        /// In the header.
        written: u16,
        /// In the configuration.
        configured: u16,
    },
    /// The state was written by another version.
    #[error("the state has version {written}, this program knows version {known}")]
    OtherStateVersion {
        /// In the header.
        written: u16,
        /// Known here.
        known: u16,
    },
    /// The state was written under another key epoch: its sketches have other seeds.
    #[error("the state was written under key epoch {written}, {configured} is configured")]
    OtherKeyEpoch {
        /// In the header.
        written: u32,
        /// In the configuration.
        configured: u32,
    },
    /// Retention deleted input that the restore needs.
    #[error(
        "partition {partition}: the state must be completed from offset {needed} on, but the log begins at {first_held}"
    )]
    InputDeleted {
        /// The partition.
        partition: u32,
        /// The first offset needed.
        needed: u64,
        /// The first offset held.
        first_held: u64,
    },
    /// An audit has nowhere to begin.
    #[error(
        "key group {group} has no copy before the span, and the log does not go back to its beginning: a later span is wanted"
    )]
    NothingToBeginFrom {
        /// The group.
        group: u16,
    },
    /// A partition's header cannot be read: where its state stands is not known.
    #[error("the header of the state of partition {partition} cannot be used: {reason}")]
    BrokenHeader {
        /// The partition.
        partition: u32,
        /// Why.
        reason: String,
    },
    /// The state of a partition was not whole, and the process is out of the group: whoever has the partition now writes there.
    #[error("partition {partition} went to another process while it was restored")]
    GoneMeanwhile {
        /// The partition.
        partition: u32,
        /// What the restore met.
        #[source]
        source: Box<DetectorError>,
    },
    /// What a partition had to say to others cannot be read.
    #[error("what partition {partition} had to say to other partitions cannot be used")]
    BrokenOnward {
        /// The partition.
        partition: u32,
    },
    /// The topics of the key groups have different numbers of partitions, or are absent.
    #[error(
        "the topics of sightings, state and checkpoints do not have one number of partitions ({sightings}, {state})"
    )]
    UnevenTopics {
        /// Of the sightings.
        sightings: u32,
        /// Of the state.
        state: u32,
    },
    /// Something writes while the key groups are to move.
    #[error("partition {partition} does not come to rest: every role must be stopped")]
    NotAtRest {
        /// The partition, or the first of several.
        partition: u32,
    },
    /// The key groups are on their way to another number of partitions.
    #[error("the key groups are on their way to {to} partitions: that number must be configured until they are there")]
    OtherMove {
        /// That number.
        to: u32,
    },
    /// Not everything that was put into the staging topic is there.
    #[error(
        "of {put} records put into tocsin.repartition {found} are there, and this run deleted nothing. Let the broker keep the topic \
         (retention.ms and retention.bytes of -1). If tocsin.state is whole, delete tocsin.repartition and run the command again; if a run before \
         this one had deleted tocsin.state already, what is missing is lost"
    )]
    StagingIncomplete {
        /// Records that were put there.
        put: u64,
        /// Records that are there.
        found: u64,
    },
    /// A group's state cannot be read.
    #[error("the state of key group {group} cannot be used: {reason}")]
    BrokenState {
        /// The group.
        group: u16,
        /// Why.
        reason: String,
    },
}

impl DetectorError {
    /// Whether a restore refused what it read: a state that another process writes meanwhile can look so.
    pub(crate) fn refuses_state(&self) -> bool {
        use DetectorError::{BrokenHeader, BrokenOnward, BrokenState, InputDeleted};
        matches!(
            self,
            BrokenHeader { .. } | BrokenOnward { .. } | BrokenState { .. } | InputDeleted { .. }
        )
    }
}
