//! Intake and the detector's partitions in memory, as the topics between them would join them, and everything that comes out of them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};
use tocsin_detector::{DetectorConfig, DetectorSetup, FamilyNews, Partition};
use tocsin_intake::{Intake, IntakeConfig, IntakeSetup};
use tocsin_log::{Headers, RecordRef, StampedBy};
use tocsin_model::{Class, GroupId, KEY_GROUPS, KeyEpoch, Milliseconds, PartitionCount, SourceId, Timestamp};
use tocsin_velocity::{Group, GroupConfig, Output};
use tocsin_wire::{Names, Schemas, SightingsRecord, alert, family, topics};

use super::recording::Recording;

/// How a run deals the recording out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dealing {
    pub(super) partitions: u16,
    /// Events that intake reads before it closes its blocks, and so what a detector applies and hands over at once.
    pub(super) batch: usize,
    /// Before the records at these places every group is taken apart into bytes and read from them. Ascending.
    pub(super) restores: Vec<usize>,
}

/// What a run does where a test has it do something else.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) config: fn(&Dealing, GroupConfig) -> GroupConfig,
    pub(super) restored: fn(&Group, &GroupConfig) -> Result<Group>,
}

impl Rules {
    /// The program as it is.
    pub(super) const AS_BUILT: Rules = Rules {
        config: |_, config| config,
        restored: |group, config| read_anew(group, config, |_| true),
    };
}

/// A group from the bytes of its snapshot, of which cold counts of these classes alone are read.
pub(super) fn read_anew(group: &Group, config: &GroupConfig, is_read: fn(Class) -> bool) -> Result<Group> {
    let empty = || Group::encode_cold(&tocsin_sketch::ColdCounts::new(config.cold));
    let cold = group.cold().map(|(class, cold)| match is_read(class) {
        true => (class, Group::encode_cold(cold)),
        false => (class, empty()),
    });
    let cold: BTreeMap<Class, Vec<u8>> = cold.collect();
    Group::decode(config.clone(), &group.encode_core(), &cold).context("a group reads what it wrote")
}

/// What came out of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Of all alerts, ascending.
    pub(super) alert_ids: Vec<String>,
    /// Records of alerts, of families and from group to group, ascending: the order between groups is no part of what they say, and the orders that are stand beside.
    pub(super) outputs: Vec<Vec<u8>>,
    /// What readers of a topic must be shown one after the other: see [`Said::say`].
    orders: BTreeMap<Order, Vec<[u8; 32]>>,
    /// Of those, how many went from group to group.
    pub(super) onward: u64,
    /// A digest of the bytes of all groups in the end.
    pub(super) state: String,
    /// Groups that were read anew.
    pub(super) groups_restored: u64,
    pub(super) refused: u64,
}

/// Of what the records are that readers are shown in one order, however the recording is dealt out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    /// Alerts of the families of a key group: an episode is raised before it grows, and grows before it ends. Those of two groups stand in `tocsin.alerts` as their
    /// units were committed, in no order that says anything.
    AlertsOf(GroupId),
    /// Records of the topic of families under one key, of which the last one counts.
    FamilyNewsOf(Vec<u8>),
}

impl Said {
    /// Notes a record that is shown to readers, behind those of the same order.
    fn say(&mut self, order: Order, record: Vec<u8>) {
        let digest = Sha256::digest(&record).into();
        self.orders.entry(order).or_default().push(digest);
        self.outputs.push(record);
    }

    /// Of the orders in which alerts of each key group, and announcements and withdrawals under each key, were said.
    pub(super) fn orders_digest(&self) -> String {
        let mut digest = Sha256::new();
        for (order, records) in &self.orders {
            match order {
                Order::AlertsOf(group) => digest.update(group.0.to_le_bytes()),
                Order::FamilyNewsOf(key) => digest.update(key),
            }
            digest.update((records.len() as u64).to_le_bytes());
            records.iter().for_each(|record| digest.update(record));
        }
        hex::encode(digest.finalize())
    }

    /// Of the ids of alerts, as `tocsin evaluate elections` makes it.
    pub(super) fn ids_digest(&self) -> String {
        hex::encode(Sha256::digest(self.alert_ids.join("\n").as_bytes()))
    }

    /// Of the bytes of all outputs.
    pub(super) fn outputs_digest(&self) -> String {
        digest_of(&self.outputs)
    }
}

