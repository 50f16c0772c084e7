//! Any series of numbers with labelled anomalies: a detection file for each, and the score of the Numenta Anomaly Benchmark, all with one fixed
//! setting.
//!
//! What this is for: the idea of the trigger (the most telling of many windows, against a null that is wider than chance) on series that others
//! have labelled, beside the figures that are published for other detectors. It is no part of the alarm: there is no content, account or
//! platform in a series.
//!
//! Start reading at [`run`]; the detector is in `detect`, the score in `score`.

mod detect;
mod page;
mod read;
mod score;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::json;

use self::detect::{Detector, THRESHOLD};
use self::page::Detected;
use self::read::Series;
use self::score::{PROFILES, Scored};
use super::{leak, output};
use crate::rehearsal::Figures;

/// How to evaluate on series.
#[derive(Debug, Args)]
pub struct SeriesArguments {
    /// The directory: `data/**/*.csv` with the columns `timestamp` and `value`, and `labels/combined_windows.json`, which names for each file
    /// below `data` the windows of its anomalies: `{"a/b.csv": [["2014-02-14 14:30:00", "2014-02-14 16:30:00"]]}`.
    #[arg(long, value_name = "DIR")]
    pub input: PathBuf,
    /// The labels, where they are elsewhere.
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Where the figures go, as JSON.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// A directory for the detection files: `a/tocsin_b.csv` for `a/b.csv`, as in the benchmark's `results/tocsin`.
    #[arg(long, value_name = "DIR")]
    pub rows: Option<PathBuf>,
    /// A directory for the page with figures and plots.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
}

/// Runs the detector over every series.
///
/// # Errors
/// There is no series, or one or its labels are of another form: the message begins with a code and says where. Or files cannot be written.
pub fn run(arguments: &SeriesArguments) -> Result<Figures> {
    let all = read::all(&arguments.input, arguments.labels.as_deref())?;
    let mut scored = Vec::with_capacity(all.len());
    let mut detected: Vec<Vec<usize>> = Vec::with_capacity(all.len());
    for series in &all {
        let mut detector = Detector::default();
        let scores: Vec<f64> = series.values.iter().map(|value| detector.observe(*value)).collect();
        detected.push((0..scores.len()).filter(|row| scores[*row] >= THRESHOLD).collect());
        if let Some(directory) = &arguments.rows {
            write(directory, series, &scores)?;
        }
        scored.push(Scored::new(&series.windows, scores));
    }
    let sum = |of: fn(&Series) -> usize| all.iter().map(of).sum::<usize>();
    let mut figures = Figures::from([
        ("series", json!(all.len())),
        (
            "series_without_labels",
            json!(sum(|series| usize::from(!series.is_labelled))),
        ),
        ("values", json!(sum(|series| series.values.len()))),
        ("windows", json!(scored.iter().map(Scored::windows).sum::<usize>())),
        (
            "windows_found",
            json!(scored.iter().map(|scored| scored.found(THRESHOLD)).sum::<usize>()),
        ),
        ("detections", json!(detected.iter().map(Vec::len).sum::<usize>())),
        (
            "detections_outside",
            json!(scored.iter().map(|scored| scored.outside(THRESHOLD)).sum::<usize>()),
        ),
        ("threshold", json!(THRESHOLD)),
    ]);
    for profile in &PROFILES {
        let name = profile.name;
        figures.insert(
            leak(format!("nab_{name}")),
            json!(score::normalised(&scored, profile, THRESHOLD)),
        );
        // What the benchmark publishes: the threshold that scores best on the same labels.
        let best = score::best(&scored, profile);
        figures.insert(leak(format!("nab_{name}_best")), json!(best.map(|best| best.score)));
        figures.insert(
            leak(format!("nab_{name}_best_threshold")),
            json!(best.map(|best| best.threshold)),
        );
    }
    if let Some(directory) = &arguments.report {
        let of_series = all.iter().zip(&scored).zip(&detected);
        let detected: Vec<Detected<'_>> = of_series
            .map(|((series, scored), rows)| Detected { series, scored, rows })
            .collect();
        output::page(directory, page::of(&figures, &detected), &figures)?;
    }
    Ok(figures)
}

/// The benchmark's layout of results: `timestamp,value,anomaly_score,label`; the label is 1 within a window.
fn write(directory: &Path, series: &Series, scores: &[f64]) -> Result<()> {
    let name = series.file.file_name().unwrap_or_default().to_string_lossy();
    let file = directory.join(series.file.with_file_name(format!("tocsin_{name}")));
    let parent = file.parent().unwrap_or(directory);
    std::fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
    let mut text = "timestamp,value,anomaly_score,label\n".to_owned();
    for (place, ((timestamp, value), score)) in series.timestamps.iter().zip(&series.values).zip(scores).enumerate() {
        let label = u8::from(series.windows.iter().any(|window| window.contains(&place)));
        text += &format!("{timestamp},{value},{score},{label}\n");
    }
    std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))
}
