//! A small deployment in memory: all groups, links and deltas delivered at once, everything they say kept.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tocsin_model::{
    AccountToken, Alert, Algorithm, Calibration, Class, ClockFlag, ContentHash, ContentId, DeploymentKey, GroupId,
    HashRef, Kind, Milliseconds, PartyId, PlatformId, PlatformNull, Scope, Severity, Sharing, Sighting,
    SourceCoordinate, SourceId, Surface, Timestamp, Watch, Weighing,
};
use tocsin_sketch::ColdConfig;

use crate::record::HotRecord;
use crate::{Group, GroupConfig, HotKey, Input, Output};

/// One spread event, in the few fields the tests vary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) content: u8,
    pub(crate) account: u64,
    pub(crate) party: u16,
    pub(crate) sharing: Sharing,
    pub(crate) kind: Kind,
    /// Milliseconds after the start; received at once unless `late_by`.
    pub(crate) at: i64,
    pub(crate) late_by: i64,
    pub(crate) audience: u32,
}

pub(crate) const START: i64 = 1_700_000_000_000;

pub(crate) fn seen(content: u8, account: u64, at: i64) -> Seen {
    Seen {
        content,
        account,
        party: 1,
        sharing: Sharing::All,
        kind: Kind::Upload,
        at,
        late_by: 0,
        audience: 0,
    }
}

pub(crate) fn key() -> DeploymentKey {
    DeploymentKey::from_bytes([7; 32])
}

pub(crate) fn hash(content: u8) -> ContentHash {
    ContentHash::from_bytes(Algorithm::Sha256, vec![content; 32], None).unwrap()
}

pub(crate) fn id(content: u8) -> ContentId {
    key().content_id(&hash(content))
}

pub(crate) fn config() -> GroupConfig {
    GroupConfig {
        key: key(),
        cold: ColdConfig {
            width: 64,
            seed: 11,
            lateness: Milliseconds::from_hours(2),
        },
        hot_max: 4,
        promote_at: 3,
        retry_horizon: Milliseconds::from_minutes(130),
        retry_tokens_max: 10_000,
        shadow: None,
    }
}

pub(crate) fn sighting(content: ContentId, value: &[u8; 32], seen: Seen, offset: u64) -> Sighting<'_> {
    Sighting {
        source: SourceCoordinate {
            source: SourceId(1),
            offset,
            index: 0,
        },
        event_token: offset.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        party: PartyId(seen.party),
        platform: PlatformId(seen.party),
        kind: seen.kind,
        sharing: seen.sharing,
        surface: Surface::Feed,
        clock: ClockFlag::Plausible,
        occurred_at: Timestamp(START + seen.at - seen.late_by),
        received_at: Timestamp(START + seen.at),
        content,
        hash: HashRef {
            algorithm: Algorithm::Sha256,
            value,
        },
        account: Some(AccountToken(seen.account.wrapping_mul(0x9e37_79b9_7f4a_7c15))),
        account_epoch: 0,
        audience: seen.audience,
        region: code(seen.account, 40),
        language: code(seen.account, 5),
        tvec_confidence: Sighting::NO_LABEL,
    }
}

/// One of so many codes, or none for every third account.
fn code(account: u64, codes: u64) -> [u8; 2] {
    match account % 3 {
        0 => [0; 2],
        _ => [b'a' + (account % codes / 26) as u8, b'a' + (account % codes % 26) as u8],
    }
}

/// All groups that are touched, by id.
#[derive(Clone)]
pub(crate) struct Deployment {
    pub(crate) groups: BTreeMap<GroupId, Group>,
    pub(crate) alerts: Vec<Alert>,
    /// What was announced and not withdrawn.
    pub(crate) announced: BTreeSet<(ContentId, Class)>,
    config: GroupConfig,
    offset: u64,
}

impl Deployment {
    pub(crate) fn new(config: GroupConfig) -> Self {
        Deployment {
            groups: BTreeMap::new(),
            alerts: Vec::new(),
            announced: BTreeSet::new(),
            config,
            offset: 0,
        }
    }

    pub(crate) fn group(&mut self, id: GroupId) -> &mut Group {
        let config = self.config.clone();
        self.groups.entry(id).or_insert_with(|| Group::new(id, config))
    }

    pub(crate) fn see(&mut self, event: Seen) {
        self.see_as(id(event.content), event);
    }

    /// The same of a content with this id.
    pub(crate) fn see_as(&mut self, content: ContentId, seen: Seen) {
        let value = [seen.content; 32];
        self.offset += 1;
        let sighting = sighting(content, &value, seen, self.offset);
        self.apply(content.group(), Input::Sighting(&sighting));
    }

