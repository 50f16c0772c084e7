//! What a person is told of windowed counts.

use std::collections::BTreeMap;

use tocsin_loadtest::report::{Axis, Bar, Chart, Line, Met, Report, Section, Style, shares_reaching, short};

use super::{Bound, Compared};
use crate::evaluate::SuiteArguments;
use crate::evaluate::output::{columns, number};
use crate::rehearsal::Figures;

/// The share of answers by sketches whose error is so large or larger: seen, and stated. `None` where nothing was counted by sketches.
pub(in super::super) fn errors_chart<'a>(bounds: impl Iterator<Item = &'a Bound>) -> Option<Chart> {
    // One is added, since half of the errors are zero and the axis is logarithmic.
    let (errors, stated): (Vec<f64>, Vec<f64>) = bounds
        .filter_map(|bound| Some((bound.error() as f64 + 1.0, bound.stated?.0 + 1.0)))
        .unzip();
    (!errors.is_empty()).then(|| Chart {
        caption: "The share of answers by sketches whose error is so large or larger: seen, and stated. The line of what was seen should stay on \
                  the left."
            .to_owned(),
        x: Axis::log("error plus one"),
        y: Axis::log("share of answers"),
        lines: vec![
            Line::new("seen", Style::Steps, shares_reaching(errors)),
            Line::new("stated", Style::Steps, shares_reaching(stated)),
        ],
        marks: Vec::new(),
    })
}

/// The page, of each run under the prefix of its figures.
pub(super) fn of(suite: &SuiteArguments, figures: &Figures, runs: &[(&str, Vec<Compared>)]) -> Report {
    let figure = |name: &str| number(figures, name);
    let events = short(figure("events").unwrap_or(0.0));
    let contents = short(figure("live_contents").unwrap_or(0.0));
    Report {
        title: "How good are windowed counts?".to_owned(),
        introduction: vec![
            format!(
                "Tocsin answers how often a content was uploaded or shared in the last 5 minutes, hour and 24 hours. Contents that spread are \
                 counted exactly; all others by sketches, which are small and may count too many, never too few. Every answer is an interval that \
                 must hold the truth, and states an error with the confidence at which it is not exceeded. Here a day of {events} events about \
                 {contents} contents was counted, nine contents in ten seen once, and the answers about one content in 40 compared with exact \
                 counts."
            ),
            "Two days were played: one of events that everybody may see, and one (the second, \"mixed\") of which every second event is for \
             coordinators alone, which doubles what has to be kept."
                .to_owned(),
            "Then a minute of a flood was played: 10^6 contents a second that come once, far more than the sketches are sized for, beside contents that \
             spread. It must neither push out what spreads nor keep the alarm from ringing."
                .to_owned(),
        ],
        bars: bars(suite.scale, figures),
        sections: runs.iter().flat_map(|(prefix, run)| sections(prefix, run)).chain([memory(figures)]).collect(),
        origin: vec![format!(
            "Made by: tocsin evaluate windows --seed {} --scale {} --report DIR; the same arguments give the same page, its date and the time of an event aside. \
             Rows to score again: --rows DIR.",
            suite.seed, suite.scale
        )],
        ..Report::default()
    }
}

fn bars(scale: f64, figures: &Figures) -> Vec<Bar> {
    let mut bars = Vec::new();
    for (prefix, day) in [("", ""), ("mixed_", ", mixed day")] {
        let figure = |name: &str| number(figures, &format!("{prefix}{name}"));
        let of = |meaning: &str| format!("{meaning}{day}");
        bars.extend([
            Bar::at_most(&of("answers that count too few"), figure("undercounts"), 0.0),
            Bar::at_most(
                &of("error in all but one answer in a thousand, in events"),
                figure("error_p999"),
                2.0,
            ),
            Bar::at_most(
                &of("stated errors exceeded more often than their confidence allows"),
                figure("bound_violations"),
                0.0,
            ),
        ]);
        // Two classes may take twice the bytes of one, and a small scale fills no sketch: the bar is about one class at full scale.
        let bytes = figure("bytes_per_cold_content");
        bars.push(match prefix {
            "" if scale >= 1.0 => Bar::at_most(
                "bytes for each content that is counted by sketches; the goal is 8",
                bytes,
                24.0,
            ),
            _ => Bar::reported(&of("bytes for each content that is counted by sketches"), bytes),
        });
        bars.push(Bar::reported(
            &of("the same of an exact table of all times"),
            figure("bytes_per_content_exact_table"),
        ));
    }
    let figure = |name: &str| number(figures, name);
    bars.extend([
        Bar::reported("error of the window of 24 hours, in the mean", figure("day_error_mean")),
        Bar::reported(
            "the same of a count-min sketch of the whole day (probabilistic-collections)",
            figure("count_min_day_error_mean"),
        ),
        Bar::reported(
            "the bytes for each content that it has",
            figure("count_min_bytes_per_content"),
        ),
    ]);
    bars.extend(crowd_bars(figures));
    bars
}

