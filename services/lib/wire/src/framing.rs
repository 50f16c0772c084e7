//! How a record says which schema wrote it.

use std::borrow::Cow;

use crate::{RecordError, SchemaName, Schemas};

/// What stands before a datum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Avro single-object encoding: C3 01 and the CRC-64-AVRO fingerprint, little-endian.
    SingleObject { fingerprint: u64 },
    /// Confluent framing: 00 and a schema id, big-endian.
    Confluent { id: u32 },
}

/// Splits a record into its framing and its datum.
pub(crate) fn split(bytes: &[u8]) -> Option<(Framing, &[u8])> {
    match bytes {
        [0xc3, 0x01, rest @ ..] => {
            let (fingerprint, datum) = rest.split_first_chunk::<8>()?;
            let fingerprint = u64::from_le_bytes(*fingerprint);
            Some((Framing::SingleObject { fingerprint }, datum))
        }
        [0x00, rest @ ..] => {
            let (id, datum) = rest.split_first_chunk::<4>()?;
            let id = u32::from_be_bytes(*id);
            Some((Framing::Confluent { id }, datum))
        }
        _ => None,
    }
}

/// Begins a record in single-object encoding of the newest version of `name`.
pub(crate) fn begin(name: SchemaName, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xc3, 0x01]);
    out.extend_from_slice(&name.fingerprint().to_le_bytes());
}

/// The same of an earlier version, from 1: what has nothing that only a later one holds is written as that, so that a program of before reads it.
pub(crate) fn begin_version(name: SchemaName, version: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xc3, 0x01]);
    out.extend_from_slice(&name.fingerprint_of(version).to_le_bytes());
}

/// The datum as this version wrote it, from 1; `None` of any other. To read it so costs less than to have it rewritten by [`open`].
pub(crate) fn of_version(name: SchemaName, version: usize, bytes: &[u8]) -> Option<&[u8]> {
    match split(bytes) {
        Some((Framing::SingleObject { fingerprint }, datum)) if fingerprint == name.fingerprint_of(version) => {
            Some(datum)
        }
        _ => None,
    }
}

/// The datum of one of Tocsin's own records, as the newest version writes it.
pub(crate) fn open(name: SchemaName, bytes: &[u8]) -> Result<Cow<'_, [u8]>, RecordError> {
    let Some((Framing::SingleObject { fingerprint }, datum)) = split(bytes) else {
        return Err(RecordError::NotSingleObject);
    };
    let schemas = Schemas::builtin();
    if schemas.name_of(fingerprint) != Some(name) {
        return Err(RecordError::UnknownSchema {
            expected: name.name(),
            fingerprint,
        });
    }
    Ok(schemas.to_newest(fingerprint, datum)?)
}
