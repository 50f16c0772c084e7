//! Where a family spreads, and what changed: each surface's, platform's, region's and language's share of a window, beside that of the window
//! before.
//!
//! What was counted before promotion, and what is counted approximately, belongs to no part that is known. A share is therefore an interval: at
//! the one end all of that lies elsewhere, at the other end all of it is this part's.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tocsin_model::{ContentId, Interval, Milliseconds, PlatformId, Scope, Surface, Timestamp};
use tocsin_velocity::HotRecord;
use tocsin_velocity::figures::{CODES_MAX, WindowLength, window};
use tocsin_velocity::record::{Code, Parts, Resolution};
use tocsin_wire::document::{HashText, Range, instant};
use utoipa::ToSchema;

use super::family::{NotHotClasses, founding_hash};
use super::series::HotSeries;
use super::{AnswerError, scope_name};
use crate::replica::ReplicaState;

/// How long the windows of a breakdown may be: parts are counted in bins of a quarter of an hour, which are held for 25 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakdownLength {
    /// One hour.
    Hour1,
    /// Six hours.
    Hours6,
    /// Twelve hours: the longest of which the window before is held as a whole.
    Hours12,
    /// A day, without the one before.
    Hours24,
}

/// How the spread of a hot family divides, and how that changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct BreakdownAnswer {
    /// The family, 32 hexadecimal digits.
    pub family: String,
    /// The reader's scope: `all`, `coordinators` or `party`.
    pub scope: &'static str,
    /// The founding content's strongest hash, where the reader may see that content.
    pub hash: Option<HashText>,
    /// The time up to which everything is counted, RFC 3339.
    pub as_of: Option<String>,
    /// How far that is behind, in milliseconds.
    pub lag_ms: u64,
    /// From when on everything is counted in its part.
    pub exact_since: Option<String>,
    /// `1h`, `6h`, `12h` or `24h`.
    pub window: &'static str,
    /// The window that ends with the open quarter of an hour.
    pub now: BreakdownWindow,
    /// The window of the same length that ends where that one begins. Null of `24h`: it is not held.
    pub before: Option<BreakdownWindow>,
    /// By surface, the largest first.
    pub surfaces: Vec<PartAnswer>,
    /// The surface whose share certainly rose most, which is where to intervene. Null where none certainly rose.
    pub rising_surface: Option<&'static str>,
    /// By platform, the largest first, 32 at most.
    pub platforms: Vec<PartAnswer>,
    /// By region (ISO 3166-1 alpha-2), the largest first, 32 at most.
    pub regions: Vec<PartAnswer>,
    /// By language (ISO 639-1), the largest first, 32 at most.
    pub languages: Vec<PartAnswer>,
}

/// One window of a breakdown, and what spread in it: uploads, blocked uploads and shares.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct BreakdownWindow {
    /// Its start, included.
    pub from: Option<String>,
    /// Its end, excluded.
    pub to: Option<String>,
    /// All of it: `exact` + `unassigned`.
    pub spread: Range,
    /// What was counted exactly, since promotion: what the parts divide.
    pub exact: u64,
    /// What was counted before promotion or approximately, and may belong to any part.
    pub unassigned: Range,
}

/// One surface, platform, region or language.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PartAnswer {
    /// Its name, as in the schema of events; `others` of platforms, regions and languages: those that have no count of their own, and those beyond
    /// the 32 largest; `unstated`: of what said none.
    pub name: String,
    /// How many copies; the upper end if everything that is in no part is this one's.
    pub count: Range,
    /// Its share of the spread. Null where nothing spread.
    pub share: Option<Share>,
    /// Its share in the window before. Null where that is not held, or nothing spread in it.
    pub share_before: Option<Share>,
    /// How much its share changed, -1 to 1. Null where one of the two is.
    pub share_change: Option<Share>,
}

/// A share or a difference of shares, as an interval that holds the truth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Share {
    /// It is at least this.
    pub low: f64,
    /// It is at most this.
    pub high: f64,
}

impl BreakdownLength {
    /// All lengths, the shortest first.
    pub const ALL: [BreakdownLength; 4] = [
        BreakdownLength::Hour1,
        BreakdownLength::Hours6,
        BreakdownLength::Hours12,
        BreakdownLength::Hours24,
    ];

    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            BreakdownLength::Hour1 => "1h",
            BreakdownLength::Hours6 => "6h",
            BreakdownLength::Hours12 => "12h",
            BreakdownLength::Hours24 => "24h",
        }
    }

    fn length(self) -> Milliseconds {
        Milliseconds::from_hours(match self {
            BreakdownLength::Hour1 => 1,
            BreakdownLength::Hours6 => 6,
            BreakdownLength::Hours12 => 12,
            BreakdownLength::Hours24 => 24,
        })
    }

    fn is_before_held(self) -> bool {
        self != BreakdownLength::Hours24
    }
}

