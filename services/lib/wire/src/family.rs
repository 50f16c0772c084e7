//! Announcements as they stand in `tocsin.families`, compacted by [`key`].

use tocsin_model::{Class, ContentId, FamilyAnnouncement, Timestamp};

use crate::avro::{Cursor, put_long};
use crate::event::put_hash;
use crate::record::{put_class, put_id, read_class, read_content, read_family, read_hash};
use crate::{RecordError, SchemaName, framing};

/// The key under which an announcement is compacted: content (big-endian) and class number (big-endian), 20 bytes.
pub fn key(content: ContentId, class: Class) -> Vec<u8> {
    let mut key = content.0.to_be_bytes().to_vec();
    key.extend_from_slice(&class.number().to_be_bytes());
    key
}

/// The content and class that a key of `tocsin.families` speaks of: a record without a value withdraws what was announced of them.
pub fn place_of_key(key: &[u8]) -> Option<(ContentId, Class)> {
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

#[cfg(test)]
mod tests {
    use tocsin_model::PartyId;

    use super::*;

    #[test]
    fn a_key_reads_back_and_anything_else_is_none() {
        for class in [Class::All, Class::Coordinators, Class::Party(PartyId(7))] {
            let key = key(ContentId(1 << 100), class);
            assert_eq!(key.len(), 20);
            assert_eq!(place_of_key(&key), Some((ContentId(1 << 100), class)));
            assert_eq!(place_of_key(&key[..19]), None);
            assert_eq!(place_of_key(&[key, vec![0]].concat()), None);
        }
        assert_eq!(place_of_key(&[255; 20]), None, "no class has this number");
    }
}
