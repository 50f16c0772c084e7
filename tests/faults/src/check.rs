//! What must hold at the end of a round, whatever happened in it:
//!
//! * I1: every acknowledged event is counted once: in the state that a restore makes, to the byte that of a run which nothing disturbed, and
//!   in what a query node answers. What was never published is not counted.
//! * I2: the alerts on the log are those of the undisturbed run, each once.
//! * I3: no reader of committed records was shown anything that does not stand on the log in the end.
//! * I4: units of a partition follow one another: none goes back behind an older one, as that of a former owner would.
//! * I5: `as_of` of a query node's answers never goes back.
//!
//! The undisturbed run is the log of sightings, read once by key groups that were never restored. What must have been counted comes from
//! [`tocsin_loadtest::oracle`], which shares nothing with the core but the event.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use tocsin::config::Config;
use tocsin::serve::{deployment_key, detector_setup};
use tocsin_detector::Partition;
use tocsin_loadtest::oracle::{Oracle, Window};
use tocsin_log::{Headers, Log, Record, RecordRef, StampedBy, TopicPartition, read_through};
use tocsin_model::{Alert, ContentHash, ContentId, PartyId, Timestamp};
use tocsin_velocity::{Group, Resolution};
use tocsin_wire::block::BlockReader;
use tocsin_wire::{SightingsRecord, topics};

use crate::load::{PARTITIONS, Sent};
use crate::watch::{Seen, header};

/// Everything, for the oracle's windows.
const ALWAYS: Window = Window {
    from: Timestamp(i64::MIN),
    to: Timestamp(i64::MAX),
};
/// Lines of one kind that are told; the others are counted.
const TOLD_MAX: usize = 8;

/// What is wrong, and how many of the violations are writes of somebody who was no longer the owner.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// One line each, with the invariant in front.
    pub violations: Vec<String>,
    /// See [`Verdict`].
    pub zombie_writes: u64,
    /// Alerts of the undisturbed run.
    pub alerts: u64,
    /// Events that must be counted.
    pub events: u64,
}

impl Verdict {
    /// Adds the first few, and how many more there are.
    pub fn add(&mut self, found: Vec<String>) {
        let more = found.len().saturating_sub(TOLD_MAX);
        let last = found.last().cloned();
        self.violations.extend(found.into_iter().take(TOLD_MAX));
        if let Some(last) = last.filter(|_| more > 0) {
            self.violations
                .push(format!("{last} (and {} more of this kind)", more - 1));
        }
    }
}

/// The tokens of events, by party.
pub struct Tokens {
    key: tocsin_model::DeploymentKey,
    parties: BTreeMap<&'static str, PartyId>,
}

impl Tokens {
    /// Of a deployment with these parties.
    ///
    /// # Errors
    /// It has no key.
    pub fn new(config: &Config, parties: BTreeMap<&'static str, PartyId>) -> Result<Tokens> {
        let (key, _) = deployment_key(config)?;
        Ok(Tokens { key, parties })
    }

    /// Under which an event stands in a block.
    pub fn of(&self, sent: &Sent) -> u64 {
        self.key.event_token(self.parties[sent.party], sent.event.event_id)
    }
}

/// The sightings, as far as they were read.
#[derive(Default)]
pub struct Sightings {
    /// By partition.
    pub records: BTreeMap<u32, Vec<Record>>,
    /// Of all events in them.
    pub tokens: BTreeSet<u64>,
}

impl Sightings {
    /// Reads on to the end as it is now.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn read_on(&mut self, log: &dyn Log) -> Result<()> {
        for number in 0..u32::from(PARTITIONS) {
            let records = self.records.entry(number).or_default();
            let from = records.last().map_or(0, |record| record.offset + 1);
            let tokens = &mut self.tokens;
            let place = TopicPartition::new(topics::SIGHTINGS, number);
            read_through(log, &place, from.., &|| false, &mut |record| {
                tokens_of(record.value.unwrap_or_default(), tokens);
                records.push(record.to_record());
            })
            .context("read the sightings")?;
        }
        Ok(())
    }
}

fn tokens_of(value: &[u8], tokens: &mut BTreeSet<u64>) {
    let Ok(SightingsRecord::Block(block)) = SightingsRecord::decode(value) else {
        return;
    };
    let mut scratch = Vec::new();
    if let Ok(reader) = BlockReader::new(&block, &mut scratch) {
        tokens.extend(reader.sightings().map(|sighting| sighting.event_token));
    }
}

