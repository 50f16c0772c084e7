//! The answer to an appeal as endpoints are told of it, and its stored form.

use serde::{Deserialize, Serialize};
use tocsin_casework::{Appeal, AppealId, AppealOutcome, Concerns};
use tocsin_model::{Algorithm, ContentHash, ContentId, FamilyId, PlatformId, Timestamp, Verdict};

use crate::StoreError;

/// What became of an appeal, for whoever filed it: what to give back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldAppeal {
    /// The appeal.
    pub appeal: AppealId,
    /// Its number on the platform.
    pub reference: String,
    /// The platform that it was made on.
    pub platform: PlatformId,
    /// The content that it is about.
    pub content: ContentId,
    /// Its strongest hash that was said.
    pub hash: ContentHash,
    /// The family that the content was of.
    pub family: FamilyId,
    /// What becomes of the decision.
    pub outcome: AppealOutcome,
    /// How far that goes.
    pub concerns: Concerns,
    /// What the family is instead, where all of it is overturned.
    pub verdict: Option<Verdict>,
    /// When it was answered.
    pub at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    appeal: String,
    reference: String,
    platform: u16,
    content: String,
    algorithm: u8,
    value: String,
    quality: Option<u8>,
    family: String,
    outcome: u8,
    concerns: u8,
    verdict: Option<u8>,
    at: i64,
}

impl ToldAppeal {
    /// Of an appeal that was answered.
    pub(crate) fn of(appeal: &Appeal) -> Option<ToldAppeal> {
        let answer = appeal.answer.as_ref()?;
        Some(ToldAppeal {
            appeal: appeal.id,
            reference: appeal.filing.reference.clone(),
            platform: appeal.filing.platform,
            content: appeal.content,
            hash: appeal.filing.content.clone(),
            family: appeal.family,
            outcome: answer.ruling.outcome,
            concerns: answer.ruling.concerns,
            verdict: answer.ruling.verdict,
            at: answer.at,
        })
    }

    pub(crate) fn to_json(&self) -> String {
        let stored = Stored {
            appeal: self.appeal.to_string(),
            reference: self.reference.clone(),
            platform: self.platform.0,
            content: self.content.to_string(),
            algorithm: self.hash.algorithm() as u8,
            value: hex::encode(self.hash.value()),
            quality: self.hash.quality(),
            family: self.family.to_string(),
            outcome: self.outcome as u8,
            concerns: self.concerns as u8,
            verdict: self.verdict.map(|verdict| verdict as u8),
            at: self.at.0,
        };
        serde_json::to_string(&stored).expect("numbers and text are always JSON")
    }

    pub(crate) fn from_json(text: &str) -> Result<ToldAppeal, StoreError> {
        let read = || {
            let stored: Stored = serde_json::from_str(text).ok()?;
            let algorithm = Algorithm::from_number(stored.algorithm)?;
            let verdict = stored.verdict.map(Verdict::from_number);
            Some(ToldAppeal {
                appeal: stored.appeal.parse().ok()?,
                reference: stored.reference,
                platform: PlatformId(stored.platform),
                content: ContentId::parse(&stored.content)?,
                hash: ContentHash::from_bytes(algorithm, hex::decode(stored.value).ok()?, stored.quality).ok()?,
                family: FamilyId(ContentId::parse(&stored.family)?),
                outcome: AppealOutcome::from_number(i64::from(stored.outcome))?,
                concerns: Concerns::from_number(i64::from(stored.concerns))?,
                verdict: match verdict {
                    Some(verdict) => Some(verdict?),
                    None => None,
                },
                at: Timestamp(stored.at),
            })
        };
        read().ok_or(StoreError::Malformed { field: "appeal" })
    }
}
