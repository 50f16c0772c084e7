//! How good the alarm is: days with ground truth, played to the key groups and to rivals, and scored.

mod accounts;
mod bounds;
pub(super) mod core;
mod figures;
mod page;
mod paging;
mod play;
mod poisoning;
mod queue;
pub(super) mod steps;
mod unlinked;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use tocsin_loadtest::day::{DayPlan, Scale, Scenario};
use tocsin_loadtest::score::AlarmRow;
use tocsin_loadtest::truth::{DayRow, TruthRow};

use self::core::Sizes;
use self::paging::Paging;
use self::play::{Exact, Play, Played};
use self::poisoning::Poisoning;
use self::queue::Queue;
use self::unlinked::{CrisisRow, Unlinked};
use super::days::{processors, side_by_side};
use super::{SuiteArguments, output};
use crate::rehearsal::Figures;

/// How to evaluate the alarm.
#[derive(Debug, Args)]
pub struct AlarmArguments {
    /// Seed, scale and output.
    #[command(flatten)]
    pub suite: SuiteArguments,
    /// A directory for days.csv, truth.csv and alarms.csv, and unlinked.csv of that run: enough for anyone to score again.
    #[arg(long, value_name = "DIR")]
    pub rows: Option<PathBuf>,
    /// A directory for the page with figures and plots.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Days on which the rule is also asked with exact counts of every content: each takes several times as long as another.
    #[arg(long, default_value_t = 1)]
    pub exact_days: usize,
    /// What to play of the scenario christchurch; the others have one run.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "headline,paging,queue")]
    pub run: Vec<Run>,
    /// How many headline days to pool. Without it: as many as the scale stands for, 100 at scale 1.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub days: Option<u32>,
}

/// A run of the scenario christchurch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Run {
    /// Independent days of ten crises, without labels: how early, and how often for nothing.
    Headline,
    /// Days of ten crises and twenty large cascades with labels: who is interrupted.
    Paging,
    /// A day of 5,000 cascades: the order of the queue.
    Queue,
    /// Days of ten crises whose variants have their own hashes and are linked by what is found. It takes some minutes at scale 1.
    Unlinked,
}

/// What was played.
#[derive(Debug, Default)]
struct Results {
    headline: Vec<Played>,
    paging: Option<Paging>,
    queue: Option<Queue>,
    poisoning: Option<Poisoning>,
    unlinked: Option<Unlinked>,
}

/// At scale 1 the headline has so many days, each at this scale of its own: 10^8 content-days.
const HEADLINE_DAYS: f64 = 100.0;
const HEADLINE_SCALE: Scale = Scale(0.01);
/// Days of the paging run that count, at scale 1 and at most.
const PAGING_DAYS: f64 = 5.0;
/// A day of a single scenario has this scale, times that of the arguments.
const SCENARIO_SCALE: f64 = 0.01;

/// Plays a scenario and scores it.
///
/// # Errors
/// The scale leaves nothing to play, or files cannot be written.
pub fn run(scenario: Scenario, arguments: &AlarmArguments) -> Result<Figures> {
    let scale = arguments.suite.scale;
    ensure!(
        scale > 0.0 && scale <= 1_000.0,
        "a scale of {scale} is not above 0 and at most 1000"
    );
    let results = play_runs(scenario, arguments);
    if let Some(directory) = &arguments.rows {
        write_rows(directory, &results)?;
    }
    let figures = figures::of(&results);
    if let Some(directory) = &arguments.report {
        let page = page::of(scenario, &arguments.suite, &figures, &results);
        output::page(directory, page, &figures)?;
    }
    Ok(figures)
}

