//! From a record of the log to what it changes. Trusts no byte.

use tocsin_log::RecordRef;
use tocsin_model::ContentId;
use tocsin_sketch::codec::Decoder;
use tocsin_velocity::HotRecord;
use tocsin_wire::family::{self, FamilyRecord};
use tocsin_wire::state::{StateHeader, StateKey, StateRecord};
use tocsin_wire::{PartyRecord, alert as wire_alert, topics};

use super::{Change, ChunkPlace, PartitionView, Skipped};

/// The topics a replica reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// The detector's state.
    State,
    /// Alerts.
    Alerts,
    /// Announced contents and their further hashes.
    Families,
    /// The registry of parties.
    Parties,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The partition of its topic.
    pub partition: u32,
    /// The offset.
    pub offset: u64,
    /// When the log appended it, milliseconds since 1970.
    pub appended_at_ms: i64,
}

impl Feed {
    /// All feeds.
    pub const ALL: [Feed; 4] = [Feed::State, Feed::Alerts, Feed::Families, Feed::Parties];

    /// The topic's name.
    pub fn topic(self) -> &'static str {
        match self {
            Feed::State => topics::STATE,
            Feed::Alerts => topics::ALERTS,
            Feed::Families => topics::FAMILIES,
            Feed::Parties => topics::PARTIES,
        }
    }

    /// The feed of a topic.
    pub fn of_topic(topic: &str) -> Option<Feed> {
        Feed::ALL.into_iter().find(|feed| feed.topic() == topic)
    }
}

impl Position {
    /// Where this record stands.
    pub fn of(record: &RecordRef<'_>) -> Position {
        Position {
            partition: record.partition,
            offset: record.offset,
            appended_at_ms: record.appended_at_ms,
        }
    }
}

/// What a record of `feed` changes.
///
/// # Errors
/// [`Skipped::Corrupt`] or [`Skipped::Foreign`].
pub fn decode(feed: Feed, record: &RecordRef<'_>) -> Result<Change, Skipped> {
    match feed {
        Feed::State => state(record),
        Feed::Alerts => alert(record.value.ok_or(Skipped::Corrupt)?),
        Feed::Families => families(record.key.unwrap_or_default(), record.value),
        Feed::Parties => party(record.value),
    }
}

fn state(record: &RecordRef<'_>) -> Result<Change, Skipped> {
    let key = record.key.and_then(StateKey::from_bytes).ok_or(Skipped::Corrupt)?;
    let value = record
        .value
        .map(|value| StateRecord::decode(value).map_err(|_| Skipped::Corrupt));
    match (key, value) {
        (StateKey::Core { .. } | StateKey::Onward { .. }, _) | (StateKey::Header { .. }, None) => Ok(Change::Nothing),
        (StateKey::Header { partition }, _) if partition != record.partition => Err(Skipped::Foreign),
        (StateKey::Header { .. }, Some(value)) => {
            let value = value?;
            let header = StateHeader::decode(&value.body).map_err(|_| Skipped::Corrupt)?;
            Ok(Change::Header(PartitionView {
                as_of: value.as_of,
                next_offset: header.next_offset,
                checkpoint_offset: header.checkpoint_offset,
                appended_at_ms: record.appended_at_ms,
            }))
        }
        (StateKey::Hot { group, content, .. }, _) if content.group() != group => Err(Skipped::Corrupt),
        (StateKey::Hot { content, class, .. }, None) => Ok(Change::HotGone(content, class)),
        (StateKey::Hot { content, class, .. }, Some(value)) => {
            let value = value?;
            let hot = hot_record(&value.body)?;
            match (hot.content(), hot.class()) == (content, class) {
                true => Ok(Change::Hot(Box::new(hot), value.as_of)),
                false => Err(Skipped::Corrupt),
            }
        }
        (StateKey::Cold { group, class, chunk: 0 }, None) => Ok(Change::ColdGone(group, class)),
        // A later checkpoint has fewer chunks.
        (StateKey::Cold { .. }, None) => Ok(Change::Nothing),
        (StateKey::Cold { group, class, chunk }, Some(value)) => {
            let Some(value) = value.ok().filter(|value| value.chunk == chunk) else {
                return Ok(Change::ColdBroken(group, class));
            };
            let place = ChunkPlace {
                applied_through: value.applied_through,
                as_of: value.as_of,
                chunk,
                chunks: value.chunks,
            };
            Ok(Change::Cold(group, class, place, value.body))
        }
    }
}

fn hot_record(body: &[u8]) -> Result<HotRecord, Skipped> {
    let mut input = Decoder::new(body);
    let record = HotRecord::decode(&mut input).map_err(|_| Skipped::Corrupt)?;
    input.finish().map_err(|_| Skipped::Corrupt)?;
    Ok(record)
}

fn alert(value: &[u8]) -> Result<Change, Skipped> {
    let record = wire_alert::decode(value).map_err(|_| Skipped::Corrupt)?;
    Ok(Change::Alert(Box::new(record.alert)))
}

/// A record whose key says something else than its value would never be withdrawn: it is taken for broken.
fn families(key: &[u8], value: Option<&[u8]>) -> Result<Change, Skipped> {
    match family::read(Some(key), value).map_err(|_| Skipped::Corrupt)? {
        FamilyRecord::Announcement(announcement) => {
            match key == family::key(announcement.content, announcement.class) {
                true => Ok(Change::Announced(announcement)),
                false => Err(Skipped::Corrupt),
            }
        }
        FamilyRecord::FurtherHash(further) => {
            let (place, id) = key.split_last_chunk::<16>().ok_or(Skipped::Corrupt)?;
            match place == family::key(further.content, further.class) {
                true => Ok(Change::FurtherHash(further, ContentId(u128::from_be_bytes(*id)))),
                false => Err(Skipped::Corrupt),
            }
        }
        FamilyRecord::Withdrawal(content, class) => Ok(Change::Withdrawn(content, class)),
        FamilyRecord::FurtherHashGone(content, class, hash) => Ok(Change::FurtherHashGone(content, class, hash)),
    }
}

fn party(value: Option<&[u8]>) -> Result<Change, Skipped> {
    // A number is never given again: the names of a party that is gone go on naming its figures.
    let Some(value) = value else {
        return Ok(Change::Nothing);
    };
    let party = PartyRecord::decode(value).map_err(|_| Skipped::Corrupt)?;
    Ok(Change::Party(party))
}
