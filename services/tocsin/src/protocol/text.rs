use std::fmt::Write as _;

use tocsin_model::{Milliseconds, Timestamp};
use tocsin_protocol::{Assessed, Because, Figure, Figures, Finding, Measured, Reading, Rule, Truth};
use tocsin_wire::document::instant;

use super::{Standing, length};
use crate::explain::figure::{number, percent, span};

/// Where a family stands, in plain text.
pub fn assessment_text(standing: &Standing<'_>) -> String {
    let Standing {
        protocol,
        family,
        assessment,
        ..
    } = standing;
    let as_of = instant(family.as_of).unwrap_or_else(|| "an unknown time".to_owned());
    let mut text = format!(
        "Protocol {}, version {}: {}\n  Family {}, scope {}, as of {as_of}, {} behind\n",
        protocol.name,
        protocol.version,
        protocol.title,
        family.id,
        family.scope,
        span(family.lag_ms)
    );
    text.push_str("\nLevels. People activate them; this is what is known.\n");
    for (level, assessed) in protocol.levels.iter().zip(&assessment.levels) {
        rule(&mut text, assessed, &level.rule, standing);
    }
    rule(&mut text, &assessment.conclusion, &protocol.conclusion.rule, standing);
    for matrix in &assessment.matrices {
        let (low, high) = &matrix.outcome;
        let outcome = if low == high {
            low.clone()
        } else {
            format!("between {low} and {high}")
        };
        let _ = writeln!(
            text,
            "\nMatrix {}: {outcome}\n  {}: {}; {}: {}",
            matrix.name,
            matrix.rows.0,
            matrix.rows.1.join(" or "),
            matrix.columns.0,
            matrix.columns.1.join(" or ")
        );
        findings(&mut text, &matrix.findings, standing.figures());
    }
    text.push_str("\nCriteria\n");
    for (criterion, assessed) in protocol.criteria.iter().zip(&assessment.criteria) {
        rule(&mut text, assessed, &criterion.rule, standing);
    }
    let open = protocol
        .questions
        .iter()
        .filter(|question| !standing.answers.contains_key(&question.name));
    let open: Vec<String> = open
        .map(|question| format!("  --answer {}=yes|no  {}\n", question.name, question.says))
        .collect();
    if !open.is_empty() {
        let _ = write!(text, "\nNobody answered yet\n{}", open.concat());
    }
    text
}

fn rule(text: &mut String, assessed: &Assessed, rule: &Rule, standing: &Standing<'_>) {
    let _ = writeln!(text, "  {}: {}. {}", assessed.name, assessed.truth.name(), rule.says);
    let _ = writeln!(text, "    asks     {}", rule.when);
    findings(text, &assessed.findings, standing.figures());
    if let Some(held) = assessed.held {
        let known = match held.known_ms {
            Some(known_ms) if known_ms > 0 => {
                format!("seen so without interruption for {}", length(Milliseconds(known_ms)))
            }
            Some(_) => "seen once".to_owned(),
            None => "no stretch has begun".to_owned(),
        };
        let wanted = length(Milliseconds(held.wanted_ms));
        let _ = writeln!(text, "    {:<8} must hold for {wanted}; {known}", held.now.name());
    }
}

fn findings(text: &mut String, findings: &[Finding], figures: &Figures) {
    for finding in findings {
        let _ = writeln!(
            text,
            "    {:<8} {}: {}",
            finding.truth.name(),
            finding.text,
            because(finding, figures)
        );
    }
}

/// What a result rests on, and, where it is unknown, why.
fn because(finding: &Finding, figures: &Figures) -> String {
    match &finding.because {
        Because::Compared { left, right } => {
            let mut said: Vec<String> = finding
                .figures
                .iter()
                .map(|figure| evidence(*figure, figures))
                .collect();
            if finding.text.contains(['+', '-', '*', '/']) || said.len() > 1 {
                said.push(format!("compared are {} and {}", range(*left), range(*right)));
            }
            if finding.truth == Truth::Unknown {
                said.push("which leaves both open".to_owned());
            }
            said.join("; ")
        }
        Because::Flag(_) => finding
            .figures
            .iter()
            .map(|figure| evidence(*figure, figures))
            .collect::<Vec<_>>()
            .join("; "),
        Because::Missing(figure, why) => format!("{} is not known: {}", figure.name(), why.why()),
        Because::DividesByZero => "what is divided by may be zero".to_owned(),
        Because::TooLarge => "a number is too large to reckon with".to_owned(),
        Because::Answered(true) => "a person said yes".to_owned(),
        Because::Answered(false) => "a person said no".to_owned(),
        Because::NotAnswered => "nobody answered yet".to_owned(),
        Because::Criterion => "as below".to_owned(),
        Because::Outcome { lowest, highest } if lowest == highest => format!("the outcome is {lowest}"),
        Because::Outcome { lowest, highest } => format!("the outcome lies between {lowest} and {highest}"),
    }
}

/// A figure with its interval, its unit and its time.
fn evidence(figure: Figure, figures: &Figures) -> String {
    let at = |as_of| {
        instant_or_none(as_of)
            .map(|at| format!(", as of {at}"))
            .unwrap_or_default()
    };
    match figures.get(figure) {
        Reading::Missing(why) => format!("{} is not known: {}", figure.name(), why.why()),
        Reading::Flag(yes, as_of) => format!("{} is {}{}", figure.name(), if yes { "yes" } else { "no" }, at(as_of)),
        Reading::Number(Measured { low, high, as_of }) if figure == Figure::LeakThrough => {
            let part = if low == high {
                percent(low)
            } else {
                format!("{} to {}", percent(low), percent(high))
            };
            format!("{} is {part}{}", figure.name(), at(as_of))
        }
        Reading::Number(Measured { low, high, as_of }) => {
            let exact = if figure.is_interval() && low == high {
                ", exact"
            } else {
                ""
            };
            format!(
                "{} is {} {}{exact}{}",
                figure.name(),
                range((low, high)),
                figure.unit(),
                at(as_of)
            )
        }
    }
}

fn instant_or_none(at: Option<Timestamp>) -> Option<String> {
    at.and_then(instant)
}

fn range((low, high): (f64, f64)) -> String {
    if low == high {
        number(low)
    } else {
        format!("{} to {}", number(low), number(high))
    }
}
