//! What the routes of notices take and answer.

use serde::{Deserialize, Serialize};
use tocsin_casework::{
    Filing, Notice, NoticeAnswer, NoticeCommand, NoticeKind, NoticeOutcome, Suspension, SuspensionGround,
};
use tocsin_model::{ContentHash, Timestamp};
use tocsin_runtime::{Problem, problem};
use tocsin_wire::Names;
use tocsin_wire::document::{HashText, instant, parse_instant};
use utoipa::{IntoParams, ToSchema};

use super::documents::platform_name;
use super::families::hash;
use super::requests::{id, platform};

/// Which notices.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NoticeParameters {
    /// `open` (the default: an answer is waited for), of these `suspended` or `overdue`; `answered`; or `all`.
    pub state: Option<String>,
    /// Only of this case.
    pub case: Option<String>,
    /// How many notices at most: 1 to 200, by default 50.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// A notice to file, about a content or about a case of the team.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticeRequest {
    /// `removal_order`, `trusted_flagger` or `referral`.
    pub kind: String,
    /// Who wants it, in 1 to 256 bytes.
    pub authority: String,
    /// Their number of it, in 1 to 256 bytes.
    pub reference: String,
    /// Which of the contents that it names, from 0: each is filed as a notice of its own.
    #[serde(default)]
    pub part: u32,
    /// What it is about, by its strongest hash; or `case`.
    pub content: Option<HashText>,
    /// The case that it is about, 32 hexadecimal digits; or `content`.
    pub case: Option<String>,
    /// The platform that it is about, by its name.
    pub platform: Option<String>,
    /// When it was received, RFC 3339: not later than now.
    pub received_at: String,
    /// Until when its sender wants an answer. An order is due one hour after its receipt whatever is said here.
    pub due_at: Option<String>,
    /// The addresses that it names: at most 16 of 2,048 bytes. Nothing is fetched.
    #[serde(default)]
    pub urls: Vec<String>,
    /// Its reasons, in at most 2,048 bytes.
    #[serde(default)]
    pub statement: String,
}

/// That an authority was told of an imminent threat to life.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ThreatRequest {
    /// Who was told, in 1 to 256 bytes.
    pub authority: String,
    /// What they were told, in 1 to 2,048 bytes.
    pub statement: String,
    /// When, RFC 3339; by default now.
    pub told_at: Option<String>,
    /// Their number of it, or yours: said again under the same number it is one record. Without one each is a record of its own.
    pub reference: Option<String>,
}

/// What was done about a notice.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticeAnswerRequest {
    /// `removed`, `disabled`, `kept` or `withdrawn` (by its sender); of a threat `replied`.
    pub outcome: String,
    /// In words, in at most 2,048 bytes; of a threat what the authority answered.
    #[serde(default)]
    pub note: String,
}

/// Why the hour of an order does not run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspendRequest {
    /// `impossible` (force majeure or impossible in fact, Art. 3(7)), `manifest_errors` or `insufficient_information` (Art. 3(8)).
    pub ground: String,
    /// Why, as the authority is told, in 1 to 2,048 bytes.
    pub note: String,
}

/// That the grounds of a suspension have ceased.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// What became clear, in at most 2,048 bytes.
    #[serde(default)]
    pub note: String,
}

/// A page of a team's notices.
#[derive(Debug, Serialize, ToSchema)]
pub struct NoticesDocument {
    /// `coordinators`, or the party's name.
    pub team: String,
    /// The store's time of this answer, RFC 3339.
    pub as_of: Option<String>,
    /// The notices.
    pub notices: Vec<NoticeDocument>,
    /// Pass it as `after` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What somebody wants of a team, and what they were answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct NoticeDocument {
    /// Its identity, 32 hexadecimal digits.
    pub id: String,
    /// The case that it stands in.
    pub case: String,
    /// `removal_order`, `trusted_flagger`, `referral` or `threat_to_life`.
    pub kind: &'static str,
    /// `open`, `suspended`, `overdue` or `answered`.
    pub state: &'static str,
    /// Who wants it; of a threat, who was told.
    pub authority: String,
    /// Their number of it.
    pub reference: String,
    /// Which of the contents that it names.
    pub part: u32,
    /// The content that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<HashText>,
    /// The platform that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// When it was received; of a threat, when the authority was told. RFC 3339.
    pub received_at: Option<String>,
    /// When it was filed, by the store's clock.
    pub filed_at: Option<String>,
    /// The id of the key that filed it.
    pub filed_by: String,
    /// Until when it is to be answered; null where nothing is said of it.
    pub due_at: Option<String>,
    /// How many seconds are left: less than 0 if it is late. Null where its time does not run.
    pub left_s: Option<i64>,
    /// When it was escalated because `due_at` had passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue_at: Option<String>,
    /// The addresses that it names.
    pub urls: Vec<String>,
    /// Its reasons.
    pub statement: String,
    /// Why its time does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspension: Option<SuspensionDocument>,
    /// What was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<AnswerDocument>,
}

/// Why the time of an order does not run.
#[derive(Debug, Serialize, ToSchema)]
pub struct SuspensionDocument {
    /// `impossible`, `manifest_errors` or `insufficient_information`.
    pub ground: &'static str,
    /// In words.
    pub note: String,
    /// Since when, RFC 3339.
    pub at: Option<String>,
    /// The id of the key that said so.
    pub by: String,
}

