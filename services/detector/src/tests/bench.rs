//! A log with the topics of a detector, input for it, and its state as tests write and read it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
use tocsin_log::{
    Append, AppenderOptions, Cleanup, Durability, GroupOptions, GroupReader, Log, Record, TopicPartition, TopicSpec,
    Unit,
};
use tocsin_model::{
    AccountToken, Alert, Algorithm, Class, ClockFlag, ContentHash, DeploymentKey, GroupId, HashRef, KeyEpoch, Kind,
    Milliseconds, PartitionCount, PartyId, PlatformId, Sharing, Sighting, SourceCoordinate, SourceId, Surface,
    Timestamp,
};
use tocsin_velocity::{Group, HotKey};
use tocsin_wire::block::{BlockWriter, SightingNames};
use tocsin_wire::state::{StateKey, StateRecord};
use tocsin_wire::{Names, SightingsRecord, TickTime, topics};

use crate::checkpoint::StateUnit;
use crate::config::{DetectorConfig, DetectorSetup};
use crate::error::DetectorError;
use crate::partition::{Partition, TopicIds};
use crate::restore::{Outbox, Restored, restore_of};

/// 2026-03-15T12:00:00Z.
pub const NOON: i64 = 1_773_576_000_000;
pub const SECOND: i64 = 1_000;
/// The partition under test. The other one is there so that groups and partitions are not the same thing.
pub const NUMBER: u32 = 1;
pub const EPOCH: KeyEpoch = KeyEpoch(3);

pub struct Bench {
    pub log: std::sync::Arc<EmbeddedLog>,
    pub config: DetectorConfig,
    pub setup: DetectorSetup,
    _directory: tempfile::TempDir,
    events: u64,
}

const TOPICS: [(&str, u32, Cleanup); 7] = [
    (topics::SIGHTINGS, 2, Cleanup::Delete),
    (topics::STATE, 2, Cleanup::Compact),
    (topics::CHECKPOINTS, 2, Cleanup::Delete),
    (topics::ALERTS, 1, Cleanup::Delete),
    (topics::FAMILIES, 1, Cleanup::Compact),
    (topics::POPULATIONS, 1, Cleanup::Compact),
    (topics::PARTIES, 1, Cleanup::Compact),
];

fn spec((name, partitions, cleanup): &(&str, u32, Cleanup), sightings_retention_ms: Option<u64>) -> TopicSpec {
    TopicSpec {
        name: (*name).to_owned(),
        partitions: *partitions,
        cleanup: *cleanup,
        retention_ms: sightings_retention_ms.filter(|_| *name == topics::SIGHTINGS),
        record_bytes_max: 8 << 20,
        may_grow: false,
        compaction: None,
    }
}

/// What a group is: its state's bytes.
pub type GroupState = (Vec<u8>, BTreeMap<Class, Vec<u8>>);

impl Bench {
    pub fn new() -> Bench {
        Bench::with(EmbeddedOptions::default(), None)
    }

