//! What a person is told of the order of the queue at work.

use tocsin_loadtest::report::{Axis, Bar, Chart, Estimate, Line, Report, Section, Style, short};

use super::Worked;
use super::desk::{OLDEST_EVERY, Order};
use crate::evaluate::SuiteArguments;
use crate::evaluate::output::{columns, number};
use crate::rehearsal::Figures;

/// The page.
pub(super) fn of(suite: &SuiteArguments, figures: &Figures, worked: &[Worked]) -> Report {
    let figure = |name: &str| number(figures, name);
    // A ratio is infinite where the other order prevents nothing and ours something; where neither does nothing is shown.
    let prevents = figure("exposure_prevented_priority").is_some_and(|prevented| prevented > 0.0);
    let otherwise = if prevents { f64::INFINITY } else { 0.0 };
    // The bound is of days drawn anew: of one day there is none.
    let days = figure("casework_days").unwrap_or(0.0);
    let at_least = |meaning: &str, name: &str, target| {
        let value = figure(name).unwrap_or(otherwise);
        let low = match days > 1.0 {
            true => figure(&format!("{name}_lower95")).unwrap_or(otherwise),
            false => f64::NEG_INFINITY,
        };
        let high = f64::INFINITY;
        Bar::estimated_at_least(meaning, Estimate { value, low, high }, target)
    };
    Report {
        title: "Does the most preventable harm come first?".to_owned(),
        introduction: vec![
            "On each day ten attacks spread among thousands of harmless cascades, and three cases come for every two that the team can decide \
             about. Each decision takes a minute and is worth what people would still have seen of an attack after it. The same cases are decided \
             in four orders."
                .to_owned(),
        ],
        bars: vec![
            at_least(
                "times as much exposure prevented as first in, first out",
                "exposure_prevented_vs_fifo",
                2.0,
            ),
            at_least(
                "times as much as by the number of reports",
                "exposure_prevented_vs_report_count",
                2.0,
            ),
            at_least(
                "of what an order that knows the future prevents",
                "exposure_prevented_vs_clairvoyant",
                0.8,
            ),
            Bar::at_most(
                "cases that waited longer than ten times those ahead of them",
                figure("waits_beyond_limit"),
                0.0,
            ),
            Bar::at_most("clocks that are not those of the truth", figure("clock_mismatches"), 0.0),
            Bar::at_most("notices that are not those of the truth", figure("notice_mismatches"), 0.0),
            Bar::at_most(
                "orders that were escalated more than a second after their hour, or never",
                figure("orders_escalated_late"),
                0.0,
            ),
            Bar::reported(
                "times as much as first in, first out, by the order that knows the future",
                figure("exposure_prevented_clairvoyant_vs_fifo"),
            ),
            Bar::reported(
                "the same beside the number of reports",
                figure("exposure_prevented_clairvoyant_vs_report_count"),
            ),
            Bar::reported("attacks that became a case", figure("crises_raised")),
        ],
        sections: vec![prevented(worked), over_the_day(worked)],
        origin: vec![format!(
            "Made by: tocsin evaluate casework --seed {} --scale {} --report DIR; the same arguments give the same page, its date aside. Rows to pool again: \
             --rows DIR.",
            suite.seed, suite.scale
        )],
        ..Report::default()
    }
}

fn prevented(worked: &[Worked]) -> Section {
    let sum = |of: &dyn Fn(&Worked) -> f64| worked.iter().map(of).sum::<f64>();
    let exposure = sum(&|day| day.exposure as f64);
    let mut table = vec![columns([
        "order",
        "exposure prevented, % of all",
        "attacks decided about",
        "decisions",
        "left unreviewed",
    ])];
    for order in Order::ALL {
        let outcome = |of: fn(&super::Outcome) -> f64| sum(&|day| of(&day.outcomes[&order]));
        table.push(vec![
            meaning(order).to_owned(),
            short(100.0 * outcome(|outcome| outcome.prevented as f64) / exposure),
            short(outcome(|outcome| outcome.decided_after_s.len() as f64)),
            short(outcome(|outcome| outcome.decisions as f64)),
            short(outcome(|outcome| outcome.unreviewed as f64)),
        ]);
    }
    let lines = Order::ALL.map(|order| {
        let mut minutes: Vec<f64> = worked
            .iter()
            .flat_map(|day| &day.outcomes[&order].decided_after_s)
            .map(|seconds| (seconds / 60.0).max(0.1))
            .collect();
        minutes.sort_by(f64::total_cmp);
        let crises = sum(&|day| day.crises as f64);
        let points = minutes.iter().enumerate();
        let points = points.map(|(place, minutes)| (*minutes, 100.0 * (place + 1) as f64 / crises));
        Line::new(meaning(order), Style::Steps, points.collect())
    });
    Section {
        heading: "What was prevented".to_owned(),
        text: format!(
            "Tocsin hands out the case whose decision prevents most in the next hour, and every {OLDEST_EVERY}th time the one that waits longest. \
             The order that knows the future always takes the case whose decision prevents most from now on: no rival, but what there was to prevent."
        ),
        charts: vec![Chart {
            caption: "Attacks that were decided about so soon after they came into the queue.".to_owned(),
            x: Axis::log("minutes"),
            y: Axis::per_cent("% of all attacks"),
            lines: lines.to_vec(),
            marks: Vec::new(),
        }],
        table,
    }
}

fn over_the_day(worked: &[Worked]) -> Section {
    let Some(first) = worked.first() else {
        return Section::default();
    };
    let lines = Order::ALL.map(|order| {
        let waiting = first.outcomes[&order].waiting.iter().enumerate();
        let points = waiting.map(|(minute, waiting)| (minute as f64 / 60.0, *waiting as f64));
        Line::new(meaning(order), Style::Steps, points.collect())
    });
    Section {
        heading: "The queue over a day".to_owned(),
        text: "Cases that nobody looked at leave the queue when their spread has subsided and little can be prevented any more, unreviewed and counted.".to_owned(),
        charts: vec![Chart {
            caption: "Cases that wait, on the first day.".to_owned(),
            x: Axis::linear("hours since the day began"),
            y: Axis::linear("cases"),
            lines: lines.to_vec(),
            marks: Vec::new(),
        }],
        table: Vec::new(),
    }
}

fn meaning(order: Order) -> &'static str {
    match order {
        Order::Priority => "by priority (Tocsin)",
        Order::Entry => "first in, first out",
        Order::Reports => "by the number of reports",
        Order::Clairvoyant => "knows the future",
    }
}
