//! The answers of the API: what stands in them, and how they are made from the replica. Pure: the reader's scope and the time are
//! arguments.

mod alert;
mod bank_sightings;
mod batch;
mod breakdown;
mod cold;
mod comparison;
mod counts;
mod family;
mod frame;
mod leak_through;
mod matches;
mod members;
mod reach;
mod series;
mod trending;

use std::sync::Arc;

use tocsin_model::{FamilyId, GroupId, Timestamp};
use tocsin_velocity::figures::WindowLength;

pub use alert::{AlertAnswer, AlertsAnswer, alert_answer};
pub use bank_sightings::{
    BANK_SIGHTINGS_MAX, BankSightingsAnswer, EntrySightings, PlatformSightings, SightedContent, bank_sightings_answer,
    entry_sightings,
};
pub use batch::{BATCH_MAX, BatchAnswer, BatchCount, BatchEntry, batch_answer};
pub use breakdown::{BreakdownAnswer, BreakdownLength, BreakdownWindow, PartAnswer, Share, breakdown_answer};
pub use cold::{ColdAnswer, ColdWindow, QuarantineAnswer};
pub use comparison::{
    Alignment, COMPARED_MAX, ComparedBin, ComparedFamily, ComparedLine, ComparisonAnswer, comparison_answer,
};
pub use counts::{COUNTS_MAX, CountAnswer, CountsAnswer, count_answer, counts_answer};
pub use family::{
    CodeCount, CodeCounts, FamilyAnswer, HotAnswer, HotWindow, KindCount, NotHot, PlatformCounts, SurfaceCount,
    family_answer,
};
pub use frame::{FRAME_FAMILIES_MAX, FrameAnswer, GoneFamily, Moved, MovedFamily, Told, all_that_spreads, moved};
pub use leak_through::{
    BankLeakThrough, Delays, LISTED_CONTENTS_MAX, LeakThroughAnswer, ListedContents, PlatformLeakThrough,
    leak_through_answer, listed_contents,
};
pub use matches::{
    FoundContent, IncidentAnswer, Listed, ListingAnswer, MATCHES_MAX, MatchAnswer, MatchDetails, MatchEvidence,
    MatchesByBank, Sought, VelocityAnswer, bank_content_id, find, matches_by_bank, matches_in_any_bank,
};
pub use members::{
    JoinedAnswer, MEMBERS_LIMIT_MAX, MemberAnswer, MemberPlatform, MembersAnswer, RankedMembers, SinceListingAnswer,
    members_answer,
};
pub use reach::{PlatformReachAnswer, ReachAnswer};
pub use series::{SeriesAnswer, SeriesBin, SeriesLine, SeriesQuestion, series_answer};
pub use trending::{RANKED_MAX, RankedFamilies, TRENDING_LIMIT_MAX, TrendingAnswer, TrendingEntry};

pub use tocsin_wire::document::scope_name;

use crate::replica::{Held, ReplicaState};

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The reader can see nothing of it.
    #[error("there is nothing that this reader may see")]
    NotFound,
    /// It is counted approximately only, and has no bins.
    #[error("only approximate totals are held")]
    NotHot,
    /// Bins of the whole stretch that was asked for are no longer held.
    #[error("bins of that time are no longer held")]
    NotHeld,
    /// The partition has not told its time yet.
    #[error("the partition has not told its time yet")]
    TimeUnknown,
}

impl AnswerError {
    /// The code of the problem that says so, where an answer has several parts and some are missing.
    pub fn code(self) -> &'static str {
        match self {
            AnswerError::NotFound => "not_found",
            AnswerError::NotHot => "not_hot",
            AnswerError::NotHeld => "not_held",
            AnswerError::TimeUnknown => "unavailable",
        }
    }
}

/// Up to when an answer counts everything, and how far that is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The time up to which everything is counted.
    pub as_of: Timestamp,
    /// How long ago the log was told so, in milliseconds. In real time, and when the past is replayed, the same measure.
    pub lag_ms: u64,
}

impl Freshness {
    /// The freshness of the partition that owns a group. `now_ms` is the reader's clock, milliseconds since 1970.
    ///
    /// # Errors
    /// The partition has not told its time yet.
    pub fn of_group(replica: &ReplicaState, group: GroupId, now_ms: i64) -> Result<Freshness, AnswerError> {
        let view = replica.partitions.of_group(group).ok_or(AnswerError::TimeUnknown)?;
        Ok(Freshness {
            as_of: view.as_of,
            lag_ms: lag_ms(now_ms, view.appended_at_ms),
        })
    }

    /// The freshness of a family's hot figures: the oldest of its records and of its home. Figures of other records may be newer by what their
    /// partitions are ahead.
    ///
    /// # Errors
    /// A partition has not told its time yet.
    pub fn of_family(
        replica: &ReplicaState,
        family: FamilyId,
        records: &[Arc<Held>],
        now_ms: i64,
    ) -> Result<Freshness, AnswerError> {
        let home = Freshness::of_group(replica, family.home(), now_ms)?;
        // The records of a unit come before the header that tells its time: each knows better up to when it counts.
        let mut of_records = Vec::with_capacity(records.len());
        for record in records {
            let of_partition = Freshness::of_group(replica, record.content().group(), now_ms)?;
            of_records.push((
                record.content().group(),
                of_partition.as_of.max(record.as_of),
                of_partition.lag_ms,
            ));
        }
        let home_is_told = of_records.iter().any(|(group, _, _)| *group == family.home());
        let of_home = (!home_is_told).then_some((family.home(), home.as_of, home.lag_ms));
        Ok(of_records.into_iter().chain(of_home).fold(
            Freshness {
                as_of: Timestamp(i64::MAX),
                lag_ms: 0,
            },
            |oldest, (_, as_of, lag_ms)| Freshness {
                as_of: oldest.as_of.min(as_of),
                lag_ms: oldest.lag_ms.max(lag_ms),
            },
        ))
    }

    /// The freshness of what rests on both.
    pub fn older(self, other: Freshness) -> Freshness {
        Freshness {
            as_of: self.as_of.min(other.as_of),
            lag_ms: self.lag_ms.max(other.lag_ms),
        }
    }

    /// The freshness of an answer that rests on all partitions: that of the oldest. `None` while no partition has told its time: nothing
    /// was counted yet.
    pub fn of_all(replica: &ReplicaState, now_ms: i64) -> Option<Freshness> {
        let views = replica.partitions.known();
        Some(Freshness {
            as_of: views.iter().map(|view| view.as_of).min()?,
            lag_ms: lag_ms(now_ms, views.iter().map(|view| view.appended_at_ms).min()?),
        })
    }
}

fn lag_ms(now_ms: i64, appended_at_ms: i64) -> u64 {
    u64::try_from(now_ms.saturating_sub(appended_at_ms)).unwrap_or(0)
}

/// The name of a window in the API.
pub fn window_name(length: WindowLength) -> &'static str {
    match length {
        WindowLength::Minutes5 => "5m",
        WindowLength::Hour1 => "1h",
        WindowLength::Hours24 => "24h",
    }
}

/// The window of this name.
pub fn parse_window(name: &str) -> Option<WindowLength> {
    WindowLength::ALL
        .into_iter()
        .find(|length| window_name(*length) == name)
}
