//! What processes hold while they work: memory, descriptors, what is left to read.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::process::{self, Resources};

/// A process to be watched.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) process: u32,
    /// Where it writes how many records are left to read.
    pub(super) lag: PathBuf,
}

/// What one look at a process found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) resources: Resources,
    pub(super) lag: f64,
}

/// Looks at every subject so often until `ended`; gives what was seen of each. A process that ended is looked at no more.
pub(super) fn watch(subjects: &[Subject], every: Duration, ended: &AtomicBool) -> Vec<Vec<Sample>> {
    let began = Instant::now();
    let mut samples = vec![Vec::new(); subjects.len()];
    while !ended.load(Ordering::Relaxed) {
        for (subject, samples) in subjects.iter().zip(&mut samples) {
            let lag = std::fs::read_to_string(&subject.lag).unwrap_or_default();
            if let Ok(resources) = process::resources(subject.process) {
                samples.push(Sample {
                    at: began.elapsed(),
                    resources,
                    lag: lag.trim().parse().unwrap_or(0.0),
                });
            }
        }
        std::thread::sleep(every);
    }
    samples
}

/// The slope of a straight line through points by least squares, a minute; 0 for fewer than two.
pub(super) fn slope_per_minute(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> f64 {
    let count = samples.len() as f64;
    let minutes = |sample: &Sample| sample.at.as_secs_f64() / 60.0;
    let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (mean_at, mean_value) = (mean(&minutes), mean(&value));
    let (mut together, mut spread) = (0.0, 0.0);
    for sample in samples {
        together += (minutes(sample) - mean_at) * (value(sample) - mean_value);
        spread += (minutes(sample) - mean_at).powi(2);
    }
    if spread > 0.0 { together / spread } else { 0.0 }
}

#[cfg(test)]
mod tests {
    //! Goal: the slope is that of the line the points lie on.

    use super::*;

    #[test]
    fn a_line_has_its_slope() {
        let samples = |seconds: &[u64], per_second: f64| -> Vec<Sample> {
            let at = |second: &u64| Sample {
                at: Duration::from_secs(*second),
                resources: Resources {
                    resident_bytes: 0,
                    descriptors: 0,
                },
                lag: 7.0 + per_second * *second as f64,
            };
            seconds.iter().map(at).collect()
        };
        for (seconds, per_second) in [(&[0, 1, 2, 50][..], 0.5), (&[3, 4], -2.0), (&[1, 2, 3], 0.0)] {
            let slope = slope_per_minute(&samples(seconds, per_second), |sample| sample.lag);
            assert!((slope - 60.0 * per_second).abs() < 1e-9, "{slope}");
        }
        for few in [&[][..], &[5]] {
            assert_eq!(slope_per_minute(&samples(few, 1.0), |sample| sample.lag), 0.0);
        }
    }
}
