use sha2::{Digest as _, Sha256};

use crate::Digest;

/// 16 random bytes, new for each field of each record: without them nobody finds out by trying names which one a digest is of.
pub type Salt = [u8; 16];

/// The longest personal field, in bytes: more than the longest reason of a decision. A longer one is cut.
pub const PERSONAL_BYTES_MAX: usize = 16_384;

/// What a personal field is: what names or may name a person, and what the team that did it alone may be told. The numbers are those of the chain and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Field {
    /// The id of the key that was shown, or that the record is about.
    Key = 1,
    /// The name of the person the record is about.
    Person = 2,
    /// What it was about, where that is restricted or may lead to people: the path and query of a request, a case, a family.
    About = 3,
    /// The words that somebody gave as the reason.
    Rationale = 4,
}

/// A personal field in the clear: it is kept beside the chain, never in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Personal {
    /// What it is.
    pub field: Field,
    /// The text.
    pub clear: String,
}

impl Field {
    /// All fields.
    pub const ALL: [Field; 4] = [Field::Key, Field::Person, Field::About, Field::Rationale];

    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Field::Key => "key",
            Field::Person => "person",
            Field::About => "about",
            Field::Rationale => "rationale",
        }
    }

    /// The field of this number.
    pub fn from_number(number: u8) -> Option<Field> {
        Field::ALL.into_iter().find(|field| *field as u8 == number)
    }

    /// What stands in the chain for a text: SHA-256 of a label, the salt, the field's number and the text.
    pub fn digest(self, salt: &Salt, clear: &str) -> Digest {
        Sha256::new()
            .chain_update(b"tocsin audit personal 1\0")
            .chain_update(salt)
            .chain_update([self as u8])
            .chain_update(clear.as_bytes())
            .finalize()
            .into()
    }
}

impl Personal {
    /// A field in the clear.
    pub fn new(field: Field, clear: impl Into<String>) -> Personal {
        Personal {
            field,
            clear: clear.into(),
        }
    }
}

/// Shows the field, not the text.
impl std::fmt::Debug for Personal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Personal({}, withheld)", self.field.name())
    }
}
