use std::collections::BTreeMap;

use crate::fault::Problem;
use crate::figure::{Figure, Kind};
use crate::unit::Unit;

use super::evaluate::constant;
use super::parse::{Node, RESERVED, Shape, parse};
use super::{Comparison, Logic, Misplaced, Number, Operator};

/// What a criterion may name beside figures: only what stands before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    names: BTreeMap<String, Named>,
}

#[derive(Clone, Debug)]
enum Named {
    Question(usize),
    Criterion(usize),
    Matrix(usize, Vec<String>),
}

impl Scope {
    pub(crate) fn add_question(&mut self, name: &str, index: usize) -> Result<(), Problem> {
        self.add(name, Named::Question(index))
    }

    pub(crate) fn add_criterion(&mut self, name: &str, index: usize) -> Result<(), Problem> {
        self.add(name, Named::Criterion(index))
    }

    pub(crate) fn add_matrix(&mut self, name: &str, index: usize, outcomes: &[String]) -> Result<(), Problem> {
        self.add(name, Named::Matrix(index, outcomes.to_vec()))
    }

    fn add(&mut self, name: &str, named: Named) -> Result<(), Problem> {
        if RESERVED.contains(&name) || Figure::parse(name).is_some() || self.names.contains_key(name) {
            return Err(Problem::Taken(name.to_owned()));
        }
        self.names.insert(name.to_owned(), named);
        Ok(())
    }

    /// The name that differs least from this one, if it differs in at most two places.
    fn nearest(&self, name: &str) -> Option<String> {
        let known = Figure::ALL.iter().map(|figure| figure.name());
        let all = known.chain(self.names.keys().map(String::as_str).filter(|other| other.len() <= 48));
        let near = all.map(|other| (distance(name, other), other)).min()?;
        (near.0 <= 2).then(|| near.1.to_owned())
    }
}

/// Reads a criterion and holds it to what may be named and to its units.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn check(text: &str, scope: &Scope) -> Result<Logic, Misplaced> {
    let checker = Checker { text, scope };
    checker.logic(&parse(text)?)
}

struct Checker<'a> {
    text: &'a str,
    scope: &'a Scope,
}

