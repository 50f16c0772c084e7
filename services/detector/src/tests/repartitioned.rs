//! Goal: key groups move to another number of partitions with every byte of their state, wherever the move is ended in between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tocsin_log::embedded::EmbeddedLog;
use tocsin_log::{
    Append, Appender, AppenderOptions, Cleanup, CommitError, Committer, Completion, Durability, Log, LogDecorator,
    LogError, Membership, SharedLog, TopicPartition, TopicSpec, Unit,
};
use tocsin_model::PartitionCount;
use tocsin_wire::topics;

use super::bench::{Bench, EPOCH, GroupState, NOON, SECOND, hot, states};
use super::succeeded::burst;
use crate::config::DetectorSetup;
use crate::error::DetectorError;
use crate::repartition::{Move, Repartitioned, STAGING, repartition};
use crate::restore::restore;

/// On which side of the step that is not survived.
#[derive(Clone, Copy, Debug)]
enum Ended {
    Before,
    Behind,
}

/// A log whose user ends at one of the steps that change it: that step and all later ones fail.
#[derive(Clone)]
struct Ending {
    log: Arc<EmbeddedLog>,
    steps_left: Arc<AtomicI64>,
    ended: Ended,
}

impl Ending {
    fn step(&self, work: impl FnOnce() -> Result<(), LogError>) -> Result<(), LogError> {
        match (self.steps_left.fetch_sub(1, Ordering::AcqRel), self.ended) {
            (1.., _) => work(),
            (0, Ended::Behind) => work().and(Err(LogError::Closed)),
            _ => Err(LogError::Closed),
        }
    }
}

struct EndingAppender(Ending, Box<dyn Appender>);

impl Appender for EndingAppender {
    fn append(&self, records: Vec<Append>) -> Completion {
        let mut completion = None;
        let appended = self.0.step(|| {
            let offsets = self.1.append(records).wait()?;
            let (done, answer) = Completion::channel();
            done.send(Ok(offsets)).unwrap();
            completion = Some(answer);
            Ok(())
        });
        match (appended, completion) {
            (Ok(()), Some(answer)) => answer,
            _ => {
                let (done, answer) = Completion::channel();
                done.send(Err(LogError::Closed)).unwrap();
                answer
            }
        }
    }
}

struct EndingCommitter(Ending, Box<dyn Committer>);

impl Committer for EndingCommitter {
    fn commit(&mut self, membership: &Membership, unit: Unit) -> Result<(), CommitError> {
        let (ending, mut committed) = (self.0.clone(), None);
        let stepped = ending.step(|| {
            committed = Some(self.1.commit(membership, unit));
            Ok(())
        });
        match (stepped, committed) {
            (Ok(()), Some(committed)) => committed,
            _ => Err(CommitError::Unknown(LogError::Closed)),
        }
    }
}

impl LogDecorator for Ending {
    fn inner(&self) -> &dyn Log {
        self.log.as_ref()
    }

    fn ensure_topics(&self, specs: &[TopicSpec]) -> Result<(), LogError> {
        self.step(|| self.log.ensure_topics(specs))
    }

    fn delete_topics(&self, names: &[&str]) -> Result<(), LogError> {
        self.step(|| self.log.delete_topics(names))
    }

    fn appender(&self, options: AppenderOptions) -> Result<Box<dyn Appender>, LogError> {
        Ok(Box::new(EndingAppender(self.clone(), self.log.appender(options)?)))
    }

    fn committer(&self, instance: &str) -> Result<Box<dyn Committer>, LogError> {
        Ok(Box::new(EndingCommitter(self.clone(), self.log.committer(instance)?)))
    }
}

/// A bench with an open episode, and input that no detector has read.
fn bench() -> Bench {
    let mut bench = Bench::new();
    burst(&mut bench, 1, NOON);
    bench.shares(NOON + 40 * SECOND, &[2, 3, 4]);
    bench.tick(NOON + 41 * SECOND);
    bench
}

fn to(bench: &Bench, count: u16) -> (DetectorSetup, Vec<TopicSpec>) {
    let setup = DetectorSetup {
        partitions: PartitionCount::new(count).unwrap(),
        ..bench.setup.clone()
    };
    let spec = |(name, cleanup): (&str, Cleanup)| TopicSpec {
        name: name.to_owned(),
        partitions: u32::from(count),
        cleanup,
        retention_ms: None,
        record_bytes_max: 8 << 20,
        may_grow: false,
        compaction: None,
    };
    let of_groups = [
        (topics::SIGHTINGS, Cleanup::Delete),
        (topics::STATE, Cleanup::Compact),
        (topics::CHECKPOINTS, Cleanup::Delete),
    ];
    (setup, of_groups.map(spec).to_vec())
}

