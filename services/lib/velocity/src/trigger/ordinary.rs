//! What ordinary spread looks like.

use tocsin_model::{GammaLaw, Milliseconds};

/// How far back the bins reach.
pub(super) const DAY_HOURS: f64 = 24.25;
/// How fast the share of contents that ever have so many copies in an hour falls: as the power -2.3 of their number. Fitted, as the
/// exponent of time below, to the 17,300 addresses, images and hashtags of the German election posts.
pub(super) const TAIL_INDEX: f64 = 2.3;
/// Bursts of as many copies are as rare in a longer time as those of so much more copies, by this power of the time.
pub(super) const TIME_POWER: f64 = 1.0 / 8.0;
/// Copies beyond the expected ones that come from nothing every day.
const COPIES_FREE: f64 = 1.0;
/// A spike: so many copies in an hour, and so many times what is expected in one.
const SPIKE_COPIES: f64 = 30.0;
const SPIKE_TIMES: f64 = 10.0;

/// The spread of an ordinary content: bursts have no typical size, so the tail is a power law and not exponential.
///
/// The base rate comes from the day before the window, as far as it was watched, and the gamma prior of the platforms' contents. What counts is the
/// excess of a window over what is expected in it. Bursts of n copies in a time L are as rare as bursts of n (L / l)^(-1/8) copies in a time l: so
/// weakly does the time matter, for what spreads in an hour mostly does so within minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ordinary {
    per_hour: f64,
}

impl Ordinary {
    /// Of a content with so much spread in the day before a window of this length, of which so much was watched.
    pub(super) fn before(prior: GammaLaw, spread: u64, watched: Milliseconds, length: Milliseconds) -> Self {
        let hours = (hours(watched).min(DAY_HOURS) - hours(length)).max(0.0);
        Ordinary {
            per_hour: (prior.copies + spread as f64) / (prior.hours.min(1.0 + hours) + hours),
        }
    }

    /// The same at a time of day that is so many times as busy as that before it.
    pub(super) fn at_times(self, times: f64) -> Self {
        Ordinary {
            per_hour: self.per_hour * times,
        }
    }

    /// The expected spread of a window.
    pub(super) fn expected(self, length: Milliseconds) -> f64 {
        self.per_hour * hours(length)
    }

    /// How rare windows of this length are.
    #[inline]
    pub(super) fn scale(self, length: Milliseconds) -> Scale {
        let expected = self.expected(length);
        let copies = SPIKE_COPIES.max(SPIKE_TIMES * self.per_hour);
        Scale {
            expected,
            spike: (COPIES_FREE + copies - expected) * stretch(length),
        }
    }

    /// The probability that an ordinary content that is as rare as this becomes as rare as a spike: what the tail leaves of it.
    pub(super) fn chance_of_spike(rarity: f64) -> f64 {
        libm::pow(rarity.min(1.0), TAIL_INDEX)
    }

    /// The inverse of [`Ordinary::chance_of_spike`].
    pub(super) fn rarity_at(chance: f64) -> f64 {
        libm::pow(chance, 1.0 / TAIL_INDEX)
    }
}

/// How rare windows of one length are: found once for all that is asked of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    /// The expected spread.
    pub(super) expected: f64,
    /// The rarity of a spike, as that of such a window.
    spike: f64,
}

impl Scale {
    /// How rare a window with so many copies is, as a part of how rare a spike is.
    #[inline]
    pub(super) fn rarity(self, copies: f64) -> f64 {
        (COPIES_FREE + (copies - self.expected).max(0.0)) / self.spike
    }

    /// The copies from which on a window is at least so rare.
    #[inline]
    pub(super) fn copies_at(self, rarity: f64) -> f64 {
        rarity * self.spike - COPIES_FREE + self.expected
    }
}

/// The hours to the power [`TIME_POWER`]: their eighth root.
fn stretch(length: Milliseconds) -> f64 {
    libm::sqrt(libm::sqrt(libm::sqrt(hours(length))))
}

pub(super) fn hours(length: Milliseconds) -> f64 {
    length.0 as f64 / 3_600_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::null::SHIPPED_BASE_RATE;

    const HOUR: Milliseconds = Milliseconds::from_hours(1);
    const DAY: Milliseconds = Milliseconds::from_hours(25);

    fn chance(spread_before: u64, copies: u64, length: Milliseconds) -> f64 {
        Ordinary::chance_of_spike(
            Ordinary::before(SHIPPED_BASE_RATE, spread_before, DAY, length)
                .scale(length)
                .rarity(copies as f64),
        )
    }

    #[test]
    fn the_shares_of_the_election_posts_are_met() {
        // Of 17,300 contents so many reached so many copies by distinct accounts in so many minutes; 3 reached 30 in an hour, 11 reached 20.
        for (minutes, copies, reached) in [
            (1, 5, 93),
            (1, 10, 29),
            (5, 10, 39),
            (15, 7, 141),
            (15, 15, 14),
            (60, 3, 1_358),
            (60, 10, 116),
            (60, 20, 11),
            (180, 10, 164),
        ] {
            let (here, there) = (
                chance(0, copies, Milliseconds::from_minutes(minutes)),
                chance(0, 10, HOUR),
            );
            let measured = f64::from(reached) / 116.0;
            let ratio = (there / here) / measured;
            assert!(
                (0.35..2.9).contains(&ratio),
                "{copies} in {minutes} min: {} for {measured}",
                there / here
            );
        }
        assert!((0.04..0.12).contains(&chance(0, 10, HOUR)), "{}", chance(0, 10, HOUR));
    }

    #[test]
    fn what_is_always_busy_needs_ten_times_as_much() {
        let day = 24 * 120;
        assert!(
            chance(day, 15, Milliseconds::from_minutes(5)) < 0.1,
            "half again as much"
        );
        assert!(chance(day, 1_200, HOUR) > 0.8, "ten times as much");
        assert_eq!(chance(0, 40, HOUR), 1.0, "it is one already");
    }

    #[test]
    fn the_copies_at_a_chance_give_that_chance() {
        for spread_before in [0, 10, 5_000] {
            for length in [Milliseconds::from_minutes(1), HOUR, Milliseconds::from_hours(3)] {
                let ordinary = Ordinary::before(SHIPPED_BASE_RATE, spread_before, DAY, length);
                let scale = ordinary.scale(length);
                let copies = scale.copies_at(Ordinary::rarity_at(0.3));
                let back = Ordinary::chance_of_spike(scale.rarity(copies));
                assert!((back - 0.3).abs() < 1e-9, "{spread_before} {length:?}: {back}");
            }
        }
    }

    #[test]
    fn the_busier_a_content_is_the_more_copies_it_takes() {
        for length in [Milliseconds::from_minutes(1), Milliseconds::from_minutes(10), HOUR] {
            let copies = [0, 10, 48, 240, 2_400].map(|spread| {
                Ordinary::before(SHIPPED_BASE_RATE, spread, DAY, length)
                    .scale(length)
                    .copies_at(0.5)
            });
            assert!(copies.is_sorted(), "{length:?}: {copies:?}");
        }
    }

    #[test]
    fn what_was_never_watched_is_no_silence() {
        // Eight copies before the window: over a day that is little, over the two hours that were watched it is four an hour.
        let short = Ordinary::before(SHIPPED_BASE_RATE, 8, Milliseconds::from_hours(3), HOUR);
        let long = Ordinary::before(SHIPPED_BASE_RATE, 8, DAY, HOUR);
        assert!(
            short.expected(HOUR) > 1.5 && long.expected(HOUR) < 0.4,
            "{short:?} {long:?}"
        );
    }
}
