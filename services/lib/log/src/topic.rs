use crate::LogError;

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
    /// Whether it may have more by now. Where others count on the number, it may not.
    pub may_grow: bool,
    /// What becomes of old records.
    pub cleanup: Cleanup,
    /// For [`Cleanup::Delete`]: how long records are kept, in milliseconds; `None` for ever.
    pub retention_ms: Option<u64>,
    /// The largest record, in bytes.
    pub record_bytes_max: u32,
    /// For [`Cleanup::Compact`]: how soon; `None` as the brokers are set.
    pub compaction: Option<Compaction>,
}

/// How soon old records of a compacted topic go, on Kafka. (The embedded log keeps only the newest of each key at any time.) What an
/// operator sets for all topics goes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// The segment that is written to is closed after this time, in milliseconds: only closed ones are compacted.
    pub segment_ms: u64,
    /// A record that was replaced goes at the latest about this time after it was written, in milliseconds.
    pub lag_ms_max: u64,
    /// A partition is compacted when at least so much of it, in per cent, was not compacted yet.
    pub dirty_percent_min: u8,
}

/// A topic that is not as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDifference {
    /// Its name.
    pub topic: String,
    /// What differs, for people.
    pub difference: String,
}

impl From<TopicDifference> for LogError {
    fn from(found: TopicDifference) -> Self {
        LogError::TopicMismatch {
            topic: found.topic,
            difference: found.difference,
        }
    }
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

/// The most partitions a topic may have.
pub const PARTITIONS_MAX: u32 = 1024;

/// The longest name of a topic (Apache Kafka's limit).
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// The largest record a topic may allow, in bytes.
pub const RECORD_BYTES_MAX: u32 = 15 << 20;

impl TopicSpec {
    /// What is wrong with so many partitions.
    pub(crate) fn partitions_differ(&self, partitions: u32) -> Option<String> {
        let is_right = partitions == self.partitions || (self.may_grow && partitions > self.partitions);
        (!is_right).then(|| format!("it has {partitions} partitions, not {}", self.partitions))
    }

    /// This topic differs so.
    pub(crate) fn differs(&self, difference: impl Into<String>) -> TopicDifference {
        TopicDifference {
            topic: self.name.clone(),
            difference: difference.into(),
        }
    }

    /// Both logs take the same names and shapes: those of Apache Kafka, with our limits.
    pub(crate) fn check(&self) -> Result<(), LogError> {
        let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
        let reason = if self.name.is_empty() || self.name.len() > TOPIC_NAME_BYTES_MAX {
            format!("a name has 1 to {TOPIC_NAME_BYTES_MAX} bytes")
        } else if matches!(self.name.as_str(), "." | "..") || !self.name.chars().all(legal) {
            "a name consists of letters, digits, '.', '_' and '-'".to_owned()
        } else if self.partitions == 0 || self.partitions > PARTITIONS_MAX {
            format!("a topic has 1 to {PARTITIONS_MAX} partitions, not {}", self.partitions)
        } else if self.record_bytes_max == 0 || self.record_bytes_max > RECORD_BYTES_MAX {
            format!(
                "a record has 1 to {RECORD_BYTES_MAX} bytes, not {}",
                self.record_bytes_max
            )
        } else {
            return Ok(());
        };
        Err(LogError::TopicRefused {
            topic: self.name.clone(),
            reason,
        })
    }
}

/// Whether a subscription (a full name, or a prefix that ends in `*`) takes in a topic.
pub(crate) fn subscribed(subscription: &str, topic: &str) -> bool {
    match subscription.strip_suffix('*') {
        Some(prefix) => topic.starts_with(prefix),
        None => subscription == topic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_outside_the_limits_are_refused() {
        let spec = |name: &str, partitions, record_bytes_max| TopicSpec {
            name: name.to_owned(),
            partitions,
            cleanup: Cleanup::Delete,
            retention_ms: None,
            record_bytes_max,
            may_grow: false,
            compaction: None,
        };
        assert!(spec("tocsin.ingest.a-b_c", 1, 1).check().is_ok());
        for (name, partitions, record_bytes_max) in [
            ("", 1, 1),
            ("..", 1, 1),
            ("a b", 1, 1),
            ("a*", 1, 1),
            ("ä", 1, 1),
            ("a", 0, 1),
            ("a", PARTITIONS_MAX + 1, 1),
            ("a", 1, 0),
            ("a", 1, RECORD_BYTES_MAX + 1),
        ] {
            let refused = spec(name, partitions, record_bytes_max).check();
            assert!(
                matches!(refused, Err(LogError::TopicRefused { .. })),
                "{name} {partitions}"
            );
        }
        assert!(spec(&"a".repeat(TOPIC_NAME_BYTES_MAX + 1), 1, 1).check().is_err());
    }

    #[test]
    fn a_star_at_the_end_takes_a_prefix() {
        assert!(subscribed("tocsin.ingest.*", "tocsin.ingest.a"));
        assert!(!subscribed("tocsin.ingest.*", "tocsin.alerts"));
        assert!(subscribed("a", "a"));
        assert!(!subscribed("a", "ab"));
    }
}
