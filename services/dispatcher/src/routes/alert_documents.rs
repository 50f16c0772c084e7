//! The alert whose figures a case shows.

use serde::Serialize;
use tocsin_casework::Team;
use tocsin_model::{Alert, Scope};
use tocsin_wire::document::{
    AccountsRange, AlertPlatform, ForecastAnswer, InfluenceAnswer, LiveAnswer, Range, TermAnswer, alert_accounts,
    alert_forecast, instant, score_terms,
};
use utoipa::ToSchema;

use super::documents::platform_name;
use crate::Dispatcher;

/// The alert whose figures a case shows.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaseAlert {
    /// Its identity, 32 hexadecimal digits.
    pub id: String,
    /// `all`, `coordinators` or `party`.
    pub scope: &'static str,
    /// `raised`, `escalated`, `sustained` or `subsided`.
    pub level: &'static str,
    /// The number of the episode of this family and scope.
    pub episode: u32,
    /// When it rang.
    pub at: Option<String>,
    /// When the family was first seen, as far as is known.
    pub first_seen: Option<String>,
    /// From when on the counts are exact.
    pub exact_since: Option<String>,
    /// The length of the window that rang, in milliseconds.
    pub window_ms: i64,
    /// Spread observed in it.
    pub observed: u64,
    /// Spread expected in it.
    pub expected: f64,
    /// What speaks for the beginning of a spike against ordinary spread: a sum of log-odds, in nats.
    pub score: f64,
    /// What the score is the sum of, in nats: `rarity`, `pace`, `growth`, `synchrony`, `reuploads`. Null in alerts of a version before.
    pub score_terms: Option<Vec<TermAnswer>>,
    /// The score from which the rule rings.
    pub threshold: f64,
    /// Distinct accounts since the family is counted exactly, summed over platforms.
    pub accounts_sum_over_platforms: AccountsRange,
    /// Uploads, blocked uploads and shares of the last 5 minutes.
    pub spread_5m: Range,
    /// The same of the last hour.
    pub spread_1h: Range,
    /// The same of the last 24 hours.
    pub spread_24h: Range,
    /// Figures per platform.
    pub platforms: Vec<AlertPlatform>,
    /// Spread expected in the next hour, median.
    pub forecast_1h: f64,
    /// The next hour with quantiles. Null in alerts of an earlier version.
    pub forecast: Option<ForecastAnswer>,
    /// How many contents the family has.
    pub members: u32,
    /// Whether the episode interrupts a person.
    pub paged: bool,
    /// What is compared with `page_threshold`.
    pub page_score: f64,
    /// The page score from which an episode pages.
    pub page_threshold: f64,
    /// The budget of pages a day that the threshold stands for.
    pub pages_per_day: f64,
    /// The number of the calibration that judged; 0 is what the version ships with.
    pub calibration: u64,
    /// The parties that reported the family.
    pub influence: Vec<InfluenceAnswer>,
    /// Whether a content of the family is quarantined as a flood.
    pub quarantined: bool,
    /// Why the episode was raised, or a live stream escalated it: `spread`, `watch_list`, `live_match` or `live_audience`.
    pub reason: &'static str,
    /// The family's live streams when it rang. Null when it had none.
    pub live: Option<LiveAnswer>,
}

impl Dispatcher {
    pub(super) fn alert_document(&self, alert: &Alert, reader: Team) -> CaseAlert {
        let names = self.names();
        let accounts = alert_accounts(alert, |platform| names.is_own(reader.party(), platform));
        let platforms = alert.platforms.iter().zip(&accounts.platforms);
        let platforms = platforms.map(|(figures, (_, accounts))| AlertPlatform {
            platform: platform_name(&names, figures.platform),
            spread_1h: figures.spread_1h,
            spread_24h: figures.spread_24h,
            accounts: (*accounts).into(),
        });
        let influence = alert.influence.iter().map(|influence| InfluenceAnswer {
            party: match names.parties.get(&influence.party) {
                Some(name) => name.to_string(),
                None => influence.party.0.to_string(),
            },
            share: influence.share,
            counted_share: influence.counted_share,
            capped: influence.capped,
        });
        CaseAlert {
            id: alert.id.to_string(),
            scope: match alert.scope {
                Scope::All => "all",
                Scope::Coordinators => "coordinators",
                Scope::Party(_) => "party",
            },
            level: alert.level.name(),
            episode: alert.episode,
            at: instant(alert.at),
            first_seen: instant(alert.first_seen),
            exact_since: instant(alert.exact_since),
            window_ms: alert.trigger.window.0,
            observed: alert.trigger.observed,
            expected: alert.trigger.expected,
            score: alert.trigger.score,
            score_terms: alert.score_terms.map(score_terms),
            threshold: alert.trigger.threshold,
            accounts_sum_over_platforms: accounts.total.into(),
            spread_5m: alert.spread_5m.into(),
            spread_1h: alert.spread_1h.into(),
            spread_24h: alert.spread_24h.into(),
            platforms: platforms.collect(),
            forecast_1h: alert.forecast_1h,
            forecast: alert_forecast(alert, &accounts),
            members: alert.members,
            paged: alert.paged,
            page_score: alert.page_score,
            page_threshold: alert.page_threshold,
            pages_per_day: alert.pages_per_day,
            calibration: alert.calibration,
            influence: influence.collect(),
            quarantined: alert.quarantined,
            reason: alert.reason.name(),
            live: alert.live.map(LiveAnswer::from),
        }
    }
}
