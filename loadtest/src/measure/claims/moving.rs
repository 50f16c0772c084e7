//! Families whose figures move each second, counted by the detector's own key groups, and what is published of them.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Context as _;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tocsin_log::{Append, Appender, AppenderOptions, Durability, Log, TopicPartition};
use tocsin_model::{
    AccountToken, Algorithm, Class, ClockFlag, ContentHash, ContentId, GroupId, Kind, Milliseconds, PartyId,
    PlatformId, Sharing, Sighting, SourceCoordinate, SourceId, Surface,
};
use tocsin_sketch::ColdConfig;
use tocsin_sketch::codec::Encoder;
use tocsin_velocity::evidence::evidence;
use tocsin_velocity::forecast::{Calibration, Model};
use tocsin_velocity::priority::{Setting, priority};
use tocsin_velocity::weight::Weights;
use tocsin_velocity::{Group, GroupConfig, HotKey, Input};
use tocsin_wire::state::{StateKey, StateRecord};
use tocsin_wire::topics;

use super::order::Figures;
use crate::measure::corpus;
use crate::measure::pipeline::now;

/// Copies of each family before the first figures: enough to be hot, and to have a figure.
const COPIES_FIRST: u32 = 8;
/// And up to so many in each second.
const COPIES_MAX: u32 = 4;

/// The families.
pub(super) struct Moving {
    appender: Box<dyn Appender>,
    groups: BTreeMap<GroupId, Group>,
    families: Vec<(ContentId, ContentHash)>,
    random: SmallRng,
    seen: u64,
    calibration: Calibration,
}

impl Moving {
    pub(super) fn new(log: &dyn Log, count: usize, seed: u64) -> anyhow::Result<Moving> {
        let key = corpus::setup().key;
        let hash = |number: usize| {
            ContentHash::from_bytes(Algorithm::Md5, (number as u128).to_be_bytes().to_vec(), None)
                .context("an MD5 has 16 bytes")
        };
        let hashes: Vec<ContentHash> = (0..count).map(hash).collect::<Result<_, _>>()?;
        let families: Vec<_> = hashes.into_iter().map(|hash| (key.content_id(&hash), hash)).collect();
        let mut groups = BTreeMap::new();
        for (content, _) in &families {
            let group = content.group();
            let config = || GroupConfig {
                key: key.clone(),
                cold: ColdConfig {
                    width: 64,
                    seed: 11,
                    lateness: Milliseconds::from_hours(2),
                },
                hot_max: count,
                promote_at: 3,
                retry_horizon: Milliseconds::from_minutes(130),
                shadow: None,
                retry_tokens_max: 10_000,
            };
            groups.entry(group).or_insert_with(|| Group::new(group, config()));
        }
        let options = AppenderOptions {
            name: "moving".to_owned(),
            durability: Durability::Ordered,
            gapless: false,
        };
        let mut moving = Moving {
            appender: log.appender(options)?,
            groups,
            families,
            random: SmallRng::seed_from_u64(seed),
            seen: 0,
            calibration: Calibration::new(&Model::SHIPPED),
        };
        for place in 0..count {
            moving.see(place, COPIES_FIRST);
        }
        Ok(moving)
    }

    /// Each is one content.
    pub(super) fn families(&self) -> &[(ContentId, ContentHash)] {
        &self.families
    }

    /// Lets some copies of each come, and publishes what is known then.
    pub(super) fn publish(&mut self) -> anyhow::Result<Figures> {
        for place in 0..self.families.len() {
            let copies = self.random.random_range(0..=COPIES_MAX);
            self.see(place, copies);
        }
        let at = now();
        for group in self.groups.values_mut() {
            group.apply(Input::Tick(at), &mut Vec::new());
        }
        let (mut live, mut appends) = (Vec::new(), Vec::new());
        for (content, _) in &self.families {
            let (group, class) = (content.group(), Class::All);
            let key = HotKey {
                content: *content,
                class,
            };
            let kept = self.groups.get(&group).and_then(|group| group.kept(key));
            let record = kept.context("a family that moves is hot")?;
            let setting = Setting {
                verdict: None,
                watched: record.watched(),
                weights: Weights::FULL,
                calibration: &self.calibration,
                now: at,
            };
            live.push(priority(&evidence(&[record], &Weights::FULL, at), setting).priority);
            let mut body = Encoder::new();
            record.encode(&mut body);
            let key = StateKey::Hot {
                group,
                content: *content,
                class,
            };
            let state = StateRecord {
                applied_through: self.seen,
                as_of: at,
                format: 1,
                chunk: 0,
                chunks: 1,
                body: body.finish(),
            };
            let partition = corpus::setup().partitions.partition_of(group);
            appends.push(Append {
                to: TopicPartition::new(topics::STATE, partition),
                key: Some(key.to_bytes().into()),
                value: Some(state.encode().into()),
                headers: Vec::new(),
            });
        }
        let from = Instant::now();
        self.appender.append(appends).wait()?;
        Ok(Figures {
            from,
            told: Instant::now(),
            live,
        })
    }

    fn see(&mut self, place: usize, copies: u32) {
        let (content, hash) = &self.families[place];
        for _ in 0..copies {
            self.seen += 1;
            let (at, token) = (now(), self.seen.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let sighting = Sighting {
                source: SourceCoordinate {
                    source: SourceId(1),
                    offset: self.seen,
                    index: 0,
                },
                event_token: token,
                party: PartyId(1),
                platform: PlatformId(1),
                kind: Kind::Upload,
                sharing: Sharing::All,
                surface: Surface::Feed,
                clock: ClockFlag::Plausible,
                occurred_at: at,
                received_at: at,
                content: *content,
                hash: hash.view(),
                account: Some(AccountToken(token)),
                account_epoch: 0,
                audience: self.random.random_range(10..5_000),
                region: *b"NZ",
                language: *b"en",
                tvec_confidence: Sighting::NO_LABEL,
            };
            if let Some(group) = self.groups.get_mut(&content.group()) {
                group.apply(Input::Sighting(&sighting), &mut Vec::new());
            }
        }
    }
}
