//! The stored forms of decisions that are delivered, of their grounds, and of drafts: JSON, as that of an alert.

use serde::{Deserialize, Serialize};
use tocsin_casework::Draft;
use tocsin_model::{
    Algorithm, Class, ContentHash, ContentId, Decision, FamilyId, Grounds, RecommendedAction, Timestamp, ToldDecision,
    Verdict, parse_hex_id,
};

use crate::cases::decision_id;
use crate::{DeliveryEvent, StoreError, ToldMembers};

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
}

#[derive(Serialize, Deserialize)]
struct StoredMembers {
    event: String,
    members: Vec<StoredMember>,
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
    let members = told.members.iter().map(|(content, hash)| StoredMember {
        content: content.to_string(),
        algorithm: hash.algorithm() as u8,
        value: hex::encode(hash.value()),
        quality: hash.quality(),
    });
    text(&Stored {
        members: Some(StoredMembers {
            event: format!("{:032x}", told.id),
            members: members.collect(),
        }),
        ..stored(&told.told)
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
    let Some(told_members) = stored.members else {
        return Ok(DeliveryEvent::Decision(told));
    };
    let member = |member: StoredMember| {
        let algorithm = Algorithm::from_number(member.algorithm)?;
        let hash = ContentHash::from_bytes(algorithm, hex::decode(member.value).ok()?, member.quality).ok()?;
        Some((ContentId::parse(&member.content)?, hash))
    };
    let members: Option<Vec<_>> = told_members.members.into_iter().map(member).collect();
    Ok(DeliveryEvent::Members(ToldMembers {
        id: parse_hex_id(&told_members.event).map_err(|_| malformed())?,
        told,
        members: members.ok_or_else(malformed)?,
    }))
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
