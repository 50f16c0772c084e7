//! What an incident is made of.

use serde::{Deserialize, Serialize};
use tocsin_casework::{CaseId, Team};
use tocsin_model::{Alert, AlertId, AlertLevel, AlertReason, FamilyId, KeyId, PlatformId, Scope, Timestamp};

use crate::form;

/// What an incident was declared from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    /// An alert.
    Alert {
        /// Which.
        #[serde(with = "form::text")]
        alert: AlertId,
    },
    /// A case of the coordinators.
    Case {
        /// Which.
        #[serde(with = "form::text")]
        case: CaseId,
    },
    /// A notice of an authority or of another crisis centre, by its reference.
    Notice {
        /// As whoever sent it calls it.
        reference: String,
    },
    /// Somebody saw it.
    Hand,
}

/// A protocol, in one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolVersion {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
}

/// A family of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// Which.
    #[serde(with = "form::text")]
    pub family: FamilyId,
    /// Since when.
    #[serde(with = "form::time")]
    pub at: Timestamp,
    /// Who attached it; `None`: a rule.
    #[serde(with = "form::option")]
    pub by: Option<KeyId>,
    /// The number of the rule that attached it.
    pub rule: Option<u32>,
}

/// Which alerts attach their family to an incident: those of coordinators' scope that begin or grow, and of which all that is stated here holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingRule {
    /// Why it rang: one of these.
    #[serde(with = "form::list")]
    pub reasons: Vec<AlertReason>,
    /// It was seen on this platform.
    #[serde(with = "form::option")]
    pub platform: Option<PlatformId>,
    /// Its priority is at least this, in exposures an hour, weighed.
    pub priority_min: u64,
}

/// A rule under its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberedRule {
    /// From 1 on; never given twice in an incident.
    pub number: u32,
    /// The rule.
    pub rule: RingRule,
}

/// What a person answered to a question of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The question, by its name.
    pub question: String,
    /// Yes or no.
    pub yes: bool,
    /// When.
    #[serde(with = "form::time")]
    pub at: Timestamp,
    /// Who.
    #[serde(with = "form::text")]
    pub by: KeyId,
}

/// A team that was invited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Who.
    #[serde(with = "form::text")]
    pub team: Team,
    /// As what: a class of the protocol.
    pub class: String,
    /// When it was invited, the last time.
    #[serde(with = "form::time")]
    pub invited_at: Timestamp,
    /// When it first said that it takes part.
    #[serde(with = "form::time_option")]
    pub acknowledged_at: Option<Timestamp>,
    /// When it was reminded, the last time.
    #[serde(with = "form::time_option")]
    pub reminded_at: Option<Timestamp>,
    /// When it left.
    #[serde(with = "form::time_option")]
    pub left_at: Option<Timestamp>,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// From 1 on.
    pub number: u32,
    /// What.
    pub does: String,
    /// Whose it is: who may say that it is done, beside the coordinators.
    #[serde(with = "form::text")]
    pub owner: Team,
    /// The role that acts, where it is a step of the protocol.
    pub role: Option<String>,
    /// The classes whose participants have a part in it.
    pub with: Vec<String>,
    /// When it was given.
    #[serde(with = "form::time")]
    pub given_at: Timestamp,
    /// Until when.
    #[serde(with = "form::time")]
    pub due: Timestamp,
    /// That it is done.
    pub done: Option<Done>,
    /// Which participants said that their part is done.
    pub parts: Vec<Done>,
}

/// That something was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Who says so.
    #[serde(with = "form::text")]
    pub team: Team,
    /// When.
    #[serde(with = "form::time")]
    pub at: Timestamp,
}

impl RingRule {
    /// Whether an alert attaches its family.
    pub fn takes(&self, alert: &Alert) -> bool {
        // What only one party may see is attached by people: that shares it.
        matches!(alert.scope, Scope::All | Scope::Coordinators)
            && matches!(alert.level, AlertLevel::Raised | AlertLevel::Escalated)
            && self.reasons.contains(&alert.reason)
            && self
                .platform
                .is_none_or(|platform| alert.platforms.iter().any(|figures| figures.platform == platform))
            && alert.priority >= self.priority_min as f64
    }
}

impl Participant {
    /// Whether it takes part: it was invited and has not left since.
    pub fn takes_part(&self) -> bool {
        self.left_at.is_none()
    }
}
