//! One reading: the events of one party from stated positions on, as far as its limits go.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tocsin_casework::{MemberUpload, TookUpload, UploadCounts, UploadKind, Uploader, UploaderOrder, Uploaders};
use tocsin_log::{Log, LogError, RecordRef};
use tocsin_model::{ContentId, DeploymentKey, PartyId, PlatformId, Timestamp};
use tocsin_wire::event::EventRef;
use tocsin_wire::{EventError, topics};

use crate::ingest::{Begin, IngestForm, Positions, Step, Walk, each_event};

/// How far one reading goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Records of the ingest topic.
    pub records_max: u64,
    /// Time.
    pub time_max: Duration,
    /// Accounts.
    pub accounts_max: usize,
    /// Uploads of members.
    pub uploads_max: usize,
}

/// Whose events are read, and what is looked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The party: only its own topic is read.
    pub party: PartyId,
    /// Its name.
    pub party_name: String,
    /// The platforms of it that are asked about, by their names.
    pub platforms: BTreeMap<String, PlatformId>,
    /// The members.
    pub members: HashSet<ContentId>,
    /// Where to begin.
    pub begin: Begin,
    /// What the log received from this time on is not deleted yet.
    pub kept_from: Timestamp,
    /// What comes first.
    pub order: UploaderOrder,
}

/// Why a reading ended before the end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// There was no room for a further account, or upload.
    Accounts,
    /// So many records were read.
    Records,
    /// So much time went by.
    Time,
}

/// What a reading found.
#[derive(Debug)]
pub(crate) struct Page {
    pub accounts: Vec<Uploader>,
    pub without_account: BTreeMap<PlatformId, UploadCounts>,
    /// Records that were read.
    pub records: u64,
    /// Records and events that intake refuses too, or that cannot be read here.
    pub unread: u64,
    /// When the log received the latest of them.
    pub until: Option<Timestamp>,
    /// Whether records from the beginning on may be deleted already.
    pub deleted: bool,
    /// Where it goes on.
    pub next: Positions,
    /// Whether more stands there now.
    pub more: bool,
    pub cut: Option<Cut>,
}

impl Cut {
    /// Its name in the API and in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Cut::Accounts => "accounts",
            Cut::Records => "records",
            Cut::Time => "time",
        }
    }
}

/// Reads on a thread that may wait.
///
/// # Errors
/// The log cannot be read; [`LogError::CalledOff`].
pub(crate) fn read(
    log: &dyn Log,
    (form, key): (&IngestForm, &DeploymentKey),
    asked: &Asked,
    limits: Limits,
    is_called_off: &dyn Fn() -> bool,
) -> Result<Page, LogError> {
    let deadline = Instant::now() + limits.time_max;
    let topic = format!("{}{}", topics::INGEST_PREFIX, asked.party_name);
    let mut walk = Walk::begin(log, &topic, (&asked.begin, asked.kept_from))?;
    let mut pass = Pass {
        form,
        key,
        asked,
        records_max: limits.records_max,
        uploaders: Uploaders::new(limits.accounts_max, limits.uploads_max),
        records: 0,
        unread: 0,
        until: None,
        cut: None,
    };
    let mut goes_on = |partition: u32| {
        if is_called_off() {
            let topic = topic.clone();
            return Err(LogError::CalledOff { topic, partition });
        }
        Ok(Instant::now() < deadline)
    };
    walk.run(log, &topic, &mut goes_on, &mut |record, skipped| {
        pass.take(record, skipped)
    })?;
    let more = walk.is_behind();
    let cut = pass.cut.unwrap_or(Cut::Time);
    let (accounts, without_account) = pass.uploaders.into_parts(asked.order);
    Ok(Page {
        accounts,
        without_account,
        records: pass.records,
        unread: pass.unread,
        until: pass.until,
        deleted: walk.deleted,
        next: Positions(walk.at),
        more,
        cut: more.then_some(cut),
    })
}

/// A reading under way.
struct Pass<'a> {
    form: &'a IngestForm,
    key: &'a DeploymentKey,
    asked: &'a Asked,
    records_max: u64,
    uploaders: Uploaders,
    records: u64,
    unread: u64,
    until: Option<Timestamp>,
    cut: Option<Cut>,
}

impl Pass<'_> {
    fn take(&mut self, record: &RecordRef<'_>, skipped: u32) -> Step {
        if self.records >= self.records_max {
            self.cut = Some(Cut::Records);
            return Step::Stopped(skipped);
        }
        match self.events(record, skipped) {
            Ok(None) => {}
            Ok(Some(index)) => {
                self.cut = Some(Cut::Accounts);
                return Step::Stopped(index);
            }
            Err(_) => self.unread += 1,
        }
        self.records += 1;
        self.until = self.until.max(Some(Timestamp(record.appended_at_ms)));
        Step::Taken
    }

    /// Reads the events of a record from a place on; the place of the first that found no room, if one did not.
    fn events(&mut self, record: &RecordRef<'_>, skipped: u32) -> Result<Option<u32>, EventError> {
        let (form, asked) = (self.form, self.asked);
        each_event(form, &asked.party_name, record, |index, read| {
            if index < skipped {
                return ControlFlow::Continue(());
            }
            let Ok(read) = read else {
                self.unread += 1;
                return ControlFlow::Continue(());
            };
            match self.upload(&read).map(|upload| self.uploaders.take(&upload)) {
                Some(TookUpload::Full) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        })
    }

    /// The upload of a member that an event is, if it is one.
    fn upload(&self, read: &EventRef<'_>) -> Option<MemberUpload> {
        let kind = UploadKind::of(read.kind)?;
        // An event that names another party's platform is refused by intake, and is none here.
        let platform = self.asked.platforms.get(read.platform).copied()?;
        let content = self.key.content_id_of(read.strongest);
        self.asked.members.contains(&content).then(|| MemberUpload {
            platform,
            account: read.account.map(|account| (read.account_epoch, account)),
            content,
            kind,
            at: read.occurred_at,
            token: self.key.event_token(self.asked.party, read.event_id),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
