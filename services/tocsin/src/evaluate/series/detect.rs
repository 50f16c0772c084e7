use std::collections::VecDeque;

/// From this score on a value is a detection, in every series.
pub(super) const THRESHOLD: f64 = 0.5;

/// What is told of a series, value by value, in memory that does not grow.
///
/// In the spirit of the trigger: at each value all windows that end with it are looked at at once (of so many values as [`SPANS`] says), and the
/// most telling one decides. A window's excess is how far its mean is from the mean of the values before it (four times as many). How rare
/// an excess is follows from the tail of those that the same series had at the same span (peaks over threshold: above the highest tenth a
/// generalised Pareto law with the mean excess observed), so the null is as wide as the series is and needs no model of it: not of its
/// scale, its daily rhythm or how its values depend on each other. An excess that is rarer than [`RARE`] is a detection.
///
/// Counts (values that are all whole and none negative) are taken as twice their square root, which has about unit variance for a Poisson
/// count whatever its mean (Anscombe 1948); their excesses are measured in no smaller unit than that noise, over-dispersed as counts are
/// ([`FANO`]).
///
/// A detection opens an episode, in which nothing more is detected until the series has been ordinary for a while: then what it has become is
/// ordinary.
#[derive(Clone, Debug, Default)]
pub(super) struct Detector {
    /// The first values, until it is known whether they are counts.
    first: Vec<f64>,
    are_counts: Option<bool>,
    /// The latest values, transformed; oldest first.
    latest: VecDeque<f64>,
    spans: [Excesses; SPANS.len()],
    /// So many ordinary values more end the episode; 0 without one.
    ordinary_missing: u32,
}

/// The excesses of one span that a series had of late.
#[derive(Clone, Debug, Default)]
struct Excesses {
    latest: VecDeque<f64>,
    /// What is above the highest tenth; `None` until there are enough.
    tail: Option<Tail>,
    /// So many more, and the tail is taken anew.
    stale_in: u32,
}

#[derive(Clone, Copy, Debug)]
struct Tail {
    from: f64,
    mean_excess: f64,
}

/// The windows, in values.
const SPANS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// A window is held against so many times as many values before it.
const BEFORE: usize = 4;
/// What has to be kept for the longest.
const LATEST_MAX: usize = SPANS[SPANS.len() - 1] * (1 + BEFORE);
/// So many values tell whether they are counts.
const FIRST: usize = 32;
/// Excesses kept of each span, and the fewest that say what is rare: those of a day and more of values every five minutes. Neighbours of a long
/// span are nearly the same, so it takes as many times its length as well.
const EXCESSES_MAX: usize = 1_024;
const EXCESSES_MIN: usize = 400;
const SPANS_MIN: usize = 16;
/// The tail is taken anew after so many.
const STALE_AFTER: u32 = 16;
/// The part of excesses that makes the tail.
const TAIL: f64 = 0.1;
/// How heavy it is: the shape of the law. Excesses beyond the tail observed are rather taken for ordinary than an ordinary one for rare.
const SHAPE: f64 = 0.05;
/// Minus the log of how rare an excess must be, in nats: one in 160,000.
const RARE: f64 = 12.0;
/// How much more than a Poisson count counts vary, variance over mean: posts that are shared ordinarily.
const FANO: f64 = 1.9;
/// The mean excess of a normal law above its highest tenth (of absolute values), in deviations.
const NORMAL_MEAN_EXCESS: f64 = 0.42;
/// The smallest unit of other values, as part of their mean size: below it is rounding.
const ROUNDING: f64 = 1e-3;
/// So many values in a row that are not even half as telling end an episode.
const ORDINARY_ENDS: u32 = 64;
/// Values beyond this are taken for this: sums stay finite.
const VALUE_MAX: f64 = 1e150;

