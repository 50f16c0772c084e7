use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tocsin_casework::Team;
use tocsin_model::{FamilyId, IdError, KeyId, Timestamp, parse_hex_id};

use crate::command::{By, Declaration};
use crate::event::Event;
use crate::form;
use crate::marking::{Author, Marking, Reader, may_read};
use crate::pack::Pack;
use crate::parts::{Answer, Attached, Done, NumberedRule, Origin, Participant, ProtocolVersion, Task};

/// The identity of an incident. Random: it tells nothing of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId(pub u128);

/// A crisis that coordinators declared, as its events have made it. Its stored form is JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its identity.
    #[serde(with = "form::text")]
    pub id: IncidentId,
    /// What it is called.
    pub title: String,
    /// What it was declared from.
    pub origin: Origin,
    /// The protocol that it is handled by; never another.
    pub protocol: ProtocolVersion,
    /// How far it may go.
    pub marking: Marking,
    /// When it was declared.
    #[serde(with = "form::time")]
    pub declared_at: Timestamp,
    /// Who declared it.
    #[serde(with = "form::text")]
    pub declared_by: KeyId,
    /// The number of the level that holds or held last, from 0; `None` before the first activation.
    pub level: Option<u32>,
    /// The levels that were ever activated, ascending: their steps were given.
    pub levels_reached: Vec<u32>,
    /// When it was concluded, unless it was reopened.
    #[serde(with = "form::time_option")]
    pub concluded_at: Option<Timestamp>,
    /// Whether the steps of the conclusion were given.
    pub was_concluded: bool,
    /// Its families, in the order in which they were attached.
    pub families: Vec<Attached>,
    /// What attaches further ones.
    pub rules: Vec<NumberedRule>,
    /// How many rules it ever had.
    pub rules_ever: u32,
    /// What people answered, by question.
    pub answers: Vec<Answer>,
    /// Who was invited, in the order of the first invitations.
    pub participants: Vec<Participant>,
    /// What is to be done, by number.
    pub tasks: Vec<Task>,
    /// The packs of hashes that were given out, by number.
    pub packs: Vec<Pack>,
    /// How many notes it has.
    pub notes: u32,
    /// Rises with every event but notes, which not everyone may know of.
    pub version: u64,
}

/// How far an incident has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It was declared; no level was activated.
    Declared,
    /// A level holds.
    Active,
    /// It is over.
    Concluded,
}

impl Phase {
    /// All phases.
    pub const ALL: [Phase; 3] = [Phase::Declared, Phase::Active, Phase::Concluded];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Declared => "declared",
            Phase::Active => "active",
            Phase::Concluded => "concluded",
        }
    }

    /// The phase of this name.
    pub fn from_name(name: &str) -> Option<Phase> {
        Phase::ALL.into_iter().find(|phase| phase.name() == name)
    }
}

impl Incident {
    /// The incident that a declaration makes, and its first event. The declaration's protocol is one that exists.
    ///
    /// # Errors
    /// As [`Incident::decide`]: only coordinators declare.
    pub fn declare(
        id: IncidentId,
        by: &By,
        declaration: &Declaration,
        now: Timestamp,
    ) -> Result<(Incident, Event), crate::Refusal> {
        let event = crate::rules::declare(by, declaration)?;
        let incident = Incident::declared(id, by.who, &event, now).expect("the event is a declaration");
        Ok((incident, event))
    }

    /// The incident that begins with this event. `None` if it is no declaration.
    pub fn declared(id: IncidentId, by: KeyId, event: &Event, at: Timestamp) -> Option<Incident> {
        let Event::Declared {
            title,
            origin,
            protocol,
            marking,
        } = event
        else {
            return None;
        };
        Some(Incident {
            id,
            title: title.clone(),
            origin: origin.clone(),
            protocol: protocol.clone(),
            marking: marking.clone(),
            declared_at: at,
            declared_by: by,
            level: None,
            levels_reached: Vec::new(),
            concluded_at: None,
            was_concluded: false,
            families: Vec::new(),
            rules: Vec::new(),
            rules_ever: 0,
            answers: Vec::new(),
            participants: Vec::new(),
            tasks: Vec::new(),
            packs: Vec::new(),
            notes: 0,
            version: 1,
        })
    }

