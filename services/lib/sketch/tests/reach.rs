//! Goal: `Reach` counts accounts exactly to 64, then within its stated error, as a set that can be united in any order.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher};

use datasketches::hll::{HllSketch, HllType};
use hyperloglogplus::{HyperLogLog, HyperLogLogPlus};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tocsin_model::AccountToken;
use tocsin_sketch::Reach;
use tocsin_sketch::codec::{Decoder, Encoder};

fn reach(precision: u8, tokens: impl IntoIterator<Item = u64>) -> Reach {
    let mut reach = Reach::new(precision);
    for token in tokens {
        reach.insert(AccountToken(token));
    }
    reach
}

fn bytes(reach: &Reach) -> Vec<u8> {
    let mut out = Encoder::new();
    reach.encode(&mut out);
    out.finish()
}

fn union(a: &Reach, b: &Reach) -> Reach {
    let mut union = a.clone();
    union.merge(b);
    union
}

/// Sets of few, some and many tokens, overlapping because they come from a small range.
fn tokens() -> impl Strategy<Value = BTreeSet<u64>> {
    let token = (0u64..400).prop_map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    prop_oneof![
        prop::collection::btree_set(token.clone(), 0..20),
        prop::collection::btree_set(token.clone(), 55..75),
        prop::collection::btree_set(token, 100..250),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_set_whatever_the_order(set in tokens(), repeats in prop::collection::vec(any::<prop::sample::Index>(), 0..50)) {
        let ordered = reach(10, set.iter().copied());
        let mut shuffled: Vec<u64> = set.iter().rev().copied().collect();
        if !shuffled.is_empty() {
            let again: Vec<u64> = repeats.iter().map(|index| *index.get(&shuffled)).collect();
            shuffled.extend(again);
        }
        let other = reach(10, shuffled);
        prop_assert_eq!(&ordered, &other);
        prop_assert_eq!(bytes(&ordered), bytes(&other));
        prop_assert_eq!(ordered.is_exact(), set.len() <= Reach::EXACT_MAX);
        if ordered.is_exact() {
            let estimate = ordered.estimate();
            prop_assert_eq!((estimate.low, estimate.estimate, estimate.high), (set.len() as f64, set.len() as f64, set.len() as f64));
        }
        let encoded = bytes(&ordered);
        let mut input = Decoder::new(&encoded);
        prop_assert_eq!(Reach::decode(&mut input).unwrap(), ordered);
        prop_assert!(input.finish().is_ok());
    }

    #[test]
    fn merging_is_the_union(a in tokens(), b in tokens(), c in tokens(), precisions in prop::array::uniform3(8u8..=12)) {
        let [x, y, z] = precisions;
        let lowest = x.min(y).min(z);
        let (ra, rb, rc) = (reach(x, a.clone()), reach(y, b.clone()), reach(z, c.clone()));
        let all = reach(lowest, a.iter().chain(&b).chain(&c).copied());
        prop_assert_eq!(&union(&union(&ra, &rb), &rc), &all);
        prop_assert_eq!(&union(&ra, &union(&rb, &rc)), &all);
        prop_assert_eq!(union(&ra, &rb), union(&rb, &ra));
        prop_assert_eq!(&union(&ra, &ra), &ra);
    }

    #[test]
    fn hostile_bytes_are_refused_or_canonical(set in tokens(), place in any::<prop::sample::Index>(), flip in any::<u8>(), noise in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut changed = bytes(&reach(8, set));
        let place = place.index(changed.len());
        changed[place] ^= flip;
        for bytes_in in [changed.clone(), changed[..place].to_vec(), noise] {
            let mut input = Decoder::new(&bytes_in);
            if let Ok(decoded) = Reach::decode(&mut input) {
                prop_assert_eq!(bytes(&decoded), bytes_in[..bytes_in.len() - input.remaining()].to_vec());
                prop_assert!(decoded.estimate().estimate.is_finite());
            }
        }
    }
}

/// Relative errors at each number of tokens, over runs with one seed.
struct Simulation {
    rmse: f64,
    covered: f64,
}

fn simulate(precision: u8, tokens: usize, runs: usize, parts: usize) -> Simulation {
    let mut random = SmallRng::seed_from_u64(u64::from(precision) << 32 | tokens as u64);
    let (mut squares, mut covered) = (0.0, 0usize);
    for _ in 0..runs {
        let mut merged = Reach::new(precision);
        for part in 0..parts {
            let share = tokens * (part + 1) / parts - tokens * part / parts;
            merged.merge(&reach(precision, (0..share).map(|_| random.random::<u64>())));
        }
        let estimate = merged.estimate();
        let truth = tokens as f64;
        squares += ((estimate.estimate - truth) / truth).powi(2);
        covered += usize::from(estimate.low <= truth && truth <= estimate.high);
    }
    Simulation {
        rmse: (squares / runs as f64).sqrt(),
        covered: covered as f64 / runs as f64,
    }
}

#[test]
fn the_error_is_the_stated_one_and_the_interval_covers() {
    let precision = 9u8;
    let registers = f64::from(1u32 << precision);
    let mut pooled = Vec::new();
    for tokens in [65, 80, 128, 256, 512, 1_024, 1_536, 2_048, 4_096, 10_000] {
        let found = simulate(precision, tokens, 400, 1);
        // A root mean square over 400 runs has itself an error of 3.5 %.
        assert!(
            found.rmse * registers.sqrt() <= 1.04 * 1.11,
            "{tokens}: {}",
            found.rmse * registers.sqrt()
        );
        assert!((0.91..=0.985).contains(&found.covered), "{tokens}: {}", found.covered);
        pooled.push(found.covered);
    }
    let pooled = pooled.iter().sum::<f64>() / pooled.len() as f64;
    assert!((0.94..=0.965).contains(&pooled), "{pooled}");
}

#[test]
fn merged_parts_err_as_the_whole() {
    let found = simulate(12, 20_000, 40, 5);
    assert!(found.rmse <= 1.04 / 64.0 * 1.3, "{}", found.rmse);
}

#[test]
fn crafted_registers_stay_finite() {
    let full = reach(8, (0..256u64).flat_map(|register| [register << 56, register << 56 | 1]));
    let estimate = full.estimate();
    assert!(estimate.estimate.is_finite() && estimate.high.is_finite() && estimate.low <= estimate.estimate);
}

/// Hands a token on as it is: ours are hashes already.
#[derive(Clone, Default)]
struct Unchanged(u64);

impl Hasher for Unchanged {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("tokens are written as u64")
    }
    fn write_u64(&mut self, token: u64) {
        self.0 = token;
    }
}

impl BuildHasher for Unchanged {
    type Hasher = Unchanged;
    fn build_hasher(&self) -> Unchanged {
        Unchanged(0)
    }
}

#[test]
fn beside_hyperloglogplus_and_datasketches() {
    let precision = 12;
    let three_errors = 3.0 * 1.04 / 64.0;
    for tokens in [100usize, 1_000, 10_000, 60_000] {
        let mut random = SmallRng::seed_from_u64(tokens as u64);
        let mut ours = Reach::new(precision);
        let mut plus: HyperLogLogPlus<u64, _> = HyperLogLogPlus::new(precision, Unchanged(0)).unwrap();
        let mut apache = HllSketch::new(precision, HllType::Hll8);
        for _ in 0..tokens {
            let token: u64 = random.random();
            ours.insert(AccountToken(token));
            plus.insert(&token);
            apache.update(token);
        }
        let ours = ours.estimate().estimate;
        for (name, theirs) in [("hyperloglogplus", plus.count()), ("datasketches", apache.estimate())] {
            let apart = (ours - theirs).abs() / tokens as f64;
            assert!(apart <= 1.5 * three_errors, "{name} at {tokens}: {theirs}, ours {ours}");
        }
    }
}
