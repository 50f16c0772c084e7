//! Goal: `RecentTokens` knows every token of the horizon, forgets older ones, and says when the limit made it forget early.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use proptest::prelude::*;
use tocsin_model::{Milliseconds, Timestamp};
use tocsin_sketch::codec::{Decoder, Encoder};
use tocsin_sketch::{Inserted, RecentTokens};

const HORIZON: Milliseconds = Milliseconds::from_minutes(130);

fn bytes(recent: &RecentTokens) -> Vec<u8> {
    let mut out = Encoder::new();
    recent.encode(&mut out);
    out.finish()
}

fn restored(recent: &RecentTokens, limit: usize) -> RecentTokens {
    let bytes = bytes(recent);
    let mut input = Decoder::new(&bytes);
    let restored = RecentTokens::decode(HORIZON, limit, &mut input).unwrap();
    input.finish().unwrap();
    restored
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn knows_the_horizon(steps in prop::collection::vec((0u64..300, prop_oneof![8 => 0i64..60_000, 1 => 0i64..9_000_000], 0u8..40), 1..600)) {
        let limit = 100_000;
        let mut recent = RecentTokens::new(HORIZON, limit);
        let mut first_seen: HashMap<u64, Timestamp> = HashMap::new();
        let mut now = Timestamp(0);
        for (token, passed, restore) in steps {
            now = now + Milliseconds(passed);
            let seen = first_seen.get(&token).map(|at| now - *at);
            match recent.insert(token, now) {
                Inserted::Known => prop_assert!(seen.is_some_and(|age| age.0 <= HORIZON.0 * 14 / 13 + 60_000)),
                Inserted::New => {
                    prop_assert!(seen.is_none_or(|age| age > HORIZON));
                    first_seen.insert(token, now);
                }
            }
            if restore == 0 {
                let before = bytes(&recent);
                recent = restored(&recent, limit);
                prop_assert_eq!(bytes(&recent), before);
            }
        }
        prop_assert_eq!(recent.forgotten_early(), 0);
    }

    #[test]
    fn restoring_changes_nothing_at_the_limit(steps in prop::collection::vec((any::<u64>(), 0i64..400_000), 1..400), at in any::<prop::sample::Index>()) {
        let limit = 40;
        let mut recent = RecentTokens::new(HORIZON, limit);
        let mut twin = recent.clone();
        let mut now = Timestamp(1_000);
        let at = at.index(steps.len());
        for (index, (token, passed)) in steps.into_iter().enumerate() {
            now = now + Milliseconds(passed);
            prop_assert_eq!(recent.insert(token, now), twin.insert(token, now));
            prop_assert!(recent.len() <= limit);
            if index == at {
                recent = restored(&recent, limit);
            }
        }
        prop_assert_eq!(bytes(&recent), bytes(&twin));
        prop_assert_eq!(recent.forgotten_early(), twin.forgotten_early());
    }

    #[test]
    fn hostile_bytes_are_refused_or_canonical(tokens in prop::collection::vec(any::<u64>(), 1..30), place in any::<prop::sample::Index>(), flip in any::<u8>()) {
        let mut recent = RecentTokens::new(HORIZON, 100);
        for (index, token) in tokens.iter().enumerate() {
            recent.insert(*token, Timestamp(index as i64 * 700_000));
        }
        let mut changed = bytes(&recent);
        let place = place.index(changed.len());
        changed[place] ^= flip;
        for bytes_in in [changed.clone(), changed[..place].to_vec()] {
            let mut input = Decoder::new(&bytes_in);
            if let Ok(decoded) = RecentTokens::decode(HORIZON, 100, &mut input) {
                prop_assert_eq!(bytes(&decoded), bytes_in[..bytes_in.len() - input.remaining()].to_vec());
            }
        }
    }
}

#[test]
fn a_flood_pushes_out_the_oldest_slice_and_is_counted() {
    let limit = 1_300;
    let mut recent = RecentTokens::new(HORIZON, limit);
    let token = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for number in 0..10_000 {
        assert_eq!(recent.insert(token(number), Timestamp(0)), Inserted::New);
        assert!(recent.len() <= limit);
    }
    assert_eq!(recent.forgotten_early(), 8_700);
    assert_eq!(recent.insert(token(9_999), Timestamp(1)), Inserted::Known);
    assert_eq!(recent.insert(token(0), Timestamp(1)), Inserted::New);
    recent.advance(Timestamp(0) + HORIZON + Milliseconds(2));
    assert!(recent.is_empty());
}

#[test]
fn however_many_come_the_memory_stays_within_what_is_stated() {
    for limit in [1_024, 5_000, 20_000] {
        let mut recent = RecentTokens::new(HORIZON, limit);
        let mut most = 0;
        for token in 0..100_000_u64 {
            recent.insert(token.wrapping_mul(0x9e37_79b9_7f4a_7c15), Timestamp(token as i64 * 500));
            most = most.max(recent.memory_bytes());
        }
        let stated = RecentTokens::memory_bytes_max(limit);
        assert!(most <= stated && 4 * most > stated, "{most} of {stated}");
    }
}
