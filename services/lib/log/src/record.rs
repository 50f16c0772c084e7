use bytes::Bytes;

/// One partition of one topic, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: std::sync::Arc<str>,
    /// The partition's number, from 0.
    pub partition: u32,
}

/// A named value beside a record, such as a W3C `traceparent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name.
    pub name: String,
    /// The value.
    pub value: Bytes,
}

/// A record to append. The log stamps it when it appends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// Where to.
    pub to: TopicPartition,
    /// The key: what compaction goes by.
    pub key: Option<Bytes>,
    /// The value; `None` removes the key from a compacted topic.
    pub value: Option<Bytes>,
    /// Named values.
    pub headers: Vec<Header>,
}

/// Whose clock a record's stamp was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StampedBy {
    /// The log's, when it appended the record.
    Log,
    /// The sender's, who could have written any time. Only Kafka, of a topic that nobody made with `message.timestamp.type=LogAppendTime`.
    Sender,
}

/// A record as a reader borrows it.
#[derive(Clone, Copy)]
pub struct RecordRef<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition's number.
    pub partition: u32,
    /// The position in the partition.
    pub offset: u64,
    /// When the log appended it, milliseconds since 1970; if [`RecordRef::stamped_by`] says so.
    pub appended_at_ms: i64,
    /// Whose stamp that is.
    pub stamped_by: StampedBy,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// Named values.
    pub headers: Headers<'a>,
}

/// A record that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where from.
    pub from: TopicPartition,
    /// The position in the partition.
    pub offset: u64,
    /// When the log appended it, milliseconds since 1970.
    pub appended_at_ms: i64,
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Option<Bytes>,
    /// Named values.
    pub headers: Vec<Header>,
}

/// The headers of a borrowed record.
#[derive(Clone, Copy)]
pub enum Headers<'a> {
    /// Headers that stand in memory.
    Slice(&'a [Header]),
    /// Headers inside a Kafka message, if it has any.
    Kafka(Option<&'a rdkafka::message::BorrowedHeaders>),
}

impl<'a> Headers<'a> {
    /// All of them, copied.
    pub fn to_vec(self) -> Vec<Header> {
        use rdkafka::message::Headers as _;
        match self {
            Headers::Slice(headers) => headers.to_vec(),
            Headers::Kafka(None) => Vec::new(),
            Headers::Kafka(Some(headers)) => headers
                .iter()
                .map(|header| Header {
                    name: header.key.to_owned(),
                    value: Bytes::copy_from_slice(header.value.unwrap_or_default()),
                })
                .collect(),
        }
    }

    /// The value of the first header of this name.
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        use rdkafka::message::Headers as _;
        match self {
            Headers::Slice(headers) => headers
                .iter()
                .find(|header| header.name == name)
                .map(|header| header.value.as_ref()),
            Headers::Kafka(None) => None,
            Headers::Kafka(Some(headers)) => headers
                .iter()
                .find(|header| header.key == name)
                .and_then(|header| header.value),
        }
    }
}

impl Append {
    /// What a topic's limit goes by: the bytes of key, value and headers.
    pub fn bytes(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|header| header.name.len() + header.value.len())
            .sum();
        self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len) + headers
    }
}

impl RecordRef<'_> {
    /// A copy that owns its bytes.
    pub fn to_record(self) -> Record {
        Record {
            from: TopicPartition::new(self.topic, self.partition),
            offset: self.offset,
            appended_at_ms: self.appended_at_ms,
            key: self.key.map(Bytes::copy_from_slice),
            value: self.value.map(Bytes::copy_from_slice),
            headers: self.headers.to_vec(),
        }
    }
}

impl TopicPartition {
    /// A partition of a topic.
    pub fn new(topic: impl Into<std::sync::Arc<str>>, partition: u32) -> Self {
        TopicPartition {
            topic: topic.into(),
            partition,
        }
    }
}