fn move_to(bench: &Bench, log: SharedLog, count: u16) -> Result<Repartitioned, DetectorError> {
    let (setup, specs) = to(bench, count);
    let to = Move {
        config: &bench.config,
        setup: &setup,
        specs: &specs,
    };
    repartition(&log, &to)
}

/// What the log holds of every group, and the hot records that readers see.
type Held = (BTreeMap<tocsin_model::GroupId, GroupState>, usize);

fn held(bench: &Bench, count: u16) -> Held {
    let (setup, _) = to(bench, count);
    let config = setup.group_config(&bench.config);
    let (mut groups, mut hot_records) = (BTreeMap::new(), 0);
    for number in 0..u32::from(count) {
        let restored = restore(bench.log.as_ref(), number, setup.partitions, &config, EPOCH, &|| false);
        let (partition, _) = restored.unwrap();
        assert_eq!(
            hot(&partition),
            bench.hot_on_the_log_of(number),
            "partition {number} of {count}"
        );
        hot_records += hot(&partition).len();
        groups.extend(states(&partition));
    }
    assert_eq!(groups.len(), 256);
    (groups, hot_records)
}

#[test]
fn wherever_a_move_ends_the_next_one_brings_every_group_there() {
    let undisturbed = bench();
    let moved = move_to(&undisturbed, undisturbed.log.clone(), 4).unwrap();
    assert!(
        matches!(moved, Repartitioned::Moved { from: Some(2), records } if records > 256),
        "{moved:?}"
    );
    let wanted = held(&undisturbed, 4);
    assert_eq!(wanted.1, 4, "all contents are hot");
    move_to(&undisturbed, undisturbed.log.clone(), 1).unwrap();
    assert_eq!(held(&undisturbed, 1), wanted);
    move_to(&undisturbed, undisturbed.log.clone(), 2).unwrap();
    assert_eq!(held(&undisturbed, 2), wanted, "there and back");

    for ended in [Ended::Before, Ended::Behind] {
        let mut failures = 0;
        for steps in 0.. {
            let bench = bench();
            let log = Arc::new(Ending {
                log: bench.log.clone(),
                steps_left: Arc::new(AtomicI64::new(steps)),
                ended,
            });
            if move_to(&bench, log, 4).is_ok() {
                break;
            }
            failures += 1;
            move_to(&bench, bench.log.clone(), 4).unwrap();
            assert_eq!(held(&bench, 4), wanted, "ended {ended:?} step {steps}");
            assert!(!bench.log.topics().unwrap().iter().any(|topic| topic.name == STAGING));
        }
        assert!(failures > 8, "{failures} steps");
    }
}

#[test]
fn what_still_runs_and_another_number_are_refused() {
    let bench = bench();
    // Everything is staged, and then the process ends.
    let log = Arc::new(Ending {
        log: bench.log.clone(),
        steps_left: Arc::new(AtomicI64::new(i64::MAX)),
        ended: Ended::Before,
    });
    assert_eq!(move_to(&bench, log.clone(), 2).unwrap(), Repartitioned::AsItWas);
    let is_staged = |steps: &i64| {
        log.steps_left.store(*steps, Ordering::Release);
        assert!(move_to(&bench, log.clone(), 4).is_err(), "it ends before it is through");
        let other = move_to(&bench, log.clone(), 8);
        matches!(other, Err(DetectorError::OtherMove { to: 4 }))
    };
    assert!((0..).any(|steps| is_staged(&steps)));
    let other = move_to(&bench, bench.log.clone(), 8).unwrap_err();
    assert!(matches!(other, DetectorError::OtherMove { to: 4 }), "{other:?}");

    // What is staged has to be what was put there, or nothing is deleted.
    let further = Append {
        to: TopicPartition::new(STAGING, 0),
        key: None,
        value: Some(vec![1].into()),
        headers: Vec::new(),
    };
    let options = AppenderOptions {
        name: "tests".to_owned(),
        durability: Durability::Synced,
        gapless: false,
    };
    let before = bench.log.topics().unwrap();
    bench
        .log
        .appender(options)
        .unwrap()
        .append(vec![further])
        .wait()
        .unwrap();
    let refused = move_to(&bench, bench.log.clone(), 4).unwrap_err();
    let is_incomplete = |put: u64, found: u64| found == put + 1;
    assert!(
        matches!(refused, DetectorError::StagingIncomplete { put, found } if is_incomplete(put, found)),
        "{refused:?}"
    );
    assert_eq!(bench.log.topics().unwrap().len(), before.len());

    let bench = Bench::new();
    let running = super::succeeded::start(&bench);
    super::bench::until("it is ready", || running.readiness.parts()["detector"].is_none());
    let refused = move_to(&bench, bench.log.clone(), 8).unwrap_err();
    assert!(
        matches!(&refused, DetectorError::Log(error) if matches!(**error, LogError::GroupInUse { .. })),
        "{refused:?}"
    );
    running.stop().unwrap();
}