fn digest_of<'a>(parts: impl IntoIterator<Item = &'a Vec<u8>>) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    hex::encode(digest.finalize())
}

/// Time is told to all groups this often, and then what they say to one another and to intake is handed over. Where it stands in the input of the
/// group that hears it is part of the recording, so it must not follow from how the recording is dealt out.
const TICK_EVERY: Milliseconds = Milliseconds::from_minutes(1);
/// Time goes on so long after the last record, so that episodes end.
const SETTLES: Milliseconds = Milliseconds::from_hours(12);
/// Few enough hot contents that they make room for one another.
const HOT_LIMIT: u32 = 2_048;

/// Plays the recording in one way.
///
/// # Errors
/// A group cannot read what it wrote, or an event is rejected: the recording is none.
pub(super) fn play(recording: &Recording, dealing: &Dealing, rules: Rules) -> Result<Said> {
    let mut path = Path::new(recording, dealing, rules)?;
    let (mut controls, mut restores) = (recording.controls.iter().peekable(), dealing.restores.iter().peekable());
    let mut waiting = 0;
    for (place, record) in recording.records.iter().enumerate() {
        path.pass(record.received_at);
        while let Some(control) = controls.next_if(|control| control.before == place) {
            path.control(&control.said);
        }
        if restores.next_if(|restore| **restore == place).is_some() {
            path.restore()?;
        }
        let source = &path.sources[usize::from(record.party)];
        path.intake.record(
            source.id,
            RecordRef {
                topic: &source.topic,
                partition: 0,
                offset: place as u64,
                appended_at_ms: record.received_at.0,
                stamped_by: StampedBy::Log,
                key: None,
                value: Some(&record.value),
                headers: Headers::Slice(&[]),
            },
        );
        waiting += 1;
        if waiting >= dealing.batch {
            path.intake.flush();
            waiting = 0;
        }
        path.deliver();
    }
    // What follows from what is said last is said and heard within some ticks.
    let last = recording
        .records
        .last()
        .map_or(recording.ends_at, |last| last.received_at);
    let ticks = SETTLES.0 / TICK_EVERY.0;
    (1..=ticks).for_each(|tick| path.pass(last + Milliseconds(tick * TICK_EVERY.0)));
    path.finish()
}

struct Path<'a> {
    dealing: &'a Dealing,
    rules: Rules,
    intake: Intake,
    sources: Vec<Source>,
    partitions: Vec<Partition>,
    config: GroupConfig,
    names: Names,
    /// The next offset of each partition of the sightings.
    ends: Vec<u64>,
    ticked: Timestamp,
    /// What groups say to one another and has not been handed over.
    onward: Vec<Output>,
    /// The same of records for intake: what groups announce, and what intake tells itself.
    news: Vec<News>,
    told_itself: Vec<News>,
    said: Said,
}

struct Source {
    id: SourceId,
    topic: String,
}

/// A record of the topic of families: its key and its value.
type News = (Vec<u8>, Option<Vec<u8>>);

impl<'a> Path<'a> {
    fn new(recording: &Recording, dealing: &'a Dealing, rules: Rules) -> Result<Self> {
        let partitions = PartitionCount::new(dealing.partitions).context("no such number of partitions")?;
        let intake_config = IntakeConfig::default();
        let setup = IntakeSetup {
            key: recording.key.clone(),
            epoch: KeyEpoch(0),
            partitions,
            memory: Default::default(),
        };
        let mut intake = Intake::new(&intake_config, setup, Schemas::builtin().clone());
        let mut sources = Vec::new();
        for party in &recording.parties {
            sources.push(Source {
                id: intake.source_id(u64::from(party.id.0), 0),
                topic: topics::ingest_name(&party.name),
            });
            intake.registry_mut().put(party.clone());
        }
        let detector = DetectorConfig {
            hot_limit: HOT_LIMIT,
            ..DetectorConfig::default()
        };
        let setup = DetectorSetup {
            instance: String::new(),
            key: recording.key.clone(),
            epoch: KeyEpoch(0),
            partitions,
            lateness: intake_config.lateness(),
        };
        let config = (rules.config)(dealing, setup.group_config(&detector));
        let numbers = 0..u32::from(dealing.partitions);
        Ok(Path {
            dealing,
            rules,
            intake,
            sources,
            partitions: numbers
                .map(|number| Partition::new(number, partitions, &config, 0))
                .collect(),
            config,
            names: recording.names(),
            ends: vec![0; usize::from(dealing.partitions)],
            ticked: Timestamp::MIN,
            onward: Vec::new(),
            news: Vec::new(),
            told_itself: Vec::new(),
            said: Said::default(),
        })
    }

