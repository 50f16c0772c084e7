//! A reader asks long after the last event, and of bytes rather than of the counts themselves: nothing is under-counted.
#![allow(clippy::unwrap_used)]

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tocsin_model::{ContentId, Milliseconds, Timestamp};
use tocsin_sketch::codec::{Decoder, Encoder};
use tocsin_sketch::{ColdConfig, ColdCounts};

const QUARTER: Milliseconds = Milliseconds::from_minutes(15);

#[test]
fn a_window_that_ends_long_after_the_last_event_holds_what_it_covers() {
    for seed in 0..300 {
        let mut random = SmallRng::seed_from_u64(seed);
        let config = ColdConfig {
            width: 256,
            seed: 5,
            lateness: Milliseconds::from_hours(2),
        };
        let mut cold = ColdCounts::new(config);
        let mut events: Vec<(u128, Timestamp)> = Vec::new();
        let mut now = Timestamp(1_629_100_000_000);
        for _ in 0..random.random_range(1..60) {
            now = now + Milliseconds(random.random_range(0..3_600_000));
            let content = random.random_range(0..12u128) << 64 | 7;
            cold.record(ContentId(content), now, now);
            events.push((content, now));
        }
        let mut out = Encoder::new();
        cold.encode(&mut out);
        let bytes = out.finish();
        let decoded = ColdCounts::decode(config, &mut Decoder::new(&bytes)).unwrap();
        for later_ms in [0, 1, 900_000, 3_600_000, 10 * 3_600_000, 20 * 3_600_000, 23 * 3_600_000] {
            let to = (now + Milliseconds(later_ms)).floor_to(QUARTER) + QUARTER;
            let from = to - Milliseconds::from_hours(24);
            for content in events.iter().map(|event| event.0) {
                let truth = events
                    .iter()
                    .filter(|event| event.0 == content && from <= event.1 && event.1 < to)
                    .count() as u64;
                for (whose, counts) in [("own", &cold), ("decoded", &decoded)] {
                    let high = counts.count(ContentId(content), from, to).count.high;
                    assert!(
                        high >= truth,
                        "seed {seed}, {later_ms} ms later, {whose}: {high} < {truth}"
                    );
                }
            }
        }
    }
}
