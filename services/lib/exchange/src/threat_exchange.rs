//! Pages of ThreatExchange's `GET /<privacy_group>/threat_updates`, read as the `threatexchange` library reads them
//! (`exchanges/clients/fb_threatexchange`, `exchanges/impl/fb_threatexchange_api.py`).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use tocsin_model::{BankEntry, ListUpdate, Name, Opinion};

use crate::json::{self, Scalar};
use crate::page::{add, parse};
use crate::{Page, PageError, RejectCode, signal};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    next: Option<String>,
}

#[derive(Deserialize)]
struct Update<'a> {
    #[serde(borrow)]
    id: Scalar<'a>,
    indicator: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    creation_time: Option<Scalar<'a>>,
    last_updated: Option<Scalar<'a>>,
    #[serde(default)]
    should_delete: bool,
    #[serde(default, deserialize_with = "json::tags")]
    tags: Vec<String>,
    status: Option<Cow<'a, str>>,
    descriptors: Option<Descriptors<'a>>,
}

#[derive(Deserialize)]
struct Descriptors<'a> {
    #[serde(borrow)]
    data: Vec<Descriptor<'a>>,
}

#[derive(Deserialize)]
struct Descriptor<'a> {
    #[serde(borrow)]
    id: Option<Scalar<'a>>,
    #[serde(borrow)]
    owner: Option<Owner<'a>>,
    status: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "json::tags")]
    tags: Vec<String>,
    #[serde(default)]
    reactions: Vec<Reaction<'a>>,
}

#[derive(Deserialize)]
struct Owner<'a> {
    #[serde(borrow)]
    id: Scalar<'a>,
}

/// `value`: the ids of those who reacted so, separated by commas.
#[derive(Deserialize)]
struct Reaction<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    value: Cow<'a, str>,
}

pub(crate) fn page(bytes: &[u8]) -> Result<Page, PageError> {
    let body: Body<'_> = parse(bytes)?;
    let mut page = Page {
        next: body.paging.and_then(|paging| paging.next),
        ..Page::default()
    };
    let mut newest = None;
    for record in &body.data {
        // The time of the latest update is where to go on; a record that is refused is not asked for again.
        if let Ok(update) = serde_json::from_str::<Update<'_>>(record.get()) {
            newest = newest.max(update.last_updated.and_then(|at| at.time()));
        }
    }
    page.checkpoint = newest.map(|at| (at.0 / 1_000).to_string());
    add(&mut page, &body.data, |update: Update<'_>| {
        read(update).map(|update| vec![update])
    });
    Ok(page)
}

fn read(update: Update<'_>) -> Result<ListUpdate, RejectCode> {
    let hash = signal::hash(&update.kind, &update.indicator, None)?;
    // A tombstone may also be a record without descriptors: github.com/facebook/ThreatExchange, issue 834.
    let Some(descriptors) = update.descriptors.filter(|_| !update.should_delete) else {
        return Ok(ListUpdate::Withdrawn(hash));
    };
    let mut tags: Vec<String> = update.tags.iter().map(|text| signal::tag(text)).collect();
    // A reaction is one to a descriptor, not to the indicator.
    let descriptor = descriptors.data.iter().find_map(|descriptor| descriptor.id.as_ref());
    tags.extend(descriptor.map(|id| signal::tag(&format!("{DESCRIPTOR_TAG}{}", id.text()))));
    for tag in descriptors.data.iter().flat_map(|descriptor| &descriptor.tags) {
        let tag = signal::tag(tag);
        if !tags.contains(&tag) && tags.len() < TAGS_MAX {
            tags.push(tag);
        }
    }
    Ok(ListUpdate::Listed(signal::bounded(BankEntry {
        severity: signal::severity_of(&tags),
        source_id: Some(update.id.text()),
        opinions: opinions(&descriptors.data, update.status.as_deref()),
        tags,
        listed_at: update.creation_time.and_then(|at| at.time()),
        updated_at: update.last_updated.and_then(|at| at.time()),
        ..BankEntry::new(hash)
    })))
}

/// Begins the tag that names a descriptor of the indicator.
pub(crate) const DESCRIPTOR_TAG: &str = "descriptor:";
/// So many tags are looked at; fewer are kept.
const TAGS_MAX: usize = 256;

