use std::cmp::Reverse;
use std::sync::Arc;

use serde::Serialize;
use tocsin_model::{FamilyId, Interval, Scope, Timestamp};
use tocsin_velocity::HotRecord;
use tocsin_velocity::figures::{WindowLength, family_figures, window};
use tocsin_wire::document::{HashText, Range, instant};
use utoipa::ToSchema;

use super::family::{PlatformCounts, founding_hash, platform_counts};
use super::{Freshness, scope_name, window_name};
use crate::replica::{Held, ReplicaState};

/// The most families in one answer.
pub const TRENDING_LIMIT_MAX: usize = 100;

/// The hot families of a scope that certainly spread in the window, the most spread first.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TrendingAnswer {
    /// The reader's scope: `all`, `coordinators` or `party`.
    pub scope: &'static str,
    /// `5m`, `1h` or `24h`.
    pub window: &'static str,
    /// The oldest time of all partitions, RFC 3339; null while nothing was counted.
    pub as_of: Option<String>,
    /// How far that is behind, in milliseconds.
    pub lag_ms: Option<u64>,
    /// The families, by the lower end of `spread`, then the upper.
    pub families: Vec<TrendingEntry>,
}

/// One hot family. What its contents spread in classes that are not hot is left out; ask for the family to see it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TrendingEntry {
    /// The family, 32 hexadecimal digits.
    pub family: String,
    /// The founding content's strongest hash, where the reader may see that content.
    pub hash: Option<HashText>,
    /// The time up to which everything of this family is counted.
    pub as_of: Option<String>,
    /// The window's start.
    pub from: Option<String>,
    /// The window's end.
    pub to: Option<String>,
    /// Uploads, blocked uploads and shares in the window.
    pub spread: Range,
    /// Exact counts since promotion.
    pub platforms: Vec<PlatformCounts>,
    /// How many contents of the family the reader may see.
    pub members: u32,
    /// The earliest event that is known.
    pub first_seen: Option<String>,
    /// The latest event.
    pub last_seen: Option<String>,
    /// From when on every count is exact.
    pub exact_since: Option<String>,
}

/// The `limit` families that spread most in the window. Looks at every hot family of the scope.
pub fn trending_answer(
    replica: &ReplicaState,
    scope: Scope,
    length: WindowLength,
    limit: usize,
    now_ms: i64,
) -> TrendingAnswer {
    let freshness = Freshness::of_all(replica, now_ms);
    let mut ranked: Vec<(Interval, FamilyId)> = replica
        .hot
        .families(scope)
        .into_iter()
        .filter_map(|family| {
            let records = replica.hot.records_of(family, scope);
            let as_of = Freshness::of_family(replica, family, &records, now_ms).ok()?.as_of;
            let spread = spread(&records, length, as_of);
            // What may only have spread before it became hot does not trend.
            (spread.low > 0).then_some((spread, family))
        })
        .collect();
    ranked.sort_unstable_by_key(|(spread, family)| (Reverse((spread.low, spread.high)), *family));
    ranked.truncate(limit.min(TRENDING_LIMIT_MAX));
    TrendingAnswer {
        scope: scope_name(scope),
        window: window_name(length),
        as_of: freshness.and_then(|freshness| instant(freshness.as_of)),
        lag_ms: freshness.map(|freshness| freshness.lag_ms),
        families: ranked
            .into_iter()
            .filter_map(|(_, family)| {
                let records = replica.hot.records_of(family, scope);
                let freshness = Freshness::of_family(replica, family, &records, now_ms).ok()?;
                entry(replica, length, family, &records, freshness)
            })
            .collect(),
    }
}

fn spread(records: &[Arc<Held>], length: WindowLength, as_of: Timestamp) -> Interval {
    let window = window(length, as_of);
    records.iter().fold(Interval::default(), |sum, record| {
        sum.plus(record.spread(length.resolution(), window.from, window.to))
    })
}

fn entry(
    replica: &ReplicaState,
    length: WindowLength,
    family: FamilyId,
    records: &[Arc<Held>],
    freshness: Freshness,
) -> Option<TrendingEntry> {
    let borrowed: Vec<&HotRecord> = records.iter().map(|held| &***held).collect();
    let figures = family_figures(&borrowed, freshness.as_of)?;
    let window = figures.windows.iter().find(|window| window.length == length)?;
    Some(TrendingEntry {
        family: family.to_string(),
        hash: founding_hash(family, records),
        as_of: instant(freshness.as_of),
        from: instant(window.window.from),
        to: instant(window.window.to),
        spread: window.spread.into(),
        platforms: platform_counts(&window.counts, &replica.names),
        members: figures.members,
        first_seen: instant(figures.first_seen),
        last_seen: instant(figures.last_seen),
        exact_since: instant(figures.exact_since),
    })
}
