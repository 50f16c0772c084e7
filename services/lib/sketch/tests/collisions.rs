//! Goal: whoever knows of two contents with one fingerprint, because counts showed it or the seed leaked, widens bounds with them and does no more:
//! no count falls below the truth, and under another seed the pair is none.

use std::collections::HashMap;

use tocsin_model::{ContentId, Milliseconds, Timestamp};
use tocsin_sketch::{ColdConfig, ColdCounts};

const START: Timestamp = Timestamp(1_552_600_800_000);
const SEED: u64 = 0x5eed;

fn counts(seed: u64) -> ColdCounts {
    ColdCounts::new(ColdConfig {
        width: 256,
        seed,
        lateness: Milliseconds::from_hours(2),
    })
}

/// The first two contents of a row of them whose fingerprints in panes are equal under the seed: some 80,000 are tried.
fn colliding(seed: u64) -> [ContentId; 2] {
    let mut known: HashMap<u32, u128> = HashMap::new();
    let mut id = 1u128;
    loop {
        id = id
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            .wrapping_add(1);
        let fingerprint = xxhash_rust::xxh3::xxh3_128_with_seed(&id.to_le_bytes(), seed) as u32;
        if let Some(first) = known.insert(fingerprint, id) {
            return [ContentId(first), ContentId(id)];
        }
    }
}

/// One content is sent thousands of times, and now and then comes the other: every bound of the other, and what was too much in the widest.
fn widened(seed: u64, [loud, quiet]: [ContentId; 2]) -> u64 {
    let mut counts = counts(seed);
    let (mut loud_copies, mut quiet_copies) = (0u64, Vec::new());
    let mut widest = 0;
    for second in 0..6 * 3_600 {
        let now = START + Milliseconds::from_seconds(second);
        if second % 7 == 0 {
            counts.record(loud, now, now);
            loud_copies += 1;
        }
        if second % 900 != 450 {
            continue;
        }
        quiet_copies.push(now);
        let hour = now - Milliseconds::from_hours(1);
        let truth = |from: Timestamp| quiet_copies.iter().filter(|at| **at >= from).count() as u64;
        let recorded = counts.record(quiet, now, now);
        assert!(u64::from(recorded.high) >= truth(hour));
        for from in [
            now - Milliseconds::from_minutes(5),
            hour,
            now - Milliseconds::from_hours(24),
        ] {
            let high = counts.count(quiet, from, now + Milliseconds(1)).count.high;
            assert!(high >= truth(from), "{high} of {}", truth(from));
            assert!(
                high <= quiet_copies.len() as u64 + loud_copies,
                "{high}: more than both came to"
            );
            widest = widest.max(high - truth(from));
        }
    }
    widest
}

#[test]
fn a_colliding_pair_widens_bounds_and_never_lowers_one_and_another_seed_parts_it() {
    let pair = colliding(SEED);
    let [loud, quiet] = pair;
    assert!(widened(SEED, pair) > 2_000, "the pair does not collide");
    assert!(widened(SEED, [quiet, loud]) > 2_000, "one way only");
    assert_eq!(widened(SEED + 1, pair), 0, "no pair under another seed");
}
