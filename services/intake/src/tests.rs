//! Goal: what the shell does when the log does less than it asks. On the embedded log in a directory of its own.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
use tocsin_log::{
    Append, AppenderOptions, Cleanup, Durability, GroupEvent, GroupOptions, GroupReader, LogError, Membership,
    RecordRef, SharedLog, TopicPartition, TopicSpec, read_through,
};
use tocsin_model::{DeploymentKey, KeyEpoch, PartitionCount, PartyId};
use tocsin_runtime::Shutdown;
use tocsin_wire::{PartyRecord, topics};

use crate::config::{IntakeConfig, IntakeSetup};
use crate::machine::Intake;
use crate::shell::Shell;

const INGEST: &str = "tocsin.ingest.alpha";

/// A log with one party and its topic.
fn log(directory: &tempfile::TempDir) -> SharedLog {
    let log: SharedLog = Arc::new(EmbeddedLog::open(directory.path(), EmbeddedOptions::default()).unwrap());
    let spec = |(name, cleanup): (&str, Cleanup)| TopicSpec {
        name: name.to_owned(),
        partitions: 1,
        cleanup,
        retention_ms: None,
        record_bytes_max: 1 << 20,
        may_grow: false,
        compaction: None,
    };
    let specs = [
        (INGEST, Cleanup::Delete),
        (topics::SIGHTINGS, Cleanup::Delete),
        (topics::REJECTS, Cleanup::Delete),
        (topics::DECISIONS, Cleanup::Delete),
        (topics::FAMILIES, Cleanup::Compact),
        (topics::PARTIES, Cleanup::Compact),
        (topics::INTAKE, Cleanup::Compact),
    ];
    log.ensure_topics(&specs.map(spec)).unwrap();
    let party = PartyRecord {
        id: PartyId(1),
        name: "alpha".parse().unwrap(),
        platforms: Vec::new(),
        revoked: false,
    };
    let append = |topic: &str, key: Option<Vec<u8>>, value: Vec<u8>| Append {
        to: TopicPartition::new(topic, 0),
        key: key.map(Into::into),
        value: Some(value.into()),
        headers: Vec::new(),
    };
    let options = AppenderOptions {
        name: "tests".to_owned(),
        durability: Durability::Synced,
        gapless: false,
    };
    let records = vec![
        append(topics::PARTIES, Some(party.key()), party.encode()),
        append(INGEST, None, b"no event".to_vec()),
    ];
    log.appender(options).unwrap().append(records).wait().unwrap();
    log
}

fn intake(config: &IntakeConfig) -> Intake {
    let setup = IntakeSetup {
        key: DeploymentKey::from_bytes([7; 32]),
        epoch: KeyEpoch(0),
        partitions: PartitionCount::new(1).unwrap(),
        memory: Default::default(),
    };
    Intake::new(config, setup, config.schemas())
}

/// A member whose positions are not stored while a rebalance goes on: so many times.
struct Rebalancing {
    member: Box<dyn GroupReader>,
    refusals: u32,
}

impl GroupReader for Rebalancing {
    fn poll(
        &mut self,
        timeout: Duration,
        records_max: usize,
        sink: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<GroupEvent, LogError> {
        self.member.poll(timeout, records_max, sink)
    }

    fn begin(&mut self, partition: &TopicPartition, offset: u64) -> Result<(), LogError> {
        self.member.begin(partition, offset)
    }

    fn committed(&mut self, partition: &TopicPartition) -> Result<Option<u64>, LogError> {
        self.member.committed(partition)
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.member.pause(partitions)
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.member.resume(partitions)
    }

    fn commit_positions(&mut self, positions: &[(TopicPartition, u64)]) -> Result<(), LogError> {
        if self.refusals == 0 {
            return self.member.commit_positions(positions);
        }
        self.refusals -= 1;
        let group = "tests".to_owned();
        Err(LogError::NotAMember { group })
    }

    fn membership(&self) -> Membership {
        self.member.membership()
    }

    fn close(self: Box<Self>) {
        self.member.close();
    }
}

#[test]
fn positions_that_cannot_be_stored_are_stored_the_next_time() {
    let directory = tempfile::tempdir().unwrap();
    let log = log(&directory);
    let config = IntakeConfig::default();
    let registry = Registry::new();
    let shutdown = Shutdown::new();
    let mut shell = Shell::new(&config, intake(&config), &log, &registry, &shutdown).unwrap();
    let options = GroupOptions {
        group: "tests".to_owned(),
        instance: String::new(),
        topics: vec![INGEST.to_owned()],
    };
    let mut member = Rebalancing {
        member: log.group_reader(options).unwrap(),
        refusals: 1,
    };
    let place = TopicPartition::new(INGEST, 0);
    let event = shell.poll(&mut member).unwrap();
    assert_eq!(event, GroupEvent::Assigned(vec![place.clone()]));
    shell.assigned(std::slice::from_ref(&place), &mut member).unwrap();
    shell.poll(&mut member).unwrap();

    shell.write_state(&mut member).unwrap();
    assert_eq!(member.committed(&place).unwrap(), None);
    let mut states = 0;
    let intakes = TopicPartition::new(topics::INTAKE, 0);
    read_through(log.as_ref(), &intakes, .., &|| false, &mut |_| states += 1).unwrap();
    assert_eq!(
        states, 1,
        "where intake goes on after a restart is written all the same"
    );
    let counted = |registry: &Registry| {
        let families = registry.gather();
        let family = families
            .iter()
            .find(|family| family.name() == "tocsin_intake_positions_not_stored_total");
        family.unwrap().get_metric()[0].get_counter().get_value()
    };
    assert_eq!(counted(&registry), 1.0);

    shell.write_state(&mut member).unwrap();
    assert_eq!(member.committed(&place).unwrap(), Some(1));
    assert_eq!(counted(&registry), 1.0);
}
