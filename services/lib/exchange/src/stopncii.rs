//! Pages of StopNCII's `FetchHashes` (`exchanges/clients/stopncii/api.py` of the `threatexchange` library). People hand their own hashes in, so
//! what no provider has looked at is a seed, not more.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use tocsin_model::{BankEntry, ListUpdate, Opinion, Timestamp};

use crate::page::{add, parse};
use crate::{Page, PageError, RejectCode, signal};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    next_page_token: Option<String>,
    next_set_timestamp: Option<i64>,
    #[serde(default)]
    has_more_records: bool,
    #[serde(borrow)]
    hash_records: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    last_modtimestamp: Option<i64>,
    #[serde(borrow)]
    signal_type: Cow<'a, str>,
    hash_value: Cow<'a, str>,
    hash_status: Cow<'a, str>,
    #[serde(default)]
    case_numbers: Cases,
    #[serde(default, rename = "CSPFeedbacks")]
    feedbacks: Vec<Feedback<'a>>,
}

/// Without any, some answers have an empty list here.
#[derive(Deserialize)]
#[serde(untagged)]
enum Cases {
    Named(BTreeMap<String, String>),
    None([(); 0]),
}

impl Default for Cases {
    fn default() -> Self {
        Cases::None([])
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback<'a> {
    #[serde(borrow, default)]
    source: Cow<'a, str>,
    feedback_value: Cow<'a, str>,
    #[serde(default)]
    tags: Vec<String>,
}

pub(crate) fn page(bytes: &[u8]) -> Result<Page, PageError> {
    let body: Body<'_> = parse(bytes)?;
    let token = body.next_page_token.filter(|token| !token.is_empty());
    let mut page = Page {
        next: token.filter(|_| body.has_more_records),
        checkpoint: body.next_set_timestamp.map(|at| at.to_string()),
        ..Page::default()
    };
    add(&mut page, &body.hash_records, |record: Record<'_>| {
        read(record).map(|update| vec![update])
    });
    Ok(page)
}

fn read(record: Record<'_>) -> Result<ListUpdate, RejectCode> {
    let hash = signal::hash(&record.signal_type, &record.hash_value, None)?;
    let is_over = |status: &str| matches!(status, "Withdrawn" | "Deleted");
    let cases = match &record.case_numbers {
        Cases::Named(cases) => cases.values().map(String::as_str).collect(),
        Cases::None(_) => Vec::new(),
    };
    if is_over(&record.hash_status) || (!cases.is_empty() && cases.into_iter().all(is_over)) {
        return Ok(ListUpdate::Withdrawn(hash));
    }
    let mut opinions = Vec::new();
    if let Ok(people) = "stopncii".parse() {
        signal::hold(&mut opinions, people, Opinion::InvestigationSeed);
    }
    for feedback in record.feedbacks.iter().take(BankEntry::OPINIONS_MAX) {
        let opinion = match &*feedback.feedback_value {
            "Blocked" => Opinion::Positive,
            "NotBlocked" => Opinion::Negative,
            "PendingReview" | "QualityUnknown" => Opinion::InvestigationSeed,
            _ => continue,
        };
        if let Some(provider) = signal::party(&feedback.source) {
            signal::hold(&mut opinions, provider, opinion);
        }
    }
    let tags = record.feedbacks.iter().flat_map(|feedback| &feedback.tags);
    let at = record.last_modtimestamp.and_then(|seconds| seconds.checked_mul(1_000));
    Ok(ListUpdate::Listed(signal::bounded(BankEntry {
        tags: tags.map(|tag| signal::tag(tag)).collect(),
        opinions,
        updated_at: at.filter(|at| *at >= 0).map(Timestamp),
        ..BankEntry::new(hash)
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let (pdq, md5) = ("a1".repeat(32), "b2".repeat(16));
        let body = format!(
            r#"{{"count": 5, "nextPageToken": "t", "nextSetTimestamp": 1625175071, "hasMoreRecords": true, "hashRecords": [
              {{"lastModtimestamp": 1625175071, "signalType": "ImagePDQ", "hashValue": "{pdq}", "hashStatus": "Active", "caseNumbers": {{"1": "Active"}},
                "CSPFeedbacks": [{{"source": "Example Co", "feedbackValue": "Blocked", "tags": ["a b"]}}, {{"source": "other", "feedbackValue": "None", "tags": []}}]}},
              {{"lastModtimestamp": 1625175070, "signalType": "VideoMD5", "hashValue": "{md5}", "hashStatus": "Withdrawn", "caseNumbers": []}},
              {{"lastModtimestamp": 1625175070, "signalType": "VideoMD5", "hashValue": "{md5}", "hashStatus": "Active", "caseNumbers": {{"2": "Deleted"}}}},
              {{"lastModtimestamp": 1625175070, "signalType": "VideoTMK", "hashValue": "x", "hashStatus": "Active", "caseNumbers": []}},
              {{"signalType": "ImagePDQ"}}]}}"#
        );
        let page = page(body.as_bytes()).unwrap();
        let [
            ListUpdate::Listed(entry),
            ListUpdate::Withdrawn(_),
            ListUpdate::Withdrawn(_),
        ] = &page.updates[..]
        else {
            panic!("{page:?}")
        };
        let opinions: Vec<(&str, Opinion)> = entry
            .opinions
            .iter()
            .map(|(name, opinion)| (name.as_str(), *opinion))
            .collect();
        assert_eq!(
            opinions,
            [
                ("stopncii", Opinion::InvestigationSeed),
                ("example-co", Opinion::Positive)
            ]
        );
        assert_eq!(entry.tags, ["a_b"]);
        assert_eq!(page.rejects.to_string(), "record_malformed 1, algorithm_unsupported 1");
        assert_eq!(
            (page.next.as_deref(), page.checkpoint.as_deref()),
            (Some("t"), Some("1625175071"))
        );
    }
}
