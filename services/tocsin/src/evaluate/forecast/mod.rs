//! The next hour: the shipped forecaster and its fit on cascades it has not seen, beside four floors.

mod fit;
mod rivals;
mod sample;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde_json::json;
use tocsin_velocity::forecast::{Calibration, Forecast, Model};

use super::{CASCADES, ForecastArguments, SuiteArguments, shared};
use crate::rehearsal::Figures;
use fit::Weighted;
use rivals::{FLOORS, HALF_HOUR, Rival};
use sample::{Cascade, Sample, generated, read};

/// The cascades are dealt out to so many folds, in the order of the file; no parameter sees the fold it is scored on.
const FOLDS: usize = 10;
/// The ages at which cascades are looked at, in minutes; the figures without an age are those at an hour.
const AGES_MIN: [u32; 12] = [10, 15, 20, 30, 45, 60, 90, 120, 180, 360, 720, 1_440];
const HOUR_MIN: u32 = 60;
/// The ages at which generated cascades, which are followed for three hours, are looked at.
const GENERATED_AGES_MIN: [u32; 8] = [10, 15, 20, 30, 45, 60, 90, 120];
/// Generated cascades at scale 1, and how many others shape the quantiles of the fit.
const GENERATED: f64 = 10_000.0;
const GENERATED_FOR_FIT: u64 = 1_000;
/// Those are drawn from a seed of their own, which does not follow the suite's: the shipped constants must come out the same.
const FIT_SEED: u64 = 0x7463_666f_7265;

/// Forecasts beside what came.
#[derive(Default)]
struct Scored {
    errors: Vec<f64>,
    covered: usize,
}

/// Every figure of the suite.
///
/// # Errors
/// The cascades are absent, or not of the expected form.
pub fn run(arguments: &ForecastArguments) -> Result<Figures> {
    let cascades = read(&arguments.input())?;
    ensure!(cascades.len() >= 2 * FOLDS, "{} cascades are too few", cascades.len());
    let drawn: Vec<Cascade> = (0..GENERATED_FOR_FIT)
        .map(|number| generated(FIT_SEED, number))
        .collect();
    let drawn = samples(&drawn, &GENERATED_AGES_MIN);

    let mut figures = Figures::from([("cascades", json!(cascades.len())), ("folds", json!(FOLDS))]);
    let on_cascades = cross_validated(&cascades, &drawn, &mut figures);
    let on_generated = on_generated(&arguments.suite, &mut figures);
    let all = on_cascades.errors.len() + on_generated.errors.len();
    figures.insert(
        "coverage_90_pooled",
        json!((on_cascades.covered + on_generated.covered) as f64 / all as f64),
    );
    shipped(&cascades, &drawn, &mut figures);
    Ok(figures)
}

impl ForecastArguments {
    /// The file that is named, or the one that stands beside a checkout.
    fn input(&self) -> PathBuf {
        self.input.clone().unwrap_or_else(|| shared(CASCADES))
    }
}

fn samples(cascades: &[Cascade], ages_min: &[u32]) -> Vec<Sample> {
    let at = |cascade: &Cascade| ages_min.iter().map(|age| cascade.sample(*age)).collect::<Vec<_>>();
    cascades.iter().flat_map(at).collect()
}

/// The model that these cascades and the generated ones give; the former and the latter weigh alike in the quantiles.
fn fitted(cascades: &[Cascade], drawn: &[Sample]) -> Model {
    let seen = samples(cascades, &AGES_MIN);
    let weights = fit::weights(&seen);
    let model = Model {
        weights,
        error_quantiles: [0.0; 3],
    };
    let errors = |samples: &[Sample]| -> Vec<Weighted> {
        let weight = 1.0 / samples.len() as f64;
        let error = |sample: &Sample| model.error(&sample.course, sample.came);
        samples
            .iter()
            .map(|sample| Weighted {
                value: error(sample),
                weight,
            })
            .collect()
    };
    let mut errors = [errors(&seen), errors(drawn)].concat();
    Model {
        error_quantiles: [0.05, 0.5, 0.95].map(|probability| fit::quantile(&mut errors, probability)),
        ..model
    }
}

