//! The sections about pages, the queue, poisoning and the bounds of counts.

use tocsin_loadtest::day::FamilyKind;
use tocsin_loadtest::report::{Axis, Bar, Chart, Line, Section, Style, short};

use super::super::paging::{PAGES_PER_DAY, Paging};
use super::super::play::Played;
use super::super::poisoning::Poisoning;
use super::super::queue::Queue;
use crate::evaluate::windows::{Bound, errors_chart};
use crate::rehearsal::Figures;

/// What is asked of the runs that were played.
pub(super) fn bars(figures: &Figures) -> Vec<Bar> {
    let figure = |name: &str| figures.get(name).and_then(serde_json::Value::as_f64);
    let mut bars = Vec::new();
    if let (Some(paged), Some(crises)) = (figure("crises_paged"), figure("paging_crises")) {
        bars.push(Bar::at_least("crises that interrupt a person", paged, crises));
        bars.push(Bar::at_most(
            "interruptions a day, on the worst day",
            figure("pages_per_day_max"),
            PAGES_PER_DAY,
        ));
        bars.push(Bar::reported(
            "seconds from the 10th account's re-upload to the interruption, median",
            figure("page_delay_seconds_p50"),
        ));
    }
    for (name, meaning, target) in [
        (
            "queue_precision_at_100",
            "share of the first 100 in the queue that exact numbers put there too",
            0.98,
        ),
        ("queue_precision_at_1000", "the same of the first 1,000", 0.95),
        (
            "preventable_exposure_captured_20",
            "exposure to crises that the first 20 can prevent, as a share of what an order that knows the future can",
            0.8,
        ),
    ] {
        if let Some(value) = figure(name) {
            bars.push(Bar::at_least(meaning, value, target));
        }
    }
    if let Some(fifo) = figure("preventable_exposure_captured_20_fifo") {
        bars.push(Bar::reported("the same, first in, first out", Some(fifo)));
    }
    if let Some(violations) = figure("influence_cap_violations") {
        bars.push(Bar::at_most(
            "times that one party moved a priority beyond its cap",
            Some(violations),
            0.0,
        ));
    }
    bars
}

