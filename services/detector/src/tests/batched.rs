//! Goal: the same sightings ring the same and leave the same state, in whichever blocks intake packed them, whatever a unit commits, and wherever
//! a restart falls between.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tocsin_model::{Alert, Class, GroupId};

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

/// Of each group: its core, and its cold counts by class.
type States = BTreeMap<GroupId, (Vec<u8>, BTreeMap<Class, Vec<u8>>)>;

/// What intake puts on the log.
#[derive(Clone, Copy, Debug)]
enum Item {
    /// A share, at a time and of a content.
    Share(i64, usize),
    /// A tick that tells this time.
    Tick(i64),
}

/// Shares of a few contents, of which one after the other bursts, and a tick after every fiftieth.
fn stream(seed: u64) -> Vec<Item> {
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
    let items = (0..EVENTS).flat_map(|place| {
        let (at, content) = share(place);
        let tick = (place % 50 == 49).then_some(Item::Tick(at));
        std::iter::once(Item::Share(at, content)).chain(tick)
    });
    items.collect()
}

/// Blocks of so many shares at most: a tick ends one.
fn records(stream: &[Item], block: usize) -> Vec<Vec<Item>> {
    let mut records: Vec<Vec<Item>> = Vec::new();
    for item in stream {
        match (item, records.last_mut()) {
            (Item::Share(..), Some(open)) if open.len() < block && matches!(open[0], Item::Share(..)) => {
                open.push(*item)
            }
            _ => records.push(vec![*item]),
        }
    }
    records
}

fn run(seed: u64, batches: Batches) -> (Vec<Alert>, States) {
    let mut random = SmallRng::seed_from_u64(seed ^ 0x7265_7374);
    let mut bench = Bench::new();
    let (mut partition, mut alerts) = (bench.fresh(), Vec::new());
    let stream = stream(seed);
    for (number, unit) in records(&stream, batches.block).chunks(batches.unit).enumerate() {
        for record in unit {
            let shares = record.iter().filter_map(|item| match item {
                Item::Share(at, content) => Some((*at, *content)),
                Item::Tick(_) => None,
            });
            let shares: Vec<(i64, usize)> = shares.collect();
            match record[0] {
                Item::Tick(at) => bench.tick(at),
                Item::Share(..) => bench.block(&shares),
            }
        }
        bench.apply(&mut partition);
        alerts.extend(partition.take_outputs().alerts.into_iter().map(|alert| alert.said));
        partition.take_counters();
        let now = partition.now();
        // A restore begins at a checkpoint that lies some units back, and applies what came since.
        let parts: &[Part] = if number % 3 == 0 {
            &[Part::Changed, Part::Checkpoints]
        } else {
            &[Part::Changed]
        };
        bench.write(&mut partition, parts, now);
        if batches.restart_in > 0 && random.random_ratio(1, batches.restart_in) {
            partition = bench.restore().unwrap();
        }
    }
    bench.tick(NOON + 24 * 3_600 * SECOND);
    bench.apply(&mut partition);
    alerts.extend(partition.take_outputs().alerts.into_iter().map(|alert| alert.said));
    (alerts, states(&partition))
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
