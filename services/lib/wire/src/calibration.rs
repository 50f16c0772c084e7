//! Calibration records as they stand in `tocsin.sightings`, one in each partition.

use tocsin_model::{Calibration, Timestamp};

use crate::avro::{Cursor, put_double, put_long};
use crate::record::{invalid, narrow, put_count};
use crate::{RecordError, SchemaName, framing};

/// A calibration in Avro single-object encoding.
pub fn encode(calibration: &Calibration) -> Vec<u8> {
    let mut out = Vec::with_capacity(56);
    framing::begin(SchemaName::Calibration, &mut out);
    put_count(&mut out, calibration.number);
    put_long(&mut out, calibration.effective_from.0);
    put_double(&mut out, calibration.page_threshold);
    put_double(&mut out, calibration.pages_per_day);
    put_long(&mut out, i64::from(calibration.episodes));
    put_long(&mut out, calibration.at.0);
    out
}

/// The calibration in single-object bytes of any version.
///
/// # Errors
/// The bytes are not a calibration, or its figures cannot be used.
pub fn decode(bytes: &[u8]) -> Result<Calibration, RecordError> {
    let datum = framing::open(SchemaName::Calibration, bytes)?;
    let cursor = &mut Cursor::new(&datum);
    let calibration = Calibration {
        number: narrow(cursor, "number")?,
        effective_from: Timestamp(cursor.long()?),
        page_threshold: cursor.double()?,
        pages_per_day: cursor.double()?,
        episodes: narrow(cursor, "episodes")?,
        at: Timestamp(cursor.long()?),
    };
    cursor.finish()?;
    match calibration.is_usable() {
        true => Ok(calibration),
        false => Err(invalid("page_threshold")),
    }
}
