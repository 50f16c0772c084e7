//! What a person who never saw the project is told of these days.

mod runs;
mod unlinked;

use std::collections::BTreeMap;

use tocsin_loadtest::day::{Family, FamilyKind, Scenario};
use tocsin_loadtest::report::{Axis, Bar, Chart, Line, Mark, Report, Section, Style, short};
use tocsin_loadtest::score::{AlarmRow, Verdict};
use tocsin_loadtest::truth::TruthRow;
use tocsin_model::Timestamp;

use super::super::SuiteArguments;
use super::Results;
use super::figures::{days_of, score};
use super::play::{EXACT, Played, TOCSIN, rivals};
use crate::rehearsal::Figures;

/// The report on these days.
pub(super) fn of(scenario: Scenario, suite: &SuiteArguments, figures: &Figures, results: &Results) -> Report {
    let played = &results.headline[..];
    let figure = |name: &str| figures.get(name).and_then(serde_json::Value::as_f64);
    let contents = short(figure("content_days").unwrap_or(0.0));
    let days = match played.len() {
        0 => "simulated days".to_owned(),
        count => format!("{count} simulated day(s) with {contents} contents in all"),
    };
    Report {
        title: format!("How good is the alarm? Scenario {}", scenario.name()),
        introduction: vec![
            format!(
                "Tocsin is told of uploads and shares on several platforms, as hashes and times, and rings when copies of one content begin to \
                 spread as a violent video does. Here it was played {days}. Nearly all of what they hold is harmless; some of it spreads fast too, \
                 and some is larger than the crises. What truly happened is known, so each alarm can be judged."
            ),
            "An alarm is right if the content has a spike: an hour with at least 30 re-uploads by 20 accounts and ten times its rate of the \
             day before, which contains the alarm or begins within 15 minutes after it. With 20 re-uploads by 15 accounts it is near; \
             otherwise false. A second alarm for one content within a day is false too. The stream is synthetic."
                .to_owned(),
        ],
        bars: if played.is_empty() {
            [runs::bars(figures), unlinked::bars(figures)].concat()
        } else {
            [bars(scenario, figures), runs::bars(figures), unlinked::bars(figures)].concat()
        },
        sections: headline(played)
            .into_iter()
            .chain(results.paging.iter().map(runs::pages))
            .chain(results.queue.iter().map(runs::order))
            .chain(results.poisoning.iter().map(runs::influence))
            .chain(results.unlinked.iter().map(unlinked::families))
            .filter(|section| !section.charts.is_empty() || !section.table.is_empty())
            .collect(),
        origin: vec![format!(
            "Made by: tocsin evaluate {} --seed {} --scale {} --report DIR, and --run and --days where given; the same \
             arguments give the same page. Rows to score again: --rows DIR.",
            scenario.name(),
            suite.seed,
            suite.scale
        )],
    }
}

fn headline(played: &[Played]) -> Vec<Section> {
    if played.is_empty() {
        return Vec::new();
    }
    let sections = [crises, delays, detectors, chances, queue, runs::errors];
    sections.map(|section| section(played)).to_vec()
}

fn bars(scenario: Scenario, figures: &Figures) -> Vec<Bar> {
    let figure = |name: &str| figures.get(name).and_then(serde_json::Value::as_f64);
    let crises = figure("crises").unwrap_or(0.0);
    let mut bars = Vec::new();
    if crises > 0.0 {
        let alarmed = figure("crises_alarmed").unwrap_or(0.0);
        bars.push(Bar::at_least("crises with a right alarm", alarmed, crises));
        let targets = if scenario == Scenario::Christchurch {
            Some((10.0, 20.0))
        } else {
            None
        };
        for (name, meaning, target) in [
            (
                "reuploads_at_alarm_p50",
                "re-uploads of a crisis when the alarm rings, median",
                targets.map(|targets| targets.0),
            ),
            (
                "reuploads_at_alarm_p99",
                "the same, in 99 of 100 crises",
                targets.map(|targets| targets.1),
            ),
        ] {
            bars.push(match target {
                Some(target) => Bar::at_most(meaning, figure(name), target),
                None => Bar::reported(meaning, figure(name)),
            });
        }
        bars.push(Bar::reported(
            "seconds from the 10th account's re-upload to the alarm, median",
            figure("delay_seconds_p50"),
        ));
    }
    bars.push(Bar::at_most(
        "false alarms in 100 million contents seen for a day",
        figure("false_alarms_per_1e8_content_days"),
        10.0,
    ));
    bars.push(Bar::reported(
        "the most that this may be, with 95 % confidence",
        figure("false_alarms_per_1e8_content_days_upper95"),
    ));
    bars.push(Bar::reported("alarms that were near", figure("near_alarms")));
    bars.push(Bar::reported(
        "alarms for harmless contents that did spike",
        figure("organic_spikes_alarmed"),
    ));
    bars
}

