//! Goal: a partition that was restored is the one that never stopped.

use tocsin_log::LogError;
use tocsin_model::{Decision, DecisionId, FamilyId, Scope, Timestamp, Verdict};
use tocsin_velocity::Output;
use tocsin_wire::state::StateKey;
use tocsin_wire::{SightingsRecord, topics};

use super::bench::{Bench, EPOCH, NOON, NUMBER, Part, SECOND, hot, states};
use crate::error::DetectorError;
use crate::partition::Partition;
use crate::restore::restore;

const EVERYTHING: [Part; 2] = [Part::Changed, Part::Checkpoints];

#[test]
fn a_partition_without_a_header_begins_at_the_start() {
    let mut bench = Bench::new();
    bench.shares(NOON, &[1]);
    let restored = bench.restore().unwrap();
    assert_eq!((restored.next_offset(), restored.now()), (0, Timestamp::MIN));
}

#[test]
fn hot_changes_that_a_crash_left_unwritten_are_written_after_it() {
    let mut bench = Bench::new();
    let mut partition = bench.fresh();
    bench.shares(NOON, &[1, 2, 3]);
    bench.tick(NOON + SECOND);
    bench.apply(&mut partition);
    let as_of = partition.now();
    bench.write(&mut partition, &EVERYTHING, as_of);

    // Two units with outputs alone: their header is further than the hot records on the log. Then input that no unit told of.
    for second in [2, 3] {
        bench.shares(NOON + second * SECOND, &[1, 4, 5]);
        bench.apply(&mut partition);
        bench.write(&mut partition, &[], as_of);
    }
    let committed = partition.next_offset();
    bench.shares(NOON + 4 * SECOND, &[2, 6]);
    assert_ne!(
        bench.hot_on_the_log(),
        hot(&partition),
        "changes are missing on the log"
    );

    let (mut restored, written_through) = bench.restore_as(bench.setup.partitions, EPOCH).unwrap();
    assert_eq!(restored.next_offset(), committed);
    assert_eq!(
        written_through, as_of,
        "a header must not claim more before they are written"
    );
    assert_eq!(states(&restored), states(&partition));
    assert!(
        !restored.has_outputs(),
        "what was said before the crash is not said again"
    );

    // Both go on.
    bench.tick(NOON + 5 * SECOND);
    bench.apply(&mut partition);
    bench.apply(&mut restored);
    assert_eq!(states(&restored), states(&partition));
    assert_eq!(restored.take_outputs().alerts, partition.take_outputs().alerts);
    let now = restored.now();
    bench.write(&mut restored, &[Part::Changed], now);
    assert_eq!(bench.hot_on_the_log(), hot(&partition));
}

#[test]
fn an_alert_rings_once_on_whichever_side_of_a_crash_it_falls() {
    for crash_after in (1..40).step_by(3) {
        let mut bench = Bench::new();
        let (mut partition, mut rung) = (bench.fresh(), Vec::new());
        for share in 0..40 {
            bench.shares(NOON + share * SECOND, &[1]);
            bench.apply(&mut partition);
            rung.extend(partition.take_outputs().alerts);
            let now = partition.now();
            if share % 4 == 1 {
                bench.write(&mut partition, &EVERYTHING, now);
            } else {
                bench.write(&mut partition, &[], now);
            }
            if share == crash_after {
                partition = bench.restore().unwrap();
            }
        }
        assert_eq!(rung.len(), 1, "crash after {crash_after}: {rung:?}");
    }
}

#[test]
fn groups_that_nothing_happened_to_keep_their_time() {
    let mut bench = Bench::new();
    let mut partition = bench.fresh();
    bench.shares(NOON, &[1]);
    bench.apply(&mut partition);
    let now = partition.now();
    bench.write(&mut partition, &EVERYTHING, now);
    // Time alone goes on: no group needs a new checkpoint, and none reads these ticks again.
    for minute in 1..=30 {
        bench.tick(NOON + minute * 60 * SECOND);
    }
    bench.apply(&mut partition);
    let now = partition.now();
    assert_eq!(now, Timestamp(NOON + 1_800 * SECOND));
    bench.write(&mut partition, &[Part::Changed], now);
    // And a little further, which no unit with hot changes told of.
    bench.tick(NOON + 1_801 * SECOND);
    bench.apply(&mut partition);
    bench.write(&mut partition, &[], now);

    let mut restored = bench.restore().unwrap();
    assert!(restored.now() >= now);
    let behind = restored.groups().find(|tracked| tracked.group.now() < now);
    assert!(
        behind.is_none(),
        "{:?}",
        behind.map(|tracked| (tracked.group.id(), tracked.group.now()))
    );
    bench.tick(NOON + 1_802 * SECOND);
    bench.apply(&mut partition);
    bench.apply(&mut restored);
    assert_eq!(states(&restored), states(&partition));
}

