use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use tocsin_model::{Class, ContentHash, ContentId, FamilyId, Interval, Kind, PlatformId, Scope, Timestamp};
use tocsin_velocity::HotRecord;
use tocsin_velocity::evidence::next_hour;
use tocsin_velocity::figures::{CodeFigures, WindowFigures, family_figures};
use tocsin_velocity::forecast::{Calibration, Model};
use tocsin_velocity::record::Code;
use tocsin_wire::document::{ForecastAnswer, HashText, LiveAnswer, Range, instant};
use utoipa::ToSchema;

use super::cold::{ColdAnswer, cold_answer, quarantine_answer};
use super::reach::{KnownAccounts, ReachAnswer, accounts_answer};
use super::{AnswerError, Freshness, scope_name, window_name};
use crate::replica::{ColdState, ColdSum, Held, Names, ReplicaState, cold_sum};

/// What is known of a family inside the reader's scope.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum FamilyAnswer {
    /// It spreads enough to be counted exactly.
    Hot(Box<HotAnswer>),
    /// It is counted approximately, in total.
    Cold(Box<ColdAnswer>),
}

/// A family that is counted exactly, since its contents became hot.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct HotAnswer {
    /// The family, 32 hexadecimal digits. Differs from the id asked for when that content belongs to another's family.
    pub family: String,
    /// The reader's scope: `all`, `coordinators` or `party`.
    pub scope: &'static str,
    /// The founding content's strongest hash, where the reader may see that content.
    pub hash: Option<HashText>,
    /// The time up to which everything is counted, RFC 3339. Of a family of several contents some may be counted further, by no more than
    /// their partitions are apart.
    pub as_of: Option<String>,
    /// How far that is behind, in milliseconds.
    pub lag_ms: u64,
    /// How many contents of the family the reader may see.
    pub members: u32,
    /// Of these, so many are quarantined as floods: they are counted approximately, in `not_hot`.
    pub quarantined_members: u32,
    /// The earliest event that is known.
    pub first_seen: Option<String>,
    /// The latest event.
    pub last_seen: Option<String>,
    /// From when on every count is exact: the latest promotion of a member.
    pub exact_since: Option<String>,
    /// The last 5 minutes, hour and 24 hours.
    pub windows: Vec<HotWindow>,
    /// Spread by surface over 24 hours, exact since promotion.
    pub surfaces_24h: Vec<SurfaceCount>,
    /// Spread by region over 24 hours, exact since promotion.
    pub regions_24h: CodeCounts,
    /// Spread by language over 24 hours, exact since promotion.
    pub languages_24h: CodeCounts,
    /// The live streams among the contents. Null when there are none.
    pub live: Option<LiveAnswer>,
    /// Distinct accounts since promotion.
    pub reach: ReachAnswer,
    /// The time up to which the accounts of platforms that are not the reader's own are counted: they change with the minute, and less often where they
    /// change every minute.
    pub reach_as_of: Option<String>,
    /// The next hour of what is counted exactly. An alert's quantiles also follow how earlier forecasts turned out.
    pub forecast: ForecastAnswer,
}

/// One window of a hot family.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct HotWindow {
    /// `5m`, `1h` or `24h`.
    pub window: &'static str,
    /// Its start, included.
    pub from: Option<String>,
    /// Its end, excluded: the end of the bin that holds `as_of`.
    pub to: Option<String>,
    /// Uploads, blocked uploads and shares: `exact` + `before_exact` + `not_hot`.
    pub spread: Range,
    /// What was counted exactly, since promotion.
    pub exact: u64,
    /// What came before promotion.
    pub before_exact: Range,
    /// What was counted approximately because a visibility class of a member is not hot.
    pub not_hot: Option<NotHot>,
    /// Exact counts since promotion.
    pub platforms: Vec<PlatformCounts>,
}

/// The approximate part of a hot family's window. Events after its own `as_of` are not in it yet.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct NotHot {
    /// Its spread.
    pub spread: Range,
    /// The time up to which it is counted: at most a minute old.
    pub as_of: Option<String>,
    /// The stretch counted: the window rounded outward.
    pub covered_from: Option<String>,
    /// Its end.
    pub covered_to: Option<String>,
}

