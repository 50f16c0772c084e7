//! What a person is told of alarms about recorded contents.

use tocsin_loadtest::report::{Axis, Bar, Chart, Line, Mark, Report, Section, Style, short};
use tocsin_model::Timestamp;

use super::Suite;
use super::compare::{Measured, SHIPPED, is_rival};
use super::matching::Aim;
use super::play::{Alarm, Content, Detector, EXACT, Origin, Played, TOCSIN};
use crate::evaluate::SuiteArguments;
use crate::evaluate::detectors::title;
use crate::evaluate::output::{columns, number};
use crate::rehearsal::Figures;

/// A curve is drawn with so many points at most, and a few more.
const POINTS_MAX: usize = 500;
/// What is shown around an early alarm at least.
const MINUTES_MIN: f64 = 30.0;

/// The page about a set that was mixed into traffic.
pub(super) fn of(
    suite: Suite,
    arguments: &SuiteArguments,
    figures: &Figures,
    bars: Vec<Bar>,
    sections: Vec<Section>,
) -> Report {
    let figure = |name: &str| number(figures, name).map_or_else(String::new, short);
    let (what, name) = match suite {
        Suite::Posts => (
            "posts around an election: every image, address and hashtag of them is a content",
            "posts",
        ),
        Suite::Cascades => ("cascades of retweets: every cascade is a content", "cascades"),
    };
    Report {
        title: format!("How good is the alarm on recorded {name}?"),
        introduction: vec![
            format!(
                "Tocsin was played {} recorded {what}; {} contents in all, inside generated traffic of {} events. Nobody labelled them, so what the \
                 alarm should ring about is a convention: a content is positive that was shared {} times within some 24 hours. {} are.",
                figure("events"),
                figure("contents"),
                figure("background_events"),
                figure("positive"),
                figure("positives"),
            ),
            "An alarm about any other content is false here, though nothing may be wrong with it: many of those are shared nearly as often. Each \
             detector counts once for each content, at its first alarm."
                .to_owned(),
        ],
        bars,
        sections,
        origin: vec![format!(
            "Made by: tocsin evaluate {name} --seed {} --scale {} --report DIR; the same arguments and the same set give the same page, its date aside. Rows to score \
             again: --rows DIR.",
            arguments.seed, arguments.scale
        )],
        ..Report::default()
    }
}

/// What is asked of the alarm.
pub(super) fn bars(played: &Played, figures: &Figures) -> Vec<Bar> {
    let figure = |name: &str| number(figures, name);
    let mut bars = vec![
        Bar::reported("share of the positive contents that are alarmed", figure("recall")),
        Bar::reported("false alarms", figure("false_alarms")),
        Bar::reported(
            "false alarms about generated contents around them",
            figure("background_false_alarms"),
        ),
        Bar::reported(
            "shares that a positive content had by its alarm, median",
            figure("shares_at_alarm_p50"),
        ),
    ];
    for rival in played.detectors.iter().filter(|detector| is_rival(detector)) {
        let told = title(rival.name);
        let meaning =
            format!("false alarms, as a part of those of \"{told}\", at its recall and no more shares at the alarm");
        let ratio = figure(&format!("false_alarm_ratio_vs_{}", rival.name));
        bars.push(match ratio {
            Some(ratio) => Bar::at_most(&meaning, Some(ratio), 0.5),
            // The rival has too few for a ratio, or is matched by no parameters.
            None => Bar::reported(&meaning, None),
        });
    }
    bars
}

/// Everything else.
pub(super) fn sections(played: &Played, figures: &Figures, positive: u32) -> Vec<Section> {
    let sections = [
        alarmed(played, positive),
        early(played, positive),
        detectors(played, positive),
        thresholds(played, positive),
        matched(played, figures),
    ];
    let mut sections = sections.to_vec();
    sections.retain(|section| !section.charts.is_empty() || section.table.len() > 1);
    sections
}

fn is_positive(content: &Content, positive: u32) -> bool {
    content.origin == Origin::Real && content.busiest_day >= positive
}

/// Of each positive content, when it was alarmed; the earliest by shares first, those that were missed last.
fn positives<'a>(played: &'a Played, positive: u32, detector: &Detector) -> Vec<(Option<Alarm>, &'a Content)> {
    let numbered = played.contents.iter().enumerate();
    let mut positives: Vec<(Option<Alarm>, &Content)> = numbered
        .filter(|(_, content)| is_positive(content, positive))
        .map(|(place, content)| (detector.alarms.get(&place).copied(), content))
        .collect();
    positives.sort_by_key(|(alarm, _)| alarm.map_or(u32::MAX, |alarm| alarm.shares));
    positives
}