/// The first right alarm of each crisis, by detector.
fn first_right<'a>(played: &'a Played, detector: &str) -> BTreeMap<Family, &'a AlarmRow> {
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
    all.sort_by_key(|(reuploads, day, truth)| (*reuploads, day.day.day, truth.family));
    let places = [0, all.len() / 2, all.len().saturating_sub(1)];
    let titles = ["the earliest alarm", "an alarm as usual", "the latest alarm"];
    let mut charts = Vec::new();
    let mut shown = Vec::new();
    for (place, title) in places.into_iter().zip(titles) {
        if let Some((reuploads, day, truth)) = all.get(place)
            && !shown.contains(&place)
        {
            shown.push(place);
            charts.push(crisis(title, *reuploads, day, truth));
        }
    }
    Section {
        heading: "Crises and their alarms".to_owned(),
        text: "Copies a minute of one violent video, uploads that were blocked included. The alarm should stand where the curve begins to rise: \
               what comes to the right of it, people can still act upon."
            .to_owned(),
        charts,
        table: Vec::new(),
    }
}

fn crisis(title: &str, reuploads: u64, day: &Played, truth: &TruthRow) -> Chart {
    let minutes = |at: Timestamp| (at - truth.first_at).0 as f64 / 60_000.0;
    let begins = minutes(day.stream_begins_at);
    let points = day.curves.get(&truth.family).into_iter().flatten().enumerate();
    let points: Vec<(f64, f64)> = points
        .map(|(minute, copies)| (begins + minute as f64, f64::from(*copies)))
        .filter(|point| (-5.0..=150.0).contains(&point.0))
        .collect();
    let mut marks = Vec::new();
    if let Some(alarm) = first_right(day, TOCSIN).get(&truth.family) {
        marks.push(Mark {
            x: minutes(alarm.at),
            label: format!("alarm after {} re-uploads", alarm.reuploads),
        });
    }
    let when = if reuploads == u64::MAX { "no right alarm" } else { title };
    Chart {
        caption: format!(
            "Day {}, {when}: {} copies on this day, {} in its best hour.",
            day.day.day, truth.copies, truth.peak_copies
        ),
        x: Axis::linear("minutes since the first event"),
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

fn delays(played: &[Played]) -> Section {
    let mut lines = Vec::new();
    for detector in all_detectors(played) {
        let days = days_of(played, detector);
        let is_crisis = |truth: &&TruthRow| truth.kind == FamilyKind::Crisis;
        let crises = days
            .iter()
            .map(|day| day.truths.iter().filter(is_crisis).count())
            .sum::<usize>();
        let mut at: Vec<u64> = Vec::new();
        for day in days {
            let first = first_right(day, detector);
            let of_crises = first.values().filter(|alarm| alarm.kind == FamilyKind::Crisis);
            at.extend(of_crises.map(|alarm| alarm.reuploads));
        }
        if crises == 0 || at.is_empty() {
            continue;
        }
        at.sort_unstable();
        let points = at.iter().enumerate().map(|(place, reuploads)| {
            let share = (place + 1) as f64 * 100.0 / crises as f64;
            ((*reuploads).max(1) as f64, share)
        });
        lines.push(Line::new(detector, Style::Steps, points.collect()));
    }
    let charts = if lines.is_empty() {
        Vec::new()
    } else {
        vec![Chart {
            caption: "Of all crises, how many were alarmed by the time they had so many re-uploads. Higher and further left is better; one that \
                      rings early may ring often for nothing, see the table below."
                .to_owned(),
            x: Axis::log("re-uploads at the alarm"),
            y: Axis::linear("crises alarmed, %"),
            lines,
            marks: Vec::new(),
        }]
    };
    Section {
        heading: "How early".to_owned(),
        text: "Each line is a detector on the same stream: Tocsin; Tocsin's rule on exact counts of everything, which no machine could keep; and \
               what anybody would try first."
            .to_owned(),
        charts,
        table: Vec::new(),
    }
}

fn detectors(played: &[Played]) -> Section {
    let mut table = vec![
        [
            "detector",
            "crises alarmed",
            "re-uploads at alarm, median",
            "99 %",
            "right alarms",
            "near",
            "false",
            "false per 10^8 content-days",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for detector in all_detectors(played) {
        let days = days_of(played, detector);
        let scored = score(&days, detector);
        let name = if days.len() < played.len() {
            format!("{detector} ({} of {} days)", days.len(), played.len())
        } else {
            detector.to_owned()
        };
        table.push(vec![
            name,
            format!("{} of {}", scored.crises_alarmed, scored.crises),
            short(scored.reuploads_at_alarm_p50),
            short(scored.reuploads_at_alarm_p99),
            scored.right_alarms.to_string(),
            scored.near_alarms.to_string(),
            scored.false_alarms.to_string(),
            short(scored.false_alarms_per_1e8_content_days),
        ]);
    }
    Section {
        heading: "Beside what anybody would try first".to_owned(),
        text: "All of them see the same events; the rivals are also told the true time of each event.".to_owned(),
        charts: Vec::new(),
        table,
    }
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
    let share = |up_to: usize| -> Vec<(f64, f64)> {
        let of_bin = |(score, bin): (&i64, &[u64; 3])| {
            let (some, all) = (bin[..up_to].iter().sum::<u64>(), bin.iter().sum::<u64>());
            (*score as f64 + 0.5, 100.0 * some as f64 / all.max(1) as f64)
        };
        bins.iter().map(of_bin).collect()
    };
    let mut table = vec![["score", "right", "near", "false"].map(str::to_owned).to_vec()];
    for (score, bin) in &bins {
        let mut row = vec![format!("{score} to {}", score + 1)];
        row.extend(bin.map(|count| count.to_string()));
        table.push(row);
    }
    Section {
        heading: "What the score is worth".to_owned(),
        text: "The score is a sum of what speaks for the beginning of a spike. Among alarms of a higher score fewer should be false; what is \
               near is neither."
            .to_owned(),
        charts: vec![Chart {
            caption: "Of the alarms of one score, how many were right, and how many right or near. What is missing to 100 was false.".to_owned(),
            x: Axis::linear("score at the alarm, nats"),
            y: Axis::linear("alarms, %"),
            lines: vec![
                Line::new("right or near", Style::Straight, share(2)),
                Line::new("right", Style::Straight, share(1)),
            ],
            marks: Vec::new(),
        }],
        table,
    }
}

fn queue(played: &[Played]) -> Section {
    let Some(day) = played.first() else {
        return Section::default();
    };
    let hours = |at: Timestamp| (at - day.day.from).0 as f64 / 3_600_000.0;
    let mut open = 0.0;
    let points = day.episodes.iter().map(|(at, change)| {
        open += f64::from(*change);
        (hours(*at), open)
    });
    let points: Vec<(f64, f64)> = points.collect();
    Section {
        heading: "The queue over a day".to_owned(),
        text: "Episodes that are open, nobody deciding: each begins with an alarm and ends when the spread has died away. All of the largest \
               harmless cascades are among them; what must come first is the order's business."
            .to_owned(),
        charts: vec![Chart {
            caption: format!("Open episodes on day {}.", day.day.day),
            x: Axis::linear("hours since the day began"),
            y: Axis::linear("open episodes"),
            lines: vec![Line::new("open", Style::Steps, points)],
            marks: Vec::new(),
        }],
        table: Vec::new(),
    }
}