/// What the oracle says, from the events that must be counted.
pub struct Exact {
    oracle: Oracle,
    contents: BTreeMap<ContentId, ContentHash>,
    /// How many events, each once.
    pub events: u64,
}

impl Exact {
    /// Every acknowledged event, and of the others those that arrived all the same.
    pub fn new(sent: &[Sent], tokens: &Tokens, arrived: &Sightings) -> Exact {
        let mut exact = Exact {
            oracle: Oracle::new(),
            contents: BTreeMap::new(),
            events: 0,
        };
        let must = |sent: &&Sent| sent.is_acknowledged || arrived.tokens.contains(&tokens.of(sent));
        let mut ids = BTreeSet::new();
        for sent in sent.iter().filter(must).filter(|sent| !sent.is_late) {
            exact.oracle.add(&sent.event);
            exact.events += u64::from(ids.insert(sent.event.event_id.0));
            let hash = &sent.event.content[0];
            exact.contents.insert(tokens.key.content_id(hash), hash.clone());
        }
        exact
    }

    /// Uploads, blocked uploads and shares of each content.
    pub fn counts(&self) -> BTreeMap<ContentId, u64> {
        let count = |(id, hash): (&ContentId, &ContentHash)| (*id, self.oracle.count(hash, ALWAYS));
        self.contents
            .iter()
            .map(count)
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// The same by hash.
    pub fn by_hash(&self) -> impl Iterator<Item = (&ContentHash, u64)> {
        self.contents
            .values()
            .map(|hash| (hash, self.oracle.count(hash, ALWAYS)))
    }
}

/// The log at the end of a round, held to the invariants, and what was seen of it meanwhile, if anybody looked on. A partition is held to the
/// sightings up to its newest unit: whether that is where they end is for the caller to see.
///
/// # Errors
/// It cannot be read.
pub fn check(
    log: &dyn Log,
    config: &Config,
    sightings: &Sightings,
    exact: &Exact,
    seen: Option<&Seen>,
) -> Result<Verdict> {
    let mut verdict = Verdict {
        events: exact.events,
        ..Verdict::default()
    };
    let (key, _) = deployment_key(config)?;
    let setup = detector_setup(config, &key);
    let groups = setup.group_config(&config.detector);
    let mut founded = Vec::new();
    let mut counted = BTreeMap::new();
    for (number, records) in &sightings.records {
        let restored = tocsin_detector::restore(log, *number, setup.partitions, &groups, setup.epoch, &|| false);
        let next_offset = restored
            .as_ref()
            .map_or(u64::MAX, |(restored, _)| restored.next_offset());
        let mut undisturbed = Partition::new(*number, setup.partitions, &groups, 0);
        for record in records.iter().filter(|record| record.offset < next_offset) {
            undisturbed.apply(RecordRef {
                topic: &record.from.topic,
                partition: *number,
                offset: record.offset,
                appended_at_ms: record.appended_at_ms,
                stamped_by: StampedBy::Log,
                key: None,
                value: record.value.as_deref(),
                headers: Headers::Slice(&record.headers),
            });
        }
        founded.extend(undisturbed.take_outputs().alerts.into_iter().map(|alert| alert.said));
        match restored {
            Ok((restored, _)) => {
                verdict.add(compare_states(&restored, &undisturbed));
                count(&restored, &mut counted);
            }
            Err(error) => verdict.add(vec![format!(
                "I1: partition {number} cannot be restored: {:#}",
                anyhow::Error::new(error)
            )]),
        }
    }
    verdict.alerts = founded.len() as u64;
    verdict.add(compare_counts(&counted, &exact.counts()));
    let written = read_alerts(log)?;
    let (found, repeated) = compare_alerts(&written, &founded);
    verdict.add(found);
    verdict.zombie_writes = repeated;
    if let Some(seen) = seen {
        verdict.add(shown_stands(log, seen, &written)?);
        let back = goes_back(seen);
        verdict.zombie_writes += back.len() as u64;
        verdict.add(back);
        verdict.add(seen.gone_back.iter().map(|line| format!("I5: {line}")).collect());
    }
    Ok(verdict)
}

fn compare_states(restored: &Partition, undisturbed: &Partition) -> Vec<String> {
    let cold = |group: &Group| -> Vec<_> {
        group
            .cold()
            .map(|(class, cold)| (class, Group::encode_cold(cold)))
            .collect()
    };
    let mut found = Vec::new();
    if restored.next_offset() != undisturbed.next_offset() {
        let (number, restored, end) = (restored.number(), restored.next_offset(), undisturbed.next_offset());
        return vec![format!("I1: partition {number} was restored up to {restored} of {end}")];
    }
    for (one, other) in restored.states().zip(undisturbed.states()) {
        if one.encode_core() != other.encode_core() {
            found.push(format!("I1: the restored core of group {} differs", one.id().0));
        }
        if cold(one) != cold(other) {
            found.push(format!("I1: the restored cold counts of group {} differ", one.id().0));
        }
    }
    found
}

fn count(restored: &Partition, counted: &mut BTreeMap<ContentId, u64>) {
    for group in restored.states() {
        for record in group.kept_keys().into_iter().filter_map(|key| group.kept(key)) {
            let spread = record
                .series(Resolution::Minutes15)
                .filter(|(_, kind, _, _)| kind.is_spread());
            let count: u64 = spread.map(|(_, _, _, count)| u64::from(count)).sum();
            if count > 0 {
                *counted.entry(record.content()).or_insert(0) += count;
            }
        }
    }
}

fn compare_counts(counted: &BTreeMap<ContentId, u64>, exact: &BTreeMap<ContentId, u64>) -> Vec<String> {
    let contents: BTreeSet<_> = counted.keys().chain(exact.keys()).collect();
    let compare = |content: &ContentId| {
        let of = |counts: &BTreeMap<ContentId, u64>| counts.get(content).copied().unwrap_or(0);
        let (counted, exact) = (of(counted), of(exact));
        (counted != exact).then(|| format!("I1: {counted} copies are counted of {content:?}, there were {exact}"))
    };
    contents.into_iter().filter_map(compare).collect()
}

/// An alert as it stands on the log.
struct Written {
    offset: u64,
    value: Vec<u8>,
}

fn read_alerts(log: &dyn Log) -> Result<Vec<Written>> {
    let mut written = Vec::new();
    let place = TopicPartition::new(topics::ALERTS, 0);
    read_through(log, &place, .., &|| false, &mut |record| {
        written.push(Written {
            offset: record.offset,
            value: record.value.unwrap_or_default().to_vec(),
        });
    })
    .context("read the alerts")?;
    Ok(written)
}

/// What differs, and how many alerts stand there more often than they rang.
fn compare_alerts(written: &[Written], founded: &[Alert]) -> (Vec<String>, u64) {
    let mut left: BTreeMap<u128, Vec<&Alert>> = BTreeMap::new();
    for alert in founded {
        left.entry(alert.id.0).or_default().push(alert);
    }
    let mut found = Vec::new();
    let mut repeated = 0;
    for Written { offset, value } in written {
        let Ok(record) = tocsin_wire::alert::decode(value) else {
            found.push(format!("I2: the alert at offset {offset} cannot be read"));
            continue;
        };
        let id = record.alert.id.0;
        match left.get_mut(&id) {
            None => found.push(format!("I2: alert {id:032x} rang, and not in the undisturbed run")),
            Some(others) => match others.iter().position(|other| **other == record.alert) {
                Some(place) => drop(others.swap_remove(place)),
                None if others.is_empty() => {
                    repeated += 1;
                    found.push(format!("I2: alert {id:032x} stands once more at offset {offset}"));
                }
                None => found.push(format!(
                    "I2: alert {id:032x} says other figures than the undisturbed run"
                )),
            },
        }
    }
    let silent = left.iter().filter(|(_, others)| !others.is_empty());
    found.extend(silent.map(|(id, _)| format!("I2: alert {id:032x} of the undisturbed run did not ring")));
    (found, repeated)
}

fn shown_stands(log: &dyn Log, seen: &Seen, written: &[Written]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let alerts: BTreeMap<u64, &[u8]> = written.iter().map(|alert| (alert.offset, &alert.value[..])).collect();
    for alert in &seen.alerts {
        if alerts.get(&alert.offset) != Some(&&alert.value[..]) {
            found.push(format!(
                "I3: the alert that was shown at offset {} does not stand there",
                alert.offset
            ));
        }
    }
    if seen.alerts.len() != written.len() {
        let (shown, stand) = (seen.alerts.len(), written.len());
        found.push(format!(
            "I3: a reader that looked on was shown {shown} alerts, {stand} stand on the log"
        ));
    }
    let mut headers = BTreeMap::new();
    for number in 0..u32::from(PARTITIONS) {
        let place = TopicPartition::new(topics::STATE, number);
        read_through(log, &place, .., &|| false, &mut |record| {
            if let Some(header) = header(&record) {
                headers.insert((number, record.offset), header.next_offset);
            }
        })
        .context("read the state")?;
    }
    for shown in &seen.headers {
        // Compaction takes headers that were replaced, and none that is the newest.
        let (partition, offset) = (shown.partition, shown.offset);
        let is_right = match headers.get(&(partition, offset)) {
            Some(next) => *next == shown.next_offset,
            None => headers
                .range((partition, offset)..=(partition, u64::MAX))
                .next()
                .is_some(),
        };
        if !is_right {
            found.push(format!(
                "I3: the header that was shown at {offset} of partition {partition} does not stand, and no later one does"
            ));
        }
    }
    Ok(found)
}

fn goes_back(seen: &Seen) -> Vec<String> {
    let mut newest: BTreeMap<u32, u64> = BTreeMap::new();
    let mut found = Vec::new();
    for header in &seen.headers {
        let before = newest.insert(header.partition, header.next_offset).unwrap_or(0);
        if header.next_offset < before {
            let (partition, offset, next) = (header.partition, header.offset, header.next_offset);
            found.push(format!(
                "I4: the unit at {offset} of partition {partition} ends at input {next}, one before it at {before}"
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    //! Goal: each invariant is seen to be broken, and holds where nothing is wrong.
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::watch::SeenHeader;

    fn headers(ends: &[(u32, u64)]) -> Seen {
        let header = |(offset, (partition, next_offset)): (usize, &(u32, u64))| SeenHeader {
            partition: *partition,
            offset: offset as u64,
            next_offset: *next_offset,
            state_version: tocsin_velocity::SNAPSHOT_VERSION,
        };
        Seen {
            headers: ends.iter().enumerate().map(header).collect(),
            ..Seen::default()
        }
    }

    #[test]
    fn a_unit_that_goes_back_is_a_former_owners() {
        assert!(goes_back(&headers(&[(0, 5), (1, 3), (0, 5), (0, 9), (1, 4)])).is_empty());
        let found = goes_back(&headers(&[(0, 5), (0, 9), (0, 7), (1, 1)]));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("I4: the unit at 2 of partition 0"), "{found:?}");
    }

    #[test]
    fn a_copy_too_many_or_too_few_is_named() {
        let counts = |counts: &[(u128, u64)]| -> BTreeMap<ContentId, u64> {
            counts.iter().map(|(id, count)| (ContentId(*id), *count)).collect()
        };
        let exact = counts(&[(1, 2), (2, 5)]);
        assert!(compare_counts(&exact, &exact).is_empty());
        assert_eq!(compare_counts(&counts(&[(1, 2), (2, 6)]), &exact).len(), 1);
        assert_eq!(compare_counts(&counts(&[(1, 2)]), &exact).len(), 1);
        assert_eq!(compare_counts(&counts(&[(1, 2), (2, 5), (3, 1)]), &exact).len(), 1);
    }

    #[test]
    fn an_alert_that_cannot_be_read_is_named() {
        let written = [Written {
            offset: 3,
            value: vec![1, 2, 3],
        }];
        let (found, repeated) = compare_alerts(&written, &[]);
        assert_eq!((found.len(), repeated), (1, 0));
        assert!(found[0].starts_with("I2: the alert at offset 3"), "{found:?}");
    }

    #[test]
    fn what_is_told_of_one_kind_is_bounded() {
        let mut verdict = Verdict::default();
        verdict.add((0..20).map(|number| format!("I1: {number}")).collect());
        assert_eq!(verdict.violations.len(), TOLD_MAX + 1);
        assert!(
            verdict.violations[TOLD_MAX].contains("and 11 more"),
            "{:?}",
            verdict.violations
        );
    }
}
