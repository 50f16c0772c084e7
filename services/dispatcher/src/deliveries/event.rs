//! Alerts, decisions, members that were decided about, answers to appeals, overdue notices and messages about incidents as CloudEvents 1.0: attributes beside a JSON document.

use serde::Serialize;
use serde_json::{Map, Value};
use tocsin_casework::Team;
use tocsin_model::{Alert, ContentId, DrillId, PlatformId, Timestamp, ToldDecision};
use tocsin_store::{DeliveryEvent, IncidentMessage, ToldAppeal};
use tocsin_wire::Names;
use tocsin_wire::document::{AlertAnswer, HashText, instant, scope_name};

use super::notice::NoticeDocument;
use super::unconfirmed::UnconfirmedDocument;

/// Whose events they are. Ids of alerts are keyed digests, so those of two deployments do not meet.
pub(crate) const SOURCE: &str = "urn:tocsin";
pub(crate) const SPEC_VERSION: &str = "1.0";
pub(crate) const CONTENT_TYPE: &str = "application/json";

/// An event to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CloudEvent {
    /// The alert's, the decision's, the appeal's or the timeline entry's id, or one of its own, 32 hexadecimal digits.
    pub id: String,
    /// `tocsin.alert.LEVEL`, `tocsin.decision`, `tocsin.decision.members`, `tocsin.decision.unconfirmed`, `tocsin.appeal.answered`,
    /// `tocsin.notice.overdue` or `tocsin.incident.KIND`.
    pub kind: String,
    /// The family, or the incident.
    pub subject: String,
    /// When it happened, RFC 3339.
    pub time: Option<String>,
    /// JSON: the alert as `/v1/alerts/{id}` shows it, [`DecisionDocument`], [`MembersDocument`],
    /// [`UnconfirmedDocument`](super::unconfirmed::UnconfirmedDocument), [`AnswerDocument`],
    /// [`NoticeDocument`] or [`MessageDocument`]. Of a drill with a member `drill`: its id.
    pub data: Vec<u8>,
    /// Whose it is: [`SOURCE`], with the id of the drill that it is of.
    pub source: String,
    /// The drill that it is of, as the extension attribute `drill`; `None`: it is real.
    pub drill: Option<String>,
}

/// What people decided about a family.
#[derive(Debug, Serialize)]
pub(super) struct DecisionDocument {
    /// 32 hexadecimal digits.
    id: String,
    /// 32 hexadecimal digits.
    family: String,
    /// `coordinators` or `party`: whose decision it is.
    scope: &'static str,
    /// `violating`, `benign`, `newsworthy`, `disputed` or `needs_expert`.
    verdict: &'static str,
    /// The rule it rests on; empty where none is named.
    policy: String,
    /// `remove`, `reduce`, `label`, `keep` or `stop_stream`; null where nothing is recommended.
    recommended_action: Option<&'static str>,
    /// How sure those who decided are, 0 to 100; null where they did not say.
    confidence_percent: Option<u8>,
    /// Members of the family that it is not about, 32 hexadecimal digits each.
    exceptions: Vec<String>,
    /// When, RFC 3339.
    at: Option<String>,
}

/// What a participant is told about an incident.
#[derive(Debug, Serialize)]
struct MessageDocument {
    /// The entry of the timeline that it is about, 32 hexadecimal digits.
    id: String,
    /// The incident, 32 hexadecimal digits.
    incident: String,
    /// What it is called.
    title: String,
    /// `TLP:` and a colour: how far this may go.
    tlp: String,
    /// The name of its protocol.
    protocol: String,
    /// And the version.
    protocol_version: u32,
    /// `invited`, `reminded`, `activated`, `level_changed`, `concluded` or `reopened`.
    kind: String,
    /// The level that holds; null before the first.
    level: Option<String>,
    /// What whoever did it says.
    says: String,
    /// When, RFC 3339.
    at: Option<String>,
}

/// Members of a family that a decision is about.
#[derive(Debug, Serialize)]
struct MembersDocument {
    /// The decision.
    decision: DecisionDocument,
    /// Those that were not told of it before: that the family had when it was decided, or that came since.
    members: Vec<MemberDocument>,
    /// Whether they are told of it again because copies of them came after their removal was confirmed: no person did it.
    automated: bool,
    /// The live streams that they are copies of, where the decision recommends to stop those; else empty.
    streams: Vec<StreamDocument>,
}

