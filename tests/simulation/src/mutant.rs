//! Detectors that are broken on purpose, so that the simulation can be seen to find something.

/// A Tocsin that is broken on purpose, by what stands between it and the log. The simulation must find each within a few seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mutant {
    /// Not broken.
    #[default]
    Sound,
    /// A restore begins at the group's position, not where the state says: it applies no input again.
    StartsAtGroupPosition,
    /// A commit shows no membership: nobody looks whose the partitions are.
    IgnoresFencing,
    /// A restore forgets how far each source was applied.
    ForgetsMarks,
    /// A header claims a checkpoint of everything applied so far.
    ClaimsCheckpoint,
    /// The cold counts of a checkpoint are left out of its unit.
    LeavesOutColdCounts,
    /// Readers are shown what is not committed.
    ReadsUncommitted,
    /// The coordinator is given the positions before the records have arrived. On Kafka the committer does so: the decision kafka-client.md says why, and
    /// what that leaves open.
    PositionsBeforeRecords,
    /// What goes to other groups is lost.
    LosesOnward,
    /// A unit whose fate is not known counts as applied.
    TakesUnknownForApplied,
    /// A unit that was not applied counts as applied.
    TakesRefusedForApplied,
    /// A restore takes the oldest header that is left, not the newest.
    TakesOldHeader,
    /// Alerts are left out of the units.
    LosesAlerts,
    /// A unit does not hold what it says once to other partitions.
    ForgetsWhatItSaidOnce,
    /// A detector does not look which topic it is that it reads: one that was made anew is taken for the one before. Found in the second act of a history.
    IgnoresTopicIds,
    /// No broken detector but a broken log: of a unit that is said to be committed, what went to one partition is gone.
    TornUnits,
}

impl Mutant {
    /// The broken ones.
    pub const BROKEN: [Mutant; 15] = [
        Mutant::StartsAtGroupPosition,
        Mutant::IgnoresFencing,
        Mutant::ForgetsMarks,
        Mutant::ClaimsCheckpoint,
        Mutant::LeavesOutColdCounts,
        Mutant::ReadsUncommitted,
        Mutant::PositionsBeforeRecords,
        Mutant::LosesOnward,
        Mutant::TakesUnknownForApplied,
        Mutant::TakesRefusedForApplied,
        Mutant::TakesOldHeader,
        Mutant::LosesAlerts,
        Mutant::ForgetsWhatItSaidOnce,
        Mutant::IgnoresTopicIds,
        Mutant::TornUnits,
    ];
}
