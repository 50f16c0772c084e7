//! The sections about the headline: crises, how early, beside rivals, the score, and what is open.

use std::collections::BTreeMap;

use tocsin_loadtest::day::{Family, FamilyKind};
use tocsin_loadtest::report::{Axis, Chart, Line, Mark, Section, Style, short};
use tocsin_loadtest::score::{AlarmRow, Verdict};
use tocsin_loadtest::truth::TruthRow;
use tocsin_model::Timestamp;

use super::super::figures::{days_of, score};
use super::super::play::{EXACT, Played, TOCSIN, rivals};
use super::rung::Rung;
use super::{plural, runs};
use crate::evaluate::detectors::{rule, title};
use crate::evaluate::output::columns;

/// So much of a crisis is drawn that the plan lets go on.
const DRAWN_MINUTES_MAX: f64 = 150.0;

pub(super) fn sections(played: &[Played]) -> Vec<Section> {
    if played.is_empty() {
        return Vec::new();
    }
    vec![
        crises(played),
        delays(played),
        detectors(played),
        chances(played),
        queue(&played[0]),
        runs::errors(played),
    ]
}

/// The first right alarm of each family, by detector.
pub(super) fn first_right<'a>(played: &'a Played, detector: &str) -> BTreeMap<Family, &'a AlarmRow> {
    let mut first: BTreeMap<Family, &AlarmRow> = BTreeMap::new();
    let right = |alarm: &&AlarmRow| alarm.detector == detector && alarm.verdict == Verdict::Right;
    for alarm in played.alarms.iter().filter(right) {
        let known = first.entry(alarm.family).or_insert(alarm);
        if alarm.at < known.at {
            *known = alarm;
        }
    }
    first
}

/// Days are numbered from 1 on everywhere on the page.
fn day_name(day: &Played) -> String {
    format!("Day {}", day.day.day + 1)
}

/// Up to three crises, early, middle and late ones by the re-uploads at the alarm.
fn crises(played: &[Played]) -> Section {
    let mut all: Vec<(u64, &Played, &TruthRow)> = Vec::new();
    for day in played {
        let first = first_right(day, TOCSIN);
        for truth in day.truths.iter().filter(|truth| truth.kind == FamilyKind::Crisis) {
            let reuploads = first.get(&truth.family).map_or(u64::MAX, |alarm| alarm.reuploads);
            all.push((reuploads, day, truth));
        }
    }
    if all.is_empty() {
        return Section::default();
    }
    all.sort_by_key(|(reuploads, day, truth)| (*reuploads, day.day.day, truth.family));
    let mut places = vec![0, all.len() / 2, all.len() - 1];
    places.dedup();
    let titles = match places.len() {
        1 => &["the only crisis"][..],
        2 => &["the earliest alarm", "the latest alarm"],
        _ => &["the earliest alarm", "the usual alarm", "the latest alarm"],
    };
    let shown = places.iter().map(|place| all[*place]);
    let charts: Vec<Chart> = shown
        .zip(titles)
        .map(|((reuploads, day, truth), title)| crisis(title, reuploads, day, truth))
        .collect();
    let names = match places.len() {
        1 => String::new(),
        _ => format!(
            " Shown of {} crises: {}, by the re-uploads that each had when its alarm rang. One without a right alarm is later than all.",
            all.len(),
            match places.len() {
                2 => "the earliest alarm (the fewest) and the latest (the most)",
                _ => "the earliest alarm (the fewest), the usual one (in the middle of all) and the latest (the most)",
            }
        ),
    };
    let is_cut = played.iter().any(|day| cut_minutes(day).is_some());
    let end = if is_cut {
        " Where a plot says so the crisis is cut: its copies end there because the plan of the day ends them. A real one goes on."
    } else {
        " Only its first 150 minutes are drawn."
    };
    Section {
        heading: "Crises and their alarms".to_owned(),
        text: format!(
            "Copies a minute of one violent video, uploads that were blocked included. The alarm should stand where the curve begins to rise: \
             what comes to the right of it, people can still act upon.{names}{end}"
        ),
        charts,
        table: Vec::new(),
    }
}