/// A live stream.
#[derive(Debug, Serialize)]
struct StreamDocument {
    /// The content that is broadcast, 32 hexadecimal digits.
    content: String,
    /// On which platform.
    platform: String,
}

/// A content that a decision is about.
#[derive(Debug, Serialize)]
struct MemberDocument {
    /// 32 hexadecimal digits.
    content: String,
    /// Its strongest hash that is known.
    hash: HashText,
}

/// What was answered to an appeal.
#[derive(Debug, Serialize)]
struct AnswerDocument {
    /// The appeal, 32 hexadecimal digits.
    appeal: String,
    /// Its number on the platform.
    reference: String,
    /// The platform that it was made on.
    platform: String,
    /// The content that it is about, 32 hexadecimal digits.
    content: String,
    /// Its strongest hash that was said.
    hash: HashText,
    /// The family that it was of, 32 hexadecimal digits.
    family: String,
    /// `upheld` or `overturned`.
    outcome: &'static str,
    /// `upload`, `member` or `family`: what is to be restored where it is overturned. Of a family a decision tells too.
    concerns: &'static str,
    /// What the family is instead; null where it was not overturned.
    verdict: Option<&'static str>,
    /// When, RFC 3339.
    at: Option<String>,
}

impl CloudEvent {
    pub(crate) fn of(event: &DeliveryEvent, names: &Names, reader: Team) -> CloudEvent {
        match event {
            DeliveryEvent::Alert(alert) => {
                let kind = format!("tocsin.alert.{}", alert.level.name());
                made(
                    &alert.id.to_string(),
                    kind,
                    (alert.family.to_string(), alert.at),
                    &answer(alert, names, reader),
                )
            }
            DeliveryEvent::Decision(told) => {
                let document = DecisionDocument::of(told);
                let about = (told.decision.family.to_string(), told.decision.at);
                made(&document.id, "tocsin.decision".to_owned(), about, &document)
            }
            DeliveryEvent::Incident(message) => {
                let document = MessageDocument::of(message);
                let kind = format!("tocsin.incident.{}", message.kind);
                made(&document.id, kind, (document.incident.clone(), message.at), &document)
            }
            DeliveryEvent::Appeal(told) => {
                let document = AnswerDocument::of(told, names);
                let about = (document.family.clone(), told.at);
                made(&document.appeal, "tocsin.appeal.answered".to_owned(), about, &document)
            }
            DeliveryEvent::Members(event) => {
                let members = event.members.iter().map(|(content, hash)| MemberDocument {
                    content: content.to_string(),
                    hash: HashText::from(hash),
                });
                let streams = event.streams.iter().map(|(content, platform)| StreamDocument {
                    content: content.to_string(),
                    platform: platform_name(names, *platform),
                });
                let document = MembersDocument {
                    decision: DecisionDocument::of(&event.told),
                    members: members.collect(),
                    automated: event.automated,
                    streams: streams.collect(),
                };
                let about = (event.told.decision.family.to_string(), event.told.decision.at);
                let kind = "tocsin.decision.members".to_owned();
                made(&format!("{:032x}", event.id), kind, about, &document)
            }
            // It goes to an Ozone alone, which takes no such events.
            DeliveryEvent::Reported(event) => {
                CloudEvent::of(&DeliveryEvent::Decision(event.told.clone()), names, reader)
            }
            DeliveryEvent::Notice(told) => {
                let document = NoticeDocument::of(told, names);
                let about = (told.family.to_string(), told.overdue_at);
                made(
                    &format!("{:032x}", told.id),
                    "tocsin.notice.overdue".to_owned(),
                    about,
                    &document,
                )
            }
            DeliveryEvent::Unconfirmed(event) => {
                let document = UnconfirmedDocument::of(event, names);
                let about = (event.told.decision.family.to_string(), event.at);
                let kind = "tocsin.decision.unconfirmed".to_owned();
                made(&format!("{:032x}", event.id), kind, about, &document)
            }
        }
    }

