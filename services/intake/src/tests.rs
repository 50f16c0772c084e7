//! Goal: what the shell does when the log does less than it asks. On the embedded log in a directory of its own.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus::Registry;
use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
use tocsin_log::{
    Append, AppenderOptions, Cleanup, Durability, GroupEvent, GroupOptions, GroupReader, Log, LogDecorator, LogError,
    Membership, RecordRef, SharedLog, TopicInfo, TopicPartition, TopicSpec, read_through,
};
use tocsin_model::{DeploymentKey, KeyEpoch, PartitionCount, PartyId};
use tocsin_runtime::Shutdown;
use tocsin_wire::{PartyRecord, topics};

use crate::config::{IntakeConfig, IntakeSetup};
use crate::machine::Intake;
use crate::shell::Shell;

const INGEST: &str = "tocsin.ingest.alpha";

/// A log with one party and its topic, of which one record is no event.
fn log(directory: &tempfile::TempDir) -> SharedLog {
    log_with(directory, EmbeddedOptions::default(), None)
}

/// The same on a log that keeps ingest records for so long.
fn log_with(directory: &tempfile::TempDir, options: EmbeddedOptions, retention_ms: Option<u64>) -> SharedLog {
    let log: SharedLog = Arc::new(EmbeddedLog::open(directory.path(), options).unwrap());
    let spec = |(name, cleanup): (&str, Cleanup)| TopicSpec {
        name: name.to_owned(),
        partitions: 1,
        cleanup,
        retention_ms: retention_ms.filter(|_| name == INGEST),
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
    append(&log, topics::PARTIES, Some(party.key()), party.encode());
    append(&log, INGEST, None, b"no event".to_vec());
    log
}

fn append(log: &SharedLog, topic: &str, key: Option<Vec<u8>>, value: Vec<u8>) {
    let record = Append {
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
    log.appender(options).unwrap().append(vec![record]).wait().unwrap();
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
    let counted = |registry: &Registry| count(registry, "tocsin_intake_positions_not_stored_total");
    assert_eq!(counted(&registry), 1.0);

    shell.write_state(&mut member).unwrap();
    assert_eq!(member.committed(&place).unwrap(), Some(1));
    assert_eq!(counted(&registry), 1.0);
}

/// A counter over all its labels.
fn count(registry: &Registry, name: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name);
    let metrics = family.map(|family| family.get_metric()).unwrap_or_default();
    metrics.iter().map(|metric| metric.get_counter().get_value()).sum()
}

fn member(log: &SharedLog) -> Box<dyn GroupReader> {
    let options = GroupOptions {
        group: "tests".to_owned(),
        instance: String::new(),
        topics: vec![INGEST.to_owned()],
    };
    log.group_reader(options).unwrap()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "gave up waiting until {what}"
        );
        std::thread::sleep(Duration::from_millis(5)); // poll: until the condition holds or its time is up
    }
}

const SKIPPED: &str = "tocsin_intake_skipped_records_total";

/// A log that keeps ingest records for a moment only.
fn forgetful(directory: &tempfile::TempDir) -> SharedLog {
    let options = EmbeddedOptions {
        retention_interval: Duration::from_millis(5),
        ..EmbeddedOptions::default()
    };
    log_with(directory, options, Some(1))
}

/// Appends until nothing of before is held; how far the log begins then.
fn forget(log: &SharedLog, place: &TopicPartition, before: u64) -> u64 {
    until("the log has deleted it", || {
        append(log, INGEST, None, b"no event".to_vec());
        log.bounds(place).unwrap().0 > before
    });
    log.bounds(place).unwrap().0
}

#[test]
fn what_retention_took_while_nobody_read_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let log = forgetful(&directory);
    let place = TopicPartition::new(INGEST, 0);
    let (config, shutdown) = (IntakeConfig::default(), Shutdown::new());
    // What nobody ever read is lost as well.
    let mut position = 0;
    for is_first in [true, false] {
        let registry = Registry::new();
        let mut shell = Shell::new(&config, intake(&config), &log, &registry, &shutdown).unwrap();
        let mut member = member(&log);
        shell.poll(member.as_mut()).unwrap();
        assert_eq!(count(&registry, SKIPPED), 0.0);
        let first_held = forget(&log, &place, position + 3);
        shell.assigned(std::slice::from_ref(&place), member.as_mut()).unwrap();
        let skipped = count(&registry, SKIPPED);
        // It may have forgotten more by then.
        assert!(skipped >= (first_held - position) as f64, "{is_first}: {skipped}");
        position += skipped as u64;
        // Where it began is no gap.
        append(&log, INGEST, None, b"no event".to_vec());
        until("something is read", || {
            append(&log, INGEST, None, b"no event".to_vec());
            shell.poll(member.as_mut()).unwrap();
            shell.write_state(member.as_mut()).unwrap();
            member.committed(&place).unwrap() > Some(position)
        });
        position = member.committed(&place).unwrap().unwrap();
        member.close();
    }
}

