//! Goal: the way back to the program before: what is written for it is in its layout, and the header says so once all is.

use tocsin_model::Timestamp;
use tocsin_velocity::SNAPSHOT_VERSION;
use tocsin_wire::state::{StateHeader, StateKey};

use super::bench::{Bench, NOON, NUMBER, Part, SECOND, hot, states};

const EVERYTHING: [Part; 2] = [Part::Changed, Part::Checkpoints];
const BEFORE: u16 = SNAPSHOT_VERSION - 1;

/// The version that the header names.
fn named(bench: &Bench) -> u16 {
    let header = &bench.state()[&StateKey::Header { partition: NUMBER }];
    StateHeader::decode(&header.body).unwrap().state_version
}

/// The versions of all checkpoints on the log, each once.
fn written(bench: &Bench) -> Vec<u16> {
    let is_checkpoint = |key: &StateKey| matches!(key, StateKey::Core { .. } | StateKey::Cold { .. });
    let state = bench.state();
    let checkpoints = state.iter().filter(|(key, _)| is_checkpoint(key));
    let mut formats: Vec<u16> = checkpoints.map(|(_, record)| record.format).collect();
    formats.sort_unstable();
    formats.dedup();
    formats
}

#[test]
fn a_state_goes_back_a_version_and_comes_forward_again() {
    let mut bench = Bench::new();
    let mut partition = bench.fresh();
    bench.shares(NOON, &[1, 2, 3]);
    bench.tick(NOON + SECOND);
    bench.apply(&mut partition);
    bench.write(&mut partition, &EVERYTHING, Timestamp(NOON));
    assert_eq!(
        (named(&bench), written(&bench)),
        (SNAPSHOT_VERSION, vec![SNAPSHOT_VERSION])
    );

    bench.config.state_version = BEFORE;
    assert_eq!(bench.config.refusals(), []);
    let mut restored = bench.restore().unwrap();
    bench.write(&mut restored, &[], Timestamp(NOON));
    assert_eq!(
        named(&bench),
        SNAPSHOT_VERSION,
        "there are checkpoints that the program before cannot read"
    );
    // Nothing came in: what did not change is written again for its layout alone.
    bench.write(&mut restored, &EVERYTHING, Timestamp(NOON));
    assert_eq!((named(&bench), written(&bench)), (BEFORE, vec![BEFORE]));
    let gone_back = bench.restore().unwrap();
    assert_eq!(hot(&gone_back), hot(&partition));
    let cold = |partition| states(partition).into_iter().map(|(group, (_, cold))| (group, cold));
    assert!(cold(&gone_back).eq(cold(&partition)), "cold counts have one layout");

    bench.config.state_version = SNAPSHOT_VERSION;
    let mut forward = bench.restore().unwrap();
    bench.write(&mut forward, &EVERYTHING, Timestamp(NOON));
    assert_eq!(
        (named(&bench), written(&bench)),
        (SNAPSHOT_VERSION, vec![SNAPSHOT_VERSION])
    );
    assert_eq!(hot(&bench.restore().unwrap()), hot(&partition));
}

#[test]
fn a_version_that_is_not_written_is_refused() {
    let mut bench = Bench::new();
    for version in [BEFORE - 1, SNAPSHOT_VERSION + 1] {
        bench.config.state_version = version;
        assert_eq!(bench.config.refusals()[0].key, "detector.state_version");
    }
}
