//! What must hold at the end of a history, whatever happened in it:
//!
//! * I1: every acknowledged event is counted once, in the state that a restore makes and in what a replica answers.
//! * I2: the alerts on the log are those of the undisturbed run, by id.
//! * I3: no reader of committed records was shown anything else. What a replica was shown is compared with what stands.
//! * I4: each unit was written by the owner of its partitions, and no older owner's unit stands behind a newer one's.
//! * I5: `as_of` of an answer never goes back (looked at while the replica reads: see [`crate::process`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tocsin_log::{Record, TopicPartition};
use tocsin_model::{Class, ContentId, FamilyId, KeyEpoch, Scope};
use tocsin_query::replica::ReplicaState;
use tocsin_sketch::codec::Encoder;
use tocsin_velocity::{Group, HotKey, HotRecord, Resolution};
use tocsin_wire::state::StateKey;
use tocsin_wire::{SightingsRecord, topics};

use crate::broker::Broker;
use crate::history::Setting;
use crate::oracle::{Counts, Exact, Undisturbed};
use crate::traffic::{Item, PLAYED};

/// The hot records of a replica, as bytes.
pub type Answers = BTreeMap<HotKey, Vec<u8>>;

/// The scope whose own class this is.
pub fn scope_of(class: Class) -> Scope {
    match class {
        Class::All => Scope::All,
        Class::Coordinators => Scope::Coordinators,
        Class::Party(party) => Scope::Party(party),
    }
}

/// What a replica holds of the contents of a history.
pub fn answers(replica: &ReplicaState, setting: &Setting) -> Answers {
    let mut answers = Answers::new();
    let scopes = [Scope::All, Scope::Coordinators].into_iter();
    let parties = (1..=2).map(|party| Scope::Party(tocsin_model::PartyId(party)));
    for scope in scopes.chain(parties) {
        for (content, _) in &setting.traffic.contents {
            for held in replica.hot.visible(*content, scope) {
                answers.insert(key(&held), bytes(&held));
            }
        }
    }
    answers
}

fn key(record: &HotRecord) -> HotKey {
    HotKey {
        content: record.content(),
        class: record.class(),
    }
}

fn bytes(record: &HotRecord) -> Vec<u8> {
    let mut out = Encoder::new();
    record.encode(&mut out);
    out.finish()
}

/// What a history left behind.
pub struct End<'a> {
    /// How it was set up.
    pub setting: &'a Setting,
    /// The broker as it stands.
    pub broker: &'a Broker,
    /// The partitions as a restore makes them, or why it does not.
    pub restored: Vec<Result<tocsin_detector::Partition, String>>,
    /// What the replica held.
    pub answers: Option<Answers>,
    /// Through which item each source was acknowledged.
    pub acknowledged: &'a BTreeMap<usize, usize>,
}

/// How many alerts rang, and what is wrong.
pub fn check(end: End<'_>) -> (usize, Vec<String>) {
    let mut wrong = Vec::new();
    let mut exact = Exact::default();
    let mut alerts = BTreeMap::new();
    let logs: Vec<Vec<Record>> = (0..PLAYED)
        .map(|number| records(end.broker, topics::SIGHTINGS, number))
        .collect();
    let mut all_hot = Answers::new();
    for (number, log) in logs.iter().enumerate() {
        exact.read(log);
        let undisturbed = Undisturbed::play(end.setting, number as u32, log);
        check_onward(&undisturbed, &logs, &mut wrong);
        match &end.restored[number] {
            Ok(restored) => check_states(restored, &undisturbed, &mut wrong),
            Err(error) => wrong.push(format!("I1: partition {number} cannot be restored: {error}")),
        }
        for group in undisturbed.partition.states() {
            let kept = group.kept_keys().into_iter().filter_map(|key| group.kept(key));
            all_hot.extend(kept.map(|record| (key(record), bytes(record))));
        }
        alerts.extend(undisturbed.alerts);
    }
    check_counts(&end, &exact, &mut wrong);
    check_alerts(end.broker, &alerts, &mut wrong);
    check_owners(end.broker, &mut wrong);
    match end.answers {
        Some(answers) => {
            for (key, body) in &all_hot {
                if answers.get(key) != Some(body) {
                    wrong.push(format!(
                        "I1: a replica's record of {key:?} is not that of the undisturbed run"
                    ));
                }
            }
            for key in answers.keys().filter(|key| !all_hot.contains_key(*key)) {
                wrong.push(format!("I3: a replica holds {key:?}, which is not hot"));
            }
        }
        None => wrong.push("the replica did not come to its end".to_owned()),
    }
    (alerts.len(), wrong)
}

fn records(broker: &Broker, topic: &str, number: u32) -> Vec<Record> {
    let entries = broker.committed(&TopicPartition::new(topic, number)).into_iter();
    entries.map(|entry| entry.record.clone()).collect()
}

/// A restored group is, to the byte, the one that nothing disturbed.
fn check_states(restored: &tocsin_detector::Partition, undisturbed: &Undisturbed, wrong: &mut Vec<String>) {
    let cold = |group: &Group| -> Vec<_> {
        group
            .cold()
            .map(|(class, cold)| (class, Group::encode_cold(cold)))
            .collect()
    };
    for (one, other) in restored.states().zip(undisturbed.partition.states()) {
        if one.encode_core() != other.encode_core() {
            wrong.push(format!("I1: the restored core of group {} differs", one.id().0));
        }
        if cold(one) != cold(other) {
            wrong.push(format!("I1: the restored cold counts of group {} differ", one.id().0));
        }
    }
}

