use redb::TableDefinition;

use crate::{Append, Cleanup, Header, LogError, TopicSpec};

/// The format of the file. A file of another format is refused.
pub(super) const FORMAT: u64 = 1;

/// Numbers about the whole log, by name: see the constants that begin with `META_`.
pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// [`FORMAT`] of this file.
pub(super) const META_FORMAT: &str = "format";
/// The id the next topic gets. Ids are never used again.
pub(super) const META_NEXT_TOPIC_ID: &str = "next_topic_id";
/// The last append stamp, milliseconds since 1970, as the bits of an `i64`.
pub(super) const META_LAST_STAMP: &str = "last_stamp_ms";

/// Topics by name: id, partitions, whether compacted, retention in ms, largest record in bytes.
pub(super) const TOPICS: TableDefinition<&str, (u64, u32, bool, Option<u64>, u32)> = TableDefinition::new("topics");
/// Records by topic id, partition and offset: see [`encode`].
pub(super) const RECORDS: TableDefinition<RecordKey, &[u8]> = TableDefinition::new("records");
/// First offset held and next offset, by topic id and partition. A partition nobody appended to has no row.
pub(super) const ENDS: TableDefinition<(u64, u32), (u64, u64)> = TableDefinition::new("ends");
/// Of compacted topics: the offset of the newest record of each key.
pub(super) const KEYS: TableDefinition<(u64, u32, &[u8]), u64> = TableDefinition::new("keys");
/// Of compacted topics: the stamps of records without a value, which go after a while.
pub(super) const TOMBSTONES: TableDefinition<RecordKey, i64> = TableDefinition::new("tombstones");
/// Next offset to read, by group, topic id and partition.
pub(super) const POSITIONS: TableDefinition<(&str, u64, u32), u64> = TableDefinition::new("positions");

/// Topic id, partition, offset.
pub(super) type RecordKey = (u64, u32, u64);

/// A topic as it stands in [`TOPICS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TopicRow {
    pub(super) id: u64,
    pub(super) partitions: u32,
    pub(super) cleanup: Cleanup,
    pub(super) retention_ms: Option<u64>,
    pub(super) record_bytes_max: u32,
}

impl TopicRow {
    pub(super) fn new(id: u64, spec: &TopicSpec) -> Self {
        TopicRow {
            id,
            partitions: spec.partitions,
            cleanup: spec.cleanup,
            retention_ms: spec.retention_ms,
            record_bytes_max: spec.record_bytes_max,
        }
    }

    pub(super) fn to_value(&self) -> (u64, u32, bool, Option<u64>, u32) {
        let compacted = self.cleanup == Cleanup::Compact;
        (
            self.id,
            self.partitions,
            compacted,
            self.retention_ms,
            self.record_bytes_max,
        )
    }

    pub(super) fn from_value(value: (u64, u32, bool, Option<u64>, u32)) -> Self {
        let (id, partitions, compacted, retention_ms, record_bytes_max) = value;
        TopicRow {
            id,
            partitions,
            cleanup: if compacted { Cleanup::Compact } else { Cleanup::Delete },
            retention_ms,
            record_bytes_max,
        }
    }
}

const HAS_KEY: u8 = 1;
const HAS_VALUE: u8 = 2;
const HAS_HEADERS: u8 = 4;

/// A stored record: one byte of flags, the append stamp (`i64`), then, each if its flag is set, the key (length, bytes), the headers
/// (count, then length and bytes of each name and value) and the value (the rest). Integers are little-endian, lengths and counts `u32`.
pub(super) fn encode(append: &Append, appended_at_ms: i64, out: &mut Vec<u8>) {
    out.clear();
    let mut flags = 0;
    flags |= if append.key.is_some() { HAS_KEY } else { 0 };
    flags |= if append.value.is_some() { HAS_VALUE } else { 0 };
    flags |= if append.headers.is_empty() { 0 } else { HAS_HEADERS };
    out.push(flags);
    out.extend_from_slice(&appended_at_ms.to_le_bytes());
    if let Some(key) = &append.key {
        put(key, out);
    }
    if !append.headers.is_empty() {
        out.extend_from_slice(&length(append.headers.len()));
        for header in &append.headers {
            put(header.name.as_bytes(), out);
            put(&header.value, out);
        }
    }
    if let Some(value) = &append.value {
        out.extend_from_slice(value);
    }
}

