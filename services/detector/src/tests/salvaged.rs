//! Goal: an operator lets a partition go on with what is left of its state: what can be read is kept, what the input still holds is derived again.

use tocsin_log::Record;
use tocsin_model::{DeploymentKey, KeyEpoch, Timestamp};
use tocsin_wire::state::StateKey;
use tocsin_wire::topics;

use super::bench::{Bench, NOON, NUMBER, Part, SECOND, hot, states};
use super::refused::{change, change_header};
use super::succeeded::{alerts, burst, start};
use crate::error::DetectorError;
use crate::partition::Partition;
use crate::salvage::{Salvaged, salvage_waiting};

fn salvaged(bench: &Bench) -> Salvaged {
    salvage(bench).unwrap()
}

fn salvage(bench: &Bench) -> Result<Salvaged, DetectorError> {
    salvage_beside(bench, &mut || {})
}

/// Beside something that goes on while the state must stand still.
fn salvage_beside(bench: &Bench, meanwhile: &mut dyn FnMut()) -> Result<Salvaged, DetectorError> {
    let means = (&bench.config, &bench.setup);
    let mut rest = |_| meanwhile();
    salvage_waiting(bench.log.as_ref(), NUMBER, means, |_| {}, &mut rest)
}

/// A bench with three contents of which one was last checkpointed before the others, and the partition as it is.
fn bench() -> (Bench, Partition) {
    let mut bench = Bench::new();
    let mut partition = bench.fresh();
    for step in 0..3 {
        bench.shares(NOON + step * SECOND, &[step as usize, 1]);
        bench.tick(NOON + step * SECOND + 500);
        bench.apply(&mut partition);
        let now = partition.now();
        let parts: &[Part] = if step < 2 {
            &[Part::Changed, Part::Checkpoints]
        } else {
            &[Part::Changed]
        };
        bench.write(&mut partition, parts, now);
    }
    (bench, partition)
}

fn nonsense_for(bench: &Bench, content: usize) {
    let group = bench.setup.key.content_id(&bench.content(content)).group();
    let key = StateKey::Core { group, chunk: 0 };
    bench.append(topics::STATE, Some(key), b"nonsense".to_vec());
}

fn same(one: &Partition, other: &Partition) -> bool {
    states(one) == states(other)
}

#[test]
fn what_can_be_restored_is_left_alone() {
    let (bench, _) = bench();
    let before = bench.records(topics::STATE, NUMBER);
    assert_eq!(salvaged(&bench), Salvaged::AsItWas);
    assert_eq!(bench.records(topics::STATE, NUMBER), before);
}

#[test]
fn one_broken_group_begins_anew_and_is_derived_again() {
    let (bench, partition) = bench();
    nonsense_for(&bench, 1);
    assert!(matches!(bench.restore(), Err(DetectorError::BrokenState { .. })));
    let (kept, anew) = (127, 1);
    assert_eq!(salvaged(&bench), Salvaged::GoesOn { offset: 0, kept, anew });
    let mut restored = bench.restore().unwrap();
    assert_eq!(restored.next_offset(), partition.next_offset());
    assert!(same(&restored, &partition));
    assert!(!restored.has_outputs(), "nothing is said a second time");
    let now = restored.now();
    bench.write(&mut restored, &[Part::Changed, Part::Checkpoints], now);
    assert_eq!(bench.hot_on_the_log(), hot(&partition));
    assert_eq!(salvaged(&bench), Salvaged::AsItWas);
}

#[test]
fn a_lost_state_is_derived_from_the_input_that_is_held() {
    let mut bench = Bench::new();
    let running = start(&bench);
    burst(&mut bench, 1, NOON);
    super::bench::until("it rings", || alerts(&bench) == 1);
    running.stop().unwrap();
    let mut before = bench.restore().unwrap();
    bench.apply(&mut before);
    bench.make_anew(topics::STATE, |_: &Record| false);
    assert!(matches!(bench.restore(), Err(DetectorError::StateLost { .. })));
    let (kept, anew) = (0, 128);
    assert_eq!(salvaged(&bench), Salvaged::GoesOn { offset: 0, kept, anew });
    let mut partition = bench.restore().unwrap();
    assert_eq!(partition.next_offset(), 0);
    bench.apply(&mut partition);
    assert!(same(&partition, &before));
    // What rang rings again, under the same id.
    let said = bench.said();
    let again: Vec<_> = partition.take_outputs().alerts.into_iter().collect();
    assert_eq!((again.len(), again[0].said.id), (1, said[0].id));
}