/// Real cascades: every one is forecast by what was fitted without its fold.
fn cross_validated(cascades: &[Cascade], drawn: &[Sample], figures: &mut Figures) -> Scored {
    let mut ages = AGES_MIN.map(|_| Scored::default());
    let mut floors = FLOORS.map(|_| Vec::new());
    let mut half_hour = Vec::new();
    for fold in 0..FOLDS {
        let (held_out, others): (Vec<_>, Vec<_>) = cascades
            .iter()
            .enumerate()
            .partition(|(place, _)| place % FOLDS == fold);
        let [held_out, others] = [held_out, others]
            .map(|part| -> Vec<Cascade> { part.into_iter().map(|(_, cascade)| cascade.clone()).collect() });
        let model = fitted(&others, drawn);
        let calibration = Calibration::new(&model);
        for (scored, age_min) in ages.iter_mut().zip(AGES_MIN) {
            for cascade in &held_out {
                let sample = cascade.sample(age_min);
                scored.add(&sample, calibration.forecast(&model, &sample.course));
            }
        }
        let at_an_hour = |cascades: &[Cascade]| samples(cascades, &[HOUR_MIN]);
        let (seen, asked) = (at_an_hour(&others), at_an_hour(&held_out));
        let errors = |rival: &Rival| -> Vec<f64> {
            let forecast = rival.fitted(&seen);
            asked.iter().map(|sample| sample.error(forecast(sample))).collect()
        };
        for (all, floor) in floors.iter_mut().zip(&FLOORS) {
            all.extend(errors(floor));
        }
        half_hour.extend(errors(&HALF_HOUR));
    }

    let mut best_floor = f64::INFINITY;
    for (errors, floor) in floors.iter_mut().zip(&FLOORS) {
        best_floor = best_floor.min(mean(errors));
        figures.insert(floor.mape, json!(mean(errors)));
        figures.insert(floor.median_ape, json!(median(errors)));
    }
    figures.insert(HALF_HOUR.mape, json!(mean(&half_hour)));
    figures.insert(HALF_HOUR.median_ape, json!(median(&mut half_hour)));
    let mut at_an_hour = Scored::default();
    for (mut scored, age_min) in ages.into_iter().zip(AGES_MIN) {
        let names = sample::names_at(age_min);
        figures.insert(names[0], json!(mean(&scored.errors)));
        figures.insert(names[1], json!(median(&mut scored.errors)));
        figures.insert(names[2], json!(scored.coverage()));
        if age_min == HOUR_MIN {
            at_an_hour = scored;
        }
    }
    let mape = mean(&at_an_hour.errors);
    figures.extend([
        ("mape", json!(mape)),
        ("median_ape", json!(median(&mut at_an_hour.errors))),
        ("gain_over_best_floor", json!(1.0 - mape / best_floor)),
        ("coverage_90_cascades", json!(at_an_hour.coverage())),
    ]);
    at_an_hour
}

