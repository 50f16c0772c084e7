//! The topics, as `schemas/topics.toml` declares them. Services turn a declaration into what their log needs.

mod asyncapi;

use std::sync::LazyLock;

use serde::Deserialize;
use tocsin_model::{Name, PartitionCount};

pub use asyncapi::asyncapi;

/// The topic of sightings.
pub const SIGHTINGS: &str = "tocsin.sightings";
/// The group in which detectors read it: intake looks at its positions, so as not to run ahead of it.
pub const SIGHTINGS_GROUP: &str = "tocsin-detector";
/// The topic of state.
pub const STATE: &str = "tocsin.state";
/// The topic of copies of checkpoints, where audits begin.
pub const CHECKPOINTS: &str = "tocsin.checkpoints";
/// The topic of alerts.
pub const ALERTS: &str = "tocsin.alerts";
/// The topic of rejects.
pub const REJECTS: &str = "tocsin.rejects";
/// The topic of decisions.
pub const DECISIONS: &str = "tocsin.decisions";
/// The topic of announced families.
pub const FAMILIES: &str = "tocsin.families";
/// The topic of what key groups have seen of ordinary contents.
pub const POPULATIONS: &str = "tocsin.populations";
/// The topic of the party registry.
pub const PARTIES: &str = "tocsin.parties";
/// The topic of intake's own state.
pub const INTAKE: &str = "tocsin.intake";
/// What the name of every ingest topic begins with; the party's name follows.
pub const INGEST_PREFIX: &str = "tocsin.ingest.";

/// What the name of every topic of deliveries begins with; the party's name follows.
pub const DELIVERIES_PREFIX: &str = "tocsin.deliveries.";

/// The name of the declaration that stands for every party's ingest topic.
const INGEST_TEMPLATE: &str = "tocsin.ingest.<party>";
/// The name of the declaration that stands for every party's topic of deliveries.
const DELIVERIES_TEMPLATE: &str = "tocsin.deliveries.<party>";

/// One topic, or those of all parties.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicDeclaration {
    /// Its name; of the parties' topics, with `<party>` in the party's place.
    pub name: String,
    /// What it is for.
    pub purpose: String,
    /// What the key of a record is.
    pub key: String,
    /// How many partitions.
    pub partitions: Partitions,
    /// Whether an operator may give it more. Every other topic has exactly as many: groups, state and readers count on it.
    #[serde(default)]
    pub may_grow: bool,
    /// What becomes of old records.
    pub cleanup: TopicCleanup,
    /// For [`TopicCleanup::Delete`]: how long records are kept.
    pub retention_hours: Option<u64>,
    /// For [`TopicCleanup::Compact`]: how soon.
    pub compaction: Option<CompactionDeclaration>,
    /// The largest record, in bytes.
    pub record_bytes_max: u32,
    /// The roles that may write.
    pub writers: Vec<String>,
    /// The roles that may read.
    pub readers: Vec<String>,
    /// Names of Avro schemas or other layouts.
    pub payload: Vec<String>,
}

/// How soon records that were replaced go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompactionDeclaration {
    /// The segment that is written to is closed after so many minutes: only closed ones are compacted.
    pub segment_minutes: u32,
    /// A record that was replaced goes at the latest about so many minutes after it was written.
    pub lag_minutes_max: u32,
    /// A partition is compacted when at least so much of it, in per cent, was not compacted yet.
    pub dirty_percent_min: u8,
}

/// How many partitions a topic has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Partitions {
    /// This many.
    Number(u32),
    /// As many as the deployment is configured to have.
    Configured(Configured),
}

/// Which configured count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Configured {
    /// That of the sightings topic.
    Sightings,
}

/// What becomes of old records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicCleanup {
    /// Dropped after the retention time.
    Delete,
    /// The newest of each key is kept.
    Compact,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    topic: Vec<TopicDeclaration>,
}

static DECLARED: LazyLock<Vec<TopicDeclaration>> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("../../../../schemas/topics.toml"))
        .expect("the declaration is parsed in every test run");
    file.topic
});

/// Every declaration, those of the parties' topics included.
pub fn declared() -> &'static [TopicDeclaration] {
    &DECLARED
}

/// The declarations of the topics that stand by themselves: all but the parties'.
pub fn fixed() -> impl Iterator<Item = &'static TopicDeclaration> {
    declared()
        .iter()
        .filter(|declaration| ![INGEST_TEMPLATE, DELIVERIES_TEMPLATE].contains(&declaration.name.as_str()))
}

/// The declaration of a party's ingest topic, with its own name.
pub fn ingest(party: &Name) -> TopicDeclaration {
    of_party(INGEST_TEMPLATE, ingest_name(party))
}

