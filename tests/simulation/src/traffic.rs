//! What happens in a history: events of a few contents, some of which burst, with what people and links bring in between. By source, in the
//! order in which an intake reads them.

use bytes::Bytes;
use rand::Rng as _;
use rand::rngs::SmallRng;
use tocsin_log::{Append, TopicPartition};
use tocsin_model::{
    AccountToken, Algorithm, BetaLaw, Calibration, Class, ClockFlag, ContentHash, ContentId, Decision, DecisionId,
    DeploymentKey, Evidence, EvidenceCount, EvidenceKind, FamilyId, GammaLaw, HashRef, KeyEpoch, Kind, Link, Name,
    PartitionCount, PartyId, PlatformId, PlatformNull, Scope, Severity, Sharing, Sighting, SourceCoordinate, SourceId,
    Surface, Timestamp, Verdict, Watch, Weighing,
};
use tocsin_wire::block::{BlockWriter, SightingNames};
use tocsin_wire::{SightingsRecord, TickTime, topics};

/// Of the deployment. Few partitions of many are played, so that each has few groups and a history is short.
pub const PARTITIONS: u16 = 64;
/// The partitions that are played.
pub const PLAYED: u32 = 3;
/// The epoch of sketches and tokens.
pub const EPOCH: KeyEpoch = KeyEpoch(3);
const CONTENTS_PER_PARTITION: usize = 4;
/// One in so many of what a source has comes in a second act alone, if there is one.
const IN_SECOND_ACT: usize = 6;
/// Ten minutes before an hour is over, so that most histories see one end.
const BEGINS_AT: i64 = 1_773_575_400_000;

/// What may be ordinary on a platform.
fn null(platform: PlatformId, random: &mut SmallRng) -> PlatformNull {
    PlatformNull {
        platform,
        hours: std::array::from_fn(|_| random.random_range(0.2..4.0)),
        reuploads: BetaLaw::with(random.random_range(0.1..0.9), random.random_range(3.0..15.0)),
        base_rate: GammaLaw {
            copies: random.random_range(0.05..0.9),
            hours: random.random_range(1.0..10.0),
        },
    }
}

/// One thing an intake reads.
#[derive(Clone, Debug)]
pub enum Item {
    /// An event.
    Event(Event),
    /// A record for one partition, or for all that are played.
    Record(Option<u32>, Vec<u8>),
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its identity: an event sent again has the same.
    pub token: u64,
    /// The content, by number.
    pub content: usize,
    /// The account's token.
    pub account: u64,
    /// The party, which has one platform of the same number.
    pub party: u16,
    /// What happened.
    pub kind: Kind,
    /// Who may see it.
    pub sharing: Sharing,
    /// When it happened and when it came.
    pub occurred_at: Timestamp,
    /// See `occurred_at`.
    pub received_at: Timestamp,
    /// Whether it is too old to be counted.
    pub is_late: bool,
}

/// All of it.
#[derive(Debug)]
pub struct Traffic {
    /// The permanent key.
    pub key: DeploymentKey,
    /// The contents, by number.
    pub contents: Vec<(ContentId, ContentHash)>,
    /// By source.
    pub sources: Vec<Vec<Item>>,
    /// How much of each source there is in the first act; the rest comes in the second, if there is one.
    pub first_act: Vec<usize>,
    /// The time of the last event.
    pub last: Timestamp,
}

impl Traffic {
    /// Draws the traffic of a history.
    pub fn drawn(random: &mut SmallRng) -> Traffic {
        let key = DeploymentKey::from_bytes([7; 32]);
        let contents = contents(&key);
        let mut traffic = Traffic {
            sources: vec![Vec::new(); random.random_range(1..=2)],
            first_act: Vec::new(),
            contents,
            key,
            last: Timestamp(BEGINS_AT),
        };
        let events = random.random_range(40..140);
        let bursting: Vec<usize> = (0..random.random_range(1..=3))
            .map(|_| random.random_range(0..traffic.contents.len()))
            .collect();
        let mut sent: Vec<Event> = Vec::new();
        for number in 0..events {
            let pace = if random.random_bool(0.05) { 300_000 } else { 8_000 };
            traffic.last.0 += random.random_range(0..pace);
            let source = random.random_range(0..traffic.sources.len());
            let item = match random.random_range(0..100) {
                0..=13 => traffic.control(number, random),
                14..=18 if !sent.is_empty() => {
                    // A producer's retry, which any source may bring.
                    let again = sent[random.random_range(0..sent.len())];
                    Item::Event(Event {
                        received_at: traffic.last,
                        ..again
                    })
                }
                19..=26 => Item::Record(None, SightingsRecord::Tick(TickTime::At(traffic.last)).encode()),
                _ => {
                    let event = traffic.event(number, &bursting, random);
                    sent.push(event);
                    Item::Event(event)
                }
            };
            traffic.sources[source].push(item);
        }
        let part = |items: &Vec<Item>| items.len() - items.len() / IN_SECOND_ACT;
        traffic.first_act = traffic.sources.iter().map(part).collect();
        traffic
    }

