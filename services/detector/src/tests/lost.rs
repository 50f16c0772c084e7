//! Goal: a topic that was deleted, cut or made anew, and records that are gone, end in an error that says so, never in counts that are too low.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
use tocsin_log::{
    GroupEvent, GroupOptions, GroupReader, Log, LogDecorator, LogError, Membership, Record, RecordRef, SharedLog,
    TopicInfo, TopicPartition,
};
use tocsin_model::{DeploymentKey, GroupId, Timestamp};
use tocsin_wire::state::{StateHeader, StateKey};
use tocsin_wire::topics;

use super::bench::{Bench, EPOCH, NOON, NUMBER, Part, SECOND, states, until};
use super::refused::{change_header, written};
use super::succeeded::{alerts, burst, start, start_on};
use crate::error::DetectorError;

fn refusal(bench: &Bench) -> DetectorError {
    bench.restore().map(drop).unwrap_err()
}

fn all(_: &Record) -> bool {
    true
}

fn none(_: &Record) -> bool {
    false
}

/// The group that a record of the state is of.
fn group_of(record: &Record) -> Option<GroupId> {
    match StateKey::from_bytes(record.key.as_deref()?)? {
        StateKey::Hot { group, .. } | StateKey::Cold { group, .. } | StateKey::Core { group, .. } => Some(group),
        StateKey::Header { .. } | StateKey::Onward { .. } => None,
    }
}

fn is_header(record: &Record) -> bool {
    let key = record.key.as_deref().and_then(StateKey::from_bytes);
    matches!(key, Some(StateKey::Header { .. }))
}

#[test]
fn a_sightings_topic_made_anew_is_another_input() {
    let mut bench = written();
    bench.make_anew(topics::SIGHTINGS, none);
    let error = refusal(&bench);
    assert!(
        matches!(error, DetectorError::InputReplaced { partition: NUMBER }),
        "{error:?}"
    );
    // As much as there was before, or more, makes it no better: no offset gives it away then.
    for second in 0..100 {
        bench.shares(NOON + second * SECOND, &[1]);
    }
    let error = refusal(&bench);
    assert!(
        matches!(error, DetectorError::InputReplaced { partition: NUMBER }),
        "{error:?}"
    );
}

#[test]
fn an_input_that_ends_before_its_state_is_refused() {
    // Where no id tells, the offsets do: a header of before, and a log without ids.
    let bench = written();
    bench.make_anew(topics::SIGHTINGS, none);
    change_header(&bench, |header| header.binding = None);
    let error = refusal(&bench);
    assert!(
        matches!(
            error,
            DetectorError::InputEndsBefore {
                partition: NUMBER,
                needed: 1,
                end: 0
            }
        ),
        "{error:?}"
    );
    let bench = written();
    change_header(&bench, |header| header.next_offset += 1);
    let error = refusal(&bench);
    assert!(
        matches!(error, DetectorError::InputEndsBefore { needed: 2, end: 1, .. }),
        "{error:?}"
    );
}

#[test]
fn a_key_group_of_which_nothing_is_left_is_missed() {
    let first_and_last = |bench: &Bench| {
        let mut groups = bench.setup.partitions.groups_of(NUMBER);
        (groups.next().unwrap(), groups.last().unwrap())
    };
    let (first, last) = first_and_last(&written());
    for group in [first, GroupId(101), last] {
        let bench = written();
        bench.make_anew(topics::STATE, |record| group_of(record) != Some(group));
        match refusal(&bench) {
            DetectorError::BrokenState { group: missing, reason } => {
                assert_eq!((missing, &*reason), (group.0, "its checkpoint is missing"));
            }
            other => panic!("{other:?}"),
        }
        // A header of before knows not how many there are; that one in between is missing shows all the same.
        change_header(&bench, |header| header.binding = None);
        let restored = bench.restore().map(drop);
        assert_eq!(restored.is_err(), group != last, "{group:?}");
    }
}

