//! A page for people who never saw the project: figures beside the bars they must meet, and plots, in one HTML file that needs nothing else.
//!
//! What it does not do: it computes no figure. Everything shown is handed to it.

mod bar;
mod chart;
mod number;

use std::fmt::Write as _;

pub use bar::{Bar, Estimate, Met, verdicts};
pub use chart::{Axis, Chart, Line, Mark, Scale, Style, Weight};
pub use number::short;

/// The page.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was evaluated.
    pub title: String,
    /// When it was made, and by what; nothing is written where it is empty.
    pub date: String,
    /// The whole page in a few sentences, a paragraph each line; nothing is written where it is empty.
    pub summary: String,
    /// What a stranger must know to read the page: a paragraph each.
    pub introduction: Vec<String>,
    /// The figures that say how good it is.
    pub bars: Vec<Bar>,
    /// Everything else, in reading order.
    pub sections: Vec<Section>,
    /// What few people look at: folded, at the end.
    pub appendix: Vec<Section>,
    /// Where the figures come from: command, commit, machine.
    pub origin: Vec<String>,
}

/// A heading with what stands below it.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// The heading.
    pub heading: String,
    /// How to read what follows: a paragraph each line.
    pub text: String,
    /// Plots; one that shows nothing is left out, and that is said.
    pub charts: Vec<Chart>,
    /// A table: the first row holds the names of the columns. Columns of numbers are set to the right.
    pub table: Vec<Vec<String>>,
}

