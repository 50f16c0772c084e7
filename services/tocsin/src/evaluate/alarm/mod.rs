//! How good the alarm is: days with ground truth, played to the key groups and to rivals, and scored.

pub(super) mod core;
mod figures;
mod page;
mod play;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use tocsin_loadtest::day::{DayPlan, Scale, Scenario};
use tocsin_loadtest::score::AlarmRow;
use tocsin_loadtest::truth::{DayRow, TruthRow};

use self::core::Sizes;
use self::play::{Exact, Play, Played};
use super::SuiteArguments;
use crate::rehearsal::Figures;

/// How to evaluate the alarm.
#[derive(Debug, Args)]
pub struct AlarmArguments {
    /// Seed, scale and output.
    #[command(flatten)]
    pub suite: SuiteArguments,
    /// A directory for days.csv, truth.csv and alarms.csv: enough for anyone to score again.
    #[arg(long, value_name = "DIR")]
    pub rows: Option<PathBuf>,
    /// A directory for the page with figures and plots.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Days on which the rule is also asked with exact counts of every content: each takes several times as long as another.
    #[arg(long, default_value_t = 1)]
    pub exact_days: usize,
}

/// At scale 1 the headline has so many days, each at this scale of its own: 10^8 content-days.
const HEADLINE_DAYS: f64 = 100.0;
const HEADLINE_SCALE: Scale = Scale(0.01);
/// A day of a single scenario has this scale, times that of the arguments.
const SCENARIO_SCALE: f64 = 0.01;

/// Plays a scenario and scores it.
///
/// # Errors
/// The scale leaves nothing to play, or files cannot be written.
pub fn run(scenario: Scenario, arguments: &AlarmArguments) -> Result<Figures> {
    let plans = plans(scenario, &arguments.suite)?;
    let played = play_all(&plans, arguments.exact_days);
    if let Some(directory) = &arguments.rows {
        write_rows(directory, &played)?;
    }
    let figures = figures::of(&played);
    if let Some(directory) = &arguments.report {
        std::fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
        let file = directory.join("index.html");
        let page = page::of(scenario, &arguments.suite, &figures, &played);
        std::fs::write(&file, page.to_html()).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(figures)
}

fn plans(scenario: Scenario, suite: &SuiteArguments) -> Result<Vec<DayPlan>> {
    ensure!(
        suite.scale > 0.0 && suite.scale <= 1_000.0,
        "a scale of {} is not above 0 and at most 1000",
        suite.scale
    );
    Ok(if scenario == Scenario::Christchurch {
        let days = (HEADLINE_DAYS * suite.scale).max(1.0) as u32;
        // Below a day, the day itself gets smaller.
        let scale = Scale(HEADLINE_SCALE.0 * (HEADLINE_DAYS * suite.scale).min(1.0));
        (0..days).map(|day| DayPlan::headline(scale, suite.seed, day)).collect()
    } else {
        vec![DayPlan::new(scenario, Scale(SCENARIO_SCALE * suite.scale), suite.seed)]
    })
}

/// Plays all days, as many at a time as there are processors. In the order of the plans.
fn play_all(plans: &[DayPlan], exact_days: usize) -> Vec<Played> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism()
        .map_or(1, |count| count.get())
        .min(plans.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let place = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(plan) = plans.get(place)
                {
                    let played = play::play(plan, play_of(plan, place < exact_days));
                    tracing::info!(day = place, records = played.records, "played a day");
                    done.lock()
                        .expect("no thread panics while it holds this")
                        .push((place, played));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("all threads have ended");
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, played)| played).collect()
}

fn play_of(plan: &DayPlan, exact: bool) -> Play {
    let contents = plan.ordinary.once_per_day + f64::from(plan.ordinary.popular);
    Play {
        sizes: Sizes::for_contents(contents),
        exact: if exact { Exact::Too } else { Exact::LeftOut },
    }
}

fn write_rows(directory: &Path, played: &[Played]) -> Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    let write = |name: &str, header: &str, lines: Vec<String>| {
        let file = directory.join(name);
        let text = std::iter::once(header.to_owned())
            .chain(lines)
            .map(|line| line + "\n")
            .collect::<String>();
        std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))
    };
    write(
        "days.csv",
        DayRow::HEADER,
        played.iter().map(|played| played.day.to_csv()).collect(),
    )?;
    let truths = played.iter().flat_map(|played| &played.truths);
    write("truth.csv", TruthRow::HEADER, truths.map(TruthRow::to_csv).collect())?;
    let alarms = played.iter().flat_map(|played| &played.alarms);
    write("alarms.csv", AlarmRow::HEADER, alarms.map(AlarmRow::to_csv).collect())
}