#[test]
fn key_groups_that_were_never_checkpointed_are_missed_by_nobody() {
    let mut bench = Bench::new();
    let mut partition = bench.fresh();
    bench.shares(NOON, &[1, 2]);
    bench.tick(NOON + SECOND);
    bench.apply(&mut partition);
    let now = partition.now();
    bench.write(&mut partition, &[Part::Changed], now);
    assert!(states(&bench.restore().unwrap()) == states(&partition));
}

#[test]
fn a_partition_that_lost_its_header_does_not_begin_anew() {
    let lost = |bench: &Bench| match refusal(bench) {
        DetectorError::StateLost {
            partition: NUMBER,
            sign,
        } => sign,
        other => panic!("{other:?}"),
    };
    let bench = written();
    bench.make_anew(topics::STATE, |record| !is_header(record));
    assert_eq!(lost(&bench), "the state of key groups stands there");

    // The whole topic, after detectors had read something.
    let mut bench = Bench::new();
    let running = start(&bench);
    burst(&mut bench, 1, NOON);
    until("it rings", || alerts(&bench) == 1);
    running.stop().unwrap();
    let end = bench.records(topics::SIGHTINGS, NUMBER).len();
    bench.make_anew(topics::STATE, none);
    let sign = lost(&bench);
    let read: usize = sign
        .strip_prefix("detectors have read it up to offset ")
        .expect("a position")
        .parse()
        .unwrap();
    assert!(
        (1..=end).contains(&read),
        "{read} of {end}: it may be stopped before the last"
    );

    // The input too: only the alerts are left.
    bench.make_anew(topics::SIGHTINGS, all);
    assert_eq!(lost(&bench), "it has rung: tocsin.alerts has alerts of its key groups");
    bench.make_anew(topics::ALERTS, none);
    bench.restore().expect("nothing tells of a time before");

    // Retention has deleted input, which a new partition would have read.
    let options = EmbeddedOptions {
        retention_interval: Duration::from_millis(5),
        ..EmbeddedOptions::default()
    };
    let bench = Bench::with(options, Some(1));
    let place = TopicPartition::new(topics::SIGHTINGS, NUMBER);
    until("input is deleted", || {
        bench.tick(NOON);
        bench.log.bounds(&place).unwrap().0 > 0
    });
    let sign = lost(&bench);
    assert!(sign.starts_with("the log has deleted sightings already"), "{sign}");
}

#[test]
fn the_state_of_another_deployment_is_refused_before_it_is_read() {
    let mut bench = written();
    bench.setup.key = DeploymentKey::from_bytes([8; 32]);
    let error = refusal(&bench);
    assert!(
        matches!(error, DetectorError::OtherDeployment { partition: NUMBER }),
        "{error:?}"
    );
    bench.setup.key = DeploymentKey::from_bytes([7; 32]);
    bench.restore().unwrap();
}

#[test]
fn a_header_of_the_layout_before_is_read_and_becomes_one_of_this() {
    let bench = written();
    let bound = bench.state();
    change_header(&bench, |header| header.binding = None);
    let mut restored = bench.restore().unwrap();
    bench.write(&mut restored, &[], Timestamp(NOON));
    let key = StateKey::Header { partition: NUMBER };
    assert_eq!(bench.state()[&key].body, bound[&key].body);
}

/// A log whose sightings or state topic is seen to be another one, or whose ends are seen to be lower, from some moment on.
#[derive(Clone)]
struct Changing {
    log: Arc<EmbeddedLog>,
    sightings: Arc<AtomicU64>,
    state: Arc<AtomicU64>,
    cut: Arc<AtomicU64>,
    /// So many looks at the bounds of the sightings still tell none that was appended.
    short_looks: Arc<AtomicU64>,
    /// From now on sightings are handed over under offsets that are so much higher.
    moved_by: Arc<AtomicI64>,
    /// Whether those before them were deleted.
    deletes: Arc<AtomicU64>,
}

