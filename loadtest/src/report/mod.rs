//! A page for people who never saw the project: figures beside the bars they must meet, and plots, in one HTML file that needs nothing else.
//!
//! What it does not do: it computes no figure. Everything shown is handed to it.

mod chart;

use std::fmt::Write as _;
use std::ops::RangeInclusive;

pub use chart::{Axis, Chart, Line, Mark, Scale, Style};

/// The page.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was evaluated.
    pub title: String,
    /// What a stranger must know to read the page: a paragraph each.
    pub introduction: Vec<String>,
    /// The figures that say how good it is.
    pub bars: Vec<Bar>,
    /// Everything else, in reading order.
    pub sections: Vec<Section>,
    /// Where the figures come from: command, commit, machine.
    pub origin: Vec<String>,
}

/// A figure and what it has to be.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What it says, in words.
    pub meaning: String,
    /// The figure.
    pub value: String,
    /// What it has to be.
    pub target: String,
    /// Whether it is.
    pub met: Met,
}

/// Whether a figure is what it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// Nothing is asked of it, or there is too little to say.
    Open,
}

/// A heading with what stands below it.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// The heading.
    pub heading: String,
    /// How to read what follows.
    pub text: String,
    /// Plots.
    pub charts: Vec<Chart>,
    /// A table: the first row holds the names of the columns.
    pub table: Vec<Vec<String>>,
}

impl Bar {
    /// A figure that has to be at most so much; `None` where it is infinite.
    pub fn at_most(meaning: &str, value: Option<f64>, target: f64) -> Bar {
        Bar {
            meaning: meaning.to_owned(),
            value: value.map_or_else(|| "without end".to_owned(), short),
            target: format!("at most {}", short(target)),
            met: Met::from(value.is_some_and(|value| value <= target)),
        }
    }

    /// A figure that has to be at least so much.
    pub fn at_least(meaning: &str, value: f64, target: f64) -> Bar {
        Bar {
            meaning: meaning.to_owned(),
            value: short(value),
            target: format!("at least {}", short(target)),
            met: Met::from(value >= target),
        }
    }

    /// A figure that has to lie within these bounds; `None` where there is too little to say.
    pub fn within(meaning: &str, value: Option<f64>, bounds: RangeInclusive<f64>) -> Bar {
        Bar {
            meaning: meaning.to_owned(),
            value: written(value),
            target: format!("{} to {}", short(*bounds.start()), short(*bounds.end())),
            met: value.map_or(Met::Open, |value| Met::from(bounds.contains(&value))),
        }
    }

    /// A figure of which nothing is asked; `None` where there is none.
    pub fn reported(meaning: &str, value: Option<f64>) -> Bar {
        Bar {
            meaning: meaning.to_owned(),
            value: written(value),
            target: String::new(),
            met: Met::Open,
        }
    }
}

fn written(value: Option<f64>) -> String {
    value.map_or_else(|| "none".to_owned(), short)
}

impl From<bool> for Met {
    fn from(met: bool) -> Self {
        if met { Met::Yes } else { Met::No }
    }
}

impl Report {
    /// The page as HTML.
    pub fn to_html(&self) -> String {
        let mut page = String::from(HEAD);
        let title = escape(&self.title);
        let _ = write!(page, "<title>{title}</title>{STYLE}</head><body><main><h1>{title}</h1>");
        for paragraph in &self.introduction {
            let _ = write!(page, "<p>{}</p>", escape(paragraph));
        }
        self.write_bars(&mut page);
        for section in &self.sections {
            section.write(&mut page);
        }
        page.push_str("<footer>");
        for line in &self.origin {
            let _ = write!(page, "<p>{}</p>", escape(line));
        }
        page.push_str("</footer></main></body></html>\n");
        page
    }

    fn write_bars(&self, page: &mut String) {
        if self.bars.is_empty() {
            return;
        }
        page.push_str("<table class=\"bars\"><tr><th>What is asked</th><th>Measured</th><th>Wanted</th><th></th></tr>");
        for bar in &self.bars {
            let (class, word) = match bar.met {
                Met::Yes => ("yes", "met"),
                Met::No => ("no", "missed"),
                Met::Open => ("open", "reported"),
            };
            let cells = [&bar.meaning, &bar.value, &bar.target].map(|cell| format!("<td>{}</td>", escape(cell)));
            let _ = write!(page, "<tr>{}<td class=\"{class}\">{word}</td></tr>", cells.concat());
        }
        page.push_str("</table>");
    }
}

impl Section {
    fn write(&self, page: &mut String) {
        let _ = write!(page, "<h2>{}</h2>", escape(&self.heading));
        if !self.text.is_empty() {
            let _ = write!(page, "<p>{}</p>", escape(&self.text));
        }
        for chart in &self.charts {
            let _ = write!(page, "<figure>{}", chart.to_svg());
            let _ = write!(page, "<figcaption>{}</figcaption></figure>", escape(&chart.caption));
        }
        let mut rows = self.table.iter();
        if let Some(names) = rows.next() {
            page.push_str("<table>");
            write_row(page, "th", names);
            rows.for_each(|row| write_row(page, "td", row));
            page.push_str("</table>");
        }
    }
}

