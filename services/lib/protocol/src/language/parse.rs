use std::ops::Range;

use crate::fault::Problem;

use super::token::{Kind, Token, tokens};
use super::{Comparator, DEPTH_MAX, Misplaced, Operator, PARTS_MAX};

/// A part of a criterion as it is written, and where.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) shape: Shape,
    pub(super) at: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Number { value: f64, unit: Option<String> },
    Name(String),
    Outcome { matrix: String, least: String },
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    AtLeast(u64, Vec<Node>),
    Compare(Comparator, Box<Node>, Box<Node>),
    Arithmetic(Operator, Box<Node>, Box<Node>),
}

/// Reads a criterion. `or` binds less than `and`, that less than `not`, that less than a comparison, that less than `+` and `-`, those less than
/// `*` and `/`.
///
/// # Errors
/// It is none, or it is deeper or longer than allowed.
pub(super) fn parse(text: &str) -> Result<Node, Misplaced> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        end: text.len(),
        depth: 0,
        parts: 0,
    };
    let node = parser.or()?;
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(parser.expected("`and`, `or` or the end")),
    }
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
    end: usize,
    depth: usize,
    parts: usize,
}

impl<'a> Parser<'a> {
    fn or(&mut self) -> Result<Node, Misplaced> {
        self.joined("or", Parser::and, Shape::Or)
    }

    fn and(&mut self) -> Result<Node, Misplaced> {
        self.joined("and", Parser::not, Shape::And)
    }

    fn joined(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Result<Node, Misplaced>,
        shape: fn(Vec<Node>) -> Shape,
    ) -> Result<Node, Misplaced> {
        let first = part(self)?;
        if !self.at_word(word) {
            return Ok(first);
        }
        let from = first.at.start;
        let mut all = vec![first];
        while self.take_word(word) {
            all.push(part(self)?);
        }
        self.node(shape(all), from)
    }

    fn not(&mut self) -> Result<Node, Misplaced> {
        let from = self.position();
        if !self.take_word("not") {
            return self.comparison();
        }
        let inner = self.nested(Parser::not)?;
        self.node(Shape::Not(Box::new(inner)), from)
    }

    fn comparison(&mut self) -> Result<Node, Misplaced> {
        let left = self.sum()?;
        let comparators = [
            (">=", Comparator::AtLeast),
            (">", Comparator::Above),
            ("<=", Comparator::AtMost),
            ("<", Comparator::Below),
            ("=", Comparator::Equal),
        ];
        let found = comparators.iter().find(|(symbol, _)| self.at_symbol(symbol));
        let Some((symbol, operator)) = found else {
            return Ok(left);
        };
        self.take_symbol(symbol);
        let right = self.sum()?;
        let from = left.at.start;
        self.node(Shape::Compare(*operator, Box::new(left), Box::new(right)), from)
    }

    fn sum(&mut self) -> Result<Node, Misplaced> {
        self.arithmetic([("+", Operator::Plus), ("-", Operator::Minus)], Parser::product)
    }

    fn product(&mut self) -> Result<Node, Misplaced> {
        self.arithmetic([("*", Operator::Times), ("/", Operator::Per)], Parser::operand)
    }

