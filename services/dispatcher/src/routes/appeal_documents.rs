//! What the routes of appeals take and answer.

use serde::{Deserialize, Serialize};
use tocsin_casework::{
    Against, AppealCause, AppealCommand, AppealFiling, AppealOutcome, AppealRuling, AppealSummary, Concerns, Lease,
};
use tocsin_model::{ContentHash, DecisionId, KeyId, Timestamp, Verdict};
use tocsin_runtime::{Problem, problem};
use tocsin_store::{AppealCounts, ListedAppeal};
use tocsin_wire::Names;
use tocsin_wire::document::{HashText, instant};
use utoipa::{IntoParams, ToSchema};

use super::clocks::WaitsDocument;
use super::documents::{CaseLease, platform_name};
use super::families::hash;
use super::requests::{id, platform, verdict};

/// Which appeals.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AppealParameters {
    /// `open` (the default: an answer is waited for), of these `without_reviewer`; `answered`; or `all`.
    pub state: Option<String>,
    /// Only of this case.
    pub case: Option<String>,
    /// How many appeals at most: 1 to 200, by default 50.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// Over which time appeals are summed up.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AppealFiguresParameters {
    /// Those answered within so many hours until now: 1 to 744, by default 24.
    pub hours: Option<u32>,
}

/// An appeal to file.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppealRequest {
    /// Its number on the platform, in 1 to 256 bytes: an appeal is filed once.
    pub reference: String,
    /// The platform that it was made on, by its name: one of the party's own.
    pub platform: String,
    /// What it is about, by its strongest hash.
    pub content: HashText,
    /// The decision that it is against, 32 hexadecimal digits; without it, it is against a refused upload (`blocked_upload`).
    pub decision: Option<String>,
    /// Why, in the words of those who appeal, in 1 to 8,192 bytes.
    pub reason: String,
}

/// How to claim an appeal.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppealClaimRequest {
    /// How long to hold it, in seconds: 1 to 3,600. By default what the operator chose.
    pub lease_s: Option<u32>,
}

/// How to renew the lease of an appeal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppealRenewRequest {
    /// The number of the lease.
    pub fencing: u64,
    /// How long to hold it from now, in seconds: 1 to 3,600. By default what the operator chose.
    pub lease_s: Option<u32>,
}

/// Which lease of an appeal to give back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppealReleaseRequest {
    /// The number of the lease.
    pub fencing: u64,
}

/// What a reviewer says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppealAnswerRequest {
    /// The number of the lease.
    pub fencing: u64,
    /// `upheld`: the decision or the block stands; `overturned`: it was wrong.
    pub outcome: String,
    /// How far that goes: `upload` (this one, by its context), `member` (this content does not belong to it) or `family` (all of it).
    pub concerns: String,
    /// Of what is overturned: by which evidence it was caught. `judgement` (people decided wrongly), `equal_hash`, `near_picture`, `frames`, `said_so`
    /// (a party or a person said that it belongs to it), `listing` or `label`.
    pub cause: Option<String>,
    /// Of a family that is overturned: what it is instead, `benign` (the default) or `newsworthy`.
    pub verdict: Option<String>,
    /// Why, in 1 to 2,048 bytes. It stays with the team.
    pub note: String,
}

/// A page of a team's appeals.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppealsDocument {
    /// `coordinators`, or the party's name.
    pub team: String,
    /// The store's time of this answer, RFC 3339.
    pub as_of: Option<String>,
    /// The appeals, the first filed first.
    pub appeals: Vec<AppealDocument>,
    /// Pass it as `after` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Somebody disagrees with what became of their upload.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppealDocument {
    /// Its identity, 32 hexadecimal digits.
    pub id: String,
    /// `open`, `claimed` or `answered`.
    pub state: &'static str,
    /// It waits, and all who moderate for the team decided: somebody who did not has to join.
    pub is_without_reviewer: bool,
    /// Its number on the platform.
    pub reference: String,
    /// The platform that it was made on.
    pub platform: String,
    /// The content that it is about.
    pub content: HashText,
    /// `decision` or `block`.
    pub against: &'static str,
    /// The decision that it comes down to, 32 hexadecimal digits; null where a listing alone refused the upload.
    pub decision: Option<String>,
    /// The team's case of the content's family; null where it has none.
    pub case: Option<String>,
    /// The family of the content, as it was known when the appeal was filed, 32 hexadecimal digits.
    pub family: String,
    /// Why, in the words of those who appeal.
    pub reason: String,
    /// The id of the key that filed it.
    pub filed_by: String,
    /// When, by the store's clock.
    pub filed_at: Option<String>,
    /// The number of the last lease: send it with whatever you do.
    pub fencing: u64,
    /// Who holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<CaseLease>,
    /// What was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<AppealAnswerDocument>,
}

/// What was answered to an appeal.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppealAnswerDocument {
    /// `upheld` or `overturned`.
    pub outcome: &'static str,
    /// `upload`, `member` or `family`.
    pub concerns: &'static str,
    /// By which evidence it was caught; null where it was upheld.
    pub cause: Option<&'static str>,
    /// What the family is instead; null where it was not overturned.
    pub verdict: Option<&'static str>,
    /// Why.
    pub note: String,
    /// When, RFC 3339.
    pub at: Option<String>,
    /// The id of the key that answered.
    pub by: String,
    /// The appeal that it was answered with: that overturned the same family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
}