#[test]
fn a_group_is_restored_from_its_own_checkpoint_whenever_it_was_cut() {
    let mut bench = Bench::new();
    let mut partition = bench.fresh();
    // One content after the other changes and is checkpointed, so the groups' checkpoints lie at different offsets.
    for step in 0..6 {
        bench.shares(NOON + step * SECOND, &[step as usize, 9]);
        bench.tick(NOON + step * SECOND + 500);
        bench.apply(&mut partition);
        let parts: &[Part] = if step % 2 == 0 { &EVERYTHING } else { &[Part::Changed] };
        let now = partition.now();
        bench.write(&mut partition, parts, now);
        let restored = bench.restore().unwrap();
        assert_eq!(states(&restored), states(&partition), "step {step}");
    }
}

#[test]
fn a_restore_is_called_off_when_the_process_is_to_stop() {
    let mut bench = Bench::new();
    bench.shares(NOON, &[1]);
    let mut partition = bench.fresh();
    bench.apply(&mut partition);
    bench.write(&mut partition, &[Part::Checkpoints], Timestamp(NOON));
    let config = bench.setup.group_config(&bench.config);
    let restored = restore(
        bench.log.as_ref(),
        NUMBER,
        bench.setup.partitions,
        &config,
        EPOCH,
        &|| true,
    );
    let error = restored.map(drop).unwrap_err();
    assert!(
        matches!(&error, DetectorError::Log(error) if matches!(**error, LogError::CalledOff { .. })),
        "{error:?}"
    );
}

#[test]
fn what_was_said_once_is_said_again_until_the_next_unit() {
    let mut bench = Bench::new();
    let mut partition = bench.fresh();
    bench.shares(NOON, &[1]);
    bench.apply(&mut partition);
    let decision = Decision {
        id: DecisionId(7),
        family: FamilyId(bench.setup.key.content_id(&bench.content(1))),
        scope: Scope::All,
        verdict: Verdict::Violating,
        at: Timestamp(NOON),
    };
    let said = SightingsRecord::Decision(decision.clone()).encode();
    let onward = |partition: &mut Partition| -> Vec<Output> {
        let said = partition.take_outputs().onward.into_iter();
        said.map(|traced| traced.said).collect()
    };
    // A unit that decided so, and a crash before the decision was on its way.
    bench.write_saying(&mut partition, std::slice::from_ref(&said));
    let mut restored = bench.restore().unwrap();
    assert_eq!(onward(&mut restored), [Output::Decision(decision)]);
    // The next unit waits for it to have arrived.
    bench.write_saying(&mut restored, &[]);
    assert_eq!(onward(&mut bench.restore().unwrap()), []);

    // So much that it takes several records, then little, then nothing; each time after a restart.
    for (place, count) in [20_000, 1, 0].into_iter().enumerate() {
        let mut partition = bench.restore().unwrap();
        partition.forget_outputs();
        bench.write_saying(&mut partition, &vec![said.clone(); count]);
        assert_eq!(onward(&mut bench.restore().unwrap()).len(), count);
        let state = bench.state();
        let records = state
            .keys()
            .filter(|key| matches!(key, StateKey::Onward { .. }))
            .count();
        assert_eq!(records.min(2), [2, 1, 0][place], "{records}");
    }

    let key = StateKey::Onward {
        partition: NUMBER,
        chunk: 0,
    };
    bench.append(topics::STATE, Some(key), b"nonsense".to_vec());
    let error = bench.restore().map(drop).unwrap_err();
    assert!(
        matches!(error, DetectorError::BrokenOnward { partition: NUMBER }),
        "{error:?}"
    );
}
