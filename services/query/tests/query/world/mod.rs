//! A small world for tests: key groups that count sightings in memory, and the records they would leave on the log.

use std::collections::BTreeMap;

use tocsin_model::{
    AccountToken, Alert, AlertId, Algorithm, Class, ClockFlag, ContentHash, ContentId, DeploymentKey, Evidence,
    FamilyId, FurtherHash, GroupId, Kind, Link, Milliseconds, PartitionCount, PartyId, PlatformId, Scope, Severity,
    Sharing, Sighting, SourceCoordinate, SourceId, Surface, Timestamp, ToldBy, Watch,
};
use tocsin_query::answer::{RankedFamilies, TRENDING_LIMIT_MAX, TrendingAnswer};
use tocsin_query::replica::{AlertLimits, Feed, Position, ReplicaLimits, ReplicaState, Skipped, decode};
use tocsin_sketch::ColdConfig;
use tocsin_sketch::codec::Encoder;
use tocsin_velocity::figures::WindowLength;
use tocsin_velocity::{Group, GroupConfig, HotKey, Input, Output};
use tocsin_wire::state::{StateHeader, StateKey, StateRecord};
use tocsin_wire::{Names, PartyRecord, PlatformRecord, family as wire_family};

#[path = "../../../../lib/model/tests/example/mod.rs"]
mod example;

/// 2023-11-14T22:13:20Z, the start of a bin of every width.
pub const START: i64 = 1_699_999_200_000;
pub const PARTITIONS: u16 = 4;

pub fn key() -> DeploymentKey {
    DeploymentKey::from_bytes([7; 32])
}

pub fn cold_config() -> ColdConfig {
    ColdConfig {
        width: 64,
        seed: 11,
        lateness: Milliseconds::from_hours(2),
    }
}

pub fn limits() -> ReplicaLimits {
    ReplicaLimits {
        hot_records_max: 10_000,
        announced_hashes_max: 10_000,
        alerts: AlertLimits {
            count_max: 100,
            age_ms_max: 3_600_000,
        },
    }
}

/// Contents from this number on are pictures; each differs from the one before in five bits.
pub const PICTURES: u8 = 200;

pub fn hash(content: u8) -> ContentHash {
    if let Some(variant) = content.checked_sub(PICTURES) {
        let mut bytes = [0x5a; 32];
        for bit in 0..usize::from(variant) * 5 {
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        return ContentHash::from_bytes(Algorithm::Pdq, bytes.to_vec(), Some(100)).unwrap();
    }
    ContentHash::from_bytes(Algorithm::Sha256, vec![content; 32], None).unwrap()
}

pub fn id(content: u8) -> ContentId {
    key().content_id(&hash(content))
}

/// One event, in the few fields the tests vary.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub content: u8,
    pub party: u16,
    pub sharing: Sharing,
    pub kind: Kind,
    pub account: u64,
    /// Milliseconds after the start.
    pub at: i64,
    pub audience: u32,
    pub region: [u8; 2],
    pub language: [u8; 2],
    pub surface: Surface,
}

pub fn seen(content: u8, party: u16, sharing: Sharing, at: i64) -> Seen {
    Seen {
        content,
        party,
        sharing,
        kind: Kind::Upload,
        account: at as u64,
        at,
        audience: 0,
        region: [0; 2],
        language: [0; 2],
        surface: Surface::Feed,
    }
}

/// A record for the log.
#[derive(Clone, Debug)]
pub struct Made {
    pub feed: Feed,
    pub partition: u32,
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

pub struct World {
    groups: BTreeMap<GroupId, Group>,
    offset: u64,
    families: Vec<Made>,
}

impl Default for World {
    fn default() -> Self {
        World {
            groups: (0..tocsin_model::KEY_GROUPS)
                .map(|group| (GroupId(group), Group::new(GroupId(group), group_config())))
                .collect(),
            offset: 0,
            families: Vec::new(),
        }
    }
}

fn group_config() -> GroupConfig {
    GroupConfig {
        key: key(),
        cold: cold_config(),
        hot_max: 16,
        promote_at: 3,
        retry_horizon: Milliseconds::from_minutes(130),
        shadow: None,
        retry_tokens_max: 10_000,
    }
}

impl World {
    pub fn see(&mut self, seen: Seen) {
        let hash = hash(seen.content);
        self.offset += 1;
        let sighting = Sighting {
            // Each party publishes into its own topic.
            source: SourceCoordinate {
                source: SourceId(u64::from(seen.party)),
                offset: self.offset,
                index: 0,
            },
            event_token: self.offset.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            party: PartyId(seen.party),
            platform: PlatformId(seen.party),
            kind: seen.kind,
            sharing: seen.sharing,
            surface: seen.surface,
            clock: ClockFlag::Plausible,
            occurred_at: Timestamp(START + seen.at),
            received_at: Timestamp(START + seen.at),
            content: id(seen.content),
            hash: hash.view(),
            account: Some(AccountToken((seen.account + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))),
            account_epoch: 0,
            audience: seen.audience,
            region: seen.region,
            language: seen.language,
            tvec_confidence: Sighting::NO_LABEL,
        };
        self.apply(id(seen.content).group(), Input::Sighting(&sighting));
    }

