//! The shape of a protocol's file: TOML into values that still know where they stood. Meaning is given to them in `protocol.rs`.

use serde::Deserialize;
use toml::Spanned;

use crate::fault::{Fault, Problem, Refused};

/// A protocol has at most so many bytes.
pub const FILE_BYTES_MAX: usize = 65_536;

/// A text and where it stood.
pub(crate) type Text = Spanned<String>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) name: Text,
    pub(crate) version: Spanned<u32>,
    pub(crate) title: Text,
    pub(crate) summary: Text,
    pub(crate) sources: Vec<SourceTable>,
    pub(crate) roles: Vec<NamedTable>,
    pub(crate) classes: Vec<NamedTable>,
    #[serde(default)]
    pub(crate) questions: Vec<NamedTable>,
    #[serde(default)]
    pub(crate) criteria: Vec<CriterionTable>,
    #[serde(default)]
    pub(crate) matrices: Vec<MatrixTable>,
    pub(crate) levels: Vec<LevelTable>,
    pub(crate) conclusion: ConclusionTable,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceTable {
    pub(crate) title: Text,
    pub(crate) publisher: Text,
    pub(crate) date: Text,
    pub(crate) paraphrase: Text,
}

/// A role, a class of participants or a question: a name and what it says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedTable {
    pub(crate) name: Text,
    pub(crate) says: Text,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CriterionTable {
    pub(crate) name: Text,
    pub(crate) says: Text,
    pub(crate) when: Text,
    pub(crate) held_for: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MatrixTable {
    pub(crate) name: Text,
    /// From the least to the gravest.
    pub(crate) outcomes: Vec<Text>,
    pub(crate) rows: AxisTable,
    pub(crate) columns: AxisTable,
    /// One list for each band of `rows`, with an outcome for each band of `columns`.
    pub(crate) cells: Spanned<Vec<Vec<Text>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AxisTable {
    pub(crate) name: Text,
    /// From the least to the gravest. The first has no `when`: it is what holds otherwise.
    pub(crate) bands: Vec<BandTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BandTable {
    pub(crate) name: Text,
    pub(crate) when: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LevelTable {
    pub(crate) name: Text,
    pub(crate) says: Text,
    pub(crate) when: Text,
    pub(crate) held_for: Option<Text>,
    #[serde(default)]
    pub(crate) steps: Vec<StepTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConclusionTable {
    pub(crate) says: Text,
    pub(crate) when: Text,
    pub(crate) held_for: Option<Text>,
    #[serde(default)]
    pub(crate) steps: Vec<StepTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepTable {
    pub(crate) does: Text,
    pub(crate) by: Text,
    #[serde(default)]
    pub(crate) with: Vec<Text>,
    pub(crate) due: Text,
}

/// Reads the shape.
///
/// # Errors
/// The text is too large, or no TOML of this shape.
pub(crate) fn read(text: &str) -> Result<File, Refused> {
    let refused = |offset, problem| Refused {
        faults: vec![Fault::at(text, offset, problem)],
    };
    if text.len() > FILE_BYTES_MAX {
        let bytes = text.len();
        let limit = FILE_BYTES_MAX;
        return Err(refused(0, Problem::TooLarge { bytes, limit }));
    }
    toml::from_str(text).map_err(|error| {
        let message = error.message().chars().take(300).collect();
        refused(error.span().map_or(0, |span| span.start), Problem::Shape(message))
    })
}
