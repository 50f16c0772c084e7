/// A step of a commit, a checkpoint, a restore or a write of the embedded log, behind which a process may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailPoint {
    /// Commit: what the unit before sent on to other groups is in the log, and nothing of the new unit is taken yet.
    OnwardSettled,
    /// Commit: the groups' outputs were taken; they stand nowhere but in memory.
    OutputsTaken,
    /// Commit: the unit is whole and nobody else has seen it.
    UnitComposed,
    /// Commit: the log answered that the unit stands; nothing in memory follows from that yet.
    UnitCommitted,
    /// Commit: what goes to other groups was handed to the log, and may or may not have arrived.
    OnwardSent,
    /// Kafka's commit: the transaction is open and holds nothing.
    TransactionBegun,
    /// Kafka's commit: all records of the unit are on the brokers.
    RecordsDelivered,
    /// Kafka's commit: the group's coordinator took the positions.
    PositionsAdded,
    /// Kafka's commit: the transaction's end was confirmed.
    TransactionEnded,
    /// Checkpoint: a round began.
    RoundBegun,
    /// Checkpoint: the changed hot records of a partition were taken.
    ChangesTaken,
    /// Checkpoint: one group was cut; the unit may hold the cuts of others.
    GroupCut,
    /// Checkpoint: every group of the round was cut and committed.
    RoundEnded,
    /// Restore: the state topic was read through.
    StateCollected,
    /// Restore: one group was made of its checkpoint.
    GroupDecoded,
    /// Restore: the input since the checkpoints was applied.
    InputReplayed,
    /// Restore: the partition is as it was, and reading begins.
    PartitionBegun,
    /// Hand-over: the last unit of partitions that go away stands, and they are still held.
    LastUnitCommitted,
    /// Embedded log: a batch's transaction is open and empty.
    BatchOpened,
    /// Embedded log: the batch's records and positions were entered and not committed.
    BatchApplied,
    /// Embedded log: the batch is committed, and no reader sees it.
    BatchCommitted,
    /// Embedded log: readers see the batch, and nobody who waits for it was answered.
    BatchShown,
}

impl FailPoint {
    /// All of them, in the order of the enum.
    pub const ALL: [FailPoint; 22] = [
        FailPoint::OnwardSettled,
        FailPoint::OutputsTaken,
        FailPoint::UnitComposed,
        FailPoint::UnitCommitted,
        FailPoint::OnwardSent,
        FailPoint::TransactionBegun,
        FailPoint::RecordsDelivered,
        FailPoint::PositionsAdded,
        FailPoint::TransactionEnded,
        FailPoint::RoundBegun,
        FailPoint::ChangesTaken,
        FailPoint::GroupCut,
        FailPoint::RoundEnded,
        FailPoint::StateCollected,
        FailPoint::GroupDecoded,
        FailPoint::InputReplayed,
        FailPoint::PartitionBegun,
        FailPoint::LastUnitCommitted,
        FailPoint::BatchOpened,
        FailPoint::BatchApplied,
        FailPoint::BatchCommitted,
        FailPoint::BatchShown,
    ];

    /// The name in [`ALL`](FailPoint::ALL)'s order, as an environment variable and a trace spell it.
    pub fn name(self) -> &'static str {
        match self {
            FailPoint::OnwardSettled => "onward_settled",
            FailPoint::OutputsTaken => "outputs_taken",
            FailPoint::UnitComposed => "unit_composed",
            FailPoint::UnitCommitted => "unit_committed",
            FailPoint::OnwardSent => "onward_sent",
            FailPoint::TransactionBegun => "transaction_begun",
            FailPoint::RecordsDelivered => "records_delivered",
            FailPoint::PositionsAdded => "positions_added",
            FailPoint::TransactionEnded => "transaction_ended",
            FailPoint::RoundBegun => "round_begun",
            FailPoint::ChangesTaken => "changes_taken",
            FailPoint::GroupCut => "group_cut",
            FailPoint::RoundEnded => "round_ended",
            FailPoint::StateCollected => "state_collected",
            FailPoint::GroupDecoded => "group_decoded",
            FailPoint::InputReplayed => "input_replayed",
            FailPoint::PartitionBegun => "partition_begun",
            FailPoint::LastUnitCommitted => "last_unit_committed",
            FailPoint::BatchOpened => "batch_opened",
            FailPoint::BatchApplied => "batch_applied",
            FailPoint::BatchCommitted => "batch_committed",
            FailPoint::BatchShown => "batch_shown",
        }
    }

    /// The point of this name.
    pub fn from_name(name: &str) -> Option<FailPoint> {
        FailPoint::ALL.into_iter().find(|point| point.name() == name)
    }
}