    /// Before anything is received at this time or later: everything read is applied, what was said is heard, and a tick tells the time.
    fn pass(&mut self, now: Timestamp) {
        let tick = now.floor_to(TICK_EVERY);
        if tick <= self.ticked {
            return;
        }
        self.intake.flush();
        self.deliver();
        self.hand_over();
        self.ticked = tick;
        self.intake.tick();
        self.deliver();
    }

    /// People or the dispatcher say something, after all that was read.
    fn control(&mut self, said: &SightingsRecord<'_>) {
        self.intake.flush();
        self.deliver();
        let value = said.encode();
        let partition = |group| PartitionCount::new(self.dealing.partitions).map(|count| count.partition_of(group));
        let to = match said {
            SightingsRecord::Watch(watch) => partition(watch.content.group()),
            SightingsRecord::Decision(decision) => partition(decision.family.home()),
            _ => None,
        };
        match to {
            Some(partition) => self.append(partition, &value),
            None => (0..u32::from(self.dealing.partitions)).for_each(|partition| self.append(partition, &value)),
        }
    }

    /// Applies what intake has for the groups.
    fn deliver(&mut self) {
        for append in self.intake.take() {
            let value = append.value.as_deref();
            match (&*append.to.topic, value) {
                (topics::SIGHTINGS, Some(value)) => self.append(append.to.partition, value),
                (topics::FAMILIES, value) => {
                    let key = append.key.as_deref().unwrap_or_default().to_vec();
                    self.told_itself.push((key, value.map(<[u8]>::to_vec)));
                }
                _ => self.said.refused += 1,
            }
        }
    }

    /// Applies a record, and takes what the unit that ends with it would say and write.
    fn append(&mut self, number: u32, value: &[u8]) {
        let place = number as usize;
        let offset = self.ends[place];
        self.ends[place] += 1;
        let partition = &mut self.partitions[place];
        partition.apply(RecordRef {
            topic: topics::SIGHTINGS,
            partition: number,
            offset,
            appended_at_ms: self.ticked.0,
            stamped_by: StampedBy::Log,
            key: None,
            value: Some(value),
            headers: Headers::Slice(&[]),
        });
        if !partition.has_outputs() {
            return;
        }
        partition.states_mut().for_each(|group| drop(group.take_changed()));
        self.said.refused += partition.take_counters().1;
        let outputs = partition.take_outputs();
        for alert in outputs.alerts {
            self.said.alert_ids.push(format!("{:032x}", alert.said.id.0));
            let order = Order::AlertsOf(alert.said.family.home());
            self.said.say(order, alert::encode(&alert.said, &self.names));
        }
        for news in outputs.families {
            let news = match news {
                FamilyNews::Announced(told) => (family::key(told.content, told.class), Some(family::encode(&told))),
                FamilyNews::Withdrawn(gone) => (family::key(gone.content, gone.class), None),
            };
            let record = [&news.0[..], news.1.as_deref().unwrap_or_default()].concat();
            self.said.say(Order::FamilyNewsOf(news.0.clone()), record);
            self.news.push(news);
        }
        self.onward.extend(outputs.onward.into_iter().map(|said| said.said));
    }

    /// Intake hears of families, groups hear of one another. Each kind in an order of its own that no dealing has a part in: deltas by family, member and
    /// number, links and decisions by their bytes. So that an answer depends on which of two groups was heard first is not found here.
    fn hand_over(&mut self) {
        let mut news = std::mem::take(&mut self.news);
        news.sort_by(|(one, _), (other, _)| one.cmp(other));
        news.append(&mut self.told_itself);
        for (offset, (key, value)) in news.iter().enumerate() {
            let heard = self.intake.news(&RecordRef {
                topic: topics::FAMILIES,
                partition: 0,
                offset: offset as u64,
                appended_at_ms: self.ticked.0,
                stamped_by: StampedBy::Log,
                key: Some(key),
                value: value.as_deref(),
                headers: Headers::Slice(&[]),
            });
            self.said.refused += u64::from(heard.is_none());
        }
        self.deliver();
        let onward = std::mem::take(&mut self.onward);
        let mut onward: Vec<_> = onward.into_iter().filter_map(addressed).collect();
        onward.sort_by(|one, other| Ord::cmp(&one.order, &other.order));
        for said in onward {
            self.said.onward += 1;
            let count = PartitionCount::new(self.dealing.partitions).expect("it was one before");
            self.append(count.partition_of(said.to), &said.value);
            self.said.outputs.push(said.value);
        }
    }

