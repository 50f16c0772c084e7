//! Topics as the log makes them, from the declaration in `schemas/topics.toml`.

use anyhow::Context as _;
use tocsin_detector::{Move, Repartitioned, STAGING, Salvaged};
pub use tocsin_dispatcher::topic_spec;
use tocsin_log::{Log, TopicInfo, TopicSpec};
use tocsin_model::PartitionCount;
use tocsin_wire::topics::{self, Configured, Partitions};

use crate::config::Config;
use crate::serve::{deployment_key, detector_setup, open_log};

/// The topics that stand by themselves. Those of the parties are made by the dispatcher when a party is added.
pub fn specs(sightings: PartitionCount) -> Vec<TopicSpec> {
    topics::fixed()
        .map(|declaration| topic_spec(declaration, sightings))
        .collect()
}

/// The parties' topics among those that exist, as they are declared. What is named like one without naming a party is nobody's.
pub fn party_specs(standing: &[TopicInfo], sightings: PartitionCount) -> Vec<TopicSpec> {
    let declared = standing.iter().filter_map(|topic| {
        let ingest = topics::party_of(&topic.name).map(|party| topics::ingest(&party));
        ingest.or_else(|| topics::party_of_deliveries(&topic.name).map(|party| topics::deliveries(&party)))
    });
    declared
        .map(|declaration| topic_spec(&declaration, sightings))
        .collect()
}

/// Moves the key groups to the configured number of partitions; see [`tocsin_detector::repartition`]. No role may run meanwhile.
///
/// # Errors
/// The log cannot be opened; a role still writes; the log fails.
pub fn repartition(config: &Config) -> anyhow::Result<Repartitioned> {
    let log = open_log(config).context("open the log")?;
    let (key, _) = deployment_key(config)?;
    let setup = detector_setup(config, &key);
    let of_groups = topics::fixed().filter(|topic| topic.partitions == Partitions::Configured(Configured::Sightings));
    let specs: Vec<TopicSpec> = of_groups.map(|topic| topic_spec(topic, setup.partitions)).collect();
    let to = Move {
        config: &config.detector,
        setup: &setup,
        specs: &specs,
    };
    tocsin_detector::repartition(&log, &to).context("move the key groups")
}

/// Lets partitions go on with what is left of their state, one after the other, and tells of each as it comes; see [`tocsin_detector::salvage`]. No
/// detector may run meanwhile.
///
/// # Errors
/// The log cannot be opened; there is no such partition; the state is refused for a reason that this does not mend; the log fails.
pub fn salvage(config: &Config, numbers: &[u32], tell: &mut dyn FnMut(u32, Salvaged)) -> anyhow::Result<()> {
    let count = u32::from(config.sightings_partitions().get());
    if let Some(number) = numbers.iter().find(|number| **number >= count) {
        anyhow::bail!("there is no partition {number}: topics.sightings_partitions is {count}");
    }
    let log = open_log(config).context("open the log")?;
    refuse_on_the_way(log.as_ref())?;
    let (key, _) = deployment_key(config)?;
    let setup = detector_setup(config, &key);
    for number in numbers {
        let salvaged = tocsin_detector::salvage(log.as_ref(), *number, &config.detector, &setup);
        tell(
            *number,
            salvaged.with_context(|| format!("salvage partition {number}"))?,
        );
    }
    Ok(())
}

/// Refuses a log whose key groups are on their way: half of them would begin anew.
///
/// # Errors
/// They are, or the log fails.
pub fn refuse_on_the_way(log: &dyn Log) -> anyhow::Result<()> {
    let is_on_the_way = log.topics()?.iter().any(|topic| topic.name == STAGING);
    anyhow::ensure!(
        !is_on_the_way,
        "the key groups are on their way to another number of partitions: run `tocsin topics repartition` to its end"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    //! Goal: the parties' topics are looked at as well as those that stand by themselves.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_partys_topic_that_exists_is_looked_at() {
        let names = [
            "tocsin.alerts",
            "tocsin.ingest.alpha",
            "tocsin.ingest.Not A Name",
            "tocsin.ingest.beta",
            "tocsin.deliveries.beta",
        ];
        let standing = names.map(|name| TopicInfo {
            name: name.to_owned(),
            id: 1,
            partitions: 1,
        });
        let specs = party_specs(&standing, PartitionCount::new(16).unwrap());
        let found: Vec<_> = specs.iter().map(|spec| (&*spec.name, spec.partitions)).collect();
        assert_eq!(
            found,
            [
                ("tocsin.ingest.alpha", 4),
                ("tocsin.ingest.beta", 4),
                ("tocsin.deliveries.beta", 1)
            ]
        );
    }
}
