//! One reading: the events of one party from stated positions on, as far as its limits go.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use tocsin_casework::{MemberUpload, TookUpload, UploadCounts, UploadKind, Uploader, UploaderOrder, Uploaders};
use tocsin_log::{Log, LogError, RecordRef, StampedBy, TopicPartition};
use tocsin_model::{ContentId, DeploymentKey, PartyId, PlatformId, Timestamp};
use tocsin_wire::event::{self, encode_single_object};
use tocsin_wire::osprey::{self, Held};
use tocsin_wire::{EventError, topics};

use super::IngestForm;
use super::position::{Position, Positions};

/// How long one wait for records takes at most, and how many one brings.
const POLL: Duration = Duration::from_millis(200);
const RECORDS_PER_POLL: usize = 1_000;

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

/// Where a reading begins.
#[derive(Clone, Debug)]
pub(crate) enum Begin {
    /// With what the log received from this time on.
    Since(Timestamp),
    /// Where another one ended.
    After(Positions),
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
    let Stretch { at, ends, deleted } = Stretch::of(log, &topic, asked)?;
    let mut pass = Pass {
        form,
        key,
        asked,
        records_max: limits.records_max,
        uploaders: Uploaders::new(limits.accounts_max, limits.uploads_max),
        at,
        ends,
        records: 0,
        unread: 0,
        until: None,
        cut: None,
    };
    if pass.is_behind() {
        pass.run(log, &topic, deadline, is_called_off)?;
    }
    let more = pass.is_behind();
    let (accounts, without_account) = pass.uploaders.into_parts(asked.order);
    Ok(Page {
        accounts,
        without_account,
        records: pass.records,
        unread: pass.unread,
        until: pass.until,
        deleted,
        next: Positions(pass.at),
        more,
        cut: pass.cut.filter(|_| more),
    })
}

/// What there is to read.
struct Stretch {
    /// Where to begin, by partition.
    at: Vec<Position>,
    /// How far is written.
    ends: Vec<u64>,
    /// Whether something that was asked for may be deleted.
    deleted: bool,
}

impl Stretch {
    fn of(log: &dyn Log, topic: &str, asked: &Asked) -> Result<Stretch, LogError> {
        let known = log.topics()?.into_iter().find(|info| info.name == topic);
        let mut stretch = Stretch {
            at: Vec::new(),
            ends: Vec::new(),
            deleted: false,
        };
        // A topic that was not made yet is an empty one.
        for partition in 0..known.map_or(0, |info| info.partitions) {
            let place = TopicPartition::new(topic, partition);
            let (first, end) = log.bounds(&place)?;
            let (at, deleted) = match &asked.begin {
                Begin::Since(since) => {
                    let offset = log.offset_at(&place, since.0)?;
                    // Where the oldest that is kept was received before, nothing is missing; nor of a time of which nothing is deleted yet.
                    let deleted = first > 0 && offset <= first && *since < asked.kept_from;
                    (Position { offset, index: 0 }, deleted)
                }
                Begin::After(positions) => {
                    let at = positions.0.get(partition as usize).copied().unwrap_or_default();
                    (at, at.offset < first)
                }
            };
            let oldest = Position {
                offset: first,
                index: 0,
            };
            stretch.at.push(if at.offset < first { oldest } else { at });
            stretch.ends.push(end);
            stretch.deleted |= deleted;
        }
        Ok(stretch)
    }
}

/// A reading under way.
struct Pass<'a> {
    form: &'a IngestForm,
    key: &'a DeploymentKey,
    asked: &'a Asked,
    records_max: u64,
    uploaders: Uploaders,
    /// What is read next, by partition.
    at: Vec<Position>,
    /// How far is read.
    ends: Vec<u64>,
    records: u64,
    unread: u64,
    until: Option<Timestamp>,
    cut: Option<Cut>,
}

