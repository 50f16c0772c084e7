use std::fmt::Write as _;

use tocsin_protocol::{Matrix, Protocol, Rule, Step};

use super::length;

/// A protocol in words.
pub fn shown(protocol: &Protocol) -> String {
    let mut text = format!(
        "Protocol {}, version {}: {}\n  {}\n",
        protocol.name, protocol.version, protocol.title, protocol.summary
    );
    text.push_str("\nIt follows\n");
    for source in &protocol.sources {
        let paraphrase = source.paraphrase.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(
            text,
            "  {} ({}, {}).\n    {paraphrase}",
            source.title, source.publisher, source.date
        );
    }
    for (heading, named) in [
        ("Roles", &protocol.roles),
        ("Participants", &protocol.classes),
        ("Questions that only people can answer", &protocol.questions),
    ] {
        let _ = writeln!(text, "\n{heading}");
        for entry in named {
            let _ = writeln!(text, "  {}: {}", entry.name, entry.says);
        }
    }
    text.push_str("\nCriteria\n");
    for criterion in &protocol.criteria {
        rule(&mut text, &criterion.name, &criterion.rule);
    }
    for matrix in &protocol.matrices {
        text.push_str(&table(matrix));
    }
    text.push_str("\nLevels\n");
    for level in &protocol.levels {
        rule(&mut text, &level.name, &level.rule);
        steps(&mut text, &level.steps);
    }
    text.push_str("\nThe end\n");
    rule(&mut text, "conclusion", &protocol.conclusion.rule);
    steps(&mut text, &protocol.conclusion.steps);
    text
}

fn rule(text: &mut String, name: &str, rule: &Rule) {
    let held = rule
        .held_for
        .map(|held_for| format!(", held for {}", length(held_for)))
        .unwrap_or_default();
    let _ = writeln!(text, "  {name}: {}\n    {}{held}", rule.says, rule.when);
}

fn steps(text: &mut String, steps: &[Step]) {
    for step in steps {
        let with = if step.with.is_empty() {
            String::new()
        } else {
            format!(" with {}", step.with.join(", "))
        };
        let _ = writeln!(
            text,
            "    - within {}, {}{with}: {}",
            length(step.due),
            step.by,
            step.does
        );
    }
}

fn table(matrix: &Matrix) -> String {
    let mut text = format!(
        "\nMatrix {}: {} by {}\n",
        matrix.name, matrix.rows.name, matrix.columns.name
    );
    for (band, cells) in matrix.rows.bands.iter().zip(&matrix.cells) {
        let outcome =
            |(column, cell): (&tocsin_protocol::Band, &usize)| format!("{} {}", column.name, matrix.outcomes[*cell]);
        let row = matrix
            .columns
            .bands
            .iter()
            .zip(cells)
            .map(outcome)
            .collect::<Vec<_>>()
            .join(", ");
        let _ = writeln!(text, "  {}: {row}", band.name);
    }
    for axis in [&matrix.rows, &matrix.columns] {
        for band in &axis.bands {
            let when = band.when.as_deref().unwrap_or("otherwise");
            let _ = writeln!(text, "  {} {}: {when}", axis.name, band.name);
        }
    }
    text
}
