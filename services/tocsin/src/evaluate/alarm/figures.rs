use std::collections::BTreeSet;

use serde_json::{Value, json};
use tocsin_loadtest::day::FamilyKind;
use tocsin_loadtest::score::{self, AlarmRow};
use tocsin_loadtest::truth::{DayRow, TruthRow};

use super::play::{EXACT, Played, TOCSIN, rivals};
use crate::rehearsal::Figures;

/// The figures of all detectors: those of Tocsin without a prefix, those of the others behind their names.
pub(super) fn of(played: &[Played]) -> Figures {
    let mut figures = Figures::new();
    let all: Vec<&Played> = played.iter().collect();
    for (name, value) in score(&all, TOCSIN).by_name() {
        insert(&mut figures, name, value);
    }
    let exact_days = days_of(played, EXACT);
    for (prefix, detector) in [("exact", EXACT), ("exact_days_tocsin", TOCSIN)] {
        for (name, value) in score(&exact_days, detector).by_name() {
            insert(&mut figures, format!("{prefix}_{name}"), value);
        }
    }
    for rival in rivals() {
        for (name, value) in score(&all, rival).by_name() {
            insert(&mut figures, format!("{rival}_{name}"), value);
        }
    }
    pages(&mut figures, played);
    stream(&mut figures, played);
    figures
}

/// How good one detector was on these days.
pub(super) fn score(played: &[&Played], detector: &str) -> score::Figures {
    let days: Vec<DayRow> = played.iter().map(|played| played.day).collect();
    let truths: Vec<TruthRow> = played.iter().flat_map(|played| played.truths.clone()).collect();
    let alarms = played.iter().flat_map(|played| &played.alarms);
    let alarms: Vec<AlarmRow> = alarms.filter(|alarm| alarm.detector == detector).cloned().collect();
    score::Figures::of(&days, &truths, &alarms)
}

/// The days on which this detector watched.
pub(super) fn days_of<'a>(played: &'a [Played], detector: &str) -> Vec<&'a Played> {
    let rang = |day: &Played| day.alarms.iter().any(|alarm| alarm.detector == EXACT);
    played.iter().filter(|day| detector != EXACT || rang(day)).collect()
}

fn pages(figures: &mut Figures, played: &[Played]) {
    let pages = played
        .iter()
        .flat_map(|played| played.pages.iter().map(|page| (played.day.day, page)));
    let crises: BTreeSet<_> = pages
        .clone()
        .filter(|(_, page)| page.family.kind() == FamilyKind::Crisis)
        .map(|(day, page)| (day, page.family))
        .collect();
    let mut delays: Vec<f64> = pages
        .clone()
        .filter(|(_, page)| page.family.kind() == FamilyKind::Crisis)
        .filter_map(|(_, page)| Some(page.after_onset?.0 as f64 / 1_000.0))
        .collect();
    delays.sort_by(f64::total_cmp);
    insert(figures, "crises_paged".to_owned(), crises.len() as f64);
    insert(
        figures,
        "pages_per_day".to_owned(),
        pages.count() as f64 / played.len().max(1) as f64,
    );
    if let Some(median) = delays.get(delays.len() / 2) {
        insert(figures, "page_delay_seconds_p50".to_owned(), *median);
    }
}

/// What the days were like, and what they cost.
fn stream(figures: &mut Figures, played: &[Played]) {
    let sum = |of: fn(&Played) -> u64| played.iter().map(of).sum::<u64>() as f64;
    let records = sum(|played| played.records);
    let contents = sum(|played| played.day.contents);
    for (name, value) in [
        ("records", records),
        ("seen_once_share", sum(|played| played.day.seen_once) / contents),
        ("families_reaching_10_in_an_hour", sum(|played| played.day.reaching[0])),
        ("families_reaching_30_in_an_hour", sum(|played| played.day.reaching[1])),
        ("families_reaching_100_in_an_hour", sum(|played| played.day.reaching[2])),
        (
            "core_ns_per_record",
            played.iter().map(|played| played.busy.as_nanos() as f64).sum::<f64>() / records,
        ),
    ] {
        insert(figures, name.to_owned(), value);
    }
}

/// A figure; `null` where it is infinite or there was nothing to measure.
fn insert(figures: &mut Figures, name: String, value: f64) {
    let value = if value.is_finite() && value.fract() == 0.0 && value.abs() < 1e15 {
        json!(value as i64)
    } else if value.is_finite() {
        json!(value)
    } else {
        Value::Null
    };
    figures.insert(super::super::leak(name), value);
}
