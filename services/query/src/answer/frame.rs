//! What moved in a scope since a moment ago: one entry for each family, with its figures as they are, not by how much they rose. So a reader who
//! missed an entry has the next one, and entries of several frames become one frame by keeping the newest of each family.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use serde::Serialize;
use tocsin_model::{ContentId, FamilyId, Scope, Timestamp};
use tocsin_velocity::figures::WindowLength;
use tocsin_wire::document::{HashText, Range, instant};
use utoipa::ToSchema;

use super::Freshness;
use super::family::founding_hash;
use super::trending::{RankedFamilies, spread};
use crate::replica::{Held, Marked, ReplicaState};

/// The most families of a frame: those that spread most in the last five minutes.
pub const FRAME_FAMILIES_MAX: usize = 100;
/// The most families that are looked at for one.
const LOOKED_AT_MAX: usize = 10_000;

/// What moved in the reader's scope.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct FrameAnswer {
    /// The number of the newest frame in it. Frames of a stream are numbered one after the other.
    pub frame: u64,
    /// How many frames it stands for: more than one where the reader was not ready for each. 0 of the first of a stream, which tells the 100 families
    /// that spread most in the last five minutes.
    pub frames: u64,
    /// The time up to which everything of these families is counted, RFC 3339; null where `families` is empty.
    pub as_of: Option<String>,
    /// The families that moved, at most 100 of each frame.
    pub families: Vec<MovedFamily>,
    /// The families that are hot no more, or were merged into others; at most 100 of each frame.
    pub families_gone: Vec<GoneFamily>,
    /// How many more moved: those that spread least in the last five minutes, and those of which it is not told yet up to when they are counted. They
    /// come with the next frame that has room for them. Of a first frame: how many more spread. Those come when they move, or ask
    /// `/v1/trending?window=5m`.
    pub families_left_out: u64,
}

/// A family of which nothing is hot in the reader's scope any more.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct GoneFamily {
    /// The family, 32 hexadecimal digits.
    pub family: String,
    /// The family to which its founding content belongs now; null where that is not hot.
    pub merged_into: Option<String>,
}

/// The figures of a family that moved, at the frame's `as_of`. They are told again when something happens in the family, not because time passes: five
/// minutes after `last_seen` nothing of it spread in the last five minutes. What its contents spread in classes that are not hot is left out.
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
    /// Those of which nothing is hot any more, [`FRAME_FAMILIES_MAX`] at most.
    pub gone: Vec<(FamilyId, GoneFamily)>,
    /// How many more moved.
    pub left_out: u64,
    /// Which: they are still to be told.
    pub waiting: BTreeSet<FamilyId>,
    /// The family that was looked at last: the next time those behind it come first.
    pub looked_at: Option<FamilyId>,
}

/// What readers of a scope know.
#[derive(Debug, Default)]
pub struct Told {
    /// What was told last of a family.
    pub figures: HashMap<FamilyId, MovedFamily>,
    /// The families that moved and were not told.
    pub waiting: BTreeSet<FamilyId>,
    /// The family that was looked at last.
    pub looked_at: Option<FamilyId>,
}

/// The families of a scope to which contents that moved belong, and those that were not told yet, as far as they are news.
pub fn moved(replica: &ReplicaState, scope: Scope, marked: &Marked, told: &Told, now_ms: i64) -> Moved {
    let mut families = told.waiting.clone();
    for (content, _) in marked.contents.iter().filter(|(_, class)| scope.contains(*class)) {
        families.extend(replica.hot.family_of(*content, scope));
    }
    let left = marked.left.iter().filter(|(_, class)| scope.contains(*class));
    families.extend(left.map(|(family, _)| *family));
    let mut order: Vec<FamilyId> = match told.looked_at {
        Some(last) => {
            let behind = families.range((Excluded(last), Unbounded));
            behind.chain(families.range(..=last)).copied().collect()
        }
        None => families.into_iter().collect(),
    };
    let beyond = order.split_off(order.len().min(LOOKED_AT_MAX));
    let looked_at = order.last().copied().filter(|_| !beyond.is_empty());
    let mut as_of: Option<Timestamp> = None;
    let mut moved: Vec<(FamilyId, MovedFamily)> = Vec::new();
    let mut gone: Vec<(FamilyId, GoneFamily)> = Vec::new();
    let mut undated: Vec<FamilyId> = Vec::new();
    for family in order {
        let records = replica.hot.records_of(family, scope);
        if records.is_empty() {
            gone.push((family, gone_family(replica, scope, family)));
            continue;
        }
        let Ok(freshness) = Freshness::of_family(replica, family, &records, now_ms) else {
            undated.push(family);
            continue;
        };
        let figures = figures(family, &records, freshness.as_of);
        if told.figures.get(&family) != Some(&figures) {
            as_of = Some(as_of.map_or(freshness.as_of, |oldest| oldest.min(freshness.as_of)));
            moved.push((family, figures));
        }
    }
    moved.sort_by_key(|(family, figures)| (Reverse((figures.spread_5m.low, figures.spread_1h.low)), *family));
    let less = moved.split_off(moved.len().min(FRAME_FAMILIES_MAX));
    let more_gone = gone.split_off(gone.len().min(FRAME_FAMILIES_MAX));
    let waiting: BTreeSet<FamilyId> = less
        .into_iter()
        .map(|(family, _)| family)
        .chain(more_gone.into_iter().map(|(family, _)| family))
        .chain(beyond)
        .chain(undated)
        .collect();
    Moved {
        as_of,
        families: moved,
        gone,
        left_out: waiting.len() as u64,
        waiting,
        looked_at,
    }
}

fn gone_family(replica: &ReplicaState, scope: Scope, family: FamilyId) -> GoneFamily {
    let merged_into = replica.hot.family_of(family.0, scope).filter(|now| *now != family);
    GoneFamily {
        family: family.to_string(),
        merged_into: merged_into.map(|family| family.to_string()),
    }
}

/// The [`FRAME_FAMILIES_MAX`] families that spread most in the last five minutes: what a stream begins with.
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
        ..Moved::default()
    }
}

fn figures(family: FamilyId, records: &[Arc<Held>], as_of: Timestamp) -> MovedFamily {
    let spread = |length: WindowLength| Range::from(spread(records, length, as_of));
    MovedFamily {
        family: family.to_string(),
        hash: founding_hash(family, records),
        spread_5m: spread(WindowLength::Minutes5),
        spread_1h: spread(WindowLength::Hour1),
        spread_24h: spread(WindowLength::Hours24),
        last_seen: records.iter().map(|record| record.last_seen()).max().and_then(instant),
    }
}
