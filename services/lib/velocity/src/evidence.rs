//! What each party's events say of a family: everything that its priority takes from them.

use std::collections::BTreeMap;

use tocsin_model::{Kind, NextHour, PartyId, PlatformId, Quantiles, Timestamp};

use crate::accounts::accounts;
use crate::forecast::{Calibration, Course, Forecast, Model};
use crate::live::streams;
use crate::record::{HotRecord, Resolution};
use crate::weight::Weights;

/// One party's events of one family in one scope, counted exactly since promotion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartyEvidence {
    /// The party.
    pub party: PartyId,
    /// When the earliest upload, blocked upload or share occurred; `None` when it reported none.
    pub since: Option<Timestamp>,
    /// Spread in the last five minutes.
    pub last_5m: u64,
    /// Spread in the last half hour.
    pub last_30m: u64,
    /// Spread in the last three hours.
    pub last_3h: u64,
    /// Spread in the last hour.
    pub last_1h: u64,
    /// Of these, uploads and shares: what somebody could see.
    pub posted_1h: u64,
    /// Spread since promotion.
    pub copies: u64,
    /// Of these, uploads and shares.
    pub posted: u64,
    /// Sum of the audiences that uploads and shares stated, and how many stated one.
    pub audience_sum: u64,
    /// See `audience_sum`.
    pub audience_count: u64,
    /// Sum of the confidences of the label `tvec` on the copies and on the starts of live streams, in percent.
    pub label_percent: u64,
    /// Reports.
    pub reports: u64,
    /// Uploads and shares after a platform removed a copy.
    pub after_removal: u64,
    /// Platforms with spread in the last hour.
    pub platforms: u32,
    /// Concurrent viewers of its live streams that run.
    pub live_viewers: u64,
    /// So many of `copies` do not count, for the evidence by which they came into the family was wrong for the team before: see [`crate::weight`].
    pub doubted: f64,
}

/// What each party says of the family of these records to a team to which evidence is worth so much, ascending by party.
pub fn evidence(records: &[&HotRecord], weights: &Weights, now: Timestamp) -> Vec<PartyEvidence> {
    let mut parties: BTreeMap<PartyId, PartyEvidence> = BTreeMap::new();
    let mut spreading: BTreeMap<PlatformId, (PartyId, u64)> = BTreeMap::new();
    let cells = records.iter().flat_map(|record| {
        let doubt = 1.0 - weights.of_joined(record.joined());
        record.cells().iter().map(move |cell| (cell, doubt))
    });
    for (cell, doubt) in cells {
        let said = parties
            .entry(cell.party)
            .or_insert_with(|| PartyEvidence::nothing(cell.party));
        if cell.kind == Kind::Report {
            said.reports += cell.voice.events;
        }
        if cell.kind == Kind::LiveStart {
            said.label_percent += cell.voice.label_percent;
        }
        if !cell.kind.is_spread() {
            continue;
        }
        let hour = cell.series.recent(Resolution::Minute1, 60, now);
        let first = cell.voice.first_at;
        said.since = Some(said.since.map_or(first, |since| since.min(first)));
        said.last_5m += cell.series.recent(Resolution::Seconds5, 60, now);
        said.last_30m += cell.series.recent(Resolution::Seconds5, 360, now);
        said.last_3h += cell.series.recent(Resolution::Minute1, 180, now);
        said.last_1h += hour;
        if cell.kind != Kind::BlockedUpload {
            said.posted_1h += hour;
            said.posted += cell.voice.events;
        }
        said.copies += cell.voice.events;
        said.doubted += doubt * cell.voice.events as f64;
        said.audience_sum = said.audience_sum.saturating_add(cell.voice.audience_sum);
        said.audience_count += cell.voice.audience_count;
        said.label_percent += cell.voice.label_percent;
        said.after_removal += cell.voice.after_removal;
        spreading.entry(cell.platform).or_insert((cell.party, 0)).1 += hour;
    }
    for (party, _) in spreading.into_values().filter(|(_, hour)| *hour > 0) {
        if let Some(said) = parties.get_mut(&party) {
            said.platforms += 1;
        }
    }
    for stream in streams(records) {
        if let Some(said) = parties.get_mut(&stream.party()) {
            said.live_viewers = said.live_viewers.saturating_add(stream.viewers(now));
        }
    }
    parties.into_values().collect()
}

/// What is known of the spread of these records when its next hour is forecast.
pub fn course(records: &[&HotRecord], now: Timestamp) -> Course {
    let total = |resolution, bins| -> u64 {
        let counts = records.iter().map(|record| record.recent_spread(resolution, bins, now));
        counts.fold(0, u64::saturating_add)
    };
    let cells = records.iter().flat_map(|record| record.cells());
    let first = cells
        .filter(|cell| cell.kind.is_spread())
        .map(|cell| cell.voice.first_at);
    Course {
        age: now - first.min().unwrap_or(now),
        last_5m: total(Resolution::Seconds5, 60),
        last_30m: total(Resolution::Seconds5, 360),
        last_3h: total(Resolution::Minute1, 180),
    }
}

/// The next hour of the spread of these records and the accounts it will come from, by forecasts that turned out like this.
pub fn next_hour(records: &[&HotRecord], calibration: &Calibration, now: Timestamp) -> NextHour {
    let spread = calibration.forecast(&Model::SHIPPED, &course(records, now));
    let accounts = accounts(records);
    let cells = records.iter().flat_map(|record| record.cells());
    let copies = cells.filter(|cell| cell.kind.is_spread()).map(|cell| cell.voice.events);
    let from_accounts = spread.accounts(
        accounts.estimate.estimate + accounts.without_account as f64,
        copies.fold(0, u64::saturating_add),
    );
    NextHour {
        spread: quantiles(spread),
        accounts: quantiles(from_accounts),
    }
}

fn quantiles(forecast: Forecast) -> Quantiles {
    Quantiles {
        low: forecast.low,
        median: forecast.median,
        high: forecast.high,
    }
}

impl PartyEvidence {
    /// Of a party that said nothing.
    pub fn nothing(party: PartyId) -> Self {
        PartyEvidence {
            party,
            since: None,
            last_5m: 0,
            last_30m: 0,
            last_3h: 0,
            last_1h: 0,
            posted_1h: 0,
            copies: 0,
            posted: 0,
            audience_sum: 0,
            audience_count: 0,
            label_percent: 0,
            reports: 0,
            after_removal: 0,
            platforms: 0,
            live_viewers: 0,
            doubted: 0.0,
        }
    }
}
