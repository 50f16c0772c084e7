//! What a person is told of detections in series.

use tocsin_loadtest::report::{Axis, Bar, Chart, Line, Report, Section, Style, short};

use super::detect::THRESHOLD;
use super::read::Series;
use super::score::Scored;
use crate::evaluate::output::{columns, number};
use crate::rehearsal::Figures;

/// A series and what was detected in it.
#[derive(Debug)]
pub(super) struct Detected<'a> {
    pub(super) series: &'a Series,
    pub(super) scored: &'a Scored,
    /// The rows of detections, in order.
    pub(super) rows: &'a [usize],
}

/// The most series that are drawn, and that stand in the table.
const CHARTS_MAX: usize = 24;
const TABLE_MAX: usize = 500;
/// A series is drawn with twice so many points at most: the least and the greatest value of each stretch.
const STRETCHES: usize = 500;

/// The page; series in the order of their names.
pub(super) fn of(figures: &Figures, all: &[Detected<'_>]) -> Report {
    let figure = |name: &str| number(figures, name);
    let windows = figure("windows").map_or_else(String::new, short);
    Report {
        title: "How good are detections in labelled series?".to_owned(),
        introduction: vec![
            "The idea of Tocsin's trigger was let loose on series of numbers in which people had marked where something unusual happens: windows. A \
             window is found if there is a detection within it; the earlier, the better. All series were played with one and the same setting."
                .to_owned(),
            "The score is that of the Numenta Anomaly Benchmark: 0 for a detector that never rings, 100 for one that rings once, at the very \
             beginning of every window. What happens in the first part of a series is not scored."
                .to_owned(),
        ],
        bars: vec![
            Bar::reported(&format!("windows found, of {windows}"), figure("windows_found")),
            Bar::reported("detections outside of windows", figure("detections_outside")),
            Bar::reported("score, standard profile", figure("nab_standard")),
            Bar::reported("score, false detections cost double", figure("nab_reward_low_fp")),
            Bar::reported("score, missed windows cost double", figure("nab_reward_low_fn")),
            Bar::reported(
                "score, standard profile, at the threshold that is best for these labels",
                figure("nab_standard_best"),
            ),
        ],
        sections: vec![drawn(all), table(all)],
        origin: vec![
            "Made by: tocsin evaluate series --input DIR --report DIR; the same series give the same page, its date aside. A detection file for each: --rows DIR."
                .to_owned(),
        ],
        ..Report::default()
    }
}

impl Detected<'_> {
    fn missed(&self) -> usize {
        self.scored.windows() - self.scored.found(THRESHOLD)
    }

    fn chart(&self) -> Chart {
        let Series { values, windows, .. } = self.series;
        let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let strokes = windows
            .iter()
            .flat_map(|window| [window.start(), window.end()].map(|row| (*row as f64, lowest)));
        let detections = self.rows.iter().map(|row| (*row as f64, values[*row]));
        Chart {
            caption: format!(
                "{}: {} values from {} to {}; {} of {} windows found, {} detections outside.",
                self.series.file.display(),
                values.len(),
                self.series.timestamps.first().map_or("", |time| time),
                self.series.timestamps.last().map_or("", |time| time),
                self.scored.found(THRESHOLD),
                self.scored.windows(),
                self.scored.outside(THRESHOLD)
            ),
            x: Axis::linear("number of the value"),
            y: Axis::linear("value"),
            lines: vec![
                Line::new("values", Style::Straight, outline(values)),
                Line::new("detections", Style::Points, detections.collect()),
                Line::new("windows", Style::Strokes, strokes.collect()),
            ],
            marks: Vec::new(),
        }
    }
}

/// The points of a line that looks like all values do: of each stretch the least and the greatest, in their order.
fn outline(values: &[f64]) -> Vec<(f64, f64)> {
    let length = values.len().div_ceil(STRETCHES).max(1);
    let mut points = Vec::new();
    for (number, stretch) in values.chunks(length).enumerate() {
        let point = |place: usize| ((number * length + place) as f64, stretch[place]);
        let places = || 0..stretch.len();
        let by_value = |one: &usize, other: &usize| stretch[*one].total_cmp(&stretch[*other]);
        let mut ends = [places().min_by(by_value), places().max_by(by_value)];
        ends.sort_unstable();
        points.extend(ends.into_iter().flatten().map(point));
    }
    points.dedup();
    points
}

fn drawn(all: &[Detected<'_>]) -> Section {
    let mut shown: Vec<&Detected<'_>> = all.iter().collect();
    // A stable order: the worst first, by name among equals.
    shown.sort_by_key(|detected| {
        let wrong = detected.missed() + detected.scored.outside(THRESHOLD);
        (std::cmp::Reverse(wrong), detected.series.windows.is_empty())
    });
    let left_out = shown.len().saturating_sub(CHARTS_MAX);
    shown.truncate(CHARTS_MAX);
    Section {
        heading: "Detections over the series".to_owned(),
        text: format!(
            "Those with most windows missed and detections outside come first{}. Windows are the thick strokes at the bottom: a good detector has \
             its points where they begin, and nowhere else.",
            match left_out {
                0 => String::new(),
                count => format!("; {count} better ones are not drawn"),
            }
        ),
        charts: shown.into_iter().map(Detected::chart).collect(),
        table: Vec::new(),
    }
}

fn table(all: &[Detected<'_>]) -> Section {
    let mut rows = vec![columns([
        "series",
        "values",
        "windows scored",
        "found",
        "detections",
        "outside",
    ])];
    rows.extend(all.iter().take(TABLE_MAX).map(|detected| {
        vec![
            detected.series.file.display().to_string(),
            detected.series.values.len().to_string(),
            detected.scored.windows().to_string(),
            detected.scored.found(THRESHOLD).to_string(),
            detected.rows.len().to_string(),
            detected.scored.outside(THRESHOLD).to_string(),
        ]
    }));
    Section {
        heading: "Every series".to_owned(),
        text: match all.len().saturating_sub(TABLE_MAX) {
            0 => String::new(),
            count => format!("The first {TABLE_MAX}; {count} more are not shown."),
        },
        charts: Vec::new(),
        table: rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_keeps_what_stands_out() {
        let mut values: Vec<f64> = (0..10_000).map(|place| f64::from(place % 7)).collect();
        values[4_321] = 99.0;
        values[8_765] = -99.0;
        let points = outline(&values);
        assert!(points.len() <= 2 * STRETCHES && points.is_sorted_by(|one, other| one.0 < other.0));
        assert!(points.contains(&(4_321.0, 99.0)) && points.contains(&(8_765.0, -99.0)));
        assert_eq!(outline(&[1.0, 2.0]), [(0.0, 1.0), (1.0, 2.0)]);
        assert_eq!(outline(&[]), []);
    }
}
