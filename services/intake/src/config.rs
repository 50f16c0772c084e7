use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

use serde::{Deserialize, Serialize};
use tocsin_family::Limits;
use tocsin_model::{DeploymentKey, KeyEpoch, Milliseconds, Name, PartitionCount};
use tocsin_runtime::{MemoryPart, MemoryPressure, Refusal};
use tocsin_wire::osprey::Mapping;
use tocsin_wire::{SchemaName, Schemas};

/// How intake works. Section `[intake]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntakeConfig {
    /// Whose time counts as the time of receipt. Default: `log`.
    pub time_source: TimeSource,
    /// How old an event may be, by its source's corrected clock, and still be counted in windows; in minutes. 1 to 720; default 120. Must
    /// be the same for every intake and detector.
    pub lateness_minutes: u32,
    /// How often time goes on for the key groups when nothing happens, in milliseconds. 10 to 10,000; default 250.
    pub tick_interval_ms: u64,
    /// Which schema a Confluent schema id stands for, by id: `event/1` or `event_batch/1`, the name and the version under `schemas/avro`. A
    /// record with another id is rejected (`unknown_schema_id`). Default: none. Should be the same for every intake.
    pub confluent_schema_ids: BTreeMap<String, String>,
    /// Parties whose ingest topics carry actions of Osprey beside events, each with the file (TOML) that says which actions are events and
    /// where their fields stand. Default: none. Should be the same for every intake.
    pub osprey_mappings: BTreeMap<String, String>,
    /// How many hashes of announced contents (hot or watch-listed) are held to find their variants, a PDQ hash counted twice, and beside
    /// them a quarter as many frames of videos; what was announced longest ago goes first. 10,000 to 16,000,000; default 1,000,000. For a watch list of more than half as many
    /// pictures set it higher.
    pub announced_hashes_max: u32,
}

/// A mapping of actions that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("party {party}, file {file}: {reason}")]
pub struct MappingRefused {
    /// Whose.
    pub party: String,
    /// The file.
    pub file: String,
    /// What is wrong.
    pub reason: String,
}

/// What a name of an announced content takes (measured: `loadtest/RECORD.md`), and a quarter of a frame beside it (see [`FRAME_BYTES`]).
const ANNOUNCED_BYTES: u64 = 583 + FRAME_BYTES / 4;
/// What a frame of a video takes that was seen of late, an estimate: in the index 155 bytes (measured: `decisions/video-frames.md`) and its number, 32 in
/// the video, and some for what holds them.
const FRAME_BYTES: u64 = 224;
/// Appends that are waited for at most, and as much in the client's queues.
const ON_ITS_WAY_BYTES: u64 = 64 << 20;
/// The largest mapping, and the largest key of one, in bytes.
const MAPPING_BYTES_MAX: u64 = 1 << 20;

/// Whose time counts as the time of receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeSource {
    /// The log's append stamp.
    #[default]
    Log,
    /// The header `tocsin-received-at` (milliseconds since 1970) of each ingest record: a replay. Whoever can write to an ingest topic
    /// then sets the time, so this is for evaluation and drills, never for production.
    Supplied,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        IntakeConfig {
            time_source: TimeSource::Log,
            lateness_minutes: 120,
            tick_interval_ms: 250,
            confluent_schema_ids: BTreeMap::new(),
            osprey_mappings: BTreeMap::new(),
            announced_hashes_max: 1_000_000,
        }
    }
}

impl IntakeConfig {
    /// What is wrong with it.
    pub fn refusals(&self) -> Vec<Refusal> {
        let numbers = [
            Refusal::outside("intake.lateness_minutes", self.lateness_minutes, 1..=720),
            Refusal::outside("intake.tick_interval_ms", self.tick_interval_ms, 10..=10_000),
            Refusal::outside(
                "intake.announced_hashes_max",
                self.announced_hashes_max,
                10_000..=16_000_000,
            ),
        ];
        let ids = self.map_confluent_ids().err().unwrap_or_default();
        let parties = self.osprey_mappings.keys();
        let nobody = parties.filter(|party| Name::check(party).is_err()).map(|party| {
            let key = format!("intake.osprey_mappings.{party}");
            Refusal::new(key, "the key is the name of a party")
        });
        numbers.into_iter().flatten().chain(ids).chain(nobody).collect()
    }

    /// What intake may come to hold, at most.
    pub fn memory_parts(&self) -> Vec<MemoryPart> {
        vec![
            MemoryPart {
                of: "intake.announced_hashes_max",
                bytes: u64::from(self.announced_hashes_max) * ANNOUNCED_BYTES,
            },
            MemoryPart {
                of: "frames of videos that intake saw of late",
                bytes: self.limits().frames_max as u64 * FRAME_BYTES,
            },
            MemoryPart {
                of: "what is on its way in intake",
                bytes: ON_ITS_WAY_BYTES,
            },
        ]
    }

