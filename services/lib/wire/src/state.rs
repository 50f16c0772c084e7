//! State records as they stand in `tocsin.state`, compacted by [`StateKey`].

mod header;
mod key;

pub use header::{StateBinding, StateHeader};
pub use key::StateKey;

use tocsin_model::Timestamp;

use crate::avro::{Cursor, put_bytes, put_long};
use crate::record::{invalid, narrow, put_count};
use crate::{RecordError, SchemaName, framing};

/// One state record, or one chunk of one. Its bytes are Avro single-object encoding of schema `state`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRecord {
    /// The offset of the last input that is in this state: inputs up to and including it must not be applied again.
    pub applied_through: u64,
    /// The group's (of a header: the partition's) time.
    pub as_of: Timestamp,
    /// The version of the body's layout.
    pub format: u16,
    /// Which chunk, from 0.
    pub chunk: u32,
    /// How many chunks.
    pub chunks: u32,
    /// The state, as the crate that owns it encodes it.
    pub body: Vec<u8>,
}

impl StateRecord {
    /// The record value.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48 + self.body.len());
        self.encode_around(&self.body, &mut out);
        out
    }

    /// The value of the same record with another body, appended to `out`: for a body that stands elsewhere, and is not to be copied twice.
    pub fn encode_around(&self, body: &[u8], out: &mut Vec<u8>) {
        framing::begin(SchemaName::State, out);
        put_count(out, self.applied_through);
        put_long(out, self.as_of.0);
        put_long(out, i64::from(self.format));
        put_long(out, i64::from(self.chunk));
        put_long(out, i64::from(self.chunks));
        put_bytes(out, body);
    }

    /// The state record in a record value of any version.
    ///
    /// # Errors
    /// The bytes are not a state record, or the chunk lies outside its count.
    pub fn decode(bytes: &[u8]) -> Result<StateRecord, RecordError> {
        let datum = framing::open(SchemaName::State, bytes)?;
        let cursor = &mut Cursor::new(&datum);
        let record = StateRecord {
            applied_through: narrow(cursor, "applied_through")?,
            as_of: Timestamp(cursor.long()?),
            format: narrow(cursor, "format")?,
            chunk: narrow(cursor, "chunk")?,
            chunks: narrow(cursor, "chunks")?,
            body: cursor.bytes()?.to_vec(),
        };
        cursor.finish()?;
        if record.chunk >= record.chunks {
            return Err(invalid("chunk"));
        }
        Ok(record)
    }
}
