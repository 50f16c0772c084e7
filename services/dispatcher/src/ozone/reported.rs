//! Takes reports. A user's names a record and none of its blobs: what the record shows is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use reqwest::Url;
use serde::Deserialize;
use tocsin_model::{ContentHash, FamilyId, Milliseconds};
use tocsin_store::{Endpoint, OzoneReport, ReportTaken, ReportedBlob, ReportedFamily, StoreError};

use super::event::{Meaning, NO_CONTENT, OzoneEvent};
use super::report::{Report, is_record};
use super::telemetry::{EventTaken, NotReadOn};
use super::{NotRead, OzoneReader, latest_time};
use crate::deliveries::OzoneInwards;

/// The last part of the address of `tools.ozone.moderation.queryEvents`, and of `tools.ozone.moderation.getRecords`.
const EVENTS: &str = "tools.ozone.moderation.queryEvents";
const RECORDS: &str = "tools.ozone.moderation.getRecords";
/// So many records are asked for at a time: their URIs stand in the address.
const RECORDS_PER_REQUEST: usize = 20;
/// How long a report waits for what it shows while Ozone does not say.
const WAIT_MAX: Milliseconds = Milliseconds::from_seconds(600);

/// An answer of `tools.ozone.moderation.getRecords`.
#[derive(Debug, Deserialize)]
struct Records {
    records: Vec<RecordView>,
}

/// `tools.ozone.moderation.defs#recordViewDetail`, as far as it matters here; of one that is not found its URI alone is there.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordView {
    uri: String,
    cid: Option<String>,
    #[serde(default)]
    blobs: Vec<BlobView>,
    /// Of a `recordView`, which names its blobs alone.
    #[serde(default)]
    blob_cids: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct BlobView {
    cid: String,
}

impl OzoneReader {
    /// Asks once what the records show of which reports say nothing more, and says it with the reports; which of them wait for it still. Of an Ozone that did
    /// not say it in this read nothing more is asked, nor of any when the read ends.
    pub(super) async fn show(
        &self,
        (endpoint, inwards): (&Endpoint, &OzoneInwards),
        (prefix, events): (Option<&str>, &mut [&mut OzoneEvent]),
        (is_shown, ends_at): (&mut bool, Instant),
    ) -> BTreeSet<i64> {
        let unseen = |event: &OzoneEvent| {
            let is_unseen = event.subject_blob_cids.is_empty()
                && inwards.taking.meaning(event, prefix) == Meaning::Nothing(NO_CONTENT);
            let (uri, cid) = (event.subject.uri.as_deref()?, event.subject.cid.as_deref()?);
            (is_unseen && is_record((uri, cid))).then(|| uri.to_owned())
        };
        let uris: BTreeSet<String> = events.iter().filter_map(|event| unseen(event)).collect();
        let uris: Vec<String> = uris.into_iter().collect();
        let mut views = BTreeMap::new();
        for uris in uris.chunks(RECORDS_PER_REQUEST) {
            *is_shown &= Instant::now() < ends_at;
            if !*is_shown {
                break;
            }
            match self.records(inwards, uris).await {
                Ok(records) => views.extend(records.into_iter().map(|record| (record.uri.clone(), record))),
                Err(why) => {
                    let endpoint = &endpoint.name;
                    NotReadOn { endpoint, why: &why }.emit(&self.metrics);
                    *is_shown = false;
                }
            }
        }
        let mut waiting = BTreeSet::new();
        for event in events {
            let Some(uri) = unseen(event) else {
                continue;
            };
            let is_new = event.created_at().is_none_or(|at| at > latest_time() - WAIT_MAX);
            match views.get(&uri) {
                // Another version shows something else, perhaps.
                Some(view) if view.cid == event.subject.cid => {
                    let blobs = view.blobs.iter().map(|blob| &blob.cid);
                    event.subject_blob_cids = blobs.chain(&view.blob_cids).cloned().collect();
                }
                None if !*is_shown && is_new => {
                    waiting.insert(event.id);
                }
                _ => {}
            }
        }
        waiting
    }

    async fn records(&self, inwards: &OzoneInwards, uris: &[String]) -> Result<Vec<RecordView>, NotRead> {
        let mut url: Url = inwards.url.clone();
        let path = url.path().replace(EVENTS, RECORDS);
        url.set_path(&path);
        url.query_pairs_mut().extend_pairs(uris.iter().map(|uri| ("uris", uri)));
        let asked = tokio::time::timeout(super::RECORDS_TIMEOUT, self.ask(inwards, url)).await;
        let records: Records = asked.map_err(|_| NotRead::Answer("timeout".to_owned()))??;
        Ok(records.records)
    }

    /// A report opens a case or joins one. That it was taken is noted with it.
    pub(super) async fn take_report(
        &self,
        endpoint: &Endpoint,
        event: &OzoneEvent,
        report: Report,
    ) -> Result<(), NotRead> {
        let about = |(cid, hash): (String, ContentHash)| {
            let content = self.dispatcher.links.content_id(&hash);
            let family = self.dispatcher.ranking.family_of(content, endpoint.team);
            ReportedFamily {
                family: family.unwrap_or(FamilyId(content)),
                hash: Some(hash),
                blobs: vec![ReportedBlob { cid, content }],
            }
        };
        let contents = report.contents.into_iter().map(about);
        let itself = report.family.map(|family| ReportedFamily {
            family,
            hash: None,
            blobs: Vec::new(),
        });
        let report = OzoneReport {
            team: endpoint.team,
            endpoint: (&endpoint.name, &endpoint.target),
            event: (event.id, event.created_at()),
            families: itself.into_iter().chain(contents).collect(),
            subject: report.subject,
            note: &report.note,
        };
        let taken = match self.dispatcher.store.take_ozone_report(&report).await {
            Ok(taken) => taken,
            // What the rules of cases do not allow is never taken, and holds up nothing behind it.
            Err(StoreError::Refused(refusal)) => {
                tracing::warn!(endpoint = %endpoint.name, event = event.id, refusal = refusal.code(), "a report was refused");
                let of = (Some(event.id), event.created_at());
                return Ok(self.note(endpoint, of, "refused").await?);
            }
            Err(error) => return Err(error.into()),
        };
        for (case, now) in taken.cases() {
            self.dispatcher.ranking.changed(case, *now);
        }
        if !taken.cases().is_empty() {
            // What was decided is told of what was reported.
            self.dispatcher.told.notify_one();
        }
        if matches!(taken, ReportTaken::Known) {
            return Ok(());
        }
        EventTaken {
            endpoint: &endpoint.name,
            event: event.id,
            outcome: taken.name(),
        }
        .emit(&self.metrics);
        Ok(())
    }
}
