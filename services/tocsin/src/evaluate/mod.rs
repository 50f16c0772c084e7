//! Evaluations: the whole path, or one estimator over its range, against exact counts.

mod alarm;
mod casework;
mod days;
mod detectors;
mod elections;
mod families;
mod forecast;
mod incident;
mod invariance;
mod output;
mod reach;
mod real;
mod series;
mod truth;
mod windows;

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use flate2::read::MultiGzDecoder;
use serde_json::json;

use tocsin_loadtest::day::Scenario;

use crate::config::LogKind;
use crate::recorded::PostContent;
use crate::rehearsal::Figures;

/// What to evaluate.
#[derive(Debug, Subcommand)]
pub enum EvaluateCommand {
    /// The posts around an election: every answer of the API against exact counts, what each scope may not see, and how good the alarm is on
    /// them.
    Elections(ElectionsArguments),
    /// How good the alarm is on the posts around an election, mixed into ordinary traffic, beside the rivals; without the API.
    Posts(real::PostsArguments),
    /// How good the alarm is on retweet cascades, mixed into ordinary traffic, beside the rivals.
    Cascades(real::RealArguments),
    /// Any series of numbers with labelled anomalies, in the layout of the Numenta Anomaly Benchmark and by its score.
    Series(series::SeriesArguments),
    /// The Christchurch test: crises inside ordinary days, how early each is alarmed, and how often nothing is. Scale 1 is 100 days of 10
    /// crises.
    Christchurch(alarm::AlarmArguments),
    /// One day with the attack of Halle.
    Halle(alarm::AlarmArguments),
    /// One day with the attack of Buffalo.
    Buffalo(alarm::AlarmArguments),
    /// One day with the killing of Levittown: slow, on one platform.
    Levittown(alarm::AlarmArguments),
    /// One day without any crisis.
    Benign(alarm::AlarmArguments),
    /// One day on which somebody works against the alarm.
    Poisoning(alarm::AlarmArguments),
    /// Windowed counts of a day in the key groups, nine contents in ten seen once, against exact counts of a sample; and their bytes.
    Windows(EstimatorArguments),
    /// Distinct accounts: error and coverage over the whole range, merged sketches, and input crafted against an unkeyed sketch.
    Reach(EstimatorArguments),
    /// Which contents are one family: near pictures against brute force, and variants of generated crises.
    Families(families::FamiliesArguments),
    /// The order of the queue at work: days with ten crises among more cases than a team can decide about, beside the orders of today's tools and
    /// one that knows the future. Scale 1 is 20 days.
    Casework(EstimatorArguments),
    /// A scripted incident through a whole deployment: every figure of its debrief and of the reports beside exact counts and what was done when.
    Incident(incident::IncidentArguments),
    /// Whether what the alarm says follows from its input alone: one recorded input through 1, 4, 16 and 64 partitions, in blocks of three sizes,
    /// with all state read anew from its bytes at random events, compared byte for byte.
    Invariance(invariance::InvarianceArguments),
    /// The spread of the next hour: real and generated cascades, beside what anyone would try first.
    Forecast(ForecastArguments),
}

