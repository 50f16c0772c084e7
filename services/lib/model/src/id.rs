use std::fmt;
use std::str::FromStr;

/// The public half of an API key: it names the key in logs, leases and decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u128);

/// The text is not 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id has 32 lower-case hexadecimal digits")]
pub struct IdError;

const ID_DIGITS: usize = 32;

/// Exactly 32 lower-case hexadecimal digits as a number.
///
/// # Errors
/// Any other text.
pub fn parse_hex_id(text: &str) -> Result<u128, IdError> {
    let plain = text.len() == ID_DIGITS && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !plain {
        return Err(IdError);
    }
    u128::from_str_radix(text, 16).map_err(|_| IdError)
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for KeyId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<KeyId, IdError> {
        parse_hex_id(text).map(KeyId)
    }
}

/// A drill: drawn at random when it starts. Its text, in names of topics, schemas and directories, is 8 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrillId(pub u32);

/// The text is not 8 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a drill has 8 lower-case hexadecimal digits")]
pub struct DrillIdError;

impl fmt::Display for DrillId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl DrillId {
    /// What the names of its topics, groups and instances begin with in the log, such as `drill.0a1b2c3d.`.
    pub fn namespace(self) -> String {
        format!("drill.{self}.")
    }
}

impl FromStr for DrillId {
    type Err = DrillIdError;
    fn from_str(text: &str) -> Result<DrillId, DrillIdError> {
        let plain = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match u32::from_str_radix(text, 16) {
            Ok(number) if plain => Ok(DrillId(number)),
            _ => Err(DrillIdError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_no_other_spelling_of_it_does() {
        assert_eq!(KeyId(0xab).to_string().parse(), Ok(KeyId(0xab)));
        let digits = "0".repeat(ID_DIGITS);
        for bad in [
            "",
            &digits[1..],
            &format!("{digits}0"),
            &"A".repeat(32),
            "+0000000000000000000000000000000",
        ] {
            assert_eq!(parse_hex_id(bad), Err(IdError), "{bad}");
        }
    }
}
