//! What the state knows of a family's members on a party's own platforms, as lines of a sealed copy: counts, times, and accounts as estimates. Registers never
//! leave the state, and what is counted of other parties is not this one's to keep.

use serde::Serialize;
use tocsin_model::{Class, PlatformId, Timestamp};
use tocsin_velocity::HotRecord;

#[derive(Serialize)]
struct Line {
    content: String,
    family: String,
    /// `all`, or `party` for what the party keeps to itself.
    class: &'static str,
    algorithm: String,
    value: String,
    as_of_ms: i64,
    exact_since_ms: i64,
    platforms: Vec<OnPlatform>,
}

#[derive(Serialize)]
struct OnPlatform {
    platform: String,
    counts: Vec<Count>,
    accounts: Option<Accounts>,
}

#[derive(Serialize)]
struct Count {
    kind: &'static str,
    events: u64,
    first_at_ms: i64,
    /// The bin of the latest one: its start inside, its end not; null where bins are no longer kept.
    latest_ms: Option<(i64, i64)>,
}

#[derive(Serialize)]
struct Accounts {
    estimate: f64,
    low: f64,
    high: f64,
    /// Whether accounts of two epochs were counted: then it is an upper bound.
    epochs_mixed: bool,
}

/// The line of a hot record, if it counts anything on the platforms that `own` names.
pub(super) fn line(record: &HotRecord, as_of: Timestamp, own: impl Fn(PlatformId) -> Option<String>) -> Option<String> {
    let mut platforms: Vec<(PlatformId, OnPlatform)> = Vec::new();
    for heard in record.heard_of_each() {
        let Some(name) = own(heard.platform) else {
            continue;
        };
        if platforms.last().is_none_or(|(platform, _)| *platform != heard.platform) {
            let on = OnPlatform {
                platform: name,
                counts: Vec::new(),
                accounts: None,
            };
            platforms.push((heard.platform, on));
        }
        if let Some((_, on)) = platforms.last_mut() {
            on.counts.push(Count {
                kind: heard.kind.name(),
                events: heard.events,
                first_at_ms: heard.first_at.0,
                latest_ms: heard.latest.map(|(from, to)| (from.0, to.0)),
            });
        }
    }
    for reach in record.reach() {
        if let Some((_, on)) = platforms.iter_mut().find(|(platform, _)| *platform == reach.platform) {
            let accounts = reach.accounts.estimate();
            on.accounts = Some(Accounts {
                estimate: accounts.estimate,
                low: accounts.low,
                high: accounts.high,
                epochs_mixed: reach.epochs_mixed,
            });
        }
    }
    if platforms.is_empty() {
        return None;
    }
    let hash = tocsin_wire::document::HashText::from(record.hash());
    let line = Line {
        content: record.content().to_string(),
        family: record.family().to_string(),
        class: if record.class() == Class::All { "all" } else { "party" },
        algorithm: hash.algorithm,
        value: hash.value,
        as_of_ms: as_of.0,
        exact_since_ms: record.exact_since().0,
        platforms: platforms.into_iter().map(|(_, on)| on).collect(),
    };
    serde_json::to_string(&line).ok()
}

#[cfg(test)]
mod tests {
    //! Goal: a line tells what is counted on the party's own platforms, accounts as estimates, and nothing of others.
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};
    use tocsin_model::{
        AccountToken, Algorithm, ClockFlag, ContentHash, DeploymentKey, Kind, Milliseconds, PartyId, Sharing, Sighting,
        SourceCoordinate, SourceId, Surface,
    };
    use tocsin_sketch::ColdConfig;
    use tocsin_velocity::{Group, GroupConfig, HotKey, Input};

    use super::*;

    const START: Timestamp = Timestamp(1_700_000_000_000);

    #[test]
    fn nothing_of_other_platforms_is_told() {
        let key = DeploymentKey::from_bytes([7; 32]);
        let hash = ContentHash::from_bytes(Algorithm::Sha256, vec![5; 32], None).unwrap();
        let (content, class) = (key.content_id(&hash), Class::All);
        let config = GroupConfig {
            key,
            cold: ColdConfig {
                width: 64,
                seed: 11,
                lateness: Milliseconds::from_hours(2),
            },
            hot_max: 16,
            promote_at: 1,
            retry_horizon: Milliseconds::from_minutes(130),
            shadow: None,
            retry_tokens_max: 10_000,
        };
        let mut group = Group::new(content.group(), config);
        for copy in 1..=9_u64 {
            let at = START + Milliseconds(copy as i64);
            let sighting = Sighting {
                source: SourceCoordinate {
                    source: SourceId(1),
                    offset: copy,
                    index: 0,
                },
                event_token: copy.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                party: PartyId(1),
                // Every third is on another party's.
                platform: PlatformId(if copy % 3 == 0 { 2 } else { 1 }),
                kind: Kind::Upload,
                sharing: Sharing::All,
                surface: Surface::Feed,
                clock: ClockFlag::Plausible,
                occurred_at: at,
                received_at: at,
                content,
                hash: hash.view(),
                account: Some(AccountToken(copy % 2)),
                account_epoch: 0,
                audience: 1_000,
                region: [0; 2],
                language: [0; 2],
                tvec_confidence: Sighting::NO_LABEL,
            };
            group.apply(Input::Sighting(&sighting), &mut Vec::new());
        }
        let record = group.kept(HotKey { content, class }).unwrap();
        let own = |platform: PlatformId| (platform == PlatformId(1)).then(|| "alpha-video".to_owned());
        let told: Value = serde_json::from_str(&line(record, START, own).unwrap()).unwrap();
        let [on] = &told["platforms"].as_array().unwrap()[..] else {
            panic!("{told}")
        };
        let [uploads] = &on["counts"].as_array().unwrap()[..] else {
            panic!("{on}")
        };
        assert_eq!(
            (&on["platform"], &uploads["kind"]),
            (&json!("alpha-video"), &json!("upload"))
        );
        assert_eq!(
            (&uploads["events"], &uploads["first_at_ms"]),
            (&json!(6), &json!(START.0 + 1))
        );
        assert_eq!(
            (&on["accounts"]["low"], &on["accounts"]["high"]),
            (&json!(2.0), &json!(2.0))
        );
        assert_eq!(
            (&told["class"], &told["content"]),
            (&json!("all"), &json!(content.to_string()))
        );
        assert_eq!(
            line(record, START, |_| None),
            None,
            "nothing is counted on a platform of its own"
        );
    }
}