/// What was answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerDocument {
    /// `removed`, `disabled`, `kept`, `withdrawn` or `replied`.
    pub outcome: &'static str,
    /// In words.
    pub note: String,
    /// When, RFC 3339.
    pub at: Option<String>,
    /// The id of the key that answered.
    pub by: String,
}

impl NoticeRequest {
    /// The case or the content that it is about.
    pub(super) fn about(&self) -> Result<(Option<u128>, Option<ContentHash>), Problem> {
        let case = self.case.as_deref().map(|text| id("case", text)).transpose()?;
        let content = self.content.as_ref().map(|text| hash("content", text)).transpose()?;
        Ok((case, content))
    }

    pub(super) fn filing(self, names: &Names) -> Result<Filing, Problem> {
        let (_, content) = self.about()?;
        let kinds = "kind: removal_order, trusted_flagger or referral; a threat is told of its case";
        let kind = NoticeKind::from_name(&self.kind).filter(|kind| *kind != NoticeKind::ThreatToLife);
        let platform = self.platform.map(|text| platform(&text, names)).transpose();
        Ok(Filing {
            kind: kind.ok_or_else(|| invalid(kinds))?,
            authority: self.authority,
            reference: self.reference,
            part: self.part,
            content,
            platform: platform.map_err(invalid)?,
            received_at: time("received_at", &self.received_at)?,
            due_at: self.due_at.as_deref().map(|text| time("due_at", text)).transpose()?,
            urls: self.urls,
            statement: self.statement,
        })
    }
}

impl ThreatRequest {
    pub(super) fn filing(self, now: Timestamp) -> Result<Filing, Problem> {
        let told_at = self.told_at.as_deref().map(|text| time("told_at", text)).transpose()?;
        Ok(Filing {
            kind: NoticeKind::ThreatToLife,
            authority: self.authority,
            reference: self
                .reference
                .unwrap_or_else(|| format!("{:032x}", rand::random::<u128>())),
            part: 0,
            content: None,
            platform: None,
            received_at: told_at.unwrap_or(now),
            due_at: None,
            urls: Vec::new(),
            statement: self.statement,
        })
    }
}

impl NoticeAnswerRequest {
    pub(super) fn command(self) -> Result<NoticeCommand, Problem> {
        let outcome = NoticeOutcome::from_name(&self.outcome);
        Ok(NoticeCommand::Answer {
            outcome: outcome.ok_or_else(|| invalid("outcome: removed, disabled, kept, withdrawn or replied"))?,
            note: self.note,
        })
    }
}

impl SuspendRequest {
    pub(super) fn command(self) -> Result<NoticeCommand, Problem> {
        let ground = SuspensionGround::from_name(&self.ground);
        Ok(NoticeCommand::Suspend {
            ground: ground.ok_or_else(|| invalid("ground: impossible, manifest_errors or insufficient_information"))?,
            note: self.note,
        })
    }
}

impl NoticeDocument {
    /// A notice as it stands at `now`.
    pub(super) fn of(notice: &Notice, now: Timestamp, names: &Names) -> NoticeDocument {
        let filing = &notice.filing;
        let runs_until = notice.runs_until();
        NoticeDocument {
            id: notice.id.to_string(),
            case: notice.case.to_string(),
            kind: filing.kind.name(),
            state: match (&notice.answer, &notice.suspension, runs_until) {
                (Some(_), ..) => "answered",
                (None, Some(_), _) => "suspended",
                (None, None, Some(due)) if due <= now => "overdue",
                (None, None, _) => "open",
            },
            authority: filing.authority.clone(),
            reference: filing.reference.clone(),
            part: filing.part,
            content: filing.content.as_ref().map(HashText::from),
            platform: filing.platform.map(|platform| platform_name(names, platform)),
            received_at: instant(filing.received_at),
            filed_at: instant(notice.filed_at),
            filed_by: notice.filed_by.to_string(),
            due_at: notice.due_at.and_then(instant),
            left_s: runs_until.map(|due| (due - now).0.div_euclid(1_000)),
            overdue_at: notice.overdue_at.and_then(instant),
            urls: filing.urls.clone(),
            statement: filing.statement.clone(),
            suspension: notice.suspension.as_ref().map(suspension_document),
            answer: notice.answer.as_ref().map(answer_document),
        }
    }
}

fn suspension_document(suspension: &Suspension) -> SuspensionDocument {
    SuspensionDocument {
        ground: suspension.ground.name(),
        note: suspension.note.clone(),
        at: instant(suspension.at),
        by: suspension.by.to_string(),
    }
}

fn answer_document(answer: &NoticeAnswer) -> AnswerDocument {
    AnswerDocument {
        outcome: answer.outcome.name(),
        note: answer.note.clone(),
        at: instant(answer.at),
        by: answer.by.to_string(),
    }
}

fn time(field: &str, text: &str) -> Result<Timestamp, Problem> {
    parse_instant(text).ok_or_else(|| invalid(format!("{field}: a time as in RFC 3339")))
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(problem::INVALID_BODY).with_detail(detail)
}
