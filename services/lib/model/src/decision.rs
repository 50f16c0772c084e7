use crate::{ContentId, FamilyId, Scope, Timestamp};

/// The identity of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecisionId(pub u128);

/// What a person decided about a family. The numbers are part of the wire formats and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Verdict {
    /// It violates the rules: its priority rises to certainty.
    Violating = 1,
    /// It is harmless: its priority falls far. It is never hidden.
    Benign = 2,
    /// It is news: its priority falls. It is never hidden.
    Newsworthy = 3,
    /// Parties disagree.
    Disputed = 4,
    /// An expert must look.
    NeedsExpert = 5,
}

/// A decision as the detector is told of it: a mark on a family in the scope of those who decided, and in no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Its identity.
    pub id: DecisionId,
    /// The family decided about.
    pub family: FamilyId,
    /// The scope of those who decided.
    pub scope: Scope,
    /// What they decided.
    pub verdict: Verdict,
    /// When.
    pub at: Timestamp,
}

/// What those who decided recommend to do with the copies. Platforms act, never Tocsin. The numbers are part of the wire formats and never
/// change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RecommendedAction {
    /// Take the copies down.
    Remove = 1,
    /// Show them less.
    Reduce = 2,
    /// Put a warning on them.
    Label = 3,
    /// Leave them.
    Keep = 4,
    /// Stop the live stream, and take its copies down.
    StopStream = 5,
}

/// What a decision says beside its verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grounds {
    /// The rule it rests on, in the party's own words; empty where none is named.
    pub policy: String,
    /// What is recommended.
    pub action: Option<RecommendedAction>,
    /// How sure those who decided are, in percent: 0 to 100.
    pub confidence: Option<u8>,
    /// Members of the family that the decision is not about, ascending.
    pub exceptions: Vec<ContentId>,
}

/// A decision as `tocsin.decisions` and the endpoints of those who decided are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldDecision {
    /// The mark on the family.
    pub decision: Decision,
    /// What else it says.
    pub grounds: Grounds,
}

impl RecommendedAction {
    /// All actions in the order of their numbers.
    pub const ALL: [RecommendedAction; 5] = [
        RecommendedAction::Remove,
        RecommendedAction::Reduce,
        RecommendedAction::Label,
        RecommendedAction::Keep,
        RecommendedAction::StopStream,
    ];

    /// The action with this number.
    pub fn from_number(number: u8) -> Option<RecommendedAction> {
        RecommendedAction::ALL
            .into_iter()
            .find(|action| *action as u8 == number)
    }

    /// The action with this name of the schema.
    pub fn from_name(name: &str) -> Option<RecommendedAction> {
        RecommendedAction::ALL.into_iter().find(|action| action.name() == name)
    }

    /// The name in the schema and in the API.
    pub fn name(self) -> &'static str {
        match self {
            RecommendedAction::Remove => "remove",
            RecommendedAction::Reduce => "reduce",
            RecommendedAction::Label => "label",
            RecommendedAction::Keep => "keep",
            RecommendedAction::StopStream => "stop_stream",
        }
    }
}

impl Verdict {
    /// All verdicts in the order of their numbers.
    pub const ALL: [Verdict; 5] = [
        Verdict::Violating,
        Verdict::Benign,
        Verdict::Newsworthy,
        Verdict::Disputed,
        Verdict::NeedsExpert,
    ];

    /// The verdict with this number.
    pub fn from_number(number: u8) -> Option<Verdict> {
        Verdict::ALL.into_iter().find(|verdict| *verdict as u8 == number)
    }

    /// The verdict with this name of the schema.
    pub fn from_name(name: &str) -> Option<Verdict> {
        Verdict::ALL.into_iter().find(|verdict| verdict.name() == name)
    }

    /// The name in the schema and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Violating => "violating",
            Verdict::Benign => "benign",
            Verdict::Newsworthy => "newsworthy",
            Verdict::Disputed => "disputed",
            Verdict::NeedsExpert => "needs_expert",
        }
    }
}
