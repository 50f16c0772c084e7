//! The stored form of a decision that is delivered: JSON, as that of an alert.

use serde::{Deserialize, Serialize};
use tocsin_model::{Class, ContentId, Decision, FamilyId, Timestamp, Verdict};

use crate::StoreError;
use crate::cases::decision_id;

#[derive(Serialize, Deserialize)]
struct Stored {
    id: String,
    family: String,
    class: u32,
    verdict: u8,
    at: i64,
}

pub(crate) fn to_json(decision: &Decision) -> String {
    let stored = Stored {
        id: format!("{:032x}", decision.id.0),
        family: decision.family.to_string(),
        class: decision.scope.own_class().number(),
        verdict: decision.verdict as u8,
        at: decision.at.0,
    };
    serde_json::to_string(&stored).expect("numbers and text are always JSON")
}

pub(crate) fn from_json(text: &str) -> Result<Decision, StoreError> {
    let malformed = || StoreError::Malformed { field: "decision" };
    let stored: Stored = serde_json::from_str(text).map_err(|_| malformed())?;
    Ok(Decision {
        id: decision_id(&stored.id)?,
        family: FamilyId(ContentId::parse(&stored.family).ok_or_else(malformed)?),
        scope: Class::from_number(stored.class).ok_or_else(malformed)?.scope(),
        verdict: Verdict::from_number(stored.verdict).ok_or_else(malformed)?,
        at: Timestamp(stored.at),
    })
}
