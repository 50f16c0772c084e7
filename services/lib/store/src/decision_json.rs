//! The stored forms of decisions that are delivered, of their grounds, and of drafts: JSON, as that of an alert.

use serde::{Deserialize, Serialize};
use tocsin_casework::Draft;
use tocsin_model::{
    Class, ContentId, Decision, FamilyId, Grounds, RecommendedAction, Timestamp, ToldDecision, Verdict,
};

use crate::StoreError;
use crate::cases::decision_id;

#[derive(Serialize, Deserialize)]
struct Stored {
    id: String,
    family: String,
    class: u32,
    verdict: u8,
    at: i64,
    #[serde(default)]
    grounds: StoredGrounds,
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
    let decision = &told.decision;
    text(&Stored {
        id: format!("{:032x}", decision.id.0),
        family: decision.family.to_string(),
        class: decision.scope.own_class().number(),
        verdict: decision.verdict as u8,
        at: decision.at.0,
        grounds: StoredGrounds::of(&told.grounds),
    })
}

pub(crate) fn from_json(text: &str) -> Result<ToldDecision, StoreError> {
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
    Ok(ToldDecision { decision, grounds })
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
