use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use serde_json::Value;

use crate::avro::{Malformed, check_structure};
use crate::compatibility::can_read;

/// One of the schemas this project owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the schema of that name under schemas/avro")]
pub enum SchemaName {
    Event,
    EventBatch,
    Alert,
    Reject,
    Decision,
    Family,
    Link,
    State,
    Party,
    Calibration,
    Watch,
    Population,
    FurtherHash,
    Weighing,
}

/// The writer schemas that can be read: every version this project ever published, and those an operator registers.
#[derive(Clone, Debug)]
pub struct Schemas {
    by_fingerprint: HashMap<u64, Writer>,
    by_confluent_id: HashMap<u32, u64>,
}

#[derive(Clone, Debug)]
struct Writer {
    name: SchemaName,
    /// Of the specification.
    fingerprint: u64,
    schema: Schema,
}

/// Why a schema cannot be registered.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The text is not an Avro schema.
    #[error("not an Avro schema")]
    Parse(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The newest version of that name cannot read what this schema writes.
    #[error("the newest version of schema {name} cannot read what this schema writes")]
    Incompatible {
        /// The name it was to be registered under.
        name: &'static str,
        /// Where they differ.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no such version.
    #[error("schema {name} has no version {version}")]
    NoSuchVersion {
        /// The name.
        name: &'static str,
        /// The version asked for.
        version: u32,
    },
}

impl SchemaName {
    /// All schemas.
    pub const ALL: [SchemaName; 14] = [
        SchemaName::Event,
        SchemaName::EventBatch,
        SchemaName::Alert,
        SchemaName::Reject,
        SchemaName::Decision,
        SchemaName::Family,
        SchemaName::Link,
        SchemaName::State,
        SchemaName::Party,
        SchemaName::Calibration,
        SchemaName::Watch,
        SchemaName::Population,
        SchemaName::FurtherHash,
        SchemaName::Weighing,
    ];

    /// The name of its directory under `schemas/avro`.
    pub fn name(self) -> &'static str {
        match self {
            SchemaName::Event => "event",
            SchemaName::EventBatch => "event_batch",
            SchemaName::Alert => "alert",
            SchemaName::Reject => "reject",
            SchemaName::Decision => "decision",
            SchemaName::Family => "family",
            SchemaName::Link => "link",
            SchemaName::State => "state",
            SchemaName::Party => "party",
            SchemaName::Calibration => "calibration",
            SchemaName::Watch => "watch",
            SchemaName::Population => "population",
            SchemaName::FurtherHash => "further_hash",
            SchemaName::Weighing => "weighing",
        }
    }

    /// The schema with this name.
    pub fn from_name(name: &str) -> Option<SchemaName> {
        SchemaName::ALL.into_iter().find(|schema| schema.name() == name)
    }

    /// The text of every version, the first one first. The last is the one this version writes.
    pub fn versions(self) -> &'static [&'static str] {
        match self {
            SchemaName::Event => &[
                include_str!("../../../../schemas/avro/event/1.avsc"),
                include_str!("../../../../schemas/avro/event/2.avsc"),
            ],
            SchemaName::EventBatch => &[
                include_str!("../../../../schemas/avro/event_batch/1.avsc"),
                include_str!("../../../../schemas/avro/event_batch/2.avsc"),
            ],
            SchemaName::Alert => &[
                include_str!("../../../../schemas/avro/alert/1.avsc"),
                include_str!("../../../../schemas/avro/alert/2.avsc"),
                include_str!("../../../../schemas/avro/alert/3.avsc"),
                include_str!("../../../../schemas/avro/alert/4.avsc"),
            ],
            SchemaName::Reject => &[include_str!("../../../../schemas/avro/reject/1.avsc")],
            SchemaName::Decision => &[
                include_str!("../../../../schemas/avro/decision/1.avsc"),
                include_str!("../../../../schemas/avro/decision/2.avsc"),
                include_str!("../../../../schemas/avro/decision/3.avsc"),
            ],
            SchemaName::Family => &[include_str!("../../../../schemas/avro/family/1.avsc")],
            SchemaName::Link => &[
                include_str!("../../../../schemas/avro/link/1.avsc"),
                include_str!("../../../../schemas/avro/link/2.avsc"),
                include_str!("../../../../schemas/avro/link/3.avsc"),
            ],
            SchemaName::State => &[include_str!("../../../../schemas/avro/state/1.avsc")],
            SchemaName::Party => &[include_str!("../../../../schemas/avro/party/1.avsc")],
            SchemaName::Calibration => &[
                include_str!("../../../../schemas/avro/calibration/1.avsc"),
                include_str!("../../../../schemas/avro/calibration/2.avsc"),
            ],
            SchemaName::Watch => &[include_str!("../../../../schemas/avro/watch/1.avsc")],
            SchemaName::Population => &[include_str!("../../../../schemas/avro/population/1.avsc")],
            SchemaName::FurtherHash => &[
                include_str!("../../../../schemas/avro/further_hash/1.avsc"),
                include_str!("../../../../schemas/avro/further_hash/2.avsc"),
                include_str!("../../../../schemas/avro/further_hash/3.avsc"),
            ],
            SchemaName::Weighing => &[include_str!("../../../../schemas/avro/weighing/1.avsc")],
        }
    }

    /// The newest version, parsed.
    pub fn newest(self) -> &'static Schema {
        &NEWEST[self as usize].0
    }

    /// The CRC-64-AVRO fingerprint of the newest version, as a number (it stands little-endian in the framing).
    pub fn fingerprint(self) -> u64 {
        NEWEST[self as usize].1
    }

    /// The same of this version, counted from 1, of those there are.
    pub(crate) fn fingerprint_of(self, version: usize) -> u64 {
        EACH[self as usize][version - 1]
    }
}

