//! The sections about pages, the queue, poisoning and the bounds of counts.

use tocsin_loadtest::day::FamilyKind;
use tocsin_loadtest::report::{Axis, Bar, Chart, Line, Mark, Met, Section, Style, short};

use super::super::Results;
use super::super::paging::{PAGES_PER_DAY, Paging};
use super::super::play::Played;
use super::super::poisoning::Poisoning;
use super::super::queue::{CROWDED_PLACES, LOOKED_AT, Queue};
use super::goals::{all, beside};
use super::plural;
use crate::evaluate::output::{columns, number};
use crate::evaluate::windows::{Bound, errors_chart};
use crate::rehearsal::Figures;

/// What is asked of the runs that were played.
pub(super) fn bars(figures: &Figures, results: &Results) -> Vec<Bar> {
    let mut bars = Vec::new();
    if let Some(paging) = &results.paging {
        bars.extend(paged(figures, paging));
    }
    if results.queue.is_some() {
        bars.extend(ordered(figures));
    }
    if let Some(violations) = number(figures, "influence_cap_violations") {
        bars.push(Bar::at_most(
            "times that one party moved a priority beyond its cap",
            Some(violations),
            0.0,
        ));
    }
    bars
}

fn paged(figures: &Figures, paging: &Paging) -> Vec<Bar> {
    let figure = |name: &str| number(figures, name);
    let days = paging.days.len().saturating_sub(1);
    vec![
        all(
            "crises that interrupt a person (labels)",
            figure("crises_paged").unwrap_or(0.0),
            figure("paging_crises").unwrap_or(0.0),
        ),
        Bar::at_most(
            &format!(
                "interruptions a day, on the worst of {days} {} (labels)",
                plural(days, "day", "days")
            ),
            figure("pages_per_day_max"),
            PAGES_PER_DAY,
        ),
        Bar::told(
            "when a person is interrupted, beside the crisis's onset (the re-upload by its 10th account), median of the crises (labels)",
            beside(figure("page_delay_seconds_p50")),
        ),
    ]
}

fn ordered(figures: &Figures) -> Vec<Bar> {
    let mut bars = Vec::new();
    for (name, meaning, target, minutes) in [
        (
            "queue_precision_at_100",
            "share of the first 100 episodes of the queue that exact numbers put there too, mean of the minutes (labels)".to_owned(),
            0.98,
            "queue_minutes_at_100",
        ),
        (
            "queue_precision_at_1000",
            "share of the first 1,000 that exact numbers put there too, mean of the minutes (labels)".to_owned(),
            0.95,
            "queue_minutes_at_1000",
        ),
        (
            "preventable_exposure_captured_20",
            format!(
                "what acting on the first {LOOKED_AT} episodes of the queue still prevents of the exposure to crises, as a share of what the best {LOOKED_AT} \
                 would, mean of the minutes (labels)"
            ),
            0.8,
            "",
        ),
    ] {
        bars.push(match number(figures, name) {
            Some(value) => Bar::at_least(&meaning, value, target),
            // A goal that nothing was measured for is still one.
            None => Bar {
                value: match number(figures, minutes) {
                    Some(_) => "none: never twice as many open".to_owned(),
                    None => "none".to_owned(),
                },
                met: Met::Undecided,
                ..Bar::at_least(&meaning, f64::NAN, target)
            },
        });
    }
    bars.push(Bar::reported(
        "the same share, first in, first out (labels)",
        number(figures, "preventable_exposure_captured_20_fifo"),
    ));
    bars
}

/// Which episodes interrupted a person.
pub(super) fn pages(paging: &Paging) -> Section {
    let mut groups: [Vec<f64>; 3] = Default::default();
    let scored = paging.days.get(1..).unwrap_or(&[]);
    for (family, peak) in scored.iter().flat_map(|day| &day.peaks) {
        let place = match family.kind() {
            FamilyKind::Crisis => 0,
            FamilyKind::Cascade => 1,
            _ => 2,
        };
        groups[place].push(*peak);
    }
    let days = scored.len().max(1) as f64;
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
    let mut table = vec![columns([
        "day of pages",
        "crises",
        "interruptions by crises",
        "interruptions in all",
        "threshold at its end",
    ])];
    for (number, day) in paging.days.iter().enumerate() {
        let paged = day
            .pages
            .iter()
            .filter(|(_, family)| family.kind() == FamilyKind::Crisis);
        table.push(vec![
            match number {
                0 => "to learn on, not counted".to_owned(),
                _ => number.to_string(),
            },
            day.crises.len().to_string(),
            paged.count().to_string(),
            day.pages.len().to_string(),
            short(day.threshold),
        ]);
    }
    Section {
        heading: "Who is interrupted (labels)".to_owned(),
        text: format!(
            "Most alarms wait in a queue; a few interrupt a person: {} a day are meant. An episode does when its page score reaches a threshold. The page \
             score is its priority: the views of the next hour that acting could still prevent, times how likely it violates and how gravely. The threshold \
             follows from the scores so far, of the days before and of this one, looked at every hour; the first day begins with what is shipped, is there to learn on, and is not counted. \
             These days are others than those above, with large cascades of their own and with labels.",
            short(PAGES_PER_DAY)
        ),
        charts: vec![Chart {
            caption: "Episodes a day that ever reached so high a page score, of the days that count. The crises should stand to the right of all else, and of the \
                      threshold. It is drawn as it was at the end of a day; on the day it moves."
                .to_owned(),
            x: Axis::log("highest page score of the episode"),
            y: Axis::log("episodes a day that reached it"),
            lines: lines.collect(),
            marks: thresholds(scored.iter().map(|day| day.threshold)),
        }],
        table,
    }
}

