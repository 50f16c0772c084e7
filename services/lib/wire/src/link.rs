//! Links: a content joins a family. They stand in `tocsin.sightings`.

use std::borrow::Cow;

use tocsin_model::{Evidence, Link, PartyId, Timestamp};

use crate::avro::{Cursor, put_long, put_option};
use crate::event::put_hash;
use crate::record::{invalid, narrow, put_class, put_id, read_class, read_content, read_family, read_hash};
use crate::{RecordError, SchemaName, framing};

/// The version without the share of frames.
const BEFORE_FRAMES: usize = 2;

/// A link in Avro single-object encoding: of version 2 unless its evidence is of frames, of which that one knows nothing. So what a merge says to
/// other groups, which is never that, is read by a program of before too.
pub fn encode(link: &Link) -> Vec<u8> {
    let mut out = Vec::with_capacity(112);
    let is_share = matches!(link.evidence, Evidence::FrameShare(_));
    match is_share {
        true => framing::begin(SchemaName::Link, &mut out),
        false => framing::begin_version(SchemaName::Link, BEFORE_FRAMES, &mut out),
    }
    put_id(&mut out, link.content.0);
    put_hash(&mut out, &link.hash);
    put_id(&mut out, link.family.0.0);
    let (symbol, measure) = link.evidence.code();
    put_long(&mut out, i64::from(symbol));
    let distance = measure.filter(|_| !is_share);
    put_option(&mut out, distance, |out, distance| put_long(out, i64::from(distance)));
    if is_share {
        put_option(&mut out, measure, |out, share| put_long(out, i64::from(share)));
    }
    put_option(&mut out, link.party, |out, party| put_long(out, i64::from(party.0)));
    put_class(&mut out, link.class);
    put_long(&mut out, link.at.0);
    out
}

/// The link in single-object bytes of any version.
///
/// # Errors
/// The bytes are not a link, or hold evidence this version does not know.
pub fn decode(bytes: &[u8]) -> Result<Link, RecordError> {
    let before_frames = framing::of_version(SchemaName::Link, BEFORE_FRAMES, bytes);
    let datum = match before_frames {
        Some(datum) => Cow::Borrowed(datum),
        None => framing::open(SchemaName::Link, bytes)?,
    };
    let cursor = &mut Cursor::new(&datum);
    let content = read_content(cursor)?;
    let hash = read_hash(cursor)?;
    let family = read_family(cursor)?;
    let symbol = cursor.branch(if before_frames.is_some() { 7 } else { 8 })?;
    let distance = cursor.present()?.then(|| narrow(cursor, "distance")).transpose()?;
    let share = match before_frames {
        Some(_) => None,
        None => cursor.present()?.then(|| narrow(cursor, "share")).transpose()?,
    };
    let measure = match symbol {
        7 if distance.is_none() => share,
        _ if share.is_none() => distance,
        _ => None,
    };
    let evidence = Evidence::from_code(symbol, measure).ok_or(invalid("evidence"))?;
    let link = Link {
        content,
        hash,
        family,
        evidence,
        party: cursor
            .present()?
            .then(|| narrow(cursor, "party"))
            .transpose()?
            .map(PartyId),
        class: read_class(cursor)?,
        at: Timestamp(cursor.long()?),
    };
    cursor.finish()?;
    Ok(link)
}

#[cfg(test)]
mod tests {
    //! Goal: a link is read as it was written, and a program of before reads all that it could know.

    use tocsin_model::{Algorithm, Class, ContentHash, ContentId, FamilyId};

    use super::*;

    #[test]
    fn links_without_frames_are_of_the_version_before_them() {
        for (evidence, version) in [
            (Evidence::PartyLink, 2),
            (Evidence::EqualHash, 2),
            (Evidence::PdqDistance(31), 2),
            (Evidence::FounderLinked, 2),
            (Evidence::Moderator, 2),
            (Evidence::FamilyParted, 2),
            (Evidence::FrameShare(71), 3),
        ] {
            for party in [None, Some(PartyId(3))] {
                let link = Link {
                    content: ContentId(5),
                    hash: ContentHash::from_bytes(Algorithm::Sha256, vec![7; 32], None).expect("32 bytes"),
                    family: FamilyId(ContentId(3)),
                    evidence,
                    party,
                    class: Class::All,
                    at: Timestamp(1_770_000_000_250),
                };
                let bytes = encode(&link);
                assert!(
                    framing::of_version(SchemaName::Link, version, &bytes).is_some(),
                    "{evidence:?}"
                );
                assert_eq!(decode(&bytes).expect("a link"), link);
                // The hand-written reader and the one by schema resolution say the same.
                let rewritten = framing::open(SchemaName::Link, &bytes).expect("a link").into_owned();
                let mut newest = Vec::new();
                framing::begin(SchemaName::Link, &mut newest);
                newest.extend(rewritten);
                assert_eq!(decode(&newest).expect("a link"), link);
                for length in 0..bytes.len() {
                    assert!(decode(&bytes[..length]).is_err(), "{evidence:?} {length}");
                }
            }
        }
    }
}