/// Exact counts of one platform.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PlatformCounts {
    /// The platform.
    pub platform: String,
    /// Uploads, blocked uploads and shares.
    pub spread: u64,
    /// Every kind of event that occurred.
    pub kinds: Vec<KindCount>,
}

/// A count of one kind of event.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct KindCount {
    /// The kind, as in the schema of events.
    pub kind: &'static str,
    /// How many.
    pub count: u64,
}

/// A count on one surface.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SurfaceCount {
    /// The surface, as in the schema of events.
    pub surface: &'static str,
    /// How many.
    pub count: u64,
}

/// How spread divides by region or language: the sum of all these is the exact count of the 24 hours.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CodeCounts {
    /// The largest counts, at most 32: the largest first.
    pub largest: Vec<CodeCount>,
    /// All other regions or languages together. Of each content 32 are told apart at a time.
    pub others: u64,
    /// What stated none.
    pub unstated: u64,
}

/// A count of one region or language.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CodeCount {
    /// A region by ISO 3166-1 alpha-2, a language by ISO 639-1, as in the schema of events.
    pub code: String,
    /// How many.
    pub count: u64,
}

/// What a reader may know of a content or family. `hash` is the one looked up, if any.
///
/// # Errors
/// The reader can see nothing of it, or its partition has not told its time yet.
pub fn family_answer(
    replica: &ReplicaState,
    scope: Scope,
    content: ContentId,
    hash: Option<&ContentHash>,
    now_ms: i64,
) -> Result<FamilyAnswer, AnswerError> {
    let Some(family) = replica.hot.family_of(content, scope) else {
        return cold_answer(replica, scope, content, hash, now_ms).map(|cold| FamilyAnswer::Cold(Box::new(cold)));
    };
    let records = replica.hot.records_of(family, scope);
    match records.first() {
        Some(record) if records.iter().all(|record| record.flood().is_some()) => {
            let mut answer = cold_answer(replica, scope, record.content(), hash, now_ms)?;
            answer.hash = Some(HashText::from(record.hash()));
            answer.quarantined = quarantine_answer(replica, scope, record);
            Ok(FamilyAnswer::Cold(Box::new(answer)))
        }
        _ => hot_answer(replica, scope, family, now_ms).map(|answer| FamilyAnswer::Hot(Box::new(answer))),
    }
}

fn hot_answer(replica: &ReplicaState, scope: Scope, family: FamilyId, now_ms: i64) -> Result<HotAnswer, AnswerError> {
    let records = replica.hot.records_of(family, scope);
    let freshness = Freshness::of_family(replica, family, &records, now_ms)?;
    let (counted, floods): (Vec<&HotRecord>, Vec<&HotRecord>) = records
        .iter()
        .map(|held| &***held)
        .partition(|record| record.flood().is_none());
    let figures = family_figures(&counted, freshness.as_of).ok_or(AnswerError::NotFound)?;
    let calibration = Calibration::new(&Model::SHIPPED);
    let flooded: BTreeSet<ContentId> = floods.iter().map(|record| record.content()).collect();
    let wholly_flooded = |content: &&ContentId| !counted.iter().any(|record| record.content() == **content);
    let floods_alone = flooded.iter().filter(wholly_flooded).count() as u32;
    let cold = NotHotClasses::new(replica, scope, &records);
    let known = KnownAccounts {
        family,
        reach: &figures.reach,
        forecast: next_hour(&counted, &calibration, freshness.as_of),
        as_of: freshness.as_of,
    };
    let accounts = accounts_answer(replica, scope, known, now_ms);
    Ok(HotAnswer {
        family: family.to_string(),
        scope: scope_name(scope),
        hash: founding_hash(family, &records),
        as_of: instant(freshness.as_of),
        lag_ms: freshness.lag_ms,
        members: figures.members + floods_alone,
        quarantined_members: flooded.len() as u32,
        first_seen: instant(figures.first_seen),
        last_seen: instant(figures.last_seen),
        exact_since: instant(figures.exact_since),
        windows: figures
            .windows
            .iter()
            .map(|window| hot_window(window, &cold, &replica.names))
            .collect(),
        surfaces_24h: figures
            .surfaces
            .iter()
            .map(|(surface, count)| SurfaceCount {
                surface: surface.name(),
                count: *count,
            })
            .collect(),
        regions_24h: code_counts(&figures.regions),
        languages_24h: code_counts(&figures.languages),
        live: figures.live.map(LiveAnswer::from),
        reach: accounts.reach,
        reach_as_of: accounts.reach_as_of,
        forecast: accounts.forecast,
    })
}