#[test]
fn counts_go_on_with_another_input() {
    let (mut bench, mut partition) = bench();
    let now = partition.now();
    bench.write(&mut partition, &[Part::Changed, Part::Checkpoints], now);
    bench.make_anew(topics::SIGHTINGS, |_: &Record| false);
    assert!(matches!(bench.restore(), Err(DetectorError::InputReplaced { .. })));
    let (kept, anew) = (128, 0);
    assert_eq!(salvaged(&bench), Salvaged::GoesOn { offset: 0, kept, anew });
    let mut restored = bench.restore().unwrap();
    assert_eq!(restored.next_offset(), 0);
    assert!(same(&restored, &partition));
    // The first sightings of the new topic count, at offsets that the old one had before.
    bench.shares(NOON + 5 * SECOND, &[1]);
    bench.apply(&mut restored);
    assert!(!same(&restored, &partition));
    let key = |partition: &Partition| hot(partition).into_keys().collect::<Vec<_>>();
    assert_eq!(key(&restored), key(&partition));
    let now = restored.now();
    bench.write(&mut restored, &[Part::Changed, Part::Checkpoints], now);
    assert!(same(&bench.restore().unwrap(), &restored));
}

#[test]
fn nothing_of_another_deployment_is_kept() {
    let (mut bench, _) = bench();
    bench.setup.key = DeploymentKey::from_bytes([8; 32]);
    assert!(matches!(bench.restore(), Err(DetectorError::OtherDeployment { .. })));
    let (kept, anew) = (0, 128);
    assert_eq!(salvaged(&bench), Salvaged::GoesOn { offset: 0, kept, anew });
    let restored = bench.restore().unwrap();
    assert!(hot(&restored).is_empty());
    assert!(
        bench.hot_on_the_log().is_empty(),
        "readers of the state see none either"
    );
}

#[test]
fn what_a_setting_mends_is_not_given_up() {
    let (mut bench, _) = bench();
    let before = bench.records(topics::STATE, NUMBER);
    bench.setup.epoch = KeyEpoch(4);
    let refused = salvage(&bench);
    assert!(
        matches!(refused, Err(DetectorError::OtherKeyEpoch { .. })),
        "{refused:?}"
    );
    assert_eq!(bench.records(topics::STATE, NUMBER), before);
}

#[test]
fn a_partition_that_a_detector_writes_is_left_alone() {
    let (bench, mut partition) = bench();
    nonsense_for(&bench, 1);
    let mut written = 0;
    let refused = salvage_beside(&bench, &mut || {
        bench.write(&mut partition, &[], Timestamp(NOON));
        written = bench.records(topics::STATE, NUMBER).len();
    });
    assert!(
        matches!(refused, Err(DetectorError::NotAtRest { partition: NUMBER })),
        "{refused:?}"
    );
    assert_eq!(bench.records(topics::STATE, NUMBER).len(), written);
    let (kept, anew) = (127, 1);
    assert_eq!(salvaged(&bench), Salvaged::GoesOn { offset: 0, kept, anew });
}

#[test]
fn the_state_of_a_newer_program_is_left_to_it() {
    let (bench, _) = bench();
    change(&bench, StateKey::Header { partition: NUMBER }, |record| {
        record.format = 4
    });
    nonsense_for(&bench, 1);
    let before = bench.records(topics::STATE, NUMBER);
    let refused = salvage(&bench);
    assert!(
        matches!(
            refused,
            Err(DetectorError::OtherHeaderLayout {
                partition: NUMBER,
                written: 4,
                known: 3
            })
        ),
        "{refused:?}"
    );
    assert_eq!(bench.records(topics::STATE, NUMBER), before);
}

#[test]
fn what_was_cut_off_the_end_of_the_same_input_stays_in_the_counts() {
    let (bench, partition) = bench();
    change_header(&bench, |header| header.next_offset += 5);
    assert!(matches!(bench.restore(), Err(DetectorError::InputEndsBefore { .. })));
    let (kept, anew) = (128, 0);
    assert_eq!(salvaged(&bench), Salvaged::GoesOn { offset: 0, kept, anew });
    let restored = bench.restore().unwrap();
    assert_eq!(
        restored.next_offset(),
        partition.next_offset(),
        "nothing is applied a second time"
    );
    assert!(same(&restored, &partition));
    assert!(!restored.has_outputs());
}
