use anyhow::ensure;
use tocsin_casework::UNREVIEWED_BELOW;
use tocsin_model::{
    Alert, AlertId, AlertLevel, AlertReason, Algorithm, ContentHash, ContentId, Estimate, FamilyId, Interval,
    Milliseconds, PriorityTerm, Scope, Timestamp, TriggerEvidence,
};
use tocsin_store::{KeySubject, Store};

use super::moderators_key;
use crate::measure::pipeline::now;

/// Alerts applied at a time.
pub(in crate::measure) const LOT: u64 = 500;

/// Opens so many cases of the coordinators in an empty store, each of a priority of its own and in no order of time; a key to work on them.
pub(super) async fn cases(url: &str, count: u64) -> anyhow::Result<String> {
    let store = Store::open(url).await?;
    let queue = store.queue_counts().await?;
    ensure!(
        queue.is_empty(),
        "the store holds cases: a load test needs one of its own"
    );
    let key = moderators_key(&store, KeySubject::Coordinators).await?;
    let at = now();
    let mut opened = 0;
    for first in (0..count).step_by(LOT as usize) {
        let alerts: Vec<Alert> = (first..(first + LOT).min(count))
            .map(|number| {
                let family = u128::from(number) + 1;
                let hash = ContentHash::from_bytes(Algorithm::Md5, family.to_be_bytes().to_vec(), None);
                let priority = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64;
                alert((ContentId(family), hash.expect("an MD5 has 16 bytes")), priority, at)
            })
            .collect();
        opened += store.apply_alerts(&alerts, UNREVIEWED_BELOW).await?.opened;
    }
    ensure!(opened == count, "{opened} of {count} cases were opened");
    store.close().await;
    Ok(key)
}

/// The first alert about a family of one content.
pub(in crate::measure) fn alert((content, hash): (ContentId, ContentHash), priority: f64, at: Timestamp) -> Alert {
    let accounts = Estimate {
        estimate: 30.0,
        low: 30.0,
        high: 30.0,
    };
    Alert {
        id: AlertId(content.0),
        scope: Scope::Coordinators,
        family: FamilyId(content),
        hash,
        level: AlertLevel::Raised,
        episode: 1,
        rule_version: 1,
        at,
        first_seen: at,
        exact_since: at,
        trigger: TriggerEvidence {
            window: Milliseconds::from_minutes(1),
            observed: 40,
            expected: 2.5,
            score: 12.0,
            threshold: 8.0,
            accounts,
        },
        spread_5m: Interval::exact(40),
        spread_1h: Interval::exact(40),
        spread_24h: Interval::exact(40),
        platforms: Vec::new(),
        forecast_1h: 90.0,
        priority,
        priority_terms: vec![PriorityTerm {
            name: "exposure".into(),
            value: priority,
        }],
        members: 1,
        forecast: None,
        paged: false,
        page_score: priority,
        page_threshold: f64::MAX,
        pages_per_day: 15.0,
        influence: Vec::new(),
        quarantined: false,
        reason: AlertReason::Spread,
        live: None,
        score_terms: None,
        calibration: 0,
    }
}
