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
    #[error(
        "the state was written with {written} sightings partitions, {configured} are configured: configure {written} again, or move the key groups \
         with `tocsin topics repartition`"
    )]
    OtherPartitionCount {
        /// In the header.
        written: u16,
        /// In the configuration.
        configured: u16,
    },
    /// The state was written by another version.
    #[error(
        "the state has version {written}, this program knows version {known}: run the program that wrote it, and for the way back set \
         detector.state_version there"
    )]
    OtherStateVersion {
        /// In the header.
        written: u16,
        /// Known here.
        known: u16,
    },
    /// The state was written under another key epoch: its sketches have other seeds.
    #[error(
        "the state was written under key epoch {written}, {configured} is configured: set keys.epoch to {written} again"
    )]
    OtherKeyEpoch {
        /// In the header.
        written: u32,
        /// In the configuration.
        configured: u32,
    },
    /// The state was written under another deployment key: nothing of it means the same here.
    #[error(
        "the state of partition {partition} was written under another deployment key: configure the key and the log that belong together, or let \
         the partition begin anew with `tocsin topics salvage --partition {partition}`"
    )]
    OtherDeployment {
        /// The partition.
        partition: u32,
    },
    /// Retention deleted input that the restore needs.
    #[error(
        "partition {partition}: the state must be completed from offset {needed} on, but the log begins at {first_held}: what is missing is lost; \
         go on without it with `tocsin topics salvage --partition {partition}`"
    )]
    InputDeleted {
        /// The partition.
        partition: u32,
        /// The first offset needed.
        needed: u64,
        /// The first offset held.
        first_held: u64,
    },
    /// The input ends before what is in the state: it was truncated, or its topic was deleted and made anew.
    #[error(
        "partition {partition}: the state holds sightings up to offset {needed}, but the log ends at {end}: it was cut, or deleted and made anew; \
         bring it back, or go on with what it is now with `tocsin topics salvage --partition {partition}`"
    )]
    InputEndsBefore {
        /// The partition.
        partition: u32,
        /// The offset behind what the state holds.
        needed: u64,
        /// The offset that the next record will get.
        end: u64,
    },
    /// The sightings topic is another one than the state's: offsets of the one say nothing of the other.
    #[error(
        "partition {partition}: the sightings topic was deleted and made anew since the state was written; go on with the new one with \
         `tocsin topics salvage --partition {partition}`"
    )]
    InputReplaced {
        /// The partition.
        partition: u32,
    },
    /// A partition without a header that is no new one.
    #[error(
        "partition {partition} has no header in tocsin.state, but {sign}: its state was lost; bring the topic back, or let the partition begin \
         anew with `tocsin topics salvage --partition {partition}`"
    )]
    StateLost {
        /// The partition.
        partition: u32,
        /// What tells that it had a state.
        sign: String,
    },
    /// The state topic is another one than the one that was restored from: what did not change since is not in it.
    #[error(
        "the state topic was deleted and made anew while this process ran: stop all detectors, and start one to learn what is missing"
    )]
    StateReplaced,
    /// An audit has nowhere to begin.
    #[error(
        "key group {group} has no copy before the span, and the log does not go back to its beginning: a later span is wanted"
    )]
    NothingToBeginFrom {
        /// The group.
        group: u16,
    },
    /// A partition's header cannot be read: where its state stands is not known.
    #[error(
        "the header of the state of partition {partition} cannot be used: {reason}; run the program that wrote it, or let the partition begin anew \
         with `tocsin topics salvage --partition {partition}`"
    )]
    BrokenHeader {
        /// The partition.
        partition: u32,
        /// Why.
        reason: String,
    },
    /// The state of a partition was not whole, and the process is out of the group: whoever has the partition now writes there.
    #[error("partition {partition} went to another process while it was restored: start this one again")]
    GoneMeanwhile {
        /// The partition.
        partition: u32,
        /// What the restore met.
        #[source]
        source: Box<DetectorError>,
    },
    /// What a partition had to say to others cannot be read.
    #[error(
        "what partition {partition} had to say to other partitions cannot be used: go on without it with `tocsin topics salvage --partition \
         {partition}`"
    )]
    BrokenOnward {
        /// The partition.
        partition: u32,
    },
    /// The topics of the key groups have different numbers of partitions, or are absent.
    #[error(
        "the topics of sightings, state and checkpoints do not have one number of partitions ({sightings}, {state}): `tocsin topics check` says \
         which is not as it must be"
    )]
    UnevenTopics {
        /// Of the sightings.
        sightings: u32,
        /// Of the state.
        state: u32,
    },
    /// Something writes while the key groups are to move, or their state is to be salvaged.
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
    /// A partition's header has a layout of after this program's: its state is whole, and a newer program reads it.
    #[error(
        "the header of the state of partition {partition} has layout {written}, this program knows layout {known}: a newer program wrote it; run \
         the program that wrote it"
    )]
    OtherHeaderLayout {
        /// The partition.
        partition: u32,
        /// Of the header.
        written: u16,
        /// Known here.
        known: u16,
    },
    /// A group's state cannot be read, or is not there.
    #[error(
        "the state of key group {group} cannot be used: {reason}; bring the topic back, or let this group begin anew with `tocsin topics salvage \
         --partition N`, where N is the group's number modulo that of the partitions"
    )]
    BrokenState {
        /// The group.
        group: u16,
        /// Why.
        reason: String,
    },
}

