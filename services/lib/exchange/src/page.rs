use serde::Deserialize;
use serde_json::value::RawValue;
use tocsin_model::ListUpdate;

use crate::{RejectCode, Rejects};

/// What one page of a list says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Its updates, in its order.
    pub updates: Vec<ListUpdate>,
    /// What it holds beside them.
    pub rejects: Rejects,
    /// Where the next page is, in the source's own words; `None`: this is the last.
    pub next: Option<String>,
    /// Where to go on another time once this page is taken.
    pub checkpoint: Option<String>,
}

/// The bytes are no page of the format.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// It is no JSON: a page of HTML, or a part of an answer.
    #[error("the page is no JSON, or ends too early")]
    NotJson(#[source] serde_json::Error),
    /// It is JSON of another form.
    #[error("the page has another form than the format's")]
    Malformed(#[source] serde_json::Error),
}

impl PageError {
    /// A stable name for metrics and reports.
    pub fn code(&self) -> &'static str {
        match self {
            PageError::NotJson(_) => "page_not_json",
            PageError::Malformed(_) => "page_malformed",
        }
    }
}

/// The page's own fields. Its records are still text, so that a broken one does not take the others with it.
pub(crate) fn parse<'a, P: Deserialize<'a>>(bytes: &'a [u8]) -> Result<P, PageError> {
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => PageError::Malformed(error),
        _ => PageError::NotJson(error),
    })
}

/// Adds what the records say, each by itself.
pub(crate) fn add<'a, R: Deserialize<'a>>(
    page: &mut Page,
    records: &[&'a RawValue],
    read: impl Fn(R) -> Result<Vec<ListUpdate>, RejectCode>,
) {
    for record in records {
        let parsed = serde_json::from_str::<R>(record.get()).map_err(|_| RejectCode::RecordMalformed);
        match parsed.and_then(&read) {
            Ok(updates) => page.updates.extend(updates),
            Err(code) => page.rejects.count(code),
        }
    }
}