impl Report {
    /// The page as HTML.
    pub fn to_html(&self) -> String {
        let mut page = String::from(HEAD);
        let title = escape(&self.title);
        let _ = write!(page, "<title>{title}</title>{STYLE}</head><body><main><h1>{title}</h1>");
        for (class, text) in [("date", &self.date), ("summary", &self.summary)] {
            for paragraph in text.lines() {
                let _ = write!(page, "<p class=\"{class}\">{}</p>", escape(paragraph));
            }
        }
        for paragraph in &self.introduction {
            let _ = write!(page, "<p>{}</p>", escape(paragraph));
        }
        self.write_bars(&mut page);
        for section in &self.sections {
            let _ = write!(page, "<h2>{}</h2>", escape(&section.heading));
            section.write(&mut page);
        }
        for section in &self.appendix {
            let _ = write!(page, "<details><summary>{}</summary>", escape(&section.heading));
            section.write(&mut page);
            page.push_str("</details>");
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
        // A column that says nothing is not written.
        let is_bounded = self.bars.iter().any(|bar| !bar.bound.is_empty());
        let bound = if is_bounded {
            "<th>With 95 % confidence</th>"
        } else {
            ""
        };
        let _ = write!(
            page,
            "<div class=\"wide\"><table class=\"bars n2\"><tr><th>What is asked</th><th>Measured</th>{bound}<th>Wanted</th><th>Verdict</th></tr>"
        );
        for bar in &self.bars {
            let bound = is_bounded.then_some(&bar.bound);
            let cells = [Some(&bar.meaning), Some(&bar.value), bound, Some(&bar.target)]
                .into_iter()
                .flatten();
            let cells: String = cells.map(|cell| format!("<td>{}</td>", escape(cell))).collect();
            let (class, word) = (bar.met.class(), bar.met.word());
            let _ = write!(page, "<tr>{cells}<td class=\"{class}\">{word}</td></tr>");
        }
        page.push_str("</table></div>");
    }
}

impl Section {
    /// All but its heading.
    fn write(&self, page: &mut String) {
        for paragraph in self.text.lines() {
            let _ = write!(page, "<p>{}</p>", escape(paragraph));
        }
        for chart in &self.charts {
            let caption = escape(&chart.caption);
            if chart.is_empty() {
                let _ = write!(
                    page,
                    "<p class=\"open\">A plot is left out, for there is nothing to be seen on it: {caption}</p>"
                );
                continue;
            }
            let _ = write!(page, "<figure><div class=\"wide\">{}</div>", chart.to_svg());
            let _ = write!(page, "{}<figcaption>{caption}</figcaption></figure>", chart.legend());
        }
        let Some((names, rows)) = self.table.split_first() else {
            return;
        };
        let columns = number_columns(names.len(), rows);
        let _ = write!(page, "<div class=\"wide\"><table class=\"{}\">", columns.join(" "));
        write_row(page, "th", names);
        rows.iter().for_each(|row| write_row(page, "td", row));
        page.push_str("</table></div>");
    }
}

/// The classes of the columns that hold nothing but numbers.
fn number_columns(columns: usize, rows: &[Vec<String>]) -> Vec<String> {
    let is_number = |column: usize| {
        let mut cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .filter(|cell| !cell.is_empty());
        cells.clone().next().is_some() && cells.all(|cell| is_numeric(cell))
    };
    let numbered = (0..columns.min(NUMBERED_MAX)).filter(|column| is_number(*column));
    numbered.map(|column| format!("n{}", column + 1)).collect()
}

/// Whether it is read as a number: it begins with a digit, or says that there is none.
fn is_numeric(text: &str) -> bool {
    let begins = text.trim_start_matches('-').chars().next();
    begins.is_some_and(|first| first.is_ascii_digit()) || ["none", "never", "without end"].contains(&text)
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

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">";

/// Columns of numbers are told by the classes n1 to this one, for which the style has a rule each.
const NUMBERED_MAX: usize = 12;

const STYLE: &str = "<style>\
    body{font:16px/1.5 system-ui,sans-serif;margin:0;color:#1b1f24;background:#fff;overflow-wrap:break-word}\
    main{max-width:56rem;margin:0 auto;padding:1.5rem 1rem 4rem}\
    h1{font-size:1.7rem;line-height:1.2}h2,summary{font-size:1.2rem;font-weight:600;margin:2.5rem 0 .5rem}\
    summary{cursor:pointer}.date{color:#57606a;font-size:.9rem}\
    .summary{border-left:4px solid #0072b2;padding:.2rem 0 .2rem .8rem;margin:0}.summary+.summary{font-weight:600}.summary+.summary+.summary{font-weight:400}\
    .bars td:first-child{min-width:9rem}\
    .bars :is(th,td):last-child{position:sticky;right:0;background:#fff}\
    .wide{overflow-x:auto}\
    table{border-collapse:collapse;width:100%;margin:1rem 0;font-variant-numeric:tabular-nums;overflow-wrap:normal}\
    th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #d8dee4;vertical-align:top}\
    .n1 :is(th,td):nth-child(1),.n2 :is(th,td):nth-child(2),.n3 :is(th,td):nth-child(3),\
    .n4 :is(th,td):nth-child(4),.n5 :is(th,td):nth-child(5),.n6 :is(th,td):nth-child(6),\
    .n7 :is(th,td):nth-child(7),.n8 :is(th,td):nth-child(8),.n9 :is(th,td):nth-child(9),\
    .n10 :is(th,td):nth-child(10),.n11 :is(th,td):nth-child(11),.n12 :is(th,td):nth-child(12){text-align:right}\
    th{font-weight:600}.yes,.no,.undecided{font-weight:600;white-space:nowrap}\
    .yes{color:#116329}.no{color:#a40e26}.undecided{color:#7a4d00}.open{color:#57606a}\
    figure{margin:1rem 0}figure svg{display:block;width:100%;min-width:38rem;height:auto}\
    .legend{display:flex;flex-wrap:wrap;gap:.1rem 1.2rem;font-size:.9rem;padding-left:4.5rem}\
    .legend i{display:inline-block;width:1.4rem;height:0;vertical-align:middle;margin-right:.4rem}\
    .legend i.dot{width:.6rem;height:.6rem;border-radius:50%}\
    figcaption{color:#57606a;font-size:.9rem;margin-top:.3rem}\
    footer{margin-top:3rem;color:#57606a;font-size:.85rem;overflow-wrap:anywhere}\
    @media(max-width:40rem){.legend{padding-left:0}}\
    @media print{main{max-width:none}h2{break-after:avoid}figure,tr{break-inside:avoid}figure svg{min-width:0}}\
    </style>";

#[cfg(test)]
mod tests {
    //! A page holds what it was given, and nothing of it can be taken for markup or has to be fetched.
    use super::*;

    #[test]
    fn a_page_stands_alone_and_escapes_what_it_is_given() {
        let report = Report {
            title: "A <b>bold</b> & \"quoted\" title".to_owned(),
            date: "Made on a day.".to_owned(),
            summary: "All <is> well.".to_owned(),
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
                text: "Copies a minute.\nA second paragraph.".to_owned(),
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
            appendix: vec![Section {
                heading: "Every figure".to_owned(),
                table: vec![vec!["figure".to_owned()], vec!["crises".to_owned()]],
                ..Section::default()
            }],
            origin: Vec::new(),
        };
        let html = report.to_html();
        assert!(html.contains("A &lt;b&gt;bold&lt;/b&gt; &amp; &quot;quoted&quot; title"));
        assert!(html.contains("<td class=\"yes\">met</td>") && html.contains("without end"));
        assert_eq!(html.matches("<td class=\"no\">missed</td>").count(), 2);
        assert!(
            html.contains("<td>0.94 to 0.96</td><td class=\"yes\">met</td>"),
            "{html}"
        );
        assert_eq!(html.matches("<td class=\"open\">reported</td>").count(), 1);
        assert_eq!(html.matches("<td class=\"undecided\">not decided</td>").count(), 1);
        assert!(html.contains("<p class=\"summary\">All &lt;is&gt; well.</p>") && html.contains("Made on a day."));
        assert!(html.contains("<p>A second paragraph.</p>"));
        assert!(html.contains("<details><summary>Every figure</summary>") && html.contains("</table></div></details>"));
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
    fn columns_of_numbers_are_set_to_the_right() {
        let row = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
        let rows = [
            row(["tocsin", "10 of 10", "none", "1,024", ""]),
            row(["10 in 5 minutes", "9 of 10", "-3.2", "never", ""]),
        ];
        assert_eq!(number_columns(5, &rows), ["n2", "n3", "n4"]);
        assert!(number_columns(3, &[]).is_empty());
    }

    #[test]
    fn a_plot_that_shows_nothing_is_left_out_and_that_is_said() {
        let chart = |points: Vec<(f64, f64)>| Chart {
            caption: "Errors & bounds.".to_owned(),
            x: Axis::log("error"),
            y: Axis::log("share"),
            lines: vec![Line::new("seen", Style::Steps, points)],
            marks: Vec::new(),
        };
        let written = |points| {
            let report = Report {
                sections: vec![Section {
                    charts: vec![chart(points)],
                    ..Section::default()
                }],
                ..Report::default()
            };
            report.to_html()
        };
        let left_out = written(vec![(1.0, 1.0), (1.0, 1.0)]);
        assert!(!left_out.contains("<svg") && left_out.contains("nothing to be seen on it: Errors &amp; bounds."));
        assert!(written(vec![(1.0, 1.0), (2.0, 0.5)]).contains("<svg"));
    }
}