static NEWEST: LazyLock<[(Schema, u64); 14]> = LazyLock::new(|| {
    SchemaName::ALL.map(|name| {
        let text = name.versions().last().expect("every schema has a version");
        (parse_own(text), fingerprint_own(text))
    })
});

static EACH: LazyLock<[Vec<u64>; 14]> =
    LazyLock::new(|| SchemaName::ALL.map(|name| name.versions().iter().map(|text| fingerprint_own(text)).collect()));

static BUILTIN: LazyLock<Schemas> = LazyLock::new(|| {
    let mut schemas = Schemas {
        by_fingerprint: HashMap::new(),
        by_confluent_id: HashMap::new(),
    };
    for name in SchemaName::ALL {
        for text in name.versions() {
            schemas.insert(name, parse_own(text), fingerprint_own(text));
        }
    }
    schemas
});

impl Schemas {
    /// The schemas this project published.
    pub fn builtin() -> &'static Schemas {
        &BUILTIN
    }

    /// Also reads what a foreign schema writes, in the place of `name`: an older or newer version, or a producer's own. Returns its
    /// fingerprint.
    ///
    /// # Errors
    /// It is no schema, or the newest version of `name` cannot read what it writes.
    pub fn register(&mut self, name: SchemaName, text: &str) -> Result<u64, SchemaError> {
        let schema = Schema::parse_str(text).map_err(|error| SchemaError::Parse(error.into()))?;
        let newest = name.versions().last().expect("every schema has a version");
        can_read(name.name(), text, newest)?;
        let fingerprint = fingerprint(text)?;
        self.insert(name, schema, fingerprint);
        Ok(fingerprint)
    }

    /// Under the fingerprint of the specification and under the one that `apache-avro`'s own producers write. What is known stays.
    fn insert(&mut self, name: SchemaName, schema: Schema, fingerprint: u64) {
        let by_apache_avro = rabin(&schema);
        let writer = Writer {
            name,
            fingerprint,
            schema,
        };
        self.by_fingerprint.entry(by_apache_avro).or_insert(writer.clone());
        self.by_fingerprint.entry(fingerprint).or_insert(writer);
    }

    /// Lets a Confluent schema id stand for a registered or built-in schema.
    pub fn map_confluent_id(&mut self, id: u32, fingerprint: u64) {
        self.by_confluent_id.insert(id, fingerprint);
    }

    /// Lets a Confluent schema id stand for a version (from 1) of one of the project's schemas.
    ///
    /// # Errors
    /// There is no such version.
    pub fn map_confluent_id_to_version(&mut self, id: u32, name: SchemaName, version: u32) -> Result<(), SchemaError> {
        let text = usize::try_from(version)
            .ok()
            .and_then(|version| name.versions().get(version.checked_sub(1)?))
            .ok_or(SchemaError::NoSuchVersion {
                name: name.name(),
                version,
            })?;
        self.map_confluent_id(id, fingerprint_own(text));
        Ok(())
    }

    pub(crate) fn fingerprint_of_confluent_id(&self, id: u32) -> Option<u64> {
        self.by_confluent_id.get(&id).copied()
    }

    pub(crate) fn name_of(&self, fingerprint: u64) -> Option<SchemaName> {
        self.by_fingerprint.get(&fingerprint).map(|writer| writer.name)
    }

    /// The datum as the newest version of its schema writes it: borrowed when it is that already, otherwise resolved by `apache-avro`.
    pub(crate) fn to_newest<'a>(&self, fingerprint: u64, datum: &'a [u8]) -> Result<Cow<'a, [u8]>, Malformed> {
        let writer = self.by_fingerprint.get(&fingerprint).ok_or(Malformed::Unresolvable)?;
        if writer.fingerprint == writer.name.fingerprint() {
            return Ok(Cow::Borrowed(datum));
        }
        rewrite(&writer.schema, writer.name.newest(), datum).map(Cow::Owned)
    }
}

