//! The order of the queue at work: what decisions prevent when cases come faster than a team can decide, in Tocsin's order, in those of today's
//! tools, and in one that knows the truth and the future.
//!
//! Every order gets the same cases, those of a day on which nobody decides: a decision here changes nothing of what is uploaded afterwards, it is
//! worth what was still to come. And the clocks and notices of the day's crises, kept in a store as a deployment keeps them, beside the truth (`hours`).

mod day;
mod desk;
mod hours;
mod page;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tocsin_loadtest::day::{DayPlan, Scale};
use tocsin_model::nearest_rank;

use self::day::{CaseDay, is_violating};
use self::desk::{Order, Outcome};
use self::hours::Kept;
use super::days::{processors, side_by_side};
use super::{EstimatorArguments, leak, output};
use crate::rehearsal::Figures;

/// At scale 1.
const DAYS: f64 = 20.0;
/// Of the ordinary traffic; a day's crises and cascades are as many at every scale.
const DAY_SCALE: Scale = Scale(0.01);
/// Below one whole day the day itself gets smaller.
const DAY_SCALE_MIN: f64 = 1e-4;
/// So many cases come for each that the team can decide about.
const CROWDED: f64 = 1.5;
/// Days are drawn with replacement so often for a lower bound of a ratio.
const RESAMPLES: usize = 10_000;

/// A day, and what became of it in each order.
#[derive(Debug)]
struct Worked {
    number: u32,
    crises: usize,
    crises_raised: usize,
    arrivals: u64,
    per_minute: f64,
    exposure: u64,
    outcomes: BTreeMap<Order, Outcome>,
    kept: Kept,
}

