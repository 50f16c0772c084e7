//! Whether the copies of a window come on several platforms at once.

use std::cmp::Reverse;

use tocsin_model::PlatformId;

use super::beta::{BetaPrior, log_ratio};

/// Of ordinary bursts, the share of copies beyond the main platform is a beta variable with these parameters, fitted to the election posts:
/// of the addresses that reach ten in an hour four in five do so on one platform.
const ORDINARY: BetaPrior = BetaPrior(0.12, 4.0);
/// Of a spread over several platforms it is large more often than small.
const SPREADING: BetaPrior = BetaPrior(1.5, 1.5);
/// How often something that spreads does so on several platforms.
const SPREADING_SHARE: f64 = 0.6;
const PLATFORMS_MAX: usize = 8;

/// Evidence from the counts of a window per platform, in any order, in nats and at most so much. Platforms are compared from the largest on:
/// each against all smaller ones together, as if a stick were broken again and again. Leaves them in that order.
pub(super) fn synchrony(counts: &mut [(PlatformId, u64)], evidence_max: f64) -> f64 {
    counts.sort_unstable_by_key(|entry| Reverse(entry.1));
    let mut rest = counts.iter().fold(0u64, |sum, (_, count)| sum.saturating_add(*count));
    let mut sum = 0.0;
    let largest = counts.iter().map(|(_, count)| *count);
    for count in largest.take_while(|count| *count > 0).take(PLATFORMS_MAX) {
        rest = rest.saturating_sub(count);
        sum += log_ratio(rest, count, SPREADING, ORDINARY, SPREADING_SHARE);
    }
    sum.clamp(-evidence_max, evidence_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_platforms_speak_for_a_spread_and_one_says_little() {
        let of = |counts: &[u64]| {
            let mut counts: Vec<_> = (0..).map(PlatformId).zip(counts.iter().copied()).collect();
            synchrony(&mut counts, 16.0)
        };
        let one = of(&[10]);
        assert!((-0.95..0.0).contains(&one), "{one}");
        assert!(of(&[1, 9]).abs() < 1.0, "{}", of(&[1, 9]));
        let two = of(&[6, 4]);
        let four = of(&[4, 1, 2, 3]);
        assert!(two > 0.8 && four > two + 1.0, "{two} {four}");
        assert!(of(&[4_000_000, 3_000_000, 2_000_000]).is_finite());
        assert_eq!(of(&[]), 0.0);
    }
}
