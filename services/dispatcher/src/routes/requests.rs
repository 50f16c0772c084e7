//! What the routes take.

use serde::Deserialize;
use tocsin_casework::{Code, Desk, Draft, Filter, Lane, Ruling};
use tocsin_model::{ContentId, Grounds, PlatformId, RecommendedAction, Verdict};
use tocsin_runtime::{Problem, problem};
use tocsin_wire::Names;
use utoipa::{IntoParams, ToSchema};

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
    /// Only this lane: `live`, `watch_listed`, `notices`, `appeals` or `general`. In `appeals` there are appeals instead of cases, narrowed by
    /// nothing else.
    pub lane: Option<String>,
    /// Only this desk: `moderators`, `expert` or `legal`. By default all.
    pub desk: Option<String>,
    /// Only what was seen on this platform, by its name.
    pub platform: Option<String>,
    /// Only what is at least as grave: 1 to 4.
    pub severity_min: Option<f64>,
    /// Only what spread in this region within the last day: two capital letters, ISO 3166-1.
    pub region: Option<String>,
    /// Only what spread in this language within the last day: two small letters, ISO 639-1.
    pub language: Option<String>,
}

/// How to claim the best case.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BestRequest {
    /// How long to hold the case, in seconds: 1 to 3,600. By default what the operator chose.
    pub lease_s: Option<u32>,
    /// Only this lane: `live`, `watch_listed`, `notices`, `appeals`, `second_review` or `general`. In `appeals` an appeal is handed out instead of a
    /// case, narrowed by `platform` alone; in `second_review` what is decided once more, narrowed by nothing.
    pub lane: Option<String>,
    /// This desk: `moderators` (the default), `expert` or `legal`.
    pub desk: Option<String>,
    /// Only what was seen on this platform, by its name.
    pub platform: Option<String>,
    /// Only what is at least as grave: 1 to 4.
    pub severity_min: Option<f64>,
    /// Only what spread in this region within the last day: two capital letters, ISO 3166-1.
    pub region: Option<String>,
    /// Only what spread in this language within the last day: two small letters, ISO 639-1.
    pub language: Option<String>,
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
    /// For whoever takes it next, in at most 2,048 bytes.
    #[serde(default)]
    pub note: String,
}

/// To whom a case is handed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HandOverRequest {
    /// The number of the lease.
    pub fencing: u64,
    /// The id of a key of a moderator of the team, 32 hexadecimal digits.
    pub to: String,
    /// How long they hold it, in seconds: 1 to 3,600. By default what the operator chose.
    pub lease_s: Option<u32>,
    /// What they should know, in at most 2,048 bytes.
    pub note: String,
}

/// Where a case goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EscalateRequest {
    /// The number of the lease.
    pub fencing: u64,
    /// `expert`, `legal`, or `moderators` to send it back.
    pub to: String,
    /// Why, in at most 2,048 bytes.
    pub note: String,
}

/// For how long a case is put aside.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// The number of the lease.
    pub fencing: u64,
    /// For how long, in seconds: 60 to 604,800.
    pub hold_s: u32,
    /// What it waits for, in at most 2,048 bytes.
    pub reason: String,
}

/// Why a case is skipped.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SkipRequest {
    /// The number of the lease.
    pub fencing: u64,
    /// Why, in at most 2,048 bytes.
    pub reason: String,
}

/// A decision, for all copies of the family, within the team's scope.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    /// The number of the lease.
    pub fencing: u64,
    /// `violating`, `benign`, `newsworthy`, `disputed` or `needs_expert`.
    pub verdict: String,
    /// The rule it rests on, in at most 256 bytes.
    #[serde(default)]
    pub policy: String,
    /// What platforms are recommended to do: `remove`, `reduce`, `label`, `keep`, or `stop_stream` where a member of the family is a live
    /// stream.
    pub recommended_action: Option<String>,
    /// How sure you are, 0 to 100.
    pub confidence_percent: Option<u8>,
    /// Members of the family that it is not about, by their ids of 32 hexadecimal digits: at most 256.
    #[serde(default)]
    pub exceptions: Vec<String>,
    /// Why, in at most 8,192 bytes. It stays with the team.
    #[serde(default)]
    pub rationale: String,
}

/// An unfinished decision: any part of one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftRequest {
    /// The number of the lease.
    pub fencing: u64,
    /// As in a decision.
    pub verdict: Option<String>,
    /// As in a decision.
    #[serde(default)]
    pub policy: String,
    /// As in a decision.
    pub recommended_action: Option<String>,
    /// As in a decision.
    pub confidence_percent: Option<u8>,
    /// As in a decision.
    #[serde(default)]
    pub exceptions: Vec<String>,
    /// As in a decision.
    #[serde(default)]
    pub rationale: String,
}

