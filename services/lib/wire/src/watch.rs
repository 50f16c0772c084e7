//! Changes of the watch list as they stand in `tocsin.sightings`, in the partition of the content's key group.

use tocsin_model::{Severity, Timestamp, Watch};

use crate::avro::{Cursor, put_bytes, put_long, put_option};
use crate::event::put_hash;
use crate::record::{invalid, narrow, put_count, put_id, read_content, read_hash};
use crate::{RecordError, SchemaName, framing};

/// A change of the watch list in Avro single-object encoding.
pub fn encode(watch: &Watch) -> Vec<u8> {
    let mut out = Vec::with_capacity(112);
    framing::begin(SchemaName::Watch, &mut out);
    put_count(&mut out, watch.number);
    put_id(&mut out, watch.content.0);
    put_hash(&mut out, &watch.hash);
    put_option(&mut out, watch.listed, |out, severity| {
        put_long(out, i64::from(severity.get()));
    });
    put_bytes(&mut out, watch.source.as_str().as_bytes());
    put_long(&mut out, watch.at.0);
    out
}

/// The change in single-object bytes of any version.
///
/// # Errors
/// The bytes are not a change of the watch list, or hold a severity this version does not know.
pub fn decode(bytes: &[u8]) -> Result<Watch, RecordError> {
    let datum = framing::open(SchemaName::Watch, bytes)?;
    let cursor = &mut Cursor::new(&datum);
    let watch = Watch {
        number: narrow(cursor, "number")?,
        content: read_content(cursor)?,
        hash: read_hash(cursor)?,
        listed: cursor
            .present()?
            .then(|| Severity::new(narrow(cursor, "severity")?).ok_or(invalid("severity")))
            .transpose()?,
        source: cursor.string()?.parse().map_err(|_| invalid("source"))?,
        at: Timestamp(cursor.long()?),
    };
    cursor.finish()?;
    Ok(watch)
}