/// How to evaluate on generated input.
#[derive(Debug, Args)]
pub struct SuiteArguments {
    /// What the input is drawn from: the same seed gives the same figures, times aside.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How much input: 1 is the size that the figures are quoted at.
    #[arg(long, default_value_t = 1.0)]
    pub scale: f64,
    /// Where the figures go, as JSON.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// How to evaluate an estimator.
#[derive(Debug, Args)]
pub struct EstimatorArguments {
    /// Seed, scale and output.
    #[command(flatten)]
    pub suite: SuiteArguments,
    /// A directory for a file of rows, each an answer beside the truth: enough for anyone to score again.
    #[arg(long, value_name = "DIR")]
    pub rows: Option<PathBuf>,
    /// A directory for the page with figures and plots.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
}

/// How to evaluate forecasts.
#[derive(Debug, Args)]
pub struct ForecastArguments {
    /// Seed, scale and output.
    #[command(flatten)]
    pub estimator: EstimatorArguments,
    /// The cascades, as CSV or gzip of it: `cascade` and `delay_s`, seconds after the root. Without it: those beside the checkout, or under
    /// TOCSIN_SHARED.
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
}

/// How to evaluate the election posts.
#[derive(Debug, Args)]
pub struct ElectionsArguments {
    /// The posts, as CSV or gzip of it.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// Where the figures go, as JSON.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The log to run on. Kafka's brokers are named by `--set log.bootstrap=...` and must hold no topic of Tocsin.
    #[arg(long, value_enum, default_value = "embedded")]
    pub log: LogKind,
    /// What of a post is its content.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "phash,url,hashtag")]
    pub content: Vec<PostContent>,
    /// The most contents counted exactly.
    #[arg(long, default_value_t = 1 << 20)]
    pub hot_limit: u32,
    /// Partitions of the sightings.
    #[arg(long, default_value_t = 4)]
    pub partitions: u16,
    /// Events handed to the log at once: the fewer, the smaller the blocks that intake makes of them. What a unit commits follows from
    /// `--set detector.commit_interval_ms=...`.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    pub batch: usize,
    /// How often the replay stops and every content of the last day is read back.
    #[arg(long, default_value_t = 8)]
    pub stops: usize,
    /// Leave out what each scope may not see, which plays the end of the recording four times more.
    #[arg(long)]
    pub without_scopes: bool,
    /// Read only so many posts: a shorter run.
    #[arg(long)]
    pub posts: Option<usize>,
    /// How alarms are judged.
    #[command(flatten)]
    pub judging: real::JudgingArguments,
}

impl EvaluateCommand {
    /// Runs the evaluation and writes its figures.
    ///
    /// # Errors
    /// It cannot run; a figure that misses its bar is not an error.
    pub async fn run(&self, config: crate::config::Config) -> Result<()> {
        tocsin_runtime::telemetry::start_logging(&config.telemetry);
        match self {
            EvaluateCommand::Elections(arguments) => {
                let figures = elections::run(arguments, config).await?;
                // Nothing of it is drawn, and only so many posts are no stated share of them.
                let scale = arguments.posts.is_none().then_some(WHOLE);
                write_document("elections", None, scale, &arguments.out, &figures)
            }
            EvaluateCommand::Posts(arguments) => write_suite("posts", &arguments.real.suite, &real::posts(arguments)?),
            EvaluateCommand::Cascades(arguments) => {
                write_suite("cascades", &arguments.suite, &real::cascades(arguments)?)
            }
            EvaluateCommand::Series(arguments) => {
                let figures = series::run(arguments)?;
                write_document("series", None, Some(WHOLE), &arguments.out, &figures)
            }
            EvaluateCommand::Christchurch(arguments) => run_alarm(Scenario::Christchurch, arguments),
            EvaluateCommand::Halle(arguments) => run_alarm(Scenario::Halle, arguments),
            EvaluateCommand::Buffalo(arguments) => run_alarm(Scenario::Buffalo, arguments),
            EvaluateCommand::Levittown(arguments) => run_alarm(Scenario::Levittown, arguments),
            EvaluateCommand::Benign(arguments) => run_alarm(Scenario::Benign, arguments),
            EvaluateCommand::Poisoning(arguments) => run_alarm(Scenario::Poisoning, arguments),
            EvaluateCommand::Windows(arguments) => write_suite("windows", &arguments.suite, &windows::run(arguments)?),
            EvaluateCommand::Reach(arguments) => write_suite("reach", &arguments.suite, &reach::run(arguments)?),
            EvaluateCommand::Casework(arguments) => {
                write_suite("casework", &arguments.suite, &casework::run(arguments)?)
            }
            EvaluateCommand::Incident(arguments) => {
                let figures = Box::pin(incident::run(arguments, config)).await?;
                write_document("incident", Some(arguments.seed), Some(WHOLE), &arguments.out, &figures)
            }
            EvaluateCommand::Families(arguments) => {
                write_suite("families", &arguments.estimator.suite, &families::run(arguments)?)
            }
            EvaluateCommand::Invariance(arguments) => {
                write_suite("invariance", &arguments.suite, &invariance::run(arguments)?)
            }
            EvaluateCommand::Forecast(arguments) => {
                write_suite("forecast", &arguments.estimator.suite, &forecast::run(arguments)?)
            }
        }
    }
}

fn run_alarm(scenario: Scenario, arguments: &alarm::AlarmArguments) -> Result<()> {
    let figures = alarm::run(scenario, arguments)?;
    write_suite(scenario.name(), &arguments.suite, &figures)
}

fn write_suite(suite: &str, arguments: &SuiteArguments, figures: &Figures) -> Result<()> {
    let (seed, scale) = (Some(arguments.seed), Some(arguments.scale));
    write_document(suite, seed, scale, &arguments.out, figures)
}

/// The scale of what has one size.
const WHOLE: f64 = 1.0;

/// Every suite's document has the same keys; a seed is null where nothing is drawn, and a scale where it is no share of anything.
fn write_document(
    suite: &str,
    seed: Option<u64>,
    scale: Option<f64>,
    out: &Path,
    figures: &impl serde::Serialize,
) -> Result<()> {
    output::document(
        out,
        &json!({ "suite": suite, "seed": seed, "scale": scale, "figures": figures }),
    )
}

/// The real sets, below what TOCSIN_SHARED names.
const POSTS: &str = "data/german_elections/posts.csv.gz";
const CASCADES: &str = "data/retweet_cascades/cascades.csv.gz";

/// A file of the real sets: those beside the checkout, or under TOCSIN_SHARED.
fn shared(file: &str) -> PathBuf {
    let shared = std::env::var_os("TOCSIN_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    shared.join(file)
}

/// Opens a file that may be compressed by gzip.
fn open(path: &Path) -> Result<Box<dyn Read>> {
    let file = std::fs::File::open(path).with_context(|| {
        format!(
            "there is no set at {}: name one by --input FILE, or the directory that holds data/ by TOCSIN_SHARED",
            path.display()
        )
    })?;
    let compressed = path.extension().is_some_and(|extension| extension == "gz");
    Ok(if compressed {
        Box::new(MultiGzDecoder::new(BufReader::new(file)))
    } else {
        Box::new(BufReader::new(file))
    })
}

/// Names of figures are few and last as long as the process.
fn leak(name: String) -> &'static str {
    Box::leak(name.into_boxed_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write as _;

    use super::output::tests::read_page;
    use super::{EstimatorArguments, SuiteArguments, families, reach, windows};

    /// At this scale, with rows and page in the directory.
    fn small(scale: f64, directory: &std::path::Path) -> EstimatorArguments {
        EstimatorArguments {
            suite: SuiteArguments {
                seed: 7,
                scale,
                out: "-".into(),
            },
            rows: Some(directory.join("rows")),
            report: Some(directory.join("report")),
        }
    }

    #[test]
    fn windows_hold_the_truth_with_hot_contents_beside_them() {
        let directory = tempfile::tempdir().unwrap();
        let figures = windows::run(&small(0.002, directory.path())).unwrap();
        for prefix in ["", "mixed_", "crowd_"] {
            let figure = |name: &str| figures[format!("{prefix}{name}").as_str()].as_f64().unwrap();
            assert_eq!(figure("undercounts"), 0.0);
            assert_eq!(figure("lower_bounds_above_truth"), 0.0);
            assert_eq!(figure("bound_violations"), 0.0);
        }
        for prefix in ["", "mixed_"] {
            let figure = |name: &str| figures[format!("{prefix}{name}").as_str()].as_f64().unwrap();
            assert!(figure("error_p999") <= 2.0, "{figures:?}");
            assert!(
                figure("hot_records") > 500.0 && figure("cold_answers") > 500.0,
                "{figures:?}"
            );
        }
        let day = |name: &str| figures[name].as_f64().unwrap();
        assert_eq!(day("count_min_undercounts"), 0.0);
        assert!(day("day_error_mean") <= day("count_min_day_error_mean"), "{figures:?}");
        assert!(day("bytes_per_content_exact_table") >= 48.0, "{figures:?}");
        let crowd = |name: &str| figures[format!("crowd_{name}").as_str()].as_f64().unwrap();
        let spreads = crowd("spreads_of_each_course");
        for all in [
            "steady_kept_hot",
            "breaking_out_alarmed",
            "beginning_within_alarmed",
            "beginning_after_alarmed",
        ] {
            assert_eq!(crowd(all), spreads, "{all}: {figures:?}");
        }
        assert_eq!(crowd("breaking_out_copies_later_max"), 0.0, "{figures:?}");
        assert!(crowd("beginning_after_copies_later_max") <= 3.0, "{figures:?}");
        assert_eq!(crowd("false_alarms") + crowd("false_alarms_steady"), 0.0, "{figures:?}");
        assert!(crowd("error_max") > 100.0, "the flood is none: {figures:?}");
        let rows = std::fs::read_to_string(directory.path().join("rows/windows.csv")).unwrap();
        let compared = ["windows_compared", "mixed_windows_compared", "crowd_windows_compared"]
            .map(|name| figures[name].as_u64().unwrap());
        assert_eq!(rows.lines().count() as u64, 1 + compared.iter().sum::<u64>());
        read_page(&directory.path().join("report"), &figures);
    }

    #[test]
    fn reach_is_exact_up_to_64_and_within_its_interval_beyond() {
        let directory = tempfile::tempdir().unwrap();
        let figures = reach::run(&small(0.02, directory.path())).unwrap();
        let figure = |name: &str| figures[name].as_f64().unwrap();
        assert_eq!(figure("exact_mismatches_up_to_64"), 0.0);
        assert!(figure("rmse_p14_merged") <= 0.0085, "{figures:?}");
        assert!(figure("coverage_95_p14_merged") >= 0.87, "{figures:?}");
        assert!(figure("crafted_error_sigmas") <= 3.0, "{figures:?}");
        assert!(
            figure("crafted_error_unkeyed") > 1.0,
            "the crafted set is harmless: {figures:?}"
        );
        for rival in ["hyperloglogplus", "datasketches"] {
            let rmse = figure(&format!("{rival}_rmse_p12"));
            assert!(rmse > 0.0 && rmse < 0.025, "{figures:?}");
        }
        let rows = std::fs::read_to_string(directory.path().join("rows/reach.csv")).unwrap();
        assert_eq!(rows.lines().count(), 1 + 2 * 80);
        read_page(&directory.path().join("report"), &figures);
    }

    #[test]
    fn near_pictures_are_found_and_crises_keep_apart_from_lookalikes() {
        let directory = tempfile::tempdir().unwrap();
        let mut haystack = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut needles = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for number in 0..100_u8 {
            let picture: [u8; 32] = std::array::from_fn(|place| number.wrapping_mul(place as u8 | 1) ^ 0x5a);
            let hexadecimal = |bytes: [u8; 32]| bytes.map(|byte| format!("{byte:02x}")).concat();
            writeln!(haystack, "{}", hexadecimal(picture)).unwrap();
            let needle = std::array::from_fn(|place| picture[place] ^ u8::from(place < usize::from(number) / 3));
            writeln!(needles, "{}", hexadecimal(needle)).unwrap();
        }
        std::fs::write(directory.path().join("haystack.txt.gz"), haystack.finish().unwrap()).unwrap();
        std::fs::write(directory.path().join("needles.txt.gz"), needles.finish().unwrap()).unwrap();
        // A video of other pictures, a copy that differs in 64 bits of each frame but the first, and one with most bits changed.
        for (name, flipped) in [("orig-22-sd", 0x00), ("22-sd-grey", 0x11), ("22-with-large-logo", 0x7f)] {
            let mut frames = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            for number in 0..90_u8 {
                let flipped = |place| match (number, place) {
                    (0, 0..15) => flipped & 0x11,
                    (0, _) => 0,
                    _ => flipped,
                };
                let hash =
                    |place: usize| number.wrapping_mul(place as u8 * 2 + 3).rotate_left(3) ^ 0x33 ^ flipped(place);
                let hash: String = (0..32).map(|place| format!("{:02x}", hash(place))).collect();
                writeln!(frames, "{number},90,{hash},{}.000", number / 30).unwrap();
            }
            let file = directory.path().join(format!("chair-{name}-bar.txt.gz"));
            std::fs::write(file, frames.finish().unwrap()).unwrap();
        }
        let arguments = families::FamiliesArguments {
            estimator: small(0.02, directory.path()),
            input: Some(directory.path().to_owned()),
            videos: Some(directory.path().to_owned()),
        };
        let figures = families::run(&arguments).unwrap();
        let figure = |name: &str| figures[name].as_f64().unwrap();
        let videos = [
            "video_copies_joined",
            "video_grey_share",
            "video_grey_share_31",
            "video_others",
        ];
        assert_eq!(videos.map(figure), [1.0, 100.0, 2.0, 2.0], "{figures:?}");
        assert_eq!(figure("video_others_joined"), 0.0);
        assert!(figure("pairs_31") >= 96.0, "{figures:?}");
        for name in [
            "recall_31",
            "precision_31",
            "generated_recall_31",
            "generated_precision_31",
        ] {
            assert_eq!(figure(name), 1.0, "{name}");
        }
        assert!(figure("family_recall_multi_signal") >= 0.9, "{figures:?}");
        assert!(
            figure("family_recall_no_signal") < 0.01,
            "the truth is no input: {figures:?}"
        );
        assert_eq!((figure("benign_merges"), figure("crises_merged")), (0.0, 0.0));
        let rows = std::fs::read_to_string(directory.path().join("rows/families.csv")).unwrap();
        assert_eq!(rows.lines().count(), 1 + 2 * 800);
        read_page(&directory.path().join("report"), &figures);

        std::fs::write(directory.path().join("needles.txt.gz"), "no gzip").unwrap();
        assert!(families::run(&arguments).is_err());
    }
}