fn crowd_bars(figures: &Figures) -> Vec<Bar> {
    let figure = |name: &str| number(figures, &format!("crowd_{name}"));
    let spreads = figure("spreads_of_each_course");
    let least = |meaning: &str, name: &str| match figure(name).zip(spreads) {
        Some((value, spreads)) => Bar::at_least(meaning, value, spreads),
        None => Bar {
            meaning: meaning.to_owned(),
            value: "none".to_owned(),
            bound: String::new(),
            target: "at least all of them".to_owned(),
            met: Met::No,
        },
    };
    vec![
        least(
            "contents with eight copies an hour that kept their place in the flood",
            "steady_kept_hot",
        ),
        least("contents that broke out in the flood and rang", "breaking_out_alarmed"),
        least("contents that began in the flood and rang", "beginning_within_alarmed"),
        least(
            "contents that began after the flood and rang",
            "beginning_after_alarmed",
        ),
        Bar::reported(
            "copies later than without the flood, at most, of those that broke out in it",
            figure("breaking_out_copies_later_max"),
        ),
        Bar::reported(
            "the same of those that began in it, two or three copies a second",
            figure("beginning_within_copies_later_max"),
        ),
        Bar::reported(
            "the same of those that began after it",
            figure("beginning_after_copies_later_max"),
        ),
        Bar::at_most("answers that count too few, in the flood", figure("undercounts"), 0.0),
        Bar::at_most(
            "answers whose interval begins above the truth, in the flood",
            figure("lower_bounds_above_truth"),
            0.0,
        ),
        Bar::at_most(
            "stated errors exceeded more often than their confidence allows, in the flood",
            figure("bound_violations"),
            0.0,
        ),
        Bar::at_most("alarms about contents that came once", figure("false_alarms"), 0.0),
        Bar::at_most(
            "contents with eight copies an hour that rang in the flood",
            figure("false_alarms_steady"),
            0.0,
        ),
    ]
}

fn sections(prefix: &str, run: &[Compared]) -> Vec<Section> {
    let day = match prefix {
        "" => "for everybody",
        "mixed_" => "mixed",
        _ => "with a flood",
    };
    let bounds = || run.iter().map(|compared| &compared.bound);
    let sketched = bounds().filter(|bound| bound.stated.is_some()).count();
    let misses = bounds().filter(|bound| bound.misses()).count();
    let against = Section {
        heading: format!("Error against bound, day {day}"),
        text: format!(
            "Of {} answers {sketched} came from sketches; {misses} intervals missed the truth.",
            run.len()
        ),
        charts: errors_chart(bounds()).into_iter().collect(),
        table: Vec::new(),
    };
    vec![against, by_size(day, run)]
}

