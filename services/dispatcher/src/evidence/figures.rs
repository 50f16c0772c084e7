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
