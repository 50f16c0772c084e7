//! Topics as the log makes them, from the declaration in `schemas/topics.toml`.

pub use tocsin_dispatcher::topic_spec;
use tocsin_log::{TopicInfo, TopicSpec};
use tocsin_model::PartitionCount;
use tocsin_wire::topics;

/// The topics that stand by themselves. Those of the parties are made by the dispatcher when a party is added.
pub fn specs(sightings: PartitionCount) -> Vec<TopicSpec> {
    topics::fixed()
        .map(|declaration| topic_spec(declaration, sightings))
        .collect()
}

/// The ingest topics among those that exist, as they are declared. What is named like one without naming a party is nobody's.
pub fn ingest_specs(standing: &[TopicInfo], sightings: PartitionCount) -> Vec<TopicSpec> {
    let parties = standing.iter().filter_map(|topic| topics::party_of(&topic.name));
    parties
        .map(|party| topic_spec(&topics::ingest(&party), sightings))
        .collect()
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