impl Changing {
    fn of(bench: &Bench) -> Changing {
        Changing {
            log: bench.log.clone(),
            sightings: Arc::default(),
            state: Arc::default(),
            cut: Arc::default(),
            short_looks: Arc::default(),
            moved_by: Arc::default(),
            deletes: Arc::default(),
        }
    }
}

impl LogDecorator for Changing {
    fn inner(&self) -> &dyn Log {
        self.log.as_ref()
    }

    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        let mut standing = self.log.topics()?;
        for topic in &mut standing {
            topic.id += match &*topic.name {
                topics::SIGHTINGS => self.sightings.load(Ordering::SeqCst),
                topics::STATE => self.state.load(Ordering::SeqCst),
                _ => 0,
            };
        }
        Ok(standing)
    }

    fn bounds(&self, partition: &TopicPartition) -> Result<(u64, u64), LogError> {
        let (first_held, end) = self.log.bounds(partition)?;
        let looks = (&*partition.topic == topics::SIGHTINGS).then_some(&self.short_looks);
        let fewer = |looks: u64| looks.checked_sub(1);
        let is_short = looks.is_some_and(|looks| looks.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok());
        if looks.is_some() && self.deletes.load(Ordering::SeqCst) > 0 {
            return Ok((end + 1, end + 1));
        }
        Ok((first_held, if is_short { first_held } else { end }))
    }

    fn group_reader(&self, options: GroupOptions) -> Result<Box<dyn GroupReader>, LogError> {
        let reader = self.log.group_reader(options)?;
        Ok(Box::new(Moved(reader, self.moved_by.clone())))
    }

    fn ends(&self, partitions: &[TopicPartition], time_max: Duration) -> Result<Vec<u64>, LogError> {
        let cut = self.cut.load(Ordering::SeqCst);
        let ends = self.log.ends(partitions, time_max)?;
        Ok(ends.into_iter().map(|end| end.saturating_sub(cut)).collect())
    }
}

#[test]
fn a_detector_that_runs_sees_that_its_topics_are_others_now() {
    type Case = (fn(&Changing) -> &AtomicU64, fn(&DetectorError) -> bool);
    let cases: [Case; 3] = [
        (
            |log| &log.sightings,
            |error| matches!(error, DetectorError::InputReplaced { .. }),
        ),
        (|log| &log.state, |error| matches!(error, DetectorError::StateReplaced)),
        (
            |log| &log.cut,
            |error| matches!(error, DetectorError::InputEndsBefore { .. }),
        ),
    ];
    for (changed, is_right) in cases {
        let mut bench = Bench::new();
        let log = Changing::of(&bench);
        let shared: SharedLog = Arc::new(log.clone());
        let running = start_on(&bench, shared);
        burst(&mut bench, 1, NOON);
        until("it rings", || alerts(&bench) == 1);
        assert!(!running.is_finished());
        changed(&log).store(10, Ordering::SeqCst);
        until("it ends", || running.is_finished());
        let error = running.stop().unwrap_err();
        assert!(is_right(&error), "{error:?}");
    }
}

#[test]
fn an_end_that_a_new_leader_does_not_know_yet_is_asked_for_again() {
    let bench = written();
    let log = Changing::of(&bench);
    log.short_looks.store(2, Ordering::SeqCst);
    bench.restore_on(&log, bench.setup.partitions, EPOCH).unwrap();
    log.short_looks.store(3, Ordering::SeqCst);
    let refused = bench.restore_on(&log, bench.setup.partitions, EPOCH).map(drop);
    assert!(
        matches!(refused, Err(DetectorError::InputEndsBefore { needed: 1, end: 0, .. })),
        "{refused:?}"
    );
    assert_eq!(log.short_looks.load(Ordering::SeqCst), 0, "three looks");
}

/// Hands records over under other offsets, as a client does that has begun again where the log is held first.
struct Moved(Box<dyn GroupReader>, Arc<AtomicI64>);

