//! Goal: while one partition is restored the others go on, how far it is can be seen, and what was called off is nobody's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus::Registry;
use tocsin_log::embedded::EmbeddedLog;
use tocsin_log::{Log, LogDecorator, LogError, RecordRef, TailReader, TopicPartition};
use tocsin_wire::state::StateKey;
use tocsin_wire::topics;

use super::bench::{Bench, NOON, NUMBER, until};
use super::succeeded::{alerts, burst, start_on};
use crate::restorers::{Hands, Restorers};
use crate::telemetry::Metrics;

/// The other partition of the bench: the one whose state does not come.
const HELD_UP: u32 = 1 - NUMBER;

/// The bench's log, on which the state of one partition does not come before it is let through.
struct HoldUp {
    log: Arc<EmbeddedLog>,
    is_through: Arc<AtomicBool>,
}

struct HeldUp(Box<dyn TailReader>, Arc<AtomicBool>);

impl TailReader for HeldUp {
    fn poll(
        &mut self,
        timeout: Duration,
        records_max: usize,
        sink: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<usize, LogError> {
        match self.1.load(Ordering::Acquire) {
            true => self.0.poll(timeout, records_max, sink),
            false => {
                std::thread::yield_now();
                Ok(0)
            }
        }
    }

    fn position(&self, partition: &TopicPartition) -> Option<u64> {
        self.0.position(partition)
    }
}

impl LogDecorator for HoldUp {
    fn inner(&self) -> &dyn Log {
        self.log.as_ref()
    }

    fn tail_reader(&self, starts: &[(TopicPartition, u64)]) -> Result<Box<dyn TailReader>, LogError> {
        let reader = self.log.tail_reader(starts)?;
        let is_held_up =
            |(place, _): &(TopicPartition, u64)| &*place.topic == topics::STATE && place.partition == HELD_UP;
        Ok(match starts.iter().any(is_held_up) {
            true => Box::new(HeldUp(reader, self.is_through.clone())),
            false => reader,
        })
    }
}

/// A bench with something to read in the state of the partition that is held up.
fn held_up() -> (Bench, Arc<HoldUp>) {
    let bench = Bench::new();
    let foreign = StateKey::Header { partition: 7 };
    let to = TopicPartition::new(topics::STATE, HELD_UP);
    bench.append_to(to, Some(Bytes::from(foreign.to_bytes())), Vec::new());
    let log = Arc::new(HoldUp {
        log: bench.log.clone(),
        is_through: Arc::default(),
    });
    (bench, log)
}

fn gauge(registry: &Registry, name: &str) -> Option<f64> {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name)?;
    family.get_metric().first().map(|metric| metric.get_gauge().get_value())
}

#[test]
fn a_partition_that_is_restored_goes_on_while_another_is_not() {
    let (mut bench, log) = held_up();
    let running = start_on(&bench, log.clone());
    burst(&mut bench, 1, NOON);
    until("the partition that is restored rings", || alerts(&bench) == 1);
    let registry = &running.registry;
    until("the other one shows what is left", || {
        gauge(registry, "tocsin_detector_restore_records_left") == Some(1.0)
    });
    assert_eq!(gauge(registry, "tocsin_detector_partitions"), Some(1.0));
    assert_eq!(gauge(registry, "tocsin_detector_partitions_restoring"), Some(1.0));
    assert!(
        running.readiness.parts()["detector"].is_some(),
        "not ready before all is restored"
    );
    log.is_through.store(true, Ordering::Release);
    until("it is ready", || running.readiness.parts()["detector"].is_none());
    assert_eq!(gauge(registry, "tocsin_detector_partitions"), Some(2.0));
    assert_eq!(gauge(registry, "tocsin_detector_restore_records_left"), None);
    running.stop().unwrap();
}

#[test]
fn a_process_that_is_to_stop_does_not_wait_for_its_restores() {
    let (bench, log) = held_up();
    let running = start_on(&bench, log);
    let registry = running.registry.clone();
    until("one is restored", || {
        gauge(&registry, "tocsin_detector_partitions") == Some(1.0)
    });
    running.stop().unwrap();
}

#[test]
fn what_was_called_off_is_handed_to_nobody() {
    let (bench, log) = held_up();
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let now = Instant::now();
    for hands in [Hands::Threads, Hands::Caller] {
        log.is_through.store(false, Ordering::Release);
        let mut restorers = Restorers::new(log.clone(), hands);
        restorers.begin(bench.restored(HELD_UP), now);
        assert!(restorers.advance(now, &metrics).is_empty());
        assert!(restorers.call_off(HELD_UP));
        assert!(!restorers.call_off(HELD_UP));
        log.is_through.store(true, Ordering::Release);
        assert!(restorers.advance(now, &metrics).is_empty());
        restorers.begin(bench.restored(HELD_UP), now);
        let mut ended = Vec::new();
        until("the second is through", || {
            ended.extend(restorers.advance(now, &metrics));
            !ended.is_empty()
        });
        let (number, restored) = ended.remove(0);
        assert_eq!((number, restored.unwrap().0.next_offset()), (HELD_UP, 0));
        assert_eq!(restorers.count(), 0);
    }
}
