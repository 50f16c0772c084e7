//! A party's own events about the contents of a case, as lines of a sealed copy.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::ops::ControlFlow;

use serde_json::value::RawValue;
use tocsin_evidence::Cut;
use tocsin_log::{Log, LogError, RecordRef};
use tocsin_model::{ContentId, DeploymentKey, PlatformId, Timestamp};
use tocsin_wire::event::{EventRef, to_json};
use tocsin_wire::topics;

use super::sealed_store::DraftFile;
use crate::ingest::{Begin, IngestForm, Step, Walk, each_event};

/// Whose events are copied, and of what.
pub(super) struct Wanted<'a> {
    /// The name of the party: only its own topic is read.
    pub party: &'a str,
    /// Its platforms by their names.
    pub platforms: &'a BTreeMap<String, PlatformId>,
    /// The contents.
    pub members: &'a HashSet<ContentId>,
    /// From when on, by when the log received them.
    pub since: Timestamp,
    /// What the log received from this time on is not deleted yet.
    pub kept_from: Timestamp,
}

/// How far one copy goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventLimits {
    /// Events.
    pub events_max: u64,
    /// Bytes of the file.
    pub bytes_max: u64,
    /// Records of the ingest topic.
    pub records_max: u64,
}

/// What was copied.
#[derive(Debug, Default)]
pub(super) struct EventsCopied {
    pub unread: u64,
    pub deleted: bool,
    pub cut: Option<Cut>,
    /// The epochs of the platforms' pseudonyms in them, by the platform's name.
    pub epochs: BTreeMap<String, BTreeSet<u32>>,
}

/// Why events could not be copied.
#[derive(Debug, thiserror::Error)]
pub(super) enum EventsError {
    #[error("read the ingest topic of a party again")]
    Log(#[from] LogError),
    #[error("write events to a sealed copy")]
    Write(#[from] io::Error),
}

/// A line: where the event stands in the log, when the log received it, and the event as `POST /v1/events` takes it.
#[derive(serde::Serialize)]
struct Line<'a> {
    partition: u32,
    offset: u64,
    index: u32,
    received_at_ms: i64,
    content: String,
    event: &'a RawValue,
}

/// Copies all events of the contents up to what was written when it began, as far as the limits go. `goes_on` is asked now and then.
///
/// # Errors
/// The log cannot be read, the file cannot be written, or what `goes_on` failed with.
pub(super) fn copy_events(
    log: &dyn Log,
    (form, key): (&IngestForm, &DeploymentKey),
    wanted: &Wanted<'_>,
    limits: EventLimits,
    (file, goes_on): (&mut DraftFile, &mut dyn FnMut(u32) -> Result<bool, LogError>),
) -> Result<EventsCopied, EventsError> {
    let topic = format!("{}{}", topics::INGEST_PREFIX, wanted.party);
    let mut walk = Walk::begin(log, &topic, (&Begin::Since(wanted.since), wanted.kept_from))?;
    let mut pass = Pass {
        key,
        wanted,
        limits,
        file,
        records: 0,
        copied: EventsCopied::default(),
        failed: None,
    };
    walk.run(log, &topic, goes_on, &mut |record, _| pass.take(form, record))?;
    if let Some(failed) = pass.failed {
        return Err(failed.into());
    }
    let mut copied = pass.copied;
    copied.deleted = walk.deleted;
    Ok(copied)
}

struct Pass<'a> {
    key: &'a DeploymentKey,
    wanted: &'a Wanted<'a>,
    limits: EventLimits,
    file: &'a mut DraftFile,
    records: u64,
    copied: EventsCopied,
    failed: Option<io::Error>,
}

impl Pass<'_> {
    fn take(&mut self, form: &IngestForm, record: &RecordRef<'_>) -> Step {
        if self.records >= self.limits.records_max {
            self.copied.cut = Some(Cut::Records);
            return Step::Stopped(0);
        }
        self.records += 1;
        let party = self.wanted.party;
        match each_event(form, party, record, |index, read| {
            self.event(record, index, read.ok().as_ref())
        }) {
            Ok(None) => Step::Taken,
            Ok(Some(index)) => Step::Stopped(index),
            Err(_) => {
                self.copied.unread += 1;
                Step::Taken
            }
        }
    }

    fn event(&mut self, record: &RecordRef<'_>, index: u32, read: Option<&EventRef<'_>>) -> ControlFlow<()> {
        let Some(read) = read else {
            self.copied.unread += 1;
            return ControlFlow::Continue(());
        };
        // An event that names another party's platform is refused by intake, and is none here.
        let content = self.key.content_id_of(read.strongest);
        if !self.wanted.platforms.contains_key(read.platform) || !self.wanted.members.contains(&content) {
            return ControlFlow::Continue(());
        }
        let text = RawValue::from_string(to_json(&(*read).to_event()));
        let line = text.and_then(|event| {
            serde_json::to_string(&Line {
                partition: record.partition,
                offset: record.offset,
                index,
                received_at_ms: record.appended_at_ms,
                content: content.to_string(),
                event: &event,
            })
        });
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                self.failed = Some(error.into());
                return ControlFlow::Break(());
            }
        };
        if self.file.records() >= self.limits.events_max {
            self.copied.cut = Some(Cut::Events);
            return ControlFlow::Break(());
        }
        if self.file.bytes() + line.len() as u64 + 1 > self.limits.bytes_max {
            self.copied.cut = Some(Cut::Bytes);
            return ControlFlow::Break(());
        }
        if read.account.is_some() {
            let epochs = self.copied.epochs.entry(read.platform.to_owned()).or_default();
            epochs.insert(read.account_epoch);
        }
        match self.file.line(&line) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}
