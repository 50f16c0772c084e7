//! Proof after the fact: alerts and counts of a span of time derived again from the log, and held to what was said then, bit by bit.
//!
//! A detector puts a copy of each group's checkpoint on `tocsin.checkpoints` every so often (`detector.audit_interval_s`). An audit begins
//! each group at the last copy before the span, applies the partition's input from there to the end of the span, and compares: each alert that was
//! written with the one that follows, by id, and each later copy of a group with the group as it is then.
//!
//! An alert is compared in all but the names of platforms and parties: those are what the detector had heard by then.
//!
//! Memory: the groups of one partition, and some 200 bytes for each alert and each copy of a group in the span.

use std::cell::Cell;
use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use tocsin_log::{Log, LogError, TopicPartition, read_through};
use tocsin_model::{Alert, AlertId, Class, GroupId, PartitionCount, Timestamp};
use tocsin_velocity::{Group, GroupConfig, RULE_VERSION, SNAPSHOT_VERSION};
use tocsin_wire::alert::AlertRecord;
use tocsin_wire::state::{StateKey, StateRecord};
use tocsin_wire::{Names, topics};

use crate::collected::Chunks;
use crate::error::DetectorError;
use crate::partition::{Partition, Tracked};

/// The span that is audited: from its first millisecond up to, not including, its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first millisecond.
    pub from: Timestamp,
    /// The millisecond after its last.
    pub to: Timestamp,
}

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Of each partition, how it was derived again and whether its counts are the same.
    pub partitions: Vec<PartitionAudit>,
    /// Every alert of the span, written or derived.
    pub alerts: BTreeMap<AlertId, AlertAudit>,
    /// Alert records of the span that stand on the log once more, the same.
    pub repeated: u64,
    /// Records of the alerts topic that cannot be read: whose they are is not known.
    pub unreadable: u64,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionAudit {
    /// Which.
    pub partition: u32,
    /// The first offset that was applied.
    pub began_at: u64,
    /// Records of the input that were applied.
    pub records: u64,
    /// The time that the input told at its end: the end of the span, or how far the log goes.
    pub reached: Timestamp,
    /// Later copies of groups that were compared.
    pub copies: u64,
    /// Those that differ, with the offset at which they were cut; also those of an offset that the log does not reach.
    pub differing: Vec<(GroupId, u64)>,
}

/// What became of one alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertAudit {
    /// When it rang.
    pub at: Timestamp,
    /// How both compare.
    pub verdict: Verdict,
}

/// How what was written compares with what follows from the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The same bytes.
    Equal,
    /// The same id, other bytes.
    Different,
    /// It was written and does not follow.
    Unfounded,
    /// It follows and was not written.
    Missing,
    /// Another version of the rule rang: this program cannot derive it.
    OtherRule,
}

impl Audit {
    /// Alerts of a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.alerts.values().filter(|alert| alert.verdict == verdict).count()
    }

    /// Whether all that was said and counted follows from the log.
    pub fn holds(&self) -> bool {
        let counts_differ = self.partitions.iter().any(|partition| !partition.differing.is_empty());
        !counts_differ && self.unreadable == 0 && self.count(Verdict::Equal) == self.alerts.len()
    }
}

type Digested = [u8; 32];

/// Derives the span again and compares.
///
/// # Errors
/// [`DetectorError::NothingToBeginFrom`] where a group has no copy before the span and the log does not go back to its beginning, or it went on with
/// another input since;
/// [`DetectorError::OtherStateVersion`] of a copy from the span or just before it: its bytes say nothing to this program's; [`DetectorError::InputDeleted`];
/// [`DetectorError::BrokenState`]; the log fails.
pub fn audit(
    log: &dyn Log,
    partitions: PartitionCount,
    config: &GroupConfig,
    span: Span,
    is_called_off: &dyn Fn() -> bool,
) -> Result<Audit, DetectorError> {
    let mut audit = Audit::default();
    let mut derived = BTreeMap::new();
    for number in 0..u32::from(partitions.get()) {
        let found = derive(log, (number, partitions), config, span, &mut derived, is_called_off)?;
        audit.partitions.push(found);
    }
    let mut compare = |value: &[u8]| {
        let Ok(AlertRecord { alert, .. }) = tocsin_wire::alert::decode(value) else {
            audit.unreadable += 1;
            return;
        };
        if !(span.from..span.to).contains(&alert.at) {
            return;
        }
        let verdict = match derived.get(&alert.id) {
            Some((_, digest)) if *digest == digest_of_alert(&alert) => Verdict::Equal,
            Some(_) => Verdict::Different,
            None if alert.rule_version != RULE_VERSION => Verdict::OtherRule,
            None => Verdict::Unfounded,
        };
        let found = AlertAudit { at: alert.at, verdict };
        match audit.alerts.get_mut(&alert.id) {
            Some(before) if before.verdict == Verdict::Equal && verdict == Verdict::Equal => audit.repeated += 1,
            Some(before) => before.verdict = before.verdict.max(verdict),
            None => {
                audit.alerts.insert(alert.id, found);
            }
        }
    };
    let alerts = TopicPartition::new(topics::ALERTS, 0);
    read_through(log, &alerts, .., is_called_off, &mut |record| {
        compare(record.value.unwrap_or_default());
    })?;
    for (id, (at, _)) in derived {
        audit.alerts.entry(id).or_insert(AlertAudit {
            at,
            verdict: Verdict::Missing,
        });
    }
    Ok(audit)
}