/// The strongest hash of the content that founded the family, if one of the records is that content's.
pub(super) fn founding_hash(family: FamilyId, records: &[Arc<Held>]) -> Option<HashText> {
    records
        .iter()
        .find(|record| record.content() == family.0)
        .map(|record| HashText::from(record.hash()))
}

/// Exact counts by platform, ascending by the platform's number.
pub(super) fn platform_counts(counts: &BTreeMap<(PlatformId, Kind), u64>, names: &Names) -> Vec<PlatformCounts> {
    let mut platforms: BTreeMap<PlatformId, PlatformCounts> = BTreeMap::new();
    for ((platform, kind), count) in counts {
        let entry = platforms.entry(*platform).or_insert_with(|| PlatformCounts {
            platform: names.platform(*platform),
            spread: 0,
            kinds: Vec::new(),
        });
        if kind.is_spread() {
            entry.spread += count;
        }
        entry.kinds.push(KindCount {
            kind: kind.name(),
            count: *count,
        });
    }
    platforms.into_values().collect()
}

fn hot_window(figures: &WindowFigures, cold: &NotHotClasses, names: &Names) -> HotWindow {
    let platforms = platform_counts(&figures.counts, names);
    let exact: u64 = platforms.iter().map(|platform| platform.spread).sum();
    let not_hot = cold.sum(figures.window.from, figures.window.to);
    let spread = figures
        .spread
        .plus(not_hot.map_or(Interval::default(), |(_, sum)| sum.spread));
    HotWindow {
        window: window_name(figures.length),
        from: instant(figures.window.from),
        to: instant(figures.window.to),
        spread: spread.into(),
        exact,
        before_exact: Range {
            low: figures.spread.low.saturating_sub(exact),
            high: figures.spread.high.saturating_sub(exact),
        },
        not_hot: not_hot.map(|(as_of, sum)| NotHot {
            spread: sum.spread.into(),
            as_of: instant(as_of),
            covered_from: instant(sum.covered_from),
            covered_to: instant(sum.covered_to),
        }),
        platforms,
    }
}

fn code_counts(figures: &CodeFigures) -> CodeCounts {
    let count = |(code, count): &(Code, u64)| CodeCount {
        code: String::from_utf8_lossy(code).into_owned(),
        count: *count,
    };
    CodeCounts {
        largest: figures.stated.iter().map(count).collect(),
        others: figures.others,
        unstated: figures.unstated,
    }
}

/// Cold counts of the classes of a family's members that have no hot record.
pub(super) struct NotHotClasses {
    states: Vec<(ContentId, Arc<ColdState>)>,
    as_of: Option<Timestamp>,
}

impl NotHotClasses {
    pub(super) fn new(replica: &ReplicaState, scope: Scope, records: &[Arc<Held>]) -> Self {
        let hot: BTreeSet<(ContentId, Class)> = records
            .iter()
            .filter(|record| record.flood().is_none())
            .map(|record| (record.content(), record.class()))
            .collect();
        let contents: BTreeSet<ContentId> = records.iter().map(|record| record.content()).collect();
        let mut states = Vec::new();
        let mut as_of = None;
        for content in contents {
            let held = states.len();
            let classes = replica.cold.visible(content, scope).into_iter();
            let not_hot = classes.filter(|(class, _)| !hot.contains(&(content, *class)));
            states.extend(not_hot.map(|(_, state)| (content, state)));
            if states.len() > held {
                let of_content = replica.cold_as_of(content, scope);
                as_of = as_of.map_or(of_content, |as_of| of_content.min(Some(as_of)));
            }
        }
        NotHotClasses { states, as_of }
    }

    /// `None` when there is nothing to add.
    pub(super) fn sum(&self, from: Timestamp, to: Timestamp) -> Option<(Timestamp, ColdSum)> {
        let states = self.states.iter().map(|(content, state)| (*content, state.as_ref()));
        let sum = cold_sum(states, from, to)?;
        (sum.spread.high > 0).then_some((self.as_of?, sum))
    }
}