/// Reads a datum of `writer` by schema resolution as `reader`, and writes it as `reader`.
pub(crate) fn rewrite(writer: &Schema, reader: &Schema, datum: &[u8]) -> Result<Vec<u8>, Malformed> {
    check_structure(writer, datum)?;
    let mut rest = datum;
    let value = apache_avro::from_avro_datum(writer, &mut rest, Some(reader)).map_err(|_| Malformed::Unresolvable)?;
    apache_avro::to_avro_datum(reader, value).map_err(|_| Malformed::Unresolvable)
}

/// The CRC-64-AVRO fingerprint of a schema's text (Avro specification, "Schema fingerprints").
///
/// # Errors
/// It is no schema.
pub fn fingerprint(text: &str) -> Result<u64, SchemaError> {
    let mut schema: Value = serde_json::from_str(text).map_err(|error| SchemaError::Parse(error.into()))?;
    strip(&mut schema);
    let schema = Schema::parse(&schema).map_err(|error| SchemaError::Parse(error.into()))?;
    Ok(rabin(&schema))
}

/// `apache-avro` (0.21) writes `{"type":"long"}` for a `long` with a logical type where the specification's canonical form is `"long"`, so
/// what the canonical form leaves out is taken away before.
fn strip(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Object(attributes) => {
            attributes.retain(|name, _| !matches!(name.as_str(), "doc" | "aliases" | "default" | "logicalType"));
            attributes.values_mut().for_each(strip);
        }
        _ => {}
    }
}

/// The fingerprint as `apache-avro` makes it: what its producers put on the wire.
fn rabin(schema: &Schema) -> u64 {
    let bytes = schema.fingerprint::<Rabin>().bytes;
    u64::from_le_bytes(bytes.try_into().expect("a Rabin fingerprint has eight bytes"))
}

fn parse_own(text: &str) -> Schema {
    Schema::parse_str(text).expect("the project's own schemas are parsed in every test run")
}

fn fingerprint_own(text: &str) -> u64 {
    fingerprint(text).expect("the project's own schemas are parsed in every test run")
}

#[cfg(test)]
mod tests {
    //! Fingerprints are those of the specification, and both kinds on the wire are read.
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fingerprints_are_the_specifications() {
        // From the Avro project's own schema tests.
        for (text, expected) in [
            (r#""int""#, 0x7275_d51a_3f39_5c8f),
            (r#""long""#, 0xd054_e144_93f4_1db7),
            (
                r#"{"type":"long","logicalType":"timestamp-millis","doc":"x"}"#,
                0xd054_e144_93f4_1db7,
            ),
        ] {
            assert_eq!(fingerprint(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_producer_with_apache_avros_fingerprint_is_read() {
        let wrong = rabin(SchemaName::Event.newest());
        assert_ne!(wrong, SchemaName::Event.fingerprint());
        assert_eq!(Schemas::builtin().name_of(wrong), Some(SchemaName::Event));
        assert_eq!(
            Schemas::builtin().to_newest(wrong, b"datum"),
            Ok(Cow::Borrowed(&b"datum"[..]))
        );
    }

    #[test]
    fn a_text_that_nests_without_an_end_is_no_schema() {
        for depth in [200, 100_000] {
            let text = format!(
                "{}\"int\"{}",
                r#"{"type":"array","items":"#.repeat(depth),
                "}".repeat(depth)
            );
            assert!(matches!(
                Schemas::builtin().clone().register(SchemaName::Event, &text),
                Err(SchemaError::Parse(_))
            ));
            assert!(fingerprint(&text).is_err());
        }
    }

    #[test]
    fn a_batch_holds_events() {
        let schema = |name: SchemaName| serde_json::from_str::<Value>(name.versions().last().unwrap()).unwrap();
        let mut event = schema(SchemaName::Event);
        let batch = schema(SchemaName::EventBatch);
        event.as_object_mut().unwrap().remove("namespace");
        assert_eq!(batch["fields"][0]["type"]["items"], event);
    }
}