fn put(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&length(bytes.len()));
    out.extend_from_slice(bytes);
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length)
        .expect("a record was checked against its topic's limit, which is below 4 GiB")
        .to_le_bytes()
}

/// A stored record, borrowed. Headers are few and rare, so they are copied.
pub(super) struct Stored<'a> {
    pub(super) appended_at_ms: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Vec<Header>,
}

/// The append stamp of a stored record.
pub(super) fn stamp_of(bytes: &[u8]) -> Result<i64, LogError> {
    let stamp = bytes.get(1..9).ok_or_else(broken)?;
    Ok(i64::from_le_bytes(
        stamp.try_into().expect("nine less one are eight bytes"),
    ))
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(bytes: &[u8]) -> Result<Stored<'_>, LogError> {
    let appended_at_ms = stamp_of(bytes)?;
    let flags = bytes[0];
    let mut rest = &bytes[9..];
    let key = if flags & HAS_KEY != 0 {
        Some(take(&mut rest)?)
    } else {
        None
    };
    let mut headers = Vec::new();
    if flags & HAS_HEADERS != 0 {
        for _ in 0..take_length(&mut rest)? {
            let name = String::from_utf8(take(&mut rest)?.to_vec()).map_err(|_| broken())?;
            let value = bytes::Bytes::copy_from_slice(take(&mut rest)?);
            headers.push(Header { name, value });
        }
    }
    let value = (flags & HAS_VALUE != 0).then_some(rest);
    Ok(Stored {
        appended_at_ms,
        key,
        value,
        headers,
    })
}

fn take_length(rest: &mut &[u8]) -> Result<usize, LogError> {
    let (length, after) = rest.split_first_chunk::<4>().ok_or_else(broken)?;
    *rest = after;
    Ok(u32::from_le_bytes(*length) as usize)
}

fn take<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], LogError> {
    let length = take_length(rest)?;
    let (taken, after) = rest.split_at_checked(length).ok_or_else(broken)?;
    *rest = after;
    Ok(taken)
}

fn broken() -> LogError {
    LogError::Embedded {
        operation: "decode a stored record",
        source: "its bytes are broken".into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::TopicPartition;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn appends() -> impl Strategy<Value = Append> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
        let header = ("[a-z]{0,8}", bytes()).prop_map(|(name, value)| Header { name, value });
        (
            proptest::option::of(bytes()),
            proptest::option::of(bytes()),
            proptest::collection::vec(header, 0..3),
        )
            .prop_map(|(key, value, headers)| Append {
                to: TopicPartition::new("t", 0),
                key,
                value,
                headers,
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_record_reads_back_as_it_was_written(append in appends(), stamp in any::<i64>()) {
            let mut bytes = Vec::new();
            encode(&append, stamp, &mut bytes);
            let stored = decode(&bytes).unwrap();
            prop_assert_eq!(stored.appended_at_ms, stamp);
            prop_assert_eq!(stored.key, append.key.as_deref());
            prop_assert_eq!(stored.value, append.value.as_deref());
            prop_assert_eq!(stored.headers, append.headers);
        }

        #[test]
        fn broken_bytes_are_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn an_announced_length_beyond_the_bytes_is_an_error() {
        assert!(decode(&[]).is_err());
        assert!(decode(&[HAS_KEY, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1]).is_err());
        assert!(decode(&[HAS_HEADERS, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]).is_err());
    }
}
