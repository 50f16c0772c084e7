use serde::{Deserialize, Serialize};

use crate::PreservationRefusal;

/// The longest text of a basis or a reason, in bytes.
pub const REASON_BYTES_MAX: usize = 2_048;
/// The longest reference of a basis, in bytes.
pub const BASIS_REFERENCE_BYTES_MAX: usize = 256;

/// By what right data is kept, or handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BasisKind {
    /// A removal order: Regulation (EU) 2021/784, Art. 3 and 6(1).
    RemovalOrder = 1,
    /// A complaint about a removal: Art. 6(1)(a) and 10 of it.
    Complaint = 2,
    /// Administrative or judicial review of a removal: Art. 6(1)(a).
    Review = 3,
    /// An investigation or prosecution of terrorist offences: Art. 6(1)(b).
    Investigation = 4,
    /// Another law, which the text names.
    OtherLaw = 5,
}

/// By what right, in words, and under which number of whoever asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basis {
    /// Which kind of right.
    pub kind: BasisKind,
    /// In words: 1 to [`REASON_BYTES_MAX`] bytes.
    pub text: String,
    /// The number of the order, the request or the file: 1 to [`BASIS_REFERENCE_BYTES_MAX`] bytes.
    pub reference: String,
}

impl BasisKind {
    /// All kinds.
    pub const ALL: [BasisKind; 5] = [
        BasisKind::RemovalOrder,
        BasisKind::Complaint,
        BasisKind::Review,
        BasisKind::Investigation,
        BasisKind::OtherLaw,
    ];

    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            BasisKind::RemovalOrder => "removal_order",
            BasisKind::Complaint => "complaint",
            BasisKind::Review => "review",
            BasisKind::Investigation => "investigation",
            BasisKind::OtherLaw => "other_law",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<BasisKind> {
        BasisKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The kind of this number.
    pub fn from_number(number: i64) -> Option<BasisKind> {
        BasisKind::ALL.into_iter().find(|kind| *kind as i64 == number)
    }

    /// Whether the law asks for the whole six months: what is held for it is not released before.
    pub fn is_required(self) -> bool {
        matches!(self, BasisKind::RemovalOrder | BasisKind::Complaint)
    }
}

impl Basis {
    /// That of a removal order that an authority sent under a reference.
    pub fn of_order(authority: &str, reference: &str) -> Basis {
        Basis {
            kind: BasisKind::RemovalOrder,
            text: said(&format!("removal order of {authority}"), REASON_BYTES_MAX),
            reference: said(reference, BASIS_REFERENCE_BYTES_MAX),
        }
    }

    /// That of an appeal that was filed under a reference.
    pub fn of_appeal(reference: &str) -> Basis {
        Basis {
            kind: BasisKind::Complaint,
            text: "complaint about a removal or a refused upload".to_owned(),
            reference: said(reference, BASIS_REFERENCE_BYTES_MAX),
        }
    }

    /// Whether it says by what right, and is not too long.
    ///
    /// # Errors
    /// [`PreservationRefusal::Basis`].
    pub fn check(&self) -> Result<(), PreservationRefusal> {
        match is_said(&self.text, REASON_BYTES_MAX) && is_said(&self.reference, BASIS_REFERENCE_BYTES_MAX) {
            true => Ok(()),
            false => Err(PreservationRefusal::Basis),
        }
    }
}

/// As much of a text as has room, and always something: what others entered stops no preservation.
fn said(text: &str, bytes_max: usize) -> String {
    let text = text.replace('\0', "\u{fffd}");
    let cut = &text[..text.floor_char_boundary(bytes_max)];
    match cut.trim().is_empty() {
        true => "none".to_owned(),
        false => cut.to_owned(),
    }
}

/// Whether a text says something, in so many bytes. PostgreSQL has no zeros in its text.
pub(crate) fn is_said(text: &str, bytes_max: usize) -> bool {
    !text.trim().is_empty() && text.len() <= bytes_max && !text.contains('\0')
}

#[cfg(test)]
mod tests {
    //! Goal: whatever an order or an appeal says, there is a basis of it.

    use super::*;

    #[test]
    fn what_others_entered_stops_no_preservation() {
        for text in ["", " ", "\0", "a", &"é".repeat(3_000)] {
            assert_eq!(Basis::of_order(text, text).check(), Ok(()), "{text:?}");
            assert_eq!(Basis::of_appeal(text).check(), Ok(()), "{text:?}");
        }
    }
}
