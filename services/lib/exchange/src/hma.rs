//! Contents of a bank of the open matcher HMA, as `GET /c/bank/<bank>/content/<id>` tells of one with its signals and `POST
//! /c/bank/<bank>/signal` answers: `{"id": 1234, "signals": {"pdq": "..."}}`; one of them, or an array. HMA hands a bank out in no other way.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use tocsin_model::{BankEntry, ListUpdate};

use crate::json::Scalar;
use crate::page::parse;
use crate::{Page, PageError, RejectCode, Rejects, signal};

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    id: Scalar<'a>,
    signals: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    /// 0: in use; otherwise it matches nothing, for ever or until a time.
    #[serde(default)]
    disable_until_ts: i64,
}

pub(crate) fn page(bytes: &[u8]) -> Result<Page, PageError> {
    let mut page = Page::default();
    let is_list = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let records: Vec<&RawValue> = match is_list {
        true => parse(bytes)?,
        false => {
            let one: &RawValue = parse(bytes)?;
            parse::<Content<'_>>(bytes)?;
            vec![one]
        }
    };
    let mut refused = Rejects::default();
    let parsed: Vec<Content<'_>> = records
        .iter()
        .filter_map(|record| {
            let content = serde_json::from_str(record.get());
            content.map_err(|_| refused.count(RejectCode::RecordMalformed)).ok()
        })
        .collect();
    for content in &parsed {
        for (kind, text) in &content.signals {
            match signal::hash(kind, text, None) {
                Err(code) => refused.count(code),
                Ok(hash) if content.disable_until_ts != 0 => page.updates.push(ListUpdate::Withdrawn(hash)),
                Ok(hash) => page.updates.push(ListUpdate::Listed(signal::bounded(BankEntry {
                    source_id: Some(content.id.text()),
                    ..BankEntry::new(hash)
                }))),
            }
        }
    }
    page.rejects = refused;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_read_each_signal_by_itself() {
        let (pdq, md5) = ("a1".repeat(32), "b2".repeat(16));
        let one = format!(r#"{{"id": 7, "signals": {{"pdq": "{pdq}", "video_md5": "{md5}", "tlsh": "T1"}}}}"#);
        let read = page(one.as_bytes()).unwrap();
        assert_eq!(read.updates.len(), 2);
        assert_eq!(read.rejects.to_string(), "algorithm_unsupported 1");
        let off = format!(r#"{{"id": 8, "signals": {{"pdq": "{pdq}"}}, "disable_until_ts": 1}}"#);
        let read = page(format!("[{one}, {off}, 5]").as_bytes()).unwrap();
        assert!(matches!(
            read.updates[..],
            [ListUpdate::Listed(_), ListUpdate::Listed(_), ListUpdate::Withdrawn(_)]
        ));
        assert_eq!(read.rejects.to_string(), "record_malformed 1, algorithm_unsupported 1");
        assert_eq!(page(b"{}").unwrap_err().code(), "page_malformed");
    }
}
