//! Avro bytes (Apache Avro 1.12 specification, "Binary encoding"): primitives that trust nothing and allocate nothing.
//!
//! Records of this crate are read and written by hand-written, schema-fixed code over these primitives. Bytes of any other writer schema
//! are first rewritten to the newest one by [`Schemas`](crate::Schemas), so that there is one reader for each record.

mod cursor;
mod structure;

pub use cursor::Malformed;
pub(crate) use cursor::{ArrayWalk, Cursor};
pub(crate) use structure::check_structure;

/// The zigzag variable-length form of a `long` or `int`.
pub(crate) fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// A length and the bytes: Avro `bytes` and `string`.
pub(crate) fn put_bytes(out: &mut Vec<u8>, value: &[u8]) {
    put_long(out, value.len() as i64);
    out.extend_from_slice(value);
}

pub(crate) fn put_float(out: &mut Vec<u8>, value: f32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_double(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// A union of null and something: the branch number, and then whatever `put` writes.
pub(crate) fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        None => put_long(out, 0),
        Some(value) => {
            put_long(out, 1);
            put(out, value);
        }
    }
}

/// An array in one block.
pub(crate) fn put_array<T>(
    out: &mut Vec<u8>,
    items: impl ExactSizeIterator<Item = T>,
    mut put: impl FnMut(&mut Vec<u8>, T),
) {
    if items.len() > 0 {
        put_long(out, items.len() as i64);
        for item in items {
            put(out, item);
        }
    }
    put_long(out, 0);
}
