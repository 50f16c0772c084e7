use std::fmt;

/// What a number counts: exponents of the things that can be counted, and of time in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unit([i16; 6]);

const COPIES: usize = 0;
const ACCOUNTS: usize = 1;
const PLATFORMS: usize = 2;
const VIEWERS: usize = 3;
const CONTENTS: usize = 4;
const TIME: usize = 5;

const NAMES: [&str; 6] = ["copies", "accounts", "platforms", "viewers", "contents", "seconds"];

/// Every word that may stand behind a number, what it means and how many of it one is.
const WORDS: [(&str, Unit, f64); 23] = [
    ("copy", Unit::COPIES, 1.0),
    ("copies", Unit::COPIES, 1.0),
    ("account", Unit::ACCOUNTS, 1.0),
    ("accounts", Unit::ACCOUNTS, 1.0),
    ("platform", Unit::PLATFORMS, 1.0),
    ("platforms", Unit::PLATFORMS, 1.0),
    ("viewer", Unit::VIEWERS, 1.0),
    ("viewers", Unit::VIEWERS, 1.0),
    ("content", Unit::CONTENTS, 1.0),
    ("contents", Unit::CONTENTS, 1.0),
    ("s", Unit::TIME, 1.0),
    ("second", Unit::TIME, 1.0),
    ("seconds", Unit::TIME, 1.0),
    ("min", Unit::TIME, 60.0),
    ("minute", Unit::TIME, 60.0),
    ("minutes", Unit::TIME, 60.0),
    ("h", Unit::TIME, 3_600.0),
    ("hour", Unit::TIME, 3_600.0),
    ("hours", Unit::TIME, 3_600.0),
    ("d", Unit::TIME, 86_400.0),
    ("day", Unit::TIME, 86_400.0),
    ("days", Unit::TIME, 86_400.0),
    ("%", Unit::NONE, 0.01),
];

impl Unit {
    pub(crate) const NONE: Unit = Unit([0; 6]);
    pub(crate) const COPIES: Unit = Unit::of(COPIES);
    pub(crate) const ACCOUNTS: Unit = Unit::of(ACCOUNTS);
    pub(crate) const PLATFORMS: Unit = Unit::of(PLATFORMS);
    pub(crate) const VIEWERS: Unit = Unit::of(VIEWERS);
    pub(crate) const CONTENTS: Unit = Unit::of(CONTENTS);
    pub(crate) const TIME: Unit = Unit::of(TIME);

    const fn of(place: usize) -> Unit {
        let mut exponents = [0; 6];
        exponents[place] = 1;
        Unit(exponents)
    }

    /// The unit that a word behind a number names, and how many of it one is.
    pub(crate) fn parse(word: &str) -> Option<(Unit, f64)> {
        let found = WORDS.iter().find(|(name, _, _)| *name == word)?;
        Some((found.1, found.2))
    }

    /// The unit of a product. `None` beyond any exponent that could be meant.
    pub(crate) fn times(self, other: Unit) -> Option<Unit> {
        self.combined(other, i16::checked_add)
    }

    /// The unit of a quotient. `None` beyond any exponent that could be meant.
    pub(crate) fn per(self, other: Unit) -> Option<Unit> {
        self.combined(other, i16::checked_sub)
    }

    fn combined(self, other: Unit, combine: fn(i16, i16) -> Option<i16>) -> Option<Unit> {
        let mut exponents = [0; 6];
        for (place, exponent) in exponents.iter_mut().enumerate() {
            *exponent = combine(self.0[place], other.0[place])?;
        }
        Some(Unit(exponents))
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |wanted: fn(i16) -> bool| {
            let named = self.0.iter().zip(NAMES).filter(|(exponent, _)| wanted(**exponent));
            let power = |(exponent, name): (&i16, &str)| match exponent.unsigned_abs() {
                1 => name.to_owned(),
                size => format!("{name}^{size}"),
            };
            named.map(power).collect::<Vec<_>>().join(" x ")
        };
        match (part(|exponent| exponent > 0), part(|exponent| exponent < 0)) {
            (above, below) if above.is_empty() && below.is_empty() => formatter.write_str("a plain number"),
            (above, below) if below.is_empty() => formatter.write_str(&above),
            (above, below) if above.is_empty() => write!(formatter, "1 per {below}"),
            (above, below) => write!(formatter, "{above} per {below}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn units_combine_and_are_named() {
        let velocity = Unit::COPIES.per(Unit::TIME).unwrap();
        assert_eq!(velocity.to_string(), "copies per seconds");
        assert_eq!(velocity.times(Unit::TIME), Some(Unit::COPIES));
        assert_eq!(velocity.per(velocity).unwrap().to_string(), "a plain number");
        assert_eq!(Unit::NONE.per(Unit::TIME).unwrap().to_string(), "1 per seconds");
        assert_eq!(Unit::VIEWERS.times(Unit::VIEWERS).unwrap().to_string(), "viewers^2");
        assert_eq!(Unit::parse("min"), Some((Unit::TIME, 60.0)));
        assert_eq!(Unit::parse("people"), None);
    }
}
