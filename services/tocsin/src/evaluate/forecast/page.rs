//! What a person is told of forecasts.

use tocsin_loadtest::report::{Axis, Bar, Chart, Line, Report, Section, Style, short};

use super::rivals::{FLOORS, HALF_HOUR};
use super::{AGES_MIN, GENERATED_AGES_MIN, Measured, Outcome, Scored, mean, median};
use crate::evaluate::SuiteArguments;
use crate::evaluate::output::{columns, number};
use crate::rehearsal::Figures;

/// So many outcomes are drawn as points at most: more cannot be told apart.
const POINTS_MAX: usize = 1_000;

/// The page.
pub(super) fn of(suite: &SuiteArguments, figures: &Figures, measured: &Measured) -> Report {
    Report {
        title: "How good is the forecast of the next hour?".to_owned(),
        introduction: vec![
            format!(
                "Every alert says how many uploads and shares to expect in the next hour: a median, and an interval that should hold what comes nine \
                 times in ten. Here {} recorded cascades of retweets were forecast, each by a model that was fitted without it, and {} generated \
                 ones by the model that is shipped, which learns from each an hour later.",
                number(figures, "cascades").map_or_else(String::new, short),
                number(figures, "generated").map_or_else(String::new, short),
            ),
            "An error is a part of all copies that there are an hour later: 8 % says that of 100 copies then, 8 were not foreseen, or foreseen and \
             did not come."
                .to_owned(),
        ],
        bars: bars(figures),
        sections: vec![beside(figures, measured), by_age(measured), calibration(measured)],
        origin: vec![format!(
            "Made by: tocsin evaluate forecast --seed {} --scale {} --report DIR; the same arguments give the same page, its date aside. Rows to score again: --rows DIR.",
            suite.seed, suite.scale
        )],
        ..Report::default()
    }
}

fn bars(figures: &Figures) -> Vec<Bar> {
    let figure = |name: &str| number(figures, name);
    vec![
        Bar::at_most(
            "error one hour after the root, mean, recorded cascades",
            figure("mape"),
            0.08,
        ),
        Bar::at_most("the same, median", figure("median_ape"), 0.045),
        Bar::at_least(
            "how much smaller the mean is than that of the best of four simple rules",
            figure("gain_over_best_floor").unwrap_or(f64::NAN),
            0.15,
        ),
        Bar::within(
            "share of 90 % intervals that hold what came, recorded and generated cascades",
            figure("coverage_90_pooled"),
            0.88..=0.92,
        ),
        Bar::reported("the same, recorded cascades alone", figure("coverage_90_cascades")),
        Bar::reported("error, mean, generated cascades", figure("mape_generated")),
    ]
}

/// Forecasts at an hour beside what came, and the rules that anybody would try first.
fn beside(figures: &Figures, measured: &Measured) -> Section {
    let points = |scored: &Scored| {
        let every = scored.0.len().div_ceil(POINTS_MAX).max(1);
        let outcomes = scored.0.iter().step_by(every);
        outcomes
            .map(|outcome| (outcome.forecast.median, outcome.sample.came as f64))
            .collect::<Vec<_>>()
    };
    let (generated, real) = (points(&measured.generated), points(measured.at_an_hour()));
    let foreseen = || {
        generated
            .iter()
            .chain(&real)
            .map(|point| point.0)
            .filter(|median| *median > 0.0)
    };
    let ends = [foreseen().fold(f64::INFINITY, f64::min), foreseen().fold(0.0, f64::max)];
    let mut table = vec![columns(["forecast", "error, mean", "error, median"])];
    let written = |name: &str| number(figures, name).map_or_else(String::new, short);
    table.push(vec!["Tocsin".to_owned(), written("mape"), written("median_ape")]);
    for rival in FLOORS.iter().chain([&HALF_HOUR]) {
        table.push(vec![
            rival.title.to_owned(),
            written(rival.mape),
            written(rival.median_ape),
        ]);
    }
    Section {
        heading: "Foreseen and come".to_owned(),
        text: "One hour after the root, for the hour after. The table shows recorded cascades; all of its rules were fitted on the same other \
               cascades."
            .to_owned(),
        charts: vec![Chart {
            caption: "Each point is a cascade: on the line exactly what was foreseen came, above it more. Where nothing came there is no point."
                .to_owned(),
            x: Axis::log("copies foreseen in the next hour, median"),
            y: Axis::log("copies that came"),
            lines: vec![
                Line::new("generated", Style::Points, generated.clone()),
                Line::new("recorded", Style::Points, real.clone()),
                Line::new("as foreseen", Style::Straight, ends.map(|end| (end, end)).to_vec()),
            ],
            marks: Vec::new(),
        }],
        table,
    }
}