    /// A tick to every group, in the order of their ids.
    pub(crate) fn tick(&mut self, at: i64) {
        let ids: Vec<GroupId> = self.groups.keys().copied().collect();
        for id in ids {
            self.apply(id, Input::Tick(Timestamp(START + at)));
        }
    }

    pub(crate) fn apply(&mut self, group: GroupId, input: Input<'_>) {
        let mut out = Vec::new();
        self.group(group).apply(input, &mut out);
        for output in out {
            match output {
                Output::Alert(alert) => self.alerts.push(*alert),
                Output::Announcement(told) => drop(self.announced.insert((told.content, told.class))),
                Output::Withdrawal(gone) => drop(self.announced.remove(&(gone.content, gone.class))),
                Output::Delta(delta) => self.apply(delta.family.home(), Input::Delta(&delta)),
                Output::Link(link) => self.apply(link.content.group(), Input::Link(&link)),
                Output::Decision(decision) => self.apply(decision.family.home(), Input::Decision(&decision)),
            }
        }
    }

    /// Puts a content on the watch list (severity 1 to 4), or takes it off (0).
    pub(crate) fn watch_at(&mut self, at: i64, number: u64, content: u8, severity: u8) {
        let watch = Watch {
            number,
            content: id(content),
            hash: hash(content),
            listed: Severity::new(severity),
            source: "example".parse().unwrap(),
            at: Timestamp(START + at),
        };
        self.apply(watch.content.group(), Input::Watch(&watch));
    }

    /// The same, at the start.
    pub(crate) fn watch(&mut self, number: u64, content: u8, severity: u8) {
        self.watch_at(0, number, content, severity);
    }

    /// Tells the groups of all contents of [`stream`] from when on which page score interrupts a person.
    pub(crate) fn calibrate(&mut self, number: u64, from: i64, page_threshold: f64) {
        self.calibrate_platforms(number, from, page_threshold, Vec::new());
    }

    /// The same, and what is ordinary on the platforms.
    pub(crate) fn calibrate_platforms(
        &mut self,
        number: u64,
        from: i64,
        page_threshold: f64,
        platforms: Vec<PlatformNull>,
    ) {
        let calibration = Calibration {
            number,
            effective_from: Timestamp(START + from),
            page_threshold,
            pages_per_day: 15.0,
            episodes: 0,
            at: Timestamp(START),
            platforms,
        };
        let groups: BTreeSet<GroupId> = (0..60).map(|content| id(content).group()).collect();
        for group in groups {
            self.apply(group, Input::Calibration(&calibration));
        }
    }

    /// Tells the groups of all contents of [`stream`] how often evidence was wrong for a team.
    pub(crate) fn weigh(&mut self, weighing: &Weighing) {
        let groups: BTreeSet<GroupId> = (0..60).map(|content| id(content).group()).collect();
        for group in groups {
            self.apply(group, Input::Weighing(weighing));
        }
    }

    /// Takes every group apart into bytes and puts it together again.
    pub(crate) fn restore(&mut self) {
        let config = self.config.clone();
        for group in self.groups.values_mut() {
            let core = group.encode_core();
            let cold = group
                .cold()
                .map(|(class, cold)| (class, Group::encode_cold(cold)))
                .collect();
            let restored = Group::decode(config.clone(), &core, &cold).unwrap();
            assert_eq!(restored.encode_core(), core, "a restored group encodes as the original");
            *group = restored;
        }
    }

    pub(crate) fn record(&self, content: u8, class: Class) -> Option<&HotRecord> {
        let content = id(content);
        self.groups.get(&content.group())?.hot(HotKey { content, class })
    }

    /// Every alert of one scope.
    pub(crate) fn alerts_of(&self, scope: Scope) -> Vec<Alert> {
        self.alerts
            .iter()
            .filter(|alert| alert.scope == scope)
            .cloned()
            .collect()
    }
}

/// A stream of events on a few contents: quiet ones, and some that burst. Ordered by receipt; some come late.
pub(crate) fn stream(seed: u64, length: usize) -> Vec<Seen> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut at = 0;
    (0..length)
        .map(|_| {
            at += random.random_range(0..20_000);
            let bursting = random.random_bool(0.4);
            let content = if bursting {
                (at / 3_600_000 % 5) as u8
            } else {
                random.random_range(0..60)
            };
            Seen {
                content,
                account: random.random_range(0..500),
                party: random.random_range(1..4),
                sharing: [Sharing::All, Sharing::All, Sharing::Coordinators, Sharing::Party][random.random_range(0..4)],
                kind: [Kind::Upload, Kind::Share, Kind::BlockedUpload, Kind::Report][random.random_range(0..4)],
                at,
                late_by: if random.random_bool(0.05) {
                    random.random_range(0..7_000_000)
                } else {
                    0
                },
                audience: 0,
            }
        })
        .collect()
}