#[test]
fn what_retention_took_while_it_was_read_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let log = forgetful(&directory);
    let place = TopicPartition::new(INGEST, 0);
    let (config, registry, shutdown) = (IntakeConfig::default(), Registry::new(), Shutdown::new());
    let (mut shell, mut member) = assigned((&config, &log, &registry, &shutdown), &place);
    let at_the_start = count(&registry, SKIPPED) as u64;
    let forgotten = forget(&log, &place, at_the_start + 5);
    until("something is read", || {
        append(&log, INGEST, None, b"no event".to_vec());
        shell.poll(member.as_mut()).unwrap();
        shell.write_state(member.as_mut()).unwrap();
        member.committed(&place).unwrap().is_some()
    });
    shell.look_at_gaps();
    let skipped = count(&registry, SKIPPED) as u64;
    assert!(skipped >= forgotten, "{skipped} of {forgotten}");
    shell.look_at_gaps();
    assert_eq!(count(&registry, SKIPPED) as u64, skipped, "once");

    // What is noted when the partition goes away is looked at before.
    let position = member.committed(&place).unwrap().unwrap();
    let forgotten = forget(&log, &place, position + 5) - position;
    until("something is read", || {
        append(&log, INGEST, None, b"no event".to_vec());
        shell.poll(member.as_mut()).unwrap();
        shell.write_state(member.as_mut()).unwrap();
        member.committed(&place).unwrap() > Some(position)
    });
    shell.revoked(std::slice::from_ref(&place), member.as_mut()).unwrap();
    let in_all = count(&registry, SKIPPED) as u64;
    assert!(in_all - skipped >= forgotten, "{in_all} without {skipped}, {forgotten}");
}

/// A log on which a topic becomes another one: so much greater is its id. [`ABSENT`]: none.
struct MakingAnew(SharedLog, Arc<AtomicU64>);

/// A shell that was assigned a partition, and its member of the group.
fn assigned<'a>(
    (config, log, registry, shutdown): (&'a IntakeConfig, &'a SharedLog, &Registry, &'a Shutdown),
    place: &TopicPartition,
) -> (Shell<'a>, Box<dyn GroupReader>) {
    let mut shell = Shell::new(config, intake(config), log, registry, shutdown).unwrap();
    let mut member = member(log);
    shell.poll(member.as_mut()).unwrap();
    shell.assigned(std::slice::from_ref(place), member.as_mut()).unwrap();
    (shell, member)
}

const ABSENT: u64 = u64::MAX;

impl LogDecorator for MakingAnew {
    fn inner(&self) -> &dyn Log {
        self.0.as_ref()
    }

    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        let mut standing = self.0.topics()?;
        match self.1.load(Ordering::SeqCst) {
            ABSENT => standing.retain(|topic| topic.name != INGEST),
            more => {
                let ingest = standing.iter_mut().find(|topic| topic.name == INGEST).unwrap();
                ingest.id += more;
            }
        }
        Ok(standing)
    }
}

#[test]
fn a_topic_made_anew_is_read_from_its_beginning() {
    let directory = tempfile::tempdir().unwrap();
    let anew = Arc::<AtomicU64>::default();
    let log: SharedLog = Arc::new(MakingAnew(log(&directory), anew.clone()));
    let place = TopicPartition::new(INGEST, 0);
    let (config, registry, shutdown) = (IntakeConfig::default(), Registry::new(), Shutdown::new());
    let (mut shell, mut member) = assigned((&config, &log, &registry, &shutdown), &place);
    let sources = |shell: &mut Shell<'_>, member: &mut dyn GroupReader| {
        shell.poll(member).unwrap();
        shell.write_state(member).unwrap();
        let (mut sources, intakes) = (BTreeSet::new(), TopicPartition::new(topics::INTAKE, 0));
        read_through(log.as_ref(), &intakes, .., &|| false, &mut |record| {
            sources.insert(record.key.unwrap().to_vec());
        })
        .unwrap();
        sources.len()
    };
    assert_eq!(sources(&mut shell, member.as_mut()), 1);
    shell.begin_replaced(member.as_mut()).unwrap();
    assert_eq!(sources(&mut shell, member.as_mut()), 1, "it is the same");

    anew.store(100, Ordering::SeqCst);
    const REPLACED: &str = "tocsin_intake_sources_replaced_total";
    until("it is seen", || {
        shell.begin_replaced(member.as_mut()).unwrap();
        count(&registry, REPLACED) == 1.0
    });
    assert_eq!(
        sources(&mut shell, member.as_mut()),
        2,
        "the same offset was read as another source's"
    );
    shell.begin_replaced(member.as_mut()).unwrap();
    assert_eq!(count(&registry, REPLACED), 1.0);
}

