//! Where an evaluation leaves what it found: figures as JSON, rows as CSV, a page.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;
use time::OffsetDateTime;
use tocsin_loadtest::report::{Report, Section, short, verdicts};

use crate::rehearsal::Figures;

/// Writes the figures' document, and prints it.
///
/// # Errors
/// The file cannot be written.
pub(super) fn document(out: &Path, document: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(document)? + "\n";
    std::fs::write(out, &text).with_context(|| format!("write {}", out.display()))?;
    print!("{text}");
    Ok(())
}

/// Writes one file of rows; the directory is made.
///
/// # Errors
/// The file cannot be written.
pub(super) fn rows(directory: &Path, name: &str, header: &str, lines: impl IntoIterator<Item = String>) -> Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    let file = directory.join(name);
    let mut text = format!("{header}\n");
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))
}

/// Writes `index.html`: the page with today's date, what became of its goals in a sentence unless it has a summary, and every figure at its end, folded, by the name it has in the document. The directory is made.
///
/// # Errors
/// The file cannot be written.
pub(super) fn page(directory: &Path, mut report: Report, figures: &Figures) -> Result<()> {
    report.appendix.push(every_figure(figures));
    if report.summary.is_empty() {
        report.summary = verdicts(&report.bars);
    }
    report.date = format!(
        "Made on {} (UTC) by tocsin {}.",
        OffsetDateTime::now_utc().date(),
        env!("CARGO_PKG_VERSION")
    );
    std::fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    let file = directory.join("index.html");
    std::fs::write(&file, report.to_html()).with_context(|| format!("write {}", file.display()))
}

/// A figure that is a number.
pub(super) fn number(figures: &Figures, name: &str) -> Option<f64> {
    figures.get(name).and_then(Value::as_f64)
}

/// The first row of a table.
pub(super) fn columns<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

fn every_figure(figures: &Figures) -> Section {
    let rows = figures
        .iter()
        .map(|(name, value)| vec![(*name).to_owned(), written(value)]);
    Section {
        heading: format!("Every figure ({})", figures.len()),
        text: "By the name it has in the file of figures, where it stands with all its digits.".to_owned(),
        charts: Vec::new(),
        table: std::iter::once(columns(["figure", "value"])).chain(rows).collect(),
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(written).collect::<Vec<_>>().join(", "),
        other => other.as_f64().map_or_else(|| other.to_string(), short),
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Reads a page that was written to this directory: it has plots, fetches nothing, and holds every figure.
    pub(in super::super) fn read_page(directory: &Path, figures: &Figures) -> String {
        let html = std::fs::read_to_string(directory.join("index.html")).unwrap();
        for outside in ["<script", "<link", "src=", "href=", "@import", "url("] {
            assert!(!html.contains(outside), "the page fetches something: {outside}");
        }
        // The name of the format is no address to fetch.
        let without_format = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!without_format.contains("http"), "the page names an address");
        assert!(
            html.contains("<svg") && html.ends_with("</html>\n"),
            "the page has no plot"
        );
        assert!(!figures.is_empty());
        for (name, value) in figures {
            let row = format!("<tr><td>{name}</td><td>{}</td></tr>", written(value));
            assert!(html.contains(&row), "the page lacks {row}");
        }
        html
    }

    #[test]
    fn figures_of_every_kind_are_written() {
        use serde_json::json;
        for (value, text) in [
            (json!(null), "none"),
            (json!("abc"), "abc"),
            (json!([1, 2.5]), "1, 2.5"),
            (json!(0.125), "0.125"),
            (json!(12_000_000), "12 million"),
            (json!(true), "true"),
        ] {
            assert_eq!(written(&value), text);
        }
    }
}
