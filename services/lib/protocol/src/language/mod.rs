//! The language of criteria: text to tokens, tokens to a tree (`parse`), a tree to what is typed and names only what exists (`check`), and that to
//! a result (`evaluate`).

mod check;
mod evaluate;
mod parse;
mod token;

use crate::fault::Problem;
use crate::figure::Figure;

pub(crate) use check::{Scope, check};
pub(crate) use evaluate::Known;
pub use evaluate::{Because, Finding};

/// A criterion is nested at most so deep: recursion keeps within it.
pub(crate) const DEPTH_MAX: usize = 16;
/// A criterion has at most so many parts.
pub(crate) const PARTS_MAX: usize = 200;

/// A fault and where it is, in bytes from the start of the criterion.
pub(crate) type Misplaced = (usize, Problem);

/// Something that is met, not met or unknown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Logic {
    Flag(Figure),
    Question { index: usize, name: String },
    Criterion { index: usize, name: String },
    Outcome { matrix: usize, least: usize, text: String },
    Compare(Comparison),
    Not(Box<Logic>),
    And(Vec<Logic>),
    Or(Vec<Logic>),
    AtLeast(usize, Vec<Logic>),
}

/// Two numbers of one unit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) operator: Comparator,
    pub(crate) left: Number,
    pub(crate) right: Number,
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparator {
    AtLeast,
    Above,
    AtMost,
    Below,
    Equal,
}

/// A number whose unit was checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Number {
    Literal(f64),
    Figure(Figure),
    Arithmetic(Operator, Box<Number>, Box<Number>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Plus,
    Minus,
    Times,
    Per,
}

/// A length of time as in `15 min`, in seconds. `None` when it is none.
pub(crate) fn seconds(text: &str) -> Option<f64> {
    let tokens = token::tokens(text).ok()?;
    let [number, word] = tokens.as_slice() else { return None };
    match (&number.kind, &word.kind) {
        (token::Kind::Number(count), token::Kind::Word(word)) => {
            let (unit, factor) = crate::unit::Unit::parse(word)?;
            (unit == crate::unit::Unit::TIME).then_some(count * factor)
        }
        _ => None,
    }
}