/// A figure of what a store kept, by its name.
type KeptFigure = (&'static str, fn(&Kept) -> u64);

/// Plays the days and lets a team decide in each order.
///
/// # Errors
/// The scale leaves nothing to play, or files cannot be written.
pub(super) fn run(arguments: &EstimatorArguments) -> Result<Figures> {
    let suite = &arguments.suite;
    ensure!(
        suite.scale > 0.0 && suite.scale <= 1_000.0,
        "a scale of {} is not above 0 and at most 1000",
        suite.scale
    );
    let days = (DAYS * suite.scale).max(1.0) as u32;
    let scale = Scale(DAY_SCALE.0 * (DAYS * suite.scale).clamp(DAY_SCALE_MIN / DAY_SCALE.0, 1.0));
    let plans: Vec<DayPlan> = (0..days).map(|day| DayPlan::casework(scale, suite.seed, day)).collect();
    let worked = side_by_side(&plans, processors(), |_, plan| worked(plan));
    let worked: Vec<Worked> = worked.into_iter().collect::<Result<_>>()?;
    let figures = figures(&worked, suite.seed);
    if let Some(directory) = &arguments.rows {
        output::rows(directory, "casework.csv", ROWS_HEADER, worked.iter().flat_map(rows))?;
    }
    if let Some(directory) = &arguments.report {
        output::page(directory, page::of(suite, &figures, &worked), &figures)?;
    }
    Ok(figures)
}

fn worked(plan: &DayPlan) -> Result<Worked> {
    let kept = hours::keep(plan)?;
    let day = CaseDay::play(plan);
    let arrivals = day.arrivals();
    let per_minute = arrivals as f64 / CROWDED / day.minutes.len() as f64;
    let violating = || day.truth.families().iter().filter(|told| is_violating(told.family));
    let raised = |told: &&tocsin_loadtest::truth::FamilyTruth| {
        let came = |minute: &day::Minute| minute.came.iter().any(|(_, family)| *family == told.family);
        day.minutes.iter().any(came)
    };
    let exposure = violating().map(|told| day.truth.after(told.family, plan.stream_begins_at()).exposure);
    Ok(Worked {
        kept,
        number: plan.number,
        crises: violating().count(),
        crises_raised: violating().filter(raised).count(),
        arrivals,
        per_minute,
        exposure: exposure.sum(),
        outcomes: Order::ALL
            .into_iter()
            .map(|order| (order, desk::work(&day, order, per_minute)))
            .collect(),
    })
}

const ROWS_HEADER: &str = "day,order,crises,arrivals,decisions_per_minute,decisions,unreviewed,exposure,prevented,crises_decided,wait_share_max";

/// Enough for anyone to pool again.
fn rows(worked: &Worked) -> Vec<String> {
    let outcomes = worked.outcomes.iter();
    let row = |(order, outcome): (&Order, &Outcome)| {
        format!(
            "{},{},{},{},{},{},{},{},{},{},{}",
            worked.number,
            order.name(),
            worked.crises,
            worked.arrivals,
            worked.per_minute,
            outcome.decisions,
            outcome.unreviewed,
            worked.exposure,
            outcome.prevented,
            outcome.decided_after_s.len(),
            outcome.wait_share_max,
        )
    };
    outcomes.map(row).collect()
}

fn figures(worked: &[Worked], seed: u64) -> Figures {
    let days = worked.len() as f64;
    let sum = |of: &dyn Fn(&Worked) -> f64| worked.iter().map(of).sum::<f64>();
    let mut figures = Figures::from([
        ("casework_days", json!(worked.len())),
        ("crises", json!(sum(&|day| day.crises as f64))),
        ("crises_raised", json!(sum(&|day| day.crises_raised as f64))),
        ("cases_per_day", json!(sum(&|day| day.arrivals as f64) / days)),
        ("decisions_per_minute", json!(sum(&|day| day.per_minute) / days)),
        ("exposure", json!(sum(&|day| day.exposure as f64))),
        (
            "waits_beyond_limit",
            json!(sum(&|day| day.outcomes[&Order::Priority].waits_beyond_limit as f64)),
        ),
    ]);
    let kept: [KeptFigure; 6] = [
        ("clocks_compared", |kept| kept.clocks),
        ("clock_mismatches", |kept| kept.clock_mismatches),
        ("notices_compared", |kept| kept.notices),
        ("notice_mismatches", |kept| kept.notice_mismatches),
        ("orders_overdue", |kept| kept.orders_overdue),
        ("orders_escalated_late", |kept| kept.orders_escalated_late),
    ];
    for (name, of) in kept {
        figures.insert(name, json!(worked.iter().map(|day| of(&day.kept)).sum::<u64>()));
    }
    let longest = worked.iter().map(|day| day.outcomes[&Order::Priority].wait_share_max);
    figures.insert("wait_share_of_limit_max", json!(longest.fold(0.0, f64::max)));
    for order in Order::ALL {
        let of = |what: fn(&Outcome) -> f64| sum(&|day| what(&day.outcomes[&order]));
        let mut delays: Vec<f64> = worked
            .iter()
            .flat_map(|day| day.outcomes[&order].decided_after_s.iter().copied())
            .collect();
        delays.sort_by(f64::total_cmp);
        let mut waiting: Vec<usize> = worked
            .iter()
            .flat_map(|day| day.outcomes[&order].waiting.iter().copied())
            .collect();
        waiting.sort_unstable();
        for (name, value) in [
            ("exposure_prevented", json!(of(|outcome| outcome.prevented as f64))),
            ("decisions", json!(of(|outcome| outcome.decisions as f64))),
            ("unreviewed", json!(of(|outcome| outcome.unreviewed as f64))),
            ("crises_decided", json!(delays.len())),
            (
                "seconds_to_decision_p50",
                nearest_rank(&delays, 50)
                    .copied()
                    .map_or(Value::Null, |value| json!(value)),
            ),
            ("waiting_p50", json!(nearest_rank(&waiting, 50))),
        ] {
            figures.insert(leak(format!("{name}_{}", order.name())), value);
        }
    }
    let pairs = |one: Order, other: Order| -> Vec<(f64, f64)> {
        let prevented = |day: &Worked, order| day.outcomes[&order].prevented as f64;
        let days = worked.iter();
        days.map(|day| (prevented(day, one), prevented(day, other))).collect()
    };
    for rival in [Order::Entry, Order::Reports, Order::Clairvoyant] {
        let pairs = pairs(Order::Priority, rival);
        let name = format!("exposure_prevented_vs_{}", rival.name());
        figures.insert(leak(format!("{name}_lower95")), told(lower95(&pairs, seed)));
        figures.insert(leak(name), told(ratio(pairs.iter().copied())));
    }
    // What there was to prevent, by one who always takes what prevents most from now on.
    for rival in [Order::Entry, Order::Reports] {
        let future = ratio(pairs(Order::Clairvoyant, rival).into_iter());
        figures.insert(
            leak(format!("exposure_prevented_clairvoyant_vs_{}", rival.name())),
            told(future),
        );
    }
    figures
}

/// What is infinite has no place in JSON.
fn told(ratio: f64) -> Value {
    if ratio.is_finite() { json!(ratio) } else { Value::Null }
}

/// Of pooled sums. Infinite where the rival prevents nothing; NaN where neither does.
fn ratio(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (ours, theirs) = pairs.fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    ours / theirs
}

/// The one-sided lower bound of a ratio of sums that holds with 95 % confidence: the fifth percentile of days drawn with replacement (Efron
/// 1979). Of a single day it is the ratio itself.
fn lower95(pairs: &[(f64, f64)], seed: u64) -> f64 {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut drawn: Vec<f64> = (0..RESAMPLES)
        .map(|_| ratio((0..pairs.len()).map(|_| pairs[random.random_range(0..pairs.len())])))
        .filter(|ratio| !ratio.is_nan())
        .collect();
    drawn.sort_by(f64::total_cmp);
    drawn.get(drawn.len() / 20).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_bound_lies_below_the_ratio_and_is_it_where_all_days_are_alike() {
        let alike = vec![(30.0, 10.0); 20];
        assert_eq!(lower95(&alike, 1), 3.0);
        let apart: Vec<(f64, f64)> = (0..20).map(|day| (f64::from(day), 10.0)).collect();
        let (bound, whole) = (lower95(&apart, 1), ratio(apart.iter().copied()));
        assert!(bound < whole && bound > whole / 2.0, "{bound} of {whole}");
    }
}
