//! Whether the copies of a window were uploaded anew, or passed on.

use super::beta::{BetaPrior, log_ratio};

/// Of ordinary contents the part of copies that somebody uploaded anew: an original is uploaded and then passed on. Assumed, until it is
/// calibrated per platform: a quarter in the mean, and more than a half for one content in eight.
const ORDINARY: BetaPrior = BetaPrior(1.0, 3.0);
/// Of a content that many hands keep in the world: most copies.
const KEPT_UP: BetaPrior = BetaPrior(6.0, 1.0);
/// How often a spike is of such a content; others spread by links and shares.
const KEPT_UP_SHARE: f64 = 0.8;

/// Evidence from how the copies came, in nats and at most so much: `anew` uploads, blocked ones too, and `passed_on` shares.
pub(super) fn reuploads(anew: u64, passed_on: u64, evidence_max: f64) -> f64 {
    log_ratio(anew, passed_on, KEPT_UP, ORDINARY, KEPT_UP_SHARE).clamp(-evidence_max, evidence_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_speak_for_many_hands_and_shares_little_against_them() {
        let of = |anew, passed_on| reuploads(anew, passed_on, 5.0);
        assert!(of(9, 1) > 2.0, "{}", of(9, 1));
        assert!(of(10, 0) > of(9, 1) && of(9, 1) > of(5, 5), "{}", of(5, 5));
        assert!((-1.7..-0.3).contains(&of(5, 5)), "{}", of(5, 5));
        assert!((-1.7..-1.0).contains(&of(0, 10)), "{}", of(0, 10));
        assert_eq!(of(0, 0), 0.0);
        assert_eq!(of(4_000_000_000, 0), 5.0);
        assert!(of(0, u64::MAX).is_finite());
    }
}
