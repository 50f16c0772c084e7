//! What moved in a scope since a moment ago: one entry for each family, with its figures as they are, not by how much they rose. So a reader who
//! missed an entry has the next one, and entries of several frames become one frame by keeping the newest of each family.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use tocsin_model::{Class, ContentId, FamilyId, Interval, Scope, Timestamp};
use tocsin_velocity::figures::{WindowLength, window};
use tocsin_wire::document::{HashText, Range, instant};
use utoipa::ToSchema;

use super::Freshness;
use super::family::founding_hash;
use super::trending::RankedFamilies;
use crate::replica::{Held, ReplicaState};

/// The most families of a frame: those that spread most in the last five minutes.
pub const FRAME_FAMILIES_MAX: usize = 100;
/// The most families that are looked at for one.
const LOOKED_AT_MAX: usize = 10_000;

/// What moved in the reader's scope.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct FrameAnswer {
    /// The number of the newest frame in it. Frames of a stream are numbered one after the other.
    pub frame: u64,
    /// How many frames it stands for: more than one where the reader was not ready for each. 0 of the first of a stream, which tells all that
    /// spread in the last five minutes.
    pub frames: u64,
    /// The time up to which everything of these families is counted, RFC 3339.
    pub as_of: Option<String>,
    /// The families that moved, at most 100 of each frame.
    pub families: Vec<MovedFamily>,
    /// How many more moved: those that spread least in the last five minutes.
    pub families_left_out: u64,
}

/// The figures of a family that moved. What its contents spread in classes that are not hot is left out.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MovedFamily {
    /// The family, 32 hexadecimal digits.
    pub family: String,
    /// The founding content's strongest hash, where the reader may see that content.
    pub hash: Option<HashText>,
    /// Uploads, blocked uploads and shares in the last 5 minutes.
    pub spread_5m: Range,
    /// And in the last hour.
    pub spread_1h: Range,
    /// And in the last 24 hours.
    pub spread_24h: Range,
    /// The latest event.
    pub last_seen: Option<String>,
}

/// Families that moved, before they are written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moved {
    /// The oldest time up to which one of them is counted.
    pub as_of: Option<Timestamp>,
    /// The most spread first, [`FRAME_FAMILIES_MAX`] at most.
    pub families: Vec<(FamilyId, MovedFamily)>,
    /// How many more moved.
    pub left_out: u64,
}

/// The families of a scope to which contents that moved belong. `is_news` says of a family's figures whether the reader does not know them yet.
pub fn moved(
    replica: &ReplicaState,
    scope: Scope,
    marked: &[(ContentId, Class)],
    mut is_news: impl FnMut(FamilyId, &MovedFamily) -> bool,
    now_ms: i64,
) -> Moved {
    let of_scope = marked.iter().filter(|(_, class)| scope.contains(*class));
    let families: BTreeSet<FamilyId> = of_scope
        .filter_map(|(content, _)| replica.hot.family_of(*content, scope))
        .collect();
    let beyond = families.len().saturating_sub(LOOKED_AT_MAX) as u64;
    let mut as_of: Option<Timestamp> = None;
    let mut told: Vec<(FamilyId, MovedFamily)> = Vec::new();
    for family in families.into_iter().take(LOOKED_AT_MAX) {
        let records = replica.hot.records_of(family, scope);
        let Ok(freshness) = Freshness::of_family(replica, family, &records, now_ms) else {
            continue;
        };
        let figures = figures(family, &records, freshness.as_of);
        if is_news(family, &figures) {
            as_of = Some(as_of.map_or(freshness.as_of, |oldest| oldest.min(freshness.as_of)));
            told.push((family, figures));
        }
    }
    told.sort_by_key(|(family, figures)| (Reverse((figures.spread_5m.low, figures.spread_1h.low)), *family));
    let left_out = beyond + told.len().saturating_sub(FRAME_FAMILIES_MAX) as u64;
    told.truncate(FRAME_FAMILIES_MAX);
    Moved {
        as_of,
        families: told,
        left_out,
    }
}

/// All that spread in the last five minutes, as far as it is ranked: what a stream begins with.
pub fn all_that_spreads(replica: &ReplicaState, ranked: &RankedFamilies, now_ms: i64) -> Moved {
    let (places, _) = ranked.page(None, FRAME_FAMILIES_MAX);
    let mut as_of: Option<Timestamp> = None;
    let families = places.iter().filter_map(|rank| {
        let family = FamilyId(ContentId(rank.id));
        let records = replica.hot.records_of(family, ranked.scope);
        let freshness = Freshness::of_family(replica, family, &records, now_ms).ok()?;
        as_of = Some(as_of.map_or(freshness.as_of, |oldest| oldest.min(freshness.as_of)));
        Some((family, figures(family, &records, freshness.as_of)))
    });
    let families = families.collect();
    Moved {
        as_of,
        families,
        left_out: ranked.left_out + (ranked.ranks.len() - places.len()) as u64,
    }
}

fn figures(family: FamilyId, records: &[Arc<Held>], as_of: Timestamp) -> MovedFamily {
    let spread = |length: WindowLength| {
        let window = window(length, as_of);
        let of_each = records
            .iter()
            .map(|record| record.spread(length.resolution(), window.from, window.to));
        Range::from(of_each.fold(Interval::default(), Interval::plus))
    };
    MovedFamily {
        family: family.to_string(),
        hash: founding_hash(family, records),
        spread_5m: spread(WindowLength::Minutes5),
        spread_1h: spread(WindowLength::Hour1),
        spread_24h: spread(WindowLength::Hours24),
        last_seen: records.iter().map(|record| record.last_seen()).max().and_then(instant),
    }
}