impl GroupReader for Moved {
    fn poll(
        &mut self,
        timeout: Duration,
        records_max: usize,
        sink: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<GroupEvent, LogError> {
        let by = &self.1;
        self.0.poll(timeout, records_max, &mut |record| {
            // Asked for each record: a poll may have begun before.
            let offset = record.offset.saturating_add_signed(by.load(Ordering::SeqCst));
            sink(RecordRef { offset, ..record });
        })
    }

    fn begin(&mut self, partition: &TopicPartition, offset: u64) -> Result<(), LogError> {
        self.0.begin(partition, offset)
    }

    fn committed(&mut self, partition: &TopicPartition) -> Result<Option<u64>, LogError> {
        self.0.committed(partition)
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.0.pause(partitions)
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.0.resume(partitions)
    }

    fn commit_positions(&mut self, positions: &[(TopicPartition, u64)]) -> Result<(), LogError> {
        self.0.commit_positions(positions)
    }

    fn membership(&self) -> Membership {
        self.0.membership()
    }

    fn close(self: Box<Self>) {
        self.0.close();
    }
}

/// A detector rings once; then sightings come under other offsets, and enough of them to ring again. Tells how it ended, and whether it rang again or wrote
/// another header before.
fn jumps(prepare: impl Fn(&Changing)) -> (Option<DetectorError>, bool) {
    let mut bench = Bench::new();
    let log = Changing::of(&bench);
    let running = start_on(&bench, Arc::new(log.clone()));
    burst(&mut bench, 1, NOON);
    until("it rings, and its state says so", || {
        alerts(&bench) == 1 && header(&bench) == Some(bench.records(topics::SIGHTINGS, NUMBER).len() as u64)
    });
    let before = header(&bench);
    prepare(&log);
    burst(&mut bench, 2, NOON + 60 * SECOND);
    until("it ends, or rings again", || {
        running.is_finished() || alerts(&bench) > 1
    });
    let is_over = running.is_finished();
    let went_on = alerts(&bench) > 1 || header(&bench) != before;
    let ended = running.stop();
    (ended.err().filter(|_| is_over), went_on)
}

/// The next offset that the newest header tells.
fn header(bench: &Bench) -> Option<u64> {
    let state = bench.state();
    let record = state.get(&StateKey::Header { partition: NUMBER })?;
    Some(StateHeader::decode(&record.body).unwrap().next_offset)
}

#[test]
fn records_that_do_not_follow_are_looked_into_before_anything_of_them_is_committed() {
    // A client began again at the beginning of a topic that was made anew, long before anybody asks which topic it is.
    let (error, went_on) = jumps(|log| {
        log.sightings.store(10, Ordering::SeqCst);
        log.moved_by.store(-20, Ordering::SeqCst);
    });
    assert!(
        matches!(error, Some(DetectorError::InputReplaced { partition: NUMBER })) && !went_on,
        "{error:?}"
    );
    // Of a log that tells no ids the offsets say enough.
    let (error, went_on) = jumps(|log| log.moved_by.store(-20, Ordering::SeqCst));
    assert!(
        matches!(error, Some(DetectorError::InputEndsBefore { partition: NUMBER, .. })) && !went_on,
        "{error:?}"
    );
    // Offsets go on behind a gap, in another topic; in the same one, of which what was to come was deleted.
    let (error, went_on) = jumps(|log| {
        log.sightings.store(10, Ordering::SeqCst);
        log.moved_by.store(20, Ordering::SeqCst);
    });
    assert!(
        matches!(error, Some(DetectorError::InputReplaced { .. })) && !went_on,
        "{error:?}"
    );
    let (error, went_on) = jumps(|log| {
        log.deletes.store(1, Ordering::SeqCst);
        log.moved_by.store(20, Ordering::SeqCst);
    });
    assert!(
        matches!(error, Some(DetectorError::InputDeleted { .. })) && !went_on,
        "{error:?}"
    );
    // A gap that nothing was deleted of: markers of transactions.
    let (error, went_on) = jumps(|log| log.moved_by.store(20, Ordering::SeqCst));
    assert!(error.is_none() && went_on, "{error:?}");
}
