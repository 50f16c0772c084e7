//! What the demo reads of the API's answers, alerts aside: those it reads as explanations do.

use serde::Deserialize;
use tocsin_wire::document::{HashText, Range};

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
    pub hash: Option<HashText>,
    pub spread: Range,
    pub platforms: Vec<PlatformSpread>,
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
    pub hash: HashText,
    pub priority: f64,
    pub fencing: u64,
    pub decision: Option<Decision>,
}

/// What was decided.
#[derive(Clone, Debug, Deserialize)]
pub struct Decision {
    pub verdict: String,
}