/// What owners of descriptors hold, and beside them those who reacted to one. Where no owner can be seen the status of the whole counts, as
/// ThreatExchange's own word.
fn opinions(descriptors: &[Descriptor<'_>], status: Option<&str>) -> Vec<(Name, Opinion)> {
    let of_status = |status: Option<&str>| match status {
        Some("MALICIOUS") => Opinion::Positive,
        Some("NON_MALICIOUS") => Opinion::Negative,
        _ => Opinion::InvestigationSeed,
    };
    let (mut owners, mut reacted) = (Vec::new(), Vec::new());
    for descriptor in descriptors.iter().take(BankEntry::OPINIONS_MAX) {
        let owner = descriptor
            .owner
            .as_ref()
            .and_then(|owner| signal::party(&owner.id.text()));
        let Some(owner) = owner else { continue };
        signal::hold(&mut owners, owner, of_status(descriptor.status.as_deref()));
        for reaction in &descriptor.reactions {
            let opinion = match &*reaction.key {
                "HELPFUL" => Opinion::Positive,
                "DISAGREE_WITH_TAGS" => Opinion::Negative,
                _ => continue,
            };
            for id in reaction.value.split(',').take(BankEntry::OPINIONS_MAX) {
                if let Some(party) = signal::party(id) {
                    signal::hold(&mut reacted, party, opinion);
                }
            }
        }
    }
    for (party, opinion) in reacted {
        if !owners.iter().any(|(owner, _)| *owner == party) {
            owners.push((party, opinion));
        }
    }
    if owners.is_empty()
        && let Ok(exchange) = "threatexchange".parse()
    {
        owners.push((exchange, of_status(status)));
    }
    owners
}

#[cfg(test)]
mod tests {
    use tocsin_model::{Severity, Timestamp};

    use super::*;

    #[test]
    fn a_page_is_read_as_the_library_reads_it() {
        let pdq = "a1".repeat(32);
        let body = format!(
            r#"{{"data": [
              {{"id": "101", "indicator": "{pdq}", "type": "HASH_PDQ", "creation_time": 1593631875, "last_updated": 1593631999,
                "should_delete": false, "status": "MALICIOUS", "tags": ["group:x", "media_priority_s1"],
                "applications_with_opinions": ["7", "8", "9"],
                "descriptors": {{"data": [
                  {{"id": "1", "owner": {{"id": "7", "name": "a"}}, "status": "MALICIOUS", "tags": {{"data": [{{"id": "5", "text": "source y"}}]}},
                    "reactions": [{{"key": "HELPFUL", "value": "9,7"}}, {{"key": "DISAGREE_WITH_TAGS", "value": "10"}}, {{"key": "SAW_THIS_TOO", "value": "11"}}]}},
                  {{"id": "2", "owner": {{"id": 8}}, "status": "NON_MALICIOUS"}},
                  {{"id": "3", "status": "MALICIOUS"}}]}}}},
              {{"id": "102", "indicator": "{pdq}", "type": "HASH_PDQ", "last_updated": 1593632000, "should_delete": true}},
              {{"id": "103", "indicator": "{pdq}", "type": "HASH_PDQ", "last_updated": 5, "should_delete": false}},
              {{"id": "104", "indicator": "T1", "type": "HASH_TEXT_TLSH", "last_updated": 6, "should_delete": false, "descriptors": {{"data": []}}}},
              {{"id": "105"}}, 17, null,
              {{"id": "106", "indicator": "00", "type": "HASH_MD5", "last_updated": 6}}],
              "paging": {{"cursors": {{"after": "x"}}, "next": "https://graph.example/next?after=x"}}}}"#
        );
        let page = page(body.as_bytes()).unwrap();
        let [ListUpdate::Listed(entry), rest @ ..] = &page.updates[..] else {
            panic!("{page:?}")
        };
        assert_eq!(entry.source_id.as_deref(), Some("101"));
        assert_eq!(entry.tags, ["group:x", "media_priority_s1", "descriptor:1", "source_y"]);
        assert_eq!(entry.severity, Severity::new(3));
        assert_eq!(entry.listed_at, Some(Timestamp(1_593_631_875_000)));
        let opinions: Vec<(&str, Opinion)> = entry
            .opinions
            .iter()
            .map(|(name, opinion)| (name.as_str(), *opinion))
            .collect();
        use Opinion::{Negative, Positive};
        assert_eq!(
            opinions,
            [("7", Positive), ("8", Negative), ("9", Positive), ("10", Negative)]
        );
        assert!(
            matches!(rest, [ListUpdate::Withdrawn(_), ListUpdate::Withdrawn(_)]),
            "{rest:?}"
        );
        assert_eq!(
            page.rejects.to_string(),
            "record_malformed 3, algorithm_unsupported 1, hash_malformed 1"
        );
        assert_eq!(page.next.as_deref(), Some("https://graph.example/next?after=x"));
        assert_eq!(page.checkpoint.as_deref(), Some("1593632000"));
    }

    #[test]
    fn what_is_no_page_is_refused_whole() {
        for (body, code) in [
            ("<!DOCTYPE html><html></html>", "page_not_json"),
            ("", "page_not_json"),
            (r#"{"data": [{"id": "1", "indi"#, "page_not_json"),
            (r#"{"error": {"message": "no"}}"#, "page_malformed"),
            (r#"{"data": {}}"#, "page_malformed"),
            ("[]", "page_malformed"),
        ] {
            assert_eq!(page(body.as_bytes()).unwrap_err().code(), code, "{body}");
        }
    }
}