/// The copies that the restored groups count are those of the plain maps, and no acknowledged event is missing among them.
fn check_counts(end: &End<'_>, exact: &Exact, wrong: &mut Vec<String>) {
    let mut counted = Counts::new();
    for group in end
        .restored
        .iter()
        .flatten()
        .flat_map(tocsin_detector::Partition::states)
    {
        for record in group.kept_keys().into_iter().filter_map(|key| group.kept(key)) {
            for (platform, kind, _, count) in record.series(Resolution::Minutes15) {
                if kind.is_spread() {
                    let place = (record.content(), record.class(), platform, kind);
                    *counted.entry(place).or_insert(0) += u64::from(count);
                }
            }
        }
    }
    let places: BTreeSet<_> = counted.keys().chain(exact.counts.keys()).collect();
    for place in places {
        let (counted, truly) = (counted.get(place).unwrap_or(&0), exact.counts.get(place).unwrap_or(&0));
        if counted != truly {
            wrong.push(format!(
                "I1: {counted} copies are counted of {place:?}, there were {truly}"
            ));
        }
    }
    for (source, through) in end.acknowledged {
        for item in &end.setting.traffic.sources[*source][..*through] {
            if let Item::Event(event) = item
                && !exact.tokens.contains(&event.token)
            {
                wrong.push(format!("I1: acknowledged event {:x} is not in the log", event.token));
            }
        }
    }
}

fn check_alerts(broker: &Broker, undisturbed: &BTreeMap<u128, tocsin_model::Alert>, wrong: &mut Vec<String>) {
    let mut rung = BTreeSet::new();
    for record in records(broker, topics::ALERTS, 0) {
        let alert = record.value.as_deref().map(tocsin_wire::alert::decode);
        let Some(Ok(tocsin_wire::AlertRecord { alert, .. })) = alert else {
            wrong.push(format!("I2: the alert at offset {} cannot be read", record.offset));
            continue;
        };
        match undisturbed.get(&alert.id.0) {
            None => wrong.push(format!(
                "I2: alert {:032x} rang, and not in the undisturbed run",
                alert.id.0
            )),
            Some(other) if *other != alert => {
                wrong.push(format!(
                    "I2: alert {:032x} says other figures than the undisturbed run",
                    alert.id.0
                ));
            }
            Some(_) => {}
        }
        rung.insert(alert.id.0);
    }
    for id in undisturbed.keys().filter(|id| !rung.contains(id)) {
        wrong.push(format!("I2: alert {id:032x} of the undisturbed run did not ring"));
    }
}

/// What one group says to another is in the log of that other.
fn check_onward(undisturbed: &Undisturbed, logs: &[Vec<Record>], wrong: &mut Vec<String>) {
    let values = || logs.iter().flatten().filter_map(|record| record.value.as_deref());
    for said in &undisturbed.onward {
        if !values().any(|value| value == said) {
            let said = SightingsRecord::decode(said);
            wrong.push(format!("I1: what was said to another group is lost: {said:?}"));
        }
    }
    for (place, newest) in &undisturbed.deltas {
        // The family that a member has left does without its last figures: they go to the one it is in.
        if family_in_the_end(undisturbed, place.1, place.2) != Some(place.0) {
            continue;
        }
        let arrived = values().any(|value| match SightingsRecord::decode(value) {
            Ok(SightingsRecord::Delta(delta)) => {
                (delta.family, delta.member, delta.class) == *place && delta.number >= *newest
            }
            _ => false,
        });
        if !arrived {
            wrong.push(format!("I1: figures {newest} of {place:?} are lost"));
        }
    }
}

fn family_in_the_end(undisturbed: &Undisturbed, content: ContentId, class: Class) -> Option<FamilyId> {
    let group = undisturbed
        .partition
        .states()
        .find(|group| group.id() == content.group())?;
    let record = |class| group.kept(HotKey { content, class });
    record(class).or(record(Class::All)).map(HotRecord::family)
}

/// Every unit is its owner's, and they stand in the order of the owners.
fn check_owners(broker: &Broker, wrong: &mut Vec<String>) {
    let mut epochs = BTreeMap::new();
    for ended in &broker.ended {
        for (place, (held, newest)) in &ended.owned {
            if *held != Some(*newest) {
                let (process, number) = (ended.process, place.partition);
                wrong.push(format!(
                    "I4: process {process} wrote partition {number}, which it held in epoch {held:?} of {newest}"
                ));
            }
            epochs.insert((ended.transaction, place.partition), held.unwrap_or(0));
        }
    }
    for number in 0..PLAYED {
        let mut before = 0;
        for entry in broker.committed(&TopicPartition::new(topics::STATE, number)) {
            let is_header = entry
                .record
                .key
                .as_deref()
                .is_some_and(|key| matches!(StateKey::from_bytes(key), Some(StateKey::Header { .. })));
            let epoch = entry.transaction.and_then(|id| epochs.get(&(id, number)));
            let Some(epoch) = epoch.filter(|_| is_header) else {
                continue;
            };
            if *epoch < before {
                let offset = entry.record.offset;
                wrong.push(format!(
                    "I4: at offset {offset} of the state of partition {number} the owner of epoch {epoch} wrote behind that of {before}"
                ));
            }
            before = before.max(*epoch);
        }
    }
}

/// Restores every partition from what stands, undisturbed.
pub fn restore_all(
    log: &dyn tocsin_log::Log,
    setting: &Arc<Setting>,
    epoch: KeyEpoch,
) -> Vec<Result<tocsin_detector::Partition, String>> {
    let config = setting.setup.group_config(&setting.detector);
    let restore = |number| {
        let restored = tocsin_detector::restore(log, number, setting.setup.partitions, &config, epoch, &|| false);
        restored
            .map(|(partition, _)| partition)
            .map_err(|error| tocsin_runtime::roles::chain(&error))
    };
    (0..PLAYED).map(restore).collect()
}
