use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use tocsin_loadtest::cascade;
use tocsin_model::Milliseconds;
use tocsin_velocity::forecast::Course;

use super::super::open;

/// The delays of a cascade's copies after its root, in seconds, ascending.
#[derive(Clone, Debug)]
pub struct Cascade(Vec<f64>);

/// A cascade at one age, and what came in the hour after.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub course: Course,
    pub last_hour: u64,
    /// The copies up to this age.
    pub before: u64,
    pub came: u64,
}

/// One line: a copy.
#[derive(Deserialize)]
struct Copy {
    cascade: u64,
    delay_s: f64,
}

/// Reads cascades: CSV, plain or gzip, with the columns `cascade` and `delay_s` (seconds after the root); others are not looked at.
pub fn read(path: &Path) -> Result<Vec<Cascade>> {
    let mut cascades: Vec<(u64, Cascade)> = Vec::new();
    for (line, copy) in csv::Reader::from_reader(open(path)?).deserialize::<Copy>().enumerate() {
        let copy = copy.with_context(|| format!("{}: copy {}", path.display(), line + 1))?;
        ensure!(
            copy.delay_s.is_finite() && copy.delay_s >= 0.0,
            "{}: copy {} has no delay",
            path.display(),
            line + 1
        );
        match cascades.last_mut() {
            Some((cascade, delays)) if *cascade == copy.cascade => delays.0.push(copy.delay_s),
            _ => cascades.push((copy.cascade, Cascade(vec![copy.delay_s]))),
        }
    }
    let mut cascades: Vec<Cascade> = cascades.into_iter().map(|(_, cascade)| cascade).collect();
    cascades
        .iter_mut()
        .for_each(|cascade| cascade.0.sort_unstable_by(f64::total_cmp));
    Ok(cascades)
}

/// A generated cascade.
pub fn generated(seed: u64, number: u64) -> Cascade {
    Cascade(cascade::cascade(seed, number))
}

impl Cascade {
    /// What the core would know of it at this age, and what it could not know.
    pub fn sample(&self, age_min: u32) -> Sample {
        let now_s = f64::from(age_min) * 60.0;
        let until = |second: f64| self.0.partition_point(|delay| *delay <= second) as u64;
        // The root itself, at zero, belongs to every window that reaches back to it.
        let last = |minutes: f64| {
            let from_s = now_s - minutes * 60.0;
            until(now_s) - if from_s <= 0.0 { 0 } else { until(from_s) }
        };
        Sample {
            course: Course {
                age: Milliseconds::from_minutes(i64::from(age_min)),
                last_5m: last(5.0),
                last_30m: last(30.0),
                last_3h: last(180.0),
            },
            last_hour: last(60.0),
            before: until(now_s),
            came: until(now_s + 3_600.0) - until(now_s),
        }
    }
}

impl Sample {
    /// Absolute error of a forecast, as part of all copies there are an hour later.
    pub fn error(&self, forecast: f64) -> f64 {
        (forecast - self.came as f64).abs() / (self.before + self.came).max(1) as f64
    }
}

/// The names of the figures at one age: mean and median error, coverage.
pub fn names_at(age_min: u32) -> [&'static str; 3] {
    macro_rules! names {
        ($age:literal) => {
            [
                concat!("mape_at_", $age),
                concat!("median_ape_at_", $age),
                concat!("coverage_90_at_", $age),
            ]
        };
    }
    match age_min {
        10 => names!("10m"),
        15 => names!("15m"),
        20 => names!("20m"),
        30 => names!("30m"),
        45 => names!("45m"),
        60 => names!("1h"),
        90 => names!("90m"),
        120 => names!("2h"),
        180 => names!("3h"),
        360 => names!("6h"),
        720 => names!("12h"),
        _ => names!("24h"),
    }
}
