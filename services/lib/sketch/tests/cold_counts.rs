//! Goal: `ColdCounts` never under-counts, whatever order events come in, and restoring it changes nothing.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tocsin_model::{ContentId, Milliseconds, Timestamp};
use tocsin_sketch::codec::{Decoder, Encoder};
use tocsin_sketch::{ColdConfig, ColdCounts};

const LATENESS: Milliseconds = Milliseconds::from_hours(2);
const START: Timestamp = Timestamp(1_552_600_800_000);

fn config(width: u32) -> ColdConfig {
    ColdConfig {
        width,
        seed: 0x5eed,
        lateness: LATENESS,
    }
}

fn content(number: u64) -> ContentId {
    ContentId(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

fn minutes(count: i64) -> Milliseconds {
    Milliseconds::from_minutes(count)
}

fn bytes(counts: &ColdCounts) -> Vec<u8> {
    let mut out = Encoder::new();
    counts.encode(&mut out);
    out.finish()
}

fn restored(counts: &ColdCounts, config: ColdConfig) -> ColdCounts {
    let bytes = bytes(counts);
    let mut input = Decoder::new(&bytes);
    let restored = ColdCounts::decode(config, &mut input).unwrap();
    input.finish().unwrap();
    restored
}

/// The exact answer: every event ever counted.
#[derive(Default)]
struct Exact(Vec<(u64, Timestamp)>);

impl Exact {
    fn count(&self, number: u64, from: Timestamp, to: Timestamp) -> u64 {
        self.0
            .iter()
            .filter(|(n, at)| *n == number && from <= *at && *at < to)
            .count() as u64
    }
}

#[derive(Clone, Debug)]
enum Act {
    /// A content spreads this many milliseconds before now (after, if negative).
    Record {
        number: u64,
        delay_ms: i64,
        times: u32,
    },
    Pass {
        ms: i64,
    },
    Restore,
    Ask {
        number: u64,
        from_ago_ms: i64,
        length_ms: i64,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let hour = 3_600_000i64;
    prop_oneof![
        12 => (0u64..40, prop_oneof![Just(0i64), 0..600_000i64, 0..2 * hour, -300_000..0i64], prop_oneof![9 => Just(1u32), 1 => 1u32..400])
            .prop_map(|(number, delay_ms, times)| Act::Record { number, delay_ms, times }),
        4 => prop_oneof![0..120_000i64, 0..2 * hour, 0..30 * hour].prop_map(|ms| Act::Pass { ms }),
        1 => Just(Act::Restore),
        4 => (0u64..40, prop_oneof![0..2 * hour, 0..27 * hour], prop_oneof![0..2 * hour, 0..25 * hour])
            .prop_map(|(number, from_ago_ms, length_ms)| Act::Ask { number, from_ago_ms, length_ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(192) })]

    #[test]
    fn never_under_counts(acts in prop::collection::vec(act(), 1..160), narrow in any::<bool>()) {
        // 16 cells a row make sketches of the panes, 256 leave lists.
        let config = config(if narrow { 16 } else { 256 });
        let mut counts = ColdCounts::new(config);
        let mut twin = counts.clone();
        let mut exact = Exact::default();
        let mut now = START;
        for act in acts {
            match act {
                Act::Record { number, delay_ms, times } => {
                    let at = now - Milliseconds(delay_ms);
                    for _ in 0..times {
                        exact.0.push((number, at));
                        let bound = counts.record(content(number), at, now);
                        prop_assert_eq!(twin.record(content(number), at, now), bound);
                        let later = now + minutes(15);
                        prop_assert!(u64::from(bound.high) >= exact.count(number, now - minutes(60), later));
                        // What is said to be its own is: in the quarters that the hour touches, and one first sighting.
                        let touched = exact.count(number, now - minutes(75), later);
                        prop_assert!(bound.own <= bound.high && u64::from(bound.own) <= touched + 1);
                    }
                }
                Act::Pass { ms } => {
                    now = now + Milliseconds(ms);
                    counts.advance(now);
                }
                Act::Restore => counts = restored(&counts, config),
                Act::Ask { number, from_ago_ms, length_ms } => {
                    twin.advance(now);
                    counts.advance(now);
                    let from = now - Milliseconds(from_ago_ms);
                    let to = from + Milliseconds(length_ms);
                    let answer = counts.count(content(number), from, to);
                    prop_assert_eq!(twin.count(content(number), from, to), answer);
                    let truth = exact.count(number, answer.covered_from, answer.covered_to);
                    prop_assert!(answer.count.contains(truth), "{} not in {:?}", truth, answer);
                    prop_assert!(answer.covered_to >= to);
                    if from >= now - Milliseconds::from_hours(26) {
                        prop_assert!(answer.covered_from <= from);
                    }
                    prop_assert!(from - answer.covered_from < Milliseconds::from_hours(1));
                    prop_assert!(answer.expected_error >= 0.0 && (0.0..=1.0).contains(&answer.confidence));
                }
            }
        }
        twin.advance(now);
        counts.advance(now);
        prop_assert_eq!(bytes(&counts), bytes(&twin));
        prop_assert_eq!(counts.dropped_late(), 0);
    }

    #[test]
    fn hostile_bytes_are_refused_or_canonical(mut state in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..4000, flip in any::<u8>()) {
        let config = config(16);
        let mut counts = ColdCounts::new(config);
        for number in 0..60u64 {
            counts.record(content(number % 45), START, START + Milliseconds(number as i64 * 1_000));
        }
        let valid = bytes(&counts);
        let mut changed = valid.clone();
        let place = cut % valid.len();
        changed[place] ^= flip;
        state.splice(0..0, valid[..place].iter().copied());
        for bytes_in in [changed, state, valid[..place].to_vec()] {
            let mut input = Decoder::new(&bytes_in);
            if let Ok(decoded) = ColdCounts::decode(config, &mut input) {
                let read = bytes_in.len() - input.remaining();
                prop_assert_eq!(bytes(&decoded), bytes_in[..read].to_vec());
            }
        }
    }
}

#[test]
fn however_much_is_counted_the_memory_stays_within_what_is_stated() {
    for width in [16, 64] {
        let mut counts = ColdCounts::new(config(width));
        let mut most = 0;
        // Thirty hours of contents of which each comes twice, the second time up to the lateness before now.
        for number in 0..400_000_u64 {
            let now = START + Milliseconds(number as i64 * 270);
            counts.record(content(number), now, now);
            counts.record(
                content(number),
                now - Milliseconds((number * 7_919 % 7_200_000) as i64),
                now,
            );
            if number % 1_000 == 0 {
                most = most.max(counts.memory_bytes());
            }
        }
        let stated = config(width).memory_bytes_max();
        assert!(most <= stated && 4 * most > stated, "{most} of {stated}");
    }
}
