//! The stored forms of decisions that are delivered, of their grounds, and of drafts: JSON, as that of an alert.

use serde::{Deserialize, Serialize};
use tocsin_casework::{Awaits, Draft};
use tocsin_model::{
    Algorithm, Class, ContentHash, ContentId, Decision, FamilyId, Grounds, PlatformId, RecommendedAction, Timestamp,
    ToldDecision, Verdict, parse_hex_id,
};

use crate::cases::decision_id;
use crate::{DeliveryEvent, OzoneSubject, StoreError, ToldMembers, ToldSubject, Unconfirmed, UnconfirmedMember};

#[derive(Serialize, Deserialize)]
struct Stored {
    id: String,
    family: String,
    class: u32,
    verdict: u8,
    at: i64,
    #[serde(default)]
    grounds: StoredGrounds,
    /// Of members that are told of it; absent from the decision itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    members: Option<StoredMembers>,
    /// Of what platforms did not confirm of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unconfirmed: Option<StoredUnconfirmed>,
    /// Of what was reported in an Ozone and is told of it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<StoredSubject>,
}

#[derive(Serialize, Deserialize)]
struct StoredSubject {
    event: String,
    subject: OzoneSubject,
}

#[derive(Serialize, Deserialize)]
struct StoredMembers {
    event: String,
    members: Vec<StoredMember>,
    #[serde(default)]
    automated: bool,
    #[serde(default)]
    streams: Vec<(String, u16)>,
}

#[derive(Serialize, Deserialize)]
struct StoredUnconfirmed {
    event: String,
    case: String,
    awaits: i64,
    reminder: Option<u8>,
    unconfirmed: u64,
    of: u64,
    members: Vec<StoredUnconfirmedMember>,
    at: i64,
}

