//! When a delivery is tried again: after five seconds, then three times as long each time, at most six hours, for about a day in all.

use sha2::{Digest as _, Sha256};
use tocsin_model::Milliseconds;

/// How often a delivery is tried before it is given up.
pub(crate) const ATTEMPTS_MAX: u32 = 12;
/// The longest wait that an endpoint may ask for (`Retry-After`).
pub(crate) const RETRY_AFTER_MAX: Milliseconds = Milliseconds::from_hours(24);

const FIRST: Milliseconds = Milliseconds::from_seconds(5);
const LAST: Milliseconds = Milliseconds::from_hours(6);
/// Each wait lies within a quarter of its length around it, so that what failed together does not come back together.
const JITTER_PART: i64 = 4;

/// How long to wait after a try that failed; `None`: it was the last. The same delivery and attempt give the same wait.
pub(crate) fn wait_after(attempt: u32, delivery: &str, retry_after: Option<Milliseconds>) -> Option<Milliseconds> {
    if attempt >= ATTEMPTS_MAX {
        return None;
    }
    let times = 3_i64.saturating_pow(attempt.saturating_sub(1));
    let wait = FIRST.0.saturating_mul(times).min(LAST.0);
    let spread = wait / JITTER_PART;
    let digest = Sha256::digest(format!("tocsin delivery wait\0{delivery}\0{attempt}"));
    let drawn = u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"));
    let jitter = (drawn % (2 * spread as u64 + 1)) as i64 - spread;
    let asked = retry_after.map_or(0, |asked| asked.0.min(RETRY_AFTER_MAX.0));
    Some(Milliseconds((wait + jitter).max(asked)))
}

#[cfg(test)]
mod tests {
    //! Goal: waits grow to a limit, differ between deliveries, end, and are never shorter than asked for.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<i64> = (1..ATTEMPTS_MAX)
            .map(|attempt| wait_after(attempt, "a", None).unwrap().0)
            .collect();
        assert!((3_750..=6_250).contains(&waits[0]), "{waits:?}");
        for (index, wait) in waits.iter().enumerate() {
            let middle = (5_000 * 3_i64.pow(index as u32)).min(6 * 3_600_000);
            assert!((middle * 3 / 4..=middle * 5 / 4).contains(wait), "{index}: {waits:?}");
        }
        let hours = waits.iter().sum::<i64>() as f64 / 3_600_000.0;
        assert!((15.0..30.0).contains(&hours), "{hours} h in all");
        for attempt in [ATTEMPTS_MAX, u32::MAX] {
            assert_eq!(wait_after(attempt, "a", Some(Milliseconds(1))), None);
        }
    }

    #[test]
    fn waits_differ_between_deliveries_and_are_the_same_for_one() {
        assert_eq!(wait_after(3, "a", None), wait_after(3, "a", None));
        let mut waits: Vec<_> = (0..50)
            .map(|number| wait_after(3, &number.to_string(), None).unwrap())
            .collect();
        waits.sort_unstable();
        waits.dedup();
        assert!(waits.len() > 45, "{waits:?}");
    }

    #[test]
    fn an_endpoint_may_ask_for_a_longer_wait() {
        let asked = Milliseconds::from_minutes(10);
        assert_eq!(wait_after(1, "a", Some(asked)), Some(asked));
        assert!(wait_after(8, "a", Some(Milliseconds(1))).unwrap() > Milliseconds(1));
        let far = Some(Milliseconds(i64::MAX));
        assert_eq!(wait_after(1, "a", far), Some(RETRY_AFTER_MAX));
    }
}