/// The declaration of a party's topic of deliveries, with its own name.
pub fn deliveries(party: &Name) -> TopicDeclaration {
    of_party(DELIVERIES_TEMPLATE, deliveries_name(party))
}

fn of_party(template: &str, name: String) -> TopicDeclaration {
    let template = declared()
        .iter()
        .find(|declaration| declaration.name == template)
        .expect("the declaration is parsed in every test run");
    TopicDeclaration {
        name,
        ..template.clone()
    }
}

/// The name of a party's ingest topic.
pub fn ingest_name(party: &Name) -> String {
    format!("{INGEST_PREFIX}{party}")
}

/// The name of a party's topic of deliveries.
pub fn deliveries_name(party: &Name) -> String {
    format!("{DELIVERIES_PREFIX}{party}")
}

/// The party whose topic of deliveries this is.
pub fn party_of_deliveries(topic: &str) -> Option<Name> {
    topic.strip_prefix(DELIVERIES_PREFIX)?.parse().ok()
}

/// The party whose ingest topic this is.
pub fn party_of(topic: &str) -> Option<Name> {
    topic.strip_prefix(INGEST_PREFIX)?.parse().ok()
}

impl TopicDeclaration {
    /// How many partitions in a deployment whose sightings topic has `sightings` of them.
    pub fn partition_count(&self, sightings: PartitionCount) -> u32 {
        match self.partitions {
            Partitions::Number(number) => number,
            Partitions::Configured(Configured::Sightings) => u32::from(sightings.get()),
        }
    }

    /// How long records are kept, in milliseconds; `None` for ever or until compacted away.
    pub fn retention_ms(&self) -> Option<u64> {
        self.retention_hours.map(|hours| hours * 3_600_000)
    }
}

#[cfg(test)]
mod tests {
    //! The declaration is whole, and the document made from it is the one in the repository.
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::SchemaName;

    #[test]
    fn every_named_topic_is_declared_once() {
        for name in [
            SIGHTINGS,
            STATE,
            CHECKPOINTS,
            ALERTS,
            REJECTS,
            DECISIONS,
            FAMILIES,
            POPULATIONS,
            PARTIES,
            INTAKE,
            INGEST_TEMPLATE,
            DELIVERIES_TEMPLATE,
        ] {
            let found = declared().iter().filter(|declaration| declaration.name == name).count();
            assert_eq!(found, 1, "{name}");
        }
        assert_eq!(declared().len(), 12);
    }

    #[test]
    fn declarations_make_sense() {
        for declaration in declared() {
            let name = &declaration.name;
            let deletes = declaration.cleanup == TopicCleanup::Delete;
            assert_eq!(declaration.retention_hours.is_some(), deletes, "{name}");
            assert_eq!(declaration.compaction.is_some(), !deletes, "{name}");
            let sound = |compaction: CompactionDeclaration| {
                let segments = 1..=compaction.lag_minutes_max;
                segments.contains(&compaction.segment_minutes) && compaction.dirty_percent_min <= 100
            };
            assert!(declaration.compaction.is_none_or(sound), "{name}");
            assert!(
                !declaration.writers.is_empty() && !declaration.readers.is_empty(),
                "{name}"
            );
            for payload in &declaration.payload {
                let known = SchemaName::from_name(payload).is_some()
                    || matches!(
                        payload.as_str(),
                        "sightings_record" | "intake_state" | "osprey_action" | "cloud_event"
                    );
                assert!(known, "{name}: {payload}");
            }
        }
    }

    #[test]
    fn ingest_topics_carry_their_party() {
        let party: Name = "example-video".parse().unwrap();
        let declaration = ingest(&party);
        assert_eq!(declaration.name, "tocsin.ingest.example-video");
        assert_eq!(party_of(&declaration.name), Some(party));
        assert_eq!(party_of("tocsin.ingest.Not A Name"), None);
        assert_eq!(party_of("tocsin.alerts"), None);
        assert_eq!(
            party_of_deliveries(&deliveries(&"north".parse().unwrap()).name),
            Some("north".parse().unwrap())
        );
        assert_eq!(party_of_deliveries("tocsin.ingest.north"), None);
        let count = PartitionCount::new(16).unwrap();
        assert_eq!(declaration.partition_count(count), 4);
        assert!(declaration.may_grow);
        assert!(fixed().all(|declaration| !declaration.may_grow));
        let sightings = fixed().find(|declaration| declaration.name == SIGHTINGS).unwrap();
        assert_eq!(sightings.partition_count(count), 16);
    }
}
