//! An intake without a log: records in, what it would append out.

use bytes::Bytes;
use tocsin_intake::{Intake, IntakeConfig, IntakeSetup, SourceState, TimeSource};
use tocsin_log::{Append, Header, Headers, RecordRef, StampedBy};
use tocsin_model::{
    Algorithm, ClockFlag, ContentHash, ContentId, DeploymentKey, Event, EventId, KeyEpoch, Kind, Link, PartitionCount,
    PartyId, PlatformId, Sharing, SourceCoordinate, SourceId, Surface, Timestamp,
};
use tocsin_wire::block::BlockReader;

use tocsin_wire::{PartyRecord, PlatformRecord, Reject, SightingsRecord, TickTime, topics};

/// 2026-03-15T12:00:00Z.
pub const NOON: i64 = 1_773_576_000_000;
pub const MINUTE: i64 = 60_000;
pub const ALPHA: PartyId = PartyId(1);
pub const SOURCE: SourceId = SourceId(7);
pub const PARTITIONS: u16 = 4;

pub struct Bench {
    pub intake: Intake,
    pub stamped_by: StampedBy,
    pub next_offset: u64,
}

/// What was appended, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Block {
        partition: u32,
        sightings: Vec<Seen>,
        trace: Option<String>,
    },
    Link(u32, Link),
    Tick(u32, TickTime),
    Decision(u32, u128),
    Reject(Reject),
    /// A record of `tocsin.families`: key and value.
    Family(Vec<u8>, Option<Vec<u8>>),
}

/// What a sighting says, without what the tests do not look at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    pub source: SourceCoordinate,
    pub event_token: u64,
    pub party: PartyId,
    pub platform: PlatformId,
    pub sharing: Sharing,
    pub clock: ClockFlag,
    pub occurred_at: Timestamp,
    pub received_at: Timestamp,
    pub content: ContentId,
}

impl Bench {
    pub fn new(time_source: TimeSource) -> Bench {
        let config = IntakeConfig {
            time_source,
            ..IntakeConfig::default()
        };
        Bench::with(&config)
    }

    pub fn with(config: &IntakeConfig) -> Bench {
        let setup = IntakeSetup {
            key: key(),
            epoch: KeyEpoch(0),
            partitions: PartitionCount::new(PARTITIONS).unwrap(),
            memory: Default::default(),
        };
        let mut intake = Intake::new(config, setup, config.schemas()).with_mappings(config.mappings().unwrap());
        for (id, name, platforms) in [
            (1, "alpha", &["alpha-video", "alpha-chat"][..]),
            (2, "beta", &["beta-social"]),
        ] {
            intake.registry_mut().put(party(id, name, platforms));
        }
        intake.begin_source(SOURCE, SourceState::default());
        Bench {
            intake,
            stamped_by: StampedBy::Log,
            next_offset: 0,
        }
    }

    /// Reads a record of alpha's topic, appended at `at`.
    pub fn read(&mut self, at: i64, value: Option<&[u8]>) {
        self.read_from("tocsin.ingest.alpha", at, value, &[]);
    }

    pub fn read_from(&mut self, topic: &str, at: i64, value: Option<&[u8]>, headers: &[(&str, &str)]) {
        let header = |(name, value): &(&str, &str)| Header {
            name: (*name).to_owned(),
            value: Bytes::copy_from_slice(value.as_bytes()),
        };
        let headers: Vec<Header> = headers.iter().map(header).collect();
        let record = RecordRef {
            topic,
            partition: 3,
            offset: self.next_offset,
            appended_at_ms: at,
            stamped_by: self.stamped_by,
            key: None,
            value,
            headers: Headers::Slice(&headers),
        };
        self.intake.record(SOURCE, record);
        self.next_offset += 1;
    }

    /// Reads a record of `tocsin.families`.
    pub fn read_family(&mut self, key: &[u8], value: Option<&[u8]>) {
        let record = RecordRef {
            topic: topics::FAMILIES,
            partition: 0,
            offset: 0,
            appended_at_ms: NOON,
            stamped_by: StampedBy::Log,
            key: Some(key),
            value,
            headers: Headers::Slice(&[]),
        };
        self.intake.news(&record).unwrap();
    }

    /// Closes the open blocks and takes everything said.
    pub fn said(&mut self) -> Vec<Said> {
        self.intake.flush();
        self.intake.take().iter().map(said).collect()
    }

