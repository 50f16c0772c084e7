//! What the routes take and answer.

use serde::{Deserialize, Serialize};
use tocsin_casework::Case;
use tocsin_model::KeyId;
use tocsin_model::{Alert, Scope, Timestamp};
use tocsin_wire::document::{
    AlertPlatform, EstimateRange, ForecastAnswer, HashText, InfluenceAnswer, LiveAnswer, Range, TermAnswer, instant,
    score_terms,
};
use utoipa::{IntoParams, ToSchema};

use super::access::Access;
use crate::Dispatcher;

/// Which part of the queue.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct QueueParameters {
    /// `open` (the default), `claimed`, `decided` or `closed`.
    pub state: Option<String>,
    /// How many cases at most: 1 to 200, by default 50.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// How to claim.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    /// How long to hold the case, in seconds: 1 to 3,600. By default what the operator chose.
    pub lease_s: Option<u32>,
}

/// How to renew a lease.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// The number of the lease.
    pub fencing: u64,
    /// How long to hold the case from now, in seconds: 1 to 3,600. By default what the operator chose.
    pub lease_s: Option<u32>,
}

/// Which lease to give back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// The number of the lease.
    pub fencing: u64,
}

/// A decision, for all copies of the family, within the team's scope.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    /// The number of the lease.
    pub fencing: u64,
    /// `violating`, `benign`, `newsworthy`, `disputed` or `needs_expert`.
    pub verdict: String,
    /// Why, in at most 8,192 bytes.
    #[serde(default)]
    pub rationale: String,
}

/// A page of a team's queue, highest priority first.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueDocument {
    /// `coordinators`, or the party's name.
    pub team: String,
    /// The store's time of this answer, RFC 3339.
    pub as_of: Option<String>,
    /// The cases.
    pub cases: Vec<CaseDocument>,
    /// Pass it as `after` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The answer to "claim the best".
#[derive(Debug, Serialize, ToSchema)]
pub struct ClaimDocument {
    /// The case, now held; `null` when none waits.
    pub case: Option<CaseDocument>,
}

/// One family in a team's queue.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaseDocument {
    /// Its identity, 32 hexadecimal digits.
    pub id: String,
    /// `coordinators`, or the party's name.
    pub team: String,
    /// `open`, `claimed`, `decided` or `closed` (the spread subsided before anybody decided).
    pub state: &'static str,
    /// The family, 32 hexadecimal digits.
    pub family: String,
    /// The founding content's strongest hash.
    pub hash: HashText,
    /// Orders the queue.
    pub priority: f64,
    /// The terms of the priority.
    pub priority_terms: Vec<TermAnswer>,
    /// When the case was opened, by the store's clock, RFC 3339.
    pub opened_at: Option<String>,
    /// When its first alert rang.
    pub first_alert_at: Option<String>,
    /// When its last alert rang.
    pub last_alert_at: Option<String>,
    /// The store's time of this answer.
    pub as_of: Option<String>,
    /// The figures of the alert that is shown.
    pub alert: CaseAlert,
    /// The number of the last lease; 0 when there was none.
    pub fencing: u64,
    /// Who holds the case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<CaseLease>,
    /// The decision that stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<CaseDecisionDocument>,
}

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
    pub accounts_sum_over_platforms: EstimateRange,
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
    /// The family's live streams. Null when it has none.
    pub live: Option<LiveAnswer>,
}

/// Who holds a case.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaseLease {
    /// The id of the key that claimed it.
    pub holder: String,
    /// Whether that is the key that asks.
    pub is_yours: bool,
    /// When the lease is over, by the store's clock, RFC 3339.
    pub expires_at: Option<String>,
}

/// A decision about a case.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaseDecisionDocument {
    /// Its identity, 32 hexadecimal digits: the same on `tocsin.decisions`.
    pub id: String,
    /// What was decided.
    pub verdict: &'static str,
    /// Why.
    pub rationale: String,
    /// The id of the key that decided.
    pub decided_by: String,
    /// When, by the store's clock, RFC 3339.
    pub decided_at: Option<String>,
}

impl Dispatcher {
    /// A case as the one who asks sees it at `now`.
    pub(super) fn document(&self, case: &Case, now: Timestamp, access: &Access) -> CaseDocument {
        let asker = access.principal.key_id;
        CaseDocument {
            id: case.id.to_string(),
            team: access.team_name(),
            state: case.state(now).name(),
            family: case.family.to_string(),
            hash: HashText::from(&case.alert.hash),
            priority: case.priority,
            priority_terms: case.alert.priority_terms.iter().map(TermAnswer::from).collect(),
            opened_at: instant(case.opened_at),
            first_alert_at: instant(case.first_alert_at),
            last_alert_at: instant(case.last_alert_at),
            as_of: instant(now),
            alert: self.alert_document(&case.alert),
            fencing: case.fencing,
            lease: lease_document(case, now, asker),
            decision: case.decision.as_ref().map(|decision| CaseDecisionDocument {
                id: format!("{:032x}", decision.id.0),
                verdict: decision.verdict.name(),
                rationale: decision.rationale.clone(),
                decided_by: decision.decided_by.to_string(),
                decided_at: instant(decision.decided_at),
            }),
        }
    }

    fn alert_document(&self, alert: &Alert) -> CaseAlert {
        let names = self.names();
        let platforms = alert.platforms.iter().map(|figures| AlertPlatform {
            platform: match names.platforms.get(&figures.platform) {
                Some(name) => name.to_string(),
                None => figures.platform.0.to_string(),
            },
            spread_1h: figures.spread_1h,
            spread_24h: figures.spread_24h,
            accounts: figures.reach.into(),
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
            accounts_sum_over_platforms: alert.trigger.accounts.into(),
            spread_5m: alert.spread_5m.into(),
            spread_1h: alert.spread_1h.into(),
            spread_24h: alert.spread_24h.into(),
            platforms: platforms.collect(),
            forecast_1h: alert.forecast_1h,
            forecast: alert.forecast.map(ForecastAnswer::from),
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

fn lease_document(case: &Case, now: Timestamp, asker: KeyId) -> Option<CaseLease> {
    case.live_lease(now).map(|lease| CaseLease {
        holder: lease.holder.to_string(),
        is_yours: lease.holder == asker,
        expires_at: instant(lease.expires_at),
    })
}
