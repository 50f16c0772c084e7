//! What an explanation reads of an alert as the API gives it. What a later version of the API adds is left out; what an earlier one lacks
//! is left unsaid.

use serde::Deserialize;

/// An alert.
#[derive(Clone, Debug, Deserialize)]
pub struct Alert {
    pub id: String,
    pub scope: String,
    pub family: String,
    pub hash: Hash,
    pub level: String,
    pub episode: u32,
    pub rule_version: u16,
    pub at: Option<String>,
    pub first_seen: Option<String>,
    pub exact_since: Option<String>,
    pub trigger: Trigger,
    pub spread_5m: Range,
    pub spread_1h: Range,
    pub spread_24h: Range,
    pub platforms: Vec<Platform>,
    pub forecast_1h: f64,
    #[serde(default)]
    pub forecast: Option<Forecast>,
    pub priority: f64,
    pub priority_terms: Vec<Term>,
    pub members: u32,
    #[serde(default)]
    pub paged: bool,
    #[serde(default)]
    pub page_score: f64,
    #[serde(default)]
    pub page_threshold: f64,
    #[serde(default)]
    pub pages_per_day: f64,
    #[serde(default)]
    pub calibration: u64,
    #[serde(default)]
    pub influence: Vec<Influence>,
    #[serde(default)]
    pub quarantined: bool,
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub live: Option<Live>,
}

/// The live streams of the family.
#[derive(Clone, Debug, Deserialize)]
pub struct Live {
    pub streams: u32,
    pub running: u32,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    pub viewers: u64,
    pub peak_viewers: u64,
    pub viewer_minutes: u64,
    pub score: f64,
    pub threshold: f64,
}

/// A content hash.
#[derive(Clone, Debug, Deserialize)]
pub struct Hash {
    pub algorithm: String,
    pub value: String,
}

/// The window that rang.
#[derive(Clone, Debug, Deserialize)]
pub struct Trigger {
    pub window_ms: u64,
    pub observed: u64,
    pub expected: f64,
    pub score: f64,
    #[serde(default)]
    pub score_terms: Option<Vec<Term>>,
    pub threshold: f64,
    pub accounts_sum_over_platforms: Estimate,
}

/// A count that lies between two bounds.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Range {
    pub low: u64,
    pub high: u64,
}

/// An estimate with its 95 % interval.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Estimate {
    pub estimate: f64,
    pub low: f64,
    pub high: f64,
}

/// A platform's part.
#[derive(Clone, Debug, Deserialize)]
pub struct Platform {
    pub platform: String,
    pub spread_1h: u64,
    pub spread_24h: u64,
    pub accounts: Estimate,
}

/// The next hour.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Forecast {
    pub spread: Quantiles,
    pub accounts: Quantiles,
}

/// 5, 50 and 95 %.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Quantiles {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

/// One term of a priority.
#[derive(Clone, Debug, Deserialize)]
pub struct Term {
    pub name: String,
    pub value: f64,
}

/// A party's part.
#[derive(Clone, Debug, Deserialize)]
pub struct Influence {
    pub party: String,
    pub share: f64,
    pub counted_share: f64,
    pub capped: bool,
}

/// A page of alerts.
#[derive(Clone, Debug, Deserialize)]
pub struct Page {
    pub alerts: Vec<serde_json::Value>,
}
