//! Goal: one owner per partition: a second detector is turned away, and one that was succeeded drops its work and ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use prometheus::Registry;
use tocsin_log::embedded::EmbeddedLog;
use tocsin_log::{CommitError, Committer, Log, LogDecorator, LogError, Membership, SharedLog, Unit};
use tocsin_runtime::{Readiness, Shutdown};
use tocsin_wire::topics;

use super::bench::{Bench, NOON, NUMBER, SECOND, until};
use crate::error::DetectorError;
use crate::run::OF_ITS_OWN;
use crate::shell::run;

pub struct Running {
    shutdown: Shutdown,
    thread: JoinHandle<Result<(), DetectorError>>,
    pub readiness: Readiness,
    pub registry: Registry,
}

pub fn start(bench: &Bench) -> Running {
    start_on(bench, bench.log.clone())
}

/// On this log instead of the bench's.
pub fn start_on(bench: &Bench, log: SharedLog) -> Running {
    let (shutdown, readiness, registry) = (Shutdown::new(), Readiness::new(), Registry::new());
    let ready = readiness.flag("detector", "restoring");
    let (config, setup, stop) = (bench.config.clone(), bench.setup.clone(), shutdown.clone());
    let metrics = registry.clone();
    let work = move || run(OF_ITS_OWN, &config, &setup, &log, &metrics, &ready, &stop);
    Running {
        shutdown,
        thread: std::thread::spawn(work),
        readiness,
        registry,
    }
}

impl Running {
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    pub fn stop(self) -> Result<(), DetectorError> {
        self.shutdown.request();
        self.thread.join().unwrap()
    }
}

/// Enough shares of one content to ring.
pub fn burst(bench: &mut Bench, content: usize, at: i64) {
    for second in 0..35 {
        bench.shares(at + second * SECOND, &[content]);
    }
}

pub fn alerts(bench: &Bench) -> usize {
    bench.records(topics::ALERTS, 0).len()
}

#[test]
fn a_second_member_is_turned_away_and_the_first_goes_on() {
    let mut bench = Bench::new();
    let first = start(&bench);
    until("the first is ready", || first.readiness.parts()["detector"].is_none());
    let second = start(&bench).thread.join().unwrap().unwrap_err();
    assert!(
        matches!(&second, DetectorError::Log(error) if matches!(**error, LogError::GroupInUse { .. })),
        "{second:?}"
    );
    burst(&mut bench, 1, NOON);
    until("the first rings", || alerts(&bench) == 1);
    first.stop().unwrap();
}

#[test]
fn a_detector_that_was_succeeded_drops_its_work() {
    let mut bench = Bench::new();
    let first = start(&bench);
    burst(&mut bench, 1, NOON);
    until("it rings", || alerts(&bench) == 1);

    // Another process takes its name, and with it the right to commit.
    let _successor = bench
        .log
        .committer(&format!("{}-detector", bench.setup.instance))
        .unwrap();
    let before = bench.records(topics::STATE, NUMBER);
    burst(&mut bench, 2, NOON + 60 * SECOND);
    // Nobody asks it to stop.
    until("it ends", || first.thread.is_finished());
    let error = first.thread.join().unwrap().unwrap_err();
    assert!(
        matches!(&error, DetectorError::Commit(error) if matches!(**error, CommitError::Fenced(_))),
        "{error:?}"
    );
    assert_eq!(alerts(&bench), 1, "what it made of the second burst is not on the log");
    assert_eq!(bench.records(topics::STATE, NUMBER), before);

    // Its successor says it, once, and nothing a second time.
    let successor = start(&bench);
    until("the second burst rings", || alerts(&bench) >= 2);
    successor.stop().unwrap();
    assert_eq!(alerts(&bench), 2);
}

/// A log whose group has put every member out, as Kafka's does when no heartbeat came through; it says so when positions are shown to it.
#[derive(Clone)]
struct Expelling {
    log: Arc<EmbeddedLog>,
    shown: Arc<AtomicU32>,
}

struct ExpellingCommitter(Expelling, Box<dyn Committer>);

impl Committer for ExpellingCommitter {
    fn commit(&mut self, membership: &Membership, unit: Unit) -> Result<(), CommitError> {
        if unit.positions.is_empty() {
            return self.1.commit(membership, unit);
        }
        self.0.shown.fetch_add(1, Ordering::SeqCst);
        Err(CommitError::Fenced(LogError::Expelled))
    }
}

impl LogDecorator for Expelling {
    fn inner(&self) -> &dyn Log {
        self.log.as_ref()
    }

    fn committer(&self, instance: &str) -> Result<Box<dyn Committer>, LogError> {
        Ok(Box::new(ExpellingCommitter(
            self.clone(),
            self.log.committer(instance)?,
        )))
    }
}

#[test]
fn a_detector_that_was_put_out_ends_at_once() {
    let mut bench = Bench::new();
    burst(&mut bench, 1, NOON);
    let expelling = Expelling {
        log: bench.log.clone(),
        shown: Arc::default(),
    };
    let detector = start_on(&bench, Arc::new(expelling.clone()));
    until("it ends", || detector.thread.is_finished());
    let error = detector.thread.join().unwrap().unwrap_err();
    assert!(
        matches!(&error, DetectorError::Commit(error) if matches!(**error, CommitError::Fenced(LogError::Expelled))),
        "{error:?}"
    );
    let shown = expelling.shown.load(Ordering::SeqCst);
    assert_eq!(shown, 1, "it is not asked again without having been polled");

    let successor = start(&bench);
    until("its successor rings", || alerts(&bench) == 1);
    successor.stop().unwrap();
}
