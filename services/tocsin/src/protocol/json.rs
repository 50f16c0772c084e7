use serde_json::{Value, json};
use tocsin_protocol::{Assessed, Because, Figure, Figures, Finding, Protocol, Reading, Rule};
use tocsin_wire::document::instant;

use super::Standing;

/// Where a family stands: every result with its evidence.
pub fn assessment_json(standing: &Standing<'_>) -> Value {
    let Standing {
        protocol,
        family,
        assessment,
        ..
    } = standing;
    let figures = standing.figures();
    let levels = protocol.levels.iter().zip(&assessment.levels);
    let criteria = protocol.criteria.iter().zip(&assessment.criteria);
    let matrices = assessment.matrices.iter().map(|matrix| {
        json!({
            "name": matrix.name,
            "rows": {"name": matrix.rows.0, "possible": matrix.rows.1},
            "columns": {"name": matrix.columns.0, "possible": matrix.columns.1},
            "outcome": {"lowest": matrix.outcome.0, "highest": matrix.outcome.1},
            "findings": findings(&matrix.findings, figures),
        })
    });
    let questions = protocol.questions.iter().map(|question| {
        json!({"name": question.name, "says": question.says, "answer": standing.answers.get(&question.name)})
    });
    json!({
        "protocol": {"name": protocol.name, "version": protocol.version, "title": protocol.title},
        "family": family.id,
        "scope": family.scope,
        "as_of": instant(family.as_of),
        "lag_ms": family.lag_ms,
        "levels": levels.map(|(level, assessed)| rule(assessed, &level.rule, figures)).collect::<Vec<_>>(),
        "conclusion": rule(&assessment.conclusion, &protocol.conclusion.rule, figures),
        "matrices": matrices.collect::<Vec<_>>(),
        "criteria": criteria.map(|(criterion, assessed)| rule(assessed, &criterion.rule, figures)).collect::<Vec<_>>(),
        "questions": questions.collect::<Vec<_>>(),
    })
}

/// Protocols by name.
pub fn list_json(protocols: &[Protocol]) -> Value {
    let entry = |protocol: &Protocol| {
        json!({
            "name": protocol.name, "version": protocol.version, "title": protocol.title, "summary": protocol.summary,
            "levels": protocol.levels.iter().map(|level| level.name.clone()).collect::<Vec<_>>(),
        })
    };
    protocols.iter().map(entry).collect()
}

fn rule(assessed: &Assessed, rule: &Rule, figures: &Figures) -> Value {
    json!({
        "name": assessed.name,
        "says": rule.says,
        "when": rule.when,
        "result": assessed.truth,
        "held": assessed.held,
        "findings": findings(&assessed.findings, figures),
    })
}

fn findings(all: &[Finding], figures: &Figures) -> Vec<Value> {
    let finding = |finding: &Finding| {
        json!({
            "text": finding.text,
            "result": finding.truth,
            "because": because(&finding.because),
            "figures": finding.figures.iter().map(|figure| evidence(*figure, figures)).collect::<Vec<_>>(),
        })
    };
    all.iter().map(finding).collect()
}

fn because(because: &Because) -> Value {
    match because {
        Because::Compared { left, right } => json!({
            "kind": "compared", "left": {"low": left.0, "high": left.1}, "right": {"low": right.0, "high": right.1}
        }),
        Because::Flag(yes) => json!({"kind": "flag", "is": yes}),
        Because::Missing(figure, why) => json!({"kind": "missing", "figure": figure.name(), "why": why}),
        Because::DividesByZero => json!({"kind": "divides_by_zero"}),
        Because::TooLarge => json!({"kind": "too_large"}),
        Because::Answered(yes) => json!({"kind": "answered", "is": yes}),
        Because::NotAnswered => json!({"kind": "not_answered"}),
        Because::Criterion => json!({"kind": "criterion"}),
        Because::Outcome { lowest, highest } => json!({"kind": "outcome", "lowest": lowest, "highest": highest}),
    }
}

fn evidence(figure: Figure, figures: &Figures) -> Value {
    let (name, unit) = (figure.name(), figure.unit());
    match figures.get(figure) {
        Reading::Number(measured) => json!({
            "name": name, "unit": unit, "low": measured.low, "high": measured.high, "as_of": measured.as_of.and_then(instant)
        }),
        Reading::Flag(yes, as_of) => json!({"name": name, "unit": unit, "is": yes, "as_of": as_of.and_then(instant)}),
        Reading::Missing(why) => json!({"name": name, "unit": unit, "missing": why}),
    }
}
