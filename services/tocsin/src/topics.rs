//! Topics as the log makes them, from the declaration in `schemas/topics.toml`.

use tocsin_log::{Cleanup, TopicSpec};
use tocsin_model::PartitionCount;
use tocsin_wire::topics::{self, TopicCleanup, TopicDeclaration};

/// The topics that stand by themselves. Those of the parties are made by the dispatcher when a party is added.
pub fn specs(sightings: PartitionCount) -> Vec<TopicSpec> {
    topics::fixed()
        .map(|declaration| spec(declaration, sightings))
        .collect()
}

/// One topic as it is declared.
pub fn spec(declaration: &TopicDeclaration, sightings: PartitionCount) -> TopicSpec {
    TopicSpec {
        name: declaration.name.clone(),
        partitions: declaration.partition_count(sightings),
        cleanup: match declaration.cleanup {
            TopicCleanup::Delete => Cleanup::Delete,
            TopicCleanup::Compact => Cleanup::Compact,
        },
        retention_ms: declaration.retention_ms(),
        record_bytes_max: declaration.record_bytes_max,
    }
}
