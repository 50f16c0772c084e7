//! Where a family stands by a protocol of crises: its figures from the query API, people's answers from the command line, and the result in words or
//! as JSON. What is met is decided by `tocsin_protocol`.

mod ask;
mod figures;
mod json;
mod show;
mod text;

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use tocsin_model::Milliseconds;
use tocsin_protocol::{Answers, Assessment, Figures, Protocol};

use crate::explain::figure::span;

pub use ask::{Family, ask};
pub use json::{assessment_json, list_json};
pub use show::shown;
pub use text::assessment_text;

/// Where a family stands, and what it is said by.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// The protocol.
    pub protocol: &'a Protocol,
    /// Who it is about.
    pub family: &'a Family,
    /// What people answered.
    pub answers: &'a Answers,
    /// The result.
    pub assessment: &'a Assessment,
}

impl Standing<'_> {
    fn figures(&self) -> &Figures {
        &self.family.figures
    }
}

/// The text of a protocol: of one that is shipped, by its name, or else of a file.
///
/// # Errors
/// There is neither.
pub fn text_of(name: &str) -> Result<String> {
    let shipped = tocsin_protocol::SHIPPED.iter().find(|(known, _)| *known == name);
    if let Some((_, text)) = shipped {
        return Ok((*text).to_owned());
    }
    let known = tocsin_protocol::SHIPPED.map(|(name, _)| name).join(", ");
    file_text(Path::new(name)).with_context(|| format!("{name} is none of the shipped protocols ({known})"))
}

/// The text of a file, no more of it than what shows that it is too large.
///
/// # Errors
/// It cannot be read, or is no text.
pub fn file_text(file: &Path) -> Result<String> {
    let at_most = tocsin_protocol::FILE_BYTES_MAX as u64 + 1;
    let opened = std::fs::File::open(file).with_context(|| format!("open {}", file.display()))?;
    let mut bytes = Vec::new();
    opened
        .take(at_most)
        .read_to_end(&mut bytes)
        .with_context(|| format!("read {}", file.display()))?;
    // The limit may have parted a letter: then the file is too large, and what is wrong with it is said by its reader.
    match bytes.len() as u64 == at_most {
        true => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        false => String::from_utf8(bytes).with_context(|| format!("{} is no text", file.display())),
    }
}

/// A length of time in words, whole days as days.
fn length(length: Milliseconds) -> String {
    const DAY_MS: i64 = 86_400_000;
    match length.0 / DAY_MS {
        days if days > 1 && length.0 % DAY_MS == 0 => format!("{days} days"),
        _ => span(length.0.unsigned_abs()),
    }
}
