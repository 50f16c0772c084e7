use tocsin_model::{Estimate, Milliseconds, Timestamp, TriggerEvidence};

use crate::episode::Rings;
use crate::record::{HotRecord, Resolution};

/// The version of the rule below. Part of every alert's id: a changed rule makes new alerts.
pub const RULE_VERSION: u16 = 1;

/// The score, in nats, from which an episode is raised.
const THRESHOLD: f64 = 10.0;
/// Fewer copies than this are never a spread.
const OBSERVED_MIN: u64 = 8;
/// Fewer accounts than this are a flood by few, never a spread.
const ACCOUNTS_MIN: f64 = 5.0;
/// The gamma prior of the base rate: half an event in six hours.
const PRIOR_EVENTS: f64 = 0.5;
const PRIOR_HOURS: f64 = 6.0;
/// The negative binomial's size: never below this, and so large that the Fano factor of ordinary traffic is at most 5.
const SIZE_MIN: f64 = 0.7;
const FANO: f64 = 5.0;

/// The windows the rule looks at: (length, resolution, bins).
const WINDOWS: [(Milliseconds, Resolution, i64); 4] = [
    (Milliseconds::from_minutes(1), Resolution::Seconds5, 12),
    (Milliseconds::from_minutes(5), Resolution::Seconds5, 60),
    (Milliseconds::from_minutes(15), Resolution::Seconds5, 180),
    (Milliseconds::from_hours(1), Resolution::Minute1, 60),
];

/// What the rule says of a family in a scope.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judgement {
    /// Without the accounts, which only an alert needs.
    pub(crate) evidence: TriggerEvidence,
    pub(crate) rings: Rings,
}

/// Judges the records of one family in one scope.
///
/// Per window the score is the log-likelihood ratio of the observed count against an over-dispersed (negative binomial) null whose mean
/// comes from the 24 hours before and a gamma prior; the best window counts. Only counts since promotion are looked at, so that a
/// count which is merely possible never rings.
pub(crate) fn judge(records: &[&HotRecord], now: Timestamp) -> Judgement {
    let day = total(records, Resolution::Minutes15, 97, now);
    let mut best = TriggerEvidence {
        window: Milliseconds(0),
        observed: 0,
        expected: 0.0,
        score: f64::NEG_INFINITY,
        threshold: THRESHOLD,
        accounts: Estimate {
            estimate: 0.0,
            low: 0.0,
            high: 0.0,
        },
    };
    for (window, resolution, bins) in WINDOWS {
        let observed = total(records, resolution, bins, now);
        let hours = window.0 as f64 / 3_600_000.0;
        let before = day.saturating_sub(observed) as f64;
        let expected = (PRIOR_EVENTS + before) / (PRIOR_HOURS + 24.0) * hours;
        let score = score(observed as f64, expected);
        if score > best.score {
            best = TriggerEvidence {
                window,
                observed,
                expected,
                score,
                ..best
            };
        }
    }
    let stands_out = best.score >= THRESHOLD && best.observed >= OBSERVED_MIN;
    let rings = if stands_out && enough_accounts(records) {
        Rings::Yes
    } else {
        Rings::No
    };
    Judgement { evidence: best, rings }
}

/// Whether the copies come from more than a few accounts. An event without an account counts as one of its own: nothing better is known.
fn enough_accounts(records: &[&HotRecord]) -> bool {
    if records
        .iter()
        .flat_map(|record| record.reach())
        .any(|reach| !reach.accounts.is_exact())
    {
        return true;
    }
    let accounts = crate::family::accounts(records);
    accounts.estimate.estimate + accounts.without_account as f64 >= ACCOUNTS_MIN
}

/// Spread in the last `bins` bins.
pub(crate) fn total(records: &[&HotRecord], resolution: Resolution, bins: i64, now: Timestamp) -> u64 {
    records
        .iter()
        .map(|record| record.recent_spread(resolution, bins, now))
        .sum()
}

/// The generalised log-likelihood ratio of `observed` against a negative binomial of mean `expected`, in nats; 0 unless it is more than
/// expected.
fn score(observed: f64, expected: f64) -> f64 {
    if observed <= expected {
        return 0.0;
    }
    let size = (expected / (FANO - 1.0)).max(SIZE_MIN);
    observed * libm::log(observed / expected) - (observed + size) * libm::log((observed + size) / (expected + size))
}

#[cfg(test)]
mod tests {
    use super::score;

    #[test]
    fn a_burst_out_of_nothing_scores_high_and_ordinary_noise_low() {
        let nothing_before = 0.5 / 30.0 / 12.0;
        assert!(score(8.0, nothing_before) > 10.0);
        assert!(score(15.0, 10.0) < 1.0, "half again as much is ordinary");
        assert!(score(100.0, 10.0) > 10.0, "ten times as much is not");
        assert_eq!(score(0.0, 0.1), 0.0);
        assert_eq!(score(3.0, 3.0), 0.0);
    }
}
