use crate::figure::{Figure, Figures, Missing, Reading};
use crate::truth::Truth;

use super::{Comparator, Comparison, Logic, Number, Operator};

/// What a criterion is evaluated on.
pub(crate) struct Known<'a> {
    pub(crate) figures: &'a Figures,
    /// By the number of the question. What is not there was not answered.
    pub(crate) answers: &'a [Option<bool>],
    /// Of the criteria before.
    pub(crate) criteria: &'a [Truth],
    /// The lowest and the highest outcome that each matrix may have, and the names of all.
    pub(crate) outcomes: &'a [(usize, usize, &'a [String])],
}

/// The result of one part of a criterion that has no parts itself, and what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The part, as it is written.
    pub text: String,
    /// Its result.
    pub truth: Truth,
    /// What it rests on.
    pub because: Because,
    /// The figures it names.
    pub figures: Vec<Figure>,
}

/// What a result rests on.
#[derive(Clone, Debug, PartialEq)]
pub enum Because {
    /// Two numbers were compared: each lies between its bounds, times in seconds.
    Compared {
        /// The bounds of what stands on the left.
        left: (f64, f64),
        /// And on the right.
        right: (f64, f64),
    },
    /// A figure says yes or no.
    Flag(bool),
    /// A figure is not known.
    Missing(Figure, Missing),
    /// What is divided by may be zero.
    DividesByZero,
    /// A number is beyond what can be reckoned with.
    TooLarge,
    /// A person said yes or no.
    Answered(bool),
    /// No person answered yet.
    NotAnswered,
    /// A criterion before has this result.
    Criterion,
    /// A matrix has an outcome between these.
    Outcome {
        /// The lowest that is possible.
        lowest: String,
        /// The highest.
        highest: String,
    },
}

type Bounds = (f64, f64);

impl Logic {
    /// Its result. What it rests on is appended to `findings`, part by part: all of them, also those that decide nothing.
    pub(crate) fn evaluate(&self, known: &Known<'_>, findings: &mut Vec<Finding>) -> Truth {
        let mut all =
            |parts: &[Logic]| -> Vec<Truth> { parts.iter().map(|part| part.evaluate(known, findings)).collect() };
        let (text, truth, because, figures) = match self {
            Logic::Not(part) => return part.evaluate(known, findings).negated(),
            Logic::And(parts) => return all(parts).into_iter().fold(Truth::Met, Truth::and),
            Logic::Or(parts) => return all(parts).into_iter().fold(Truth::NotMet, Truth::or),
            Logic::AtLeast(count, parts) => return Truth::at_least(*count, &all(parts)),
            Logic::Flag(figure) => {
                let (truth, because) = match known.figures.get(*figure) {
                    Reading::Flag(yes, _) => (yes.into(), Because::Flag(yes)),
                    Reading::Missing(why) => (Truth::Unknown, Because::Missing(*figure, why)),
                    Reading::Number(_) => (Truth::Unknown, Because::Missing(*figure, Missing::NotTold)),
                };
                (figure.name().to_owned(), truth, because, vec![*figure])
            }
            Logic::Question { index, name } => {
                let answer = known.answers.get(*index).copied().flatten();
                let because = answer.map_or(Because::NotAnswered, Because::Answered);
                (
                    name.clone(),
                    answer.map_or(Truth::Unknown, Truth::from),
                    because,
                    Vec::new(),
                )
            }
            Logic::Criterion { index, name } => {
                let truth = known.criteria.get(*index).copied().unwrap_or(Truth::Unknown);
                (name.clone(), truth, Because::Criterion, Vec::new())
            }
            Logic::Outcome { matrix, least, text } => {
                let (truth, because) = outcome(known, *matrix, *least);
                (text.clone(), truth, because, Vec::new())
            }
            Logic::Compare(comparison) => {
                let (truth, because) = comparison.evaluate(known.figures);
                let mut figures = Vec::new();
                comparison.left.name_figures(&mut figures);
                comparison.right.name_figures(&mut figures);
                (comparison.text.clone(), truth, because, figures)
            }
        };
        findings.push(Finding {
            text,
            truth,
            because,
            figures,
        });
        truth
    }
}

