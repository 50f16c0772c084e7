//! How often evidence was right and wrong for a team, as it stands in `tocsin.sightings`, one in each partition.

use tocsin_model::{EvidenceCount, EvidenceKind, Timestamp, Weighing};

use crate::avro::{ArrayWalk, Cursor, put_array, put_long};
use crate::record::{invalid, narrow, put_count, put_scope, read_scope};
use crate::{RecordError, SchemaName, framing};

/// A weighing in Avro single-object encoding.
pub fn encode(weighing: &Weighing) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    framing::begin(SchemaName::Weighing, &mut out);
    put_count(&mut out, weighing.number);
    put_scope(&mut out, weighing.scope);
    put_long(&mut out, weighing.at.0);
    put_array(&mut out, weighing.counts.iter(), |out, count| {
        put_long(out, i64::from(count.kind as u8));
        put_long(out, i64::from(count.stood));
        put_long(out, i64::from(count.overturned));
    });
    out
}

/// The weighing in single-object bytes of any version.
///
/// # Errors
/// The bytes are not a weighing, or it cannot be used.
pub fn decode(bytes: &[u8]) -> Result<Weighing, RecordError> {
    let datum = framing::open(SchemaName::Weighing, bytes)?;
    let cursor = &mut Cursor::new(&datum);
    let mut weighing = Weighing {
        number: narrow(cursor, "number")?,
        scope: read_scope(cursor)?,
        at: Timestamp(cursor.long()?),
        counts: Vec::new(),
    };
    let mut walk = ArrayWalk::default();
    while walk.step(cursor)? {
        let kind = EvidenceKind::from_number(narrow(cursor, "kind")?);
        weighing.counts.push(EvidenceCount {
            kind: kind.ok_or(invalid("kind"))?,
            stood: narrow(cursor, "stood")?,
            overturned: narrow(cursor, "overturned")?,
        });
    }
    cursor.finish()?;
    match weighing.is_usable() {
        true => Ok(weighing),
        false => Err(invalid("counts of a weighing")),
    }
}