fn write_row(page: &mut String, cell: &str, row: &[String]) {
    page.push_str("<tr>");
    for text in row {
        let _ = write!(page, "<{cell}>{}</{cell}>", escape(text));
    }
    page.push_str("</tr>");
}

/// A line that tells of each value which share of all is as large or larger: for two logarithmic axes, where a tail is seen.
pub fn shares_reaching(mut values: Vec<f64>) -> Vec<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    let count = values.len();
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (place, value) in values.into_iter().enumerate() {
        if points.last().is_none_or(|point| point.0 < value) {
            points.push((value, 1.0 - place as f64 / count as f64));
        }
    }
    points
}

/// A number as people write it: whole where it is large, three digits where it is not.
pub fn short(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "without end".to_owned(),
        size if size >= 1e6 => format!("{:.3} million", value / 1e6),
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">";

const STYLE: &str = "<style>\
    body{font:16px/1.5 system-ui,sans-serif;margin:0;color:#1b1f24;background:#fff}\
    main{max-width:56rem;margin:0 auto;padding:1.5rem 1rem 4rem}\
    h1{font-size:1.7rem;line-height:1.2}h2{font-size:1.2rem;margin:2.5rem 0 .5rem}\
    table{border-collapse:collapse;width:100%;margin:1rem 0;font-variant-numeric:tabular-nums}\
    th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #d8dee4;vertical-align:top}\
    th{font-weight:600}.yes{color:#116329;font-weight:600}.no{color:#a40e26;font-weight:600}.open{color:#57606a}\
    figure{margin:1rem 0}figure svg{width:100%;height:auto}figcaption{color:#57606a;font-size:.9rem}\
    footer{margin-top:3rem;color:#57606a;font-size:.85rem}\
    @media print{main{max-width:none}h2{break-after:avoid}figure,tr{break-inside:avoid}}\
    </style>";

#[cfg(test)]
mod tests {
    //! A page holds what it was given, and nothing of it can be taken for markup or has to be fetched.
    use super::*;

    #[test]
    fn a_page_stands_alone_and_escapes_what_it_is_given() {
        let report = Report {
            title: "A <b>bold</b> & \"quoted\" title".to_owned(),
            introduction: vec!["What it is.".to_owned()],
            bars: vec![
                Bar::at_most("re-uploads at the alarm, median", Some(9.0), 10.0),
                Bar::at_most("the same, 99 %", None, 20.0),
                Bar::at_least("crises with an alarm", 999.0, 1_000.0),
                Bar::within("coverage", Some(0.95), 0.94..=0.96),
                Bar::within("coverage of nothing", None, 0.94..=0.96),
                Bar::reported("what anybody would try first", Some(12.0)),
            ],
            sections: vec![Section {
                heading: "Rates".to_owned(),
                text: "Copies a minute.".to_owned(),
                charts: vec![Chart {
                    caption: "One crisis.".to_owned(),
                    x: Axis::linear("minutes"),
                    y: Axis::log("copies a minute"),
                    lines: vec![Line::new(
                        "copies",
                        Style::Steps,
                        vec![(0.0, 1.0), (1.0, 10.0), (2.0, 100.0)],
                    )],
                    marks: vec![Mark {
                        x: 1.0,
                        label: "alarm <here>".to_owned(),
                    }],
                }],
                table: vec![vec!["a".to_owned()], vec!["<1>".to_owned()]],
            }],
            origin: Vec::new(),
        };
        let html = report.to_html();
        assert!(html.contains("A &lt;b&gt;bold&lt;/b&gt; &amp; &quot;quoted&quot; title"));
        assert!(html.contains("<td class=\"yes\">met</td>") && html.contains("without end"));
        assert_eq!(html.matches("<td class=\"no\">missed</td>").count(), 2);
        assert!(
            html.contains("<td>0.9400 to 0.9600</td><td class=\"yes\">met</td>"),
            "{html}"
        );
        assert_eq!(html.matches("<td class=\"open\">reported</td>").count(), 2);
        assert!(html.contains("<svg") && html.contains("alarm &lt;here&gt;") && html.contains("<td>&lt;1&gt;</td>"));
        for outside in ["<script", "src=", "href=", "@import", "url("] {
            assert!(!html.contains(outside), "{outside}");
        }
    }

    #[test]
    fn a_tail_tells_of_each_value_how_many_reach_it() {
        assert_eq!(
            shares_reaching(vec![5.0, 1.0, 1.0, 2.0]),
            [(1.0, 1.0), (2.0, 0.5), (5.0, 0.25)]
        );
        assert_eq!(shares_reaching(Vec::new()), []);
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        for (value, text) in [
            (12_345_678.0, "12.346 million"),
            (1_000.0, "1000"),
            (0.012_34, "0.0123"),
            (2.5, "2.50"),
            (0.0, "0"),
            (f64::INFINITY, "without end"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