/// Which decision to take back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawRequest {
    /// The id of the decision, 32 hexadecimal digits.
    pub decision: String,
    /// How long to hold the case then, in seconds: 1 to 3,600. By default what the operator chose.
    pub lease_s: Option<u32>,
}

impl DecisionRequest {
    pub(super) fn ruling(self) -> Result<Ruling, Problem> {
        Ok(Ruling {
            verdict: verdict(&self.verdict)?,
            grounds: grounds(
                (self.policy, self.recommended_action),
                self.confidence_percent,
                &self.exceptions,
            )?,
            rationale: self.rationale,
        })
    }
}

impl DraftRequest {
    pub(super) fn draft(self) -> Result<Draft, Problem> {
        Ok(Draft {
            verdict: self.verdict.as_deref().map(verdict).transpose()?,
            grounds: grounds(
                (self.policy, self.recommended_action),
                self.confidence_percent,
                &self.exceptions,
            )?,
            rationale: self.rationale,
        })
    }
}

/// The parts of a filter as they are written.
pub(super) struct FilterText<'a> {
    pub lane: Option<&'a str>,
    pub desk: Option<&'a str>,
    pub platform: Option<&'a str>,
    pub severity_min: Option<f64>,
    pub region: Option<&'a str>,
    pub language: Option<&'a str>,
}

impl FilterText<'_> {
    /// The filter, or what is wrong with it.
    pub(super) fn read(&self, names: &Names) -> Result<Filter, String> {
        let lane = self.lane.map(|text| {
            Lane::from_name(text).ok_or("lane: live, watch_listed, notices, appeals, second_review or general")
        });
        let desk = self.desk.map(|text| Desk::from_name(text).ok_or(DESKS));
        let platform = self.platform.map(|text| platform(text, names));
        if self.severity_min.is_some_and(|severity| !severity.is_finite()) {
            return Err("severity_min: a number".to_owned());
        }
        Ok(Filter {
            lane: lane.transpose()?,
            desk: desk.transpose()?,
            platform: platform.transpose()?,
            severity_min: self.severity_min,
            region: self.region.map(region).transpose()?,
            language: self.language.map(language).transpose()?,
        })
    }
}

fn region(text: &str) -> Result<Code, &'static str> {
    let code = code(text).filter(|code| code.iter().all(u8::is_ascii_uppercase));
    code.ok_or("region: two capital letters, as DE")
}

fn language(text: &str) -> Result<Code, &'static str> {
    let code = code(text).filter(|code| code.iter().all(u8::is_ascii_lowercase));
    code.ok_or("language: two small letters, as de")
}

fn code(text: &str) -> Option<Code> {
    text.as_bytes().try_into().ok()
}

/// The platform of this name.
pub(super) fn platform(text: &str, names: &Names) -> Result<PlatformId, &'static str> {
    let found = names.platforms.iter().find(|(_, name)| name.as_str() == text);
    found
        .map(|(platform, _)| *platform)
        .ok_or("platform: no platform has this name")
}

const DESKS: &str = "desk: moderators, expert or legal";

pub(super) fn desk(text: &str) -> Result<Desk, Problem> {
    Desk::from_name(text).ok_or_else(|| invalid(DESKS.to_owned()))
}

/// 32 hexadecimal digits.
pub(super) fn id(field: &str, text: &str) -> Result<u128, Problem> {
    tocsin_model::parse_hex_id(text).map_err(|error| invalid(format!("{field}: {error}")))
}

pub(super) fn verdict(text: &str) -> Result<Verdict, Problem> {
    let known = Verdict::ALL.map(Verdict::name).join(", ");
    Verdict::from_name(text).ok_or_else(|| invalid(format!("verdict: one of {known}")))
}

pub(super) fn recommended_action(text: &str) -> Result<RecommendedAction, Problem> {
    let known = RecommendedAction::ALL.map(RecommendedAction::name).join(", ");
    RecommendedAction::from_name(text).ok_or_else(|| invalid(format!("recommended_action: one of {known}")))
}

fn grounds(
    (policy, action): (String, Option<String>),
    confidence: Option<u8>,
    exceptions: &[String],
) -> Result<Grounds, Problem> {
    let action = action.map(|text| recommended_action(&text));
    let exceptions = exceptions.iter().map(|text| id("exceptions", text).map(ContentId));
    Ok(Grounds {
        policy,
        action: action.transpose()?,
        confidence,
        exceptions: exceptions.collect::<Result<_, _>>()?,
    })
}

fn invalid(detail: String) -> Problem {
    Problem::new(problem::INVALID_BODY).with_detail(detail)
}
