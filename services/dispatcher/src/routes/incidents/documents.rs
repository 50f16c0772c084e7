//! What the routes of incidents answer.

use serde::Serialize;
use tocsin_casework::Team;
use tocsin_incident::{Done, Incident, Marking, Origin, Participant, Task};
use tocsin_model::PlatformId;
use tocsin_protocol::Protocol;
use tocsin_wire::Names;
use tocsin_wire::document::instant;
use utoipa::ToSchema;

/// An incident.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentDocument {
    /// Its identity, 32 hexadecimal digits.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// `declared`, `active` or `concluded`.
    pub phase: &'static str,
    /// The level that holds, or held last; null before the first activation.
    pub level: Option<String>,
    /// How far it may go.
    pub marking: MarkingDocument,
    /// What it was declared from.
    pub origin: OriginDocument,
    /// The protocol that it is handled by.
    pub protocol: ProtocolDocument,
    /// When it was declared, RFC 3339.
    pub declared_at: Option<String>,
    /// The key that declared it.
    pub declared_by: String,
    /// When it was concluded; null while it is open.
    pub concluded_at: Option<String>,
    /// Its families.
    pub families: Vec<AttachedDocument>,
    /// Which alerts attach further ones.
    pub rules: Vec<RuleDocument>,
    /// The protocol's questions, and what people answered.
    pub questions: Vec<QuestionDocument>,
    /// Who was invited.
    pub participants: Vec<ParticipantDocument>,
    /// What is to be done.
    pub tasks: Vec<TaskDocument>,
    /// The packs of its hashes, by version.
    pub packs: Vec<PackDocument>,
    /// Rises with every change but notes; what `ETag` says.
    pub version: u64,
}

/// Incidents, the latest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentsDocument {
    /// The incidents.
    pub incidents: Vec<IncidentDocument>,
    /// Pass it as `after` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How far something may go.
#[derive(Debug, Serialize, ToSchema)]
pub struct MarkingDocument {
    /// `CLEAR`, `GREEN`, `AMBER`, `AMBER+STRICT` or `RED`, of the Traffic Light Protocol 2.0.
    pub tlp: &'static str,
    /// Of amber: the sharing group it goes to; null: to those who take part.
    pub group: Option<String>,
    /// Of red: the keys that may read it.
    pub recipients: Vec<String>,
}

/// What an incident was declared from.
#[derive(Debug, Serialize, ToSchema)]
pub struct OriginDocument {
    /// `alert`, `case`, `notice` or `hand`.
    pub from: &'static str,
    /// The id of the alert or case, or the reference of the notice; null for others than coordinators.
    pub reference: Option<String>,
}

/// A protocol, in one version.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProtocolDocument {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// What it is called.
    pub title: String,
    /// Its levels, from the first on.
    pub levels: Vec<String>,
}

/// A family of an incident.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttachedDocument {
    /// The family, 32 hexadecimal digits.
    pub family: String,
    /// Since when.
    pub attached_at: Option<String>,
    /// The key that attached it; null: a rule.
    pub by: Option<String>,
    /// The number of the rule that did.
    pub rule: Option<u32>,
}

/// Which alerts attach their family.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleDocument {
    /// Its number.
    pub number: u32,
    /// Why they rang.
    pub reasons: Vec<&'static str>,
    /// Where they were seen; null: anywhere.
    pub platform: Option<String>,
    /// From which priority on.
    pub priority_min: u64,
}

/// A question of the protocol.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuestionDocument {
    /// Its name.
    pub name: String,
    /// In words.
    pub says: String,
    /// What was answered; null: nothing yet.
    pub answer: Option<bool>,
    /// When.
    pub at: Option<String>,
    /// The key that answered.
    pub by: Option<String>,
}

/// A party that was invited.
#[derive(Debug, Serialize, ToSchema)]
pub struct ParticipantDocument {
    /// The party.
    pub party: String,
    /// As what: a class of the protocol.
    pub class: String,
    /// When it was invited.
    pub invited_at: Option<String>,
    /// When it said that it takes part.
    pub acknowledged_at: Option<String>,
    /// When it was reminded last.
    pub reminded_at: Option<String>,
    /// When it left.
    pub left_at: Option<String>,
}

/// Something to do.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskDocument {
    /// Its number.
    pub number: u32,
    /// What.
    pub does: String,
    /// `coordinators`, or a party.
    pub owner: String,
    /// The role that acts, of a step of the protocol.
    pub role: Option<String>,
    /// The classes whose participants have a part in it.
    pub with: Vec<String>,
    /// When it was given.
    pub given_at: Option<String>,
    /// Until when.
    pub due: Option<String>,
    /// That it is done.
    pub done: Option<DoneDocument>,
    /// Which participants said that their part is done.
    pub parts: Vec<DoneDocument>,
}

/// A pack of hashes.
#[derive(Debug, Serialize, ToSchema)]
pub struct PackDocument {
    /// Its version.
    pub number: u32,
    /// When it was made.
    pub made_at: Option<String>,
    /// When it was withdrawn.
    pub withdrawn_at: Option<String>,
}

/// That something was done.
#[derive(Debug, Serialize, ToSchema)]
pub struct DoneDocument {
    /// `coordinators`, or the party that says so.
    pub team: String,
    /// When.
    pub at: Option<String>,
}

