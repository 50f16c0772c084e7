//! What somebody reports in an Ozone: the contents that it is about, by the CIDs of the reported pictures and videos. Pure.
//!
//! A blob of the AT Protocol is named by the SHA-256 of its bytes (its data model: CID version 1, codec `raw`, `sha2-256`), so a report says what was
//! reported without a look at it.

use tocsin_casework::NOTE_BYTES_MAX;
use tocsin_model::{Algorithm, ContentHash, FamilyId};
use tocsin_store::OzoneRecord;

use super::event::OzoneEvent;
use crate::elsewhere::cut;

/// The most blobs of one report that are looked at: a post has four pictures or one video.
const BLOBS_MAX: usize = 8;
/// The longest URI and the longest CID that are kept.
const URI_BYTES_MAX: usize = 512;
/// The version, the codec, the hash function and its length, before the digest.
const RAW_SHA256: [u8; 4] = [0x01, 0x55, 0x12, 0x20];

/// A report.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Report {
    /// The family whose record was reported, if it was one.
    pub family: Option<FamilyId>,
    /// The CIDs of the blobs that were reported, and what they hold.
    pub contents: Vec<(String, ContentHash)>,
    /// What was reported, to be told of decisions; a family's record is told anyway.
    pub subject: Option<OzoneRecord>,
    /// Why.
    pub note: String,
}

impl Report {
    /// What an event reports: the record of a family, or one with blobs.
    pub(super) fn of(event: &OzoneEvent, family: Option<FamilyId>) -> Option<Report> {
        let why = event.event.report_type.as_deref().unwrap_or_default();
        let why = why.rsplit_once('#').map_or(why, |(_, why)| why);
        let said = event.event.comment.as_deref().unwrap_or_default();
        let note = format!("{why} {said}").replace('\0', " ");
        let uri = event.subject.uri.as_deref().unwrap_or_default();
        let cid = event.subject.cid.as_deref().unwrap_or_default();
        match family {
            Some(family) => Some(Report::of_family(family, note.trim())),
            None => Report::of_record((uri, cid), &event.subject_blob_cids, note.trim()),
        }
    }

    /// Of a record that stands for a family.
    fn of_family(family: FamilyId, note: &str) -> Report {
        Report {
            family: Some(family),
            contents: Vec::new(),
            subject: None,
            note: cut(note, NOTE_BYTES_MAX).to_owned(),
        }
    }

    /// Of a record with blobs; `None` where none of them names what it holds.
    fn of_record((uri, cid): (&str, &str), blobs: &[String], note: &str) -> Option<Report> {
        if !is_record((uri, cid)) {
            return None;
        }
        let named = blobs.iter().take(BLOBS_MAX);
        let contents: Vec<_> = named.filter_map(|blob| Some((blob.clone(), hash(blob)?))).collect();
        (!contents.is_empty()).then(|| Report {
            family: None,
            contents,
            subject: Some(OzoneRecord {
                uri: uri.to_owned(),
                cid: cid.to_owned(),
            }),
            note: cut(note, NOTE_BYTES_MAX).to_owned(),
        })
    }
}

/// Whether it is a version of a record as the AT Protocol names it: in printable ASCII, which any database keeps.
pub(super) fn is_record((uri, cid): (&str, &str)) -> bool {
    let is_text = |text: &str| text.len() <= URI_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    uri.starts_with("at://") && !cid.is_empty() && is_text(uri) && is_text(cid)
}

/// The hash that a blob's CID is made of, in base 32 of small letters, as the AT Protocol writes it.
fn hash(cid: &str) -> Option<ContentHash> {
    let bytes = base32(cid.strip_prefix('b')?)?;
    let digest = bytes.strip_prefix(&RAW_SHA256)?;
    ContentHash::from_bytes(Algorithm::Sha256, digest.to_vec(), None).ok()
}

/// RFC 4648, section 6, in small letters and without padding; `None` of anything else, and of what is longer than such a CID.
fn base32(text: &str) -> Option<Vec<u8>> {
    const CHARACTERS: usize = 58;
    if text.len() != CHARACTERS {
        return None;
    }
    let (mut bytes, mut held, mut bits) = (Vec::with_capacity(36), 0_u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'a'..=b'z' => byte - b'a',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return None,
        };
        held = held << 5 | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    // What is left over is nothing.
    (held == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    //! Goal: a CID of a picture is its SHA-256, and nothing else is.
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The CID of the bytes "hello world", by the hashlib and the base64 of Python.
    const HELLO_WORLD: &str = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
    const DIGEST: &str = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";

    #[test]
    fn a_blob_is_its_sha_256() {
        let hash = hash(HELLO_WORLD).unwrap();
        assert_eq!(
            (hash.algorithm(), hex::encode(hash.value())),
            (Algorithm::Sha256, DIGEST.to_owned())
        );
    }

    #[test]
    fn what_names_no_bytes_by_sha_256_is_none() {
        // CBOR, not raw bytes; another base; too short; too long; no letters of base 32; bits left over; the older version in base 58.
        for cid in [
            &HELLO_WORLD.replace("bafkrei", "bafyrei"),
            &HELLO_WORLD.replacen('b', "z", 1),
            &HELLO_WORLD[..58],
            &format!("{HELLO_WORLD}a"),
            &HELLO_WORLD.to_uppercase(),
            &HELLO_WORLD.replace('7', "1"),
            &(HELLO_WORLD[..58].to_owned() + "f"),
            "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
            "",
            "b",
            "bé",
        ] {
            assert_eq!(hash(cid), None, "{cid}");
        }
    }

    #[test]
    fn a_report_is_of_what_it_names() {
        let blobs = vec!["bafyreibad".to_owned(), HELLO_WORLD.to_owned()];
        let report = Report::of_record(("at://did:plc:a/app.bsky.feed.post/1", "bafyreia"), &blobs, "why").unwrap();
        assert_eq!((report.contents.len(), report.family), (1, None));
        assert_eq!(report.contents[0].0, HELLO_WORLD);
        let post = "at://did:plc:a/app.bsky.feed.post/1";
        assert_eq!(Report::of_record((post, "bafyreia"), &blobs[..1], ""), None);
        let long = format!("at://{}", "a".repeat(URI_BYTES_MAX));
        for (uri, cid) in [
            ("https://example.org", "bafyreia"),
            (&long, "bafyreia"),
            ("at://did:plc:a/b/\0", "bafyreia"),
            ("at://did:plc:a/b/\u{e9}", "bafyreia"),
            ("at://did:plc:a/b/ c", "bafyreia"),
            (post, ""),
            (post, "bafy\0"),
        ] {
            assert_eq!(Report::of_record((uri, cid), &blobs, ""), None, "{uri:?} {cid:?}");
        }
        let many = vec![HELLO_WORLD.to_owned(); 100];
        assert_eq!(
            Report::of_record(("at://a/b/c", "bafyreia"), &many, "")
                .unwrap()
                .contents
                .len(),
            BLOBS_MAX
        );
    }
}
