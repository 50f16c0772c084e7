//! Goal: an audit finds everything that was said and counted to follow from the log, and whatever does not.

use tocsin_log::{Log as _, TopicPartition};
use tocsin_model::Timestamp;
use tocsin_velocity::Group;
use tocsin_wire::state::{StateKey, StateRecord};
use tocsin_wire::topics;

use super::bench::{Bench, NOON, NUMBER, Part, SECOND};
use crate::audit::{Audit, Span, Verdict, audit};
use crate::error::DetectorError;

const MINUTE: i64 = 60 * SECOND;
const EVERYTHING: [Part; 2] = [Part::Changed, Part::Checkpoints];

/// Two hours with a spread in each half, copies every twenty minutes, and what was said meanwhile on the log.
fn played() -> Bench {
    let mut bench = Bench::with(Default::default(), None);
    bench.config.audit_interval_s = 20 * 60;
    let mut partition = bench.fresh();
    for minute in 0..120 {
        let at = NOON + minute * MINUTE;
        for second in 0..40 {
            if minute % 60 == 30 {
                bench.shares(at + second * SECOND, &[(minute / 60) as usize]);
            }
        }
        bench.shares(at + 41 * SECOND, &[2 + minute as usize % 5]);
        bench.tick(at + 45 * SECOND);
        bench.apply(&mut partition);
        for alert in partition.take_outputs().alerts {
            bench.say(&alert.said, partition.names());
        }
        if minute % 10 == 5 {
            let now = partition.now();
            bench.write(&mut partition, &EVERYTHING, now);
            if minute == 55 {
                partition = bench.restore().unwrap();
            }
        }
    }
    bench
}

fn found(bench: &Bench, from_minute: i64, to_minute: i64) -> Result<Audit, DetectorError> {
    let span = Span {
        from: Timestamp(NOON + from_minute * MINUTE),
        to: Timestamp(NOON + to_minute * MINUTE),
    };
    let config = bench.setup.group_config(&bench.config);
    audit(bench.log.as_ref(), bench.setup.partitions, &config, span, &|| false)
}

#[test]
fn what_was_said_and_counted_follows_from_the_log_over_a_restart_too() {
    let bench = played();
    let all = found(&bench, 0, 120).unwrap();
    assert!(all.holds(), "{all:?}");
    let raised = all.count(Verdict::Equal);
    assert!(raised >= 4, "two episodes begin and end: {all:?}");
    let here = &all.partitions[NUMBER as usize];
    assert_eq!(here.began_at, 0, "nothing was copied before the span");
    assert!(here.copies > 128, "each group several times: {here:?}");

    let second = found(&bench, 75, 120).unwrap();
    assert!(second.holds(), "{second:?}");
    assert!((1..raised).contains(&second.count(Verdict::Equal)), "{second:?}");
    let here = &second.partitions[NUMBER as usize];
    assert!(here.began_at > 60, "it begins at a copy: {here:?}");
    assert!(here.records < all.partitions[NUMBER as usize].records, "{here:?}");
}

#[test]
fn an_alert_that_was_altered_made_up_or_lost_is_found() {
    let bench = played();
    let all = found(&bench, 0, 120).unwrap();
    let alert = bench.said().into_iter().next().unwrap();
    let names = Default::default();

    let mut altered = alert.clone();
    altered.episode += 1;
    bench.say(&altered, &names);
    let mut invented = alert.clone();
    invented.id.0 ^= 1;
    bench.say(&invented, &names);
    let outside = tocsin_model::Alert {
        at: Timestamp(NOON - MINUTE),
        ..invented.clone()
    };
    bench.say(&outside, &names);
    let now = found(&bench, 0, 120).unwrap();
    assert!(!now.holds());
    let verdicts = [Verdict::Different, Verdict::Unfounded, Verdict::Missing].map(|verdict| now.count(verdict));
    assert_eq!(verdicts, [1, 1, 0], "{now:?}");
    assert_eq!(now.alerts[&alert.id].verdict, Verdict::Different);
    assert_eq!(now.alerts.len(), all.alerts.len() + 1);

    // One that an earlier rule rang.
    let mut earlier = invented.clone();
    (earlier.id.0, earlier.rule_version) = (earlier.id.0 ^ 3, earlier.rule_version - 1);
    bench.say(&earlier, &names);
    let now = found(&bench, 0, 120).unwrap();
    assert_eq!(now.alerts[&earlier.id].verdict, Verdict::OtherRule);
    assert!(!now.holds());

    // A whole log of which nothing was said.
    let silent = played_in_silence();
    let lost = found(&silent, 0, 120).unwrap();
    assert_eq!(lost.count(Verdict::Missing), lost.alerts.len());
    assert!(!lost.holds() && !lost.alerts.is_empty());
}