fn digested<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Digested {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

fn digest_of_alert(alert: &Alert) -> Digested {
    digested([&tocsin_wire::alert::encode(alert, &Names::default())[..]])
}

/// A copy of a group.
struct GroupCopy {
    group: GroupId,
    /// The next input offset of the group as it is here.
    cut_at: u64,
    as_of: Timestamp,
    /// The version of the layout.
    format: u16,
    core: Vec<u8>,
    cold: BTreeMap<Class, Vec<u8>>,
}

impl GroupCopy {
    fn digest(&self) -> Digested {
        digest_of(&self.core, &self.cold)
    }
}

fn digest_of(core: &[u8], cold: &BTreeMap<Class, Vec<u8>>) -> Digested {
    let numbers: Vec<[u8; 4]> = cold.keys().map(|class| class.number().to_be_bytes()).collect();
    let cold = numbers.iter().zip(cold.values());
    digested(std::iter::once(core).chain(cold.flat_map(|(number, body)| [&number[..], &body[..]])))
}

/// One partition: what it says within the span goes to `derived`.
fn derive(
    log: &dyn Log,
    (number, partitions): (u32, PartitionCount),
    config: &GroupConfig,
    span: Span,
    derived: &mut BTreeMap<AlertId, (Timestamp, Digested)>,
    is_called_off: &dyn Fn() -> bool,
) -> Result<PartitionAudit, DetectorError> {
    let (begin, newest) = beginnings(log, number, span, is_called_off)?;
    let sightings = TopicPartition::new(topics::SIGHTINGS, number);
    let (first_held, _) = log.bounds(&sightings)?;
    let mut partition = Partition::new(number, partitions, config, 0);
    let has_no_start = |group: &GroupId| !begin.contains_key(group) && (first_held > 0 || newest.of(*group) > 0);
    if let Some(group) = partitions.groups_of(number).find(has_no_start) {
        return Err(DetectorError::NothingToBeginFrom { group: group.0 });
    }
    let all_begun = partitions.groups_of(number).all(|group| begin.contains_key(&group));
    let began_at = begin.values().min().copied().filter(|_| all_begun).unwrap_or(0);
    if began_at < first_held {
        return Err(DetectorError::InputDeleted {
            partition: number,
            needed: began_at,
            first_held,
        });
    }
    let mut later: BTreeMap<u64, Vec<(GroupId, Digested)>> = BTreeMap::new();
    let (mut broken, mut other_version) = (None, None);
    let mut inputs = Inputs::default();
    each_copy(log, number, is_called_off, &mut |copy| {
        if inputs.take(&copy) < newest.of(copy.group) {
            return;
        }
        let begins_at = begin.get(&copy.group).copied();
        let counts = begins_at.is_none_or(|begins_at| copy.cut_at >= begins_at) && copy.as_of < span.to;
        if counts && copy.format != SNAPSHOT_VERSION {
            other_version = Some(copy.format);
            return;
        }
        if begins_at == Some(copy.cut_at) {
            match Group::decode(config.clone(), &copy.core, &copy.cold) {
                Ok(group) => partition.put(Tracked::restored(group, copy.cut_at, copy.format)),
                Err(error) => broken = Some((copy.group, error.to_string())),
            }
        } else if counts {
            let at = later.entry(copy.cut_at).or_default();
            at.push((copy.group, copy.digest()));
        }
    })?;
    if let Some(written) = other_version {
        let known = SNAPSHOT_VERSION;
        return Err(DetectorError::OtherStateVersion { written, known });
    }
    if let Some((group, reason)) = broken {
        return Err(DetectorError::BrokenState { group: group.0, reason });
    }
    let mut found = PartitionAudit {
        partition: number,
        began_at,
        records: 0,
        reached: Timestamp::MIN,
        copies: 0,
        differing: Vec::new(),
    };
    let ended = Cell::new(false);
    let read = read_through(
        log,
        &sightings,
        began_at..,
        &|| ended.get() || is_called_off(),
        &mut |record| {
            if ended.get() {
                return;
            }
            found.compare(&partition, &mut later, record.offset);
            partition.apply(record);
            found.records += 1;
            for alert in partition.take_outputs().alerts {
                let alert = alert.said;
                if (span.from..span.to).contains(&alert.at) {
                    derived.insert(alert.id, (alert.at, digest_of_alert(&alert)));
                }
            }
            // Nobody is told what changed.
            partition
                .groups_mut()
                .for_each(|tracked| drop(tracked.group.take_changed()));
            ended.set(partition.now() >= span.to);
        },
    );
    match read {
        Err(LogError::CalledOff { .. }) if ended.get() => {}
        read => read?,
    }
    found.compare(&partition, &mut later, partition.next_offset());
    // A copy of what the log does not hold follows from nothing.
    let beyond = later
        .into_iter()
        .flat_map(|(cut_at, copies)| copies.into_iter().map(move |(id, _)| (id, cut_at)));
    found.differing.extend(beyond);
    found.reached = partition.now();
    Ok(found)
}

impl PartitionAudit {
    /// Compares the copies that were cut up to this offset, before its record is applied.
    fn compare(
        &mut self,
        partition: &Partition,
        later: &mut BTreeMap<u64, Vec<(GroupId, Digested)>>,
        next_offset: u64,
    ) {
        while let Some(due) = later.first_entry().filter(|due| *due.key() <= next_offset) {
            let (cut_at, copies) = due.remove_entry();
            for (id, digest) in copies {
                let group = partition.groups().find(|tracked| tracked.group.id() == id);
                let same = group.is_some_and(|Tracked { group, .. }| {
                    let cold = group.cold().map(|(class, cold)| (class, Group::encode_cold(cold)));
                    digest_of(&group.encode_core(), &cold.collect()) == digest
                });
                self.copies += 1;
                if !same {
                    self.differing.push((id, cut_at));
                }
            }
        }
    }
}

/// Where each group begins: the offset of its last whole copy before the span, of those that are of its newest input; and which input that is.
fn beginnings(
    log: &dyn Log,
    number: u32,
    span: Span,
    is_called_off: &dyn Fn() -> bool,
) -> Result<(BTreeMap<GroupId, u64>, Inputs), DetectorError> {
    let (mut begin, mut inputs) = (BTreeMap::new(), Inputs::default());
    each_copy(log, number, is_called_off, &mut |copy| {
        let before = inputs.of(copy.group);
        if inputs.take(&copy) != before {
            begin.remove(&copy.group);
        }
        if copy.as_of < span.from {
            begin.insert(copy.group, copy.cut_at);
        }
    })?;
    Ok((begin, inputs))
}

/// Which input the copies of each group are of: offsets of one input only grow, so one that falls is of another, with which a salvage let the group go
/// on.
#[derive(Debug, Default)]
struct Inputs(BTreeMap<GroupId, LastCopy>);

#[derive(Clone, Copy, Debug, Default)]
struct LastCopy {
    cut_at: u64,
    /// The number of its input, from 0.
    input: u32,
}

impl Inputs {
    /// Takes the next copy. The number of its input.
    fn take(&mut self, copy: &GroupCopy) -> u32 {
        let last = self.0.entry(copy.group).or_default();
        last.input += u32::from(copy.cut_at < last.cut_at);
        last.cut_at = copy.cut_at;
        last.input
    }

    /// The number of the input of the last copy that was taken.
    fn of(&self, group: GroupId) -> u32 {
        self.0.get(&group).map_or(0, |last| last.input)
    }
}

/// Hands over each whole copy of a partition's groups, in the order in which they were written. The records of one copy stand together: they are
/// of one unit.
fn each_copy(
    log: &dyn Log,
    number: u32,
    is_called_off: &dyn Fn() -> bool,
    take: &mut dyn FnMut(GroupCopy),
) -> Result<(), DetectorError> {
    let mut parts = Parts::default();
    let checkpoints = TopicPartition::new(topics::CHECKPOINTS, number);
    read_through(log, &checkpoints, .., is_called_off, &mut |record| {
        let key = record.key.and_then(StateKey::from_bytes);
        let state = record.value.and_then(|value| StateRecord::decode(value).ok());
        let Some((key, state)) = key.zip(state) else { return };
        let (group, class) = match key {
            StateKey::Core { group, .. } => (group, None),
            StateKey::Cold { group, class, .. } => (group, Some(class)),
            StateKey::Header { .. } | StateKey::Hot { .. } | StateKey::Onward { .. } => return,
        };
        let of = (group, state.applied_through);
        if parts.of != Some(of) {
            parts.take().into_iter().for_each(&mut *take);
            parts.of = Some(of);
        }
        (parts.as_of, parts.format) = (state.as_of, state.format);
        let chunks = match class {
            None => &mut parts.core,
            Some(class) => parts.cold.entry(class).or_default(),
        };
        chunks.put(state.chunk, Some(state));
    })?;
    parts.take().into_iter().for_each(take);
    Ok(())
}

/// The records of the copy that is read.
#[derive(Default)]
struct Parts {
    of: Option<(GroupId, u64)>,
    as_of: Timestamp,
    format: u16,
    core: Chunks,
    cold: BTreeMap<Class, Chunks>,
}

impl Parts {
    /// The copy, if it is whole, and none.
    fn take(&mut self) -> Option<GroupCopy> {
        let parts = std::mem::take(self);
        let (group, cut_at) = parts.of?;
        let (core, _) = parts.core.join()?;
        let cold = parts
            .cold
            .into_iter()
            .map(|(class, chunks)| Some((class, chunks.join()?.0)));
        Some(GroupCopy {
            group,
            cut_at,
            as_of: parts.as_of,
            format: parts.format,
            core,
            cold: cold.collect::<Option<_>>()?,
        })
    }
}