    fn event(&self, number: u64, bursting: &[usize], random: &mut SmallRng) -> Event {
        let content = match random.random_bool(0.6) {
            true => bursting[random.random_range(0..bursting.len())],
            false => random.random_range(0..self.contents.len()),
        };
        let late_by = match random.random_range(0..20) {
            0 => random.random_range(0..3_600_000),
            1 => 8_000_000,
            _ => 0,
        };
        // One in three is of a few that repeat themselves.
        let accounts: u64 = if random.random_ratio(1, 3) { 6 } else { 500 };
        let account = random.random_range(1..accounts);
        Event {
            token: (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            content,
            account: account.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            party: random.random_range(1..=2),
            kind: [
                Kind::Upload,
                Kind::Upload,
                Kind::Share,
                Kind::BlockedUpload,
                Kind::Report,
            ][random.random_range(0..5)],
            sharing: [
                Sharing::All,
                Sharing::All,
                Sharing::All,
                Sharing::Coordinators,
                Sharing::Party,
            ][random.random_range(0..5)],
            occurred_at: Timestamp(self.last.0 - late_by),
            received_at: self.last,
            is_late: late_by > 7_200_000,
        }
    }

    /// A link, a decision, a calibration, what evidence is worth to a team, or a change of the watch list.
    fn control(&self, number: u64, random: &mut SmallRng) -> Item {
        let (content, hash) = self.contents[random.random_range(0..self.contents.len())].clone();
        let at = self.last;
        let (group, record) = match random.random_range(0..10) {
            0..=3 => {
                let other = self.contents[random.random_range(0..self.contents.len())].0;
                let (joins, family) = (content.max(other), content.min(other));
                let hash = self
                    .contents
                    .iter()
                    .find(|(id, _)| *id == joins)
                    .map(|(_, hash)| hash.clone());
                let link = Link {
                    content: joins,
                    hash: hash.unwrap_or(hash_of(number as usize)),
                    family: FamilyId(family),
                    evidence: Evidence::PartyLink,
                    party: Some(PartyId(1)),
                    class: [Class::All, Class::All, Class::Coordinators][random.random_range(0..3)],
                    at,
                };
                (joins.group(), SightingsRecord::Link(link))
            }
            4..=7 => {
                let decision = Decision {
                    id: DecisionId(u128::from(number) + 1),
                    family: FamilyId(content),
                    scope: Scope::All,
                    verdict: Verdict::ALL[random.random_range(0..Verdict::ALL.len())],
                    at,
                };
                (content.group(), SightingsRecord::Decision(decision))
            }
            8 => {
                let calibration = Calibration {
                    number,
                    effective_from: Timestamp(at.0 + 60_000),
                    page_threshold: random.random_range(-3.0..3.0),
                    pages_per_day: 15.0,
                    episodes: 0,
                    at,
                    platforms: (1..=random.random_range(0..4))
                        .map(|id| null(PlatformId(id), random))
                        .collect(),
                };
                return Item::Record(None, SightingsRecord::Calibration(calibration).encode());
            }
            9 if random.random_bool(0.5) => {
                let weighing = Weighing {
                    number: number + 1,
                    scope: [Scope::Coordinators, Scope::Party(PartyId(1))][random.random_range(0..2)],
                    at,
                    counts: vec![EvidenceCount {
                        kind: EvidenceKind::ALL[random.random_range(0..EvidenceKind::ALL.len())],
                        stood: random.random_range(0..20),
                        overturned: random.random_range(1..20),
                    }],
                };
                return Item::Record(None, SightingsRecord::Weighing(weighing).encode());
            }
            _ => {
                let watch = Watch {
                    number,
                    content,
                    hash,
                    listed: Severity::new(random.random_range(0..=4)),
                    source: "example".parse().expect("a name"),
                    at,
                };
                (content.group(), SightingsRecord::Watch(watch))
            }
        };
        let partition = partitions().partition_of(group);
        Item::Record(Some(partition), record.encode())
    }

    /// The records of items `from..to` of a source, in order, as an intake packs them: a block for each partition of the events between two
    /// other records.
    pub fn pack(&self, source: usize, from: usize, to: usize) -> Vec<Append> {
        let mut packed = Vec::new();
        let mut writers: Vec<BlockWriter> = (0..PLAYED).map(|_| BlockWriter::new(EPOCH)).collect();
        for (offset, item) in self.sources[source][from..to].iter().enumerate() {
            match item {
                Item::Event(event) => {
                    let place = SourceCoordinate {
                        source: SourceId(source as u64 + 1),
                        offset: (from + offset) as u64,
                        index: 0,
                    };
                    self.push(&mut writers, event, place);
                }
                Item::Record(to, value) => {
                    flush(&mut writers, &mut packed);
                    let all = 0..PLAYED;
                    let places = all.filter(|number| to.is_none_or(|to| to == *number));
                    packed.extend(places.map(|number| sightings(number, value.clone())));
                }
            }
        }
        flush(&mut writers, &mut packed);
        packed
    }

    fn push(&self, writers: &mut [BlockWriter], event: &Event, source: SourceCoordinate) {
        let (content, hash) = &self.contents[event.content];
        let sighting = Sighting {
            source,
            event_token: event.token,
            party: PartyId(event.party),
            platform: PlatformId(event.party),
            kind: event.kind,
            sharing: event.sharing,
            surface: Surface::Feed,
            clock: match event.is_late {
                true => ClockFlag::Late,
                false => ClockFlag::Plausible,
            },
            occurred_at: event.occurred_at,
            received_at: event.received_at,
            content: *content,
            hash: HashRef {
                algorithm: hash.algorithm(),
                value: hash.value(),
            },
            account: Some(AccountToken(event.account)),
            account_epoch: 0,
            audience: 100,
            region: *b"nz",
            language: *b"en",
            tvec_confidence: Sighting::NO_LABEL,
        };
        let name = |what: &str| -> Name { format!("{what}-{}", event.party).parse().expect("a name") };
        let names = SightingNames {
            party: &name("party"),
            platform: &name("platform"),
        };
        let writer = &mut writers[partitions().partition_of(content.group()) as usize];
        writer.push(&sighting, names).expect("a history's block has room");
    }
}

fn flush(writers: &mut [BlockWriter], packed: &mut Vec<Append>) {
    for (number, writer) in writers.iter_mut().enumerate().filter(|(_, writer)| !writer.is_empty()) {
        let mut value = Vec::new();
        SightingsRecord::begin_block(&mut value);
        writer.finish(&mut value);
        packed.push(sightings(number as u32, value));
    }
}

fn sightings(partition: u32, value: Vec<u8>) -> Append {
    Append {
        to: TopicPartition::new(topics::SIGHTINGS, partition),
        key: None,
        value: Some(Bytes::from(value)),
        headers: Vec::new(),
    }
}

/// How the deployment is cut.
pub fn partitions() -> PartitionCount {
    PartitionCount::new(PARTITIONS).expect("a number of partitions")
}

fn hash_of(number: usize) -> ContentHash {
    ContentHash::parse(Algorithm::Url, &format!("https://tests.invalid/{number}"), None).expect("a URL")
}

/// The same few contents of each played partition.
fn contents(key: &DeploymentKey) -> Vec<(ContentId, ContentHash)> {
    let mut left = [CONTENTS_PER_PARTITION; PLAYED as usize];
    let mut found = Vec::new();
    for hash in (0..).map(hash_of) {
        let id = key.content_id(&hash);
        let place = partitions().partition_of(id.group());
        if let Some(left) = left.get_mut(place as usize).filter(|left| **left > 0) {
            *left -= 1;
            found.push((id, hash));
        }
        if left == [0; PLAYED as usize] {
            break;
        }
    }
    found
}
