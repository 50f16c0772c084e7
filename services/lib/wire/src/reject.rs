//! Rejects as they stand in `tocsin.rejects`: why an event or record was refused and where it stood; never its payload.

use tocsin_model::{Name, Timestamp};

use crate::avro::{Cursor, put_bytes, put_long, put_option};
use crate::record::{invalid, narrow, put_count};
use crate::{EventError, RecordError, SchemaName, framing};

/// The longest `detail`, in bytes.
pub const DETAIL_BYTES_MAX: usize = 200;

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The stable code: one of [`EventError::CODES`], or one of a later version.
    pub code: String,
    /// For people; cut to [`DETAIL_BYTES_MAX`] when it is encoded.
    pub detail: String,
    /// The party whose topic it came from, where known.
    pub party: Option<Name>,
    /// Where it was read.
    pub source: RejectSource,
    /// When the log or the gateway received it; of `not_stamped_by_log`, what its sender wrote.
    pub received_at: Timestamp,
}

/// Where a refused event was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectSource {
    /// The topic's name.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The record's offset.
    pub offset: u64,
    /// The place within a batch; 0 for a single event.
    pub index: u32,
}

impl Reject {
    /// The refusal of what stood at `source` for the reason `error`.
    pub fn new(error: &EventError, source: RejectSource, party: Option<Name>, received_at: Timestamp) -> Self {
        let mut detail = error.to_string();
        detail.truncate(detail.floor_char_boundary(DETAIL_BYTES_MAX));
        Reject {
            code: error.code().to_owned(),
            detail,
            party,
            source,
            received_at,
        }
    }

    /// The record value.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(192);
        framing::begin(SchemaName::Reject, &mut out);
        put_bytes(&mut out, self.code.as_bytes());
        let detail = &self.detail[..self.detail.floor_char_boundary(DETAIL_BYTES_MAX)];
        put_bytes(&mut out, detail.as_bytes());
        put_option(&mut out, self.party.as_ref(), |out, name| {
            put_bytes(out, name.as_str().as_bytes());
        });
        put_bytes(&mut out, self.source.topic.as_bytes());
        put_long(&mut out, i64::from(self.source.partition));
        put_count(&mut out, self.source.offset);
        put_long(&mut out, i64::from(self.source.index));
        put_long(&mut out, self.received_at.0);
        out
    }

    /// The reject in a record value of any version.
    ///
    /// # Errors
    /// The bytes are not a reject.
    pub fn decode(bytes: &[u8]) -> Result<Reject, RecordError> {
        let datum = framing::open(SchemaName::Reject, bytes)?;
        let cursor = &mut Cursor::new(&datum);
        let code = cursor.string()?.to_owned();
        let detail = cursor.string()?.to_owned();
        let party = match cursor.present()? {
            false => None,
            true => Some(cursor.string()?.parse().map_err(|_| invalid("party"))?),
        };
        let reject = Reject {
            code,
            detail,
            party,
            source: RejectSource {
                topic: cursor.string()?.to_owned(),
                partition: narrow(cursor, "partition")?,
                offset: narrow(cursor, "offset")?,
                index: narrow(cursor, "index")?,
            },
            received_at: Timestamp(cursor.long()?),
        };
        cursor.finish()?;
        Ok(reject)
    }
}