/// Generated cascades, one after another, each forecast at an hour by the shipped model with what it learned from those before; the same
/// without learning, and at ages that change from one to the next.
fn on_generated(suite: &SuiteArguments, figures: &mut Figures) -> Scored {
    let model = Model::SHIPPED;
    let prior = Calibration::new(&model);
    let (mut learning, mut of_any_age) = (prior, prior);
    let (mut scored, mut unlearned, mut any_age) = (Scored::default(), Scored::default(), Scored::default());
    let count = ((GENERATED * suite.scale) as u64).max(100);
    for number in 0..count {
        let cascade = generated(suite.seed, number);
        let sample = cascade.sample(HOUR_MIN);
        scored.add(&sample, learning.forecast(&model, &sample.course));
        unlearned.add(&sample, prior.forecast(&model, &sample.course));
        learning.learn(&model, &sample.course, sample.came);
        let sample = cascade.sample(GENERATED_AGES_MIN[number as usize % GENERATED_AGES_MIN.len()]);
        any_age.add(&sample, of_any_age.forecast(&model, &sample.course));
        of_any_age.learn(&model, &sample.course, sample.came);
    }
    figures.extend([
        ("generated", json!(count)),
        ("mape_generated", json!(mean(&scored.errors))),
        ("median_ape_generated", json!(median(&mut scored.errors))),
        ("coverage_90_generated", json!(scored.coverage())),
        ("coverage_90_generated_before_learning", json!(unlearned.coverage())),
        ("coverage_90_generated_any_age", json!(any_age.coverage())),
        ("mape_generated_any_age", json!(mean(&any_age.errors))),
    ]);
    scored
}

/// What the shipped constants give on the cascades they were fitted on, and what a fit gives today: they must be the same.
fn shipped(cascades: &[Cascade], drawn: &[Sample], figures: &mut Figures) {
    let model = Model::SHIPPED;
    let calibration = Calibration::new(&model);
    let mut scored = Scored::default();
    for sample in samples(cascades, &[HOUR_MIN]) {
        scored.add(&sample, calibration.forecast(&model, &sample.course));
    }
    let today = fitted(cascades, drawn);
    figures.extend([
        ("shipped_in_sample_mape", json!(mean(&scored.errors))),
        ("shipped_in_sample_median_ape", json!(median(&mut scored.errors))),
        ("shipped_in_sample_coverage_90", json!(scored.coverage())),
        ("fitted_weights", json!(today.weights)),
        ("fitted_error_quantiles", json!(today.error_quantiles)),
        ("shipped_weights", json!(model.weights)),
        ("shipped_error_quantiles", json!(model.error_quantiles)),
    ]);
}

impl Scored {
    fn add(&mut self, sample: &Sample, forecast: Forecast) {
        self.errors.push(sample.error(forecast.median));
        let inside = (forecast.low..=forecast.high).contains(&(sample.came as f64));
        self.covered += usize::from(inside);
    }

    fn coverage(&self) -> f64 {
        self.covered as f64 / self.errors.len() as f64
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let upper = values.len() / 2;
    match values.len() % 2 {
        0 => (values[upper - 1] + values[upper]) / 2.0,
        _ => values[upper],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write as _;

    use super::*;

    #[test]
    fn cascades_of_a_file_are_forecast_better_than_by_the_floors() {
        let directory = tempfile::tempdir().unwrap();
        let input = directory.path().join("cascades.csv");
        let mut file = std::fs::File::create(&input).unwrap();
        writeln!(file, "cascade,delay_s,followers").unwrap();
        for number in 0..60 {
            for delay in tocsin_loadtest::cascade::cascade(11, number) {
                writeln!(file, "{number},{delay},1").unwrap();
            }
        }
        let arguments = ForecastArguments {
            suite: SuiteArguments {
                seed: 3,
                scale: 0.2,
                out: "-".into(),
            },
            input: Some(input),
        };
        let figures = run(&arguments).unwrap();
        let figure = |name: &str| figures[name].as_f64().unwrap();
        assert_eq!((figure("cascades"), figure("generated")), (60.0, 2_000.0));
        assert!(figure("gain_over_best_floor") > 0.05, "{figures:?}");
        assert!((0.88..=0.92).contains(&figure("coverage_90_pooled")), "{figures:?}");
    }

    #[test]
    fn absent_cascades_are_named_with_what_to_do() {
        let absent = sample::read(std::path::Path::new("absent/cascades.csv.gz")).unwrap_err();
        let told = format!("{absent:#}");
        assert!(
            told.contains("absent/cascades.csv.gz") && told.contains("--input"),
            "{told}"
        );
    }
}
