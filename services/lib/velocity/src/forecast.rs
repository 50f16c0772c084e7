//! The spread of the next hour: a median with a 90 % interval, at any age and size, calibrated by what became of earlier forecasts.
//!
//! The median is the pace of the last half hour, bent by how the pace changes and by how old the spread is: a log-linear model whose weights add up
//! to one power of the pace, so that a spread ten times as large is expected to go on ten times as large. Rates are shrunk by a gamma prior, each
//! towards that of the next longer window, which keeps them sane where little was counted. It is what remains of self-exciting models (SEISMIC, Zhao
//! et al. 2015, arXiv 1506.02594) where only counts in a few windows are kept: a power-law memory weighs the last five minutes, half hour and three
//! hours.
//!
//! Errors are measured in units of the spread that the model itself expects, and the three quantiles of these errors follow what happens
//! (quantile tracking by the gradient of the pinball loss, as in adaptive conformal inference, Gibbs and Candes 2021, arXiv 2106.00170).

use tocsin_model::Milliseconds;
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

/// What is known of a spread when its next hour is forecast. Counts are exact, of windows that end now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// Since when it is counted.
    pub age: Milliseconds,
    /// Spread in the last five minutes.
    pub last_5m: u64,
    /// Spread in the last half hour.
    pub last_30m: u64,
    /// Spread in the last three hours.
    pub last_3h: u64,
}

/// What is expected of the next hour: 5, 50 and 95 % quantiles, never negative, ascending.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// With 5 % probability it is less.
    pub low: f64,
    /// It is as likely to be more as to be less.
    pub median: f64,
    /// With 5 % probability it is more.
    pub high: f64,
}

/// The weights of the median, and the quantiles of the errors before any was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Model {
    /// One for each term of [`Course::terms`].
    pub weights: [f64; Course::TERMS],
    /// Quantiles (5, 50, 95 %) of [`Model::error`].
    pub error_quantiles: [f64; 3],
}

/// The quantiles of the errors as they are seen to be. Bounded, and a few bytes of state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    error_quantiles: [f64; 3],
}

/// Which quantiles.
const PROBABILITIES: [f64; 3] = [0.05, 0.5, 0.95];
/// The gamma prior of the longest window's rate: half an event, at thirty an hour, which a minute outweighs.
const PRIOR_EVENTS: f64 = 0.5;
const PRIOR_RATE: f64 = 30.0;
/// That of a shorter window's rate is worth so many events, at the rate of the next longer window.
const PRIOR_EVENTS_NESTED: f64 = 2.0;
/// Half an event is added before a logarithm is taken, so that zero has one.
const HALF: f64 = 0.5;
/// The model was fitted on ages in this range, in hours; outside, the nearest counts.
const AGE_HOURS: (f64, f64) = (1.0 / 6.0, 24.0);
/// The error to expect of a large spread at the age of an hour, as a difference of logarithms, and what each power of e in age adds.
const ERROR_AT_1H: f64 = 0.3;
const ERROR_BY_AGE: f64 = 0.1;
/// How far one outcome moves a quantile of the errors: an hour's surprise is forgotten after some fifty others.
const STEP: f64 = 0.03;
/// No quantile of the errors goes beyond this.
const ERROR_MAX: f64 = 12.0;
/// No more than this is ever forecast.
const SPREAD_MAX: f64 = 1e15;
/// The prior of the share of copies that come from an account of their own: so many copies, so many accounts.
const PRIOR_COPIES: f64 = 10.0;
const PRIOR_ACCOUNTS: f64 = 9.0;

impl Course {
    /// How many terms the median has.
    pub const TERMS: usize = 6;

    /// The terms beside the pace itself: one, the change of the pace from half an hour to five minutes, from half an hour to three hours
    /// (differences of logarithms), the logarithm of the age in hours, its square, and the first change times the age: growth says more
    /// of what is young.
    pub fn terms(&self) -> [f64; Course::TERMS] {
        let [hours_3, half_hour, minutes_5] = self.rates().map(libm::log);
        let age = libm::log(self.age_hours().clamp(AGE_HOURS.0, AGE_HOURS.1));
        let growth = minutes_5 - half_hour;
        [1.0, growth, hours_3 - half_hour, age, age * age, growth * age]
    }

    /// The logarithm of the spread an hour at the pace of the last half hour.
    pub fn pace(&self) -> f64 {
        libm::log(self.rates()[1])
    }

