//! What the HTTP APIs of several roles answer alike, and the commands read: the same shape under the same name. Times are RFC 3339 text in UTC.

mod accounts;
mod alert;
mod audit;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use tocsin_model::{ContentHash, Interval, LiveFigures, NextHour, Quantiles, ScoreTerms, Timestamp};
use tocsin_suppression::ShownQuantiles;
use utoipa::ToSchema;

pub use accounts::{AccountsQuantiles, AccountsRange};
pub use alert::{AlertAnswer, AlertTrigger, alert_accounts, alert_forecast, scope_name};
pub use audit::{ChainDocument, CheckpointDocument, CheckpointMalformed};

/// A count that is known to lie between two bounds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Range {
    /// The truth is at least this.
    pub low: u64,
    /// The truth is at most this.
    pub high: u64,
}

/// A content hash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct HashText {
    /// `sha256`, `md5`, `pdq`, `vpdq` or `url`.
    pub algorithm: String,
    /// Lower-case hexadecimal, or the URL.
    pub value: String,
}

/// One term of a priority, or of a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TermAnswer {
    /// What it is: a stable name.
    pub name: String,
    /// Its value.
    pub value: f64,
}

/// What is expected of the next hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ForecastAnswer {
    /// Uploads, blocked uploads and shares.
    pub spread: QuantilesAnswer,
    /// The accounts these come from.
    pub accounts: AccountsQuantiles,
}

/// What is expected: with 90 % probability it lies between `low` and `high`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QuantilesAnswer {
    /// With 5 % probability it is less.
    pub low: f64,
    /// It is as likely to be more as to be less.
    pub median: f64,
    /// With 5 % probability it is more.
    pub high: f64,
}

/// One party's part in an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InfluenceAnswer {
    /// The party: its name, or its number while the name is not known.
    pub party: String,
    /// The part of the family's spread over the last hour that it reported, 0 to 1.
    pub share: f64,
    /// The part of the exposure in the priority that is its own after the cap, 0 to 1.
    pub counted_share: f64,
    /// Whether the cap on what one party adds holds it back.
    pub capped: bool,
}

/// One platform's share in an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertPlatform {
    /// The platform: its name, or its number while the name is not known.
    pub platform: String,
    /// Exact spread since promotion, over the last hour.
    pub spread_1h: u64,
    /// Exact spread since promotion, over the last 24 hours.
    pub spread_24h: u64,
    /// Distinct accounts since promotion.
    pub accounts: AccountsRange,
}

/// The live streams of a family. A stream is one content on one platform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LiveAnswer {
    /// `running` while one of them runs, then `ended`. One of which nothing was heard for five minutes is over.
    pub state: String,
    /// How many streams are known.
    pub streams: u32,
    /// Of these, so many run.
    pub running: u32,
    /// When the first of those that run began; of all, where none runs. The earliest sign of life where no start was reported.
    pub started_at: Option<String>,
    /// When the last one ended, or was last heard. Null while one runs.
    pub ended_at: Option<String>,
    /// Concurrent viewers by the latest heartbeats of those that run.
    pub viewers: u64,
    /// The most concurrent viewers of each stream, summed up: with several streams an upper bound.
    pub peak_viewers: u64,
    /// How long all viewers watched together, in minutes.
    pub viewer_minutes: u64,
    /// The log-odds that the audience of a running stream grows because its viewers pass it on, in nats.
    pub score: f64,
    /// The score from which the rule rings.
    pub threshold: f64,
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
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000))
        .ok()
        .map(Timestamp)
}

/// The terms of a score by their names.
pub fn score_terms(terms: ScoreTerms) -> Vec<TermAnswer> {
    let term = |(name, value): (&str, f64)| TermAnswer {
        name: name.to_owned(),
        value,
    };
    terms.named().into_iter().map(term).collect()
}

impl From<Interval> for Range {
    fn from(interval: Interval) -> Self {
        Range {
            low: interval.low,
            high: interval.high,
        }
    }
}

impl From<&ContentHash> for HashText {
    fn from(hash: &ContentHash) -> Self {
        HashText {
            algorithm: hash.algorithm().name().to_owned(),
            value: hash.value_text(),
        }
    }
}

impl From<&tocsin_model::PriorityTerm> for TermAnswer {
    fn from(term: &tocsin_model::PriorityTerm) -> Self {
        TermAnswer {
            name: term.name.to_string(),
            value: term.value,
        }
    }
}

impl ForecastAnswer {
    /// The answer for a forecast whose accounts are told like this.
    pub fn new(forecast: NextHour, accounts: ShownQuantiles) -> Self {
        ForecastAnswer {
            spread: forecast.spread.into(),
            accounts: accounts.into(),
        }
    }
}

impl From<Quantiles> for QuantilesAnswer {
    fn from(quantiles: Quantiles) -> Self {
        QuantilesAnswer {
            low: quantiles.low,
            median: quantiles.median,
            high: quantiles.high,
        }
    }
}

impl From<LiveFigures> for LiveAnswer {
    fn from(live: LiveFigures) -> Self {
        LiveAnswer {
            state: live.state().to_owned(),
            streams: live.streams,
            running: live.running,
            started_at: instant(live.started_at),
            ended_at: live.ended_at.and_then(instant),
            viewers: live.viewers,
            peak_viewers: live.peak_viewers,
            viewer_minutes: live.viewer_minutes,
            score: live.score,
            threshold: live.threshold,
        }
    }
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
