//! The spread of several families beside each other: by the clock, or each from its own first sight on.

use std::collections::BTreeMap;

use serde::Serialize;
use tocsin_model::{ContentId, Milliseconds, Scope, Timestamp};
use tocsin_velocity::Resolution;
use tocsin_wire::document::{HashText, instant};
use utoipa::ToSchema;

use super::family::founding_hash;
use super::series::{HotSeries, SeriesQuestion, Stretch, resolution_name};
use super::{AnswerError, Freshness, scope_name};
use crate::replica::ReplicaState;

/// The most families that are compared at once.
pub const COMPARED_MAX: usize = 20;

/// What the lines of a comparison begin at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alignment {
    /// The same time.
    Time {
        /// From when on; `None`: from the oldest bin held.
        from: Option<Timestamp>,
        /// Up to when, excluded; `None`: with the open bin.
        to: Option<Timestamp>,
    },
    /// The first sight of each family.
    FirstSeen {
        /// How long after the bin of the first sight; `None`: from it on.
        from: Option<Milliseconds>,
        /// Up to when after it, excluded; `None`: with the open bin.
        to: Option<Milliseconds>,
    },
}

/// The spread of families by bins, in the order asked.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ComparisonAnswer {
    /// The reader's scope: `all`, `coordinators` or `party`.
    pub scope: &'static str,
    /// The time up to which everything of all families is counted, RFC 3339; null where there is no line.
    pub as_of: Option<String>,
    /// How far that is behind, in milliseconds.
    pub lag_ms: Option<u64>,
    /// `5s`, `1m` or `15m`.
    pub resolution: &'static str,
    /// How long a bin is, in milliseconds. Bins begin at its multiples since 1970, UTC.
    pub bin_ms: u64,
    /// `time` or `first_seen`.
    pub align: &'static str,
    /// One for each id asked about, in their order.
    pub families: Vec<ComparedFamily>,
}

/// One of the ids asked about.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ComparedFamily {
    /// The id as it was asked about.
    pub asked: String,
    /// Why there is no line: `not_found`, `not_hot`, `not_held` or `unavailable`, as the problems of these names. Null where there is one.
    pub code: Option<&'static str>,
    /// The family's spread. Null where there is a `code`.
    pub line: Option<ComparedLine>,
}

/// The spread of one family: uploads, blocked uploads and shares on all platforms.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ComparedLine {
    /// The family, 32 hexadecimal digits. Differs from the id asked for when that content belongs to another's family.
    pub family: String,
    /// The founding content's strongest hash, where the reader may see that content.
    pub hash: Option<HashText>,
    /// The time up to which everything of this family is counted.
    pub as_of: Option<String>,
    /// The earliest event that is known.
    pub first_seen: Option<String>,
    /// From when on every bin is exact: what came before is in no bin.
    pub exact_since: Option<String>,
    /// The start of the oldest bin that is kept at this resolution: of what came before nothing is known here.
    pub held_from: Option<String>,
    /// The start of the first bin told.
    pub from: Option<String>,
    /// The end of the last.
    pub to: Option<String>,
    /// The sum of the bins.
    pub spread: u64,
    /// The bins that hold something, ascending.
    pub bins: Vec<ComparedBin>,
}

/// One bin of a line.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ComparedBin {
    /// Its start, RFC 3339.
    pub at: Option<String>,
    /// How long its start lies behind that of the bin of the first sight, in seconds. What was received late may lie before it.
    pub after_first_seen_s: i64,
    /// How many copies.
    pub count: u64,
}

/// The families that contents belong to, beside each other.
pub fn comparison_answer(
    replica: &ReplicaState,
    scope: Scope,
    asked: &[(String, Option<ContentId>)],
    resolution: Resolution,
    alignment: Alignment,
    now_ms: i64,
) -> ComparisonAnswer {
    let mut oldest: Option<Freshness> = None;
    let compared = asked.iter().map(|(asked, content)| {
        let line = content
            .ok_or(AnswerError::NotFound)
            .and_then(|content| line(replica, scope, content, resolution, alignment, now_ms));
        let (line, code) = match line {
            Ok((freshness, line)) => {
                oldest = Some(oldest.map_or(freshness, |oldest| oldest.older(freshness)));
                (Some(line), None)
            }
            Err(error) => (None, Some(error.code())),
        };
        let asked = asked.clone();
        ComparedFamily { asked, code, line }
    });
    let families = compared.collect();
    ComparisonAnswer {
        scope: scope_name(scope),
        as_of: oldest.and_then(|freshness| instant(freshness.as_of)),
        lag_ms: oldest.map(|freshness| freshness.lag_ms),
        resolution: resolution_name(resolution),
        bin_ms: resolution.width().0.unsigned_abs(),
        align: match alignment {
            Alignment::Time { .. } => "time",
            Alignment::FirstSeen { .. } => "first_seen",
        },
        families,
    }
}

fn line(
    replica: &ReplicaState,
    scope: Scope,
    content: ContentId,
    resolution: Resolution,
    alignment: Alignment,
    now_ms: i64,
) -> Result<(Freshness, ComparedLine), AnswerError> {
    let hot = HotSeries::of(replica, scope, content, now_ms)?;
    let first_seen = hot.records.iter().map(|record| record.first_seen()).min();
    let first_seen = first_seen.ok_or(AnswerError::NotFound)?;
    let origin = first_seen.floor_to(resolution.width());
    let (from, to) = match alignment {
        Alignment::Time { from, to } => (from, to),
        Alignment::FirstSeen { from, to } => (from.map(|from| origin + from), to.map(|to| origin + to)),
    };
    let stretch = Stretch::of(SeriesQuestion { resolution, from, to }, hot.freshness.as_of)?;
    let mut sums: BTreeMap<Timestamp, u64> = BTreeMap::new();
    for (_, _, at, count) in hot.bins(resolution, &stretch).filter(|(_, kind, ..)| kind.is_spread()) {
        *sums.entry(at).or_insert(0) += count;
    }
    let line = ComparedLine {
        family: hot.family.to_string(),
        hash: founding_hash(hot.family, &hot.records),
        as_of: instant(hot.freshness.as_of),
        first_seen: instant(first_seen),
        exact_since: instant(hot.exact_since),
        held_from: instant(stretch.held_from),
        from: instant(stretch.from),
        to: instant(stretch.to),
        spread: sums.values().sum(),
        bins: sums
            .into_iter()
            .map(|(at, count)| ComparedBin {
                at: instant(at),
                after_first_seen_s: (at - origin).0.div_euclid(1_000),
                count,
            })
            .collect(),
    };
    Ok((hot.freshness, line))
}