impl Detector {
    /// How sure it is that something begins with this value, 0 to 1: the log-odds are what the rarity exceeds [`RARE`] by.
    pub(super) fn observe(&mut self, value: f64) -> f64 {
        let value = value.clamp(-VALUE_MAX, VALUE_MAX);
        let Some(are_counts) = self.are_counts else {
            self.first.push(value);
            if self.first.len() == FIRST {
                let are_counts = self.first.iter().all(|value| *value >= 0.0 && value.fract() == 0.0);
                self.are_counts = Some(are_counts);
                for value in std::mem::take(&mut self.first) {
                    self.rarity(transformed(value, are_counts), are_counts);
                }
            }
            return score(0.0);
        };
        let rarity = self.rarity(transformed(value, are_counts), are_counts);
        if self.ordinary_missing > 0 {
            let is_ordinary = rarity < RARE / 2.0;
            self.ordinary_missing = if is_ordinary {
                self.ordinary_missing - 1
            } else {
                ORDINARY_ENDS
            };
            return score(rarity.min(RARE / 2.0));
        }
        if rarity >= RARE {
            self.ordinary_missing = ORDINARY_ENDS;
        }
        score(rarity)
    }

    /// Minus the log of how rare the most telling window is that ends with this value, in nats.
    fn rarity(&mut self, value: f64, are_counts: bool) -> f64 {
        if self.latest.len() == LATEST_MAX {
            self.latest.pop_front();
        }
        self.latest.push_back(value);
        let size = self.latest.iter().map(|value| value.abs()).sum::<f64>() / self.latest.len() as f64;
        // Sums of the latest values, backwards: of the n latest at place n.
        let mut sums = [0.0; LATEST_MAX + 1];
        for (place, value) in self.latest.iter().rev().enumerate() {
            sums[place + 1] = sums[place] + value;
        }
        let mut most = 0.0_f64;
        for (span, excesses) in SPANS.into_iter().zip(&mut self.spans) {
            let all = self.latest.len().min(span * (1 + BEFORE));
            // At least as many before it as it holds.
            if all < 2 * span {
                break;
            }
            let mean = sums[span] / span as f64;
            let before = (sums[all] - sums[span]) / (all - span) as f64;
            let unit = if are_counts {
                let deviation = libm::sqrt(FANO * (1.0 / span as f64 + 1.0 / (all - span) as f64));
                NORMAL_MEAN_EXCESS * deviation
            } else {
                ROUNDING * size
            };
            most = most.max(excesses.rarity(span, (mean - before).abs(), unit));
        }
        most
    }
}

impl Excesses {
    /// Minus the log of how rare this excess is, which is one of the latest from now on. The mean of the tail is taken for `unit` at least.
    fn rarity(&mut self, span: usize, excess: f64, unit: f64) -> f64 {
        let rarity = self.tail.map_or(0.0, |tail| tail.rarity(excess, unit));
        // What is rare counts as what is just rare: a single value does not make the series deaf.
        let kept = match self.tail {
            Some(tail) if rarity > RARE => tail.excess_at(RARE, unit),
            _ => excess,
        };
        if self.latest.len() == EXCESSES_MAX {
            self.latest.pop_front();
        }
        self.latest.push_back(kept);
        if self.stale_in == 0 && self.latest.len() >= EXCESSES_MIN.max(SPANS_MIN * span) {
            self.tail = Some(Tail::of(&self.latest));
            self.stale_in = STALE_AFTER;
        }
        self.stale_in = self.stale_in.saturating_sub(1);
        rarity
    }
}

impl Tail {
    /// Of at least one excess.
    fn of(excesses: &VecDeque<f64>) -> Self {
        let mut excesses: Vec<f64> = excesses.iter().copied().collect();
        let place = ((excesses.len() - 1) as f64 * (1.0 - TAIL)) as usize;
        let (_, from, above) = excesses.select_nth_unstable_by(place, f64::total_cmp);
        let from = *from;
        let sum: f64 = above.iter().map(|excess| excess - from).sum();
        Tail {
            from,
            mean_excess: sum / above.len().max(1) as f64,
        }
    }

    /// The scale of the law whose mean is the one observed.
    fn scale(self, unit: f64) -> f64 {
        (self.mean_excess.max(unit) * (1.0 - SHAPE)).max(f64::MIN_POSITIVE)
    }

    fn rarity(self, excess: f64, unit: f64) -> f64 {
        let beyond = ((excess - self.from) / self.scale(unit)).max(0.0);
        if beyond == 0.0 {
            return 0.0;
        }
        -libm::log(TAIL) + libm::log1p(SHAPE * beyond) / SHAPE
    }

