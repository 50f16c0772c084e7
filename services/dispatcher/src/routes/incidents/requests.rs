//! What the routes of incidents take.

use std::collections::BTreeSet;

use serde::Deserialize;
use tocsin_incident::{Marking, Origin, ProtocolVersion, RingRule, Tlp};
use tocsin_model::{AlertId, AlertReason, ContentId, FamilyId, KeyId, Timestamp};
use tocsin_runtime::{Problem, problem};
use tocsin_wire::Names;
use tocsin_wire::document::parse_instant;
use utoipa::{IntoParams, ToSchema};

/// Which incidents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IncidentsParameters {
    /// Only this phase: `declared`, `active` or `concluded`.
    pub phase: Option<String>,
    /// How many at most: 1 to 100, by default 20.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// Which part of a timeline.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TimelineParameters {
    /// How many entries at most: 1 to 200, by default 100.
    pub limit: Option<u32>,
    /// The id of an entry: only what came after it.
    pub after: Option<String>,
}

/// How far something may go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkingRequest {
    /// A label of the Traffic Light Protocol 2.0: `CLEAR`, `GREEN`, `AMBER`, `AMBER+STRICT` or, of notes, `RED`.
    pub tlp: String,
    /// Of amber: a sharing group that your team is in. Absent: those who take part.
    pub group: Option<String>,
    /// Of red: the ids of the keys that may read it, 1 to 64.
    #[serde(default)]
    pub recipients: Vec<String>,
}

/// An incident to declare.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeclareRequest {
    /// What it is called, in at most 256 bytes.
    pub title: String,
    /// By which protocol it is handled.
    pub protocol: String,
    /// In which version.
    pub protocol_version: u32,
    /// How far it may go; by default amber, to those who take part.
    pub marking: Option<MarkingRequest>,
    /// The alert it is declared from, by its id. At most one of `alert`, `case` and `notice` is given.
    pub alert: Option<String>,
    /// The case of the coordinators it is declared from, by its id.
    pub case: Option<String>,
    /// The reference of the notice it is declared from.
    pub notice: Option<String>,
    /// Families that belong to it, beside that of the alert or case, by their ids.
    #[serde(default)]
    pub families: Vec<String>,
}

/// A family to attach.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachRequest {
    /// The family, 32 hexadecimal digits. Whoever reads the incident learns that it belongs to it; of its figures each sees their own scope.
    pub family: String,
}

/// A family to take out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DetachRequest {
    /// The family, 32 hexadecimal digits.
    pub family: String,
    /// Why, in at most 2,048 bytes.
    pub reason: String,
}

/// Which alerts attach their family.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleRequest {
    /// Why they rang: one of `spread`, `watch_list`, `live_match`, `live_audience`, or several.
    pub reasons: Vec<String>,
    /// Only what was seen on this platform, by its name.
    pub platform: Option<String>,
    /// Only from this priority on.
    #[serde(default)]
    pub priority_min: u64,
}

/// A rule to remove.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveRuleRequest {
    /// Its number.
    pub number: u32,
    /// Why, in at most 2,048 bytes.
    pub reason: String,
}

/// What a person says to a question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuestionAnswerRequest {
    /// The question, by its name in the protocol.
    pub question: String,
    /// True: yes; false: no; null or absent: it is open again.
    pub answer: Option<bool>,
    /// What it rests on, in at most 2,048 bytes.
    pub reason: String,
}

/// A level to activate or to change to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelRequest {
    /// The level, by its name in the protocol.
    pub level: String,
    /// Why, in at most 2,048 bytes.
    pub reason: String,
}

/// Why something is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonRequest {
    /// In at most 2,048 bytes.
    pub reason: String,
}

/// How far an incident may go from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkRequest {
    /// How far.
    pub marking: MarkingRequest,
    /// Why, in at most 2,048 bytes.
    pub reason: String,
}

/// Whom to invite.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    /// The party, by its name.
    pub party: String,
    /// As what: a class of participants of the protocol.
    pub class: String,
    /// What it is told at its endpoints, in at most 2,048 bytes.
    #[serde(default)]
    pub message: String,
}

/// Whom to remind.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemindRequest {
    /// The party, by its name.
    pub party: String,
    /// What it is told at its endpoints, in at most 2,048 bytes.
    #[serde(default)]
    pub message: String,
}

/// Nothing but the act itself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NothingRequest {}

/// Something to do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskRequest {
    /// What, in at most 2,048 bytes.
    pub does: String,
    /// Whose it is: `coordinators`, or a participant by its name.
    pub owner: String,
    /// Until when, RFC 3339: within 90 days.
    pub due: String,
}