/// How long after their onset the crises of the day are cut by the plan.
fn cut_minutes(day: &Played) -> Option<f64> {
    let cut = day.plan.crises.iter().find_map(|crisis| crisis.cut_after_onset)?;
    Some(cut.0 as f64 / 60_000.0)
}

fn crisis(title: &str, reuploads: u64, day: &Played, truth: &TruthRow) -> Chart {
    let minutes = |at: Timestamp| (at - truth.first_at).0 as f64 / 60_000.0;
    let begins = minutes(day.stream_begins_at);
    let cut = cut_minutes(day);
    let until = if cut.is_some() {
        f64::INFINITY
    } else {
        DRAWN_MINUTES_MAX
    };
    let points = day.curves.get(&truth.family).into_iter().flatten().enumerate();
    let points: Vec<(f64, f64)> = points
        .map(|(minute, copies)| (begins + minute as f64, f64::from(*copies)))
        .filter(|point| (-5.0..=until).contains(&point.0))
        .collect();
    let mut marks = Vec::new();
    if let Some(alarm) = first_right(day, TOCSIN).get(&truth.family) {
        marks.push(Mark {
            x: minutes(alarm.at),
            label: format!("alarm after {} re-uploads", alarm.reuploads),
        });
    }
    if let (Some(_), Some((last, _))) = (cut, points.last()) {
        marks.push(Mark {
            x: last + 1.0,
            label: "cut here by the plan".to_owned(),
        });
    }
    let when = if reuploads == u64::MAX { "no right alarm" } else { title };
    Chart {
        caption: format!(
            "{}, {when}: {} copies on this day, {} in its best hour.",
            day_name(day),
            short(f64::from(truth.copies)),
            short(f64::from(truth.peak_copies))
        ),
        x: Axis::linear("minutes since the first event about it, a live stream or an upload"),
        y: Axis::linear("copies a minute"),
        lines: vec![Line::new("copies", Style::Steps, points)],
        marks,
    }
}

fn all_detectors(played: &[Played]) -> Vec<&'static str> {
    let rang = |detector: &&str| {
        let mut alarms = played.iter().flat_map(|played| &played.alarms);
        alarms.any(|alarm| alarm.detector == **detector)
    };
    let ours = [TOCSIN, EXACT].into_iter();
    ours.chain(rivals()).filter(rang).collect()
}

/// Of the crises on the days of a detector, how many were alarmed by so many re-uploads, in percent: a step for each.
fn alarmed_by(played: &[Played], detector: &str) -> Vec<(f64, f64)> {
    let days = days_of(played, detector);
    let is_crisis = |truth: &&TruthRow| truth.kind == FamilyKind::Crisis;
    let crises: usize = days.iter().map(|day| day.truths.iter().filter(is_crisis).count()).sum();
    let mut at: Vec<u64> = Vec::new();
    for day in days {
        let first = first_right(day, detector);
        let of_crises = first.values().filter(|alarm| alarm.kind == FamilyKind::Crisis);
        at.extend(of_crises.map(|alarm| alarm.reuploads.max(1)));
    }
    at.sort_unstable();
    let first = at.first().map(|first| (*first as f64, 0.0));
    let steps = at.iter().enumerate().map(|(place, reuploads)| {
        let share = (place + 1) as f64 * 100.0 / crises as f64;
        (*reuploads as f64, share)
    });
    first.into_iter().chain(steps).collect()
}