#[test]
fn what_a_topic_made_anew_lost_before_it_was_read_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let anew = Arc::<AtomicU64>::default();
    let log: SharedLog = Arc::new(MakingAnew(forgetful(&directory), anew.clone()));
    let place = TopicPartition::new(INGEST, 0);
    let (config, registry, shutdown) = (IntakeConfig::default(), Registry::new(), Shutdown::new());
    let (mut shell, mut member) = assigned((&config, &log, &registry, &shutdown), &place);
    let first_held = forget(&log, &place, 3);
    // The old one was read further than the new one has lost records.
    member.commit_positions(&[(place.clone(), first_held + 1_000)]).unwrap();
    shell.look_at_gaps();
    let before = count(&registry, SKIPPED);
    anew.store(100, Ordering::SeqCst);
    until("it is seen", || {
        shell.begin_replaced(member.as_mut()).unwrap();
        count(&registry, "tocsin_intake_sources_replaced_total") == 1.0
    });
    let skipped = count(&registry, SKIPPED) - before;
    assert!(skipped >= first_held as f64, "{skipped} of {first_held}");
}

#[test]
fn a_topic_that_is_absent_when_it_is_begun_is_begun_when_it_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let anew = Arc::new(AtomicU64::new(ABSENT));
    let log: SharedLog = Arc::new(MakingAnew(log(&directory), anew.clone()));
    let place = TopicPartition::new(INGEST, 0);
    let (config, registry, shutdown) = (IntakeConfig::default(), Registry::new(), Shutdown::new());
    let (mut shell, mut member) = assigned((&config, &log, &registry, &shutdown), &place);
    anew.store(0, Ordering::SeqCst);
    until("it is read", || {
        shell.begin_awaited(member.as_mut()).unwrap();
        shell.poll(member.as_mut()).unwrap();
        shell.write_state(member.as_mut()).unwrap();
        member.committed(&place).unwrap() == Some(1)
    });
}

#[test]
fn records_that_cannot_be_read_are_counted_by_their_topic() {
    let directory = tempfile::tempdir().unwrap();
    let log = log(&directory);
    append(&log, topics::PARTIES, Some(b"x".to_vec()), b"nonsense".to_vec());
    append(&log, topics::FAMILIES, Some(b"x".to_vec()), b"nonsense".to_vec());
    append(&log, topics::INTAKE, Some(b"x".to_vec()), b"nonsense".to_vec());
    append(&log, topics::DECISIONS, Some(b"x".to_vec()), b"nonsense".to_vec());
    let (config, registry, shutdown) = (IntakeConfig::default(), Registry::new(), Shutdown::new());
    let mut shell = Shell::new(&config, intake(&config), &log, &registry, &shutdown).unwrap();
    let options = GroupOptions {
        group: "tests".to_owned(),
        instance: String::new(),
        topics: vec![INGEST.to_owned(), topics::DECISIONS.to_owned()],
    };
    let mut member = log.group_reader(options).unwrap();
    let GroupEvent::Assigned(assigned) = shell.poll(member.as_mut()).unwrap() else {
        panic!("nothing was assigned");
    };
    shell.assigned(&assigned, member.as_mut()).unwrap();
    until("all are read", || {
        shell.poll(member.as_mut()).unwrap();
        count(&registry, "tocsin_intake_unreadable_total") == 4.0
    });
    let families = registry.gather();
    let of_topics = families
        .iter()
        .find(|family| family.name() == "tocsin_intake_unreadable_total")
        .unwrap()
        .get_metric()
        .iter()
        .map(|metric| metric.get_label()[0].value().to_owned())
        .collect::<BTreeSet<_>>();
    let named = [topics::PARTIES, topics::FAMILIES, topics::INTAKE, topics::DECISIONS];
    assert_eq!(of_topics, named.map(str::to_owned).into());
}
