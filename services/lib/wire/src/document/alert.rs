use serde::Serialize;
use tocsin_model::{Alert, PartyId, PlatformId, Scope};
use tocsin_suppression::AccountsTable;
use utoipa::ToSchema;

use super::{
    AccountsRange, AlertPlatform, ForecastAnswer, HashText, InfluenceAnswer, LiveAnswer, Range, TermAnswer, instant,
    score_terms,
};

/// An alert with the numbers that justify it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AlertAnswer {
    /// Its identity, 32 hexadecimal digits. The same alert has the same id wherever it is read.
    pub id: String,
    /// `all`, `coordinators`, or `party`: the alert rests on events inside this scope alone.
    pub scope: &'static str,
    /// The family that spreads, 32 hexadecimal digits.
    pub family: String,
    /// The founding content's strongest hash.
    pub hash: HashText,
    /// `raised`, `escalated`, `sustained` or `subsided`.
    pub level: &'static str,
    /// The number of the episode of this family and scope, from 1.
    pub episode: u32,
    /// The version of the rule that rang.
    pub rule_version: u16,
    /// When it rang, RFC 3339.
    pub at: Option<String>,
    /// When the family was first seen, as far as is known.
    pub first_seen: Option<String>,
    /// From when on the counts are exact.
    pub exact_since: Option<String>,
    /// What rang.
    pub trigger: AlertTrigger,
    /// Uploads, blocked uploads and shares of the last 5 minutes.
    pub spread_5m: Range,
    /// The same of the last hour.
    pub spread_1h: Range,
    /// The same of the last 24 hours.
    pub spread_24h: Range,
    /// Figures per platform.
    pub platforms: Vec<AlertPlatform>,
    /// Spread expected in the next hour, median: that of `forecast` where there is one.
    pub forecast_1h: f64,
    /// The next hour with quantiles. Null in alerts of an earlier version.
    pub forecast: Option<ForecastAnswer>,
    /// What orders the queue.
    pub priority: f64,
    /// The terms of the priority, in a fixed order.
    pub priority_terms: Vec<TermAnswer>,
    /// How many contents the family has.
    pub members: u32,
    /// Whether the episode interrupts a person: at this alert or at an earlier one.
    pub paged: bool,
    /// What is compared with `page_threshold`.
    pub page_score: f64,
    /// The page score from which an episode pages.
    pub page_threshold: f64,
    /// The budget of pages a day that the threshold stands for.
    pub pages_per_day: f64,
    /// The number of the calibration that judged: of the page threshold, and of what is ordinary on each platform. 0 is what the version
    /// ships with.
    pub calibration: u64,
    /// The parties that reported the family. What one party adds to the priority is capped.
    pub influence: Vec<InfluenceAnswer>,
    /// Whether a content of the family is quarantined as a flood: its copies are in none of the exact counts.
    pub quarantined: bool,
    /// Why the episode was raised, or a live stream escalated it: `spread`, `watch_list`, `live_match` (a live stream runs whose family
    /// rang within the day or was found to violate) or `live_audience` (the audience of a live stream grows as if viewers pass it on).
    pub reason: &'static str,
    /// The family's live streams when it rang. Null when it had none.
    pub live: Option<LiveAnswer>,
}

/// The window that rang.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AlertTrigger {
    /// Its length in milliseconds.
    pub window_ms: i64,
    /// Spread observed in it.
    pub observed: u64,
    /// Spread expected in it.
    pub expected: f64,
    /// What speaks for the beginning of a spike against ordinary spread: a sum of log-odds, in nats.
    pub score: f64,
    /// What the score is the sum of, in nats: `rarity` (how rare so many copies in such a time are), `pace` (whether they took the time that
    /// those of a crisis take), `growth`, `synchrony` (whether they came on several platforms), `reuploads` (whether they were uploaded anew
    /// or passed on). Null in alerts of a version before.
    pub score_terms: Option<Vec<TermAnswer>>,
    /// The score from which the rule rings.
    pub threshold: f64,
    /// Distinct accounts since the family is counted exactly, summed over platforms.
    pub accounts_sum_over_platforms: AccountsRange,
}

impl AlertAnswer {
    /// The answer for an alert; parties and platforms by the names that these know of them, accounts in full where the reader owns the platform.
    pub fn new(
        alert: &Alert,
        party: impl Fn(PartyId) -> String,
        platform: impl Fn(PlatformId) -> String,
        is_own: impl Fn(PlatformId) -> bool,
    ) -> Self {
        let accounts = alert_accounts(alert, is_own);
        AlertAnswer {
            id: alert.id.to_string(),
            scope: scope_name(alert.scope),
            family: alert.family.to_string(),
            hash: HashText::from(&alert.hash),
            level: alert.level.name(),
            episode: alert.episode,
            rule_version: alert.rule_version,
            at: instant(alert.at),
            first_seen: instant(alert.first_seen),
            exact_since: instant(alert.exact_since),
            trigger: AlertTrigger {
                window_ms: alert.trigger.window.0,
                observed: alert.trigger.observed,
                expected: alert.trigger.expected,
                score: alert.trigger.score,
                score_terms: alert.score_terms.map(score_terms),
                threshold: alert.trigger.threshold,
                accounts_sum_over_platforms: accounts.total.into(),
            },
            spread_5m: alert.spread_5m.into(),
            spread_1h: alert.spread_1h.into(),
            spread_24h: alert.spread_24h.into(),
            platforms: alert
                .platforms
                .iter()
                .zip(&accounts.platforms)
                .map(|(figures, (_, accounts))| AlertPlatform {
                    platform: platform(figures.platform),
                    spread_1h: figures.spread_1h,
                    spread_24h: figures.spread_24h,
                    accounts: (*accounts).into(),
                })
                .collect(),
            forecast_1h: alert.forecast_1h,
            priority: alert.priority,
            priority_terms: alert.priority_terms.iter().map(TermAnswer::from).collect(),
            members: alert.members,
            forecast: alert_forecast(alert, &accounts),
            paged: alert.paged,
            page_score: alert.page_score,
            page_threshold: alert.page_threshold,
            pages_per_day: alert.pages_per_day,
            calibration: alert.calibration,
            influence: alert
                .influence
                .iter()
                .map(|influence| InfluenceAnswer {
                    party: party(influence.party),
                    share: influence.share,
                    counted_share: influence.counted_share,
                    capped: influence.capped,
                })
                .collect(),
            quarantined: alert.quarantined,
            reason: alert.reason.name(),
            live: alert.live.map(LiveAnswer::from),
        }
    }
}

/// An alert's accounts as a reader is told them who owns these platforms: an alert lists no platform on which nothing spread for a day, and sums them all.
pub fn alert_accounts(alert: &Alert, is_own: impl Fn(PlatformId) -> bool) -> AccountsTable {
    let listed = alert.platforms.iter().map(|figures| (figures.platform, figures.reach));
    AccountsTable::new(listed, alert.trigger.accounts, is_own)
}

/// An alert's forecast for who is told its accounts like this.
pub fn alert_forecast(alert: &Alert, accounts: &AccountsTable) -> Option<ForecastAnswer> {
    let forecast = alert.forecast?;
    Some(ForecastAnswer::new(forecast, accounts.expected(&forecast)))
}

/// The name of a scope in answers: it never tells which party.
pub fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::All => "all",
        Scope::Coordinators => "coordinators",
        Scope::Party(_) => "party",
    }
}