/// How the spread of the family that a content belongs to divides.
///
/// # Errors
/// See [`AnswerError`].
pub fn breakdown_answer(
    replica: &ReplicaState,
    scope: Scope,
    content: ContentId,
    length: BreakdownLength,
    now_ms: i64,
) -> Result<BreakdownAnswer, AnswerError> {
    let hot = HotSeries::of(replica, scope, content, now_ms)?;
    let counted: Vec<&HotRecord> = hot
        .records
        .iter()
        .map(|held| &***held)
        .filter(|record| record.flood().is_none())
        .collect();
    let not_hot = NotHotClasses::new(replica, scope, &hot.records);
    let to = window(WindowLength::Hours24, hot.freshness.as_of).to;
    let from = to - length.length();
    let now = Divided::of(&counted, &not_hot, from, to);
    let before = length
        .is_before_held()
        .then(|| Divided::of(&counted, &not_hot, from - length.length(), from));
    let before = before.as_ref();
    let surfaces = parts(&now, before, |divided| &divided.surfaces);
    let rising_surface = surfaces
        .iter()
        .filter_map(|(key, part)| Some((part.share_change?.low, (*key)?)))
        .filter(|(low, surface)| *low > 0.0 && *surface != Surface::Unknown)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, surface)| surface.name());
    let code = |code: Code| String::from_utf8_lossy(&code).into_owned();
    Ok(BreakdownAnswer {
        family: hot.family.to_string(),
        scope: scope_name(scope),
        hash: founding_hash(hot.family, &hot.records),
        as_of: instant(hot.freshness.as_of),
        lag_ms: hot.freshness.lag_ms,
        exact_since: instant(hot.exact_since),
        window: length.name(),
        now: now.window(),
        before: before.map(Divided::window),
        surfaces: named(surfaces, |surface: Surface| surface.name().to_owned()),
        rising_surface,
        platforms: named(parts(&now, before, |divided| &divided.platforms), |platform| {
            replica.names.platform(platform)
        }),
        regions: named(parts(&now, before, |divided| &divided.regions), code),
        languages: named(parts(&now, before, |divided| &divided.languages), code),
    })
}

/// The spread of one window, divided in each way.
struct Divided {
    from: Timestamp,
    to: Timestamp,
    exact: u64,
    unassigned: Interval,
    surfaces: Counted<Surface>,
    platforms: Counted<PlatformId>,
    regions: Counted<Code>,
    languages: Counted<Code>,
}

/// Exact counts of parts: they, `others` and `unstated` sum up to what was counted exactly.
struct Counted<K> {
    counts: BTreeMap<K, u64>,
    /// Of values without a count of their own. A value may have lost its count to it and have another one since.
    others: u64,
    unstated: u64,
}

const NOTHING: u64 = 0;

impl Divided {
    fn of(records: &[&HotRecord], not_hot: &NotHotClasses, from: Timestamp, to: Timestamp) -> Divided {
        let resolution = Resolution::Minutes15;
        let spread = records.iter().map(|record| record.spread(resolution, from, to));
        let spread = spread.fold(Interval::default(), Interval::plus);
        let approximate = not_hot.sum(from, to).map_or(Interval::default(), |(_, sum)| sum.spread);
        let exact = spread.low;
        let before = Interval {
            low: NOTHING,
            high: spread.high - exact,
        };
        let of_platforms = records.iter().flat_map(|record| record.counts(resolution, from, to));
        let of_platforms = of_platforms.filter(|(_, kind, _)| kind.is_spread());
        let codes = |parts: fn(&HotRecord, Timestamp, Timestamp) -> Parts| {
            let parts: Vec<Parts> = records.iter().map(|record| parts(record, from, to)).collect();
            let others = parts.iter().map(|parts| parts.others).sum();
            Counted::of(exact, parts.into_iter().flat_map(|parts| parts.codes), others)
        };
        Divided {
            from,
            to,
            exact,
            unassigned: before.plus(approximate),
            surfaces: Counted::of(
                exact,
                records.iter().flat_map(|record| record.surfaces(from, to)),
                NOTHING,
            ),
            // What has no pair of platform and kind of its own is told by nobody.
            platforms: Counted::of(
                exact,
                of_platforms.map(|(platform, _, count)| (platform, count)),
                NOTHING,
            )
            .with_unstated_in_others(),
            regions: codes(HotRecord::regions),
            languages: codes(HotRecord::languages),
        }
    }

