//! Goal: a report says what truly happened, whichever database keeps it, and nothing of other teams, of what was taken back, or of those who did not
//! agree.
#![allow(clippy::unwrap_used, dead_code)]

mod edges;
#[path = "../fixture/mod.rs"]
mod fixture;
mod history;
mod model;
mod participation;
mod player;
mod removed;
mod statements;
mod twice;
mod viewed;

use tocsin_model::Timestamp;
use tocsin_report::{Amount, Day, Period, Report};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// So many days, from this many days after the clock's start on.
fn days(first: i64, count: i64) -> Period {
    let day = |number: i64| Day::of(Timestamp(fixture::START.0 + number * DAY_MS));
    Period::new(day(first), day(first + count - 1)).unwrap()
}

/// The figures of these names, under what they are about.
fn figures(report: &Report) -> Vec<(String, Amount)> {
    let figures = report.sections.iter().flat_map(|section| section.figures.iter());
    let named = figures.map(|figure| {
        let by: Vec<String> = figure.by.iter().map(|by| format!("{}={}", by.name, by.is)).collect();
        (format!("{}[{}]", figure.name, by.join(",")), figure.amount)
    });
    named.collect()
}

fn amount(report: &Report, name: &str) -> Option<Amount> {
    figures(report)
        .into_iter()
        .find_map(|(of, amount)| (of == name).then_some(amount))
}

fn exact(amount: u64) -> Option<Amount> {
    Some(Amount::Exact { amount })
}
