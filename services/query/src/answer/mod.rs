//! The answers of the API: what stands in them, and how they are made from the replica. Pure: the reader's scope and the time are
//! arguments.

mod alert;
mod cold;
mod family;
mod live;
mod series;
mod trending;

use std::sync::Arc;

use serde::Serialize;
use time::OffsetDateTime;
use time::macros::format_description;
use tocsin_model::{ContentHash, Estimate, FamilyId, GroupId, Interval, Scope, Timestamp};
use tocsin_velocity::figures::WindowLength;
use utoipa::ToSchema;

pub use alert::{
    AlertAnswer, AlertPlatform, AlertTrigger, AlertsAnswer, ForecastAnswer, InfluenceAnswer, QuantilesAnswer,
    TermAnswer,
};
pub use cold::{ColdAnswer, ColdWindow, QuarantineAnswer};
pub use family::{
    CodeCount, CodeCounts, FamilyAnswer, HotAnswer, HotWindow, KindCount, NotHot, PlatformCounts, PlatformReachAnswer,
    ReachAnswer, SurfaceCount, family_answer,
};
pub use live::LiveAnswer;
pub use series::{SeriesAnswer, SeriesBin, SeriesLine, SeriesQuestion, series_answer};
pub use trending::{TRENDING_LIMIT_MAX, TrendingAnswer, TrendingEntry, trending_answer};

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
    /// The partition has not told its time yet.
    #[error("the partition has not told its time yet")]
    TimeUnknown,
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

/// A count that is known to lie between two bounds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Range {
    /// The truth is at least this.
    pub low: u64,
    /// The truth is at most this.
    pub high: u64,
}

/// An estimate with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct EstimateRange {
    /// The estimate.
    pub estimate: f64,
    /// The lower end of the 95 % interval.
    pub low: f64,
    /// The upper end of the 95 % interval.
    pub high: f64,
}

/// A content hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HashText {
    /// `sha256`, `md5`, `pdq`, `vpdq` or `url`.
    pub algorithm: &'static str,
    /// Lower-case hexadecimal, or the URL.
    pub value: String,
}

impl From<Interval> for Range {
    fn from(interval: Interval) -> Self {
        Range {
            low: interval.low,
            high: interval.high,
        }
    }
}

impl From<Estimate> for EstimateRange {
    fn from(estimate: Estimate) -> Self {
        EstimateRange {
            estimate: estimate.estimate,
            low: estimate.low,
            high: estimate.high,
        }
    }
}

impl From<&ContentHash> for HashText {
    fn from(hash: &ContentHash) -> Self {
        HashText {
            algorithm: hash.algorithm().name(),
            value: hash.value_text(),
        }
    }
}

/// A time as RFC 3339 text in UTC with milliseconds; `None` outside the years 0 to 9999.
pub fn instant(at: Timestamp) -> Option<String> {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000).ok()?;
    (0..=9999)
        .contains(&at.year())
        .then(|| at.format(format).ok())
        .flatten()
}

/// The time that RFC 3339 text says.
pub fn parse_instant(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000))
        .ok()
        .map(Timestamp)
}

/// The name of a scope in the API. A party's readers see one party's scope: their own.
pub fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::All => "all",
        Scope::Coordinators => "coordinators",
        Scope::Party(_) => "party",
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_milliseconds_and_read_back() {
        let at = Timestamp(1_700_000_000_123);
        assert_eq!(instant(at).as_deref(), Some("2023-11-14T22:13:20.123Z"));
        assert_eq!(parse_instant("2023-11-14T22:13:20.123Z"), Some(at));
        assert_eq!(parse_instant("2023-11-14T23:13:20.123+01:00"), Some(at));
        assert_eq!(instant(Timestamp::MIN), None);
        assert_eq!(instant(Timestamp(i64::MAX)), None);
        for wrong in ["", "yesterday", "2023-11-14", "1700000000"] {
            assert_eq!(parse_instant(wrong), None, "{wrong}");
        }
    }
}
