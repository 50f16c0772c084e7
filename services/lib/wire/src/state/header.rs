use crate::RecordError;
use crate::avro::{Cursor, put_long};
use crate::record::{invalid, narrow, put_count, put_id, read_id};

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
    /// `None` in headers of [`StateHeader::FORMAT_BEFORE`].
    pub binding: Option<StateBinding>,
}

/// What binds a partition's state to its deployment, to its input and to its own records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateBinding {
    /// A digest of the deployment key: under another one nothing of the state means the same.
    pub deployment: u128,
    /// The id of the sightings topic that the offsets are of; 0 where the log tells none.
    pub input: u64,
    /// How many of the partition's key groups have a checkpoint in the state topic.
    pub groups: u16,
}

impl StateHeader {
    /// The version of the state schema that this code writes.
    pub const SCHEMA_VERSION: u16 = 1;
    /// The version of the layout of a body with a [`StateBinding`]: the `format` of its [`StateRecord`](super::StateRecord).
    pub const FORMAT: u16 = 3;
    /// The same of a body without one.
    pub const FORMAT_BEFORE: u16 = 2;

    /// The version of this body's layout.
    pub fn format(&self) -> u16 {
        match self.binding {
            Some(_) => Self::FORMAT,
            None => Self::FORMAT_BEFORE,
        }
    }

    /// The body: Avro numbers in the order of the fields, the digest in sixteen bytes, big-endian.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(72);
        put_count(&mut out, self.next_offset);
        put_count(&mut out, self.checkpoint_offset);
        put_long(&mut out, i64::from(self.partition_count));
        put_long(&mut out, i64::from(self.group_count));
        put_long(&mut out, i64::from(self.key_epoch));
        put_long(&mut out, i64::from(self.schema_version));
        put_long(&mut out, i64::from(self.state_version));
        if let Some(binding) = self.binding {
            put_id(&mut out, binding.deployment);
            // An id takes all 64 bits.
            put_long(&mut out, binding.input.cast_signed());
            put_long(&mut out, i64::from(binding.groups));
        }
        out
    }

    /// The header in a body.
    ///
    /// # Errors
    /// The bytes are not a header of [`StateHeader::FORMAT`] or [`StateHeader::FORMAT_BEFORE`].
    pub fn decode(body: &[u8]) -> Result<StateHeader, RecordError> {
        let cursor = &mut Cursor::new(body);
        let mut header = StateHeader {
            next_offset: narrow(cursor, "next_offset")?,
            checkpoint_offset: narrow(cursor, "checkpoint_offset")?,
            partition_count: narrow(cursor, "partition_count")?,
            group_count: narrow(cursor, "group_count")?,
            key_epoch: narrow(cursor, "key_epoch")?,
            schema_version: narrow(cursor, "schema_version")?,
            state_version: narrow(cursor, "state_version")?,
            binding: None,
        };
        if !cursor.rest().is_empty() {
            header.binding = Some(StateBinding {
                deployment: read_id(cursor)?,
                input: cursor.long()?.cast_unsigned(),
                groups: narrow(cursor, "groups")?,
            });
        }
        cursor.finish()?;
        if header.partition_count == 0 || header.partition_count > header.group_count {
            return Err(invalid("partition_count"));
        }
        if header
            .binding
            .is_some_and(|binding| binding.groups > header.group_count)
        {
            return Err(invalid("groups"));
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    //! Headers of both layouts come back from their bytes, and their bytes are what they were.
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn before() -> StateHeader {
        StateHeader {
            next_offset: 1_000_000,
            checkpoint_offset: 999_000,
            partition_count: 16,
            group_count: 256,
            key_epoch: 3,
            schema_version: 1,
            state_version: 9,
            binding: None,
        }
    }

    fn bound() -> StateHeader {
        let binding = StateBinding {
            deployment: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
            input: u64::MAX - 1,
            groups: 16,
        };
        StateHeader {
            binding: Some(binding),
            ..before()
        }
    }

    #[test]
    fn both_layouts_have_their_bytes() {
        let golden_2 = "80897ab0f979208004060212";
        let golden_3 = "80897ab0f979208004060212\
                        00112233445566778899aabbccddeeff0320";
        for (header, format, golden) in [(before(), 2, golden_2), (bound(), 3, golden_3)] {
            assert_eq!((header.format(), &*hex::encode(header.encode())), (format, golden));
            assert_eq!(StateHeader::decode(&hex::decode(golden).unwrap()).unwrap(), header);
        }
    }

    #[test]
    fn what_is_cut_or_longer_is_no_header() {
        let bytes = bound().encode();
        let whole = before().encode().len();
        for length in (0..bytes.len()).filter(|length| *length != whole) {
            assert!(StateHeader::decode(&bytes[..length]).is_err(), "{length} bytes");
        }
        assert!(StateHeader::decode(&[bytes, vec![0]].concat()).is_err());
        let mut many = bound();
        many.binding.as_mut().unwrap().groups = 257;
        assert!(StateHeader::decode(&many.encode()).is_err());
    }
}
