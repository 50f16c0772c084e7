use crate::{Class, ContentHash, ContentId, FamilyId, PartyId, Sharing, Timestamp};

/// Why a content belongs to a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// A party said so (`same_as`).
    PartyLink,
    /// Another of the content's hashes equals a hash of the family.
    EqualHash,
    /// PDQ hashes at this Hamming distance.
    PdqDistance(u16),
    /// A person said so.
    Moderator,
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
    /// The party whose event gave the evidence.
    pub party: PartyId,
    /// Who may see that event.
    pub sharing: Sharing,
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
    /// The visibility class of these figures.
    pub class: Class,
    /// Increases with every delta of one (member, class).
    pub number: u64,
    /// The member's hot record, as the velocity crate encodes it.
    pub record: Vec<u8>,
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
