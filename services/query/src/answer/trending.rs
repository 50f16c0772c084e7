use std::ops;
use std::sync::Arc;

use serde::Serialize;
use tocsin_model::{ContentId, FamilyId, Interval, Scope, Timestamp};
use tocsin_velocity::HotRecord;
use tocsin_velocity::figures::{WindowLength, family_figures, window};
use tocsin_wire::document::{HashText, Range, instant};
use utoipa::ToSchema;

use super::family::{PlatformCounts, founding_hash, platform_counts};
use super::{Freshness, scope_name, window_name};
use crate::page::Rank;
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
    /// Pass it as `after` for those that rank behind these; null where there are none.
    pub next: Option<String>,
    /// How many families spread too and are in no page: those behind the first 10,000.
    pub families_left_out: u64,
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

/// The most families that are ranked: beyond it those that spread least are in no page.
pub const RANKED_MAX: usize = 10_000;

/// The families of a scope in the order of a window's spread.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedFamilies {
    /// The reader's scope.
    pub scope: Scope,
    /// The window.
    pub length: WindowLength,
    /// Where each stands, [`RANKED_MAX`] at most.
    pub ranks: Vec<Rank>,
    /// How many more there are.
    pub left_out: u64,
    freshness: Option<Freshness>,
}

impl RankedFamilies {
    /// Ranks the families that certainly spread in the window. Looks at every hot family of the scope.
    pub fn of(replica: &ReplicaState, scope: Scope, length: WindowLength, now_ms: i64) -> RankedFamilies {
        let freshness = Freshness::of_all(replica, now_ms);
        let families = replica.hot.families(scope).into_iter();
        let mut ranks: Vec<Rank> = families
            .filter_map(|family| {
                let records = replica.hot.records_of(family, scope);
                let as_of = Freshness::of_family(replica, family, &records, now_ms).ok()?.as_of;
                let spread = spread(&records, length, as_of);
                // What may only have spread before it became hot does not trend.
                (spread.low > 0).then_some(Rank {
                    counts: (spread.low, spread.high),
                    id: family.0.0,
                })
            })
            .collect();
        ranks.sort_unstable();
        let left_out = ranks.len().saturating_sub(RANKED_MAX) as u64;
        ranks.truncate(RANKED_MAX);
        ranks.shrink_to_fit();
        RankedFamilies {
            scope,
            length,
            ranks,
            left_out,
            freshness,
        }
    }

    /// The `limit` places behind `after`, or the first ones; and whether there are more behind them.
    pub fn page(&self, after: Option<Rank>, limit: usize) -> (&[Rank], bool) {
        let page = self.page_range(after, limit);
        (&self.ranks[page.clone()], page.end < self.ranks.len())
    }

    /// Where those stand in `ranks`.
    pub fn page_range(&self, after: Option<Rank>, limit: usize) -> ops::Range<usize> {
        range_of(&self.ranks, after, limit)
    }

    /// A family at its place. `None` when it is no longer there.
    pub fn entry(&self, replica: &ReplicaState, rank: &Rank, now_ms: i64) -> Option<TrendingEntry> {
        let family = FamilyId(ContentId(rank.id));
        let records = replica.hot.records_of(family, self.scope);
        let freshness = Freshness::of_family(replica, family, &records, now_ms).ok()?;
        entry(replica, self.length, family, &records, freshness)
    }

    /// The answer that holds these entries.
    pub fn answer(&self, families: Vec<TrendingEntry>, next: Option<String>) -> TrendingAnswer {
        TrendingAnswer {
            scope: scope_name(self.scope),
            window: window_name(self.length),
            as_of: self.freshness.and_then(|freshness| instant(freshness.as_of)),
            lag_ms: self.freshness.map(|freshness| freshness.lag_ms),
            families,
            next,
            families_left_out: self.left_out,
        }
    }
}

/// Where the `limit` places of a ranking behind `after` stand, or the first ones.
pub(super) fn range_of(ranks: &[Rank], after: Option<Rank>, limit: usize) -> ops::Range<usize> {
    let begins = after.map_or(0, |after| ranks.partition_point(|rank| *rank <= after));
    begins..begins.saturating_add(limit).min(ranks.len())
}

/// What a family's records say of the spread in the window that ends at `as_of`.
pub(super) fn spread(records: &[Arc<Held>], length: WindowLength, as_of: Timestamp) -> Interval {
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