    /// The attributes under their names, `datacontenttype` left out: HTTP and Kafka have headers of their own for it.
    pub(crate) fn attributes(&self) -> Vec<(&'static str, &str)> {
        let always = [
            ("specversion", SPEC_VERSION),
            ("id", &self.id),
            ("source", &self.source),
            ("type", &self.kind),
            ("subject", &self.subject),
        ];
        let time = self.time.as_deref().map(|time| ("time", time));
        let drill = self.drill.as_deref().map(|drill| ("drill", drill));
        always.into_iter().chain(time).chain(drill).collect()
    }

    /// The same as a part of a drill, if it is of one: in its source, in an attribute, and in its document, whatever of them a receiver looks at.
    pub(crate) fn of_drill(self, drill: Option<DrillId>) -> CloudEvent {
        let Some(drill) = drill.map(|drill| drill.to_string()) else {
            return self;
        };
        let mut document: Map<String, Value> =
            serde_json::from_slice(&self.data).expect("what is delivered is a document with members");
        document.insert("drill".to_owned(), Value::from(drill.as_str()));
        CloudEvent {
            data: serde_json::to_vec(&document).expect("text, numbers and lists are always JSON"),
            source: format!("{SOURCE}:drill:{drill}"),
            drill: Some(drill),
            ..self
        }
    }
}

impl DecisionDocument {
    pub(super) fn of(told: &ToldDecision) -> DecisionDocument {
        let (decision, grounds) = (&told.decision, &told.grounds);
        DecisionDocument {
            id: format!("{:032x}", decision.id.0),
            family: decision.family.to_string(),
            scope: scope_name(decision.scope),
            verdict: decision.verdict.name(),
            policy: grounds.policy.clone(),
            recommended_action: grounds.action.map(|action| action.name()),
            confidence_percent: grounds.confidence,
            exceptions: grounds.exceptions.iter().map(ContentId::to_string).collect(),
            at: instant(decision.at),
        }
    }
}

impl AnswerDocument {
    fn of(told: &ToldAppeal, names: &Names) -> AnswerDocument {
        AnswerDocument {
            appeal: told.appeal.to_string(),
            reference: told.reference.clone(),
            platform: platform_name(names, told.platform),
            content: told.content.to_string(),
            hash: HashText::from(&told.hash),
            family: told.family.to_string(),
            outcome: told.outcome.name(),
            concerns: told.concerns.name(),
            verdict: told.verdict.map(|verdict| verdict.name()),
            at: instant(told.at),
        }
    }
}

impl MessageDocument {
    fn of(message: &IncidentMessage) -> MessageDocument {
        MessageDocument {
            id: format!("{:032x}", message.event),
            incident: message.incident.to_string(),
            title: message.title.clone(),
            tlp: format!("TLP:{}", message.tlp.label()),
            protocol: message.protocol.0.clone(),
            protocol_version: message.protocol.1,
            kind: message.kind.clone(),
            level: message.level.clone(),
            says: message.says.clone(),
            at: instant(message.at),
        }
    }
}

/// The alert as the query API shows it to this reader.
pub(crate) fn answer(alert: &Alert, names: &Names, reader: Team) -> AlertAnswer {
    AlertAnswer::new(
        alert,
        |party| {
            names
                .parties
                .get(&party)
                .map_or_else(|| format!("party-{}", party.0), ToString::to_string)
        },
        |platform| platform_name(names, platform),
        |platform| names.is_own(reader.party(), platform),
    )
}

/// Its name, or its number before it was heard of.
pub(super) fn platform_name(names: &Names, platform: PlatformId) -> String {
    let name = names.platforms.get(&platform);
    name.map_or_else(|| format!("platform-{}", platform.0), ToString::to_string)
}

fn made(id: &str, kind: String, (subject, at): (String, Timestamp), document: &impl Serialize) -> CloudEvent {
    CloudEvent {
        id: id.to_owned(),
        kind,
        subject,
        time: instant(at),
        data: serde_json::to_vec(document).expect("text, numbers and lists are always JSON"),
        source: SOURCE.to_owned(),
        drill: None,
    }
}
