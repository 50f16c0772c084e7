use crate::RecordError;
use crate::avro::{Cursor, put_long};
use crate::record::{invalid, narrow, put_count};

/// The body of the record under [`StateKey::Header`](super::StateKey::Header): what one commit unit of a partition stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateHeader {
    /// The next input offset to apply.
    pub next_offset: u64,
    /// The offset at which the last whole checkpoint of filter and panes was cut: a restore reads input from here.
    pub checkpoint_offset: u64,
    /// How many partitions the sightings topic had.
    pub partition_count: u16,
    /// How many key groups the deployment has.
    pub group_count: u16,
    /// The epoch of the key whose seeds the sketches use.
    pub key_epoch: u32,
    /// The version of the state schema that wrote this.
    pub schema_version: u16,
    /// The version of the state machine whose bodies these are.
    pub state_version: u16,
}

impl StateHeader {
    /// The version of the state schema that this code writes.
    pub const SCHEMA_VERSION: u16 = 1;
    /// The version of this body's layout: the `format` of its [`StateRecord`](super::StateRecord).
    pub const FORMAT: u16 = 2;

    /// The body: Avro numbers in the order of the fields.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        put_count(&mut out, self.next_offset);
        put_count(&mut out, self.checkpoint_offset);
        put_long(&mut out, i64::from(self.partition_count));
        put_long(&mut out, i64::from(self.group_count));
        put_long(&mut out, i64::from(self.key_epoch));
        put_long(&mut out, i64::from(self.schema_version));
        put_long(&mut out, i64::from(self.state_version));
        out
    }

    /// The header in a body.
    ///
    /// # Errors
    /// The bytes are not a header of [`StateHeader::FORMAT`].
    pub fn decode(body: &[u8]) -> Result<StateHeader, RecordError> {
        let cursor = &mut Cursor::new(body);
        let header = StateHeader {
            next_offset: narrow(cursor, "next_offset")?,
            checkpoint_offset: narrow(cursor, "checkpoint_offset")?,
            partition_count: narrow(cursor, "partition_count")?,
            group_count: narrow(cursor, "group_count")?,
            key_epoch: narrow(cursor, "key_epoch")?,
            schema_version: narrow(cursor, "schema_version")?,
            state_version: narrow(cursor, "state_version")?,
        };
        cursor.finish()?;
        if header.partition_count == 0 || header.partition_count > header.group_count {
            return Err(invalid("partition_count"));
        }
        Ok(header)
    }
}