fn delays(played: &[Played]) -> Section {
    let mut lines = Vec::new();
    for detector in all_detectors(played) {
        let points = alarmed_by(played, detector);
        if !points.is_empty() {
            let line = Line::new(title(detector), Style::Steps, points);
            // Tocsin's own line lies on it most of the time.
            lines.push(if detector == EXACT { line.broad() } else { line });
        }
    }
    // What was alarmed stays so to the right end.
    let end = lines
        .iter()
        .flat_map(|line| &line.points)
        .map(|point| point.0)
        .fold(0.0, f64::max);
    for line in &mut lines {
        if let Some((_, share)) = line.points.last().copied() {
            line.points.push((end * 1.05, share));
        }
    }
    if lines.is_empty() {
        return Section::default();
    }
    let rules = all_detectors(played)
        .into_iter()
        .filter_map(|detector| Some(format!("{} rings at: {}.", title(detector), rule(detector)?)));
    let text = std::iter::once("Each line is a detector on the same stream. What each of them rings at:".to_owned())
        .chain(rules)
        .chain(std::iter::once(
            "The rivals (10 in 5 minutes, 30 in 60 minutes, Poisson scan) count exactly, and are told more than a deployment is: the true time of each event, \
             however late it comes. Whoever has rung about a content is quiet about it for a day."
                .to_owned(),
        ));
    Section {
        heading: "How early".to_owned(),
        text: text.collect::<Vec<_>>().join("\n"),
        charts: vec![Chart {
            caption: "Of all crises, how many percent were alarmed by the time they had so many re-uploads. Higher and further left is better; one that \
                      rings early may ring often for nothing, see the table below."
                .to_owned(),
            x: Axis::log("re-uploads of the crisis at its alarm"),
            y: Axis::per_cent("crises alarmed, %"),
            lines,
            marks: Vec::new(),
        }],
        table: Vec::new(),
    }
}

fn detectors(played: &[Played]) -> Section {
    let mut table = vec![columns([
        "detector",
        "crises alarmed",
        "re-uploads at the alarm, median of crises",
        "in 99 of 100 crises",
        "right: crises",
        "right: other spikes",
        "near",
        "false",
        "false per 10^8 content-days",
        "of these at most (95 %)",
    ])];
    for detector in all_detectors(played) {
        let days = days_of(played, detector);
        let scored = score(&days, detector);
        let rung = Rung::of(played, detector);
        let name = if days.len() < played.len() {
            format!("{} (on {} of {} days)", title(detector), days.len(), played.len())
        } else {
            title(detector).to_owned()
        };
        let reuploads = |value: f64| {
            if value.is_finite() {
                short(value)
            } else {
                "never".to_owned()
            }
        };
        table.push(vec![
            name,
            format!("{} of {}", scored.crises_alarmed, scored.crises),
            reuploads(scored.reuploads_at_alarm_p50),
            reuploads(scored.reuploads_at_alarm_p99),
            short(rung.crises as f64),
            short(rung.others() as f64),
            short(rung.near as f64),
            short(rung.false_alarms as f64),
            short(scored.false_alarms_per_1e8_content_days),
            short(scored.false_alarms_per_1e8_content_days_upper95),
        ]);
    }
    let exact = match all_detectors(played).contains(&EXACT) {
        true => format!("\n{}", beside_exact(played)),
        false => String::new(),
    };
    Section {
        heading: "Beside what anybody would try first".to_owned(),
        text: format!("All of them see the same events. A content-day is one content seen on one day.{exact}"),
        charts: Vec::new(),
        table,
    }
}

/// Why the rule on exact counts is no bound of what Tocsin can do, and how far apart both were on the same days.
fn beside_exact(played: &[Played]) -> String {
    let days = days_of(played, EXACT);
    let (mut both, mut sooner, mut alone) = (0, 0, [0, 0]);
    for day in &days {
        let at = |detector: &str| -> BTreeMap<Family, u64> {
            let alarms = day.alarms.iter().rev().filter(|alarm| alarm.detector == detector);
            alarms.map(|alarm| (alarm.family, alarm.reuploads)).collect()
        };
        let (ours, exact) = (at(TOCSIN), at(EXACT));
        for (family, reuploads) in &exact {
            match ours.get(family) {
                Some(of_ours) => {
                    both += 1;
                    sooner += usize::from(reuploads < of_ours);
                }
                None => alone[1] += 1,
            }
        }
        alone[0] += ours.keys().filter(|family| !exact.contains_key(family)).count();
    }
    format!(
        "Exact counts are no ideal that Tocsin can only fall short of. They are the same rule at the same threshold, and the rule lets nothing count that \
         came before a content was counted exactly: for Tocsin its first copies, for exact counts nothing. So exact counts see a few copies more of \
         every burst, reach the threshold sooner, and ring about smaller ones too, which may be false. Here they rang about {} {} of which \
         Tocsin said nothing, Tocsin about {} of which they said nothing; of the {both} that both rang about, they were sooner in {sooner}.",
        alone[1],
        plural(alone[1], "content", "contents"),
        alone[0]
    )
}

