//! Links: a content joins a family. They stand in `tocsin.sightings`.

use tocsin_model::{Evidence, Link, PartyId, Timestamp};

use crate::avro::{Cursor, put_long, put_option};
use crate::event::put_hash;
use crate::record::{invalid, narrow, put_class, put_id, read_class, read_content, read_family, read_hash};
use crate::{RecordError, SchemaName, framing};

/// A link in Avro single-object encoding.
pub fn encode(link: &Link) -> Vec<u8> {
    let mut out = Vec::with_capacity(112);
    framing::begin(SchemaName::Link, &mut out);
    put_id(&mut out, link.content.0);
    put_hash(&mut out, &link.hash);
    put_id(&mut out, link.family.0.0);
    let (symbol, measure) = link.evidence.code();
    put_long(&mut out, i64::from(symbol));
    let is_share = matches!(link.evidence, Evidence::FrameShare(_));
    for measure in [measure.filter(|_| !is_share), measure.filter(|_| is_share)] {
        put_option(&mut out, measure, |out, measure| put_long(out, i64::from(measure)));
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
    let datum = framing::open(SchemaName::Link, bytes)?;
    let cursor = &mut Cursor::new(&datum);
    let content = read_content(cursor)?;
    let hash = read_hash(cursor)?;
    let family = read_family(cursor)?;
    let symbol = cursor.branch(8)?;
    let distance = cursor.present()?.then(|| narrow(cursor, "distance")).transpose()?;
    let share = cursor.present()?.then(|| narrow(cursor, "share")).transpose()?;
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