    /// Spread an hour over three hours, half an hour and five minutes, or since it is counted. Above zero.
    fn rates(&self) -> [f64; 3] {
        let (mut expected, mut worth) = (PRIOR_RATE, PRIOR_EVENTS);
        [
            (self.last_3h, 3.0_f64),
            (self.last_30m, 0.5),
            (self.last_5m, 1.0 / 12.0),
        ]
        .map(|(count, hours)| {
            expected = (count as f64 + worth) / (hours.min(self.age_hours()) + worth / expected);
            worth = PRIOR_EVENTS_NESTED;
            expected
        })
    }

    fn age_hours(&self) -> f64 {
        self.age.0.max(0) as f64 / 3_600_000.0
    }
}

impl Model {
    /// Fitted by `tocsin evaluate forecast` on all 50 retweet cascades at twelve ages from ten minutes to a day (the weights), and on the
    /// same and a thousand generated cascades, both of equal weight (the quantiles). The suite says what the fit is worth on cascades it has not seen.
    pub const SHIPPED: Model = Model {
        weights: [-0.4794, 0.7225, 0.0315, 0.2864, -0.0382, -0.2789],
        error_quantiles: [-2.457, -0.186, 2.090],
    };

    /// How far off the forecast was, in units of the error to expect: positive where more came.
    pub fn error(&self, course: &Course, spread: u64) -> f64 {
        let center = self.center(course);
        (libm::log(spread as f64 + HALF) - center) / expected_error(course, center)
    }

    fn center(&self, course: &Course) -> f64 {
        let terms = course.terms();
        let bent: f64 = terms.iter().zip(self.weights).map(|(term, weight)| term * weight).sum();
        course.pace() + bent
    }
}

/// The error to expect, as a difference of logarithms: what the model does not know, and chance, which is large where little is expected.
fn expected_error(course: &Course, center: f64) -> f64 {
    let age = libm::log(course.age_hours().clamp(1.0, AGE_HOURS.1));
    let unknown = ERROR_AT_1H + ERROR_BY_AGE * age;
    libm::sqrt(unknown * unknown + 1.0 / (libm::exp(center) + 1.0))
}

impl Calibration {
    /// Before any outcome.
    pub fn new(model: &Model) -> Self {
        Calibration {
            error_quantiles: model.error_quantiles,
        }
    }

    /// The next hour.
    pub fn forecast(&self, model: &Model, course: &Course) -> Forecast {
        let center = model.center(course);
        let unit = expected_error(course, center);
        let [low, median, high] = self
            .error_quantiles
            .map(|error| (libm::exp(center + error * unit) - HALF).clamp(0.0, SPREAD_MAX));
        Forecast { low, median, high }
    }

    /// An hour later: so much came.
    pub fn learn(&mut self, model: &Model, course: &Course, spread: u64) {
        let error = model.error(course, spread);
        for (quantile, probability) in self.error_quantiles.iter_mut().zip(PROBABILITIES) {
            let below = if error < *quantile { 1.0 } else { 0.0 };
            *quantile = (*quantile + STEP * (probability - below)).clamp(-ERROR_MAX, ERROR_MAX);
        }
        // Each follows on its own; they never change places.
        self.error_quantiles.sort_by(f64::total_cmp);
    }

    /// The bytes of the state.
    pub fn encode(&self, out: &mut Encoder) {
        for quantile in self.error_quantiles {
            out.float(quantile);
        }
    }

    /// The state from its bytes.
    ///
    /// # Errors
    /// The bytes hold quantiles that no outcomes lead to.
    pub fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut error_quantiles = [0.0; 3];
        for quantile in &mut error_quantiles {
            *quantile = input.float()?;
        }
        let possible =
            error_quantiles.is_sorted() && error_quantiles.iter().all(|quantile| quantile.abs() <= ERROR_MAX);
        if !possible {
            return Err(DecodeError::Invalid("quantile of forecast errors"));
        }
        Ok(Calibration { error_quantiles })
    }
}