fn play_runs(scenario: Scenario, arguments: &AlarmArguments) -> Results {
    let suite = &arguments.suite;
    let plays = |run| scenario != Scenario::Christchurch || arguments.run.contains(&run);
    let mut results = Results::default();
    if plays(Run::Headline) {
        results.headline = play_all(&plans(scenario, arguments), arguments.exact_days, processors());
    }
    let (scale, seed) = (day_scale(suite.scale), suite.seed);
    match scenario {
        Scenario::Christchurch => std::thread::scope(|scope| {
            let days = (PAGING_DAYS * suite.scale).clamp(1.0, PAGING_DAYS) as u32;
            let paging = plays(Run::Paging).then(|| scope.spawn(move || paging::run(scale, seed, days)));
            let queue = plays(Run::Queue).then(|| scope.spawn(move || queue::run(scale, seed)));
            let of_suite = suite.scale;
            let unlinked = plays(Run::Unlinked).then(|| scope.spawn(move || unlinked::run(of_suite, seed)));
            let ended = "it panics only where the program is wrong";
            results.paging = paging.map(|thread| thread.join().expect(ended));
            results.queue = queue.map(|thread| thread.join().expect(ended));
            results.unlinked = unlinked.map(|thread| thread.join().expect(ended));
        }),
        Scenario::Poisoning => {
            results.poisoning = results
                .headline
                .first()
                .map(|_| poisoning::run(&plans(scenario, arguments)[0]));
        }
        Scenario::Halle | Scenario::Buffalo | Scenario::Levittown | Scenario::Benign => {}
    }
    results
}

/// Below a headline day, the day itself gets smaller.
fn day_scale(scale: f64) -> Scale {
    Scale(HEADLINE_SCALE.0 * (HEADLINE_DAYS * scale).min(1.0))
}

fn plans(scenario: Scenario, arguments: &AlarmArguments) -> Vec<DayPlan> {
    let suite = &arguments.suite;
    if scenario != Scenario::Christchurch {
        return vec![DayPlan::new(scenario, Scale(SCENARIO_SCALE * suite.scale), suite.seed)];
    }
    let days = arguments.days.unwrap_or((HEADLINE_DAYS * suite.scale).max(1.0) as u32);
    let scale = day_scale(suite.scale);
    (0..days).map(|day| DayPlan::headline(scale, suite.seed, day)).collect()
}

/// Plays all days, so many at a time.
fn play_all(plans: &[DayPlan], exact_days: usize, threads: usize) -> Vec<Played> {
    side_by_side(plans, threads, |place, plan| {
        play::play(plan, play_of(plan, place < exact_days))
    })
}

fn play_of(plan: &DayPlan, exact: bool) -> Play {
    Play {
        sizes: Sizes::for_day(plan),
        exact: if exact { Exact::Too } else { Exact::LeftOut },
    }
}

