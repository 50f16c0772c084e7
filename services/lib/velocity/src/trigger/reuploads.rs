//! Whether the copies of a window were uploaded anew, or passed on.

use tocsin_model::{BetaLaw, PlatformId, PlatformNull};

use super::beta::{BetaPrior, log_ratio};
use crate::null::{SHIPPED_REUPLOADS, of_platform};

/// Of a content that many hands keep in the world: most copies.
const KEPT_UP: BetaLaw = BetaLaw {
    uploads: 6.0,
    shares: 1.0,
};
/// How often a spike is of such a content; others spread by links and shares.
const KEPT_UP_SHARE: f64 = 0.8;

/// Evidence from how the copies came, in nats and at most so much: `anew` uploads, blocked ones too, and `passed_on` shares, against the law
/// of ordinary contents. Where those are uploaded anew as often as what many hands keep in the world, how copies came says nothing.
pub(super) fn reuploads(anew: u64, passed_on: u64, ordinary: BetaLaw, evidence_max: f64) -> f64 {
    if ordinary.mean() >= KEPT_UP.mean() {
        return 0.0;
    }
    let [kept_up, ordinary] = [KEPT_UP, ordinary].map(|law| BetaPrior(law.uploads, law.shares));
    log_ratio(anew, passed_on, kept_up, ordinary, KEPT_UP_SHARE).clamp(-evidence_max, evidence_max)
}

/// The law of ordinary contents for copies that came so from the platforms: the laws of these, mixed by their copies. Not each platform by
/// itself: a content that is uploaded anew on one is so on the others, so as many platforms are not as many witnesses. And whatever law one
/// of them claims, it weighs no more than its copies.
pub(super) fn ordinary_law(copies: &[(PlatformId, u64)], nulls: &[PlatformNull]) -> BetaLaw {
    let sum = copies.iter().fold(0.0, |sum, (_, count)| sum + *count as f64);
    if nulls.is_empty() || sum == 0.0 {
        return SHIPPED_REUPLOADS;
    }
    let mixed = |part: fn(&BetaLaw) -> f64| {
        let weighed = copies.iter().map(|(platform, count)| {
            let law = of_platform(nulls, *platform).map_or(SHIPPED_REUPLOADS, |null| null.reuploads);
            *count as f64 * part(&law)
        });
        weighed.sum::<f64>() / sum
    };
    BetaLaw::with(mixed(BetaLaw::mean), mixed(BetaLaw::strength))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::null::shipped;

    #[test]
    fn uploads_speak_for_many_hands_and_shares_little_against_them() {
        let of = |anew, passed_on| reuploads(anew, passed_on, SHIPPED_REUPLOADS, 5.0);
        assert!(of(9, 1) > 2.0, "{}", of(9, 1));
        assert!(of(10, 0) > of(9, 1) && of(9, 1) > of(5, 5), "{}", of(5, 5));
        assert!((-1.7..-0.3).contains(&of(5, 5)), "{}", of(5, 5));
        assert!((-1.7..-1.0).contains(&of(0, 10)), "{}", of(0, 10));
        assert_eq!(of(0, 0), 0.0);
        assert_eq!(of(4_000_000_000, 0), 5.0);
        assert!(of(0, u64::MAX).is_finite());
    }

    #[test]
    fn the_more_ordinary_uploads_are_the_less_they_say() {
        let of = |mean: f64| reuploads(10, 0, BetaLaw::with(mean, 4.0), 5.0);
        let said = [0.05, 0.25, 0.5, 0.7, 0.85].map(of);
        assert!(said.is_sorted_by(|more, less| more > less), "{said:?}");
        assert!(said[4].abs() < 0.5, "{said:?}");
        assert_eq!(of(0.98), 0.0);
        assert!(reuploads(0, 10, BetaLaw::with(0.98, 20.0), 5.0).abs() == 0.0);
    }

    #[test]
    fn a_platform_weighs_as_much_as_its_copies() {
        let (uploads_only, other) = (PlatformId(1), PlatformId(2));
        let null = PlatformNull {
            reuploads: BetaLaw::with(0.97, 8.0),
            ..shipped(uploads_only)
        };
        let law = |copies: &[(PlatformId, u64)]| ordinary_law(copies, &[null]);
        assert_eq!(law(&[(other, 10)]).mean(), SHIPPED_REUPLOADS.mean());
        assert!((law(&[(uploads_only, 10)]).mean() - 0.97).abs() < 1e-9);
        let both = law(&[(uploads_only, 10), (other, 10)]);
        assert!(
            (both.mean() - 0.61).abs() < 1e-9 && (both.strength() - 6.0).abs() < 1e-9,
            "{both:?}"
        );
        let little = law(&[(uploads_only, 1), (other, 99)]);
        assert!(little.mean() < 0.26, "{little:?}");
        assert_eq!(law(&[]), SHIPPED_REUPLOADS);
        assert!(law(&[(uploads_only, u64::MAX), (other, u64::MAX)]).mean().is_finite());
    }
}
