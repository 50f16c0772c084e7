//! Announcements and further hashes of what is announced, as they stand in `tocsin.families`, compacted by their keys.

use std::borrow::Cow;

use tocsin_model::{Class, ContentId, Event, FamilyAnnouncement, FurtherHash, PartyId, Timestamp, ToldBy};

use crate::avro::{ArrayWalk, Cursor, put_array, put_long, put_option};
use crate::event::put_hash;
use crate::record::{invalid, put_class, put_id, read_class, read_content, read_family, read_hash};
use crate::{RecordError, SchemaName, framing};

/// What a record of `tocsin.families` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FamilyRecord {
    /// A content became hot or watch-listed, or belongs to another family now.
    Announcement(FamilyAnnouncement),
    /// An announced content has a further hash.
    FurtherHash(FurtherHash),
    /// A content is hot no more: its announcement in the class holds no longer, and neither do its further hashes there.
    Withdrawal(ContentId, Class),
    /// The further hash of a withdrawn content may be forgotten by the log: content, class, and the content id of the hash itself.
    FurtherHashGone(ContentId, Class, ContentId),
}

/// The key under which an announcement is compacted: content (big-endian) and class number (big-endian), 20 bytes.
pub fn key(content: ContentId, class: Class) -> Vec<u8> {
    let mut key = content.0.to_be_bytes().to_vec();
    key.extend_from_slice(&class.number().to_be_bytes());
    key
}

/// The key under which a further hash is compacted: that of its content's announcement and the content id of the hash itself (big-endian), 36
/// bytes.
pub fn further_hash_key(content: ContentId, class: Class, hash: ContentId) -> Vec<u8> {
    let mut key = key(content, class);
    key.extend_from_slice(&hash.0.to_be_bytes());
    key
}

/// What a record of `tocsin.families` says, of any version.
///
/// # Errors
/// The value is neither an announcement nor a further hash, or there is none and the key is neither's.
pub fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<FamilyRecord, RecordError> {
    let Some(value) = value else {
        let key = key.unwrap_or_default();
        let further = key.split_last_chunk::<16>();
        let further =
            further.and_then(|(place, hash)| Some((place_of_key(place)?, ContentId(u128::from_be_bytes(*hash)))));
        return match (place_of_key(key), further) {
            (Some((content, class)), _) => Ok(FamilyRecord::Withdrawal(content, class)),
            (None, Some(((content, class), hash))) => Ok(FamilyRecord::FurtherHashGone(content, class, hash)),
            (None, None) => Err(RecordError::Invalid { field: "key" }),
        };
    };
    match framing::open(SchemaName::FurtherHash, value) {
        Ok(_) => decode_further_hash(value).map(FamilyRecord::FurtherHash),
        Err(_) => decode(value).map(FamilyRecord::Announcement),
    }
}

fn place_of_key(key: &[u8]) -> Option<(ContentId, Class)> {
    let (content, class) = key.split_first_chunk::<16>()?;
    let class = Class::from_number(u32::from_be_bytes(class.try_into().ok()?))?;
    Some((ContentId(u128::from_be_bytes(*content)), class))
}

/// An announcement as a record value.
pub fn encode(announcement: &FamilyAnnouncement) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    framing::begin(SchemaName::Family, &mut out);
    put_id(&mut out, announcement.content.0);
    put_hash(&mut out, &announcement.hash);
    put_id(&mut out, announcement.family.0.0);
    put_class(&mut out, announcement.class);
    put_long(&mut out, announcement.at.0);
    out
}

/// The announcement in a record value of any version.
///
/// # Errors
/// The bytes are not an announcement.
pub fn decode(bytes: &[u8]) -> Result<FamilyAnnouncement, RecordError> {
    let datum = framing::open(SchemaName::Family, bytes)?;
    let cursor = &mut Cursor::new(&datum);
    let announcement = FamilyAnnouncement {
        content: read_content(cursor)?,
        hash: read_hash(cursor)?,
        family: read_family(cursor)?,
        class: read_class(cursor)?,
        at: Timestamp(cursor.long()?),
    };
    cursor.finish()?;
    Ok(announcement)
}

/// The version without frames, and the one without who told them.
const BEFORE_FRAMES: usize = 1;
const BEFORE_TELLER: usize = 2;

/// In place of a party's number: several told the frames.
const SEVERAL: i64 = -1;

