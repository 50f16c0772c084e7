//! Goal: a state that is not this deployment's, or not whole, is refused by its own error and never begun anew in silence.

use std::time::Duration;

use tocsin_log::Log as _;
use tocsin_log::embedded::EmbeddedOptions;
use tocsin_model::{GroupId, KeyEpoch, PartitionCount, Timestamp};
use tocsin_velocity::SNAPSHOT_VERSION;
use tocsin_wire::state::{StateHeader, StateKey, StateRecord};
use tocsin_wire::topics;

use super::bench::{Bench, EPOCH, NOON, NUMBER, Part, SECOND, until};
use crate::error::DetectorError;

/// A bench with a state that can be restored.
pub fn written() -> Bench {
    let mut bench = Bench::new();
    let mut partition = bench.fresh();
    bench.shares(NOON, &[1, 2]);
    bench.apply(&mut partition);
    bench.write(&mut partition, &[Part::Changed, Part::Checkpoints], Timestamp(NOON));
    bench.restore().unwrap();
    bench
}

/// Writes a changed copy of the record under `key`, as the newest one.
pub fn change(bench: &Bench, key: StateKey, change: impl FnOnce(&mut StateRecord)) {
    let mut record = bench.state().remove(&key).unwrap();
    change(&mut record);
    bench.append(topics::STATE, Some(key), record.encode());
}

pub fn change_header(bench: &Bench, change_it: impl FnOnce(&mut StateHeader)) {
    change(bench, StateKey::Header { partition: NUMBER }, |record| {
        let mut header = StateHeader::decode(&record.body).unwrap();
        change_it(&mut header);
        record.body = header.encode();
        record.format = header.format();
    });
}

fn refusal(bench: &Bench) -> DetectorError {
    bench.restore().unwrap_err()
}

/// The group of content 1.
fn group(bench: &Bench) -> GroupId {
    bench.setup.key.content_id(&bench.content(1)).group()
}

fn broken(bench: &Bench) -> String {
    match refusal(bench) {
        DetectorError::BrokenState { group: number, reason } if number == group(bench).0 => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_deployments_state_is_refused() {
    let bench = written();
    let error = bench.restore_as(bench.setup.partitions, KeyEpoch(4)).unwrap_err();
    let (written, configured) = (EPOCH.0, 4);
    assert!(
        matches!(error, DetectorError::OtherKeyEpoch { written: w, configured: c } if (w, c) == (written, configured)),
        "{error:?}"
    );
    let error = bench.restore_as(PartitionCount::new(4).unwrap(), EPOCH).unwrap_err();
    assert!(
        matches!(
            error,
            DetectorError::OtherPartitionCount {
                written: 2,
                configured: 4
            }
        ),
        "{error:?}"
    );
    change_header(&bench, |header| header.state_version -= 1);
    bench.restore().expect("the version before is read");
    change_header(&bench, |header| header.state_version += 2);
    let error = refusal(&bench);
    assert!(
        matches!(error, DetectorError::OtherStateVersion { written, known: SNAPSHOT_VERSION } if written == SNAPSHOT_VERSION + 1),
        "{error:?}"
    );
}

#[test]
fn a_header_that_cannot_be_read_is_not_an_empty_state() {
    let reason = |bench: &Bench| match refusal(bench) {
        DetectorError::BrokenHeader {
            partition: NUMBER,
            reason,
        } => reason,
        other => panic!("{other:?}"),
    };
    let key = StateKey::Header { partition: NUMBER };
    let bench = written();
    change(&bench, key, |record| record.format = 1);
    assert_eq!(reason(&bench), "it has layout 1, this program knows layout 3");
    let bench = written();
    change(&bench, key, |record| record.body.push(0));
    reason(&bench);
    bench.append(topics::STATE, Some(key), b"nonsense".to_vec());
    assert_eq!(reason(&bench), "it is no state record");
}

#[test]
fn input_that_retention_deleted_is_refused() {
    let options = EmbeddedOptions {
        retention_interval: Duration::from_millis(5),
        ..EmbeddedOptions::default()
    };
    let mut bench = Bench::with(options, Some(1));
    let mut partition = bench.fresh();
    bench.shares(NOON, &[1]);
    bench.apply(&mut partition);
    // Nothing is checkpointed, so a restore needs the log from its start.
    bench.write(&mut partition, &[Part::Changed], Timestamp(NOON));
    let place = tocsin_log::TopicPartition::new(topics::SIGHTINGS, NUMBER);
    until("the input is deleted", || {
        bench.tick(NOON + SECOND);
        bench.log.bounds(&place).unwrap().0 > 0
    });
    let error = refusal(&bench);
    assert!(
        matches!(error, DetectorError::InputDeleted { partition: NUMBER, needed: 0, first_held } if first_held > 0),
        "{error:?}"
    );
}

#[test]
fn a_broken_checkpoint_is_refused_by_its_group() {
    let core = |bench: &Bench| StateKey::Core {
        group: group(bench),
        chunk: 0,
    };
    let cold = |bench: &Bench| {
        let of_group = |key: &StateKey| matches!(key, StateKey::Cold { group: number, .. } if *number == group(bench));
        bench.state().into_keys().find(of_group).unwrap()
    };
    let bench = written();
    change(&bench, core(&bench), |record| {
        record.body.truncate(record.body.len() / 2)
    });
    broken(&bench);
    let bench = written();
    change(&bench, core(&bench), |record| record.chunks = 2);
    assert_eq!(broken(&bench), "its checkpoint is incomplete");
    let bench = written();
    change(&bench, cold(&bench), |record| record.chunks = 2);
    assert_eq!(broken(&bench), "its cold counts are incomplete");
    let bench = written();
    change(&bench, cold(&bench), |record| record.applied_through += 1);
    assert_eq!(broken(&bench), "its parts were cut at different offsets");
    // What is no record at all does not leave the group as it was before its first checkpoint.
    let bench = written();
    bench.append(topics::STATE, Some(core(&bench)), b"nonsense".to_vec());
    assert_eq!(broken(&bench), "its checkpoint is incomplete");
    let bench = written();
    bench.append(topics::STATE, Some(cold(&bench)), b"nonsense".to_vec());
    assert_eq!(broken(&bench), "its cold counts are incomplete");
}
