use crate::{AccountToken, Algorithm, ContentHash, ContentId, Kind, PartyId, PlatformId, Sharing, Surface, Timestamp};

/// Where intake read an event from: one partition of one ingest topic, by the topic's id and not its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u64);

/// The position of one event in its source. Ordered: a group's high-water mark per source drops what was sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceCoordinate {
    /// The source.
    pub source: SourceId,
    /// The offset of the record.
    pub offset: u64,
    /// The place within a batch record; 0 for a single event.
    pub index: u32,
}

/// What intake decided about a source's clock. The numbers are part of the block format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ClockFlag {
    /// `occurred_at` (after correction) is plausible.
    Plausible = 0,
    /// It lay more than 5 minutes ahead; the event counts at `received_at`.
    Ahead = 1,
    /// It was older than the allowed lateness; the event counts as late, in no window.
    Late = 2,
}

impl ClockFlag {
    /// The flag with this number.
    pub fn from_number(number: u8) -> Option<ClockFlag> {
        [ClockFlag::Plausible, ClockFlag::Ahead, ClockFlag::Late]
            .get(usize::from(number))
            .copied()
    }
}

/// A content hash borrowed from a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HashRef<'a> {
    /// The kind of hash.
    pub algorithm: Algorithm,
    /// The raw bytes.
    pub value: &'a [u8],
}

/// What of a sighting says where in memory its counters stand, for whoever reads ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SightingKeys {
    /// The content.
    pub content: ContentId,
    /// [`Sighting::event_token`].
    pub event_token: u64,
    /// The platform it happened on.
    pub platform: PlatformId,
    /// The account, or anything where there is none.
    pub account: AccountToken,
}

/// What the detector is told: an event after validation, binding to its party, clock correction and keyed hashing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting<'a> {
    /// Where the event came from.
    pub source: SourceCoordinate,
    /// A keyed 64-bit token of (party, event id), by which retries are dropped.
    pub event_token: u64,
    /// The party that published it.
    pub party: PartyId,
    /// The platform it happened on.
    pub platform: PlatformId,
    /// What happened.
    pub kind: Kind,
    /// Who may see it.
    pub sharing: Sharing,
    /// Where on the platform.
    pub surface: Surface,
    /// What intake decided about the clock.
    pub clock: ClockFlag,
    /// When it happened, corrected by the source's skew.
    pub occurred_at: Timestamp,
    /// When the log or the gateway received it.
    pub received_at: Timestamp,
    /// The content it is about.
    pub content: ContentId,
    /// The strongest hash itself, so that a group can name what became hot.
    pub hash: HashRef<'a>,
    /// The account's token.
    pub account: Option<AccountToken>,
    /// The epoch of the platform's pseudonym key.
    pub account_epoch: u32,
    /// Followers, views or viewers; 0 when not said.
    pub audience: u32,
    /// ISO 3166-1 alpha-2, or two zero bytes.
    pub region: [u8; 2],
    /// ISO 639-1, or two zero bytes.
    pub language: [u8; 2],
    /// Confidence of the label `tvec`, 0 to 100; 255 when there is no such label.
    pub tvec_confidence: u8,
}

impl Sighting<'_> {
    /// The value of `tvec_confidence` that says: no label.
    pub const NO_LABEL: u8 = 255;
}

impl HashRef<'_> {
    /// An owned copy, when the bytes are a hash of the algorithm.
    pub fn to_hash(self) -> Option<ContentHash> {
        ContentHash::from_slice(self.algorithm, self.value, None).ok()
    }
}