    /// The inverse of [`Tail::rarity`].
    fn excess_at(self, rarity: f64, unit: f64) -> f64 {
        let beyond = libm::expm1(SHAPE * (rarity + libm::log(TAIL))) / SHAPE;
        self.from + beyond * self.scale(unit)
    }
}

fn transformed(value: f64, are_counts: bool) -> f64 {
    if are_counts {
        2.0 * libm::sqrt(value.max(0.0) + 0.375)
    } else {
        value
    }
}

fn score(rarity: f64) -> f64 {
    1.0 / (1.0 + libm::exp(RARE - rarity))
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn detections(values: impl IntoIterator<Item = f64>) -> Vec<usize> {
        let mut detector = Detector::default();
        let scores = values.into_iter().map(|value| detector.observe(value));
        let scores: Vec<f64> = scores.collect();
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
        let rang = scores.into_iter().enumerate().filter(|(_, score)| *score >= THRESHOLD);
        rang.map(|(place, _)| place).collect()
    }

    /// About normal: the sum of twelve uniform draws.
    fn normal(random: &mut SmallRng) -> f64 {
        (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
    }

    const NONE: [usize; 0] = [];

    #[test]
    fn noise_rhythm_and_constants_are_ordinary() {
        for seed in 0..5 {
            let mut random = SmallRng::seed_from_u64(seed);
            let noise: Vec<f64> = (0..5_000).map(|_| normal(&mut random)).collect();
            assert_eq!(detections(noise.iter().map(|noise| 40.0 + noise)), NONE, "seed {seed}");
            let daily = (0..).map(|place| 50.0 * libm::sin(f64::from(place) / 288.0 * std::f64::consts::TAU));
            assert_eq!(
                detections(noise.iter().zip(daily).map(|(noise, day)| noise + day)),
                NONE,
                "seed {seed}"
            );
            let counts = noise.iter().map(|noise| (4.0 + 2.0 * noise).max(0.0).floor());
            assert_eq!(detections(counts), NONE, "seed {seed}");
        }
        assert_eq!(detections([7.5; 3_000]), NONE);
        assert_eq!(detections([0.0; 3_000]), NONE);
    }

    #[test]
    fn a_burst_of_counts_and_a_shifted_level_are_found_once_and_soon() {
        for seed in 0..5 {
            let mut random = SmallRng::seed_from_u64(seed);
            let noise: Vec<f64> = (0..4_000).map(|_| normal(&mut random)).collect();
            let level = |place: usize| if place >= 2_000 { 8.0 } else { 0.0 };
            let shifted = noise.iter().enumerate().map(|(place, noise)| noise + level(place));
            let rang = detections(shifted);
            assert!(
                rang.len() == 1 && (2_000..2_004).contains(&rang[0]),
                "seed {seed}: {rang:?}"
            );
            let burst = |place: usize| if (2_500..2_560).contains(&place) { 30.0 } else { 0.0 };
            let counts = noise.iter().enumerate();
            let counts = counts.map(|(place, noise)| ((4.0 + 2.0 * noise).max(0.0) + burst(place)).floor());
            let rang = detections(counts);
            assert!(
                (2_500..2_506).contains(&rang[0]) && rang.len() <= 2,
                "seed {seed}: {rang:?}"
            );
        }
    }

    #[test]
    fn no_value_is_too_large_and_memory_does_not_grow() {
        let mut detector = Detector::default();
        for place in 0..20_000 {
            let value = [f64::MAX, -f64::MAX, 0.0, f64::MIN_POSITIVE, 1e300][place % 5];
            assert!((0.0..=1.0).contains(&detector.observe(value)));
        }
        assert!(detector.latest.len() <= LATEST_MAX);
        assert!(
            detector
                .spans
                .iter()
                .all(|excesses| excesses.latest.len() <= EXCESSES_MAX)
        );
    }

    #[test]
    fn the_law_of_the_tail_is_its_own_inverse() {
        let tail = Tail {
            from: 3.0,
            mean_excess: 0.5,
        };
        for rarity in [2.5, 7.0, RARE] {
            let back = tail.rarity(tail.excess_at(rarity, 0.0), 0.0);
            assert!((back - rarity).abs() < 1e-9, "{rarity}: {back}");
        }
        assert_eq!(tail.rarity(2.9, 0.0), 0.0);
    }
}
