use crate::{Class, ContentHash, ContentId, FamilyId, PartyId, Timestamp};

/// Why a content belongs to a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// A party said so (`same_as`).
    PartyLink,
    /// Another of the content's hashes equals a hash of the family.
    EqualHash,
    /// PDQ hashes at this Hamming distance.
    PdqDistance(u16),
    /// The content that founded its family joined another one.
    FounderLinked,
    /// A person said so.
    Moderator,
    /// A person said that a family is none of the one it joined: its founder is alone again, and those that came by it go with it.
    FamilyParted,
    /// Frames of both videos show the same: so many of a hundred of that one of the two of which fewer do.
    FrameShare(u16),
}

impl Evidence {
    /// Its number and its measure: of PDQ hashes their distance, of frames their share in percent. What stands in records.
    pub fn code(self) -> (u8, Option<u16>) {
        match self {
            Evidence::PartyLink => (1, None),
            Evidence::EqualHash => (2, None),
            Evidence::PdqDistance(distance) => (3, Some(distance)),
            Evidence::FounderLinked => (4, None),
            Evidence::Moderator => (5, None),
            Evidence::FamilyParted => (6, None),
            Evidence::FrameShare(percent) => (7, Some(percent)),
        }
    }

    /// The inverse of [`Evidence::code`].
    pub fn from_code(number: u8, measure: Option<u16>) -> Option<Evidence> {
        match (number, measure) {
            (1, None) => Some(Evidence::PartyLink),
            (2, None) => Some(Evidence::EqualHash),
            (3, Some(distance)) => Some(Evidence::PdqDistance(distance)),
            (4, None) => Some(Evidence::FounderLinked),
            (5, None) => Some(Evidence::Moderator),
            (6, None) => Some(Evidence::FamilyParted),
            (7, Some(percent)) => Some(Evidence::FrameShare(percent)),
            _ => None,
        }
    }

    /// Whether evidence of this number has a measure.
    pub fn has_measure(number: u8) -> bool {
        matches!(number, 3 | 7)
    }

    /// Whether it is what the two look like, and nothing that somebody said or that is equal.
    pub fn is_by_looks(self) -> bool {
        matches!(self, Evidence::PdqDistance(_) | Evidence::FrameShare(_))
    }

    /// Its name, without the measure.
    pub fn name(self) -> &'static str {
        match self {
            Evidence::PartyLink => "party_link",
            Evidence::EqualHash => "equal_hash",
            Evidence::PdqDistance(_) => "pdq_distance",
            Evidence::FounderLinked => "founder_linked",
            Evidence::Moderator => "moderator",
            Evidence::FamilyParted => "family_parted",
            Evidence::FrameShare(_) => "frame_share",
        }
    }
}

/// How a content came into its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Why. Where its founder was linked in turn, still why it joined that founder.
    pub evidence: Evidence,
    /// The party whose event gave the evidence, where it was an event.
    pub party: Option<PartyId>,
    /// When.
    pub at: Timestamp,
}

/// A content joins a family. Goes to the content's group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The content that joins.
    pub content: ContentId,
    /// The content's strongest hash, so that its group can name it.
    pub hash: ContentHash,
    /// The family it joins.
    pub family: FamilyId,
    /// Why.
    pub evidence: Evidence,
    /// The party whose event gave the evidence, where it was an event.
    pub party: Option<PartyId>,
    /// The own class of the scope in which it holds: [`Class::All`] in every scope.
    pub class: Class,
    /// When the link was found.
    pub at: Timestamp,
}

/// A member's figures so far, sent to the home of its family. Cumulative and numbered: the highest number per (member, class) counts,
/// so repeating one changes nothing and losing one is healed by the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The family whose home this goes to.
    pub family: FamilyId,
    /// The member.
    pub member: ContentId,
    /// The own class of the scope that sees these figures.
    pub class: Class,
    /// Increases with every delta of one (member, class).
    pub number: u64,
    /// The member's hot records inside that scope, as the velocity crate encodes them.
    pub records: Vec<u8>,
}

impl Delta {
    /// Whether there are no figures in it: that the member is gone, with those that came by it or alone, or which episode its family brings
    /// along. Figures can be composed again from the state; this is said once.
    pub fn is_said_once(&self) -> bool {
        self.records.first() == Some(&0)
    }
}

/// A content became hot or watch-listed: what intake instances index to find links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyAnnouncement {
    /// The content.
    pub content: ContentId,
    /// Its strongest hash.
    pub hash: ContentHash,
    /// The family it belongs to.
    pub family: FamilyId,
    /// The class in which it became hot; only events visible to that class's scope may be linked to it.
    pub class: Class,
    /// When.
    pub at: Timestamp,
}

/// Who told the frames of a video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToldBy {
    /// Nobody knows, or there are none: who wrote it down was a program that did not keep it.
    #[default]
    Unknown,
    /// This party, and so far no other.
    Alone(PartyId),
    /// Two parties or more.
    Several,
}

/// A further hash of an announced content, said by an event that every reader of the class sees: all instances of intake look for it too, and
/// replicas find the content by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FurtherHash {
    /// The content.
    pub content: ContentId,
    /// The hash.
    pub hash: ContentHash,
    /// Of a digest of a video's frames the frames themselves, those that are matched: PDQ hashes, 64 at most.
    pub frames: Vec<[u8; 32]>,
    /// Who told those frames.
    pub told_by: ToldBy,
    /// The class in which the content is announced.
    pub class: Class,
    /// When it was first said.
    pub at: Timestamp,
}