/// A task, or a part of one, that is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DoneRequest {
    /// The number of the task.
    pub number: u32,
    /// What was done, in at most 2,048 bytes.
    #[serde(default)]
    pub note: String,
}

/// In which form a debrief is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DebriefParameters {
    /// `json` (the default), or `html` for a page that can be printed.
    pub form: Option<String>,
}

/// In which form a pack is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PackParameters {
    /// `manifest` (the default), `stix` or `local_file`.
    pub form: Option<String>,
}

/// A pack to withdraw.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawPackRequest {
    /// Its version.
    pub number: u32,
    /// Why, in at most 2,048 bytes.
    pub reason: String,
}

/// Something to write down.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteRequest {
    /// What, in at most 8,192 bytes.
    pub text: String,
    /// How far it may go; by default amber, to those who take part.
    pub marking: Option<MarkingRequest>,
}

impl MarkingRequest {
    pub(super) fn read(request: Option<MarkingRequest>) -> Result<Marking, Problem> {
        let Some(request) = request else {
            return Ok(Marking::of(Tlp::Amber));
        };
        let label = request.tlp.strip_prefix("TLP:").unwrap_or(&request.tlp);
        let known = Tlp::ALL.map(Tlp::label).join(", ");
        let tlp = Tlp::from_label(label).ok_or_else(|| invalid(format!("tlp: one of {known}")))?;
        let group = request.group.map(|text| text.parse());
        let group = group.transpose().map_err(|error| invalid(format!("group: {error}")))?;
        let recipients: Result<BTreeSet<KeyId>, Problem> = request
            .recipients
            .iter()
            .map(|text| id("recipients", text).map(KeyId))
            .collect();
        Ok(Marking {
            tlp,
            group,
            recipients: recipients?,
        })
    }
}

impl DeclareRequest {
    pub(super) fn origin(&self) -> Result<Origin, Problem> {
        match (&self.alert, &self.case, &self.notice) {
            (None, None, None) => Ok(Origin::Hand),
            (Some(alert), None, None) => Ok(Origin::Alert {
                alert: AlertId(id("alert", alert)?),
            }),
            (None, Some(case), None) => Ok(Origin::Case {
                case: tocsin_casework::CaseId(id("case", case)?),
            }),
            (None, None, Some(notice)) => Ok(Origin::Notice {
                reference: notice.clone(),
            }),
            _ => Err(invalid("at most one of alert, case and notice".to_owned())),
        }
    }

    pub(super) fn protocol(&self) -> ProtocolVersion {
        ProtocolVersion {
            name: self.protocol.clone(),
            version: self.protocol_version,
        }
    }

    pub(super) fn families(&self) -> Result<Vec<FamilyId>, Problem> {
        self.families.iter().map(|text| family("families", text)).collect()
    }
}

impl RuleRequest {
    pub(super) fn rule(&self, names: &Names) -> Result<RingRule, Problem> {
        let known = AlertReason::ALL.map(AlertReason::name).join(", ");
        let reason = |text: &String| {
            let found = AlertReason::ALL.into_iter().find(|reason| reason.name() == text);
            found.ok_or_else(|| invalid(format!("reasons: {known}")))
        };
        let platform = self.platform.as_ref().map(|text| {
            let found = names.platforms.iter().find(|(_, name)| name.as_str() == text);
            let found = found.map(|(platform, _)| *platform);
            found.ok_or_else(|| invalid("platform: no platform has this name".to_owned()))
        });
        Ok(RingRule {
            reasons: self.reasons.iter().map(reason).collect::<Result<_, _>>()?,
            platform: platform.transpose()?,
            priority_min: self.priority_min,
        })
    }
}

impl TaskRequest {
    pub(super) fn due(&self) -> Result<Timestamp, Problem> {
        parse_instant(&self.due).ok_or_else(|| invalid("due: a time by RFC 3339".to_owned()))
    }
}

pub(super) fn family(field: &str, text: &str) -> Result<FamilyId, Problem> {
    id(field, text).map(|id| FamilyId(ContentId(id)))
}

/// 32 hexadecimal digits.
pub(super) fn id(field: &str, text: &str) -> Result<u128, Problem> {
    tocsin_model::parse_hex_id(text).map_err(|error| invalid(format!("{field}: {error}")))
}

pub(super) fn invalid(detail: String) -> Problem {
    Problem::new(problem::INVALID_BODY).with_detail(detail)
}
