//! Calibration records as they stand in `tocsin.sightings`, one in each partition.

use tocsin_model::{BetaLaw, Calibration, GammaLaw, PlatformId, PlatformNull, Timestamp};

use crate::avro::{ArrayWalk, Cursor, put_array, put_double, put_long};
use crate::record::{invalid, narrow, put_count, read_hours};
use crate::{RecordError, SchemaName, framing};

/// A calibration in Avro single-object encoding.
pub fn encode(calibration: &Calibration) -> Vec<u8> {
    let mut out = Vec::with_capacity(56 + calibration.platforms.len() * 240);
    framing::begin(SchemaName::Calibration, &mut out);
    put_count(&mut out, calibration.number);
    put_long(&mut out, calibration.effective_from.0);
    put_double(&mut out, calibration.page_threshold);
    put_double(&mut out, calibration.pages_per_day);
    put_long(&mut out, i64::from(calibration.episodes));
    put_long(&mut out, calibration.at.0);
    put_array(&mut out, calibration.platforms.iter(), put_null);
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
        platforms: read_nulls(cursor)?,
    };
    cursor.finish()?;
    match calibration.is_usable() {
        true => Ok(calibration),
        false => Err(invalid("figures of a calibration")),
    }
}

fn put_null(out: &mut Vec<u8>, null: &PlatformNull) {
    put_long(out, i64::from(null.platform.0));
    put_array(out, null.hours.into_iter(), put_double);
    put_double(out, null.reuploads.uploads);
    put_double(out, null.reuploads.shares);
    put_double(out, null.base_rate.copies);
    put_double(out, null.base_rate.hours);
}

fn read_nulls(cursor: &mut Cursor<'_>) -> Result<Vec<PlatformNull>, RecordError> {
    let mut nulls = Vec::new();
    let mut walk = ArrayWalk::default();
    while walk.step(cursor)? {
        nulls.push(PlatformNull {
            platform: PlatformId(narrow(cursor, "platform")?),
            hours: read_hours(cursor, |cursor| Ok(cursor.double()?))?,
            reuploads: BetaLaw {
                uploads: cursor.double()?,
                shares: cursor.double()?,
            },
            base_rate: GammaLaw {
                copies: cursor.double()?,
                hours: cursor.double()?,
            },
        });
    }
    Ok(nulls)
}