impl DetectorError {
    /// The name under which the operators' guide has what to do; `None` of what is no refusal: the log, a commit or a metric failed.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            DetectorError::Log(_) | DetectorError::Commit(_) | DetectorError::Metrics(_) => None,
            DetectorError::OtherPartitionCount { .. } => Some("other_partition_count"),
            DetectorError::OtherStateVersion { .. } => Some("other_state_version"),
            DetectorError::OtherKeyEpoch { .. } => Some("other_key_epoch"),
            DetectorError::OtherDeployment { .. } => Some("other_deployment"),
            DetectorError::InputDeleted { .. } => Some("input_deleted"),
            DetectorError::InputEndsBefore { .. } => Some("input_ends_before"),
            DetectorError::InputReplaced { .. } => Some("input_replaced"),
            DetectorError::StateLost { .. } => Some("state_lost"),
            DetectorError::StateReplaced => Some("state_replaced"),
            DetectorError::NothingToBeginFrom { .. } => Some("nothing_to_begin_from"),
            DetectorError::BrokenHeader { .. } => Some("broken_header"),
            DetectorError::GoneMeanwhile { .. } => Some("gone_meanwhile"),
            DetectorError::BrokenOnward { .. } => Some("broken_onward"),
            DetectorError::UnevenTopics { .. } => Some("uneven_topics"),
            DetectorError::NotAtRest { .. } => Some("not_at_rest"),
            DetectorError::OtherMove { .. } => Some("other_move"),
            DetectorError::StagingIncomplete { .. } => Some("staging_incomplete"),
            DetectorError::OtherHeaderLayout { .. } => Some("other_header_layout"),
            DetectorError::BrokenState { .. } => Some("broken_state"),
        }
    }

    /// Whether a restore refused what it read: a state that another process writes meanwhile can look so.
    pub(crate) fn refuses_state(&self) -> bool {
        use DetectorError::{BrokenHeader, BrokenOnward, BrokenState, InputDeleted, InputEndsBefore, StateLost};
        matches!(
            self,
            BrokenHeader { .. }
                | BrokenOnward { .. }
                | BrokenState { .. }
                | InputDeleted { .. }
                | InputEndsBefore { .. }
                | StateLost { .. }
        )
    }

    /// Whether a partition of which this is said can go on with what is left of its state.
    pub(crate) fn is_salvageable(&self) -> bool {
        let is_other = matches!(
            self,
            DetectorError::InputReplaced { .. } | DetectorError::OtherDeployment { .. }
        );
        is_other || self.refuses_state()
    }
}
