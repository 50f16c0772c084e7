use std::borrow::Borrow;
use std::collections::BTreeMap;

use tocsin_model::Timestamp;

use crate::figure::Figures;
use crate::hold::{Held, Hold, OutOfOrder};
use crate::language::{Finding, Known};
use crate::matrix::Placed;
use crate::protocol::{Protocol, Rule};
use crate::truth::Truth;

/// What people answered, by the name of the question. Names that the protocol does not have are no answers to it.
pub type Answers = BTreeMap<String, bool>;

/// Holds a family to a protocol while time goes by: a state machine fed with figures, answers and the time they are of.
///
/// `P` is a protocol, borrowed or shared. It remembers one stretch for each criterion, level and conclusion with a minimum duration, and nothing
/// else.
#[derive(Clone, Debug)]
pub struct Assessor<P> {
    protocol: P,
    at: Option<Timestamp>,
    holds: Vec<Hold>,
}

/// What is known at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// The time.
    pub at: Timestamp,
    /// Every criterion, in the order of the file.
    pub criteria: Vec<Assessed>,
    /// Every matrix.
    pub matrices: Vec<AssessedMatrix>,
    /// Every level, from the first on: whether what it takes is met. People activate it.
    pub levels: Vec<Assessed>,
    /// Whether what it takes to conclude is met.
    pub conclusion: Assessed,
}

/// A criterion, a level or the conclusion, as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessed {
    /// Its name; `conclusion` of that.
    pub name: String,
    /// Its result.
    pub truth: Truth,
    /// Part by part, what it rests on.
    pub findings: Vec<Finding>,
    /// How long it has held, where it must hold for a time.
    pub held: Option<Held>,
}

/// A matrix, as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct AssessedMatrix {
    /// Its name.
    pub name: String,
    /// The name of the rows' axis, and the bands that are possible.
    pub rows: (String, Vec<String>),
    /// The name of the columns' axis, and the bands that are possible.
    pub columns: (String, Vec<String>),
    /// The lowest and the highest outcome that these leave.
    pub outcome: (String, String),
    /// What the bands rest on.
    pub findings: Vec<Finding>,
}

impl<P: Borrow<Protocol>> Assessor<P> {
    /// Nothing was seen yet.
    pub fn new(protocol: P) -> Self {
        let rules = protocol.borrow().criteria.len() + protocol.borrow().levels.len() + 1;
        Assessor {
            protocol,
            at: None,
            holds: vec![Hold::default(); rules],
        }
    }

    /// Says where the family stands by what is known at a time.
    ///
    /// # Errors
    /// The time is before one that was given already; nothing changes.
    pub fn observe(&mut self, at: Timestamp, figures: &Figures, answers: &Answers) -> Result<Assessment, OutOfOrder> {
        if let Some(reached) = self.at.filter(|reached| at < *reached) {
            return Err(OutOfOrder {
                earlier: reached.0,
                later: at.0,
            });
        }
        let before = self.at.replace(at);
        let protocol = self.protocol.borrow();
        let answers: Vec<Option<bool>> = protocol
            .questions
            .iter()
            .map(|question| answers.get(&question.name).copied())
            .collect();
        let mut known = Known {
            figures,
            answers: &answers,
            criteria: &[],
            outcomes: &[],
        };

        let mut holds = self.holds.iter_mut();
        let mut assessed = |name: &str, rule: &Rule, known: &Known<'_>| {
            let mut findings = Vec::new();
            let now = rule.logic.evaluate(known, &mut findings);
            let (truth, held) = match (rule.held_for, holds.next()) {
                (Some(wanted), Some(hold)) => {
                    let (truth, held) = hold.observe(before, at, now, wanted);
                    (truth, Some(held))
                }
                _ => (now, None),
            };
            Assessed {
                name: name.to_owned(),
                truth,
                findings,
                held,
            }
        };
        let (mut criteria, mut results) = (Vec::new(), Vec::new());
        for criterion in &protocol.criteria {
            let known = Known {
                criteria: &results,
                ..known
            };
            let result = assessed(&criterion.name, &criterion.rule, &known);
            results.push(result.truth);
            criteria.push(result);
        }
        known.criteria = &results;
        let (mut matrices, mut outcomes) = (Vec::new(), Vec::new());
        for matrix in &protocol.matrices {
            let (rows, columns) = (matrix.rows.place(&known), matrix.columns.place(&known));
            let (low, high) = matrix.outcome(&rows.possible, &columns.possible);
            outcomes.push((low, high, matrix.outcomes.as_slice()));
            let name = |outcome: usize| matrix.outcomes.get(outcome).cloned().unwrap_or_default();
            let bands = |axis: &crate::matrix::Axis, placed: &Placed| {
                let names = placed.possible.iter().map(|band| axis.bands[*band].name.clone());
                (axis.name.clone(), names.collect())
            };
            matrices.push(AssessedMatrix {
                name: matrix.name.clone(),
                rows: bands(&matrix.rows, &rows),
                columns: bands(&matrix.columns, &columns),
                outcome: (name(low), name(high)),
                findings: rows.findings.into_iter().chain(columns.findings).collect(),
            });
        }
        known.outcomes = &outcomes;
        let levels = protocol
            .levels
            .iter()
            .map(|level| assessed(&level.name, &level.rule, &known))
            .collect();
        let conclusion = assessed("conclusion", &protocol.conclusion.rule, &known);
        Ok(Assessment {
            at,
            criteria,
            matrices,
            levels,
            conclusion,
        })
    }
}
