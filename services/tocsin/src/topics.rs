//! Topics as the log makes them, from the declaration in `schemas/topics.toml`.

use tocsin_log::{Cleanup, Compaction, TopicInfo, TopicSpec};
use tocsin_model::PartitionCount;
use tocsin_wire::topics::{self, TopicCleanup, TopicDeclaration};

/// The topics that stand by themselves. Those of the parties are made by the dispatcher when a party is added.
pub fn specs(sightings: PartitionCount) -> Vec<TopicSpec> {
    topics::fixed()
        .map(|declaration| spec(declaration, sightings))
        .collect()
}

/// The ingest topics among those that exist, as they are declared. What is named like one without naming a party is nobody's.
pub fn ingest_specs(standing: &[TopicInfo], sightings: PartitionCount) -> Vec<TopicSpec> {
    let parties = standing.iter().filter_map(|topic| topics::party_of(&topic.name));
    parties.map(|party| spec(&topics::ingest(&party), sightings)).collect()
}

/// One topic as it is declared.
pub fn spec(declaration: &TopicDeclaration, sightings: PartitionCount) -> TopicSpec {
    TopicSpec {
        name: declaration.name.clone(),
        partitions: declaration.partition_count(sightings),
        may_grow: declaration.may_grow,
        cleanup: match declaration.cleanup {
            TopicCleanup::Delete => Cleanup::Delete,
            TopicCleanup::Compact => Cleanup::Compact,
        },
        retention_ms: declaration.retention_ms(),
        record_bytes_max: declaration.record_bytes_max,
        compaction: declaration.compaction.map(|compaction| Compaction {
            segment_ms: u64::from(compaction.segment_minutes) * 60_000,
            lag_ms_max: u64::from(compaction.lag_minutes_max) * 60_000,
            dirty_percent_min: compaction.dirty_percent_min,
        }),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the parties' topics are looked at as well as those that stand by themselves.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_ingest_topic_that_exists_is_looked_at() {
        let names = [
            "tocsin.alerts",
            "tocsin.ingest.alpha",
            "tocsin.ingest.Not A Name",
            "tocsin.ingest.beta",
        ];
        let standing = names.map(|name| TopicInfo {
            name: name.to_owned(),
            id: 1,
            partitions: 1,
        });
        let specs = ingest_specs(&standing, PartitionCount::new(16).unwrap());
        let found: Vec<_> = specs.iter().map(|spec| (&*spec.name, spec.partitions)).collect();
        assert_eq!(found, [("tocsin.ingest.alpha", 4), ("tocsin.ingest.beta", 4)]);
    }
}
