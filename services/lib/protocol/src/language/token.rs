use crate::fault::Problem;

use super::{Misplaced, PARTS_MAX};

/// A word, number or symbol, and where it stands in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) from: usize,
    pub(super) to: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind<'a> {
    Number(f64),
    Word(&'a str),
    Symbol(&'static str),
}

/// The longer of two symbols that begin alike stands first.
const SYMBOLS: [&str; 13] = [">=", "<=", ">", "<", "=", "+", "-", "*", "/", "(", ")", ",", "%"];

/// Digits beyond these would not be exact as a floating-point number.
const DIGITS_MAX: usize = 15;

/// A criterion cut into tokens.
///
/// # Errors
/// A character means nothing, a number is too long, or there are more tokens than any criterion of [`PARTS_MAX`] parts has.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Misplaced> {
    let mut tokens = Vec::new();
    let mut from = 0;
    while let Some(first) = text[from..].chars().next() {
        if first.is_ascii_whitespace() {
            from += 1;
            continue;
        }
        if tokens.len() >= 4 * PARTS_MAX {
            return Err((from, Problem::TooLong(PARTS_MAX)));
        }
        let rest = &text[from..];
        let length = |belongs: fn(char) -> bool| rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        let (kind, size) = match first {
            '0'..='9' => {
                let size = length(|c| c.is_ascii_digit() || c == '.' || c == '_');
                (
                    Kind::Number(number(&rest[..size]).ok_or_else(|| unexpected(from, &rest[..size]))?),
                    size,
                )
            }
            'a'..='z' | 'A'..='Z' => {
                let size = length(|c| c.is_ascii_alphanumeric() || c == '_');
                (Kind::Word(&rest[..size]), size)
            }
            _ => {
                let found = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
                let symbol = found.ok_or_else(|| unexpected(from, &rest[..first.len_utf8()]))?;
                (Kind::Symbol(symbol), symbol.len())
            }
        };
        tokens.push(Token {
            kind,
            from,
            to: from + size,
        });
        from += size;
    }
    Ok(tokens)
}

fn number(text: &str) -> Option<f64> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let written = digits.chars().filter(char::is_ascii_digit).count();
    if written > DIGITS_MAX || digits.ends_with('.') {
        return None;
    }
    digits.parse().ok()
}

fn unexpected(at: usize, found: &str) -> Misplaced {
    let expected = "a name, a symbol, or a number of at most 15 digits";
    let found = format!("`{}`", found.chars().take(40).collect::<String>().escape_debug());
    (at, Problem::Expected { expected, found })
}