    /// How much the finder of links holds.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            announced_max: self.announced_hashes_max as usize,
            ..Limits::default()
        }
    }

    /// What is wrong with the files of the mappings, which only intake and dispatchers need to have: those tell a party its own accounts.
    pub fn mapping_refusals(&self) -> Vec<Refusal> {
        let refused = self.mappings().err().map(|refused| {
            let key = format!("intake.osprey_mappings.{}", refused.party);
            Refusal::new(key, format!("{}: {}", refused.file, refused.reason))
        });
        refused.into_iter().collect()
    }

    /// The schemas that intake reads: those of the project, with the configured ids.
    ///
    /// # Panics
    /// The configuration is refused.
    pub fn schemas(&self) -> Schemas {
        self.map_confluent_ids()
            .expect("a configuration is validated before it is used")
    }

    /// The mappings of actions, read from their files.
    ///
    /// # Errors
    /// The first that cannot be read, or maps what is nowhere.
    pub fn mappings(&self) -> Result<BTreeMap<String, Mapping>, MappingRefused> {
        let read = |(party, file): (&String, &String)| {
            let refused = |reason| MappingRefused {
                party: party.clone(),
                file: file.clone(),
                reason,
            };
            let text = read_file(file).map_err(refused)?;
            let text = String::from_utf8(text).map_err(|_| refused("no text".to_owned()))?;
            let mapping = Mapping::parse(&text, read_file).map_err(|error| refused(error.to_string()))?;
            Ok((party.clone(), mapping))
        };
        self.osprey_mappings.iter().map(read).collect()
    }

    fn map_confluent_ids(&self) -> Result<Schemas, Vec<Refusal>> {
        let mut schemas = Schemas::builtin().clone();
        let mut refusals = Vec::new();
        for (id, schema) in &self.confluent_schema_ids {
            if let Err(reason) = map_confluent_id(&mut schemas, id, schema) {
                refusals.push(Refusal::new(format!("intake.confluent_schema_ids.{id}"), reason));
            }
        }
        if refusals.is_empty() {
            Ok(schemas)
        } else {
            Err(refusals)
        }
    }

    /// The allowed lateness.
    pub fn lateness(&self) -> Milliseconds {
        Milliseconds::from_minutes(i64::from(self.lateness_minutes))
    }
}

fn map_confluent_id(schemas: &mut Schemas, id: &str, schema: &str) -> Result<(), String> {
    // `017` and `+17` are refused: one id, one spelling.
    let number = id.parse::<u32>().ok().filter(|number| number.to_string() == id);
    let number = number.ok_or("the key is a schema id: a decimal number from 0 to 4294967295")?;
    let events = [SchemaName::Event, SchemaName::EventBatch];
    let named = schema.split_once('/').and_then(|(name, version)| {
        let name = events.into_iter().find(|event| event.name() == name)?;
        Some((name, version.parse().ok()?))
    });
    let (name, version) =
        named.ok_or_else(|| format!("{schema:?} is no schema of events: event/1 or event_batch/1 is wanted"))?;
    let mapped = schemas.map_confluent_id_to_version(number, name, version);
    mapped.map_err(|error| error.to_string())
}

fn read_file(path: &str) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{path} cannot be read: {error}");
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAPPING_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAPPING_BYTES_MAX {
        return Err(format!("{path} is larger than {MAPPING_BYTES_MAX} bytes"));
    }
    Ok(bytes)
}

/// What an intake is handed beside its configuration; all but the last is shared by all intakes of a deployment.
#[derive(Clone, Debug)]
pub struct IntakeSetup {
    /// The permanent key.
    pub key: DeploymentKey,
    /// The key epoch of account tokens.
    pub epoch: KeyEpoch,
    /// The partitions of sightings.
    pub partitions: PartitionCount,
    /// Whether the process is short of memory: then events wait in their topics.
    pub memory: MemoryPressure,
}

#[cfg(test)]
mod tests {
    //! Goal: a Confluent id that stands for no schema of events is refused by its own key, with what is wanted.

    use super::*;

    fn refusals(id: &str, schema: &str) -> Vec<(String, String)> {
        let config = IntakeConfig {
            confluent_schema_ids: BTreeMap::from([(id.to_owned(), schema.to_owned())]),
            ..IntakeConfig::default()
        };
        let refusals = config.refusals().into_iter();
        refusals.map(|refusal| (refusal.key, refusal.reason)).collect()
    }

    #[test]
    fn each_id_names_a_schema_of_events_and_its_version() {
        for (id, schema) in [("17", "event/1"), ("0", "event_batch/1"), ("4294967295", "event/1")] {
            assert_eq!(refusals(id, schema), [], "{id} {schema}");
        }
        for id in ["", "event", "-1", "+17", "017", "4294967296"] {
            let reason = "the key is a schema id: a decimal number from 0 to 4294967295".to_owned();
            let key = format!("intake.confluent_schema_ids.{id}");
            assert_eq!(refusals(id, "event/1"), [(key, reason)], "{id}");
        }
        for schema in ["", "event", "event/", "event/one", "alert/1", "events/1", "event/1/2"] {
            let reason = format!("{schema:?} is no schema of events: event/1 or event_batch/1 is wanted");
            let key = "intake.confluent_schema_ids.17".to_owned();
            assert_eq!(refusals("17", schema), [(key, reason)], "{schema}");
        }
        for schema in ["event/0", "event/9"] {
            let found = refusals("17", schema);
            assert!(found[0].1.contains("schema event has no version"), "{found:?}");
        }
    }
}
