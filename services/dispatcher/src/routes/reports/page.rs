//! A report as one page that can be printed.

use std::fmt::Write as _;

use tocsin_report::{Amount, Figure, Report, Section};

use super::super::html::{ENDING, PageReader, opening, table, text};

/// The page.
pub(super) fn html(report: &Report, reader: &PageReader) -> String {
    let title = match report.report {
        "terrorist_content" => "Report on terrorist content online",
        _ => "Transparency report",
    };
    let state = if report.is_over { "" } else { " (not over yet)" };
    let mut out = opening(title, reader);
    let _ = writeln!(
        out,
        "<p>Of <b>{}</b>, from {} to {}, both days included, UTC{state}.</p>",
        text(&report.team),
        text(&report.from),
        text(&report.to),
    );
    for section in &report.sections {
        figures(&mut out, section);
    }
    out.push_str("<h2>How this was made</h2>\n<ul>\n");
    for how in &report.how {
        let _ = writeln!(out, "<li>{}</li>", text(how));
    }
    out.push_str("</ul>\n");
    out.push_str(ENDING);
    out
}

fn figures(out: &mut String, section: &Section) {
    let unit = |figure: &Figure| {
        let definition = section.definitions.iter().find(|of| of.name == figure.name);
        definition.map_or("", |of| of.unit)
    };
    let rows = section.figures.iter().map(|figure| {
        let by: Vec<String> = figure.by.iter().map(|by| format!("{}: {}", by.name, by.is)).collect();
        vec![
            text(figure.name),
            text(&by.join(", ")),
            text(&amount(figure.amount)),
            text(unit(figure)),
        ]
    });
    table(out, (section.title, &["Figure", "Of", "How much", "Unit"]), rows);
    out.push_str("<ul>\n");
    for of in &section.definitions {
        let _ = writeln!(
            out,
            "<li><b>{}</b>: {}. From {}. Bound: {}.</li>",
            text(of.name),
            text(of.counts),
            text(of.from),
            text(of.bound)
        );
    }
    out.push_str("</ul>\n");
}

fn amount(amount: Amount) -> String {
    match amount {
        Amount::Exact { amount } => amount.to_string(),
        Amount::Between { low, high } => format!("{low} to {high}"),
        Amount::Unknown { why } => format!("unknown: {why}"),
    }
}