    fn window(&self) -> BreakdownWindow {
        BreakdownWindow {
            from: instant(self.from),
            to: instant(self.to),
            spread: Range {
                low: self.exact.saturating_add(self.unassigned.low),
                high: self.highest(),
            },
            exact: self.exact,
            unassigned: self.unassigned.into(),
        }
    }

    /// The most that can have spread.
    fn highest(&self) -> u64 {
        self.exact.saturating_add(self.unassigned.high)
    }

    /// What a part may have, of which so much is certain, and so much beside what is unassigned possible.
    fn count(&self, certain: u64, possible: u64) -> Interval {
        let high = certain.saturating_add(possible).saturating_add(self.unassigned.high);
        Interval { low: certain, high }
    }

    fn share(&self, count: Interval) -> Option<Share> {
        // Everything unassigned elsewhere, or everything here: both ends are reached with as much unassigned as there can be.
        let all = self.highest() as f64;
        (all > 0.0).then(|| Share {
            low: count.low as f64 / all,
            high: (count.high as f64 / all).min(1.0),
        })
    }
}

impl<K: Copy + Ord> Counted<K> {
    fn of(exact: u64, counted: impl Iterator<Item = (K, u64)>, others: u64) -> Counted<K> {
        let mut counts: BTreeMap<K, u64> = BTreeMap::new();
        for (value, count) in counted.filter(|(_, count)| *count > 0) {
            *counts.entry(value).or_insert(0) += count;
        }
        let counted: u64 = counts.values().sum();
        Counted {
            unstated: exact.saturating_sub(others).saturating_sub(counted),
            counts,
            others,
        }
    }

    fn with_unstated_in_others(self) -> Counted<K> {
        Counted {
            others: self.others + self.unstated,
            unstated: NOTHING,
            ..self
        }
    }
}

/// Every part that had anything in one of the two windows, with what it is; the last two are `others` and `unstated`.
fn parts<K: Copy + Ord>(
    now: &Divided,
    before: Option<&Divided>,
    of: impl Fn(&Divided) -> &Counted<K>,
) -> Vec<(Option<K>, PartAnswer)> {
    let part = |name: &str, value: fn(&Counted<K>, Option<K>) -> (u64, u64), key: Option<K>| {
        let counted = |divided: &Divided| {
            let (certain, possible) = value(of(divided), key);
            divided.count(certain, possible)
        };
        let count = counted(now);
        let share = now.share(count);
        let share_before = before.and_then(|before| before.share(counted(before)));
        let change = |(now, before): (Share, Share)| Share {
            low: now.low - before.high,
            high: now.high - before.low,
        };
        PartAnswer {
            name: name.to_owned(),
            count: count.into(),
            share,
            share_before,
            share_change: share.zip(share_before).map(change),
        }
    };
    let own = |counted: &Counted<K>, key: Option<K>| {
        let count = key.and_then(|key| counted.counts.get(&key)).copied().unwrap_or(NOTHING);
        (count, counted.others)
    };
    let all: BTreeSet<K> = std::iter::once(now)
        .chain(before)
        .flat_map(|divided| of(divided).counts.keys().copied())
        .collect();
    let mut told: Vec<(Option<K>, PartAnswer)> = all
        .into_iter()
        .map(|key| (Some(key), part("", own, Some(key))))
        .collect();
    told.sort_by_key(|(key, part)| (Reverse(part.count.low), *key));
    let beyond = told.split_off(told.len().min(CODES_MAX));
    let mut others = part("others", |counted, _| (counted.others, NOTHING), None);
    if !beyond.is_empty() {
        // A sum of parts, of which the window before had others: how it changed says nothing.
        let certain = beyond.iter().map(|(_, part)| part.count.low).sum::<u64>() + of(now).others;
        let count = now.count(certain, NOTHING);
        others = PartAnswer {
            count: count.into(),
            share: now.share(count),
            share_before: None,
            share_change: None,
            ..others
        };
    }
    let unstated = part("unstated", |counted, _| (counted.unstated, NOTHING), None);
    let is_there = |divided: &Divided| of(divided).others > 0;
    if !beyond.is_empty() || is_there(now) || before.is_some_and(is_there) {
        told.push((None, others));
    }
    let is_there = |divided: &Divided| of(divided).unstated > 0;
    if is_there(now) || before.is_some_and(is_there) {
        told.push((None, unstated));
    }
    told
}

fn named<K>(parts: Vec<(Option<K>, PartAnswer)>, name: impl Fn(K) -> String) -> Vec<PartAnswer> {
    let part = |(key, part): (Option<K>, PartAnswer)| match key {
        Some(key) => PartAnswer {
            name: name(key),
            ..part
        },
        None => part,
    };
    parts.into_iter().map(part).collect()
}
