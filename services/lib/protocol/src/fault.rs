use std::fmt;

use thiserror::Error;

/// So many faults of one file are told at most.
pub const FAULTS_MAX: usize = 32;

/// A file is no protocol.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct Refused {
    /// Why, in the order of the file: at least one, at most [`FAULTS_MAX`].
    pub faults: Vec<Fault>,
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// The file is larger than a protocol may be.
    #[error("the file has {bytes} bytes, and {limit} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// It is no TOML of the expected shape.
    #[error("{0}")]
    Shape(String),
    /// There are too many of something.
    #[error("there are {count} {what}, and {limit} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// There is none of something that must be there.
    #[error("there are no {0}")]
    NoneOf(&'static str),
    /// A name is none.
    #[error("a name is 1 to 48 of a-z, 0-9 and `{separator}`, a letter first; `{name}` is not")]
    Name {
        /// What stands there.
        name: String,
        /// What may part words.
        separator: char,
    },
    /// A name means something already.
    #[error("`{0}` has a meaning already")]
    Taken(String),
    /// A text is empty or too long.
    #[error("{what} is empty or longer than {limit} bytes")]
    Text {
        /// Which.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A version is not positive.
    #[error("the version is a number from 1 on")]
    Version,
    /// Something is named that the file does not declare.
    #[error("there is no {what} `{name}`")]
    NotDeclared {
        /// What should be there.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A length of time is none.
    #[error("expected a length of time from 1 s to 30 d, as in `15 min`")]
    Duration,
    /// A matrix does not fit its axes.
    #[error("{0}")]
    Matrix(&'static str),
    /// Something else stands where the language wants something.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A number is followed by no unit that is known.
    #[error("`{0}` is no unit: copies, accounts, platforms, viewers, contents, s, min, h, d or %")]
    UnitUnknown(String),
    /// Two units that cannot be compared or added.
    #[error("{left} and {right} cannot be {verb}{hint}")]
    Units {
        /// The left one.
        left: String,
        /// The right one.
        right: String,
        /// What is done with them.
        verb: &'static str,
        /// How to write it.
        hint: String,
    },
    /// A name that means nothing here.
    #[error(
        "`{name}` is no figure, and no question, criterion or matrix that stands before this{}",
        nearest.as_ref().map(|near| format!("; is `{near}` meant?")).unwrap_or_default()
    )]
    NameUnknown {
        /// What stands there.
        name: String,
        /// The name that it resembles most.
        nearest: Option<String>,
    },
    /// The divisor is zero whatever is measured.
    #[error("this divides by zero")]
    DivisionByZero,
    /// `at least n of` wants more than there are, or none.
    #[error("at least {count} of {all} is always or never met")]
    Count {
        /// How many are wanted.
        count: u64,
        /// Of how many.
        all: usize,
    },
    /// A criterion that does not depend on anything.
    #[error("this names no figure and no question: it is always or never met")]
    Constant,
    /// It is nested too deeply.
    #[error("this is nested more than {0} deep")]
    TooDeep(usize),
    /// It has too many parts.
    #[error("this has more than {0} parts")]
    TooLong(usize),
}

impl Fault {
    /// A fault at a place of a text; `offset` in bytes.
    pub(crate) fn at(text: &str, offset: usize, problem: Problem) -> Fault {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Fault {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "line {}, column {}: {}",
            self.line, self.column, self.problem
        )
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.faults.iter().enumerate() {
            let end = if number == 0 { "" } else { "\n" };
            write!(formatter, "{end}{fault}")?;
        }
        Ok(())
    }
}
