//! From which page score on an episode interrupts a person, so that as many do as the operator has a budget for.

mod tail;

use self::tail::Tail;
use crate::paging::PagePolicy;

/// What a threshold is until enough episodes were seen, and what it leans on while they are few.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// The threshold for [`Prior::pages_per_day`].
    pub page_threshold: f64,
    /// The budget that threshold was made for.
    pub pages_per_day: f64,
    /// The power of the budget's ratio with which the threshold falls: the tail of the scores is taken for a power law.
    pub scale: f64,
}

/// What was seen of the episodes of some days.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The highest page score of every episode, in any order.
    pub peaks: &'a [f64],
    /// Over so many days.
    pub days: f64,
}

/// The prior weighs as much as an observation of this many episodes.
const PRIOR_EPISODES: f64 = 10.0;
/// The tail is what lies above the highest this many peaks, or twice as many as the budget allows if that is more.
const TAIL_EPISODES: f64 = 50.0;
/// A shorter observation is taken for this long: a rate of the first minutes says nothing.
const DAYS_MIN: f64 = 1.0 / 24.0;
/// Lower scores are taken for this one: whether there is a thousandth of an exposure or none makes no difference.
const SCORE_MIN: f64 = 1e-3;

impl Prior {
    /// What this version ships with. Half as many pages a day take twice the score.
    pub const SHIPPED: Prior = Prior {
        page_threshold: PagePolicy::SHIPPED.threshold,
        pages_per_day: PagePolicy::SHIPPED.pages_per_day,
        scale: 1.0,
    };

    /// The threshold for another budget.
    pub fn threshold(&self, pages_per_day: f64) -> f64 {
        self.page_threshold * libm::pow(self.pages_per_day / pages_per_day, self.scale)
    }
}

/// The page threshold at which `pages_per_day` pages are to be expected.
///
/// Peaks over threshold (Coles 2001, *An Introduction to Statistical Modeling of Extreme Values*, section 4.3; used so for alarms by Siffer
/// et al. 2017, "Anomaly Detection in Streams with Extreme Value Theory"): above a high score u that n peaks a day pass, the excesses follow
/// a generalised Pareto law, and the score that only `pages_per_day` pass is u + scale / shape ((n / pages_per_day)^shape - 1). A score is a
/// product, with a tail like a power law or heavier, so all this is done with logarithms. Where the budget allows more pages than there were
/// episodes, it is the lowest peak. The result is the mean of that and of the prior's threshold, weighed by the number of episodes (normal
/// shrinkage: the variance of the one falls as 1 / n, that of the other stays).
///
/// Peaks that are not finite are passed over. `pages_per_day` must be positive.
pub fn page_threshold(observed: &Observed<'_>, prior: &Prior, pages_per_day: f64) -> f64 {
    let finite = observed.peaks.iter().filter(|peak| peak.is_finite());
    let mut peaks: Vec<f64> = finite.map(|peak| libm::log(peak.max(SCORE_MIN))).collect();
    peaks.sort_unstable_by(f64::total_cmp);
    let prior = prior.threshold(pages_per_day);
    let Some(lowest) = peaks.first().copied() else {
        return prior;
    };
    let days = observed.days.max(DAYS_MIN);
    let pages = pages_per_day * days;
    let episodes = peaks.len() as f64;
    let seen = if pages >= episodes {
        lowest
    } else {
        let exceeding = libm::ceil((2.0 * pages).max(TAIL_EPISODES)).min(episodes - 1.0);
        let from = peaks.len() - exceeding as usize;
        if from == peaks.len() || pages >= exceeding {
            peaks[peaks.len() - 1 - (pages as usize).min(peaks.len() - 1)]
        } else {
            Tail::above(peaks[from - 1], &peaks[from..]).passed_by(pages / exceeding)
        }
    };
    let weight = episodes / (episodes + PRIOR_EPISODES);
    libm::exp(weight * seen + (1.0 - weight) * libm::log(prior))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    const PRIOR: Prior = Prior::SHIPPED;

    /// The peaks of some days with 200 episodes each: a power law from 0.1 on, so that the logarithms have an exponential tail of mean `scale`.
    fn peaks(seed: u64, days: f64, scale: f64) -> Vec<f64> {
        let mut random = SmallRng::seed_from_u64(seed);
        let count = (200.0 * days) as usize;
        (0..count)
            .map(|_| 0.1 * libm::pow(1.0 - random.random::<f64>(), -scale))
            .collect()
    }

    #[test]
    fn a_day_or_more_of_episodes_meets_the_budget() {
        for seed in 0..20 {
            for (days, pages_per_day, scale) in [(1.0, 15.0, 1.0), (7.0, 15.0, 2.5), (7.0, 1.0, 1.0), (7.0, 60.0, 0.4)]
            {
                let seen = peaks(seed, days, scale);
                let threshold = page_threshold(&Observed { peaks: &seen, days }, &PRIOR, pages_per_day);
                let expected = 200.0 * libm::pow(threshold / 0.1, -1.0 / scale);
                let ratio = expected / pages_per_day;
                assert!(
                    (0.4..2.5).contains(&ratio),
                    "seed {seed}: {expected} pages for {pages_per_day} over {days} days"
                );
                if days > 1.0 && pages_per_day >= 15.0 {
                    assert!(
                        (0.7..1.45).contains(&ratio),
                        "seed {seed}: {expected} for {pages_per_day}"
                    );
                }
            }
        }
    }

    #[test]
    fn without_episodes_the_prior_holds_and_a_few_move_it_a_little() {
        let at = |peaks: &[f64], pages_per_day| page_threshold(&Observed { peaks, days: 1.0 }, &PRIOR, pages_per_day);
        let shipped = PRIOR.page_threshold;
        assert_eq!(at(&[], 15.0), shipped);
        assert_eq!([at(&[], 30.0), at(&[], 3.0)], [shipped / 2.0, shipped * 5.0]);
        let few = at(&[10.0, 20.0], 15.0) / shipped;
        assert!((0.2..0.6).contains(&few), "{few}");
        let alike = at(&[10.0; 40], 15.0);
        assert!(
            (10.0..50.0).contains(&alike),
            "many that are all alike move it far: {alike}"
        );
        assert_eq!(
            at(&[f64::NAN, f64::INFINITY], 15.0),
            shipped,
            "what is no number is no episode"
        );
    }

    #[test]
    fn a_budget_beyond_all_episodes_pages_all_of_them() {
        let seen: Vec<f64> = (5..1_000).map(f64::from).collect();
        let days = 10.0;
        let threshold = page_threshold(&Observed { peaks: &seen, days }, &PRIOR, 100.0);
        assert!((5.0..6.0).contains(&threshold), "{threshold}");
    }

    proptest! {
        #[test]
        fn it_is_a_number_whatever_the_peaks(
            peaks in prop::collection::vec(prop_oneof![0.0..50.0, 0.0..1e12, Just(0.0), Just(f64::NAN)], 0..400),
            days in 0.0..30.0,
            pages_per_day in 0.1..1000.0,
        ) {
            let threshold = page_threshold(&Observed { peaks: &peaks, days }, &PRIOR, pages_per_day);
            prop_assert!(threshold.is_finite() && threshold > 0.0);
            let mut turned = peaks.clone();
            turned.reverse();
            let again = page_threshold(&Observed { peaks: &turned, days }, &PRIOR, pages_per_day);
            prop_assert_eq!(threshold.to_bits(), again.to_bits(), "the order of the peaks says nothing");
        }
    }
}
