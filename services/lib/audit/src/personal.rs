use sha2::{Digest as _, Sha256};

use crate::Digest;

/// 16 random bytes, new for each field of each record: without them nobody finds out by trying names which one a digest is of.
pub type Salt = [u8; 16];

/// The longest personal field, in bytes: more than the longest reason of a decision. A longer one is cut.
pub const PERSONAL_BYTES_MAX: usize = 16_384;

/// What a personal field is. The numbers are those of the chain and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Field {
    /// The id of the key that was shown, or that the record is about.
    Key = 1,
    /// The name of the person the record is about.
    Person = 2,
    /// What was asked for behind the path: hashes and addresses may lead to people.
    Query = 3,
    /// The words that somebody gave as the reason.
    Rationale = 4,
    /// The key by whose holder it was done, where the record is about another's.
    By = 5,
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
    pub const ALL: [Field; 5] = [Field::Key, Field::Person, Field::Query, Field::Rationale, Field::By];

    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Field::Key => "key",
            Field::Person => "person",
            Field::Query => "query",
            Field::Rationale => "rationale",
            Field::By => "by",
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