impl Pass<'_> {
    fn is_behind(&self) -> bool {
        self.at.iter().zip(&self.ends).any(|(at, end)| at.offset < *end)
    }

    /// Reads to the ends, or to a limit.
    fn run(
        &mut self,
        log: &dyn Log,
        topic: &str,
        deadline: Instant,
        is_called_off: &dyn Fn() -> bool,
    ) -> Result<(), LogError> {
        let places = self.at.iter().zip(&self.ends).zip(0..);
        let behind = places.filter(|((at, end), _)| at.offset < **end);
        let starts: Vec<(TopicPartition, u64)> = behind
            .map(|((at, _), partition)| (TopicPartition::new(topic, partition), at.offset))
            .collect();
        let mut reader = log.tail_reader(&starts)?;
        while self.is_behind() && self.cut.is_none() {
            if is_called_off() {
                let (topic, partition) = (topic.to_owned(), starts[0].0.partition);
                return Err(LogError::CalledOff { topic, partition });
            }
            if Instant::now() >= deadline {
                self.cut = Some(Cut::Time);
                break;
            }
            reader.poll(POLL, RECORDS_PER_POLL, &mut |record| self.take(&record))?;
            if self.cut.is_some() {
                break;
            }
            for (place, _) in &starts {
                let number = place.partition as usize;
                let (at, end) = (&mut self.at[number], self.ends[number]);
                // What lies behind the last record is a gap.
                if at.offset < end && reader.position(place).is_some_and(|position| position >= end) {
                    *at = Position { offset: end, index: 0 };
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, record: &RecordRef<'_>) {
        let number = record.partition as usize;
        let (Some(at), Some(end)) = (self.at.get(number).copied(), self.ends.get(number)) else {
            return;
        };
        // More may have been written since, and a poll brings more than is asked for.
        if self.cut.is_some() || record.offset < at.offset || record.offset >= *end {
            return;
        }
        if self.records >= self.records_max {
            self.cut = Some(Cut::Records);
            return;
        }
        let skipped = if record.offset == at.offset { at.index } else { 0 };
        match self.events(record, skipped) {
            Ok(None) => {}
            Ok(Some(index)) => {
                let offset = record.offset;
                self.at[number] = Position { offset, index };
                self.cut = Some(Cut::Accounts);
                return;
            }
            Err(_) => self.unread += 1,
        }
        self.at[number] = Position {
            offset: record.offset + 1,
            index: 0,
        };
        self.records += 1;
        self.until = self.until.max(Some(Timestamp(record.appended_at_ms)));
    }

    /// Reads the events of a record from a place on; the place of the first that found no room, if one did not.
    fn events(&mut self, record: &RecordRef<'_>, skipped: u32) -> Result<Option<u32>, EventError> {
        if self.form.stamped_by_log && record.stamped_by == StampedBy::Sender {
            return Err(EventError::NotStampedByLog);
        }
        let value = record.value.ok_or(EventError::EmptyRecord)?;
        let mapping = self.form.mappings.get(&self.asked.party_name);
        let read = (value, record.headers.get(osprey::ENCODING_HEADER));
        let place = || format!("{}-{}-{}", record.topic, record.partition, record.offset);
        let held = mapping.map(|mapping| mapping.held(read, Timestamp(record.appended_at_ms), place));
        let mapped = match held.transpose()? {
            None | Some(Held::Avro) => None,
            Some(Held::OtherAction) => return Ok(None),
            Some(Held::Event(mapped)) => Some(encode_single_object(&mapped.event)),
        };
        let decoded = event::decode(mapped.as_deref().unwrap_or(value), &self.form.schemas)?;
        for (index, read) in decoded.events().enumerate() {
            let index = index as u32;
            if index < skipped {
                continue;
            }
            let Ok(read) = read else {
                self.unread += 1;
                continue;
            };
            let Some(kind) = UploadKind::of(read.kind) else {
                continue;
            };
            // An event that names another party's platform is refused by intake, and is none here.
            let Some(platform) = self.asked.platforms.get(read.platform).copied() else {
                continue;
            };
            let content = self.key.content_id_of(read.strongest);
            if !self.asked.members.contains(&content) {
                continue;
            }
            let upload = MemberUpload {
                platform,
                account: read.account.map(|account| (read.account_epoch, account)),
                content,
                kind,
                at: read.occurred_at,
                token: self.key.event_token(self.asked.party, read.event_id),
            };
            if self.uploaders.take(&upload) == TookUpload::Full {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
