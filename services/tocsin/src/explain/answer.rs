//! What explanations and the demo read of an alert as the API gives it. What a later version of the API adds is left out; what an earlier one lacks
//! is left unsaid.

use serde::Deserialize;
use tocsin_wire::document::{
    AccountsRange, AlertPlatform, ForecastAnswer, HashText, InfluenceAnswer, LiveAnswer, Range, TermAnswer,
};

/// An alert.
#[derive(Clone, Debug, Deserialize)]
pub struct Alert {
    pub id: String,
    pub scope: String,
    pub family: String,
    pub hash: HashText,
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
    pub platforms: Vec<AlertPlatform>,
    pub forecast_1h: f64,
    #[serde(default)]
    pub forecast: Option<ForecastAnswer>,
    pub priority: f64,
    pub priority_terms: Vec<TermAnswer>,
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
    pub influence: Vec<InfluenceAnswer>,
    #[serde(default)]
    pub quarantined: bool,
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub live: Option<LiveAnswer>,
}

/// The window that rang.
#[derive(Clone, Debug, Deserialize)]
pub struct Trigger {
    pub window_ms: u64,
    pub observed: u64,
    pub expected: f64,
    pub score: f64,
    #[serde(default)]
    pub score_terms: Option<Vec<TermAnswer>>,
    pub threshold: f64,
    pub accounts_sum_over_platforms: AccountsRange,
}

/// A page of alerts.
#[derive(Clone, Debug, Deserialize)]
pub struct Page {
    pub alerts: Vec<serde_json::Value>,
}