#[derive(Serialize, Deserialize)]
struct StoredUnconfirmedMember {
    member: StoredMember,
    platform: u16,
    asked: u64,
    answered: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredMember {
    content: String,
    algorithm: u8,
    value: String,
    quality: Option<u8>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct StoredGrounds {
    policy: String,
    action: Option<u8>,
    confidence: Option<u8>,
    exceptions: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredDraft {
    verdict: Option<u8>,
    grounds: StoredGrounds,
    rationale: String,
}

pub(crate) fn to_json(told: &ToldDecision) -> String {
    text(&stored(told))
}

pub(crate) fn members_to_json(told: &ToldMembers) -> String {
    let members = told
        .members
        .iter()
        .map(|(content, hash)| StoredMember::of(*content, hash));
    text(&Stored {
        members: Some(StoredMembers {
            event: format!("{:032x}", told.id),
            members: members.collect(),
            automated: told.automated,
            streams: told
                .streams
                .iter()
                .map(|(content, platform)| (content.to_string(), platform.0))
                .collect(),
        }),
        ..stored(&told.told)
    })
}

pub(crate) fn subject_to_json(event: &ToldSubject) -> String {
    text(&Stored {
        subject: Some(StoredSubject {
            event: format!("{:032x}", event.id),
            subject: event.subject.clone(),
        }),
        ..stored(&event.told)
    })
}

pub(crate) fn unconfirmed_to_json(event: &Unconfirmed) -> String {
    let members = event.members.iter().map(|of| StoredUnconfirmedMember {
        member: StoredMember::of(of.content, &of.hash),
        platform: of.platform.0,
        asked: of.asked,
        answered: of.answered,
    });
    text(&Stored {
        unconfirmed: Some(StoredUnconfirmed {
            event: format!("{:032x}", event.id),
            case: event.case.to_string(),
            awaits: event.awaits as i64,
            reminder: event.reminder,
            unconfirmed: event.unconfirmed,
            of: event.of,
            members: members.collect(),
            at: event.at.0,
        }),
        ..stored(&event.told)
    })
}

fn stored(told: &ToldDecision) -> Stored {
    let decision = &told.decision;
    Stored {
        id: format!("{:032x}", decision.id.0),
        family: decision.family.to_string(),
        class: decision.scope.own_class().number(),
        verdict: decision.verdict as u8,
        at: decision.at.0,
        grounds: StoredGrounds::of(&told.grounds),
        members: None,
        unconfirmed: None,
        subject: None,
    }
}

/// A decision, or the members that are told of one.
pub(crate) fn event_from_json(text: &str) -> Result<DeliveryEvent, StoreError> {
    let malformed = || StoreError::Malformed { field: "decision" };
    let stored: Stored = serde_json::from_str(text).map_err(|_| malformed())?;
    let decision = Decision {
        id: decision_id(&stored.id)?,
        family: FamilyId(ContentId::parse(&stored.family).ok_or_else(malformed)?),
        scope: Class::from_number(stored.class).ok_or_else(malformed)?.scope(),
        verdict: Verdict::from_number(stored.verdict).ok_or_else(malformed)?,
        at: Timestamp(stored.at),
    };
    let grounds = stored.grounds.read()?;
    let told = ToldDecision { decision, grounds };
    if let Some(unconfirmed) = stored.unconfirmed {
        let event = unconfirmed.read(told).ok_or_else(malformed)?;
        return Ok(DeliveryEvent::Unconfirmed(Box::new(event)));
    }
    if let Some(reported) = stored.subject {
        return Ok(DeliveryEvent::Reported(Box::new(ToldSubject {
            id: parse_hex_id(&reported.event).map_err(|_| malformed())?,
            told,
            subject: reported.subject,
            violates_elsewhere: false,
        })));
    }
    let Some(told_members) = stored.members else {
        return Ok(DeliveryEvent::Decision(told));
    };
    let members: Option<Vec<_>> = told_members.members.into_iter().map(StoredMember::read).collect();
    let stream = |(content, platform): (String, u16)| Some((ContentId::parse(&content)?, PlatformId(platform)));
    let streams: Option<Vec<_>> = told_members.streams.into_iter().map(stream).collect();
    Ok(DeliveryEvent::Members(ToldMembers {
        id: parse_hex_id(&told_members.event).map_err(|_| malformed())?,
        told,
        members: members.ok_or_else(malformed)?,
        automated: told_members.automated,
        streams: streams.ok_or_else(malformed)?,
    }))
}

impl StoredMember {
    fn of(content: ContentId, hash: &ContentHash) -> StoredMember {
        StoredMember {
            content: content.to_string(),
            algorithm: hash.algorithm() as u8,
            value: hex::encode(hash.value()),
            quality: hash.quality(),
        }
    }

    fn read(self) -> Option<(ContentId, ContentHash)> {
        let algorithm = Algorithm::from_number(self.algorithm)?;
        let hash = ContentHash::from_bytes(algorithm, hex::decode(self.value).ok()?, self.quality).ok()?;
        Some((ContentId::parse(&self.content)?, hash))
    }
}

impl StoredUnconfirmed {
    fn read(self, told: ToldDecision) -> Option<Unconfirmed> {
        let members = self.members.into_iter().map(|of| {
            let (content, hash) = of.member.read()?;
            Some(UnconfirmedMember {
                content,
                hash,
                platform: PlatformId(of.platform),
                asked: of.asked,
                answered: of.answered,
            })
        });
        Some(Unconfirmed {
            id: parse_hex_id(&self.event).ok()?,
            told,
            case: self.case.parse().ok()?,
            awaits: Awaits::from_number(self.awaits)?,
            reminder: self.reminder,
            unconfirmed: self.unconfirmed,
            of: self.of,
            members: members.collect::<Option<_>>()?,
            at: Timestamp(self.at),
        })
    }
}

pub(crate) fn grounds_to_json(grounds: &Grounds) -> String {
    text(&StoredGrounds::of(grounds))
}

pub(crate) fn grounds_from_json(text: &str) -> Result<Grounds, StoreError> {
    let stored: StoredGrounds = serde_json::from_str(text).map_err(|_| StoreError::Malformed { field: "grounds" })?;
    stored.read()
}

pub(crate) fn draft_to_json(draft: &Draft) -> String {
    text(&StoredDraft {
        verdict: draft.verdict.map(|verdict| verdict as u8),
        grounds: StoredGrounds::of(&draft.grounds),
        rationale: draft.rationale.clone(),
    })
}

pub(crate) fn draft_from_json(text: &str) -> Result<Draft, StoreError> {
    let malformed = || StoreError::Malformed { field: "draft" };
    let stored: StoredDraft = serde_json::from_str(text).map_err(|_| malformed())?;
    let verdict = stored
        .verdict
        .map(|number| Verdict::from_number(number).ok_or_else(malformed));
    Ok(Draft {
        verdict: verdict.transpose()?,
        grounds: stored.grounds.read()?,
        rationale: stored.rationale,
    })
}

impl StoredGrounds {
    fn of(grounds: &Grounds) -> StoredGrounds {
        StoredGrounds {
            policy: grounds.policy.clone(),
            action: grounds.action.map(|action| action as u8),
            confidence: grounds.confidence,
            exceptions: grounds.exceptions.iter().map(ContentId::to_string).collect(),
        }
    }

    fn read(self) -> Result<Grounds, StoreError> {
        let malformed = || StoreError::Malformed { field: "grounds" };
        let action = self
            .action
            .map(|number| RecommendedAction::from_number(number).ok_or_else(malformed));
        let exceptions = self
            .exceptions
            .iter()
            .map(|text| ContentId::parse(text).ok_or_else(malformed));
        Ok(Grounds {
            policy: self.policy,
            action: action.transpose()?,
            confidence: self.confidence,
            exceptions: exceptions.collect::<Result<_, _>>()?,
        })
    }
}

fn text(stored: &impl Serialize) -> String {
    serde_json::to_string(stored).expect("numbers and text are always JSON")
}