impl IncidentDocument {
    pub(super) fn of(incident: &Incident, protocol: &Protocol, names: &Names) -> IncidentDocument {
        let level = incident.level.and_then(|level| protocol.levels.get(level as usize));
        IncidentDocument {
            id: incident.id.to_string(),
            title: incident.title.clone(),
            phase: incident.phase().name(),
            level: level.map(|level| level.name.clone()),
            marking: MarkingDocument::of(&incident.marking),
            origin: OriginDocument::of(&incident.origin),
            protocol: ProtocolDocument {
                name: incident.protocol.name.clone(),
                version: incident.protocol.version,
                title: protocol.title.clone(),
                levels: protocol.levels.iter().map(|level| level.name.clone()).collect(),
            },
            declared_at: instant(incident.declared_at),
            declared_by: incident.declared_by.to_string(),
            concluded_at: incident.concluded_at.and_then(instant),
            families: incident
                .families
                .iter()
                .map(|attached| AttachedDocument {
                    family: attached.family.to_string(),
                    attached_at: instant(attached.at),
                    by: attached.by.map(|key| key.to_string()),
                    rule: attached.rule,
                })
                .collect(),
            rules: incident
                .rules
                .iter()
                .map(|numbered| RuleDocument::of(numbered, names))
                .collect(),
            questions: questions(incident, protocol),
            participants: incident
                .participants
                .iter()
                .map(|participant| ParticipantDocument::of(participant, names))
                .collect(),
            tasks: incident
                .tasks
                .iter()
                .map(|task| TaskDocument::of(task, names))
                .collect(),
            packs: incident
                .packs
                .iter()
                .map(|pack| PackDocument {
                    number: pack.number,
                    made_at: instant(pack.made_at),
                    withdrawn_at: pack.withdrawn_at.and_then(instant),
                })
                .collect(),
            version: incident.version,
        }
    }
}

fn questions(incident: &Incident, protocol: &Protocol) -> Vec<QuestionDocument> {
    let question = |question: &tocsin_protocol::Question| {
        let answer = incident.answers.iter().find(|answer| answer.question == question.name);
        QuestionDocument {
            name: question.name.clone(),
            says: question.says.clone(),
            answer: answer.map(|answer| answer.yes),
            at: answer.and_then(|answer| instant(answer.at)),
            by: answer.map(|answer| answer.by.to_string()),
        }
    };
    protocol.questions.iter().map(question).collect()
}

impl MarkingDocument {
    pub(super) fn of(marking: &Marking) -> MarkingDocument {
        MarkingDocument {
            tlp: marking.tlp.label(),
            group: marking.group.as_ref().map(ToString::to_string),
            recipients: marking.recipients.iter().map(ToString::to_string).collect(),
        }
    }
}

impl OriginDocument {
    pub(super) fn of(origin: &Origin) -> OriginDocument {
        let (from, reference) = match origin {
            Origin::Alert { alert } => ("alert", Some(alert.to_string())),
            Origin::Case { case } => ("case", Some(case.to_string())),
            Origin::Notice { reference } => ("notice", Some(reference.clone())),
            Origin::Hand => ("hand", None),
        };
        OriginDocument { from, reference }
    }
}

impl RuleDocument {
    pub(super) fn of(numbered: &tocsin_incident::NumberedRule, names: &Names) -> RuleDocument {
        let rule = &numbered.rule;
        RuleDocument {
            number: numbered.number,
            reasons: rule.reasons.iter().map(|reason| reason.name()).collect(),
            platform: rule.platform.map(|platform| platform_name(platform, names)),
            priority_min: rule.priority_min,
        }
    }
}

impl ParticipantDocument {
    fn of(participant: &Participant, names: &Names) -> ParticipantDocument {
        ParticipantDocument {
            party: team_name(participant.team, names),
            class: participant.class.clone(),
            invited_at: instant(participant.invited_at),
            acknowledged_at: participant.acknowledged_at.and_then(instant),
            reminded_at: participant.reminded_at.and_then(instant),
            left_at: participant.left_at.and_then(instant),
        }
    }
}

impl TaskDocument {
    pub(super) fn of(task: &Task, names: &Names) -> TaskDocument {
        let done = |done: &Done| DoneDocument {
            team: team_name(done.team, names),
            at: instant(done.at),
        };
        TaskDocument {
            number: task.number,
            does: task.does.clone(),
            owner: team_name(task.owner, names),
            role: task.role.clone(),
            with: task.with.clone(),
            given_at: instant(task.given_at),
            due: instant(task.due),
            done: task.done.as_ref().map(done),
            parts: task.parts.iter().map(done).collect(),
        }
    }
}

/// `coordinators`, or the party's name; its number while the name is not known.
pub(super) fn team_name(team: Team, names: &Names) -> String {
    match team {
        Team::Coordinators => "coordinators".to_owned(),
        Team::Party(party) => names
            .parties
            .get(&party)
            .map_or_else(|| format!("party-{}", party.0), ToString::to_string),
    }
}

/// The platform's name; its number while the name is not known.
pub(super) fn platform_name(platform: PlatformId, names: &Names) -> String {
    let name = names.platforms.get(&platform);
    name.map_or_else(|| format!("platform-{}", platform.0), ToString::to_string)
}