fn outcome(known: &Known<'_>, matrix: usize, least: usize) -> (Truth, Because) {
    let (lowest, highest, names) = known.outcomes.get(matrix).copied().unwrap_or((0, usize::MAX, &[]));
    let truth = match () {
        () if lowest >= least => Truth::Met,
        () if highest < least => Truth::NotMet,
        () => Truth::Unknown,
    };
    let name = |place: usize| names.get(place).cloned().unwrap_or_default();
    let because = Because::Outcome {
        lowest: name(lowest),
        highest: name(highest),
    };
    (truth, because)
}

impl Comparison {
    fn evaluate(&self, figures: &Figures) -> (Truth, Because) {
        let bounds = |number: &Number| number.bounds(figures);
        match (bounds(&self.left), bounds(&self.right)) {
            (Ok(left), Ok(right)) => (self.operator.holds(left, right), Because::Compared { left, right }),
            (Err(doubt), _) | (_, Err(doubt)) => (Truth::Unknown, doubt),
        }
    }
}

impl Comparator {
    /// Whether it holds for every pair, for none, or for some.
    fn holds(self, left: Bounds, right: Bounds) -> Truth {
        let decided = |always: bool, never: bool| match (always, never) {
            (true, _) => Truth::Met,
            (_, true) => Truth::NotMet,
            _ => Truth::Unknown,
        };
        match self {
            Comparator::AtLeast => decided(left.0 >= right.1, left.1 < right.0),
            Comparator::Above => decided(left.0 > right.1, left.1 <= right.0),
            Comparator::AtMost => Comparator::AtLeast.holds(right, left),
            Comparator::Below => Comparator::Above.holds(right, left),
            Comparator::Equal => {
                let one_value = left.0 == left.1 && right.0 == right.1;
                decided(one_value && left.0 == right.0, left.1 < right.0 || right.1 < left.0)
            }
        }
    }
}

impl Number {
    /// Bounds of what it may be. Intervals are reckoned with as if they were independent (Moore 1966): what a figure may be is never left out, but
    /// a figure that stands twice makes them wider than need be. Rounding is that of floating-point numbers.
    fn bounds(&self, figures: &Figures) -> Result<Bounds, Because> {
        let (low, high) = match self {
            Number::Literal(value) => (*value, *value),
            Number::Figure(figure) => match figures.get(*figure) {
                Reading::Number(measured) => (measured.low, measured.high),
                Reading::Missing(why) => return Err(Because::Missing(*figure, why)),
                Reading::Flag(..) => return Err(Because::Missing(*figure, Missing::NotTold)),
            },
            Number::Arithmetic(operator, left, right) => {
                let (left, right) = (left.bounds(figures)?, right.bounds(figures)?);
                match operator {
                    Operator::Plus => (left.0 + right.0, left.1 + right.1),
                    Operator::Minus => (left.0 - right.1, left.1 - right.0),
                    Operator::Times => corners(left, right, |one, other| one * other),
                    Operator::Per if right.0 <= 0.0 && right.1 >= 0.0 => return Err(Because::DividesByZero),
                    Operator::Per => corners(left, right, |one, other| one / other),
                }
            }
        };
        if low.is_finite() && high.is_finite() {
            Ok((low, high))
        } else {
            Err(Because::TooLarge)
        }
    }

    fn name_figures(&self, into: &mut Vec<Figure>) {
        match self {
            Number::Literal(_) => {}
            Number::Figure(figure) if into.contains(figure) => {}
            Number::Figure(figure) => into.push(*figure),
            Number::Arithmetic(_, left, right) => {
                left.name_figures(into);
                right.name_figures(into);
            }
        }
    }
}

/// A product and a quotient are greatest and least at the ends of what goes into them.
fn corners(left: Bounds, right: Bounds, combine: fn(f64, f64) -> f64) -> Bounds {
    let [a, b, c, d] = [
        (left.0, right.0),
        (left.0, right.1),
        (left.1, right.0),
        (left.1, right.1),
    ]
    .map(|(one, other)| combine(one, other));
    (a.min(b).min(c).min(d), a.max(b).max(c).max(d))
}

/// What a number is whatever is measured. `None` when it names a figure or is beyond reckoning.
pub(super) fn constant(number: &Number) -> Option<f64> {
    let mut figures = Vec::new();
    number.name_figures(&mut figures);
    let bounds = figures.is_empty().then(|| number.bounds(&Figures::default()));
    bounds?.ok().map(|(low, _)| low)
}
