//! Announcements as they stand in `tocsin.families`, compacted by [`key`].

use tocsin_model::{ContentId, FamilyAnnouncement, Timestamp};

use crate::avro::{Cursor, put_long};
use crate::event::put_hash;
use crate::record::{put_class, put_id, read_class, read_content, read_family, read_hash};
use crate::{RecordError, SchemaName, framing};

/// The key under which an announcement is compacted: content (big-endian) and class number (big-endian), 20 bytes.
pub fn key(announcement: &FamilyAnnouncement) -> Vec<u8> {
    let mut key = announcement.content.0.to_be_bytes().to_vec();
    key.extend_from_slice(&announcement.class.number().to_be_bytes());
    key
}

/// The content that a key of `tocsin.families` speaks of, also of a record that removes it.
pub fn content_of_key(key: &[u8]) -> Option<ContentId> {
    let (content, class) = key.split_first_chunk::<16>()?;
    (class.len() == 4).then(|| ContentId(u128::from_be_bytes(*content)))
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
