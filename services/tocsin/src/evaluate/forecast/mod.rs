//! The next hour: the shipped forecaster and its fit on cascades it has not seen, beside four floors.

mod fit;
mod page;
mod rivals;
mod sample;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde_json::json;
use tocsin_velocity::forecast::{Calibration, Forecast, Model};

use super::{CASCADES, ForecastArguments, SuiteArguments, output, shared};
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

/// A forecast beside what came.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    /// The cascade's place in its set.
    cascade: usize,
    age_min: u32,
    sample: Sample,
    forecast: Forecast,
}

/// Forecasts of one kind.
#[derive(Clone, Debug, Default)]
struct Scored(Vec<Outcome>);

/// Everything that was forecast.
#[derive(Debug)]
struct Measured {
    /// Real cascades, one for each of [`AGES_MIN`].
    ages: Vec<Scored>,
    /// Generated ones at an hour, by what was learned from those before, and without.
    generated: Scored,
    unlearned: Scored,
    /// And at ages that change from one to the next.
    any_age: Scored,
}

/// Every figure of the suite.
///
/// # Errors
/// The cascades are absent, or not of the expected form, or files cannot be written.
pub fn run(arguments: &ForecastArguments) -> Result<Figures> {
    let cascades = read(&arguments.input())?;
    ensure!(cascades.len() >= 2 * FOLDS, "{} cascades are too few", cascades.len());
    let drawn: Vec<Cascade> = (0..GENERATED_FOR_FIT)
        .map(|number| generated(FIT_SEED, number))
        .collect();
    let drawn = samples(&drawn, &GENERATED_AGES_MIN);

    let mut figures = Figures::from([("cascades", json!(cascades.len())), ("folds", json!(FOLDS))]);
    let ages = cross_validated(&cascades, &drawn, &mut figures);
    let [generated, unlearned, any_age] = on_generated(&arguments.estimator.suite, &mut figures);
    let measured = Measured {
        ages,
        generated,
        unlearned,
        any_age,
    };
    let pooled = [measured.at_an_hour(), &measured.generated];
    let covered: usize = pooled.iter().map(|scored| scored.covered()).sum();
    let all: usize = pooled.iter().map(|scored| scored.0.len()).sum();
    figures.insert("coverage_90_pooled", json!(covered as f64 / all as f64));
    shipped(&cascades, &drawn, &mut figures);
    if let Some(directory) = &arguments.estimator.rows {
        output::rows(directory, "forecasts.csv", Outcome::HEADER, measured.rows())?;
    }
    if let Some(directory) = &arguments.estimator.report {
        let page = page::of(&arguments.estimator.suite, &figures, &measured);
        output::page(directory, page, &figures)?;
    }
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
fn cross_validated(cascades: &[Cascade], drawn: &[Sample], figures: &mut Figures) -> Vec<Scored> {
    let mut ages = AGES_MIN.map(|_| Scored::default());
    let mut floors = FLOORS.map(|_| Vec::new());
    let mut half_hour = Vec::new();
    for fold in 0..FOLDS {
        let (held_out, others): (Vec<_>, Vec<_>) = cascades
            .iter()
            .enumerate()
            .partition(|(place, _)| place % FOLDS == fold);
        let others: Vec<Cascade> = others.into_iter().map(|(_, cascade)| cascade.clone()).collect();
        let model = fitted(&others, drawn);
        let calibration = Calibration::new(&model);
        for (scored, age_min) in ages.iter_mut().zip(AGES_MIN) {
            for (place, cascade) in &held_out {
                let sample = cascade.sample(age_min);
                scored.add(*place, age_min, sample, calibration.forecast(&model, &sample.course));
            }
        }
        let seen = samples(&others, &[HOUR_MIN]);
        let asked: Vec<Sample> = held_out.iter().map(|(_, cascade)| cascade.sample(HOUR_MIN)).collect();
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
    for (scored, age_min) in ages.iter().zip(AGES_MIN) {
        let names = sample::names_at(age_min);
        figures.insert(names[0], json!(mean(&scored.errors())));
        figures.insert(names[1], json!(median(&mut scored.errors())));
        figures.insert(names[2], json!(scored.coverage()));
        if age_min == HOUR_MIN {
            let mape = mean(&scored.errors());
            figures.extend([
                ("mape", json!(mape)),
                ("median_ape", json!(median(&mut scored.errors()))),
                ("gain_over_best_floor", json!(1.0 - mape / best_floor)),
                ("coverage_90_cascades", json!(scored.coverage())),
            ]);
        }
    }
    ages.into()
}

/// Generated cascades, one after another, each forecast at an hour by the shipped model with what it learned from those before; the same
/// without learning, and at ages that change from one to the next.
fn on_generated(suite: &SuiteArguments, figures: &mut Figures) -> [Scored; 3] {
    let model = Model::SHIPPED;
    let prior = Calibration::new(&model);
    let (mut learning, mut of_any_age) = (prior, prior);
    let (mut scored, mut unlearned, mut any_age) = (Scored::default(), Scored::default(), Scored::default());
    let count = ((GENERATED * suite.scale) as u64).max(100);
    for number in 0..count {
        let cascade = generated(suite.seed, number);
        let sample = cascade.sample(HOUR_MIN);
        let place = number as usize;
        scored.add(place, HOUR_MIN, sample, learning.forecast(&model, &sample.course));
        unlearned.add(place, HOUR_MIN, sample, prior.forecast(&model, &sample.course));
        learning.learn(&model, &sample.course, sample.came);
        let age_min = GENERATED_AGES_MIN[place % GENERATED_AGES_MIN.len()];
        let sample = cascade.sample(age_min);
        any_age.add(place, age_min, sample, of_any_age.forecast(&model, &sample.course));
        of_any_age.learn(&model, &sample.course, sample.came);
    }
    figures.extend([
        ("generated", json!(count)),
        ("mape_generated", json!(mean(&scored.errors()))),
        ("median_ape_generated", json!(median(&mut scored.errors()))),
        ("coverage_90_generated", json!(scored.coverage())),
        ("coverage_90_generated_before_learning", json!(unlearned.coverage())),
        ("coverage_90_generated_any_age", json!(any_age.coverage())),
        ("mape_generated_any_age", json!(mean(&any_age.errors()))),
    ]);
    [scored, unlearned, any_age]
}

/// What the shipped constants give on the cascades they were fitted on, and what a fit gives today: they must be the same.
fn shipped(cascades: &[Cascade], drawn: &[Sample], figures: &mut Figures) {
    let model = Model::SHIPPED;
    let calibration = Calibration::new(&model);
    let mut scored = Scored::default();
    for (place, cascade) in cascades.iter().enumerate() {
        let sample = cascade.sample(HOUR_MIN);
        scored.add(place, HOUR_MIN, sample, calibration.forecast(&model, &sample.course));
    }
    let today = fitted(cascades, drawn);
    figures.extend([
        ("shipped_in_sample_mape", json!(mean(&scored.errors()))),
        ("shipped_in_sample_median_ape", json!(median(&mut scored.errors()))),
        ("shipped_in_sample_coverage_90", json!(scored.coverage())),
        ("fitted_weights", json!(today.weights)),
        ("fitted_error_quantiles", json!(today.error_quantiles)),
        ("shipped_weights", json!(model.weights)),
        ("shipped_error_quantiles", json!(model.error_quantiles)),
    ]);
}

impl Scored {
    fn add(&mut self, cascade: usize, age_min: u32, sample: Sample, forecast: Forecast) {
        self.0.push(Outcome {
            cascade,
            age_min,
            sample,
            forecast,
        });
    }

    fn errors(&self) -> Vec<f64> {
        let outcomes = self.0.iter();
        outcomes
            .map(|outcome| outcome.sample.error(outcome.forecast.median))
            .collect()
    }

    fn covered(&self) -> usize {
        let inside =
            |outcome: &&Outcome| (outcome.forecast.low..=outcome.forecast.high).contains(&(outcome.sample.came as f64));
        self.0.iter().filter(inside).count()
    }

    fn coverage(&self) -> f64 {
        self.covered() as f64 / self.0.len() as f64
    }
}

impl Measured {
    /// The real cascades at the age of the figures.
    fn at_an_hour(&self) -> &Scored {
        let place = AGES_MIN.iter().position(|age_min| *age_min == HOUR_MIN);
        &self.ages[place.expect("an hour is one of the ages")]
    }

    fn rows(&self) -> impl Iterator<Item = String> {
        let real = self
            .ages
            .iter()
            .flat_map(|scored| &scored.0)
            .map(|outcome| outcome.to_csv("cascades"));
        let generated = [
            ("generated", &self.generated),
            ("generated_before_learning", &self.unlearned),
            ("generated_any_age", &self.any_age),
        ];
        real.chain(
            generated
                .into_iter()
                .flat_map(|(set, scored)| scored.0.iter().map(move |outcome| outcome.to_csv(set))),
        )
    }
}

impl Outcome {
    const HEADER: &str = "set,cascade,age_min,before,came,low,median,high";

    fn to_csv(self, set: &str) -> String {
        let Sample { before, came, .. } = self.sample;
        let Forecast { low, median, high } = self.forecast;
        format!(
            "{set},{},{},{before},{came},{low},{median},{high}",
            self.cascade, self.age_min
        )
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

    use super::super::EstimatorArguments;
    use super::super::output::tests::read_page;
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
            estimator: EstimatorArguments {
                suite: SuiteArguments {
                    seed: 3,
                    scale: 0.2,
                    out: "-".into(),
                },
                rows: Some(directory.path().join("rows")),
                report: Some(directory.path().join("report")),
            },
            input: Some(input),
        };
        let figures = run(&arguments).unwrap();
        let figure = |name: &str| figures[name].as_f64().unwrap();
        assert_eq!((figure("cascades"), figure("generated")), (60.0, 2_000.0));
        assert!(figure("gain_over_best_floor") > 0.05, "{figures:?}");
        assert!((0.88..=0.92).contains(&figure("coverage_90_pooled")), "{figures:?}");

        // The rows say the same.
        let rows = std::fs::read_to_string(directory.path().join("rows/forecasts.csv")).unwrap();
        let rows: Vec<Vec<&str>> = rows.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(rows.len(), 1 + 60 * AGES_MIN.len() + 3 * 2_000);
        let at_an_hour = rows.iter().filter(|row| row[0] == "cascades" && row[2] == "60");
        let errors = at_an_hour.map(|row| {
            let [before, came, _, median, _] = [3, 4, 5, 6, 7].map(|place| row[place].parse::<f64>().unwrap());
            (median - came).abs() / (before + came).max(1.0)
        });
        let errors: Vec<f64> = errors.collect();
        assert!((mean(&errors) - figure("mape")).abs() < 1e-9, "{errors:?}");
        read_page(&directory.path().join("report"), &figures);
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
