use crate::{AccountPseudonym, Algorithm, ContentHash, Kind, Name, Sharing, Surface, Timestamp};

/// The identity of an event: a UUID (version 7 recommended, RFC 9562). The key by which a producer's retries are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub [u8; 16]);

/// What a platform tells us: one thing that happened to one content.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The identity of the event within its party.
    pub event_id: EventId,
    /// The platform it happened on. Must belong to the party that publishes it.
    pub platform: Name,
    /// What happened.
    pub kind: Kind,
    /// When, by the platform's own clock.
    pub occurred_at: Timestamp,
    /// The content's hashes, 1 to 16.
    pub content: Vec<ContentHash>,
    /// Contents that the party says are the same, 0 to 16.
    pub same_as: Vec<ContentHash>,
    /// Frames of the video, 0 to 64.
    pub frames: Vec<Frame>,
    /// The account, as the platform's keyed pseudonym.
    pub account: Option<AccountPseudonym>,
    /// The epoch of the platform's pseudonym key.
    pub account_epoch: u32,
    /// ISO 3166-1 alpha-2, two upper-case letters.
    pub region: Option<[u8; 2]>,
    /// ISO 639-1, two lower-case letters.
    pub language: Option<[u8; 2]>,
    /// Followers, views or concurrent viewers, by kind.
    pub audience: Option<u32>,
    /// Where on the platform.
    pub surface: Surface,
    /// The platform's own classification, 0 to 16.
    pub labels: Vec<Label>,
    /// Who may see it.
    pub sharing: Sharing,
}

/// A frame of a video, as vPDQ has it: <https://github.com/facebook/ThreatExchange/tree/main/vpdq>. Its time is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The PDQ hash: 256 bits.
    pub pdq: [u8; 32],
    /// How much there is to see: 0 to 100.
    pub quality: u8,
}

impl Frame {
    /// A frame as vPDQ's authors write it, `<64 hexadecimal digits>,<quality>,<seconds>` (`VpdqCompactFeature` of
    /// `threatexchange/extensions/vpdq/vpdq_util.py`, 2026); `None` of any other text. Its time is checked, and not kept.
    pub fn from_vpdq(text: &str) -> Option<Frame> {
        let mut fields = text.split(',').map(str::trim);
        let (pdq, quality, seconds) = (fields.next()?, fields.next()?, fields.next()?);
        let quality = quality.parse().ok().filter(|quality| *quality <= 100)?;
        let is_time = seconds
            .parse::<f64>()
            .is_ok_and(|seconds| seconds.is_finite() && seconds >= 0.0);
        if fields.next().is_some() || !is_time {
            return None;
        }
        let hash = ContentHash::parse(Algorithm::Pdq, pdq, None).ok()?;
        let pdq = hash.value().try_into().ok()?;
        Some(Frame { pdq, quality })
    }
}

/// A platform's own classification of a content.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The name of the label, 1 to 64 bytes. `tvec` (terrorist and violent extremist content) is the one priority looks at.
    pub name: String,
    /// How sure the platform is: 0 to 1.
    pub confidence: f32,
}

impl Event {
    /// The most hashes, `same_as` entries or labels an event may have, each.
    pub const LIST_LENGTH_MAX: usize = 16;
    /// The most frames an event may have: of a longer video every second one, or fewer, at even distances.
    pub const FRAMES_MAX: usize = 64;
    /// The longest label name, in bytes.
    pub const LABEL_LENGTH_MAX: usize = 64;
    /// The label that says: terrorist or violent extremist content.
    pub const LABEL_TVEC: &str = "tvec";
}