fn played_in_silence() -> Bench {
    let mut bench = Bench::new();
    for second in 0..60 {
        bench.shares(NOON + second * SECOND, &[1]);
    }
    bench.tick(NOON + 2 * MINUTE);
    bench
}

#[test]
fn a_copy_that_does_not_follow_from_the_log_is_found() {
    let bench = played();
    // A group's later copy with the state of an empty one.
    let copies = bench.records(topics::CHECKPOINTS, NUMBER);
    let core = |value: &[u8]| StateRecord::decode(value).unwrap();
    let last = copies.iter().rev().find_map(|record| {
        let key = StateKey::from_bytes(record.key.as_deref()?)?;
        matches!(key, StateKey::Core { .. }).then(|| (key, core(record.value.as_deref().unwrap())))
    });
    let (key, mut state) = last.unwrap();
    let StateKey::Core { group, .. } = key else {
        unreachable!()
    };
    let config = bench.setup.group_config(&bench.config);
    state.body = Group::new(group, config).encode_core();
    let (cut_at, beyond) = (state.applied_through + 1, 1_000_000);
    for applied_through in [cut_at, beyond] {
        state.applied_through = applied_through;
        bench.append(topics::CHECKPOINTS, Some(key), state.encode());
    }
    let now = found(&bench, 0, 120).unwrap();
    assert!(!now.holds());
    assert_eq!(
        now.partitions[NUMBER as usize].differing,
        [(group, cut_at), (group, beyond)]
    );
    assert_eq!(now.count(Verdict::Equal), now.alerts.len());
}

#[test]
fn copies_of_another_version_are_refused_where_they_would_count() {
    let bench = played();
    let copies = bench.records(topics::CHECKPOINTS, NUMBER);
    let last = copies.last().unwrap();
    let key = StateKey::from_bytes(last.key.as_deref().unwrap());
    let mut state = StateRecord::decode(last.value.as_deref().unwrap()).unwrap();
    let as_of = (state.as_of.0 - NOON) / MINUTE;
    state.format -= 1;
    state.applied_through += 1;
    assert!(
        matches!(key, Some(StateKey::Core { chunk: 0, .. })),
        "whole by itself: {key:?}"
    );
    bench.append(topics::CHECKPOINTS, key, state.encode());
    let error = found(&bench, 0, 120).unwrap_err();
    assert!(matches!(error, DetectorError::OtherStateVersion { .. }), "{error}");
    assert!(found(&bench, 0, as_of).unwrap().holds(), "it is behind the span");
}

#[test]
fn without_a_copy_before_the_span_and_a_log_from_its_beginning_there_is_nothing_to_begin_from() {
    let mut bench = Bench::with(Default::default(), Some(1));
    bench.shares(NOON, &[1]);
    bench.tick(NOON + MINUTE);
    bench.log.enforce_retention(i64::MAX).unwrap();
    bench.tick(NOON + 2 * MINUTE);
    let place = TopicPartition::new(topics::SIGHTINGS, NUMBER);
    assert!(bench.log.bounds(&place).unwrap().0 > 0, "its beginning is gone");
    let error = found(&bench, 0, 60).unwrap_err();
    assert!(matches!(error, DetectorError::NothingToBeginFrom { .. }), "{error}");
}

#[test]
fn copies_of_an_input_before_are_no_beginning() {
    let bench = played();
    assert!(found(&bench, 75, 120).unwrap().holds());
    // As after a salvage that went on with another input: a group's newest copy is cut at an offset that the copies before are past.
    let copies = bench.records(topics::CHECKPOINTS, NUMBER);
    let last = copies.last().unwrap();
    let key = StateKey::from_bytes(last.key.as_deref().unwrap());
    let mut state = StateRecord::decode(last.value.as_deref().unwrap()).unwrap();
    let Some(StateKey::Core { group, chunk: 0 }) = key else {
        panic!("whole by itself: {key:?}")
    };
    state.applied_through = 1;
    bench.append(topics::CHECKPOINTS, key, state.encode());
    for from in [0, 75] {
        let error = found(&bench, from, 120).unwrap_err();
        assert!(
            matches!(error, DetectorError::NothingToBeginFrom { group: of } if of == group.0),
            "{error}"
        );
    }
}