fn alarmed(played: &Played, positive: u32) -> Section {
    let all = positives(played, positive, &played.detectors[0]);
    let rang = all.iter().filter(|(alarm, _)| alarm.is_some()).count();
    let missed = all[rang..].iter().max_by_key(|(_, content)| content.busiest_day);
    let mut charts = Vec::new();
    let mut shown = Vec::new();
    for (place, told) in [
        (0, "The earliest alarm"),
        (rang / 2, "An alarm as usual"),
        (rang.saturating_sub(1), "The latest alarm"),
    ] {
        if place < rang && !shown.contains(&place) {
            shown.push(place);
            charts.push(course(told, all[place]));
        }
    }
    charts.extend(missed.map(|content| course("The largest that was missed", *content)));
    Section {
        heading: "Contents and their alarms".to_owned(),
        text:
            "How often one content had been shared, over time. The alarm should stand where the curve begins to rise."
                .to_owned(),
        charts,
        table: Vec::new(),
    }
}

/// The shares of a content over time: around its alarm, and of one that was missed all.
fn course(told: &str, (alarm, content): (Option<Alarm>, &Content)) -> Chart {
    let begins = content.shared_at.first().copied().unwrap_or(Timestamp(0));
    let minutes = |at: Timestamp| (at - begins).0 as f64 / 60_000.0;
    let until = alarm.map_or(f64::INFINITY, |alarm| (3.0 * minutes(alarm.at)).max(MINUTES_MIN));
    let shown = content.shared_at.iter().filter(|at| minutes(**at) <= until).count();
    let (unit, name) = if minutes(content.shared_at[..shown].last().copied().unwrap_or(begins)) > 300.0 {
        (60.0, "hours since its first share")
    } else {
        (1.0, "minutes since its first share")
    };
    let every = shown.div_ceil(POINTS_MAX).max(1);
    let points = content.shared_at[..shown]
        .iter()
        .enumerate()
        .filter(|(place, _)| place % every == 0 || place + 1 == shown)
        .map(|(place, at)| (minutes(*at) / unit, (place + 1) as f64));
    let marks = alarm.map(|alarm| Mark {
        x: minutes(alarm.at) / unit,
        label: format!("alarm after {} shares", alarm.shares),
    });
    Chart {
        caption: format!(
            "{told}: {} shares in all, {} of them in its busiest 24 hours.",
            content.shares, content.busiest_day
        ),
        x: Axis::linear(name),
        y: Axis::linear("shares so far"),
        lines: vec![Line::new("shares", Style::Steps, points.collect())],
        marks: marks.into_iter().collect(),
    }
}

fn early(played: &Played, positive: u32) -> Section {
    let mut lines = Vec::new();
    for detector in &played.detectors {
        let all = positives(played, positive, detector);
        let points = all.iter().enumerate().filter_map(|(place, (alarm, _))| {
            let share = 100.0 * (place + 1) as f64 / all.len() as f64;
            Some((f64::from(alarm.as_ref()?.shares.max(1)), share))
        });
        let mut points: Vec<(f64, f64)> = points.collect();
        if let Some((first, _)) = points.first().copied() {
            points.insert(0, (first, 0.0));
            let line = Line::new(title(detector.name), Style::Steps, points);
            // Tocsin's own line lies on it most of the time.
            lines.push(if detector.name == EXACT { line.broad() } else { line });
        }
    }
    let chart = Chart {
        caption: "Of all positive contents, how many were alarmed by the time they had so many shares. Higher and further left is better; one that \
                  rings early may ring often for nothing, see the table below."
            .to_owned(),
        x: Axis::log("shares at the alarm"),
        y: Axis::per_cent("positive contents alarmed, %"),
        marks: Vec::new(),
        lines,
    };
    Section {
        heading: "How early".to_owned(),
        text: "Each line is a detector on the same stream.".to_owned(),
        charts: (!chart.lines.is_empty()).then_some(chart).into_iter().collect(),
        table: Vec::new(),
    }
}

fn measured(played: &Played, positive: u32, detector: &Detector) -> Measured {
    Measured::of(played.contents.iter().enumerate(), positive, |place, _| {
        Some(detector.alarms.get(&place)?.shares)
    })
}

