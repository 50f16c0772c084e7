//! The generalised Pareto law of the excesses over a high score.

/// What lies above a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tail {
    from: f64,
    shape: f64,
    scale: f64,
}

/// Heavier and lighter tails than these are taken for these: estimates beyond come from too few peaks, and a mean has to exist.
const SHAPE_MAX: f64 = 0.5;
/// Below this the law is taken for exponential, which is its limit.
const SHAPE_TINY: f64 = 1e-9;

impl Tail {
    /// Fits the law to the peaks above `from`, ascending, by probability-weighted moments (Hosking and Wallis 1987, "Parameter and Quantile
    /// Estimation for the Generalized Pareto Distribution", Technometrics 29): a0 is the mean excess, a1 the mean of each excess times the
    /// share of those above it; shape = 2 - a0 / (a0 - 2 a1), scale = 2 a0 a1 / (a0 - 2 a1). Unlike the maximum of the likelihood it always
    /// exists, and it is better below some 500 peaks.
    pub(super) fn above(from: f64, peaks: &[f64]) -> Tail {
        let count = peaks.len() as f64;
        let excesses = || peaks.iter().map(|peak| (peak - from).max(0.0));
        let mean = excesses().sum::<f64>() / count.max(1.0);
        let above = |place: usize| (count - 1.0 - place as f64) / (count - 1.0).max(1.0);
        let weighted: f64 = excesses()
            .enumerate()
            .map(|(place, excess)| excess * above(place))
            .sum();
        let weighted = weighted / count.max(1.0);
        let spread = mean - 2.0 * weighted;
        let shape = if spread > 0.0 { 2.0 - mean / spread } else { -SHAPE_MAX };
        let shape = shape.clamp(-SHAPE_MAX, SHAPE_MAX);
        Tail {
            from,
            shape,
            // So that the mean is the one observed, also where the shape was cut.
            scale: mean * (1.0 - shape),
        }
    }

    /// The score that this share of what lies in the tail passes, 0 < share <= 1.
    pub(super) fn passed_by(&self, share: f64) -> f64 {
        let rarity = -libm::log(share);
        let excess = if self.shape.abs() < SHAPE_TINY {
            rarity
        } else {
            libm::expm1(self.shape * rarity) / self.shape
        };
        self.from + self.scale * excess
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The middle of each of `count` equal parts of the law.
    fn law(shape: f64, scale: f64, count: u32) -> Vec<f64> {
        let tail = Tail {
            from: 3.0,
            shape,
            scale,
        };
        let share = |place: u32| 1.0 - (f64::from(place) + 0.5) / f64::from(count);
        (0..count).map(|place| tail.passed_by(share(place))).collect()
    }

    #[test]
    fn the_law_that_made_the_peaks_is_found_again() {
        for shape in [-0.4, -0.1, 0.0, 0.2, 0.4] {
            let fitted = Tail::above(3.0, &law(shape, 2.0, 4_000));
            assert!((fitted.shape - shape).abs() < 0.06, "{shape}: {fitted:?}");
            assert!((fitted.scale - 2.0).abs() < 0.15, "{shape}: {fitted:?}");
        }
    }

    #[test]
    fn rarer_is_higher_and_everything_passes_the_beginning() {
        for shape in [-0.5, 0.0, 0.5] {
            let tail = Tail {
                from: 1.0,
                shape,
                scale: 0.5,
            };
            assert_eq!(tail.passed_by(1.0), 1.0);
            assert!(tail.passed_by(0.1) > tail.passed_by(0.5));
        }
        // One in e of an exponential tail passes its mean.
        let exponential = Tail {
            from: 0.0,
            shape: 0.0,
            scale: 2.0,
        };
        assert!((exponential.passed_by(libm::exp(-1.0)) - 2.0).abs() < 1e-12);
    }

    #[test]
    fn peaks_that_are_all_alike_make_no_tail() {
        let tail = Tail::above(2.0, &[2.0; 9]);
        assert_eq!(tail.passed_by(0.01), 2.0);
        assert!(Tail::above(2.0, &[]).passed_by(0.5).is_finite());
        assert!(Tail::above(2.0, &[5.0]).passed_by(0.5).is_finite());
    }
}
