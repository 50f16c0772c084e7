//! How the rate of something goes, and when it happens next: arrivals of a Poisson process, by inverting its cumulated rate (Çinlar 1975).

use std::f64::consts::LN_2;

use crate::scenario::draw::Draw;

/// A rate as a function of the seconds since it began.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Course {
    /// The same at all times, per second.
    Constant(f64),
    /// `total` in all; decays exponentially with this mean age in seconds.
    Decaying { total: f64, mean_age_s: f64 },
    /// Rises in a straight line to `per_s` at `known_after_s`, and stays there.
    Rising { per_s: f64, known_after_s: f64 },
    /// From `first_per_s`, growing with `growth` per second up to `peak_per_s` at `peak_s`, then decaying exponentially with mean `decay_s`.
    Crisis {
        first_per_s: f64,
        growth: f64,
        peak_per_s: f64,
        peak_s: f64,
        decay_s: f64,
    },
}

impl Course {
    /// The course of a crisis of which `copies` are expected within `within_s`: how fast it falls after its peak follows from that. Where even
    /// a rate that never falls does not bring so many, it never falls.
    pub(crate) fn crisis(first_per_s: f64, doubling_s: f64, peak_per_s: f64, copies: f64, within_s: f64) -> Self {
        let growth = LN_2 / doubling_s;
        let with = |decay_s| Course::Crisis {
            first_per_s,
            growth,
            peak_per_s,
            peak_s: (libm::log(peak_per_s / first_per_s) / growth).max(0.0),
            decay_s,
        };
        let (mut low, mut high) = (60.0_f64, 1e9_f64);
        for _ in 0..100 {
            let middle = libm::sqrt(low * high);
            if with(middle).cumulated(within_s) < copies {
                low = middle;
            } else {
                high = middle;
            }
        }
        with(high)
    }

    /// The rate, per second. Only a crisis asks.
    pub(crate) fn rate(self, at_s: f64) -> f64 {
        match self {
            Course::Constant(per_s) => per_s,
            Course::Decaying { total, mean_age_s } => total / mean_age_s * libm::exp(-at_s / mean_age_s),
            Course::Rising { per_s, known_after_s } => per_s * (at_s / known_after_s).min(1.0),
            Course::Crisis {
                first_per_s,
                growth,
                peak_per_s,
                peak_s,
                decay_s,
            } => {
                if at_s < peak_s {
                    first_per_s * libm::exp(growth * at_s)
                } else {
                    peak_per_s * libm::exp(-(at_s - peak_s) / decay_s)
                }
            }
        }
    }

    /// How many are expected up to a time.
    pub(crate) fn cumulated(self, at_s: f64) -> f64 {
        match self {
            Course::Constant(per_s) => per_s * at_s,
            Course::Decaying { total, mean_age_s } => -total * libm::expm1(-at_s / mean_age_s),
            Course::Rising { per_s, known_after_s } => {
                let rising_s = at_s.min(known_after_s);
                per_s * (rising_s * rising_s / (2.0 * known_after_s) + at_s - rising_s)
            }
            Course::Crisis {
                first_per_s,
                growth,
                peak_per_s,
                peak_s,
                decay_s,
            } => {
                let before = first_per_s / growth * libm::expm1(growth * at_s.min(peak_s));
                before - peak_per_s * decay_s * libm::expm1(-(at_s - peak_s).max(0.0) / decay_s)
            }
        }
    }

    /// The time up to which so many are expected; `None` when there never are.
    fn inverse(self, count: f64) -> Option<f64> {
        let at_s = match self {
            Course::Constant(per_s) => count / per_s,
            Course::Decaying { total, mean_age_s } => -mean_age_s * libm::log1p(-count / total),
            Course::Rising { per_s, known_after_s } => {
                let while_rising = per_s * known_after_s / 2.0;
                if count < while_rising {
                    libm::sqrt(count / while_rising) * known_after_s
                } else {
                    known_after_s + (count - while_rising) / per_s
                }
            }
            Course::Crisis {
                first_per_s,
                growth,
                peak_per_s,
                peak_s,
                decay_s,
            } => {
                let before = first_per_s / growth * libm::expm1(growth * peak_s);
                if count < before {
                    libm::log1p(count * growth / first_per_s) / growth
                } else {
                    peak_s - decay_s * libm::log1p(-(count - before) / (peak_per_s * decay_s))
                }
            }
        };
        at_s.is_finite().then_some(at_s)
    }
}

/// The arrivals of a course.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arriving {
    course: Course,
    count: f64,
}

impl Arriving {
    pub(crate) fn new(course: Course) -> Self {
        Arriving { course, count: 0.0 }
    }

    /// The next arrival, in seconds since the course began.
    pub(crate) fn next(&mut self, draw: &mut Draw) -> Option<f64> {
        self.count += draw.exponential();
        self.course.inverse(self.count)
    }

    pub(crate) fn rate(self, at_s: f64) -> f64 {
        self.course.rate(at_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn courses() -> [Course; 4] {
        [
            Course::Constant(2.0),
            Course::Decaying {
                total: 500.0,
                mean_age_s: 200.0,
            },
            Course::Rising {
                per_s: 0.01,
                known_after_s: 3_600.0,
            },
            Course::crisis(0.01, 600.0, 40.0, 1.5e6, 86_400.0),
        ]
    }

    #[test]
    fn the_inverse_undoes_the_sum_and_the_sum_is_of_the_rate() {
        for course in courses() {
            for at_s in [1.0, 300.0, 2_000.0, 3_500.0] {
                let back = course.inverse(course.cumulated(at_s)).expect("the course goes on");
                assert!((back / at_s - 1.0).abs() < 1e-4, "{course:?} at {at_s}: {back}");
                let slope = (course.cumulated(at_s + 0.5) - course.cumulated(at_s - 0.5)) / course.rate(at_s);
                assert!((slope - 1.0).abs() < 1e-3, "{course:?} at {at_s}: {slope}");
            }
        }
    }

    #[test]
    fn a_crisis_doubles_peaks_and_brings_what_it_should() {
        let course = Course::crisis(0.01, 600.0, 40.0, 1.5e6, 86_400.0);
        assert!((course.rate(1_800.0) / course.rate(1_200.0) - 2.0).abs() < 1e-9);
        assert!((course.cumulated(86_400.0) / 1.5e6 - 1.0).abs() < 1e-6);
        let peak = (0..86_400).map(|at_s| course.rate(f64::from(at_s))).fold(0.0, f64::max);
        assert!((39.0..=40.0).contains(&peak), "{peak}");
        // Twenty a second do not bring ten million in a day: then it stays there.
        let flat = Course::crisis(0.01, 600.0, 20.0, 1e7, 86_400.0);
        assert!((flat.rate(86_400.0) - 20.0).abs() < 0.01);
    }
}