/// The thresholds of the days: one mark where they are the same, else the lowest and the highest.
fn thresholds(of_days: impl Iterator<Item = f64>) -> Vec<Mark> {
    let mut all: Vec<f64> = of_days.filter(|threshold| threshold.is_finite()).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    let mark = |x: f64, which: &str| Mark {
        x,
        label: format!("{which}threshold: {}", short(x)),
    };
    match all[..] {
        [] => Vec::new(),
        [one] => vec![mark(one, "")],
        [low, .., high] => vec![mark(low, "lowest "), mark(high, "highest ")],
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
    let mut table = vec![columns([
        "first episodes of the queue",
        "minutes compared",
        "share found there too, mean",
        "share in the worst minute",
    ])];
    let (compared, never): (Vec<_>, Vec<_>) = queue.precision.iter().partition(|(_, shares)| !shares.is_empty());
    for (places, shares) in compared {
        table.push(vec![
            short(*places as f64),
            short(shares.len() as f64),
            short(shares.iter().sum::<f64>() / shares.len() as f64),
            short(shares.iter().copied().fold(f64::INFINITY, f64::min)),
        ]);
    }
    let never: Vec<String> = never.iter().map(|(places, _)| short(*places as f64)).collect();
    let never = match never.is_empty() {
        true => String::new(),
        false => format!(
            " The first {} were never compared: at no time were twice as many open.",
            never.join(" and the first ")
        ),
    };
    let is_in_rush = |(places, shares): &(usize, Vec<f64>)| *places == CROWDED_PLACES && !shares.is_empty();
    let rush_open_max = queue.rush_open_max.filter(|_| queue.precision.iter().any(is_in_rush));
    let rush = rush_open_max.map_or_else(String::new, |open| {
        format!(
            " The first 1,000 were compared in six hours of another play with five times the cascades, with up to {} open.",
            short(open as f64)
        )
    });
    Section {
        heading: "The order of the queue (labels)".to_owned(),
        text: format!(
            "A day of its own, neither that of the crises above nor one of pages: {} large harmless cascades and {} crises over thinned ordinary traffic, \
             while nobody decides.\n\
             The order is held to the same formula on exact numbers of everything (the table: how many of the first episodes stand among the first \
             there too, in minutes with at least twice as many open), and to an order that knows what is still to come (the second plot). Exposure is the sum \
             of the audiences of the visible copies still to come.{never}{rush}",
            short(queue.cascades as f64),
            short(queue.crises as f64)
        ),
        charts: vec![
            Chart {
                caption:
                    "The day of the queue: episodes open at a time, minute by minute, from the beginning of the day on."
                        .to_owned(),
                x: Axis::linear("hours since the day of the queue began"),
                y: Axis::linear("open episodes"),
                lines: vec![Line::new(
                    "open",
                    Style::Steps,
                    open.map(|(minute, open)| (hours(minute), *open as f64)).collect(),
                )],
                marks: Vec::new(),
            },
            Chart {
                caption: format!(
                    "The day of the queue: what acting on the first {LOOKED_AT} episodes still prevents of the exposure to crises, in percent of what the best \
                     {LOOKED_AT} would, in minutes with at least {} open.",
                    2 * LOOKED_AT
                ),
                x: Axis::linear("hours since the day of the queue began"),
                y: Axis::per_cent("% of the most"),
                lines: vec![
                    Line::new(
                        "by priority (Tocsin)",
                        Style::Steps,
                        captured(|minute| minute.by_priority),
                    ),
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
               minute: by how much that raised its priority, beside the most that one party may change. Where nothing rose there is no point."
            .to_owned(),
        charts: vec![Chart {
            caption: "No point may lie above the line.".to_owned(),
            x: Axis::log("the cap, in priority"),
            y: Axis::log("rise of the priority"),
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
    if answers.is_empty() {
        return Section::default();
    }
    let misses = answers.iter().filter(|bound| bound.misses()).count();
    let sketched: Vec<(u64, f64)> = answers
        .iter()
        .filter_map(|bound| Some((bound.error(), bound.stated?.0)))
        .collect();
    let chart = errors_chart(answers.iter().copied()).filter(|chart| !chart.is_empty());
    let drawn = match (&chart, sketched.first()) {
        (Some(_), _) => String::new(),
        (None, None) => " None of them came from sketches: there are no errors to draw.".to_owned(),
        (None, Some((error, stated))) => format!(
            " Errors are not drawn: every one of the {} answers by sketches was off by {} and stated an error of {} at most.",
            short(sketched.len() as f64),
            short(*error as f64),
            short(*stated)
        ),
    };
    Section {
        heading: "Counts and their bounds".to_owned(),
        text: format!(
            "Most contents are counted by sketches, which may count too many and never too few; every answer states its error. At the end of each \
             day the answers about a sample of contents were compared with exact counts, {} answers in all: {} intervals missed the truth.{drawn}",
            short(answers.len() as f64),
            short(misses as f64)
        ),
        charts: chart.into_iter().collect(),
        table: Vec::new(),
    }
}