fn detectors(played: &Played, positive: u32) -> Section {
    let mut table = vec![columns([
        "detector",
        "positive contents alarmed",
        "shares at alarm, median",
        "false alarms",
        "false about generated contents",
    ])];
    table.extend(played.detectors.iter().map(|detector| {
        let measured = measured(played, positive, detector);
        vec![
            title(detector.name).to_owned(),
            format!("{} of {}", measured.alarmed, measured.positives),
            measured
                .shares_p50()
                .map_or_else(|| "none".to_owned(), |shares| shares.to_string()),
            measured.false_alarms.to_string(),
            measured.background_false_alarms.to_string(),
        ]
    }));
    Section {
        heading: "Beside what anybody would try first".to_owned(),
        text: "As they are: Tocsin with the parameters it is shipped with, which are made for spikes.".to_owned(),
        charts: Vec::new(),
        table,
    }
}

/// What each threshold would give with the parameters that are shipped otherwise.
fn thresholds(played: &Played, positive: u32) -> Section {
    let real = || played.contents.iter().filter(|content| content.origin == Origin::Real);
    let all = real().filter(|content| is_positive(content, positive)).count();
    if all == 0 {
        return Section::default();
    }
    let percent = |alarmed: usize| 100.0 * alarmed as f64 / all as f64;
    let mut reached: Vec<(f64, bool)> = real()
        .filter_map(|content| {
            Some((
                content.steps_of(SHIPPED).last()?.threshold,
                is_positive(content, positive),
            ))
        })
        .collect();
    reached.sort_by(|one, other| other.0.total_cmp(&one.0));
    let (mut alarmed, mut false_alarms) = (0, 0);
    let mut points = vec![(0.0, 0.0)];
    for same in reached.chunk_by(|one, other| one.0 == other.0) {
        let positives = same.iter().filter(|(_, is_positive)| *is_positive).count();
        alarmed += positives;
        false_alarms += same.len() - positives;
        points.push((false_alarms as f64, percent(alarmed)));
    }
    let mut lines = vec![Line::new("Tocsin at every threshold", Style::Steps, points)];
    lines.extend(played.detectors.iter().map(|detector| {
        let measured = measured(played, positive, detector);
        let name = match detector.name {
            TOCSIN => "Tocsin as shipped",
            name => title(name),
        };
        let point = (measured.false_alarms as f64, percent(measured.alarmed as usize));
        Line::new(name, Style::Points, vec![point])
    }));
    Section {
        heading: "What another threshold would give".to_owned(),
        text: "A lower threshold finds more of the positive contents and rings more often about others.".to_owned(),
        charts: vec![Chart {
            caption: "Higher and further left is better. A point below the line is a detector that Tocsin can beat by its threshold alone."
                .to_owned(),
            x: Axis::linear("false alarms"),
            y: Axis::per_cent("positive contents alarmed, %"),
            lines,
            marks: Vec::new(),
        }],
        table: Vec::new(),
    }
}

/// Tocsin at the recall of each rival.
fn matched(played: &Played, figures: &Figures) -> Section {
    let mut table = vec![columns([
        "rival",
        "asked of Tocsin",
        "threshold",
        "recall: Tocsin, rival",
        "shares at alarm: Tocsin, rival",
        "false alarms: Tocsin, rival",
    ])];
    for rival in played.detectors.iter().filter(|detector| is_rival(detector)) {
        for (aim, asked) in [
            (Aim::RecallAndShares, "its recall, no later"),
            (Aim::Recall, "its recall, however late"),
        ] {
            let (prefix, name) = (aim.prefix(), rival.name);
            let written = |figure: String| number(figures, &figure).map_or_else(|| "none".to_owned(), short);
            let both = |figure: &str| {
                let ours = written(format!("{prefix}second_half_vs_{name}_{figure}"));
                format!("{ours}, {}", written(format!("second_half_{name}_{figure}")))
            };
            let threshold = number(figures, &format!("{prefix}threshold_vs_{name}"));
            let mut row = vec![title(name).to_owned(), asked.to_owned()];
            match threshold {
                Some(threshold) => row.extend([
                    short(threshold),
                    both("recall"),
                    both("shares_at_alarm_p50"),
                    both("false_alarms"),
                ]),
                None => row.extend(["reached by none", "", "", ""].map(str::to_owned)),
            }
            table.push(row);
        }
    }
    Section {
        heading: "At the recall of a rival".to_owned(),
        text: "On one half of the contents, drawn by their hash, those parameters were chosen at which Tocsin finds as much as the rival with the \
               fewest false alarms. These are the figures on the other half."
            .to_owned(),
        charts: Vec::new(),
        table,
    }
}