    fn arithmetic(
        &mut self,
        operators: [(&'static str, Operator); 2],
        part: fn(&mut Self) -> Result<Node, Misplaced>,
    ) -> Result<Node, Misplaced> {
        let mut left = part(self)?;
        while let Some((symbol, operator)) = operators.iter().find(|(symbol, _)| self.at_symbol(symbol)) {
            self.take_symbol(symbol);
            let right = part(self)?;
            let from = left.at.start;
            left = self.node(Shape::Arithmetic(*operator, Box::new(left), Box::new(right)), from)?;
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Node, Misplaced> {
        let from = self.position();
        match self.peek() {
            Some(Kind::Symbol("(")) => {
                self.next += 1;
                let mut inner = self.nested(Parser::or)?;
                self.want_symbol(")", "`)`")?;
                inner.at = from..self.last_end();
                Ok(inner)
            }
            Some(Kind::Number(value)) => {
                self.next += 1;
                let unit = self.unit();
                self.node(Shape::Number { value, unit }, from)
            }
            Some(Kind::Word("at")) => self.at_least(),
            Some(Kind::Word(name)) if !RESERVED.contains(&name) => {
                self.next += 1;
                if !self.take_word("is") {
                    return self.node(Shape::Name(name.to_owned()), from);
                }
                self.want_word("at", "`at least` and an outcome")?;
                self.want_word("least", "`least` and an outcome")?;
                let least = self.name("the outcome of a matrix")?;
                let matrix = name.to_owned();
                self.node(Shape::Outcome { matrix, least }, from)
            }
            _ => Err(self.expected("a figure, a number, a question, a criterion or `(`")),
        }
    }

    /// `at least 2 of (a, b, c)`.
    fn at_least(&mut self) -> Result<Node, Misplaced> {
        let from = self.position();
        self.want_word("at", "`at least`")?;
        self.want_word("least", "`least`")?;
        let count = match self.peek() {
            Some(Kind::Number(count)) if (0.0..1_000.0).contains(&count) && count.fract() == 0.0 => count as u64,
            _ => return Err(self.expected("a whole number")),
        };
        self.next += 1;
        self.want_word("of", "`of`")?;
        self.want_symbol("(", "`(`")?;
        let mut all = vec![self.nested(Parser::or)?];
        while self.take_symbol(",") {
            all.push(self.nested(Parser::or)?);
        }
        self.want_symbol(")", "`,` or `)`")?;
        self.node(Shape::AtLeast(count, all), from)
    }

    /// What stands behind a number, unless it goes on with the criterion.
    fn unit(&mut self) -> Option<String> {
        let word = match self.peek()? {
            Kind::Symbol("%") => "%",
            Kind::Word(word) if !RESERVED.contains(&word) => word,
            _ => return None,
        };
        self.next += 1;
        Some(word.to_owned())
    }

    fn nested(&mut self, part: fn(&mut Self) -> Result<Node, Misplaced>) -> Result<Node, Misplaced> {
        if self.depth >= DEPTH_MAX {
            return Err((self.position(), Problem::TooDeep(DEPTH_MAX)));
        }
        self.depth += 1;
        let node = part(self);
        self.depth -= 1;
        node
    }

    fn node(&mut self, shape: Shape, from: usize) -> Result<Node, Misplaced> {
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err((from, Problem::TooLong(PARTS_MAX)));
        }
        let at = from..self.last_end();
        Ok(Node { shape, at })
    }

    fn peek(&self) -> Option<Kind<'a>> {
        self.tokens.get(self.next).map(|token| token.kind)
    }

    fn position(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |token| token.from)
    }

    fn last_end(&self) -> usize {
        self.next.checked_sub(1).map_or(0, |last| self.tokens[last].to)
    }

    fn at_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Kind::Word(found)) if found == word)
    }

    fn at_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Some(Kind::Symbol(found)) if found == symbol)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        self.next += usize::from(found);
        found
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.at_symbol(symbol);
        self.next += usize::from(found);
        found
    }

    fn want_word(&mut self, word: &str, expected: &'static str) -> Result<(), Misplaced> {
        if self.take_word(word) {
            Ok(())
        } else {
            Err(self.expected(expected))
        }
    }

    fn want_symbol(&mut self, symbol: &str, expected: &'static str) -> Result<(), Misplaced> {
        if self.take_symbol(symbol) {
            Ok(())
        } else {
            Err(self.expected(expected))
        }
    }

    fn name(&mut self, expected: &'static str) -> Result<String, Misplaced> {
        match self.peek() {
            Some(Kind::Word(name)) if !RESERVED.contains(&name) => {
                self.next += 1;
                Ok(name.to_owned())
            }
            _ => Err(self.expected(expected)),
        }
    }

    fn expected(&self, expected: &'static str) -> Misplaced {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(Kind::Number(value)) => format!("`{value}`"),
            Some(Kind::Word(word)) => format!("`{}`", word.chars().take(40).collect::<String>()),
            Some(Kind::Symbol(symbol)) => format!("`{symbol}`"),
        };
        (self.position(), Problem::Expected { expected, found })
    }
}

/// Words of the language itself: nothing else can be named so.
pub(super) const RESERVED: [&str; 7] = ["and", "or", "not", "at", "least", "of", "is"];