/// Errors and coverage by the age at which the next hour is forecast.
fn by_age(measured: &Measured) -> Section {
    let real: Vec<(u32, &Scored)> = AGES_MIN.into_iter().zip(&measured.ages).collect();
    let generated: Vec<(u32, Scored)> = GENERATED_AGES_MIN
        .into_iter()
        .map(|age_min| {
            let outcomes = measured.any_age.0.iter().filter(|outcome| outcome.age_min == age_min);
            (age_min, Scored(outcomes.copied().collect()))
        })
        .collect();
    let line = |name: &str, of: fn(&Scored) -> f64| {
        let points = real
            .iter()
            .map(|(age_min, scored)| (f64::from(*age_min), 100.0 * of(scored)));
        Line::new(name, Style::Straight, points.collect())
    };
    let generated = |name: &str, of: fn(&Scored) -> f64| {
        let points = generated
            .iter()
            .map(|(age_min, scored)| (f64::from(*age_min), 100.0 * of(scored)));
        Line::new(name, Style::Straight, points.collect())
    };
    let promised = AGES_MIN.map(|age_min| (f64::from(age_min), 90.0)).to_vec();
    let mut table = vec![columns([
        "age, minutes",
        "cascades",
        "error, mean",
        "error, median",
        "intervals that hold what came",
    ])];
    table.extend(real.iter().map(|(age_min, scored)| {
        vec![
            age_min.to_string(),
            scored.0.len().to_string(),
            short(mean(&scored.errors())),
            short(median(&mut scored.errors())),
            short(scored.coverage()),
        ]
    }));
    let age = || Axis::log("minutes since the root");
    Section {
        heading: "By the age of the cascade".to_owned(),
        text: "The forecast is always of the next hour; the younger a cascade, the less is known of it, and the larger the part of it that is still to \
               come. Recorded cascades in the table."
            .to_owned(),
        charts: vec![
            Chart {
                caption: "Error of the median.".to_owned(),
                x: age(),
                y: Axis::linear("error, % of the copies an hour later"),
                lines: vec![
                    line("recorded, mean", |scored| mean(&scored.errors())),
                    line("recorded, median", |scored| median(&mut scored.errors())),
                    generated("generated, mean", |scored| mean(&scored.errors())),
                ],
                marks: Vec::new(),
            },
            Chart {
                caption: "How many of the 90 % intervals hold what came.".to_owned(),
                x: age(),
                y: Axis::linear("intervals, %"),
                lines: vec![
                    line("recorded", Scored::coverage),
                    generated("generated", Scored::coverage),
                    Line::new("promised", Style::Straight, promised),
                ],
                marks: Vec::new(),
            },
        ],
        table,
    }
}

/// How often each quantile was reached, beside how often it should be.
fn calibration(measured: &Measured) -> Section {
    type Of = fn(&Outcome) -> f64;
    const QUANTILES: [(f64, Of); 3] = [
        (5.0, |outcome| outcome.forecast.low),
        (50.0, |outcome| outcome.forecast.median),
        (95.0, |outcome| outcome.forecast.high),
    ];
    let all_ages = Scored(measured.ages.iter().flat_map(|scored| &scored.0).copied().collect());
    let sets = [
        ("recorded, at an hour", measured.at_an_hour()),
        ("recorded, all ages", &all_ages),
        ("generated, at an hour", &measured.generated),
        ("generated, before learning", &measured.unlearned),
        ("generated, all ages", &measured.any_age),
    ];
    let seen = |scored: &Scored, of: Of| {
        // A count at the quantile itself is half above it.
        let below = scored.0.iter().map(|outcome| {
            let (came, quantile) = (outcome.sample.came as f64, of(outcome));
            f64::from(came < quantile) * 0.5 + f64::from(came <= quantile) * 0.5
        });
        100.0 * below.sum::<f64>() / scored.0.len().max(1) as f64
    };
    let mut table = vec![columns([
        "cascades",
        "forecasts",
        "below 5 %",
        "below 50 %",
        "below 95 %",
    ])];
    table.extend(sets.iter().map(|(name, scored)| {
        let mut row = vec![(*name).to_owned(), scored.0.len().to_string()];
        row.extend(QUANTILES.map(|(_, of)| format!("{:.1} %", seen(scored, of))));
        row
    }));
    let mut lines: Vec<Line> = sets
        .iter()
        .map(|(name, scored)| {
            let points = QUANTILES.map(|(promised, of)| (promised, seen(scored, of)));
            Line::new(name, Style::Straight, points.to_vec())
        })
        .collect();
    lines.push(Line::new(
        "promised",
        Style::Straight,
        QUANTILES.map(|(promised, _)| (promised, promised)).to_vec(),
    ));
    Section {
        heading: "Calibration of the quantiles".to_owned(),
        text: "Of 100 forecasts, in 5 less should come than the lower quantile says, in 50 less than the median, in 95 less than the upper one."
            .to_owned(),
        charts: vec![Chart {
            caption: "How often less came than a quantile says. Lines should lie on that which is promised.".to_owned(),
            x: Axis::linear("promised, %"),
            y: Axis::linear("seen, %"),
            lines,
            marks: Vec::new(),
        }],
        table,
    }
}
