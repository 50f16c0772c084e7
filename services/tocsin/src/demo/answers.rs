//! What the demo reads of the API's answers.

use serde::Deserialize;

/// An alert.
#[derive(Clone, Debug, Deserialize)]
pub struct Alert {
    pub scope: String,
    pub family: String,
    pub hash: Hash,
    pub level: String,
    pub trigger: Trigger,
    pub platforms: Vec<AlertPlatform>,
    pub forecast_1h: f64,
    pub forecast: Option<Forecast>,
    pub priority: f64,
    pub priority_terms: Vec<Term>,
    pub members: u32,
}

/// The window that rang.
#[derive(Clone, Debug, Deserialize)]
pub struct Trigger {
    pub window_ms: u64,
    pub observed: u64,
    pub expected: f64,
    pub score: f64,
    pub threshold: f64,
    pub accounts_sum_over_platforms: Estimate,
}

/// The next hour.
#[derive(Clone, Debug, Deserialize)]
pub struct Forecast {
    pub spread: Quantiles,
}

/// The interval that holds the truth nine times in ten.
#[derive(Clone, Debug, Deserialize)]
pub struct Quantiles {
    pub low: f64,
    pub high: f64,
}

/// An estimate; its interval is not shown.
#[derive(Clone, Debug, Deserialize)]
pub struct Estimate {
    pub estimate: f64,
}

/// A platform's part of an alert.
#[derive(Clone, Debug, Deserialize)]
pub struct AlertPlatform {
    pub platform: String,
    pub spread_1h: u64,
}

/// One term of a priority.
#[derive(Clone, Debug, Deserialize)]
pub struct Term {
    pub name: String,
    pub value: f64,
}

/// A content hash.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash {
    pub algorithm: String,
    pub value: String,
}

/// The families that spread most.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Trending {
    pub as_of: Option<String>,
    pub lag_ms: Option<u64>,
    pub families: Vec<TrendingFamily>,
}

/// One of them.
#[derive(Clone, Debug, Deserialize)]
pub struct TrendingFamily {
    pub hash: Option<Hash>,
    pub spread: Range,
    pub platforms: Vec<PlatformSpread>,
}

/// A count that lies between two bounds.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Range {
    pub low: u64,
    pub high: u64,
}

/// A platform's part of a family.
#[derive(Clone, Debug, Deserialize)]
pub struct PlatformSpread {
    pub platform: String,
    pub spread: u64,
}

/// The course of a family.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Series {
    pub lines: Vec<SeriesLine>,
}

/// One platform and kind of it.
#[derive(Clone, Debug, Deserialize)]
pub struct SeriesLine {
    pub platform: String,
    pub kind: String,
    pub bins: Vec<Bin>,
}

/// So many in the five seconds from `at` on.
#[derive(Clone, Debug, Deserialize)]
pub struct Bin {
    pub at: String,
    pub count: u64,
}

/// A page of the queue.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Queue {
    pub cases: Vec<Case>,
}

/// The answer to "claim the best".
#[derive(Clone, Debug, Deserialize)]
pub struct Claimed {
    pub case: Option<Case>,
}

/// One case.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    pub id: String,
    pub state: String,
    pub hash: Hash,
    pub priority: f64,
    pub fencing: u64,
    pub decision: Option<Decision>,
}

/// What was decided.
#[derive(Clone, Debug, Deserialize)]
pub struct Decision {
    pub verdict: String,
}