    pub fn with(options: EmbeddedOptions, sightings_retention_ms: Option<u64>) -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(directory.path(), options).unwrap();
        let specs: Vec<TopicSpec> = TOPICS.iter().map(|topic| spec(topic, sightings_retention_ms)).collect();
        log.ensure_topics(&specs).unwrap();
        Bench {
            log: std::sync::Arc::new(log),
            config: DetectorConfig {
                promote_at: 1,
                sketch_width: 16,
                commit_interval_ms: 10,
                state_interval_ms: 100,
                ..DetectorConfig::default()
            },
            setup: DetectorSetup {
                instance: "tests".to_owned(),
                key: DeploymentKey::from_bytes([7; 32]),
                epoch: EPOCH,
                partitions: PartitionCount::new(2).unwrap(),
                lateness: Milliseconds::from_minutes(120),
            },
            _directory: directory,
            events: 0,
        }
    }

    /// A partition that has seen nothing.
    pub fn fresh(&self) -> Partition {
        let config = self.setup.group_config(&self.config);
        let mut partition = Partition::new(NUMBER, self.setup.partitions, &config, 0);
        partition.set_topics(TopicIds::of(self.log.as_ref()).unwrap());
        partition
    }

    /// Deletes a topic and makes it anew, with those records of the partition under test, or of its only one, that are kept.
    pub fn make_anew(&self, topic: &str, is_kept: impl Fn(&Record) -> bool) {
        let of_name = TOPICS.iter().find(|(name, ..)| *name == topic).unwrap();
        let number = NUMBER.min(of_name.1 - 1);
        let records = self.records(topic, number);
        self.log.delete_topics(&[topic]).unwrap();
        self.log.ensure_topics(&[spec(of_name, None)]).unwrap();
        for record in records.into_iter().filter(is_kept) {
            let value = record.value.unwrap().to_vec();
            self.append_to(TopicPartition::new(topic, number), record.key, value);
        }
    }

    pub fn restore(&self) -> Result<Partition, DetectorError> {
        self.restore_as(self.setup.partitions, EPOCH)
            .map(|(partition, _)| partition)
    }

    pub fn restore_as(
        &self,
        partitions: PartitionCount,
        epoch: KeyEpoch,
    ) -> Result<(Partition, Timestamp), DetectorError> {
        self.restore_on(self.log.as_ref(), partitions, epoch)
    }

    /// The same on this log instead of the bench's.
    pub fn restore_on(
        &self,
        log: &dyn Log,
        partitions: PartitionCount,
        epoch: KeyEpoch,
    ) -> Result<(Partition, Timestamp), DetectorError> {
        let of = Restored {
            partitions,
            epoch,
            cache: None,
            ..self.restored(NUMBER)
        };
        restore_of(log, of, &|| false)
    }

    /// A URL's content that lives in the partition under test.
    pub fn content(&self, number: usize) -> ContentHash {
        let url =
            |number| ContentHash::parse(Algorithm::Url, &format!("https://tests.invalid/{number}"), None).unwrap();
        let here = |hash: &ContentHash| {
            let group = self.setup.key.content_id(hash).group();
            self.setup.partitions.partition_of(group) == NUMBER
        };
        (0..).map(url).filter(here).nth(number).unwrap()
    }

    /// A block of one share by one account for each of these contents, all at once.
    pub fn shares(&mut self, at: i64, contents: &[usize]) {
        let shares: Vec<(i64, usize)> = contents.iter().map(|content| (at, *content)).collect();
        self.block(&shares);
    }

    /// A block of shares at their times, each by an account of its own. How shares are dealt out to blocks changes nothing else of them.
    pub fn block(&mut self, shares: &[(i64, usize)]) {
        let mut writer = BlockWriter::new(EPOCH);
        for (at, content) in shares {
            self.events += 1;
            let hash = self.content(*content);
            let sighting = Sighting {
                source: SourceCoordinate {
                    source: SourceId(1),
                    offset: self.events,
                    index: 0,
                },
                event_token: self.events,
                party: PartyId(1),
                platform: PlatformId(1),
                kind: Kind::Share,
                sharing: Sharing::All,
                surface: Surface::Feed,
                clock: ClockFlag::Plausible,
                occurred_at: Timestamp(*at),
                received_at: Timestamp(*at),
                content: self.setup.key.content_id(&hash),
                hash: HashRef {
                    algorithm: hash.algorithm(),
                    value: hash.value(),
                },
                account: Some(AccountToken(self.events)),
                account_epoch: 0,
                audience: 0,
                region: [0; 2],
                language: [0; 2],
                tvec_confidence: Sighting::NO_LABEL,
            };
            let (party, platform) = ("alpha".parse().unwrap(), "alpha-video".parse().unwrap());
            let names = SightingNames {
                party: &party,
                platform: &platform,
            };
            writer.push(&sighting, names).unwrap();
        }
        let mut value = Vec::new();
        SightingsRecord::begin_block(&mut value);
        writer.finish(&mut value);
        self.append(topics::SIGHTINGS, None, value);
    }

    pub fn tick(&self, at: i64) {
        let tick = SightingsRecord::Tick(TickTime::At(Timestamp(at)));
        self.append(topics::SIGHTINGS, None, tick.encode());
    }

    /// The configuration of a restore of partition `number`.
    pub fn restored(&self, number: u32) -> Restored {
        Restored {
            number,
            partitions: self.setup.partitions,
            config: self.setup.group_config(&self.config),
            epoch: EPOCH,
            cache: self.config.cache(&self.setup),
            outbox: Outbox::Repeated,
            wait: |_| {},
        }
    }

    pub fn append(&self, topic: &str, key: Option<StateKey>, value: Vec<u8>) {
        let key = key.map(|key| Bytes::from(key.to_bytes()));
        self.append_to(TopicPartition::new(topic, NUMBER), key, value);
    }

    /// Puts an alert on the log, as a unit does.
    pub fn say(&self, alert: &Alert, names: &Names) {
        let key = Bytes::copy_from_slice(&alert.id.0.to_be_bytes());
        let value = tocsin_wire::alert::encode(alert, names);
        self.append_to(TopicPartition::new(topics::ALERTS, 0), Some(key), value);
    }

    /// The alerts on the log.
    pub fn said(&self) -> Vec<Alert> {
        let records = self.records(topics::ALERTS, 0).into_iter();
        let alert = |value: &[u8]| tocsin_wire::alert::decode(value).unwrap().alert;
        records.map(|record| alert(&record.value.unwrap())).collect()
    }

    pub fn append_to(&self, to: TopicPartition, key: Option<Bytes>, value: Vec<u8>) {
        let options = AppenderOptions {
            name: "tests".to_owned(),
            durability: Durability::Synced,
            gapless: false,
        };
        let record = Append {
            to,
            key,
            value: Some(Bytes::from(value)),
            headers: Vec::new(),
        };
        self.log.appender(options).unwrap().append(vec![record]).wait().unwrap();
    }

    /// Applies everything on the log that the partition has not seen.
    pub fn apply(&self, partition: &mut Partition) {
        for record in self.records(topics::SIGHTINGS, NUMBER) {
            if record.offset >= partition.next_offset() {
                partition.apply(tocsin_log::RecordRef {
                    topic: &record.from.topic,
                    partition: NUMBER,
                    offset: record.offset,
                    appended_at_ms: record.appended_at_ms,
                    stamped_by: tocsin_log::StampedBy::Log,
                    key: None,
                    value: record.value.as_deref(),
                    headers: tocsin_log::Headers::Slice(&record.headers),
                });
            }
        }
    }

    /// A unit as the shell commits it: always a header, hot changes and checkpoints as asked.
    pub fn write(&self, partition: &mut Partition, parts: &[Part], as_of: Timestamp) {
        let mut state = StateUnit::new(NUMBER, self.config.layout());
        if parts.contains(&Part::Changed) {
            state.add_changed(partition);
        }
        if parts.contains(&Part::Checkpoints) {
            let began_at = partition.next_offset();
            assert!(
                state.add_checkpoints(partition, began_at, self.config.audit_interval()),
                "all groups fit into one unit"
            );
        }
        self.commit(state.finish(partition, EPOCH, as_of));
    }

    /// A unit that has this to say to other partitions.
    pub fn write_saying(&self, partition: &mut Partition, said: &[Vec<u8>]) {
        let mut state = StateUnit::new(NUMBER, self.config.layout());
        state.set_onward(partition, said);
        self.commit(state.finish(partition, EPOCH, Timestamp(NOON)));
    }

    fn commit(&self, appends: Vec<Append>) {
        let unit = Unit {
            appends,
            positions: Vec::new(),
        };
        let member = self.member("writer");
        self.log
            .committer("writer")
            .unwrap()
            .commit(&member.membership(), unit)
            .unwrap();
        member.close();
    }

    pub fn member(&self, group: &str) -> Box<dyn GroupReader> {
        let options = GroupOptions {
            group: group.to_owned(),
            instance: "tests".to_owned(),
            topics: vec![topics::SIGHTINGS.to_owned()],
        };
        self.log.group_reader(options).unwrap()
    }

    /// All records of a partition.
    pub fn records(&self, topic: &str, number: u32) -> Vec<Record> {
        let place = TopicPartition::new(topic, number);
        let (begin, end) = self.log.bounds(&place).unwrap();
        let mut reader = self.log.tail_reader(&[(place.clone(), begin)]).unwrap();
        let mut records = Vec::new();
        while reader.position(&place).unwrap_or(begin) < end {
            let poll = reader.poll(Duration::from_millis(100), 1_000, &mut |record| {
                records.push(record.to_record())
            });
            poll.unwrap();
        }
        records
    }

    /// The state topic: the newest record of each key.
    pub fn state(&self) -> BTreeMap<StateKey, StateRecord> {
        self.state_of(NUMBER)
    }

    fn state_of(&self, number: u32) -> BTreeMap<StateKey, StateRecord> {
        let mut state = BTreeMap::new();
        for record in self.records(topics::STATE, number) {
            let key = StateKey::from_bytes(&record.key.unwrap()).unwrap();
            match record.value {
                Some(value) => state.insert(key, StateRecord::decode(&value).unwrap()),
                None => state.remove(&key),
            };
        }
        state
    }

    /// The hot records that readers of the state topic see, as bytes.
    pub fn hot_on_the_log(&self) -> BTreeMap<HotKey, Vec<u8>> {
        self.hot_on_the_log_of(NUMBER)
    }

    /// The same of another partition.
    pub fn hot_on_the_log_of(&self, number: u32) -> BTreeMap<HotKey, Vec<u8>> {
        let hot = |(key, record): (StateKey, StateRecord)| match key {
            StateKey::Hot { content, class, .. } => Some((HotKey { content, class }, record.body)),
            _ => None,
        };
        self.state_of(number).into_iter().filter_map(hot).collect()
    }
}

/// What a unit carries beside its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Changed,
    Checkpoints,
}

/// Every group's state, as bytes.
pub fn states(partition: &Partition) -> BTreeMap<GroupId, GroupState> {
    let state = |group: &Group| {
        let cold = group.cold().map(|(class, cold)| (class, Group::encode_cold(cold)));
        (group.encode_core(), cold.collect())
    };
    partition
        .groups()
        .map(|tracked| (tracked.group.id(), state(&tracked.group)))
        .collect()
}

/// Every group's hot records, as bytes.
pub fn hot(partition: &Partition) -> BTreeMap<HotKey, Vec<u8>> {
    let of_group = |group: &Group| {
        let body = |key: HotKey| {
            let mut out = tocsin_sketch::codec::Encoder::new();
            group.kept(key).unwrap().encode(&mut out);
            (key, out.finish())
        };
        group.kept_keys().into_iter().map(body).collect::<Vec<_>>()
    };
    partition
        .groups()
        .flat_map(|tracked| of_group(&tracked.group))
        .collect()
}

pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "gave up waiting until {what}"
        );
        std::thread::sleep(Duration::from_millis(5)); // poll: until the condition holds or its time is up
    }
}