/// What a team's appeals come to.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppealFiguresDocument {
    /// `coordinators`, or the party's name.
    pub team: String,
    /// The store's time of this answer, RFC 3339.
    pub as_of: Option<String>,
    /// How many hours it is about.
    pub hours: u32,
    /// How many wait for an answer now.
    pub waiting: u64,
    /// Of these, all who moderate for the team decided.
    pub without_reviewer: u64,
    /// How many were answered; beyond 100,000 the latest of them.
    pub answered: usize,
    /// How many had each outcome.
    pub outcomes: Vec<AppealOutcomeDocument>,
    /// How many were overturned for each cause.
    pub causes: Vec<AppealCauseDocument>,
    /// From the filing to the answer; null where nothing was answered.
    pub to_answer: Option<WaitsDocument>,
}

/// How many appeals had an outcome.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppealOutcomeDocument {
    /// `upheld` or `overturned`.
    pub outcome: &'static str,
    /// `upload`, `member` or `family`.
    pub concerns: &'static str,
    /// How many.
    pub appeals: usize,
}

/// How many appeals were overturned for a cause.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppealCauseDocument {
    /// By which evidence they were caught.
    pub cause: &'static str,
    /// How many.
    pub appeals: usize,
}

impl AppealRequest {
    /// The content that it is about.
    pub(super) fn content(&self) -> Result<ContentHash, Problem> {
        hash("content", &self.content)
    }

    pub(super) fn filing(self, names: &Names) -> Result<AppealFiling, Problem> {
        let content = self.content()?;
        let decision = self.decision.map(|text| id("decision", &text)).transpose()?;
        Ok(AppealFiling {
            reference: self.reference,
            platform: platform(&self.platform, names).map_err(invalid)?,
            content,
            against: decision.map_or(Against::Block, |id| Against::Decision(DecisionId(id))),
            reason: self.reason,
        })
    }
}

impl AppealAnswerRequest {
    pub(super) fn command(self) -> Result<AppealCommand, Problem> {
        let outcome = AppealOutcome::from_name(&self.outcome);
        let outcome = outcome.ok_or_else(|| invalid("outcome: upheld or overturned"))?;
        let concerns = Concerns::from_name(&self.concerns);
        let concerns = concerns.ok_or_else(|| invalid("concerns: upload, member or family"))?;
        let causes = || AppealCause::ALL.iter().map(|cause| cause.name());
        let cause = self.cause.map(|text| {
            AppealCause::from_name(&text)
                .ok_or_else(|| invalid(format!("cause: one of {}", causes().collect::<Vec<_>>().join(", "))))
        });
        let said = self.verdict.map(|text| verdict(&text)).transpose()?;
        let is_all = (outcome, concerns) == (AppealOutcome::Overturned, Concerns::Family);
        Ok(AppealCommand::Answer(AppealRuling {
            outcome,
            concerns,
            cause: cause.transpose()?,
            verdict: said.or(is_all.then_some(Verdict::Benign)),
            note: self.note,
        }))
    }
}

impl AppealDocument {
    /// An appeal as it stands at `now`, for whoever asks.
    pub(super) fn of(listed: &ListedAppeal, (now, asker): (Timestamp, KeyId), names: &Names) -> AppealDocument {
        let appeal = &listed.appeal;
        let lease = appeal.live_lease(now);
        AppealDocument {
            id: appeal.id.to_string(),
            state: match (&appeal.answer, lease) {
                (Some(_), _) => "answered",
                (None, Some(_)) => "claimed",
                (None, None) => "open",
            },
            is_without_reviewer: listed.is_without_reviewer,
            reference: appeal.filing.reference.clone(),
            platform: platform_name(names, appeal.filing.platform),
            content: HashText::from(&appeal.filing.content),
            against: match appeal.filing.against {
                Against::Decision(_) => "decision",
                Against::Block => "block",
            },
            decision: appeal.decision.map(|id| format!("{:032x}", id.0)),
            case: appeal.case.map(|case| case.to_string()),
            family: appeal.family.to_string(),
            reason: appeal.filing.reason.clone(),
            filed_by: appeal.filed_by.to_string(),
            filed_at: instant(appeal.filed_at),
            fencing: appeal.fencing,
            lease: lease.map(|lease| lease_document(lease, asker)),
            answer: appeal.answer.as_ref().map(|answer| AppealAnswerDocument {
                outcome: answer.ruling.outcome.name(),
                concerns: answer.ruling.concerns.name(),
                cause: answer.ruling.cause.map(AppealCause::name),
                verdict: answer.ruling.verdict.map(Verdict::name),
                note: answer.ruling.note.clone(),
                at: instant(answer.at),
                by: answer.by.to_string(),
                with: answer.with.map(|id| id.to_string()),
            }),
        }
    }
}

impl AppealFiguresDocument {
    pub(super) fn of(
        (team, hours): (String, u32),
        (summary, counts): (AppealSummary, AppealCounts),
        now: Timestamp,
    ) -> AppealFiguresDocument {
        let outcomes = summary
            .outcomes
            .iter()
            .map(|((outcome, concerns), appeals)| AppealOutcomeDocument {
                outcome: outcome.name(),
                concerns: concerns.name(),
                appeals: *appeals,
            });
        let causes = summary.causes.iter().map(|(cause, appeals)| AppealCauseDocument {
            cause: cause.name(),
            appeals: *appeals,
        });
        AppealFiguresDocument {
            team,
            as_of: instant(now),
            hours,
            waiting: counts.waiting,
            without_reviewer: counts.without_reviewer,
            answered: summary.answered,
            outcomes: outcomes.collect(),
            causes: causes.collect(),
            to_answer: summary.to_answer.map(WaitsDocument::from),
        }
    }
}

pub(super) fn lease_document(lease: Lease, asker: KeyId) -> CaseLease {
    CaseLease {
        holder: lease.holder.to_string(),
        is_yours: lease.holder == asker,
        expires_at: instant(lease.expires_at),
    }
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(problem::INVALID_BODY).with_detail(detail)
}
