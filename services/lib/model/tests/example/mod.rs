//! An alert for tests that need one and look at a few of its fields: each crate names this file by its path and says what is otherwise.

use tocsin_model::{
    Alert, AlertId, AlertLevel, AlertReason, Algorithm, ContentHash, ContentId, Estimate, FamilyId, Interval,
    Milliseconds, NextHour, PartyId, PartyInfluence, PlatformFigures, PlatformId, PriorityTerm, Quantiles, Scope,
    Timestamp, TriggerEvidence,
};

/// When the family was first seen.
pub const START: Timestamp = Timestamp(1_800_000_000_000);

/// Raised in scope `all`, of one content on one platform of one party, with every figure of today's version but live streams and the terms of
/// the score.
pub fn alert() -> Alert {
    let accounts = Estimate {
        estimate: 12.0,
        low: 12.0,
        high: 12.0,
    };
    Alert {
        id: AlertId(1),
        scope: Scope::All,
        family: FamilyId(ContentId(1)),
        hash: ContentHash::from_bytes(Algorithm::Sha256, vec![1; 32], None).expect("32 bytes are a SHA-256"),
        level: AlertLevel::Raised,
        episode: 1,
        rule_version: 1,
        at: START,
        first_seen: START,
        exact_since: START,
        trigger: TriggerEvidence {
            window: Milliseconds(60_000),
            observed: 40,
            expected: 2.5,
            score: 12.0,
            threshold: 8.0,
            accounts,
        },
        spread_5m: Interval::exact(40),
        spread_1h: Interval { low: 40, high: 41 },
        spread_24h: Interval { low: 40, high: 44 },
        platforms: vec![PlatformFigures {
            platform: PlatformId(1),
            spread_1h: 40,
            spread_24h: 40,
            reach: accounts,
        }],
        forecast_1h: 90.0,
        priority: 3.5,
        priority_terms: vec![PriorityTerm {
            name: "exposure".into(),
            value: 90.0,
        }],
        members: 1,
        forecast: Some(NextHour {
            spread: Quantiles {
                low: 20.0,
                median: 90.0,
                high: 400.0,
            },
            accounts: Quantiles {
                low: 15.0,
                median: 60.0,
                high: 300.0,
            },
        }),
        paged: true,
        page_score: 3.5,
        page_threshold: 2.0,
        pages_per_day: 15.0,
        influence: vec![PartyInfluence {
            party: PartyId(1),
            share: 1.0,
            counted_share: 1.0,
            capped: false,
        }],
        quarantined: false,
        reason: AlertReason::Spread,
        live: None,
        score_terms: None,
        calibration: 0,
    }
}