/// What the score says and what became of it.
fn chances(played: &[Played]) -> Section {
    let mut bins: BTreeMap<i64, [u64; 3]> = BTreeMap::new();
    for alarm in played
        .iter()
        .flat_map(|day| &day.alarms)
        .filter(|alarm| alarm.detector == TOCSIN)
    {
        let bin = bins.entry(alarm.score.floor() as i64).or_default();
        let place = match alarm.verdict {
            Verdict::Right => 0,
            Verdict::Near => 1,
            Verdict::False | Verdict::Repeat => 2,
        };
        bin[place] += 1;
    }
    if bins.is_empty() {
        return Section::default();
    }
    let share = |up_to: usize| -> Vec<(f64, f64)> {
        let of_bin = |(score, bin): (&i64, &[u64; 3])| {
            let (some, all) = (bin[..up_to].iter().sum::<u64>(), bin.iter().sum::<u64>());
            (*score as f64 + 0.5, 100.0 * some as f64 / all.max(1) as f64)
        };
        bins.iter().map(of_bin).collect()
    };
    let mut table = vec![columns(["score", "right", "near", "false"])];
    for (score, bin) in &bins {
        let mut row = vec![format!("{score} to {}", score + 1)];
        row.extend(bin.map(|count| short(count as f64)));
        table.push(row);
    }
    Section {
        heading: "What the score is worth".to_owned(),
        text: "The score is a sum of what speaks for the beginning of a spike, in nats: natural logarithms of odds, so that one more stands for odds 2.7 \
               times as high. Among alarms of a higher score fewer should be false; what is near is neither. A score of few alarms says little: the \
               table has their numbers."
            .to_owned(),
        charts: vec![Chart {
            caption: "Of the alarms of each score, how many percent were right, and how many right or near. What lies between the lines was near; what \
                      the upper line leaves to 100 was false."
                .to_owned(),
            x: Axis::linear("score at the alarm, nats"),
            y: Axis::per_cent("alarms of this score, %"),
            lines: vec![
                Line::new("right", Style::Straight, share(1)),
                Line::new("right or near", Style::Straight, share(2)).broad(),
            ],
            marks: Vec::new(),
        }],
        table,
    }
}

fn queue(day: &Played) -> Section {
    let hours = |at: Timestamp| (at - day.day.from).0 as f64 / 3_600_000.0;
    let mut open = 0.0;
    let points = day.episodes.iter().map(|(at, change)| {
        open += f64::from(*change);
        (hours(*at), open)
    });
    let warm_up = day.plan.warm_up.0 as f64 / 3_600_000.0;
    let points: Vec<(f64, f64)> = std::iter::once((-warm_up, 0.0)).chain(points).collect();
    Section {
        heading: format!("What is open over day {}", day.day.day + 1),
        text: format!(
            "An episode begins with an alarm and ends when the spread has died away. Counted here are the episodes of all alarms of day {}, about crises \
             and about everything else, while nobody decides. The stream begins {} hours before the day, so that the alarm has a past; \
             its episodes are counted too.",
            day.day.day + 1,
            short(warm_up)
        ),
        charts: vec![Chart {
            caption: format!("{}: episodes open at a time, of all its traffic.", day_name(day)),
            x: Axis::linear("hours since the day began"),
            y: Axis::linear("open episodes"),
            lines: vec![Line::new("open", Style::Steps, points)],
            marks: Vec::new(),
        }],
        table: Vec::new(),
    }
}