    /// Takes every group apart into bytes and puts it together again.
    fn restore(&mut self) -> Result<()> {
        for group in self.partitions.iter_mut().flat_map(Partition::states_mut) {
            *group = (self.rules.restored)(group, &self.config)?;
            self.said.groups_restored += 1;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Said> {
        ensure!(self.said.refused == 0, "{} records were refused", self.said.refused);
        let mut groups: Vec<&Group> = self.partitions.iter().flat_map(Partition::states).collect();
        groups.sort_by_key(|group| group.id());
        ensure!(groups.len() == usize::from(KEY_GROUPS), "a group is nowhere or twice");
        let bytes = |group: &Group| {
            let cold = group.cold().map(|(_, cold)| Group::encode_cold(cold));
            std::iter::once(group.encode_core()).chain(cold.collect::<Vec<_>>())
        };
        let bytes: Vec<Vec<u8>> = groups.into_iter().flat_map(bytes).collect();
        self.said.state = digest_of(&bytes);
        self.said.alert_ids.sort_unstable();
        self.said.outputs.sort_unstable();
        Ok(self.said)
    }
}

/// What one group says to another, as a record of its input.
struct Addressed {
    to: tocsin_model::GroupId,
    /// By kind, by what it is about and how far that is.
    order: (u8, Vec<u8>),
    value: Vec<u8>,
}

fn addressed(said: Output) -> Option<Addressed> {
    let (to, kind, record) = match said {
        Output::Delta(delta) => (delta.family.home(), 0, SightingsRecord::Delta(delta)),
        Output::Link(link) => (link.content.group(), 1, SightingsRecord::Link(link)),
        Output::Decision(decision) => (decision.family.home(), 2, SightingsRecord::Decision(decision)),
        Output::Alert(_) | Output::Announcement(_) | Output::Withdrawal(_) => return None,
    };
    let value = record.encode();
    let about = match &record {
        SightingsRecord::Delta(delta) => {
            let mut about = delta.family.0.0.to_be_bytes().to_vec();
            about.extend(delta.member.0.to_be_bytes());
            about.extend(delta.class.number().to_be_bytes());
            about.extend(delta.number.to_be_bytes());
            about
        }
        _ => value.clone(),
    };
    Some(Addressed {
        to,
        order: (kind, about),
        value,
    })
}

#[cfg(test)]
mod tests {
    //! Goal: an order that matters to readers is compared, and one that does not is not.
    use super::*;

    #[test]
    fn orders_are_those_of_a_group_and_of_a_key() {
        let said = |records: &[(Order, u8)]| {
            let mut said = Said::default();
            for (order, record) in records {
                said.say(order.clone(), vec![*record]);
            }
            said.outputs.sort_unstable();
            (said.outputs_digest(), said.orders_digest())
        };
        let (one, other) = (Order::AlertsOf(GroupId(1)), Order::AlertsOf(GroupId(2)));
        let news = Order::FamilyNewsOf(b"key".to_vec());
        let first = said(&[
            (one.clone(), 1),
            (one.clone(), 2),
            (other.clone(), 3),
            (news.clone(), 4),
            (news.clone(), 5),
        ]);
        let dealt_otherwise = [
            (news.clone(), 4),
            (other.clone(), 3),
            (one.clone(), 1),
            (news.clone(), 5),
            (one.clone(), 2),
        ];
        assert_eq!(said(&dealt_otherwise), first, "between groups and topics there is none");
        let grown_before_raised = [
            (one.clone(), 2),
            (one, 1),
            (other.clone(), 3),
            (news.clone(), 4),
            (news.clone(), 5),
        ];
        let (outputs, orders) = said(&grown_before_raised);
        assert!(outputs == first.0 && orders != first.1, "of one group");
        let (outputs, orders) = said(&[
            (Order::AlertsOf(GroupId(1)), 1),
            (Order::AlertsOf(GroupId(1)), 2),
            (other, 3),
            (news.clone(), 5),
            (news, 4),
        ]);
        assert!(outputs == first.0 && orders != first.1, "of one key");
    }
}
