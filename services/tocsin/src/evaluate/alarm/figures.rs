use serde_json::{Value, json};
use tocsin_loadtest::score::{self, AlarmRow};
use tocsin_loadtest::truth::{DayRow, TruthRow};

use super::Results;
use super::paging::Paging;
use super::play::{EXACT, Played, TOCSIN, rivals};
use super::poisoning::Poisoning;
use super::queue::Queue;
use super::unlinked::Unlinked;
use crate::rehearsal::Figures;

/// The figures of all that was played.
pub(super) fn of(results: &Results) -> Figures {
    let mut figures = if results.headline.is_empty() {
        Figures::new()
    } else {
        of_days(&results.headline)
    };
    let paging = results.paging.iter().flat_map(Paging::by_name);
    let queue = results.queue.iter().flat_map(Queue::by_name);
    let poisoning = results.poisoning.iter().flat_map(Poisoning::by_name);
    let unlinked = results.unlinked.iter().flat_map(Unlinked::by_name);
    for (name, value) in paging.chain(queue).chain(poisoning).chain(unlinked) {
        insert(&mut figures, name, value);
    }
    figures
}

/// The figures of all detectors: those of Tocsin without a prefix, those of the others behind their names.
fn of_days(played: &[Played]) -> Figures {
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
    stream(&mut figures, played);
    bounds(&mut figures, played);
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

/// Whether the counts that were answered held the truth.
fn bounds(figures: &mut Figures, played: &[Played]) {
    let answers = || played.iter().flat_map(|played| &played.bounds);
    let sketched = || answers().filter_map(|bound| Some((bound, bound.stated?)));
    let beyond = sketched().filter(|(bound, (error, _))| bound.error() as f64 > *error);
    for (name, value) in [
        ("counts_compared", answers().count() as f64),
        (
            "counts_outside_interval",
            answers().filter(|bound| bound.misses()).count() as f64,
        ),
        ("counts_beyond_bound", beyond.count() as f64),
        (
            "counts_beyond_bound_allowed",
            sketched().map(|(_, (_, confidence))| 1.0 - confidence).sum(),
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
