//! What a person is told of estimated reach.

use std::collections::BTreeMap;

use tocsin_loadtest::report::{Axis, Bar, Chart, Line, Report, Section, Style, short};

use super::{CRAFTED, Estimated, Series};
use crate::evaluate::SuiteArguments;
use crate::evaluate::output::{columns, number};
use crate::rehearsal::Figures;

/// So many sets are drawn as points at most: more cannot be told apart.
const POINTS_MAX: usize = 1_000;
/// Parts of a power of ten for which errors are told.
const BINS_A_DECADE: f64 = 2.0;

/// The page.
pub(super) fn of(suite: &SuiteArguments, figures: &Figures, measured: &[(Series, Vec<Estimated>)]) -> Report {
    let figure = |name: &str| number(figures, name);
    let mut sections: Vec<Section> = measured.iter().map(|(series, sets)| of_series(series, sets)).collect();
    sections.push(Section {
        heading: "Against crafted accounts".to_owned(),
        text: format!(
            "{CRAFTED} accounts were chosen so that a sketch that takes identifiers as they are counts far too many. Under the secret key they are \
             accounts like any others: the estimate is off by {} standard errors. Without a key it is {} times too high.",
            figure("crafted_error_sigmas").map_or_else(String::new, short),
            figure("crafted_error_unkeyed").map_or_else(String::new, short),
        ),
        ..Section::default()
    });
    Report {
        title: "How good is the estimated reach?".to_owned(),
        introduction: vec![
            "Reach is how many distinct accounts spread a content. Up to 64 accounts Tocsin counts them exactly; beyond, it keeps a sketch of fixed \
             size (a keyed HyperLogLog) and answers with an estimate and an interval that should hold the truth 95 times in 100. Here sets of \
             known size, from 65 to a million accounts, were estimated."
                .to_owned(),
        ],
        bars: vec![
            Bar::at_most(
                "sets of up to 64 accounts that are not exact",
                figure("exact_mismatches_up_to_64"),
                0.0,
            ),
            Bar::at_most(
                "root mean square error, p = 14, merged from 8 parts",
                figure("rmse_p14_merged"),
                0.0085,
            ),
            Bar::within(
                "share of their 95 % intervals that hold the truth",
                figure("coverage_95_p14_merged"),
                0.94..=0.96,
            ),
            Bar::reported("root mean square error, p = 12", figure("rmse_p12")),
            Bar::reported("the same of hyperloglogplus, on the same accounts", figure("hyperloglogplus_rmse_p12")),
            Bar::reported("the same of datasketches", figure("datasketches_rmse_p12")),
            Bar::reported("share of their 95 % intervals that hold the truth", figure("coverage_95_p12")),
            Bar::at_most(
                "error on crafted accounts, in standard errors",
                figure("crafted_error_sigmas"),
                3.0,
            ),
        ],
        sections,
        origin: vec![format!(
            "Made by: tocsin evaluate reach --seed {} --scale {} --report DIR; the same arguments give the same page, its date aside. Rows to score again: --rows DIR.",
            suite.seed, suite.scale
        )],
        ..Report::default()
    }
}

/// Sets of about one size.
#[derive(Default)]
struct Bin {
    sets: f64,
    squares: f64,
    covered: f64,
    /// Sums of the ends of intervals, as parts of the truth.
    low: f64,
    high: f64,
}

fn of_series(series: &Series, sets: &[Estimated]) -> Section {
    let mut bins: BTreeMap<i64, Bin> = BTreeMap::new();
    for set in sets {
        let accounts = set.accounts as f64;
        let bin = bins
            .entry((accounts.log10() * BINS_A_DECADE).floor() as i64)
            .or_default();
        bin.sets += 1.0;
        bin.squares += set.error() * set.error();
        bin.covered += f64::from(set.is_covered());
        bin.low += set.low / accounts - 1.0;
        bin.high += set.high / accounts - 1.0;
    }
    let from = |bin: i64| 10_f64.powf(bin as f64 / BINS_A_DECADE);
    let line = |name: &str, style, of: &dyn Fn(&Bin) -> f64| {
        let points = bins
            .iter()
            .map(|(place, bin)| (from(*place) * 10_f64.powf(0.5 / BINS_A_DECADE), of(bin)));
        Line::new(name, style, points.collect())
    };
    let every = sets.len().div_ceil(POINTS_MAX).max(1);
    let points = sets
        .iter()
        .step_by(every)
        .map(|set| (set.accounts as f64, 100.0 * set.error()));
    let mut table = vec![columns([
        "accounts",
        "sets",
        "root mean square error, %",
        "intervals that hold the truth, %",
    ])];
    table.extend(bins.iter().map(|(place, bin)| {
        vec![
            format!("{} to {}", short(from(*place).round()), short(from(place + 1).round())),
            short(bin.sets),
            short(100.0 * (bin.squares / bin.sets).sqrt()),
            short(100.0 * bin.covered / bin.sets),
        ]
    }));
    let parts = match series.parts {
        1 => "alone".to_owned(),
        parts => format!("merged from {parts} parts"),
    };
    let precision = series.precision;
    Section {
        heading: format!("Error against bound, p = {precision}, {parts}"),
        text: format!("A sketch of 2^{precision} registers. Each point is a set of accounts under a key of its own."),
        charts: vec![
            Chart {
                caption: "Points should lie between the lines, the mean ends of the stated intervals, 95 times in 100."
                    .to_owned(),
                x: Axis::log("accounts"),
                y: Axis::linear("error, %"),
                lines: vec![
                    Line::new("sets", Style::Points, points.collect()),
                    line("stated, upper end", Style::Straight, &|bin| 100.0 * bin.high / bin.sets),
                    line("stated, lower end", Style::Straight, &|bin| 100.0 * bin.low / bin.sets),
                ],
                marks: Vec::new(),
            },
            Chart {
                caption: "Of the sets of one size, how many intervals hold the truth.".to_owned(),
                x: Axis::log("accounts"),
                y: Axis::linear("intervals that hold the truth, %"),
                lines: vec![
                    line("seen", Style::Straight, &|bin| 100.0 * bin.covered / bin.sets),
                    line("promised", Style::Straight, &|_| 95.0),
                ],
                marks: Vec::new(),
            },
        ],
        table,
    }
}
