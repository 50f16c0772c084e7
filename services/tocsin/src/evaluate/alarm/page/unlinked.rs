//! The section about crises whose variants nobody has grouped.

use tocsin_loadtest::report::{Axis, Bar, Chart, Line, Section, Style, short};

use super::super::unlinked::Unlinked;
use super::goals::{all, percentile};
use crate::evaluate::output::{columns, number};
use crate::rehearsal::Figures;

/// What is asked of that run, if it was played.
pub(super) fn bars(figures: &Figures, unlinked: Option<&Unlinked>) -> Vec<Bar> {
    let Some(unlinked) = unlinked else {
        return Vec::new();
    };
    let figure = |name: &str| number(figures, name);
    let leading = unlinked
        .crises
        .iter()
        .map(|row| row.at_alarm.map_or(f64::INFINITY, |at| at.leading as f64));
    let mut leading: Vec<f64> = leading.collect();
    leading.sort_by(f64::total_cmp);
    vec![
        all(
            "crises alarmed whose variants nobody has grouped",
            figure("unlinked_crises_alarmed").unwrap_or(0.0),
            figure("unlinked_crises").unwrap_or(0.0),
        ),
        Bar::at_most(
            "alarms for each of these crises about variants that share a signal, mean",
            figure("unlinked_alarms_per_crisis"),
            1.0,
        ),
        percentile(
            "re-uploads of its leading variant by the time such a crisis is alarmed, median of the crises",
            figure("unlinked_reuploads_at_alarm_p50_leading"),
            &leading,
            50,
            10.0,
        ),
        Bar::reported(
            "re-uploads of all its variants by then, median of the crises",
            figure("unlinked_reuploads_at_alarm_p50"),
        ),
        Bar::at_most(
            "totals of families that missed the truth",
            figure("merge_mismatches"),
            0.0,
        ),
    ]
}

/// What had been uploaded when each crisis rang, and where it stood.
pub(super) fn families(unlinked: &Unlinked) -> Section {
    let mut crises: Vec<_> = unlinked.crises.iter().filter_map(|row| row.at_alarm).collect();
    crises.sort_by_key(|at| (at.all(), at.in_family));
    let line = |name: &str, of: fn(&super::super::unlinked::AtAlarm) -> u64| {
        let points = crises.iter().enumerate();
        let points = points.map(|(place, at)| ((place + 1) as f64, of(at) as f64));
        Line::new(name, Style::Points, points.collect())
    };
    let mut table = vec![columns(["re-uploads when it rings, mean", "number"])];
    let mean = |of: fn(&super::super::unlinked::AtAlarm) -> u64| {
        let sum: u64 = crises.iter().map(of).sum();
        short(sum as f64 / crises.len().max(1) as f64)
    };
    for (name, number) in [
        ("in the family that rings", mean(|at| at.in_family)),
        ("of these, of its leading variant", mean(|at| at.leading)),
        (
            "of variants that share a signal and are linked later",
            mean(|at| at.outside),
        ),
        ("of variants that share nothing", mean(|at| at.without_signal)),
    ] {
        table.push(vec![name.to_owned(), number]);
    }
    Section {
        heading: "When nobody has grouped the variants".to_owned(),
        text: "Each crisis has 800 variants: six in ten look like the source, a quarter share a hash with it or are said to be the same, the rest \
               share nothing. One party names files by another kind of hash than the others. A file becomes known when it was copied three times; \
               from then on others are linked to it. What was uploaded before, and variants that share nothing, do not count for the family."
            .to_owned(),
        charts: vec![Chart {
            caption: "Re-uploads when a crisis rings, crisis by crisis.".to_owned(),
            x: Axis::linear("crises, by their re-uploads"),
            y: Axis::linear("re-uploads"),
            lines: vec![
                line("of all variants", |at| at.all()),
                line("in the family that rings", |at| at.in_family),
                line("of its leading variant", |at| at.leading),
            ],
            marks: Vec::new(),
        }],
        table,
    }
}
