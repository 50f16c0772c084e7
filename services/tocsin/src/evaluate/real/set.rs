use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use tocsin_loadtest::day::{Account, Family, Occurrence};
use tocsin_model::{Kind, Milliseconds, Surface, Timestamp};

use super::super::open;
use crate::recorded::{ELECTION_PLATFORMS, Recorded};

/// Marks the numbers of real events, families and accounts: the generator's stay below.
const REAL: u64 = 1 << 63;
/// The first real platform and party, after those of the generator.
pub(super) const FIRST_PLATFORM: u8 = 5;
pub(super) const PARTY: u8 = 3;

/// The day on which cascades begin, of which only the time since some midnight is known: 2026-01-05, as the generator's.
const MIDNIGHT_MS: f64 = 1_767_571_200_000.0;
/// Times are this far from 1970 at most, in milliseconds: some 3,000 years.
const TIME_MAX_MS: i64 = 100_000_000_000_000;
const DAY_MS: f64 = 86_400_000.0;

/// A real set as records, in the order of their times. Whatever its clocks say is when a record happened and was received.
#[derive(Clone, Debug)]
pub(super) struct RealSet {
    pub(super) records: Vec<Occurrence>,
    /// Of the contents, by their number.
    pub(super) names: Vec<String>,
    pub(super) platforms: &'static [&'static str],
}

/// One line: a share, or the root itself at zero.
#[derive(Deserialize)]
struct Copy {
    cascade: u64,
    /// In days since some midnight.
    #[serde(default)]
    root_time_of_day_fraction: Option<f64>,
    delay_s: f64,
    #[serde(default)]
    followers: Option<f64>,
}

/// The numbers of things, in the order in which they come.
struct Numbers<T>(HashMap<T, u64>);

impl<T: std::hash::Hash + Eq> Numbers<T> {
    fn none() -> Self {
        Numbers(HashMap::new())
    }

    fn of(&mut self, thing: T) -> u64 {
        let next = self.0.len() as u64;
        *self.0.entry(thing).or_insert(next)
    }
}

/// Whether this is a family of a real set.
pub(super) fn is_real(family: Family) -> bool {
    family.0 & REAL != 0
}

/// The number of a real family among the contents of its set.
pub(super) fn number(family: Family) -> usize {
    (family.0 & !REAL) as usize
}

impl RealSet {
    /// Every event of recorded posts.
    pub(super) fn of_posts(recorded: &[Recorded]) -> Self {
        let mut set = RealSet {
            records: Vec::with_capacity(recorded.len()),
            names: Vec::new(),
            platforms: &ELECTION_PLATFORMS,
        };
        let (mut contents, mut accounts) = (Numbers::none(), Numbers::none());
        for Recorded { received_at, event } in recorded {
            let content = contents.of(event.content[0].clone());
            if content == set.names.len() as u64 {
                set.names.push(event.content[0].value_text());
            }
            // Without an account it is one of its own.
            let account = match event.account {
                Some(account) => accounts.of(account.0),
                None => REAL >> 10 | set.records.len() as u64,
            };
            let platform = ELECTION_PLATFORMS
                .iter()
                .position(|name| *name == event.platform.as_str());
            set.push(
                Timestamp(received_at.0.clamp(-TIME_MAX_MS, TIME_MAX_MS)),
                content,
                Occurrence {
                    account: Account(account),
                    platform: platform.unwrap_or_default() as u8,
                    kind: event.kind,
                    surface: event.surface,
                    ..SHARE
                },
            );
        }
        set.in_order()
    }

    /// Cascades: CSV, plain or gzip, with the columns `cascade` and `delay_s` (seconds after the root), and where they are there
    /// `root_time_of_day_fraction` (days since some midnight) and `followers`. Every copy is by an account of its own: nobody retweets twice.
    pub(super) fn of_cascades(path: &Path) -> Result<Self> {
        let mut set = RealSet {
            records: Vec::new(),
            names: Vec::new(),
            platforms: &ELECTION_PLATFORMS[1..],
        };
        let mut contents = Numbers::none();
        for (line, copy) in csv::Reader::from_reader(open(path)?).deserialize::<Copy>().enumerate() {
            let place = || format!("{}: copy {}", path.display(), line + 1);
            let copy = copy.with_context(place)?;
            let root_ms = MIDNIGHT_MS + copy.root_time_of_day_fraction.unwrap_or(0.0) * DAY_MS;
            let at_ms = root_ms + copy.delay_s * 1_000.0;
            // What is no number is in no range.
            ensure!(
                copy.delay_s >= 0.0 && (0.0..=TIME_MAX_MS as f64).contains(&at_ms),
                "{} has no delay, or a time beyond all times",
                place()
            );
            let content = contents.of(copy.cascade);
            if content == set.names.len() as u64 {
                set.names.push(format!("cascade {}", copy.cascade));
            }
            set.push(
                Timestamp(at_ms as i64),
                content,
                Occurrence {
                    account: Account(set.records.len() as u64),
                    audience: copy.followers.unwrap_or(0.0) as u32,
                    kind: if copy.delay_s > 0.0 { Kind::Share } else { Kind::Upload },
                    ..SHARE
                },
            );
        }
        Ok(set.in_order())
    }

    /// How many days there are, begun ones too. `None` without an event.
    pub(super) fn days(&self) -> Option<i64> {
        let (from, to) = self.span()?;
        Some((to - from).0 / DAY_MS as i64 + 1)
    }

    /// The first and the last time.
    pub(super) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.records.first()?.received_at, self.records.last()?.received_at))
    }

    /// Adds a record; its platform and account are numbered within the set.
    fn push(&mut self, at: Timestamp, content: u64, record: Occurrence) {
        let platform = FIRST_PLATFORM + record.platform;
        self.records.push(Occurrence {
            number: REAL | self.records.len() as u64,
            happened_at: at,
            occurred_at: at,
            received_at: at,
            family: Family(REAL | content),
            account: Account(u64::from(platform) << 56 | record.account.0),
            platform,
            ..record
        });
    }

    fn in_order(mut self) -> Self {
        self.records.sort_by_key(|record| record.received_at);
        self
    }

    /// From the first event to the last, and a little more.
    pub(super) fn lasts(&self) -> Milliseconds {
        let span = self.span().map_or(Milliseconds(0), |(from, to)| to - from);
        Milliseconds(span.0 + 60_000)
    }
}

/// What all records have in common.
const SHARE: Occurrence = Occurrence {
    number: 0,
    happened_at: Timestamp(0),
    occurred_at: Timestamp(0),
    received_at: Timestamp(0),
    family: Family(0),
    account: Account(0),
    audience: 0,
    variant: 0,
    platform: 0,
    party: PARTY,
    kind: Kind::Share,
    surface: Surface::Feed,
    tvec_confidence: None,
};