    /// What was said, as sightings in the order of their source, and rejects.
    pub fn judged(&mut self) -> (Vec<Seen>, Vec<Reject>) {
        let (mut seen, mut rejects) = (Vec::new(), Vec::new());
        for said in self.said() {
            match said {
                Said::Block { sightings, .. } => seen.extend(sightings),
                Said::Reject(reject) => rejects.push(reject),
                _ => {}
            }
        }
        seen.sort_by_key(|seen| seen.source);
        (seen, rejects)
    }
}

/// Offset, index and code of each reject.
pub fn places(rejects: &[Reject]) -> Vec<(u64, u32, &str)> {
    let place = |reject: &Reject| (reject.source.offset, reject.source.index);
    let places = rejects.iter().map(|reject| (place(reject), &*reject.code));
    places.map(|((offset, index), code)| (offset, index, code)).collect()
}

pub fn key() -> DeploymentKey {
    DeploymentKey::from_bytes([7; 32])
}

pub fn party(id: u16, name: &str, platforms: &[&str]) -> PartyRecord {
    let platform = |(number, name): (usize, &&str)| PlatformRecord {
        id: PlatformId(id * 10 + number as u16),
        name: name.parse().unwrap(),
    };
    PartyRecord {
        id: PartyId(id),
        name: name.parse().unwrap(),
        platforms: platforms.iter().enumerate().map(platform).collect(),
        revoked: false,
    }
}

/// A share of content `number` for all to see.
pub fn share(id: u128, number: usize, occurred_at: i64) -> Event {
    Event {
        event_id: EventId(id.to_be_bytes()),
        platform: "alpha-video".parse().unwrap(),
        kind: Kind::Share,
        occurred_at: Timestamp(occurred_at),
        content: vec![content(number)],
        same_as: Vec::new(),
        frames: Vec::new(),
        account: None,
        account_epoch: 0,
        region: None,
        language: None,
        audience: None,
        surface: Surface::Feed,
        labels: Vec::new(),
        sharing: Sharing::All,
    }
}

pub fn content(number: usize) -> ContentHash {
    ContentHash::parse(Algorithm::Url, &format!("https://tests.invalid/{number}"), None).unwrap()
}

/// The partition where a content lives.
pub fn home(number: usize) -> u32 {
    let group = key().content_id(&content(number)).group();
    PartitionCount::new(PARTITIONS).unwrap().partition_of(group)
}

fn said(append: &Append) -> Said {
    if &*append.to.topic == topics::FAMILIES {
        let key = append.key.as_ref().unwrap().to_vec();
        return Said::Family(key, append.value.as_ref().map(|value| value.to_vec()));
    }
    let value = append.value.as_deref().unwrap();
    if &*append.to.topic == topics::REJECTS {
        return Said::Reject(Reject::decode(value).unwrap());
    }
    assert_eq!(&*append.to.topic, topics::SIGHTINGS);
    let partition = append.to.partition;
    match SightingsRecord::decode(value).unwrap() {
        SightingsRecord::Block(block) => {
            let mut scratch = Vec::new();
            let reader = BlockReader::new(&block, &mut scratch).unwrap();
            let trace = append.headers.iter().find(|header| header.name == "traceparent");
            Said::Block {
                partition,
                sightings: reader.sightings().map(|sighting| seen(&sighting)).collect(),
                trace: trace.map(|header| String::from_utf8(header.value.to_vec()).unwrap()),
            }
        }
        SightingsRecord::Link(link) => Said::Link(partition, link),
        SightingsRecord::Tick(time) => Said::Tick(partition, time),
        SightingsRecord::Decision(decision) => Said::Decision(partition, decision.id.0),
        SightingsRecord::Delta(_)
        | SightingsRecord::Calibration(_)
        | SightingsRecord::Watch(_)
        | SightingsRecord::Weighing(_) => {
            panic!("intake knows no figures, calibrations or watch list")
        }
    }
}

fn seen(sighting: &tocsin_model::Sighting<'_>) -> Seen {
    Seen {
        source: sighting.source,
        event_token: sighting.event_token,
        party: sighting.party,
        platform: sighting.platform,
        sharing: sighting.sharing,
        clock: sighting.clock,
        occurred_at: sighting.occurred_at,
        received_at: sighting.received_at,
        content: sighting.content,
    }
}