fn write_rows(directory: &Path, results: &Results) -> Result<()> {
    if let Some(unlinked) = &results.unlinked {
        let crises = unlinked.crises.iter().map(CrisisRow::to_csv);
        output::rows(directory, "unlinked.csv", CrisisRow::HEADER, crises)?;
    }
    let played = &results.headline;
    if played.is_empty() {
        return Ok(());
    }
    let days = played.iter().map(|played| played.day.to_csv());
    output::rows(directory, "days.csv", DayRow::HEADER, days)?;
    let truths = played.iter().flat_map(|played| &played.truths);
    output::rows(directory, "truth.csv", TruthRow::HEADER, truths.map(TruthRow::to_csv))?;
    let alarms = played.iter().flat_map(|played| &played.alarms);
    output::rows(directory, "alarms.csv", AlarmRow::HEADER, alarms.map(AlarmRow::to_csv))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn arguments(scale: f64, days: Option<u32>) -> AlarmArguments {
        AlarmArguments {
            suite: SuiteArguments {
                seed: 3,
                scale,
                out: "-".into(),
            },
            rows: None,
            report: None,
            exact_days: 0,
            run: vec![Run::Headline],
            days,
        }
    }

    #[test]
    fn the_scale_says_how_many_days_unless_somebody_does_and_below_one_how_large_it_is() {
        for (scale, days, expected) in [
            (1.0, None, (100, 0.01)),
            (0.03, None, (3, 0.01)),
            (0.01, Some(7), (7, 0.01)),
            (0.001, None, (1, 0.001)),
            (0.001, Some(2), (2, 0.001)),
        ] {
            let plans = plans(Scenario::Christchurch, &arguments(scale, days));
            let contents = DayPlan::ordinary(Scale(expected.1), 3, 0).ordinary.once_per_day;
            assert_eq!(plans.len(), expected.0, "{scale} {days:?}");
            assert!(
                (plans[0].ordinary.once_per_day / contents - 1.0).abs() < 1e-9,
                "{scale} {days:?}"
            );
        }
    }

    #[test]
    fn pooled_days_are_the_same_however_many_are_played_at_a_time() {
        let plans: Vec<DayPlan> = (0..3).map(|day| DayPlan::ordinary(Scale(2e-5), 3, day)).collect();
        let rows = |threads| {
            let played = play_all(&plans, 1, threads);
            let days = played.iter().map(|played| played.day.to_csv());
            let alarms = played
                .iter()
                .flat_map(|played| played.alarms.iter().map(AlarmRow::to_csv));
            days.chain(alarms).collect::<Vec<String>>()
        };
        let alone = rows(1);
        assert!(alone.len() > 10, "nothing rang: {alone:?}");
        assert_eq!(alone, rows(3));
    }

    /// Nothing but what the plan has of crises.
    fn without_background(mut plan: DayPlan) -> DayPlan {
        plan.ordinary.once_per_day = 0.0;
        plan.ordinary.popular_events_per_day = 0.0;
        (plan.bursts.per_day, plan.cascades.per_day) = (0.0, 0.0);
        plan.news.clear();
        plan.launches.clear();
        plan.petitions.clear();
        plan
    }

    fn figures_of(plan: DayPlan) -> Figures {
        let headline = play_all(&[plan], 1, 1);
        figures::of(&Results {
            headline,
            ..Results::default()
        })
    }

    #[test]
    fn without_a_background_the_crisis_rings_and_an_empty_day_gives_no_broken_figure() {
        let crisis = DayPlan::new(Scenario::Halle, Scale(1e-5), 3);
        let mut empty = without_background(crisis.clone());
        empty.crises.clear();
        let figures = figures_of(without_background(crisis));
        assert_eq!((&figures["crises"], &figures["crises_alarmed"]), (&1.into(), &1.into()));
        assert_eq!(
            (&figures["false_alarms"], &figures["exact_crises_alarmed"]),
            (&0.into(), &1.into())
        );
        let nothing = figures_of(empty);
        assert_eq!(
            (&nothing["records"], &nothing["crises"], &nothing["false_alarms"]),
            (&0.into(), &0.into(), &0.into())
        );
        for (name, value) in figures.iter().chain(&nothing) {
            // An alarm may come before what is called the onset.
            let may_be_negative = name.contains("delay");
            assert!(
                may_be_negative || value.is_null() || value.as_f64() >= Some(0.0),
                "{name}: {value}"
            );
        }
    }

    /// The second party says nothing for 20 minutes and then all of it within five seconds.
    #[test]
    fn a_party_that_was_silent_raises_nothing_false_when_it_is_heard_again() {
        let mut with = DayPlan::headline(Scale(2e-4), 5, 0);
        // Of ten crises the one during which it is silent.
        with.crises = vec![with.crises[5].clone()];
        assert!(
            with.disorder
                .silence
                .is_some_and(|silence| silence.lasts.0 == 20 * 60_000)
        );
        let mut without = with.clone();
        without.disorder.silence = None;
        let rang = |plan: DayPlan| {
            let played = play_all(&[plan], 0, 1);
            let ours = played[0].alarms.iter().filter(|alarm| alarm.detector == play::TOCSIN);
            ours.map(|alarm| alarm.family)
                .collect::<std::collections::BTreeSet<_>>()
        };
        let (with, without) = (rang(with), rang(without));
        assert!(
            with.iter()
                .any(|family| family.kind() == tocsin_loadtest::day::FamilyKind::Crisis)
        );
        assert!(with.is_subset(&without), "{with:?}, without the silence {without:?}");
    }
}