    pub fn see_many(&mut self, seen: Seen, count: i64) {
        for copy in 0..count {
            self.see(Seen {
                at: seen.at + copy * 1_000,
                account: seen.account + copy as u64,
                ..seen
            });
        }
    }

    pub fn link(&mut self, content: u8, family: u8, class: Class) {
        self.link_by(content, family, class, Evidence::PartyLink);
    }

    pub fn link_by(&mut self, content: u8, family: u8, class: Class, evidence: Evidence) {
        let link = Link {
            content: id(content),
            hash: hash(content),
            family: FamilyId(id(family)),
            evidence,
            party: Some(PartyId(1)),
            class,
            at: Timestamp(START),
        };
        self.apply(link.content.group(), Input::Link(&link));
    }

    /// Puts a content on the watch list, or takes it off.
    pub fn watch(&mut self, number: u64, content: u8, listed: Option<u8>) {
        self.watch_at(number, content, listed, 0);
    }

    pub fn watch_at(&mut self, number: u64, content: u8, listed: Option<u8>, at: i64) {
        let watch = Watch {
            number,
            content: id(content),
            hash: hash(content),
            listed: listed.and_then(Severity::new),
            source: "north".parse().unwrap(),
            at: Timestamp(START + at),
        };
        self.apply(watch.content.group(), Input::Watch(&watch));
    }

    pub fn tick(&mut self, at: i64) {
        for group in 0..tocsin_model::KEY_GROUPS {
            self.apply(GroupId(group), Input::Tick(Timestamp(START + at)));
        }
    }

    fn apply(&mut self, group: GroupId, input: Input<'_>) {
        let mut out = Vec::new();
        self.groups.get_mut(&group).unwrap().apply(input, &mut out);
        for output in out {
            match output {
                Output::Alert(_) => {}
                Output::Announcement(announcement) => {
                    let key = wire_family::key(announcement.content, announcement.class);
                    let value = wire_family::encode(&announcement);
                    self.families.push(family_record(key, Some(value)));
                }
                Output::Withdrawal(HotKey { content, class }) => {
                    self.families
                        .push(family_record(wire_family::key(content, class), None));
                }
                Output::Delta(delta) => self.apply(delta.family.home(), Input::Delta(&delta)),
                Output::Link(link) => self.apply(link.content.group(), Input::Link(&link)),
                Output::Decision(decision) => self.apply(decision.family.home(), Input::Decision(&decision)),
            }
        }
    }

