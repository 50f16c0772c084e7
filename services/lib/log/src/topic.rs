/// What becomes of old records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// Dropped after the retention time.
    Delete,
    /// The newest of each key is kept for ever.
    Compact,
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: u32,
    /// What becomes of old records.
    pub cleanup: Cleanup,
    /// For [`Cleanup::Delete`]: how long records are kept, in milliseconds; `None` for ever.
    pub retention_ms: Option<u64>,
    /// The largest record, in bytes.
    pub record_bytes_max: u32,
}

/// A topic that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Its identity: a topic deleted and made anew has another.
    pub id: u64,
    /// How many partitions.
    pub partitions: u32,
}
