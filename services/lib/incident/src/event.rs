use serde::{Deserialize, Serialize};
use tocsin_casework::Team;
use tocsin_model::{FamilyId, Timestamp};
use tocsin_protocol::Truth;

use crate::form;
use crate::marking::Marking;
use crate::parts::{NumberedRule, Origin, ProtocolVersion, Task};

/// What criteria said when people acted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The result of what was acted on.
    pub result: Truth,
    /// Up to when the figures behind it were counted. `None`: nothing was counted.
    #[serde(with = "form::time_option")]
    pub as_of: Option<Timestamp>,
    /// The criteria that were met.
    pub met: Vec<String>,
    /// Figures of the coordinators' scope that were known: for the debrief, and for coordinators alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<ShownFigure>,
}

/// A figure of a family when people acted, in whole units rounded outward: the truth lies between its bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownFigure {
    /// The family.
    #[serde(with = "form::text")]
    pub family: FamilyId,
    /// The figure, as criteria name it.
    pub name: String,
    /// At least this.
    pub low: u64,
    /// At most this.
    pub high: u64,
}

/// What happened. The stored form is JSON under these names; a changed form is a new name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The incident was declared.
    Declared {
        /// What it is called.
        title: String,
        /// What from.
        origin: Origin,
        /// Under which protocol.
        protocol: ProtocolVersion,
        /// How far it may go.
        marking: Marking,
    },
    /// A family was attached.
    Attached {
        /// Which.
        #[serde(with = "form::text")]
        family: FamilyId,
        /// The number of the rule that did it; `None`: a person.
        rule: Option<u32>,
    },
    /// A family was taken out.
    Detached {
        /// Which.
        #[serde(with = "form::text")]
        family: FamilyId,
        /// Why.
        reason: String,
    },
    /// A rule attaches families from now on.
    RuleAdded(NumberedRule),
    /// A rule no longer does.
    RuleRemoved {
        /// Its number.
        number: u32,
        /// Why.
        reason: String,
    },
    /// A person answered a question.
    Answered {
        /// Which, by its name.
        question: String,
        /// Yes or no; `None`: it is open again.
        answer: Option<bool>,
        /// Why.
        reason: String,
    },
    /// The protocol was activated.
    Activated {
        /// The number of the level, from 0.
        level: u32,
        /// Its name.
        name: String,
        /// Why.
        reason: String,
        /// What its criterion said.
        shown: Option<Shown>,
        /// The steps of the level.
        tasks: Vec<Task>,
    },
    /// Another level holds.
    LevelChanged {
        /// The number of the level before.
        from: u32,
        /// The number of the level now.
        level: u32,
        /// Its name.
        name: String,
        /// Why.
        reason: String,
        /// What its criterion said.
        shown: Option<Shown>,
        /// The steps of the level, if it was not reached before.
        tasks: Vec<Task>,
    },
    /// It is over.
    Concluded {
        /// Why.
        reason: String,
        /// What the criterion of conclusion said.
        shown: Option<Shown>,
        /// The steps of the conclusion, if it was not concluded before.
        tasks: Vec<Task>,
    },
    /// It was not over.
    Reopened {
        /// Why.
        reason: String,
    },
    /// A team was invited.
    Invited {
        /// Who.
        #[serde(with = "form::text")]
        team: Team,
        /// As what: a class of the protocol.
        class: String,
        /// What it is told; may be empty.
        message: String,
    },
    /// A participant was reminded.
    Reminded {
        /// Who.
        #[serde(with = "form::text")]
        team: Team,
        /// What it is told; may be empty.
        message: String,
    },
    /// A participant says that it takes part.
    Acknowledged,
    /// A participant left.
    Left {
        /// Why.
        reason: String,
    },
    /// There is something to do.
    TaskAdded(Task),
    /// A task is done.
    TaskDone {
        /// Its number.
        number: u32,
        /// What was done; may be empty.
        note: String,
    },
    /// A participant's part of a task is done.
    PartDone {
        /// Its number.
        number: u32,
        /// What was done; may be empty.
        note: String,
    },
    /// The hashes of the incident's families were given out.
    PackMade {
        /// The version of the pack.
        number: u32,
        /// How many hashes it has.
        hashes: u32,
    },
    /// A pack is no longer good.
    PackWithdrawn {
        /// Its version.
        number: u32,
        /// Why.
        reason: String,
    },
    /// Somebody wrote something.
    Noted {
        /// What.
        text: String,
        /// How far it may go.
        marking: Marking,
    },
    /// The incident may go as far as this from now on.
    Marked {
        /// How far.
        marking: Marking,
        /// Why.
        reason: String,
    },
}

impl Event {
    /// Its name in the timeline: that of its stored form.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Declared { .. } => "declared",
            Event::Attached { .. } => "attached",
            Event::Detached { .. } => "detached",
            Event::RuleAdded(_) => "rule_added",
            Event::RuleRemoved { .. } => "rule_removed",
            Event::Answered { .. } => "answered",
            Event::Activated { .. } => "activated",
            Event::LevelChanged { .. } => "level_changed",
            Event::Concluded { .. } => "concluded",
            Event::Reopened { .. } => "reopened",
            Event::Invited { .. } => "invited",
            Event::Reminded { .. } => "reminded",
            Event::Acknowledged => "acknowledged",
            Event::Left { .. } => "left",
            Event::TaskAdded(_) => "task_added",
            Event::TaskDone { .. } => "task_done",
            Event::PartDone { .. } => "part_done",
            Event::PackMade { .. } => "pack_made",
            Event::PackWithdrawn { .. } => "pack_withdrawn",
            Event::Noted { .. } => "noted",
            Event::Marked { .. } => "marked",
        }
    }

    /// How far it may go, where it may go less far than the incident.
    pub fn marking(&self) -> Option<&Marking> {
        match self {
            Event::Noted { marking, .. } => Some(marking),
            _ => None,
        }
    }
}