    /// What was announced since the last time, what changed, then the cold counts in chunks, then a header for each partition.
    pub fn records(&mut self, at: i64) -> Vec<Made> {
        self.tick(at);
        let partitions = PartitionCount::new(PARTITIONS).unwrap();
        let applied_through = self.offset;
        let mut made = std::mem::take(&mut self.families);
        for (group, state) in &mut self.groups {
            let partition = partitions.partition_of(*group);
            for HotKey { content, class } in state.take_changed() {
                let value = state.kept(HotKey { content, class }).map(|record| {
                    let mut body = Encoder::new();
                    record.encode(&mut body);
                    state_value(applied_through, at, (0, 1), body.finish())
                });
                let key = StateKey::Hot {
                    group: *group,
                    content,
                    class,
                };
                made.push(state_record(partition, key, value));
            }
            for (class, cold) in state.cold() {
                let body = Group::encode_cold(cold);
                let chunks: Vec<&[u8]> = body.chunks(body.len().div_ceil(2)).collect();
                for (chunk, bytes) in chunks.iter().enumerate() {
                    let place = (chunk as u32, chunks.len() as u32);
                    let key = StateKey::Cold {
                        group: *group,
                        class,
                        chunk: place.0,
                    };
                    let value = state_value(applied_through, at, place, bytes.to_vec());
                    made.push(state_record(partition, key, Some(value)));
                }
            }
        }
        made.extend((0..u32::from(PARTITIONS)).map(|partition| header(partition, applied_through, at)));
        made
    }
}

pub fn header(partition: u32, next_offset: u64, at: i64) -> Made {
    header_since(partition, next_offset, next_offset, at)
}

/// A header whose partition was checkpointed before some of what it counts.
pub fn header_since(partition: u32, checkpoint_offset: u64, next_offset: u64, at: i64) -> Made {
    let body = StateHeader {
        next_offset,
        checkpoint_offset,
        partition_count: PARTITIONS,
        group_count: tocsin_model::KEY_GROUPS,
        key_epoch: 0,
        schema_version: StateHeader::SCHEMA_VERSION,
        state_version: 1,
        binding: None,
    };
    let value = state_value(next_offset, at, (0, 1), body.encode());
    state_record(partition, StateKey::Header { partition }, Some(value))
}

pub fn state_value(applied_through: u64, at: i64, (chunk, chunks): (u32, u32), body: Vec<u8>) -> Vec<u8> {
    StateRecord {
        applied_through,
        as_of: Timestamp(START + at),
        format: 1,
        chunk,
        chunks,
        body,
    }
    .encode()
}

pub fn state_record(partition: u32, key: StateKey, value: Option<Vec<u8>>) -> Made {
    Made {
        feed: Feed::State,
        partition,
        key: key.to_bytes(),
        value,
    }
}

pub fn family_record(key: Vec<u8>, value: Option<Vec<u8>>) -> Made {
    Made {
        feed: Feed::Families,
        partition: 0,
        key,
        value,
    }
}

/// A further hash of a content, as intake says it.
pub fn further_hash(content: u8, class: Class, hash: &ContentHash) -> Made {
    further_frames(content, class, hash, Vec::new())
}

/// The same of a digest, with the frames that are matched.
pub fn further_frames(content: u8, class: Class, hash: &ContentHash, frames: Vec<[u8; 32]>) -> Made {
    frames_told_by(ToldBy::Unknown, (content, class), hash, frames)
}

/// The same by whom they were told.
pub fn frames_told_by(
    told_by: ToldBy,
    (content, class): (u8, Class),
    hash: &ContentHash,
    frames: Vec<[u8; 32]>,
) -> Made {
    let further = FurtherHash {
        content: id(content),
        hash: hash.clone(),
        frames,
        told_by,
        class,
        at: Timestamp(START),
    };
    let key = wire_family::further_hash_key(further.content, class, key().content_id(hash));
    family_record(key, Some(wire_family::encode_further_hash(&further)))
}

pub fn party(number: u16, name: &str) -> Made {
    let record = PartyRecord {
        id: PartyId(number),
        name: name.parse().unwrap(),
        platforms: vec![PlatformRecord {
            id: PlatformId(number),
            name: format!("{name}-video").parse().unwrap(),
        }],
        revoked: false,
    };
    Made {
        feed: Feed::Parties,
        partition: 0,
        key: record.key(),
        value: Some(record.encode()),
    }
}

pub fn alert(number: u128, scope: Scope) -> Alert {
    Alert {
        id: AlertId(number),
        scope,
        family: FamilyId(id(1)),
        hash: hash(1),
        at: Timestamp(START + number as i64),
        ..example::alert()
    }
}

pub fn alert_record(partition: u32, alert: &Alert) -> Made {
    Made {
        feed: Feed::Alerts,
        partition,
        key: alert.id.0.to_be_bytes().to_vec(),
        value: Some(tocsin_wire::alert::encode(alert, &Names::default())),
    }
}

/// The `limit` families that spread most in the window. Looks at every hot family of the scope.
pub fn trending_answer(
    replica: &ReplicaState,
    scope: Scope,
    length: WindowLength,
    limit: usize,
    now_ms: i64,
) -> TrendingAnswer {
    let ranked = RankedFamilies::of(replica, scope, length, now_ms);
    let (places, _) = ranked.page(None, limit.min(TRENDING_LIMIT_MAX));
    let entries = places.iter().filter_map(|rank| ranked.entry(replica, rank, now_ms));
    ranked.answer(entries.collect(), None)
}

/// A replica without a log, fed by hand.
pub struct Fed {
    pub replica: ReplicaState,
    next: BTreeMap<(&'static str, u32), u64>,
}

impl Default for Fed {
    fn default() -> Self {
        Fed::with_limits(limits())
    }
}

impl Fed {
    pub fn with_limits(limits: ReplicaLimits) -> Self {
        Fed {
            replica: ReplicaState::new(PartitionCount::new(PARTITIONS).unwrap(), cold_config(), limits),
            next: BTreeMap::new(),
        }
    }

    pub fn feed(&mut self, made: &Made) -> Result<(), Skipped> {
        let next = self.next.entry((made.feed.topic(), made.partition)).or_default();
        let record = tocsin_log::RecordRef {
            topic: made.feed.topic(),
            partition: made.partition,
            offset: *next,
            appended_at_ms: START + *next as i64,
            stamped_by: tocsin_log::StampedBy::Log,
            key: Some(&made.key),
            value: made.value.as_deref(),
            headers: tocsin_log::Headers::Slice(&[]),
        };
        *next += 1;
        decode(made.feed, &record).and_then(|change| self.replica.apply(Position::of(&record), change))
    }

    pub fn feed_all(&mut self, made: &[Made]) {
        for made in made {
            assert_eq!(self.feed(made), Ok(()), "{made:?}");
        }
    }
}
