//! Streams of sightings for the benchmark and for the instruction counts, and whole key groups that apply them.

use std::hint::black_box;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tocsin_model::{
    AccountToken, Algorithm, ClockFlag, ContentId, DeploymentKey, GroupId, HashRef, KEY_GROUPS, Kind, Milliseconds,
    PartyId, PlatformId, Sharing, Sighting, SightingKeys, SourceCoordinate, SourceId, Surface, Timestamp,
};
use tocsin_sketch::ColdConfig;
use tocsin_velocity::{Group, GroupConfig, Input, Output, read_ahead};

const START: Timestamp = Timestamp(1_552_600_800_000);
/// Events a second once the groups are full: a tenth of what one thread is to manage. So the popular contents of [`Mix::Day`] are far
/// busier than on the day before, and many of them ring.
const EVENTS_PER_SECOND: f64 = 400_000.0;
/// Contents of the deployment that the others are scaled-down copies of: hot table and popular contents in proportion.
const CONTENTS: f64 = 1e7;
const HOT_MAX: f64 = 16_384.0;
const DAY_MS: f64 = 86_400_000.0;
/// Events a content on the day that fills the groups.
const EVENTS_PER_CONTENT: u64 = 5;
/// Sightings in a block, and so the most that are looked ahead.
const BLOCK: usize = 256;
/// Of 10^7 contents, those that half of the events of [`Mix::HotHeavy`] are about.
const POPULAR: f64 = 4_096.0;

/// What the measured events are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Nine in ten about a content that was never seen, the others about any content of the day.
    Cold,
    /// As on the day before: one in five or six about a content that is seen once, the others by rank, the k-th in proportion to 1 / k.
    Day,
    /// Half about 4,096 contents by rank, half about contents that were never seen.
    HotHeavy,
}

/// One event, in the fields that differ.
#[derive(Clone, Copy, Debug)]
struct Row {
    content: ContentId,
    at: Timestamp,
    now: Timestamp,
    number: u64,
    event_token: u64,
    account: u64,
}

/// The groups of a deployment after a day, and the stream that goes on.
pub struct Core {
    groups: Vec<Group>,
    outputs: Vec<Output>,
    random: SmallRng,
    /// Contents of the day.
    contents: u64,
    /// The next content that was never seen.
    fresh: u64,
    events: u64,
    now_ms: f64,
    rows: Vec<Row>,
}

impl Core {
    /// Fills the groups with a day of five events a content, nine contents in ten seen once. There will be room for the contents of
    /// `more` events.
    pub fn after_a_day(contents: u64, more: u64) -> Self {
        let mut core = Core::empty(contents, more);
        let all = contents * EVENTS_PER_CONTENT;
        while core.events < all {
            let block = (all - core.events).min(1 << 16) as usize;
            core.draw_at(Mix::Day, block, DAY_MS / all as f64);
            core.apply();
        }
        core
    }

    /// The groups before that day.
    pub fn empty(contents: u64, more: u64) -> Self {
        let config = GroupConfig {
            key: DeploymentKey::from_bytes([7; 32]),
            cold: ColdConfig {
                width: ((contents + more) / 9_766).clamp(16, 1 << 16).next_power_of_two() as u32,
                seed: 42,
                lateness: Milliseconds::from_hours(2),
            },
            hot_max: (HOT_MAX * contents as f64 / CONTENTS / f64::from(KEY_GROUPS)).ceil() as usize,
            promote_at: 3,
            retry_horizon: Milliseconds::from_minutes(130),
            retry_tokens_max: 262_144,
            shadow: None,
        };
        let group = |id| Group::new(GroupId(id), config.clone());
        Core {
            groups: (0..KEY_GROUPS).map(group).collect(),
            outputs: Vec::new(),
            random: SmallRng::seed_from_u64(contents),
            contents,
            fresh: contents / 10,
            events: 0,
            now_ms: 0.0,
            rows: Vec::new(),
        }
    }

    /// Draws the next events, at the rate the core is meant for.
    pub fn draw(&mut self, mix: Mix, events: usize) {
        self.draw_at(mix, events, 1_000.0 / EVENTS_PER_SECOND);
    }

    fn draw_at(&mut self, mix: Mix, events: usize, step_ms: f64) {
        self.rows.clear();
        for _ in 0..events {
            self.now_ms += step_ms;
            self.events += 1;
            let content = self.content(mix);
            let now = START + Milliseconds(self.now_ms as i64);
            let late_ms = match self.random.random_range(0..1_000u32) {
                0 => self.random.random_range(0..7_200_000),
                1..10 => self.random.random_range(0..3_600_000),
                _ => self.random.random_range(0..2_000),
            };
            self.rows.push(Row {
                content,
                at: now - Milliseconds(late_ms),
                now,
                number: self.events,
                event_token: self::mix(self.events),
                account: self.random.random(),
            });
        }
    }