impl Checker<'_> {
    fn logic(&self, node: &Node) -> Result<Logic, Misplaced> {
        let all = |nodes: &[Node]| nodes.iter().map(|node| self.logic(node)).collect::<Result<Vec<_>, _>>();
        match &node.shape {
            Shape::Not(inner) => Ok(Logic::Not(Box::new(self.logic(inner)?))),
            Shape::And(nodes) => all(nodes).map(Logic::And),
            Shape::Or(nodes) => all(nodes).map(Logic::Or),
            Shape::AtLeast(count, nodes) => match usize::try_from(*count) {
                Ok(wanted) if wanted > 0 && wanted <= nodes.len() => Ok(Logic::AtLeast(wanted, all(nodes)?)),
                _ => Err((
                    node.at.start,
                    Problem::Count {
                        count: *count,
                        all: nodes.len(),
                    },
                )),
            },
            Shape::Compare(operator, left, right) => {
                let (left_number, left_unit) = self.number(left)?;
                let (right_number, right_unit) = self.number(right)?;
                self.same_unit((left, left_unit), (right, right_unit), "compared")?;
                let comparison = Comparison {
                    operator: *operator,
                    left: left_number,
                    right: right_number,
                    text: self.written(node),
                };
                if constant(&comparison.left).is_some() && constant(&comparison.right).is_some() {
                    return Err((node.at.start, Problem::Constant));
                }
                Ok(Logic::Compare(comparison))
            }
            Shape::Name(name) => self.named(name, node),
            Shape::Outcome { matrix, least } => self.outcome(matrix, least, node),
            Shape::Number { .. } | Shape::Arithmetic(..) => Err((
                node.at.end,
                Problem::Expected {
                    expected: "a comparison, as in `>= 100 copies`",
                    found: "only a number".to_owned(),
                },
            )),
        }
    }

    fn named(&self, name: &str, node: &Node) -> Result<Logic, Misplaced> {
        if let Some(figure) = Figure::parse(name) {
            return match figure.kind() {
                Kind::Flag => Ok(Logic::Flag(figure)),
                Kind::Number(unit) => Err((
                    node.at.end,
                    Problem::Expected {
                        expected: "a comparison, as in `>= 100 copies`",
                        found: format!("only `{name}`, in {unit}"),
                    },
                )),
            };
        }
        let name = name.to_owned();
        match self.scope.names.get(&name) {
            Some(Named::Question(index)) => Ok(Logic::Question { index: *index, name }),
            Some(Named::Criterion(index)) => Ok(Logic::Criterion { index: *index, name }),
            Some(Named::Matrix(..)) => Err((
                node.at.end,
                Problem::Expected {
                    expected: "`is at least` and an outcome of the matrix",
                    found: format!("only `{name}`"),
                },
            )),
            None => Err(self.unknown(&name, node)),
        }
    }

    fn outcome(&self, matrix: &str, least: &str, node: &Node) -> Result<Logic, Misplaced> {
        match self.scope.names.get(matrix) {
            Some(Named::Matrix(index, outcomes)) => {
                let place = outcomes.iter().position(|outcome| outcome == least);
                let absent = || Problem::NotDeclared {
                    what: "outcome",
                    name: least.to_owned(),
                };
                Ok(Logic::Outcome {
                    matrix: *index,
                    least: place.ok_or_else(|| (node.at.start, absent()))?,
                    text: self.written(node),
                })
            }
            _ => Err((
                node.at.start,
                Problem::NotDeclared {
                    what: "matrix",
                    name: matrix.to_owned(),
                },
            )),
        }
    }

    fn number(&self, node: &Node) -> Result<(Number, Unit), Misplaced> {
        match &node.shape {
            Shape::Number { value, unit: None } => Ok((Number::Literal(*value), Unit::NONE)),
            Shape::Number {
                value,
                unit: Some(word),
            } => {
                let known = Unit::parse(word).ok_or_else(|| {
                    let at = node.at.end - word.len();
                    (at, Problem::UnitUnknown(word.chars().take(40).collect()))
                });
                let (unit, factor) = known?;
                Ok((Number::Literal(value * factor), unit))
            }
            Shape::Name(name) => match Figure::parse(name).map(|figure| (figure, figure.kind())) {
                Some((figure, Kind::Number(unit))) => Ok((Number::Figure(figure), unit)),
                Some((_, Kind::Flag)) => Err(self.no_number(node)),
                None if self.scope.names.contains_key(name) => Err(self.no_number(node)),
                None => Err(self.unknown(name, node)),
            },
            Shape::Arithmetic(operator, left, right) => {
                let (left_number, left_unit) = self.number(left)?;
                let (right_number, right_unit) = self.number(right)?;
                let unit = match operator {
                    Operator::Plus | Operator::Minus => {
                        self.same_unit((left, left_unit), (right, right_unit), "added")?;
                        Some(left_unit)
                    }
                    Operator::Times => left_unit.times(right_unit),
                    Operator::Per if constant(&right_number) == Some(0.0) => {
                        return Err((right.at.start, Problem::DivisionByZero));
                    }
                    Operator::Per => left_unit.per(right_unit),
                };
                let unit = unit.ok_or((node.at.start, Problem::TooLong(super::PARTS_MAX)))?;
                let number = Number::Arithmetic(*operator, Box::new(left_number), Box::new(right_number));
                Ok((number, unit))
            }
            _ => Err(self.no_number(node)),
        }
    }

    fn same_unit(&self, left: (&Node, Unit), right: (&Node, Unit), verb: &'static str) -> Result<(), Misplaced> {
        if left.1 == right.1 {
            return Ok(());
        }
        let plain = [(left, right.1), (right, left.1)]
            .into_iter()
            .find_map(|((node, _), wanted)| match node.shape {
                Shape::Number { value, unit: None } if wanted != Unit::NONE => Some((value, wanted)),
                _ => None,
            });
        let hint = plain
            .map(|(value, wanted)| format!("; write `{value} {wanted}`"))
            .unwrap_or_default();
        let problem = Problem::Units {
            left: left.1.to_string(),
            right: right.1.to_string(),
            verb,
            hint,
        };
        Err((right.0.at.start, problem))
    }

    fn no_number(&self, node: &Node) -> Misplaced {
        let found = self.written(node).chars().take(40).collect::<String>();
        (
            node.at.start,
            Problem::Expected {
                expected: "a number",
                found: format!("`{found}`, which is met or not met"),
            },
        )
    }

    fn unknown(&self, name: &str, node: &Node) -> Misplaced {
        let short: String = name.chars().take(40).collect();
        let nearest = self.scope.nearest(&short);
        (node.at.start, Problem::NameUnknown { name: short, nearest })
    }

    /// A part as it is written, on one line.
    fn written(&self, node: &Node) -> String {
        let text = self.text.get(node.at.clone()).unwrap_or_default();
        text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// How many letters must be put in, left out or exchanged (Levenshtein 1966). Both texts are short.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = place + 1;
        for (column, known) in other.iter().enumerate() {
            let exchanged = diagonal + usize::from(letter != *known);
            diagonal = row[column + 1];
            row[column + 1] = exchanged.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}
