use serde::{Deserialize, Serialize};
use tocsin_runtime::{MemoryPart, Refusal};
use tocsin_store::OPEN_INCIDENTS_MAX;

use crate::incidents::{INCIDENT_COORDINATORS_HASHES_MAX, INCIDENT_HASHES_MAX};

/// What an operator may choose about the query role. Section `[query]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueryConfig {
    /// The most hot records (one content, one visibility class) held in memory, some KiB each. Records beyond it are left out and
    /// counted. 1 to 100,000,000. Default: 2,000,000.
    pub hot_records_max: usize,
    /// The most hashes of announced contents held, for look-ups: 400 bytes each at most, and a quarter as many frames of videos of 224. Beyond it what was announced longest ago is left out, and counted. 1 to
    /// 16,000,000. Default: 2,000,000.
    pub announced_hashes_max: usize,
    /// The most alerts held per scope; the oldest go first. 1 to 1,000,000. Default: 4,096.
    pub alerts_per_scope_max: usize,
    /// How long alerts are held, in hours of the log's append stamps. 1 to 8,760. Default: 168.
    pub alerts_retention_hours: u32,
    /// The most streams open at a time. 1 to 100,000. Default: 1,024.
    pub streams_max: usize,
    /// The most streams that the readers of one scope (a party, or the coordinators) may hold open. 1 to `streams_max`. Default: 64.
    pub streams_per_scope_max: usize,
    /// The most streams open with one key. 1 to `streams_per_scope_max`. Default: 16.
    pub streams_per_key_max: usize,
    /// How many hashes one key may look up in a minute: `/m`, `/c`, `/h` and `/v1/counts`. 1 to 1,000,000. Default: 6,000.
    pub look_ups_per_minute: u32,
    /// How many other requests one key may make in a minute; opening a stream is one. 1 to 1,000,000. Default: 12,000.
    pub reads_per_minute: u32,
}

impl Default for QueryConfig {
    fn default() -> Self {
        QueryConfig {
            hot_records_max: 2_000_000,
            announced_hashes_max: 2_000_000,
            alerts_per_scope_max: 4_096,
            alerts_retention_hours: 168,
            streams_max: 1_024,
            streams_per_scope_max: 64,
            streams_per_key_max: 16,
            look_ups_per_minute: 6_000,
            reads_per_minute: 12_000,
        }
    }
}

/// A hot record: a content on some platforms, with the accounts of one of them counted by a sketch.
const HOT_RECORD_BYTES: u64 = 4 << 10;
/// A hash of an announced content, at most, and a quarter of a frame beside it.
const ANNOUNCED_BYTES: u64 = 400 + FRAME_BYTES / 4;
/// A frame of an announced video: 159 bytes in the index, 32 in the video.
const FRAME_BYTES: u64 = 224;

/// A hash that packs of incidents list: 159 bytes in the index, 144 beside it, and the room that a map leaves.
const INCIDENT_HASH_BYTES: u64 = 320;
/// The hashes of one incident at most.
const OF_INCIDENT_MAX: usize = INCIDENT_HASHES_MAX + INCIDENT_COORDINATORS_HASHES_MAX;
/// What the index of pictures holds beside its hashes.
const INCIDENT_INDEX_BYTES: u64 = 8 << 20;
/// A table is made beside the one that is in use.
const INCIDENT_TABLES: u64 = 2;

impl QueryConfig {
    /// What the replica may come to hold.
    pub fn memory_parts(&self) -> Vec<MemoryPart> {
        vec![
            MemoryPart {
                of: "query.hot_records_max",
                bytes: self.hot_records_max as u64 * HOT_RECORD_BYTES,
            },
            MemoryPart {
                of: "query.announced_hashes_max",
                bytes: self.announced_hashes_max as u64 * ANNOUNCED_BYTES,
            },
            MemoryPart {
                of: "the hashes of live incidents, for look-ups",
                bytes: INCIDENT_TABLES
                    * ((OPEN_INCIDENTS_MAX * OF_INCIDENT_MAX) as u64 * INCIDENT_HASH_BYTES + INCIDENT_INDEX_BYTES),
            },
        ]
    }

    /// What is wrong with it.
    pub fn refusals(&self) -> Vec<Refusal> {
        let ranges = [
            ("query.hot_records_max", self.hot_records_max as u64, 100_000_000),
            (
                "query.announced_hashes_max",
                self.announced_hashes_max as u64,
                16_000_000,
            ),
            (
                "query.alerts_per_scope_max",
                self.alerts_per_scope_max as u64,
                1_000_000,
            ),
            (
                "query.alerts_retention_hours",
                u64::from(self.alerts_retention_hours),
                8_760,
            ),
            ("query.streams_max", self.streams_max as u64, 100_000),
            (
                "query.streams_per_scope_max",
                self.streams_per_scope_max as u64,
                self.streams_max as u64,
            ),
            (
                "query.streams_per_key_max",
                self.streams_per_key_max as u64,
                self.streams_per_scope_max as u64,
            ),
            (
                "query.look_ups_per_minute",
                u64::from(self.look_ups_per_minute),
                1_000_000,
            ),
            ("query.reads_per_minute", u64::from(self.reads_per_minute), 1_000_000),
        ];
        ranges
            .into_iter()
            .filter(|(_, value, high)| !(1..=*high).contains(value))
            .map(|(key, _, high)| Refusal::new(key, format!("1 to {high} is wanted")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_each_field_is_checked() {
        assert!(QueryConfig::default().refusals().is_empty());
        let config = QueryConfig {
            hot_records_max: 0,
            streams_max: 10,
            streams_per_scope_max: 11,
            ..QueryConfig::default()
        };
        assert_eq!(config.refusals().len(), 3);
    }
}
