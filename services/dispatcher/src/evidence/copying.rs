//! Making the copy of a preservation: the case and what people did with it, the party's own events, what the state knows of them, and which keys they rest on.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tocsin_casework::{CaseId, Team};
use tocsin_evidence::{Cut, FileEntry, Manifest, Preservation, SealedCopy};
use tocsin_log::LogError;
use tocsin_model::{ContentId, Milliseconds, Name, PlatformId, Timestamp};
use tocsin_runtime::{Problem, Shutdown};
use tocsin_store::{CASE_ROWS_PAGE, CaseContents, CaseRows, PartyRecord, SealClaim, StoreError};
use tocsin_wire::topics;

use super::events::{EventLimits, EventsCopied, EventsError, Wanted, copy_events};
use super::sealed_store::{Damage, Draft, SealedStore};
use super::telemetry::CopySetAside;
use super::{SEAL_LEASE, figures};
use crate::Dispatcher;
use crate::accounts::Members;

/// How many members are looked for.
const MEMBERS_MAX: usize = 50_000;
/// How many rows of one kind are copied.
const ROWS_MAX: u64 = 50_000;
/// Of how many members hot records are looked at under one lock.
const FIGURES_AT_ONCE: usize = 200;
/// How many records of the ingest topic are read for one copy.
const RECORDS_MAX: u64 = 50_000_000;
/// So long before the first sighting that the case knows of reading begins, as for its accounts.
const BEFORE_FIRST: Milliseconds = Milliseconds::from_minutes(60);
/// A copy is said to be going on so often: well within its lease.
const RENEW_EVERY: Duration = Duration::from_secs(10);

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotCopied {
    /// Another process makes it, it ended, or this process ends.
    #[error("the copy is no longer wanted here")]
    GivenUp,
    #[error("read what is to be copied from the store")]
    Store(#[from] StoreError),
    #[error("read the case that is to be copied: {0}")]
    Case(String),
    #[error("copy events")]
    Events(#[source] EventsError),
    #[error("write a sealed copy")]
    Write(#[from] io::Error),
    #[error("read a copy that was sealed before")]
    Damaged(#[from] Damage),
}

/// A copy under way, on a thread that may wait.
pub(super) struct Copying {
    pub dispatcher: Arc<Dispatcher>,
    pub store: SealedStore,
    pub claim: SealClaim,
    pub shutdown: Shutdown,
    pub runtime: tokio::runtime::Handle,
    pub renewed_at: Instant,
}

impl Copying {
    /// Makes the copy and seals it, or takes the one that is sealed already.
    pub(super) fn run(mut self) -> Result<(Manifest, SealedCopy), NotCopied> {
        let made = self.make();
        // What fails because another has begun, and has put this draft away, is no failure.
        match made {
            Err(error @ NotCopied::Write(_)) => match self.renew() {
                Err(NotCopied::GivenUp) => Err(NotCopied::GivenUp),
                _ => Err(error),
            },
            made => made,
        }
    }

    fn make(&mut self) -> Result<(Manifest, SealedCopy), NotCopied> {
        let manifest = match self.found()? {
            Some(manifest) => manifest,
            None => {
                let draft = self.store.begin(self.claim.preservation.id, self.claim.attempt)?;
                let manifest = self.fill(&draft)?;
                // Another may have begun since it was last asked.
                self.renew()?;
                let sealed = draft.seal(&manifest, &self.dispatcher.evidence.signer)?;
                sealed.ok_or(NotCopied::GivenUp)?;
                manifest
            }
        };
        let copy = sealed_copy(&manifest);
        Ok((manifest, copy))
    }

    /// A copy that is there already: a process ended after it was sealed, and before that was noted. One that is not as it was sealed is set aside.
    fn found(&self) -> Result<Option<Manifest>, NotCopied> {
        let (id, evidence) = (self.claim.preservation.id, &self.dispatcher.evidence);
        let found = self.store.copy(id, &evidence.signer.public());
        let checked = found.and_then(|found| match found {
            Some(found) => found.check().map(|()| Some(found.manifest)),
            None => Ok(None),
        });
        match checked {
            Ok(found) => Ok(found),
            // It may be read another time.
            Err(Damage::Unreadable(error)) if error.kind() != io::ErrorKind::NotFound => {
                Err(Damage::Unreadable(error).into())
            }
            Err(error) => {
                CopySetAside { id, error: &error }.emit(&evidence.metrics);
                self.store.set_aside(id)?;
                Ok(None)
            }
        }
    }

    /// Writes all files of the copy, in the order of an archive.
    fn fill(&mut self, draft: &Draft) -> Result<Manifest, NotCopied> {
        let (dispatcher, runtime) = (Arc::clone(&self.dispatcher), self.runtime.clone());
        let preservation = self.claim.preservation.clone();
        let Preservation { party, case, .. } = preservation;
        let team = Team::Party(party);
        let record = runtime.block_on(dispatcher.store.party_of(party))?;
        let mut contents = runtime.block_on(dispatcher.store.case_contents(team, case, MEMBERS_MAX))?;
        // What a decision or an appeal took out is what a review asks about.
        contents.excepted.clear();
        let members = Members::of(&dispatcher.carrying, team, &contents, MEMBERS_MAX);
        let mut filled = Filled::default();
        if members.has_more {
            filled.cut.insert(Cut::Members);
        }

        let document = runtime.block_on(dispatcher.case_as_told((party, &record.name), case));
        let document = document.map_err(|problem: Problem| NotCopied::Case(problem.code().to_owned()))?;
        filled.lines(draft, "case.json", [document])?;
        for of in CaseRows::ALL {
            self.copy_rows(draft, (team, case, of), &mut filled)?;
        }
        let ordered: BTreeSet<&ContentId> = members.contents.iter().collect();
        let lines = ordered.iter().map(|content| json!({ "content": content.to_string() }));
        filled.lines(draft, "members.jsonl", lines.map(|line| line.to_string()))?;
        self.copy_figures(draft, (team, &record, &contents), &ordered, &mut filled)?;
        let copied = self.copy_events(draft, (&record, &contents), &members.contents, &mut filled)?;
        filled.lines(draft, "keys.json", [self.keys(&copied.epochs).to_string()])?;

        let sealed_at = runtime.block_on(dispatcher.store.time())?;
        let since = begins(&contents);
        Ok(Manifest {
            format: Manifest::FORMAT.to_owned(),
            preservation: preservation.id,
            party: record.name.to_string(),
            case: case.to_string(),
            family: contents.family.to_string(),
            basis: preservation.basis,
            began_at_ms: self.claim.now.0,
            sealed_at_ms: sealed_at.0,
            events_from_ms: (since > Timestamp(0)).then_some(since.0),
            events_deleted: copied.deleted,
            events_unread: copied.unread,
            cut: filled.cut.into_iter().collect(),
            files: filled.files,
        })
    }

    /// Rows of one kind about the case.
    fn copy_rows(
        &mut self,
        draft: &Draft,
        (team, case, of): (Team, CaseId, CaseRows),
        filled: &mut Filled,
    ) -> Result<(), NotCopied> {
        let mut file = draft.file(of.file())?;
        loop {
            let rows = self.dispatcher.store.case_rows((team, case), of, file.records());
            let rows = self.runtime.block_on(rows)?;
            for row in &rows.lines {
                file.line(row)?;
            }
            if rows.is_cut {
                filled.cut.insert(Cut::Rows);
            }
            self.go_on()?;
            if rows.lines.len() < CASE_ROWS_PAGE as usize {
                break;
            }
            if file.records() >= ROWS_MAX {
                filled.cut.insert(Cut::Rows);
                break;
            }
        }
        filled.files.push(file.finish()?);
        Ok(())
    }

    /// What the hot records of the members say of the party's own platforms. They are looked at some at a time: who claims waits for the same lock.
    fn copy_figures(
        &mut self,
        draft: &Draft,
        (team, record, contents): (Team, &PartyRecord, &CaseContents),
        members: &BTreeSet<&ContentId>,
        filled: &mut Filled,
    ) -> Result<(), NotCopied> {
        let dispatcher = Arc::clone(&self.dispatcher);
        let own: BTreeMap<PlatformId, &Name> = record.platforms.iter().map(|(id, name)| (*id, name)).collect();
        let name_of = |platform: PlatformId| own.get(&platform).map(ToString::to_string);
        let members: Vec<ContentId> = members.iter().map(|content| **content).collect();
        let mut file = draft.file("figures.jsonl")?;
        for some in members.chunks(FIGURES_AT_ONCE) {
            let lines = dispatcher
                .ranking
                .figures()
                .each_of(some, team, |hot, as_of| figures::line(hot, as_of, name_of));
            for line in &lines {
                file.line(line)?;
            }
            self.go_on()?;
        }
        // What is dropped for want of room is not known here.
        let has_lost = dispatcher.ranking.figures().has_lost(&contents.families);
        if has_lost || !dispatcher.ranking.is_read() {
            filled.cut.insert(Cut::Figures);
        }
        filled.files.push(file.finish()?);
        Ok(())
    }

    /// The party's own events about the members.
    fn copy_events(
        &mut self,
        draft: &Draft,
        (record, contents): (&PartyRecord, &CaseContents),
        members: &HashSet<ContentId>,
        filled: &mut Filled,
    ) -> Result<EventsCopied, NotCopied> {
        let dispatcher = Arc::clone(&self.dispatcher);
        let (evidence, config) = (&dispatcher.evidence, &dispatcher.config);
        let platforms = record.platforms.iter().map(|(id, name)| (name.to_string(), *id));
        let kept = topics::ingest(&record.name).retention_ms();
        let wanted = Wanted {
            party: record.name.as_str(),
            platforms: &platforms.collect(),
            members,
            since: begins(contents),
            kept_from: kept.map_or(Timestamp(0), |kept| contents.now - Milliseconds(kept as i64)),
        };
        let limits = EventLimits {
            events_max: u64::from(config.sealed_events_max),
            bytes_max: u64::from(config.sealed_mib_max) << 20,
            records_max: RECORDS_MAX,
        };
        let mut file = draft.file("events.jsonl")?;
        let topic = topics::ingest_name(&record.name);
        let mut given_up = None;
        let mut goes_on = |partition: u32| match self.go_on() {
            Ok(()) => Ok(true),
            Err(error) => {
                given_up = Some(error);
                let topic = topic.clone();
                Err(LogError::CalledOff { topic, partition })
            }
        };
        let form = (&evidence.form, &dispatcher.key);
        let copied = copy_events(evidence.log.as_ref(), form, &wanted, limits, (&mut file, &mut goes_on));
        let copied = match (copied, given_up) {
            (_, Some(error)) => return Err(error),
            (copied, None) => copied.map_err(NotCopied::Events)?,
        };
        filled.cut.extend(copied.cut);
        filled.files.push(file.finish()?);
        Ok(copied)
    }

    /// What is needed to make ids and pseudonyms again, and nothing that is secret: fingerprints and numbers.
    fn keys(&self, epochs: &BTreeMap<String, BTreeSet<u32>>) -> Value {
        let dispatcher = &self.dispatcher;
        json!({
            "deployment_key": {
                "fingerprint": hex::encode(dispatcher.key.fingerprint()),
                "is": "whoever has the deployment key makes this fingerprint, and each content id of its hash, again",
            },
            "evidence_key": {
                "public_key": hex::encode(dispatcher.evidence.signer.public().0),
                "is": "signs the manifest, the chain of custody and exports: Ed25519",
            },
            "account_epochs": {
                "by_platform": epochs,
                "is": "the numbers of the platforms' own keys that pseudonyms of accounts were made with: the keys are theirs alone",
            },
        })
    }

    /// Says that it goes on, where it is time to; whether it is wanted still.
    fn go_on(&mut self) -> Result<(), NotCopied> {
        if self.shutdown.is_requested() {
            return Err(NotCopied::GivenUp);
        }
        match self.renewed_at.elapsed() < RENEW_EVERY {
            true => Ok(()),
            false => self.renew(),
        }
    }

    /// Says that it goes on; whether it is wanted still, and nobody else has begun.
    fn renew(&mut self) -> Result<(), NotCopied> {
        self.renewed_at = Instant::now();
        let of = (self.claim.preservation.id, self.claim.attempt);
        match self
            .runtime
            .block_on(self.dispatcher.store.renew_seal(of, SEAL_LEASE))?
        {
            true => Ok(()),
            false => Err(NotCopied::GivenUp),
        }
    }
}

/// What stands in a draft.
#[derive(Default)]
struct Filled {
    files: Vec<FileEntry>,
    cut: BTreeSet<Cut>,
}

impl Filled {
    /// A file of these lines.
    fn lines(
        &mut self,
        draft: &Draft,
        name: &'static str,
        lines: impl IntoIterator<Item = String>,
    ) -> Result<(), NotCopied> {
        let mut file = draft.file(name)?;
        for line in lines {
            file.line(&line)?;
        }
        self.files.push(file.finish()?);
        Ok(())
    }
}

/// From when on events are read: what was never seen as far as the case knows may have been published at any time.
fn begins(contents: &CaseContents) -> Timestamp {
    contents.since.map_or(Timestamp(0), |first| first - BEFORE_FIRST)
}

/// What is known of a copy by its manifest.
fn sealed_copy(manifest: &Manifest) -> SealedCopy {
    let events = manifest.files.iter().find(|file| file.name == "events.jsonl");
    SealedCopy {
        at: Timestamp(manifest.sealed_at_ms),
        manifest: tocsin_evidence::digest(&manifest.to_bytes()),
        events: events.map_or(0, |file| file.records),
        bytes: manifest.files.iter().map(|file| file.bytes).sum(),
        is_cut: !manifest.cut.is_empty(),
    }
}