/// A further hash as a record value, of the first version that holds all of it: a program of before reads that too.
pub fn encode_further_hash(further: &FurtherHash) -> Vec<u8> {
    let mut out = Vec::with_capacity(80);
    let version = match (further.frames.as_slice(), further.told_by) {
        ([], _) => Some(BEFORE_FRAMES),
        (_, ToldBy::Unknown) => Some(BEFORE_TELLER),
        (_, ToldBy::Alone(_) | ToldBy::Several) => None,
    };
    match version {
        Some(version) => framing::begin_version(SchemaName::FurtherHash, version, &mut out),
        None => framing::begin(SchemaName::FurtherHash, &mut out),
    }
    put_id(&mut out, further.content.0);
    put_hash(&mut out, &further.hash);
    put_class(&mut out, further.class);
    put_long(&mut out, further.at.0);
    if version == Some(BEFORE_FRAMES) {
        return out;
    }
    put_array(&mut out, further.frames.iter(), |out, frame| {
        out.extend_from_slice(frame)
    });
    if version.is_none() {
        let number = match further.told_by {
            ToldBy::Unknown => None,
            ToldBy::Alone(party) => Some(i64::from(party.0)),
            ToldBy::Several => Some(SEVERAL),
        };
        put_option(&mut out, number, put_long);
    }
    out
}

/// The further hash in a record value of any version.
///
/// # Errors
/// The bytes are not a further hash.
pub fn decode_further_hash(bytes: &[u8]) -> Result<FurtherHash, RecordError> {
    let earlier = [BEFORE_FRAMES, BEFORE_TELLER].into_iter();
    let earlier = earlier.filter_map(|version| {
        let datum = framing::of_version(SchemaName::FurtherHash, version, bytes)?;
        Some((Cow::Borrowed(datum), Some(version)))
    });
    let (datum, version) = match { earlier }.next() {
        Some(earlier) => earlier,
        None => (framing::open(SchemaName::FurtherHash, bytes)?, None),
    };
    let cursor = &mut Cursor::new(&datum);
    let mut further = FurtherHash {
        content: read_content(cursor)?,
        hash: read_hash(cursor)?,
        class: read_class(cursor)?,
        at: Timestamp(cursor.long()?),
        frames: Vec::new(),
        told_by: ToldBy::Unknown,
    };
    if version == Some(BEFORE_FRAMES) {
        cursor.finish()?;
        return Ok(further);
    }
    let mut walk = ArrayWalk::default();
    while walk.step(cursor)? {
        if further.frames.len() == Event::FRAMES_MAX {
            return Err(invalid("frames"));
        }
        further.frames.push(*cursor.fixed()?);
    }
    if version.is_none() && cursor.present()? {
        further.told_by = match cursor.long()? {
            SEVERAL => ToldBy::Several,
            number => ToldBy::Alone(PartyId(u16::try_from(number).map_err(|_| invalid("told_by"))?)),
        };
    }
    cursor.finish()?;
    Ok(further)
}

#[cfg(test)]
mod tests {
    use tocsin_model::{Algorithm, ContentHash};

    use super::*;

    #[test]
    fn a_further_hash_is_of_the_first_version_that_holds_it() {
        for (frames, told_by, version) in [
            (vec![], ToldBy::Unknown, Some(1)),
            (vec![[1; 32]], ToldBy::Unknown, Some(2)),
            (vec![[1; 32], [2; 32]], ToldBy::Alone(PartyId(u16::MAX)), None),
            (vec![[1; 32]], ToldBy::Several, None),
        ] {
            let further = FurtherHash {
                content: ContentId(1),
                hash: ContentHash::from_bytes(Algorithm::Vpdq, vec![9; 32], None).expect("32 bytes"),
                frames,
                told_by,
                class: Class::All,
                at: Timestamp(5),
            };
            let bytes = encode_further_hash(&further);
            let is_earlier =
                version.map(|version| framing::of_version(SchemaName::FurtherHash, version, &bytes).is_some());
            assert_ne!(is_earlier, Some(false));
            assert_eq!(decode_further_hash(&bytes).expect("a further hash"), further);
            let newest = framing::open(SchemaName::FurtherHash, &bytes).expect("a further hash");
            let mut rewritten = Vec::new();
            framing::begin(SchemaName::FurtherHash, &mut rewritten);
            rewritten.extend_from_slice(&newest);
            assert_eq!(decode_further_hash(&rewritten).expect("a further hash"), further);
            for length in 0..bytes.len() {
                assert!(decode_further_hash(&bytes[..length]).is_err(), "{length}");
            }
        }
    }

    #[test]
    fn a_record_without_value_says_by_its_key_what_is_gone() {
        let content = ContentId(1 << 100);
        for class in [Class::All, Class::Coordinators, Class::Party(PartyId(7))] {
            let key = key(content, class);
            assert_eq!(
                read(Some(&key), None).expect("a key"),
                FamilyRecord::Withdrawal(content, class)
            );
            let further = further_hash_key(content, class, ContentId(3));
            assert_eq!(
                read(Some(&further), None).expect("a key"),
                FamilyRecord::FurtherHashGone(content, class, ContentId(3))
            );
            for wrong in [&key[..19], &further[..21], &[]] {
                assert!(read(Some(wrong), None).is_err(), "{wrong:?}");
            }
        }
        assert!(read(Some(&[255; 20]), None).is_err(), "no class has this number");
        assert!(read(None, None).is_err());
    }
}
