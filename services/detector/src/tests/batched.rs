//! Goal: the same sightings ring the same and leave the same state, in whichever blocks intake packed them, whatever a unit commits, and wherever
//! a restart falls between.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tocsin_model::{Alert, GroupId};

use super::bench::*;

const EVENTS: usize = 900;

/// How a run deals the stream out.
#[derive(Clone, Copy, Debug)]
struct Batches {
    /// Sightings in a block.
    block: usize,
    /// Blocks in a unit: what is applied, written and told at once.
    unit: usize,
    /// One unit in so many is followed by a restart; 0 without.
    restart_in: u32,
}

type States = Vec<(GroupId, Vec<u8>)>;

/// Shares of a few contents, of which one after the other bursts.
fn stream(seed: u64) -> Vec<(i64, usize)> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut at = NOON;
    let mut share = |place: usize| {
        at += random.random_range(0..20) * SECOND;
        let content = if random.random_bool(0.4) {
            place / 225
        } else {
            random.random_range(4..24)
        };
        (at, content)
    };
    (0..EVENTS).map(&mut share).collect()
}

fn run(seed: u64, batches: Batches) -> (Vec<Alert>, States) {
    let mut random = SmallRng::seed_from_u64(seed ^ 0x7265_7374);
    let mut bench = Bench::new();
    let (mut partition, mut alerts) = (bench.fresh(), Vec::new());
    let stream = stream(seed);
    let blocks: Vec<&[(i64, usize)]> = stream.chunks(batches.block).collect();
    for unit in blocks.chunks(batches.unit) {
        unit.iter().for_each(|block| bench.block(block));
        bench.apply(&mut partition);
        alerts.extend(partition.take_outputs().alerts.into_iter().map(|alert| alert.said));
        partition.take_counters();
        let now = partition.now();
        bench.write(&mut partition, &[Part::Changed, Part::Checkpoints], now);
        if batches.restart_in > 0 && random.random_ratio(1, batches.restart_in) {
            partition = bench.restore().unwrap();
        }
    }
    bench.tick(NOON + 24 * 3_600 * SECOND);
    bench.apply(&mut partition);
    alerts.extend(partition.take_outputs().alerts.into_iter().map(|alert| alert.said));
    let states = states(&partition).into_iter().map(|(group, (core, _))| (group, core));
    (alerts, states.collect())
}

#[test]
fn blocks_units_and_restarts_change_nothing() {
    let plain = Batches {
        block: 64,
        unit: 4,
        restart_in: 0,
    };
    let seed = 1;
    let (alerts, state) = run(seed, plain);
    assert!(alerts.len() > 4, "seed {seed} rings {} times only", alerts.len());
    for (block, unit, restart_in) in [(1, 100, 0), (512, 1, 0), (13, 3, 4)] {
        let batches = Batches {
            block,
            unit,
            restart_in,
        };
        let again = run(seed, batches);
        assert_eq!(again.0, alerts, "seed {seed}, {batches:?}");
        assert_eq!(again.1, state, "seed {seed}, {batches:?}");
    }
}
