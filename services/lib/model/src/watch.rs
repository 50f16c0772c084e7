use crate::{ContentHash, ContentId, Name, Timestamp};

/// How grave a watch-listed content is, from 1 to 4. It multiplies the priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Severity(u8);

/// A content was put on the watch list, or taken off: an ordered input of the content's key group. Per content the highest number counts, so
/// a record that comes twice, or behind a later one, changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Grows with every change of the list.
    pub number: u64,
    /// The content.
    pub content: ContentId,
    /// The hash by which it is listed.
    pub hash: ContentHash,
    /// How grave it is; `None` takes it off the list.
    pub listed: Option<Severity>,
    /// Who listed it, or took it off.
    pub source: Name,
    /// When, by the log's ticks: what was due before acts before.
    pub at: Timestamp,
}

impl Severity {
    /// The smallest: the priority stays as it is.
    pub const MIN: Severity = Severity(1);
    /// The largest: the priority is four times as high.
    pub const MAX: Severity = Severity(4);

    /// The severity with this number, 1 to 4.
    pub fn new(number: u8) -> Option<Severity> {
        (Severity::MIN.0..=Severity::MAX.0)
            .contains(&number)
            .then_some(Severity(number))
    }

    /// Its number.
    pub fn get(self) -> u8 {
        self.0
    }
}
