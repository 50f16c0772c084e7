//! What an Ozone is told of decisions: by the settings of its endpoint.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tocsin_model::{DecisionId, KeyId, Name, ToldDecision, Verdict};

use crate::digest_id;

/// Something that was reported in an Ozone: a record of an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OzoneSubject {
    /// Its `at:` URI.
    pub uri: String,
    /// The CID of the version that was reported.
    pub cid: String,
    /// The CIDs of those of its blobs that were reported and that the decision is about.
    pub blobs: Vec<String>,
}

/// A decision, for something that was reported in an Ozone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldSubject {
    /// The event's identity: follows from the decision, the endpoint and the subject.
    pub id: u128,
    /// The decision.
    pub told: ToldDecision,
    /// What was reported.
    pub subject: OzoneSubject,
    /// Whether another case of the team says that it violates: then nothing of that is undone. As it was when the delivery was taken.
    pub violates_elsewhere: bool,
}

/// The settings of an endpoint that say of which decisions its Ozone is told.
pub(crate) struct OzoneTold(BTreeMap<String, String>);

impl ToldSubject {
    pub(crate) fn of(told: &ToldDecision, endpoint: &Name, subject: OzoneSubject) -> ToldSubject {
        ToldSubject {
            id: subject_event(told.decision.id, endpoint, &subject.uri),
            told: told.clone(),
            subject,
            violates_elsewhere: false,
        }
    }
}

impl OzoneTold {
    pub(crate) fn of(settings: &str) -> OzoneTold {
        OzoneTold(serde_json::from_str(settings).unwrap_or_default())
    }

    /// Whether it is told of decisions of this verdict.
    pub(crate) fn is_told(&self, verdict: Verdict) -> bool {
        self.get(&format!("tell_{}", verdict.name())) != Some("nothing")
    }

    /// Whether the record that stands for a family is told of a decision that this key made: what was decided in this Ozone is known there, and an
    /// account that stands for all families stands for none.
    pub(crate) fn is_family_told(&self, verdict: Verdict, by: KeyId) -> bool {
        let is_made_there = self.get("decide_as").and_then(|key| key.parse().ok()) == Some(by);
        self.get("collection").is_some() && !is_made_there && self.is_told(verdict)
    }

    /// Whether anything of what happens there is taken.
    pub(crate) fn takes(&self) -> bool {
        self.get("decide_as").is_some() || self.get("reports") == Some("open")
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }
}

/// The event that tells a subject of a decision in the Ozone of an endpoint: the same whenever, and however often, it is made. Of two Ozones that know the
/// same record each has its own.
pub(crate) fn subject_event(decision: DecisionId, endpoint: &Name, uri: &str) -> u128 {
    digest_id(&format!("tocsin ozone subject\0{:032x}\0{endpoint}\0{uri}", decision.0))
}

#[cfg(test)]
mod tests {
    //! Goal: an Ozone is told of what its settings say, and never of what was decided in it.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_was_decided_there_is_not_told_there() {
        let (there, here) = (KeyId(7), KeyId(8));
        let settings = format!(r#"{{"collection": "a.b.c", "decide_as": "{there}", "tell_benign": "nothing"}}"#);
        let told = OzoneTold::of(&settings);
        assert!(told.is_family_told(Verdict::Violating, here));
        assert!(!told.is_family_told(Verdict::Violating, there));
        assert!(!told.is_family_told(Verdict::Benign, here));
        assert!(told.is_told(Verdict::Violating) && !told.is_told(Verdict::Benign));
        for settings in ["{}", r#"{"collection": ""}"#, "broken"] {
            assert!(
                !OzoneTold::of(settings).is_family_told(Verdict::Violating, here),
                "{settings}"
            );
        }
    }

    #[test]
    fn an_event_is_of_one_decision_one_ozone_and_one_subject() {
        let event = |decision, endpoint: &str, uri| {
            let endpoint = endpoint.parse().unwrap();
            subject_event(DecisionId(decision), &endpoint, uri)
        };
        let one = event(1, "ozone", "at://a");
        assert_eq!(one, event(1, "ozone", "at://a"));
        for another in [
            event(2, "ozone", "at://a"),
            event(1, "other", "at://a"),
            event(1, "ozone", "at://b"),
        ] {
            assert_ne!(one, another);
        }
    }
}
