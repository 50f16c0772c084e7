//! The stored form of a case's last alert: JSON, so that a person can read a row. A field that a later version adds must have a default.

use serde::{Deserialize, Serialize};
use tocsin_model::{
    Alert, AlertId, AlertLevel, AlertReason, Algorithm, Class, ContentHash, ContentId, Estimate, FamilyId, Interval,
    LiveFigures, Milliseconds, NextHour, PartyId, PartyInfluence, PlatformFigures, PlatformId, PriorityTerm, Quantiles,
    ScoreTerms, Timestamp, TriggerEvidence,
};

use crate::StoreError;
use tocsin_model::parse_hex_id;

#[derive(Serialize, Deserialize)]
struct Stored {
    id: String,
    class: u32,
    family: String,
    algorithm: String,
    value: String,
    quality: Option<u8>,
    level: u8,
    episode: u32,
    rule_version: u16,
    at: i64,
    first_seen: i64,
    exact_since: i64,
    window_ms: i64,
    observed: u64,
    expected: f64,
    score: f64,
    threshold: f64,
    accounts: [f64; 3],
    spread_5m: [u64; 2],
    spread_1h: [u64; 2],
    spread_24h: [u64; 2],
    platforms: Vec<StoredPlatform>,
    forecast_1h: f64,
    priority: f64,
    priority_terms: Vec<(String, f64)>,
    members: u32,
    /// Spread, then accounts; low, median, high.
    #[serde(default)]
    forecast: Option<[[f64; 3]; 2]>,
    #[serde(default)]
    paged: bool,
    #[serde(default)]
    page_score: f64,
    #[serde(default)]
    page_threshold: f64,
    #[serde(default)]
    pages_per_day: f64,
    #[serde(default)]
    influence: Vec<StoredInfluence>,
    #[serde(default)]
    quarantined: bool,
    /// Absent in alerts of before there was another reason than spread.
    #[serde(default)]
    reason: Option<u8>,
    #[serde(default)]
    live: Option<StoredLive>,
    /// In the order of the fields.
    #[serde(default)]
    score_terms: Option<[f64; 5]>,
    #[serde(default)]
    calibration: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredLive {
    streams: u32,
    running: u32,
    started_at: i64,
    ended_at: Option<i64>,
    viewers: u64,
    peak_viewers: u64,
    viewer_minutes: u64,
    score: f64,
    threshold: f64,
}

#[derive(Serialize, Deserialize)]
struct StoredInfluence {
    party: u16,
    share: f64,
    counted_share: f64,
    capped: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredPlatform {
    platform: u16,
    spread_1h: u64,
    spread_24h: u64,
    reach: [f64; 3],
}

pub(crate) fn to_json(alert: &Alert) -> String {
    let stored = Stored {
        id: alert.id.to_string(),
        class: alert.scope.own_class().number(),
        family: alert.family.to_string(),
        algorithm: alert.hash.algorithm().name().to_owned(),
        value: alert.hash.value_text(),
        quality: alert.hash.quality(),
        level: alert.level as u8,
        episode: alert.episode,
        rule_version: alert.rule_version,
        at: alert.at.0,
        first_seen: alert.first_seen.0,
        exact_since: alert.exact_since.0,
        window_ms: alert.trigger.window.0,
        observed: alert.trigger.observed,
        expected: finite(alert.trigger.expected),
        score: finite(alert.trigger.score),
        threshold: finite(alert.trigger.threshold),
        accounts: from_estimate(alert.trigger.accounts),
        spread_5m: [alert.spread_5m.low, alert.spread_5m.high],
        spread_1h: [alert.spread_1h.low, alert.spread_1h.high],
        spread_24h: [alert.spread_24h.low, alert.spread_24h.high],
        platforms: alert.platforms.iter().map(from_platform).collect(),
        forecast_1h: finite(alert.forecast_1h),
        priority: finite(alert.priority),
        priority_terms: alert
            .priority_terms
            .iter()
            .map(|term| (term.name.to_string(), finite(term.value)))
            .collect(),
        members: alert.members,
        forecast: alert
            .forecast
            .map(|forecast| [forecast.spread, forecast.accounts].map(from_quantiles)),
        paged: alert.paged,
        page_score: finite(alert.page_score),
        page_threshold: finite(alert.page_threshold),
        pages_per_day: finite(alert.pages_per_day),
        influence: alert.influence.iter().map(from_influence).collect(),
        quarantined: alert.quarantined,
        reason: Some(alert.reason as u8),
        live: alert.live.as_ref().map(from_live),
        score_terms: alert
            .score_terms
            .map(|terms| terms.named().map(|(_, value)| finite(value))),
        calibration: alert.calibration,
    };
    serde_json::to_string(&stored).expect("finite numbers and text are always JSON")
}

#[derive(Serialize, Deserialize)]
struct StoredHash {
    algorithm: String,
    value: String,
    quality: Option<u8>,
}

pub(crate) fn hash_to_json(hash: &ContentHash) -> String {
    let stored = StoredHash {
        algorithm: hash.algorithm().name().to_owned(),
        value: hash.value_text(),
        quality: hash.quality(),
    };
    serde_json::to_string(&stored).expect("text is always JSON")
}

pub(crate) fn hash_from_json(text: &str) -> Result<ContentHash, StoreError> {
    let malformed = || StoreError::Malformed { field: "hash" };
    let stored: StoredHash = serde_json::from_str(text).map_err(|_| malformed())?;
    let algorithm = Algorithm::from_name(&stored.algorithm).ok_or_else(malformed)?;
    ContentHash::parse(algorithm, &stored.value, stored.quality).map_err(|_| malformed())
}

pub(crate) fn live_to_json(live: &LiveFigures) -> String {
    serde_json::to_string(&from_live(live)).expect("finite numbers are always JSON")
}

pub(crate) fn live_from_json(text: &str) -> Result<LiveFigures, StoreError> {
    let stored = serde_json::from_str(text).map_err(|_| StoreError::Malformed { field: "live" })?;
    Ok(to_live(stored))
}

pub(crate) fn from_json(text: &str) -> Result<Alert, StoreError> {
    let malformed = StoreError::Malformed { field: "alert" };
    let Ok(stored) = serde_json::from_str::<Stored>(text) else {
        return Err(malformed);
    };
    to_alert(stored).ok_or(malformed)
}

fn to_alert(stored: Stored) -> Option<Alert> {
    let algorithm = Algorithm::from_name(&stored.algorithm)?;
    Some(Alert {
        id: AlertId(parse_hex_id(&stored.id).ok()?),
        scope: Class::from_number(stored.class)?.scope(),
        family: FamilyId(ContentId::parse(&stored.family)?),
        hash: ContentHash::parse(algorithm, &stored.value, stored.quality).ok()?,
        level: AlertLevel::from_number(stored.level)?,
        episode: stored.episode,
        rule_version: stored.rule_version,
        at: Timestamp(stored.at),
        first_seen: Timestamp(stored.first_seen),
        exact_since: Timestamp(stored.exact_since),
        trigger: TriggerEvidence {
            window: Milliseconds(stored.window_ms),
            observed: stored.observed,
            expected: stored.expected,
            score: stored.score,
            threshold: stored.threshold,
            accounts: to_estimate(stored.accounts),
        },
        spread_5m: to_interval(stored.spread_5m),
        spread_1h: to_interval(stored.spread_1h),
        spread_24h: to_interval(stored.spread_24h),
        platforms: stored.platforms.into_iter().map(to_platform).collect(),
        forecast_1h: stored.forecast_1h,
        priority: stored.priority,
        priority_terms: stored
            .priority_terms
            .into_iter()
            .map(|(name, value)| PriorityTerm {
                name: name.into(),
                value,
            })
            .collect(),
        members: stored.members,
        forecast: stored.forecast.map(|[spread, accounts]| NextHour {
            spread: to_quantiles(spread),
            accounts: to_quantiles(accounts),
        }),
        paged: stored.paged,
        page_score: stored.page_score,
        page_threshold: stored.page_threshold,
        pages_per_day: stored.pages_per_day,
        influence: stored.influence.into_iter().map(to_influence).collect(),
        quarantined: stored.quarantined,
        reason: stored
            .reason
            .map_or(Some(AlertReason::default()), AlertReason::from_number)?,
        live: stored.live.map(to_live),
        score_terms: stored
            .score_terms
            .map(|[rarity, pace, growth, synchrony, reuploads]| ScoreTerms {
                rarity,
                pace,
                growth,
                synchrony,
                reuploads,
            }),
        calibration: stored.calibration,
    })
}

fn from_platform(figures: &PlatformFigures) -> StoredPlatform {
    StoredPlatform {
        platform: figures.platform.0,
        spread_1h: figures.spread_1h,
        spread_24h: figures.spread_24h,
        reach: from_estimate(figures.reach),
    }
}

fn to_platform(stored: StoredPlatform) -> PlatformFigures {
    PlatformFigures {
        platform: PlatformId(stored.platform),
        spread_1h: stored.spread_1h,
        spread_24h: stored.spread_24h,
        reach: to_estimate(stored.reach),
    }
}

fn from_influence(influence: &PartyInfluence) -> StoredInfluence {
    StoredInfluence {
        party: influence.party.0,
        share: finite(influence.share),
        counted_share: finite(influence.counted_share),
        capped: influence.capped,
    }
}

fn to_influence(stored: StoredInfluence) -> PartyInfluence {
    PartyInfluence {
        party: PartyId(stored.party),
        share: stored.share,
        counted_share: stored.counted_share,
        capped: stored.capped,
    }
}

fn from_live(live: &LiveFigures) -> StoredLive {
    StoredLive {
        streams: live.streams,
        running: live.running,
        started_at: live.started_at.0,
        ended_at: live.ended_at.map(|at| at.0),
        viewers: live.viewers,
        peak_viewers: live.peak_viewers,
        viewer_minutes: live.viewer_minutes,
        score: finite(live.score),
        threshold: finite(live.threshold),
    }
}

fn to_live(stored: StoredLive) -> LiveFigures {
    LiveFigures {
        streams: stored.streams,
        running: stored.running,
        started_at: Timestamp(stored.started_at),
        ended_at: stored.ended_at.map(Timestamp),
        viewers: stored.viewers,
        peak_viewers: stored.peak_viewers,
        viewer_minutes: stored.viewer_minutes,
        score: stored.score,
        threshold: stored.threshold,
    }
}

fn from_quantiles(quantiles: Quantiles) -> [f64; 3] {
    [quantiles.low, quantiles.median, quantiles.high].map(finite)
}

fn to_quantiles([low, median, high]: [f64; 3]) -> Quantiles {
    Quantiles { low, median, high }
}

fn from_estimate(estimate: Estimate) -> [f64; 3] {
    [estimate.estimate, estimate.low, estimate.high].map(finite)
}

fn to_estimate([estimate, low, high]: [f64; 3]) -> Estimate {
    Estimate { estimate, low, high }
}

fn to_interval([low, high]: [u64; 2]) -> Interval {
    Interval { low, high }
}

/// JSON has no other numbers.
fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

#[cfg(test)]
#[path = "../../model/tests/example/mod.rs"]
mod example;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_row_of_an_earlier_version_is_read() {
        let stored = Alert {
            paged: true,
            page_score: 7.0,
            quarantined: true,
            live: Some(LiveFigures {
                streams: 1,
                running: 0,
                started_at: Timestamp(5),
                ended_at: Some(Timestamp(9)),
                viewers: 0,
                peak_viewers: 200,
                viewer_minutes: 1_900,
                score: -6.0,
                threshold: 4.2,
            }),
            calibration: 12,
            score_terms: Some(ScoreTerms {
                rarity: -1.5,
                synchrony: 4.0,
                ..ScoreTerms::default()
            }),
            ..example::alert()
        };
        assert_eq!(from_json(&to_json(&stored)).unwrap(), stored);
        let mut row: serde_json::Value = serde_json::from_str(&to_json(&stored)).unwrap();
        let fields = row.as_object_mut().unwrap();
        for added in [
            "forecast",
            "paged",
            "page_score",
            "page_threshold",
            "pages_per_day",
            "influence",
            "quarantined",
            "live",
            "score_terms",
            "calibration",
        ] {
            assert!(fields.remove(added).is_some(), "{added}");
        }
        let old = from_json(&row.to_string()).unwrap();
        assert_eq!(
            (old.paged, old.page_score, old.forecast, old.live, old.score_terms),
            (false, 0.0, None, None, None)
        );
        assert_eq!(old.spread_24h, stored.spread_24h);
    }
}
