//! What a person is told of answers about recorded posts.

use tocsin_loadtest::report::{Axis, Bar, Chart, Line, Report, Section, Style, shares_reaching, short};

use super::Compared;
use crate::evaluate::output::number;
use crate::rehearsal::Figures;

/// The page: the answers, then how good the alarm is.
pub(super) fn of(figures: &Figures, compared: &Compared, alarm: Vec<Bar>, sections: Vec<Section>) -> Report {
    let figure = |name: &str| number(figures, name);
    let written = |name: &str| figure(name).map_or_else(String::new, short);
    let mut bars = Vec::new();
    for (name, meaning) in [
        (
            "query_mismatches",
            "answers of which an interval does not hold the truth",
        ),
        ("running_mismatches", "the same, asked while events came in"),
        ("window_undercounts", "windows that are counted too low"),
        ("platform_count_mismatches", "exact counts of a platform that are wrong"),
        (
            "reach_exact_mismatches_up_to_64",
            "distinct accounts, up to 64, that are wrong",
        ),
        (
            "scope_leaks",
            "answers and alerts that depend on what the reader may not see",
        ),
    ] {
        // Scopes are compared in some runs only.
        if let Some(value) = figure(name) {
            bars.push(Bar::at_most(meaning, Some(value), 0.0));
        }
    }
    bars.push(Bar::at_most(
        "error in all but one window in a thousand, in events",
        figure("window_error_p999"),
        2.0,
    ));
    bars.extend(alarm);
    Report {
        title: "Is what Tocsin answers true? Recorded posts through the whole path".to_owned(),
        introduction: vec![
            format!(
                "{} events, made of recorded posts around an election, went through a whole deployment as those of a platform do. {} times it was asked \
                 for a content of the last day, and {} times more while events came in; what it answered was compared with plain sums over the same \
                 events.",
                written("events_read"),
                written("answers"),
                written("answers_while_running"),
            ),
            format!(
                "Below stands how good the alarm is on the same posts, without other traffic: a content is positive that was shared {} times within \
                 some 24 hours, and an alarm about any other counts as false.",
                written("positive")
            ),
        ],
        bars,
        sections: std::iter::once(answers(compared)).chain(sections).collect(),
        origin: vec![
            "Made by: tocsin evaluate elections --input FILE --report DIR; the same posts and arguments give the same page, but for its date and what was asked while \
             events came in. Rows about the alarm to score again: --rows DIR."
                .to_owned(),
        ],
        ..Report::default()
    }
}

fn answers(compared: &Compared) -> Section {
    // One is added, since nearly all errors are zero and the axis is logarithmic.
    let plus_one = |values: &[u64]| values.iter().map(|value| *value as f64 + 1.0).collect::<Vec<_>>();
    let (errors, widths) = (&compared.window_errors, &compared.window_widths);
    let chart = Chart {
        caption: "The share of windows whose error is so large or larger, and whose interval is so wide or wider. The line of the errors should stay on \
                  the left."
            .to_owned(),
        x: Axis::log("events plus one"),
        y: Axis::log("share of windows"),
        lines: vec![
            Line::new("error", Style::Steps, shares_reaching(plus_one(errors))),
            Line::new("width of the interval", Style::Steps, shares_reaching(plus_one(widths))),
        ],
        marks: Vec::new(),
    };
    let is_wide = widths.iter().chain(errors).any(|events| *events > 0);
    Section {
        heading: "Error against bound".to_owned(),
        text: format!(
            "Of {} answers {} were about contents that are counted exactly, {} said that there is nothing to see, and the others came from sketches.{}",
            compared.answers,
            compared.hot_answers,
            compared.unseen,
            if is_wide {
                ""
            } else {
                " Every count was a single number, and true."
            },
        ),
        charts: is_wide.then_some(chart).into_iter().collect(),
        table: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what was compared is drawn, or said where there is nothing to draw; and what failed is seen to have failed.
    use serde_json::json;

    use tocsin_loadtest::report::Met;

    use super::*;
    use crate::evaluate::output;
    use crate::evaluate::output::tests::read_page;

    #[test]
    fn errors_are_drawn_where_there_are_any() {
        for (width, plots) in [(7, 1), (0, 0)] {
            let compared = Compared {
                answers: 3,
                hot_answers: 2,
                window_errors: vec![0, 0, width / 2],
                window_widths: vec![0, width, width],
                ..Compared::default()
            };
            let mut figures = compared.figures();
            figures.insert("scope_leaks", json!(1));
            figures.insert("positive", json!(20));
            let page = of(&figures, &compared, Vec::new(), Vec::new());
            let missed = page.bars.iter().filter(|bar| bar.met == Met::No).count();
            // The window error is among the misses where it is three.
            assert_eq!(missed, 1 + usize::from(width / 2 > 2), "{:?}", page.bars);
            assert_eq!(page.to_html().matches("<svg").count(), plots);
            let directory = tempfile::tempdir().expect("a temporary directory");
            output::page(directory.path(), page, &figures).expect("it is written");
            if plots > 0 {
                read_page(directory.path(), &figures);
            }
        }
    }
}
