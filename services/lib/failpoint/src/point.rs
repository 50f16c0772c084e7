/// A step of a commit, a checkpoint, a restore, a write of the embedded log, or of the dispatcher's work between log, store and endpoints, behind which a
/// process may end.
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
    /// Registry: parties are announced on the log; their ingest topics may not exist yet.
    PartiesAppended,
    /// Alerts: the store has a batch; the group's positions still lie before it.
    AlertsApplied,
    /// Alerts: the group's positions lie behind a batch; the next one is not handed over.
    AlertPositionsCommitted,
    /// Casework: a case was handed out; nobody was answered.
    CaseClaimed,
    /// Casework: what was done with a case stands in the store; nobody was answered and nobody was woken.
    CommandStored,
    /// Casework: what was done with a notice stands in the store; nobody was answered.
    NoticeStored,
    /// Casework: what was done with an appeal stands in the store, with the decision that follows from it; nobody was answered and nobody was woken.
    AppealStored,
    /// Casework: notices whose time is over were escalated; nobody but the store knows.
    NoticesEscalated,
    /// Evidence: a copy stands in the sealed store; the store of casework does not know.
    CopySealed,
    /// Evidence: a copy that ended is deleted; the store of casework does not know.
    CopyDeleted,
    /// Outbox: decisions were taken to be published; they are not on the log.
    OutboxTaken,
    /// Outbox: decisions are on the log, and still in the outbox.
    DecisionsAppended,
    /// Outbox: decisions left the outbox; their members and endpoints were not woken.
    DecisionsAcknowledged,
    /// Fan-out: members were told of a decision; that all of them were is not noted.
    MembersTold,
    /// Carrying: a case went where its family went; those of other families wait.
    CaseCarried,
    /// Carrying: it is noted where members belong; decisions that are due were not told.
    BelongingsNoted,
    /// Acknowledgements: the store has what a platform did; the process does not know that it was told.
    MembersHeard,
    /// Acknowledgements: whoever decided was reminded; deliveries were not woken.
    UnconfirmedTold,
    /// Deliveries: some were taken to be tried; nothing was sent.
    DeliveriesTaken,
    /// Deliveries: some were sent; the store does not know what became of them.
    DeliveriesSent,
    /// Deliveries: the store knows what became of a try; nobody else was told.
    DeliveriesSettled,
    /// Tools: a case is held for a decision that was made in another tool, and not decided.
    ClaimedElsewhere,
    /// Tools: what an event of Ozone asked for is done; that it was taken is not noted.
    OzoneEventTaken,
    /// Tools: an event of Ozone is noted as taken; it will be read again.
    OzoneEventNoted,
    /// Control: changes of the watch list are on the log; the store does not know.
    WatchListAppended,
    /// Control: a calibration is on the log; the store does not know.
    CalibrationAppended,
    /// Control: what evidence is worth to teams is on the log; the store does not know.
    WeighingsAppended,
}

impl FailPoint {
    /// All of them, in the order of the enum.
    pub const ALL: [FailPoint; 49] = [
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
        FailPoint::PartiesAppended,
        FailPoint::AlertsApplied,
        FailPoint::AlertPositionsCommitted,
        FailPoint::CaseClaimed,
        FailPoint::CommandStored,
        FailPoint::NoticeStored,
        FailPoint::AppealStored,
        FailPoint::NoticesEscalated,
        FailPoint::CopySealed,
        FailPoint::CopyDeleted,
        FailPoint::OutboxTaken,
        FailPoint::DecisionsAppended,
        FailPoint::DecisionsAcknowledged,
        FailPoint::MembersTold,
        FailPoint::CaseCarried,
        FailPoint::BelongingsNoted,
        FailPoint::MembersHeard,
        FailPoint::UnconfirmedTold,
        FailPoint::DeliveriesTaken,
        FailPoint::DeliveriesSent,
        FailPoint::DeliveriesSettled,
        FailPoint::ClaimedElsewhere,
        FailPoint::OzoneEventTaken,
        FailPoint::OzoneEventNoted,
        FailPoint::WatchListAppended,
        FailPoint::CalibrationAppended,
        FailPoint::WeighingsAppended,
    ];

    /// Those of the dispatcher, in the order in which its work comes to them: the last of all.
    pub const DISPATCHER: &[FailPoint] = FailPoint::ALL.split_at(FailPoint::PartiesAppended as usize).1;

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
            FailPoint::PartiesAppended => "parties_appended",
            FailPoint::AlertsApplied => "alerts_applied",
            FailPoint::AlertPositionsCommitted => "alert_positions_committed",
            FailPoint::CaseClaimed => "case_claimed",
            FailPoint::CommandStored => "command_stored",
            FailPoint::NoticeStored => "notice_stored",
            FailPoint::AppealStored => "appeal_stored",
            FailPoint::NoticesEscalated => "notices_escalated",
            FailPoint::CopySealed => "copy_sealed",
            FailPoint::CopyDeleted => "copy_deleted",
            FailPoint::OutboxTaken => "outbox_taken",
            FailPoint::DecisionsAppended => "decisions_appended",
            FailPoint::DecisionsAcknowledged => "decisions_acknowledged",
            FailPoint::MembersTold => "members_told",
            FailPoint::CaseCarried => "case_carried",
            FailPoint::BelongingsNoted => "belongings_noted",
            FailPoint::MembersHeard => "members_heard",
            FailPoint::UnconfirmedTold => "unconfirmed_told",
            FailPoint::DeliveriesTaken => "deliveries_taken",
            FailPoint::DeliveriesSent => "deliveries_sent",
            FailPoint::DeliveriesSettled => "deliveries_settled",
            FailPoint::ClaimedElsewhere => "claimed_elsewhere",
            FailPoint::OzoneEventTaken => "ozone_event_taken",
            FailPoint::OzoneEventNoted => "ozone_event_noted",
            FailPoint::WatchListAppended => "watch_list_appended",
            FailPoint::CalibrationAppended => "calibration_appended",
            FailPoint::WeighingsAppended => "weighings_appended",
        }
    }

    /// The point of this name.
    pub fn from_name(name: &str) -> Option<FailPoint> {
        FailPoint::ALL.into_iter().find(|point| point.name() == name)
    }
}
