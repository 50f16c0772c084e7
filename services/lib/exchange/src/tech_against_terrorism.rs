//! Pages of the hash list of Tech Against Terrorism, `GET api/hash-list/v2/all` (`exchanges/clients/techagainstterrorism` of the
//! `threatexchange` library; terrorismanalytics.org/docs/hash-list-v1).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use tocsin_model::{BankEntry, ListUpdate};

use crate::json::Scalar;
use crate::page::{add, parse};
use crate::{Page, PageError, RejectCode, signal};

#[derive(Deserialize)]
struct Body<'a> {
    next: Option<String>,
    checkpoint: Option<String>,
    #[serde(borrow)]
    results: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    id: Scalar<'a>,
    hash_digest: Cow<'a, str>,
    algorithm: Cow<'a, str>,
    ideology: Option<Cow<'a, str>>,
    file_type: Option<Cow<'a, str>>,
    #[serde(default)]
    deleted: bool,
    updated_on: Option<Scalar<'a>>,
    created_on: Option<Scalar<'a>>,
}

pub(crate) fn page(bytes: &[u8]) -> Result<Page, PageError> {
    let body: Body<'_> = parse(bytes)?;
    let mut page = Page {
        next: body.next.filter(|next| !next.is_empty()),
        checkpoint: body.checkpoint.filter(|checkpoint| !checkpoint.is_empty()),
        ..Page::default()
    };
    add(&mut page, &body.results, |entry: Entry<'_>| {
        read(&entry).map(|update| vec![update])
    });
    Ok(page)
}

fn read(entry: &Entry<'_>) -> Result<ListUpdate, RejectCode> {
    let hash = signal::hash(&entry.algorithm, &entry.hash_digest, None)?;
    if entry.deleted {
        return Ok(ListUpdate::Withdrawn(hash));
    }
    let named =
        |name: &str, value: &Option<Cow<'_, str>>| value.as_ref().map(|value| signal::tag(&format!("{name}:{value}")));
    let tags = [named("ideology", &entry.ideology), named("file_type", &entry.file_type)];
    Ok(ListUpdate::Listed(signal::bounded(BankEntry {
        source_id: Some(entry.id.text()),
        tags: tags.into_iter().flatten().collect(),
        listed_at: entry.created_on.as_ref().and_then(Scalar::time),
        updated_at: entry.updated_on.as_ref().and_then(Scalar::time),
        ..BankEntry::new(hash)
    })))
}

#[cfg(test)]
mod tests {
    use tocsin_model::Timestamp;

    use super::*;

    #[test]
    fn a_page_is_read() {
        let (pdq, md5) = ("a1".repeat(32), "B2".repeat(16));
        let body = format!(
            r#"{{"count": 4, "next": "limit=2&offset=2", "previous": null, "checkpoint": "1704085200.5,124", "results": [
              {{"id": 1, "hash_digest": "{md5}", "algorithm": "MD5", "ideology": "far-right", "file_type": "mp4", "deleted": false,
                "updated_on": 1704085200.5, "created_on": "2024-01-01T05:00:00Z"}},
              {{"id": 2, "hash_digest": "{pdq}", "algorithm": "PDQ", "ideology": "islamist", "file_type": "jpg", "deleted": true,
                "updated_on": 1704085201.0, "created_on": "2024-01-01T05:00:00Z"}},
              {{"id": 3, "hash_digest": "xyz", "algorithm": "PDQ", "ideology": "islamist", "file_type": "jpg", "deleted": false}},
              {{"id": 4}}]}}"#
        );
        let page = page(body.as_bytes()).unwrap();
        let [ListUpdate::Listed(entry), ListUpdate::Withdrawn(gone)] = &page.updates[..] else {
            panic!("{page:?}")
        };
        assert_eq!(entry.hash.value_text(), md5.to_lowercase());
        assert_eq!(entry.tags, ["ideology:far-right", "file_type:mp4"]);
        assert_eq!(entry.updated_at, Some(Timestamp(1_704_085_200_500)));
        assert_eq!(entry.listed_at, Some(Timestamp(1_704_085_200_000)));
        assert_eq!(gone.value_text(), pdq);
        assert_eq!(page.rejects.to_string(), "record_malformed 1, hash_malformed 1");
        assert_eq!(page.next.as_deref(), Some("limit=2&offset=2"));
        assert_eq!(page.checkpoint.as_deref(), Some("1704085200.5,124"));
    }
}
