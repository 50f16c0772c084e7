use std::collections::BTreeMap;

use tocsin_model::{
    Alert, AlertId, AlertLevel, DeploymentKey, FamilyId, PlatformFigures, PlatformId, Scope, Timestamp,
};

use crate::accounts::accounts;
use crate::evidence::{evidence as parties_evidence, next_hour};
use crate::family::FamilyState;
use crate::figures::{FamilyFigures, undivided_figures};
use crate::forecast::Calibration;
use crate::live::{Stream, streams};
use crate::paging::PagePolicy;
use crate::priority::{Setting, priority};
use crate::record::HotRecord;
use crate::trigger::{self, Past, RULE_VERSION, Room, TriggerParameters};
use crate::watching::watched;
use crate::weight::Weights;

/// What an alert is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) family: FamilyId,
    pub(crate) scope: Scope,
    pub(crate) level: AlertLevel,
    pub(crate) state: &'a FamilyState,
    /// How forecasts turned out in this scope.
    pub(crate) calibration: &'a Calibration,
    /// What evidence is worth in this scope.
    pub(crate) weights: Weights,
    pub(crate) records: &'a [&'a HotRecord],
    /// Whether a member is in quarantine.
    pub(crate) has_flood: bool,
    /// What came before the records.
    pub(crate) past: Past<'a>,
}

/// The alert of an episode at `now`. `None` without records.
pub(crate) fn compose(key: &DeploymentKey, policy: &PagePolicy, subject: Subject<'_>, now: Timestamp) -> Option<Alert> {
    let Subject {
        family,
        scope,
        level,
        state,
        calibration,
        weights,
        records,
        has_flood,
        past,
    } = subject;
    let figures = undivided_figures(records, now)?;
    let founder = records
        .iter()
        .find(|record| record.content() == family.0)
        .or(records.first())?;
    let judgement = trigger::judge(records, past, now, &TriggerParameters::SHIPPED, &mut Room::default());
    let mut evidence = judgement.evidence;
    evidence.accounts = accounts(records).estimate;
    let said = parties_evidence(records, &weights, now);
    let setting = Setting {
        verdict: state.verdict,
        watched: watched(records),
        weights,
        calibration,
        now,
    };
    let priority = priority(&said, setting);
    let forecast = next_hour(records, calibration, now);
    let paging = policy.decide(level, priority.priority, state.episode.paged);
    let [spread_5m, spread_1h, spread_24h] = figures.windows.each_ref().map(|window| window.spread);
    Some(Alert {
        id: alert_id(key, family, scope, level, state),
        scope,
        family,
        hash: founder.hash().clone(),
        level,
        episode: state.episode.number,
        rule_version: RULE_VERSION,
        at: now,
        first_seen: figures.first_seen,
        exact_since: figures.exact_since,
        trigger: evidence,
        spread_5m,
        spread_1h,
        spread_24h,
        platforms: platforms(&figures, &streams(records), now),
        forecast_1h: forecast.spread.median,
        priority: priority.priority,
        priority_terms: priority.terms,
        members: figures.members,
        forecast: Some(forecast),
        paged: paging.paged,
        page_score: paging.score,
        page_threshold: policy.threshold,
        pages_per_day: policy.pages_per_day,
        influence: priority.influence,
        quarantined: has_flood,
        reason: state.episode.reason,
        live: figures.live,
        score_terms: Some(judgement.terms),
        calibration: policy.calibration,
    })
}

/// The id: a keyed digest of what makes this alert this one, and of nothing that a crash or another partition count could change.
fn alert_id(key: &DeploymentKey, family: FamilyId, scope: Scope, level: AlertLevel, state: &FamilyState) -> AlertId {
    let parts: [&[u8]; 6] = [
        &scope.own_class().number().to_le_bytes(),
        &family.0.0.to_le_bytes(),
        &RULE_VERSION.to_le_bytes(),
        &state.episode.number.to_le_bytes(),
        &[level as u8],
        &state.episode.alerts.to_le_bytes(),
    ];
    AlertId(key.digest("alert", &parts))
}

/// Of every platform with spread, and of those on which a stream runs: their parties are told as well.
fn platforms(figures: &FamilyFigures, streams: &[Stream], now: Timestamp) -> Vec<PlatformFigures> {
    let running = streams.iter().filter(|stream| stream.is_running(now));
    let mut spread: BTreeMap<PlatformId, [u64; 3]> = running.map(|stream| (stream.platform(), [0; 3])).collect();
    for (place, window) in figures.windows.iter().enumerate() {
        for ((platform, kind), count) in &window.counts {
            if kind.is_spread() {
                spread.entry(*platform).or_default()[place] += count;
            }
        }
    }
    let nobody = tocsin_model::Estimate {
        estimate: 0.0,
        low: 0.0,
        high: 0.0,
    };
    spread
        .into_iter()
        .map(|(platform, [_, spread_1h, spread_24h])| PlatformFigures {
            platform,
            spread_1h,
            spread_24h,
            reach: figures.reach.get(&platform).map_or(nobody, |reach| reach.accounts),
        })
        .collect()
}