/// Which episodes interrupted a person.
pub(super) fn pages(paging: &Paging) -> Section {
    let mut groups: [Vec<f64>; 3] = Default::default();
    for day in paging.days.iter().skip(1) {
        for (family, peak) in &day.peaks {
            let place = match family.kind() {
                FamilyKind::Crisis => 0,
                FamilyKind::Cascade => 1,
                _ => 2,
            };
            groups[place].push(*peak);
        }
    }
    let days = paging.days.len().saturating_sub(1).max(1) as f64;
    let lines = ["crises", "large cascades", "all else"]
        .into_iter()
        .zip(groups)
        .map(|(name, mut peaks)| {
            peaks.sort_by(|one, other| other.total_cmp(one));
            let points = peaks
                .iter()
                .enumerate()
                .map(|(place, peak)| (peak.max(1e-3), (place + 1) as f64 / days));
            Line::new(name, Style::Steps, points.collect())
        });
    let mut table = vec![
        ["day", "crises", "crises paged", "pages", "threshold"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (number, day) in paging.days.iter().enumerate() {
        let paged = day
            .pages
            .iter()
            .filter(|(_, family)| family.kind() == FamilyKind::Crisis);
        table.push(vec![
            if number == 0 {
                "first, not counted".to_owned()
            } else {
                number.to_string()
            },
            day.crises.len().to_string(),
            paged.count().to_string(),
            day.pages.len().to_string(),
            short(day.threshold),
        ]);
    }
    Section {
        heading: "Who is interrupted".to_owned(),
        text: format!(
            "Most alarms wait in a queue; a few interrupt a person, {PAGES_PER_DAY} a day. From which score on follows from the scores of the days \
             before; the first day begins with what is shipped. Platforms label three in ten copies of a crisis and one in a thousand of all else."
        ),
        charts: vec![Chart {
            caption: "Episodes a day that ever reached so high a page score. The crises should stand to the right of all else.".to_owned(),
            x: Axis::log("highest page score"),
            y: Axis::log("episodes a day that reached it"),
            lines: lines.collect(),
            marks: Vec::new(),
        }],
        table,
    }
}

/// The order of the queue over the day.
pub(super) fn order(queue: &Queue) -> Section {
    let hours = |minute: usize| minute as f64 / 60.0;
    let open = queue.open.iter().enumerate();
    let captured = |of: fn(&super::super::queue::Captured) -> f64| {
        let shares = queue.captured.iter().map(|minute| (minute.at, of(minute)));
        let begins = queue.begins_at;
        shares
            .filter(|(_, share)| share.is_finite())
            .map(|(at, share)| ((at - begins).0 as f64 / 3_600_000.0, 100.0 * share))
            .collect::<Vec<_>>()
    };
    let mut table = vec![
        [
            "first places",
            "minutes compared",
            "found there too, mean",
            "worst minute",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for (places, shares) in queue.precision.iter().filter(|(_, shares)| !shares.is_empty()) {
        table.push(vec![
            places.to_string(),
            shares.len().to_string(),
            short(shares.iter().sum::<f64>() / shares.len() as f64),
            short(shares.iter().copied().fold(f64::INFINITY, f64::min)),
        ]);
    }
    Section {
        heading: "The order of the queue".to_owned(),
        text: "Thousands of cascades on one day, and nobody decides. The order is held to the same formula on exact numbers of everything (the \
               table), and to an order that knows what is still to come (the second plot)."
            .to_owned(),
        charts: vec![
            Chart {
                caption: "The queue over time: open episodes.".to_owned(),
                x: Axis::linear("hours since the day began"),
                y: Axis::linear("open episodes"),
                lines: vec![Line::new(
                    "open",
                    Style::Steps,
                    open.map(|(minute, open)| (hours(minute), *open as f64)).collect(),
                )],
                marks: Vec::new(),
            },
            Chart {
                caption: "Exposure to crises that acting on the first 20 still prevents, in percent of what 20 could.".to_owned(),
                x: Axis::linear("hours since the day began"),
                y: Axis::linear("% of the most"),
                lines: vec![
                    Line::new("by priority", Style::Steps, captured(|minute| minute.by_priority)),
                    Line::new("first in, first out", Style::Steps, captured(|minute| minute.by_entry)),
                ],
                marks: Vec::new(),
            },
        ],
        table,
    }
}

/// How far an attacker came.
pub(super) fn influence(poisoning: &Poisoning) -> Section {
    let checks = poisoning.checks.iter().filter(|check| check.with > check.without);
    let points = checks.map(|check| (check.cap, check.with - check.without));
    let caps: Vec<f64> = poisoning.checks.iter().map(|check| check.cap).collect();
    let ends = [
        caps.iter().copied().fold(f64::INFINITY, f64::min),
        caps.iter().copied().fold(0.0, f64::max),
    ];
    Section {
        heading: "One party against all".to_owned(),
        text: "A party inflates a hash of its own, and harmless families that others spread, and labels all of it. Each point is one family in one \
               minute: what that changed of its priority, beside the most that one party may change."
            .to_owned(),
        charts: vec![Chart {
            caption: "No point may lie above the line.".to_owned(),
            x: Axis::log("the cap"),
            y: Axis::log("change of the priority"),
            lines: vec![
                Line::new("families", Style::Points, points.collect()),
                Line::new("the cap", Style::Straight, ends.map(|end| (end, end)).to_vec()),
            ],
            marks: Vec::new(),
        }],
        table: Vec::new(),
    }
}

/// Errors of counts beside what is stated of them.
pub(super) fn errors(played: &[Played]) -> Section {
    let answers: Vec<&Bound> = played.iter().flat_map(|day| &day.bounds).collect();
    let Some(chart) = errors_chart(answers.iter().copied()) else {
        return Section::default();
    };
    let misses = answers.iter().filter(|bound| bound.misses()).count();
    Section {
        heading: "Counts and their bounds".to_owned(),
        text: format!(
            "Most contents are counted by sketches, which may count too many and never too few; every answer states its error. At the end of each \
             day {} answers were compared with exact counts: {} intervals missed the truth.",
            answers.len(),
            misses
        ),
        charts: vec![chart],
        table: Vec::new(),
    }
}