impl Forecast {
    /// The accounts among the next hour's spread, where `copies` so far came from `accounts`: as many copies an account as before.
    pub fn accounts(&self, accounts: f64, copies: u64) -> Forecast {
        let share = ((accounts + PRIOR_ACCOUNTS) / (copies as f64 + PRIOR_COPIES)).clamp(0.0, 1.0);
        Forecast {
            low: self.low * share,
            median: self.median * share,
            high: self.high * share,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const MINUTE: i64 = 60_000;

    fn course(minutes: i64, last_5m: u64, last_30m: u64, last_3h: u64) -> Course {
        Course {
            age: Milliseconds(minutes * MINUTE),
            last_5m,
            last_30m,
            last_3h,
        }
    }

    fn shipped(course: &Course) -> Forecast {
        Calibration::new(&Model::SHIPPED).forecast(&Model::SHIPPED, course)
    }

    #[test]
    fn a_steady_pace_is_expected_to_go_on_and_silence_to_stay() {
        let steady = shipped(&course(60, 50, 300, 600));
        assert!((300.0..700.0).contains(&steady.median), "{steady:?}");
        let quiet = shipped(&course(24 * 60, 0, 0, 0));
        assert!(quiet.median < 1.0 && quiet.high < 5.0, "{quiet:?}");
        let young = shipped(&course(5, 12, 12, 12));
        assert!((12.0..150.0).contains(&young.median) && young.high > 50.0, "{young:?}");
    }

    #[test]
    fn growth_raises_a_forecast_and_decay_lowers_it() {
        let steady = shipped(&course(60, 50, 300, 600));
        let grows = shipped(&course(60, 150, 300, 400));
        let decays = shipped(&course(60, 10, 300, 1_200));
        assert!(decays.median < steady.median && steady.median < grows.median);
    }

    #[test]
    fn quantiles_follow_what_happens() {
        // A world in which four times as much comes as the model says, with every second hour a tenth of it.
        let course = course(60, 50, 300, 600);
        let model = Model::SHIPPED;
        let before = shipped(&course).median;
        let mut calibration = Calibration::new(&model);
        let outcome = |hour: u64| (before * if hour.is_multiple_of(2) { 4.0 } else { 0.4 }) as u64;
        for hour in 0..2_000 {
            calibration.learn(&model, &course, outcome(hour));
        }
        let after = calibration.forecast(&model, &course);
        let inside = |spread: u64| (after.low * 0.9..=after.high * 1.1).contains(&(spread as f64));
        assert!(inside(outcome(0)) && inside(outcome(1)), "{after:?}");
    }

    #[test]
    fn accounts_follow_their_share_of_the_copies() {
        let forecast = Forecast {
            low: 10.0,
            median: 100.0,
            high: 1_000.0,
        };
        assert_eq!(forecast.accounts(0.0, 0).median, 90.0);
        assert!((forecast.accounts(50.0, 10_000).high - 5.9).abs() < 0.1);
        assert_eq!(
            forecast.accounts(1e9, 10).median,
            100.0,
            "never more accounts than copies"
        );
    }

    proptest! {
        #[test]
        fn any_course_has_a_forecast_that_is_finite_ascending_and_not_negative(
            age in prop_oneof![Just(i64::MIN), Just(0), Just(i64::MAX), -1_000..100_000_000_i64],
            counts in prop::array::uniform3(prop_oneof![Just(0), Just(u64::MAX), 0..1_000_u64, 0..u64::MAX]),
            outcomes in prop::collection::vec(prop_oneof![Just(0), Just(u64::MAX), 0..100_000_u64], 0..40),
        ) {
            let course = Course {
                age: Milliseconds(age),
                last_5m: counts[0],
                last_30m: counts[1],
                last_3h: counts[2],
            };
            let model = Model::SHIPPED;
            let mut calibration = Calibration::new(&model);
            for outcome in outcomes {
                calibration.learn(&model, &course, outcome);
            }
            let Forecast { low, median, high } = calibration.forecast(&model, &course);
            prop_assert!(0.0 <= low && low <= median && median <= high && high <= SPREAD_MAX, "{low} {median} {high}");
            let mut out = Encoder::new();
            calibration.encode(&mut out);
            let bytes = out.finish();
            prop_assert_eq!(Calibration::decode(&mut Decoder::new(&bytes)).unwrap(), calibration);
        }

        #[test]
        fn what_is_ten_times_as_large_is_expected_to_stay_so(
            age in 10..600_i64,
            counts in prop::array::uniform3(1_000..100_000_u64),
        ) {
            let small = shipped(&course(age, counts[0], counts[1], counts[2])).median;
            let large = shipped(&course(age, 10 * counts[0], 10 * counts[1], 10 * counts[2])).median;
            prop_assert!((large / small / 10.0 - 1.0).abs() < 0.05, "{small} {large}");
        }
    }
}
