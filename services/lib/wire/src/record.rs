//! Pieces that several of Tocsin's own records share.

use tocsin_model::{Algorithm, Class, ContentHash, ContentId, FamilyId, Interval, PartyId, Scope};

use crate::RecordError;
use crate::avro::{ArrayWalk, Cursor, put_long, put_option};

pub(crate) fn invalid(field: &'static str) -> RecordError {
    RecordError::Invalid { field }
}

/// A whole number of a narrower type than `long`.
pub(crate) fn narrow<T: TryFrom<i64>>(cursor: &mut Cursor<'_>, field: &'static str) -> Result<T, RecordError> {
    T::try_from(cursor.long()?).map_err(|_| invalid(field))
}

/// A 128-bit identifier, big-endian.
pub(crate) fn read_id(cursor: &mut Cursor<'_>) -> Result<u128, RecordError> {
    Ok(u128::from_be_bytes(*cursor.fixed()?))
}

pub(crate) fn put_id(out: &mut Vec<u8>, id: u128) {
    out.extend_from_slice(&id.to_be_bytes());
}

pub(crate) fn read_content(cursor: &mut Cursor<'_>) -> Result<ContentId, RecordError> {
    read_id(cursor).map(ContentId)
}

pub(crate) fn read_family(cursor: &mut Cursor<'_>) -> Result<FamilyId, RecordError> {
    read_content(cursor).map(FamilyId)
}

pub(crate) fn read_hash(cursor: &mut Cursor<'_>) -> Result<ContentHash, RecordError> {
    let number = cursor.branch(1 + Algorithm::ALL.len() as u8)?;
    let value = cursor.bytes()?;
    let quality = cursor.present()?.then(|| narrow::<u8>(cursor, "quality")).transpose()?;
    let algorithm = Algorithm::from_number(number).ok_or(invalid("algorithm"))?;
    ContentHash::from_slice(algorithm, value, quality).map_err(|_| invalid("hash"))
}

/// The scope's symbol and, of a party's, the party.
pub(crate) fn put_scope(out: &mut Vec<u8>, scope: Scope) {
    let (symbol, party) = match scope {
        Scope::All => (1, None),
        Scope::Coordinators => (2, None),
        Scope::Party(party) => (3, Some(party)),
    };
    put_long(out, symbol);
    put_option(out, party, |out, party| put_long(out, i64::from(party.0)));
}

pub(crate) fn read_scope(cursor: &mut Cursor<'_>) -> Result<Scope, RecordError> {
    let symbol = cursor.branch(4)?;
    let party = cursor
        .present()?
        .then(|| narrow(cursor, "scope_party"))
        .transpose()?
        .map(PartyId);
    match (symbol, party) {
        (1, None) => Ok(Scope::All),
        (2, None) => Ok(Scope::Coordinators),
        (3, Some(party)) => Ok(Scope::Party(party)),
        _ => Err(invalid("scope")),
    }
}

pub(crate) fn put_class(out: &mut Vec<u8>, class: Class) {
    put_long(out, i64::from(class.number()));
}

pub(crate) fn read_class(cursor: &mut Cursor<'_>) -> Result<Class, RecordError> {
    Class::from_number(narrow(cursor, "class")?).ok_or(invalid("class"))
}

/// Counts are far below 2^63; one that is not saturates rather than turning negative.
pub(crate) fn put_count(out: &mut Vec<u8>, count: u64) {
    put_long(out, i64::try_from(count).unwrap_or(i64::MAX));
}

pub(crate) fn put_interval(out: &mut Vec<u8>, interval: Interval) {
    put_count(out, interval.low);
    put_count(out, interval.high);
}

/// A figure for each hour of the day: an array of exactly so many.
pub(crate) fn read_hours<T: Copy + Default>(
    cursor: &mut Cursor<'_>,
    mut read: impl FnMut(&mut Cursor<'_>) -> Result<T, RecordError>,
) -> Result<[T; 24], RecordError> {
    let mut hours = [T::default(); 24];
    let mut left = hours.iter_mut();
    let mut walk = ArrayWalk::default();
    while walk.step(cursor)? {
        *left.next().ok_or(invalid("hours"))? = read(cursor)?;
    }
    match left.next() {
        None => Ok(hours),
        Some(_) => Err(invalid("hours")),
    }
}

pub(crate) fn read_interval(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Interval, RecordError> {
    let low = narrow(cursor, field)?;
    let high = narrow(cursor, field)?;
    if low > high {
        return Err(invalid(field));
    }
    Ok(Interval { low, high })
}