    /// Takes the next event: what [`Incident::decide`] or [`Incident::ring`] made of this incident. `by` is who did it; `None`: a rule.
    pub fn take(&mut self, event: &Event, by: Option<(KeyId, Team)>, at: Timestamp) {
        if !matches!(event, Event::Noted { .. }) {
            self.version += 1;
        }
        let team = by.map_or(Team::Coordinators, |(_, team)| team);
        match event {
            Event::Declared { .. } => {}
            Event::Attached { family, rule } => self.families.push(Attached {
                family: *family,
                at,
                by: by.map(|(key, _)| key),
                rule: *rule,
            }),
            Event::Detached { family, .. } => self.families.retain(|attached| attached.family != *family),
            Event::RuleAdded(rule) => {
                self.rules_ever = rule.number;
                self.rules.push(rule.clone());
            }
            Event::RuleRemoved { number, .. } => self.rules.retain(|rule| rule.number != *number),
            Event::Answered { question, answer, .. } => {
                self.answers.retain(|answered| answered.question != *question);
                if let (Some(yes), Some((by, _))) = (*answer, by) {
                    let question = question.clone();
                    self.answers.push(Answer { question, yes, at, by });
                }
            }
            Event::Activated { level, tasks, .. } | Event::LevelChanged { level, tasks, .. } => {
                self.level = Some(*level);
                if let Err(place) = self.levels_reached.binary_search(level) {
                    self.levels_reached.insert(place, *level);
                }
                self.tasks.extend_from_slice(tasks);
            }
            Event::Concluded { tasks, .. } => {
                (self.concluded_at, self.was_concluded) = (Some(at), true);
                self.tasks.extend_from_slice(tasks);
            }
            Event::Reopened { .. } => self.concluded_at = None,
            Event::Invited { team, class, .. } => self.invited(*team, class, at),
            Event::Reminded { team, .. } => {
                if let Some(participant) = self.participant_mut(*team) {
                    participant.reminded_at = Some(at);
                }
            }
            Event::Acknowledged => {
                if let Some(participant) = self.participant_mut(team) {
                    participant.acknowledged_at = participant.acknowledged_at.or(Some(at));
                }
            }
            Event::Left { .. } => {
                if let Some(participant) = self.participant_mut(team) {
                    participant.left_at = Some(at);
                }
            }
            Event::TaskAdded(task) => self.tasks.push(task.clone()),
            Event::TaskDone { number, .. } => {
                if let Some(task) = self.task_mut(*number) {
                    task.done = Some(Done { team, at });
                }
            }
            Event::PartDone { number, .. } => {
                if let Some(task) = self.task_mut(*number) {
                    task.parts.push(Done { team, at });
                }
            }
            Event::PackMade { number, hashes } => self.packs.push(Pack {
                number: *number,
                made_at: at,
                by: by.map(|(key, _)| key),
                hashes: *hashes,
                withdrawn_at: None,
            }),
            Event::PackWithdrawn { number, .. } => {
                if let Some(pack) = self.packs.iter_mut().find(|pack| pack.number == *number) {
                    pack.withdrawn_at = Some(at);
                }
            }
            Event::Noted { .. } => self.notes += 1,
            Event::Marked { marking, .. } => self.marking = marking.clone(),
        }
    }

    fn invited(&mut self, team: Team, class: &str, at: Timestamp) {
        let again = Participant {
            team,
            class: class.to_owned(),
            invited_at: at,
            acknowledged_at: None,
            reminded_at: None,
            left_at: None,
        };
        match self.participant_mut(team) {
            Some(participant) => *participant = again,
            None => self.participants.push(again),
        }
    }

    fn participant_mut(&mut self, team: Team) -> Option<&mut Participant> {
        self.participants
            .iter_mut()
            .find(|participant| participant.team == team)
    }

    fn task_mut(&mut self, number: u32) -> Option<&mut Task> {
        self.tasks.iter_mut().find(|task| task.number == number)
    }

    /// How far it has come.
    pub fn phase(&self) -> Phase {
        match (self.concluded_at, self.level) {
            (Some(_), _) => Phase::Concluded,
            (None, Some(_)) => Phase::Active,
            (None, None) => Phase::Declared,
        }
    }

    /// The participant of this team.
    pub fn participant(&self, team: Team) -> Option<&Participant> {
        self.participants.iter().find(|participant| participant.team == team)
    }

    /// Whether a team takes part. The coordinators, whose incident it is, do.
    pub fn takes_part(&self, team: Option<Team>) -> bool {
        match team {
            None => false,
            Some(Team::Coordinators) => true,
            Some(team) => self.participant(team).is_some_and(Participant::takes_part),
        }
    }

    /// Whether somebody may read it at all.
    pub fn is_read_by(&self, reader: &Reader) -> bool {
        let author = Author {
            key: self.declared_by,
            team: Team::Coordinators,
        };
        may_read(&self.marking, author, reader, self.takes_part(reader.team))
    }

    /// Whether somebody may read an event of it: the incident, and what the event is marked with. `by` is who did it; `None`: a rule.
    pub fn event_is_read_by(&self, event: &Event, by: Option<(KeyId, Team)>, reader: &Reader) -> bool {
        let is_marked_for = match (event.marking(), by) {
            (Some(marking), Some((key, team))) => {
                may_read(marking, Author { key, team }, reader, self.takes_part(reader.team))
            }
            _ => true,
        };
        is_marked_for && self.is_read_by(reader)
    }

    /// Whether a family belongs to it.
    pub fn has_family(&self, family: FamilyId) -> bool {
        self.families.iter().any(|attached| attached.family == family)
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for IncidentId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<IncidentId, IdError> {
        parse_hex_id(text).map(IncidentId)
    }
}