    fn content(&mut self, mix: Mix) -> ContentId {
        let repeated = (self.contents / 10) as f64;
        let new = match mix {
            Mix::Cold => self.random.random_range(0..10u8) < 9,
            Mix::Day => self.random.random_range(0..50u8) < 9,
            Mix::HotHeavy => self.random.random(),
        };
        if new {
            self.fresh += 1;
            return content(self.fresh);
        }
        content(match mix {
            Mix::Cold => self.random.random_range(0..self.fresh),
            Mix::Day => repeated.powf(self.random.random::<f64>()) as u64,
            Mix::HotHeavy => (POPULAR * self.contents as f64 / CONTENTS).powf(self.random.random::<f64>()) as u64,
        })
    }

    /// Applies what was drawn. A function of its own, so that a profiler can tell it from the day before.
    #[inline(never)]
    pub fn measured(&mut self) {
        self.apply();
    }

    fn apply(&mut self) {
        for block in self.rows.chunks(BLOCK) {
            let rows = block.iter();
            black_box(read_ahead(
                rows.map(|row| (&self.groups[usize::from(row.content.group().0)], row.keys())),
            ));
            for row in block {
                let value = row.content.0.to_le_bytes();
                let sighting = row.sighting(&value);
                let group = &mut self.groups[usize::from(row.content.group().0)];
                group.apply(Input::Sighting(&sighting), &mut self.outputs);
            }
            black_box(&self.outputs);
            self.outputs.clear();
        }
        for group in &mut self.groups {
            black_box(group.take_changed());
        }
    }

    /// The content and the time of each event that was drawn, for a rival.
    #[allow(dead_code, reason = "the example has no rival")]
    pub fn each(&self, mut sink: impl FnMut(u128, i64)) {
        self.rows.iter().for_each(|row| sink(row.content.0, row.at.0));
    }

    /// Contents in the filters, hot records, open episodes.
    #[allow(dead_code, reason = "the benchmark does not print them")]
    pub fn sizes(&self) -> [usize; 3] {
        let cold = |group: &Group| group.cold().map(|(_, cold)| cold.first_sightings()).sum::<usize>();
        [
            self.groups.iter().map(cold).sum(),
            self.groups.iter().map(|group| group.hot_keys().len()).sum(),
            self.groups.iter().map(Group::open_episodes).sum(),
        ]
    }

    /// A number that follows from the bytes of all state: two builds that give another one do not do the same.
    #[allow(dead_code, reason = "the benchmark does not print it")]
    pub fn digest(&self) -> u64 {
        let bytes = |group: &Group| {
            let cold = group.cold().map(|(_, cold)| Group::encode_cold(cold));
            std::iter::once(group.encode_core()).chain(cold.collect::<Vec<_>>())
        };
        let bytes = self.groups.iter().flat_map(bytes).flatten();
        bytes.fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }
}

impl Row {
    fn platform(&self) -> u16 {
        1 + (self.account % 5) as u16
    }

    fn keys(&self) -> SightingKeys {
        SightingKeys {
            content: self.content,
            event_token: self.event_token,
            platform: PlatformId(self.platform()),
            account: AccountToken(self.account),
        }
    }

    fn sighting<'a>(&self, value: &'a [u8; 16]) -> Sighting<'a> {
        let platform = self.platform();
        Sighting {
            source: SourceCoordinate {
                source: SourceId(u64::from(platform).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                offset: self.number,
                index: 0,
            },
            event_token: self.event_token,
            party: PartyId(platform.div_ceil(2)),
            platform: PlatformId(platform),
            kind: if self.account >> 8 & 3 == 0 {
                Kind::Share
            } else {
                Kind::Upload
            },
            sharing: Sharing::All,
            surface: if self.account >> 16 & 3 == 0 {
                Surface::Message
            } else {
                Surface::Feed
            },
            clock: ClockFlag::Plausible,
            occurred_at: self.at,
            received_at: self.now,
            content: self.content,
            hash: HashRef {
                algorithm: Algorithm::Md5,
                value,
            },
            account: Some(AccountToken(self.account)),
            account_epoch: 1,
            audience: 100,
            region: [0; 2],
            language: [0; 2],
            tvec_confidence: Sighting::NO_LABEL,
        }
    }
}

fn content(number: u64) -> ContentId {
    ContentId(u128::from(mix(number)) << 64 | u128::from(mix(number ^ 0x5eed_0000_0000_0000)))
}

/// A bijection that scatters (the finaliser of SplitMix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