/// Errors and widths of contents of every size.
fn by_size(day: &str, run: &[Compared]) -> Section {
    /// Of the answers whose true count begins with the same power of two.
    #[derive(Default)]
    struct Bin {
        answers: u64,
        exact: u64,
        error_sum: u64,
        error_max: u64,
        stated_max: f64,
    }
    let mut bins: BTreeMap<u64, Bin> = BTreeMap::new();
    for bound in run.iter().map(|compared| &compared.bound) {
        let bin = bins
            .entry(bound.exact.checked_ilog2().map_or(0, |power| 1 << power))
            .or_default();
        bin.answers += 1;
        bin.exact += u64::from(bound.stated.is_none());
        bin.error_sum += bound.error();
        bin.error_max = bin.error_max.max(bound.error());
        bin.stated_max = bin.stated_max.max(bound.stated.map_or(0.0, |(error, _)| error));
    }
    let mut table = vec![columns([
        "true count",
        "answers",
        "counted exactly",
        "error, mean",
        "error, most",
        "stated, most",
    ])];
    table.extend(bins.iter().map(|(from, bin)| {
        vec![
            match from {
                0 | 1 => from.to_string(),
                _ => format!("{from} to {}", from * 2 - 1),
            },
            bin.answers.to_string(),
            bin.exact.to_string(),
            short(bin.error_sum as f64 / bin.answers as f64),
            bin.error_max.to_string(),
            short(bin.stated_max),
        ]
    }));
    let line = |name: &str, of: fn(&Bin) -> f64| {
        let points = bins.iter().map(|(from, bin)| ((from + 1) as f64, of(bin)));
        Line::new(name, Style::Straight, points.collect())
    };
    Section {
        heading: format!("Contents of every size, day {day}"),
        text: "What spreads is counted exactly from its promotion on; what came before promotion is an interval too. A stated error holds with the \
               confidence that is stated with it, so the most that was seen may be more."
            .to_owned(),
        charts: vec![Chart {
            caption: "By how many events answers count too many, by the true count in the window.".to_owned(),
            x: Axis::log("true count in the window, plus one"),
            y: Axis::linear("events too many"),
            lines: vec![
                line("most that was seen", |bin| bin.error_max as f64),
                line("mean that was seen", |bin| bin.error_sum as f64 / bin.answers as f64),
                line("most that is stated", |bin| bin.stated_max),
            ],
            marks: Vec::new(),
        }],
        table,
    }
}

fn memory(figures: &Figures) -> Section {
    let mut table = vec![columns([
        "day",
        "bytes a content by sketches",
        "bytes a content, exact table",
        "contents counted exactly",
        "bytes of those and of duplicate tokens, in all",
    ])];
    for (prefix, day) in [("", "for everybody"), ("mixed_", "mixed")] {
        let written = |name: &str| number(figures, &format!("{prefix}{name}")).map_or_else(String::new, short);
        table.push(vec![
            day.to_owned(),
            written("bytes_per_cold_content"),
            written("bytes_per_content_exact_table"),
            written("hot_records"),
            written("encoded_bytes_hot_and_tokens"),
        ]);
    }
    Section {
        heading: "Memory".to_owned(),
        text: "Sketches have a fixed size, so a small scale shows more bytes for each content than a full day does."
            .to_owned(),
        charts: Vec::new(),
        table,
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a figure that is missing meets no bar of the flood, and one that is out of bounds does not either.

    use serde_json::json;

    use super::*;

    fn unmet(figures: &Figures) -> usize {
        crowd_bars(figures).iter().filter(|bar| bar.met == Met::No).count()
    }

    #[test]
    fn a_missing_figure_meets_no_bar() {
        let of_courses = [
            "steady_kept_hot",
            "breaking_out_alarmed",
            "beginning_within_alarmed",
            "beginning_after_alarmed",
        ];
        let none_wanted = [
            "undercounts",
            "lower_bounds_above_truth",
            "bound_violations",
            "false_alarms",
            "false_alarms_steady",
        ];
        let mut whole = Figures::from([("crowd_spreads_of_each_course", json!(3))]);
        whole.extend(of_courses.map(|name| (crate::evaluate::leak(format!("crowd_{name}")), json!(3))));
        whole.extend(none_wanted.map(|name| (crate::evaluate::leak(format!("crowd_{name}")), json!(0))));
        assert_eq!(unmet(&whole), 0);
        for name in whole.keys() {
            let mut without = whole.clone();
            without.remove(name);
            let courses = if *name == "crowd_spreads_of_each_course" {
                of_courses.len()
            } else {
                1
            };
            assert_eq!(unmet(&without), courses, "{name}");
        }
        for name in none_wanted {
            let mut one = whole.clone();
            one.insert(crate::evaluate::leak(format!("crowd_{name}")), json!(1));
            assert_eq!(unmet(&one), 1, "{name}");
        }
    }
}
