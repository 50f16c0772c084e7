use std::fmt;
use std::str::FromStr;

/// A party's number, given once when it is added and never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyId(pub u16);

/// A platform's number, given once when its party is added and never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlatformId(pub u16);

/// The name of a party or a platform: 1 to 48 of `a-z`, `0-9`, `-`, `_`, beginning with a letter or digit.
///
/// The form fits a Kafka topic name and a label of a metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// The text is not a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 48 of a-z, 0-9, '-' and '_' and begins with a letter or digit")]
pub struct NameError;

impl Name {
    /// The longest name, in bytes.
    pub const LENGTH_MAX: usize = 48;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` is a name, without taking it.
    ///
    /// # Errors
    /// It is none.
    pub fn check(text: &str) -> Result<(), NameError> {
        let first_is_plain = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let all_allowed = text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if first_is_plain && all_allowed && text.len() <= Name::LENGTH_MAX {
            Ok(())
        } else {
            Err(NameError)
        }
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Name::check(text)?;
        Ok(Name(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
