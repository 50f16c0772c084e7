use crate::{Milliseconds, Scope, Timestamp};

/// A kind of evidence by which contents are caught, as reviewers name it in an appeal. The numbers are those of topics, of the store and of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EvidenceKind {
    /// Another of its hashes equals one of the family.
    EqualHash = 2,
    /// Its picture is near one of the family (PDQ).
    NearPicture = 3,
    /// Frames of its video are like those of one of the family.
    Frames = 4,
    /// A party or a person said that it belongs to the family.
    SaidSo = 5,
    /// A hash list held it.
    Listing = 6,
    /// The platforms' own classification.
    Label = 7,
}

impl EvidenceKind {
    /// All of them, ascending.
    pub const ALL: [EvidenceKind; 6] = [
        EvidenceKind::EqualHash,
        EvidenceKind::NearPicture,
        EvidenceKind::Frames,
        EvidenceKind::SaidSo,
        EvidenceKind::Listing,
        EvidenceKind::Label,
    ];

    /// The one with this number.
    pub fn from_number(number: u8) -> Option<EvidenceKind> {
        EvidenceKind::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// What became of the families that evidence of one kind caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidenceCount {
    /// Which kind.
    pub kind: EvidenceKind,
    /// Families that were found to violate, of which it spoke, and that were not overturned since.
    pub stood: u32,
    /// Families that were overturned because of it.
    pub overturned: u32,
}

/// How often evidence was right and wrong for one team: an ordered input of every key group. It is written when a family is overturned. Of a team's
/// records the one of the highest number counts, so one that comes twice, or behind a later one, changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighing {
    /// Its number, from 1: that of the last overturned family that it counts. A later record has a higher one, of whatever team.
    pub number: u64,
    /// Whose: what the team may see. Never [`Scope::All`], which is nobody's.
    pub scope: Scope,
    /// When, in the groups' time.
    pub at: Timestamp,
    /// Of the [`Weighing::HOLDS_FOR`] before, each kind once, ascending; a kind that is not there was never overturned.
    pub counts: Vec<EvidenceCount>,
}

impl Weighing {
    /// For so long a record counts, and over so long a time it counts: what was overturned earlier says nothing more.
    pub const HOLDS_FOR: Milliseconds = Milliseconds::from_hours(90 * 24);

    /// Whether it can be used: it has a number, is of a team, and says of each kind once that it was overturned.
    pub fn is_usable(&self) -> bool {
        self.number > 0
            && self.scope != Scope::All
            && self.counts.is_sorted_by(|one, next| one.kind < next.kind)
            && self.counts.iter().all(|count| count.overturned > 0)
    }

    /// Whether it counts at this time.
    pub fn holds(&self, now: Timestamp) -> bool {
        now - self.at < Weighing::HOLDS_FOR
    }
}
