//! Goal: the page tells a stranger what was run and what came of it, in one numbering, and shows no empty plot.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use tocsin_loadtest::day::{DayPlan, Family, Scale};
use tocsin_loadtest::report::Met;
use tocsin_model::{Milliseconds, Timestamp};

use super::super::paging::{Paging, PagingDay};
use super::super::queue::{Captured, Queue};
use super::super::{figures, play_all};
use super::*;
use crate::evaluate::output;
use crate::evaluate::output::tests::read_page;
use tocsin_loadtest::day::FamilyKind::{Burst, Cascade, Crisis};

fn suite() -> SuiteArguments {
    SuiteArguments {
        seed: 3,
        scale: 0.001,
        out: "-".into(),
    }
}

/// A small day with one small crisis, to Tocsin, to exact counts and to the rivals.
fn headline() -> Results {
    let plan = DayPlan::new(Scenario::Levittown, Scale(2e-5), 3);
    Results {
        headline: play_all(&[plan], 1, 1),
        ..Results::default()
    }
}

fn paging() -> Paging {
    let crisis = |index| Family::of(Crisis, index);
    let day = |threshold: f64| PagingDay {
        crises: BTreeMap::from([(crisis(0), Some(Timestamp(0))), (crisis(1), Some(Timestamp(0)))]),
        pages: vec![(Timestamp(60_000), crisis(0)), (Timestamp(90_000), crisis(1))],
        peaks: vec![
            (crisis(0), 1e6),
            (crisis(1), 3e5),
            (Family::of(Cascade, 0), 700.0),
            (Family::of(Burst, 0), 20.0),
        ],
        threshold,
        nulls: Vec::new(),
    };
    Paging {
        days: vec![day(2_883.0), day(5_031.0), day(6_000.0)],
    }
}

/// So many cascades, and so many episodes open in each of three minutes.
fn queue(cascades: usize, open: usize) -> Queue {
    let minute = Milliseconds::from_minutes(1);
    let captured = |place: i64| Captured {
        at: Timestamp(place * minute.0),
        by_priority: 1.0,
        by_entry: 0.5,
        any_by_priority: 0.9,
        any_by_entry: 0.6,
    };
    Queue {
        begins_at: Timestamp(0),
        cascades,
        crises: 8,
        open: vec![open / 2, open, open - 1],
        precision: vec![(20, vec![1.0, 0.9]), (100, Vec::new()), (1_000, Vec::new())],
        captured: (0..3).map(captured).collect(),
        rush_open_max: None,
        forecasts: Vec::new(),
    }
}

fn page(scenario: Scenario, results: &Results) -> (Report, Figures) {
    let figures = figures::of(results);
    (of(scenario, &suite(), &figures, results), figures)
}

#[test]
fn the_summary_says_what_was_run_and_what_came_of_it() {
    let mut results = headline();
    results.paging = Some(paging());
    results.queue = Some(queue(500, 92));
    let (report, figures) = page(Scenario::Christchurch, &results);
    let summary = &report.summary;
    let day = results.headline[0].day;
    let rung = Rung::of(&results.headline, TOCSIN);
    for part in [
        "Scenario christchurch, seed 3, scale 0.001: ".to_owned(),
        format!(
            "1 simulated headline day with {} events about {} contents; 2 days of pages after one to learn on; a day of the queue with 500 cascades.\n",
            short(day.events as f64),
            short(day.contents as f64)
        ),
        format!("{} of 1 crises were alarmed", figures["crises_alarmed"]),
        format!(
            "of {} alarms {} were about crises, {} about other contents that truly spiked, {} near and {} false.",
            rung.all(),
            rung.crises,
            rung.others(),
            figures["near_alarms"],
            figures["false_alarms"]
        ),
        "Goals: ".to_owned(),
        // A handful of contents decides no rate.
        "not decided (".to_owned(),
    ] {
        assert!(summary.contains(&part), "{part:?} is not in {summary:?}");
    }
    assert_eq!(rung.right(), figures["right_alarms"].as_u64().unwrap());
    let met = |meaning: &str| {
        report
            .bars
            .iter()
            .find(|bar| bar.meaning.contains(meaning))
            .unwrap()
            .met
    };
    assert_eq!(met("false alarms per 100 million"), Met::Undecided);
    assert_eq!(met("crises that interrupt a person"), Met::Yes);
    assert_eq!(met("first 100 episodes"), Met::Undecided);
    assert_eq!(met("first 1,000"), Met::Undecided);
}

#[test]
fn no_plot_is_empty_and_all_figures_stand_on_the_page() {
    let mut results = headline();
    results.paging = Some(paging());
    results.queue = Some(queue(500, 92));
    let (report, figures) = page(Scenario::Christchurch, &results);
    let mut charts = 0;
    for chart in report.sections.iter().flat_map(|section| &section.charts) {
        assert!(!chart.is_empty(), "{}", chart.caption);
        charts += 1;
    }
    assert!(charts >= 7, "{charts}");
    let directory = tempfile::tempdir().unwrap();
    output::page(directory.path(), report, &figures).unwrap();
    let html = read_page(directory.path(), &figures);
    assert_eq!(html.matches("<svg").count(), charts);
    assert!(html.contains("Made on 2"), "there is no date");
    assert!(
        !html.contains("Day 0") && !html.contains("day 0"),
        "days are numbered from 1 on"
    );
    for said in [
        "Day 1, the only crisis",
        "Right does not mean harmful.",
        "<td>to learn on, not counted</td>",
        "lowest threshold: 5,031",
        "highest threshold: 6,000",
        "500 large harmless cascades and 8 crises",
        "The first 100 and the first 1,000 were never compared",
        "3 in 10 copies of a crisis",
        "10 in 5 minutes rings at: 10 or more copies within 5 minutes.",
        "Exact counts are no ideal",
    ] {
        assert!(html.contains(said), "{said:?} is not on the page");
    }
}

#[test]
fn labels_are_told_of_only_where_they_are_used() {
    let told = |results: &Results| page(Scenario::Levittown, results).0.introduction.join(" ");
    let without = told(&headline());
    assert!(
        without.contains("No label is used") && !without.contains("3 in 10"),
        "{without}"
    );
    let only_queue = told(&Results {
        queue: Some(queue(5_000, 900)),
        ..Results::default()
    });
    assert!(
        only_queue.contains("3 in 10") && !only_queue.contains("Right does not mean harmful"),
        "{only_queue}"
    );
}

#[test]
fn errors_that_are_all_alike_are_told_and_not_drawn() {
    let mut results = headline();
    for bound in &mut results.headline[0].bounds {
        (bound.low, bound.high) = (bound.exact, bound.exact);
        bound.stated = bound.stated.map(|(_, confidence)| (0.0, confidence));
    }
    let section = runs::errors(&results.headline);
    assert!(section.charts.is_empty());
    let (sketched, answers) = {
        let bounds = &results.headline[0].bounds;
        (
            bounds.iter().filter(|bound| bound.stated.is_some()).count(),
            bounds.len(),
        )
    };
    assert!(sketched > 0, "nothing was counted by sketches: {answers} answers");
    let said = format!(
        "the {} answers by sketches was off by 0 and stated an error of 0 at most",
        short(sketched as f64)
    );
    assert!(section.text.contains(&said), "{}", section.text);
}
