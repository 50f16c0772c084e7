//! CSV with a line of headings. `algorithm` (or `signal_type`) and `value` (or `signal`, `hash`) are needed; known beside them are
//! `quality` (0 to 100), `severity` (1 to 4), `id`, `tags` (separated by spaces or ';'), `listed_at` and `updated_at` (seconds since 1970, or
//! a date with its time), and `deleted` (`true`, `1`, `yes`: a tombstone). Columns of other names are not looked at.

use csv::ByteRecord;
use tocsin_model::{BankEntry, ListUpdate, Severity};

use crate::{RejectCode, json, signal};

/// Which column holds what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    algorithm: usize,
    value: usize,
    quality: Option<usize>,
    severity: Option<usize>,
    id: Option<usize>,
    tags: Option<usize>,
    listed_at: Option<usize>,
    updated_at: Option<usize>,
    deleted: Option<usize>,
}

impl Columns {
    /// From the headings; `None`: a needed one is missing.
    pub(crate) fn of(headings: &ByteRecord) -> Option<Columns> {
        let place = |names: &[&str]| {
            headings.iter().position(|heading| {
                // A byte order mark stands before the first of them in files of some programs.
                let heading = heading.strip_prefix(b"\xef\xbb\xbf").unwrap_or(heading);
                let text = String::from_utf8_lossy(heading).trim().to_lowercase();
                names.contains(&text.as_str())
            })
        };
        Some(Columns {
            algorithm: place(&["algorithm", "signal_type"])?,
            value: place(&["value", "signal", "hash"])?,
            quality: place(&["quality"]),
            severity: place(&["severity"]),
            id: place(&["id"]),
            tags: place(&["tags"]),
            listed_at: place(&["listed_at"]),
            updated_at: place(&["updated_at"]),
            deleted: place(&["deleted"]),
        })
    }

    /// What a row says.
    ///
    /// # Errors
    /// See [`RejectCode`]. What is written in a known column and cannot be read is a malformed record, not an absent value.
    pub(crate) fn read(&self, row: &ByteRecord) -> Result<ListUpdate, RejectCode> {
        let needed = |place: usize| {
            let field = row.get(place).ok_or(RejectCode::RecordMalformed)?;
            std::str::from_utf8(field)
                .map(str::trim)
                .map_err(|_| RejectCode::RecordMalformed)
        };
        let field = |place: Option<usize>| match place.map(needed).transpose()? {
            Some("") | None => Ok(None),
            text => Ok(text),
        };
        let number = |place| match field(place)? {
            None => Ok(None),
            Some(text) => text.parse::<u8>().map(Some).map_err(|_| RejectCode::RecordMalformed),
        };
        let time = |place| match field(place)? {
            None => Ok(None),
            Some(text) => json::time(text).map(Some).ok_or(RejectCode::RecordMalformed),
        };
        let quality = number(self.quality)?;
        if quality.is_some_and(|quality| quality > 100) {
            return Err(RejectCode::RecordMalformed);
        }
        let kind = needed(self.algorithm)?;
        let lower = kind.to_lowercase();
        let hash = match signal::hash(kind, needed(self.value)?, quality) {
            Err(RejectCode::AlgorithmUnsupported) => signal::hash(&lower, needed(self.value)?, quality)?,
            read => read?,
        };
        let is_deleted = match field(self.deleted)?.map(str::to_lowercase).as_deref() {
            None | Some("false" | "0" | "no") => false,
            Some("true" | "1" | "yes") => true,
            Some(_) => return Err(RejectCode::RecordMalformed),
        };
        if is_deleted {
            return Ok(ListUpdate::Withdrawn(hash));
        }
        let severity = match number(self.severity)? {
            None => None,
            Some(number) => Some(Severity::new(number).ok_or(RejectCode::RecordMalformed)?),
        };
        let tags = field(self.tags)?.unwrap_or_default();
        Ok(ListUpdate::Listed(signal::bounded(BankEntry {
            severity,
            source_id: field(self.id)?.map(str::to_owned),
            tags: tags.split([';', ' ']).map(signal::tag).collect(),
            listed_at: time(self.listed_at)?,
            updated_at: time(self.updated_at)?,
            ..BankEntry::new(hash)
        })))
    }
}
