//! Whether the copies of a window come on several platforms at once.

use std::collections::BTreeMap;

use tocsin_model::{PlatformId, Timestamp};

use crate::record::{HotRecord, Resolution};

/// Of ordinary bursts, the share of copies beyond the main platform is a beta variable with these parameters, fitted to the election posts:
/// of the addresses that reach ten in an hour four in five do so on one platform.
const ORDINARY: (f64, f64) = (0.12, 4.0);
/// Of a spread over several platforms it is large more often than small.
const SPREADING: (f64, f64) = (1.5, 1.5);
/// How often something that spreads does so on several platforms.
const SPREADING_SHARE: f64 = 0.6;
/// More copies than this say nothing further.
const COPIES_MAX: u64 = 60;
const PLATFORMS_MAX: usize = 8;

/// Evidence from the platforms of the copies since `from`, in nats and at most so much. Platforms are compared from the largest on: each against all smaller
/// ones together, as if a stick were broken again and again.
pub(super) fn synchrony(records: &[&HotRecord], resolution: Resolution, from: Timestamp, evidence_max: f64) -> f64 {
    let mut counts: BTreeMap<PlatformId, u64> = BTreeMap::new();
    for (platform, kind, count) in records
        .iter()
        .flat_map(|record| record.counts(resolution, from, Timestamp(i64::MAX)))
    {
        if kind.is_spread() && count > 0 {
            *counts.entry(platform).or_default() += count;
        }
    }
    let mut counts: Vec<u64> = counts.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    of_counts(&counts).clamp(-evidence_max, evidence_max)
}

/// Of counts per platform, the largest first.
fn of_counts(counts: &[u64]) -> f64 {
    // Logarithms of beta-binomial probabilities, without the binomial coefficient, which both sides share.
    let whole = |(a, b)| log_beta(a, b);
    let (spreading, ordinary) = (whole(SPREADING), whole(ORDINARY));
    let mut rest: u64 = counts.iter().sum();
    let mut sum = 0.0;
    for count in counts.iter().take(PLATFORMS_MAX) {
        // What many copies say is said by their shares.
        let scale = (COPIES_MAX as f64 / rest as f64).min(1.0);
        let (all, beyond) = (
            libm::round(rest as f64 * scale),
            libm::round((rest - count) as f64 * scale),
        );
        let log_likelihood = |(a, b), whole| log_beta(a + beyond, b + all - beyond) - whole;
        let ratio = libm::exp(log_likelihood(SPREADING, spreading) - log_likelihood(ORDINARY, ordinary));
        sum += libm::log(1.0 - SPREADING_SHARE + SPREADING_SHARE * ratio);
        rest -= count;
        if rest == 0 {
            break;
        }
    }
    sum
}

fn log_beta(a: f64, b: f64) -> f64 {
    libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_platforms_speak_for_a_spread_and_one_says_little() {
        let one = of_counts(&[10]);
        assert!((-0.95..0.0).contains(&one), "{one}");
        assert!(of_counts(&[9, 1]).abs() < 1.0, "{}", of_counts(&[9, 1]));
        let two = of_counts(&[6, 4]);
        let four = of_counts(&[4, 3, 2, 1]);
        assert!(two > 0.8 && four > two + 1.0, "{two} {four}");
        assert!(of_counts(&[4_000_000, 3_000_000, 2_000_000]).is_finite());
        assert_eq!(of_counts(&[]), 0.0);
    }
}
