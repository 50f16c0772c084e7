//! What is learned from an incident afterwards: its course, how long each step took each of those who took part, what was overturned, and what stayed
//! open.

use std::collections::BTreeMap;

use tocsin_casework::Team;
use tocsin_model::{Milliseconds, Timestamp};
use tocsin_protocol::{Protocol, Truth};

use crate::event::{Event, Shown};
use crate::incident::Incident;
use crate::parts::Task;

/// An entry of a timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its identity.
    pub id: u128,
    /// When.
    pub at: Timestamp,
    /// For whom whoever did it speaks; `None`: a rule.
    pub team: Option<Team>,
    /// What.
    pub event: Event,
}

/// What is learned from an incident.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Debrief {
    /// How far it came when, in order.
    pub course: Vec<Turn>,
    /// How long each step took, in the order in which they began.
    pub delays: Vec<Delay>,
    /// What was taken back or reversed, in order.
    pub overturned: Vec<Overturned>,
    /// What was not answered, done or acknowledged.
    pub open: Vec<Open>,
}

/// A turn in the course of an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// The entry.
    pub entry: u128,
    /// When.
    pub at: Timestamp,
    /// `declared`, `activated`, `level_changed`, `concluded` or `reopened`.
    pub kind: &'static str,
    /// The level that held from then on.
    pub level: Option<String>,
    /// Why.
    pub reason: String,
    /// What criteria said then.
    pub shown: Option<Shown>,
}

/// How long something took: from one entry of the timeline to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Delay {
    /// What.
    pub step: Step,
    /// Who did it, or was to.
    pub team: Team,
    /// The entry from which it is counted.
    pub from: u128,
    /// When that was.
    pub begun_at: Timestamp,
    /// The entry up to which, and how long it was; `None`: it was not done.
    pub took: Option<(u128, Milliseconds)>,
    /// Within which time it was due; `None`: no time was set.
    pub due: Option<Milliseconds>,
}

/// What is timed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// From the declaration to the first activation.
    Activation,
    /// From an invitation to its acknowledgement.
    Acknowledgement,
    /// From when a task was given to when it was done.
    Task {
        /// Its number.
        number: u32,
        /// What.
        does: String,
    },
    /// The same of a participant's part.
    Part {
        /// The number of the task.
        number: u32,
        /// What.
        does: String,
    },
}

/// Something that was taken back or reversed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overturned {
    /// The entry that did it.
    pub entry: u128,
    /// When.
    pub at: Timestamp,
    /// `detached`, `answered`, `level_changed`, `reopened` or `pack_withdrawn`.
    pub kind: &'static str,
    /// What it is about: the family, the question, the level before or the pack.
    pub about: String,
    /// Why.
    pub reason: String,
}

/// Something that stayed open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Open {
    /// A question of the protocol was not answered.
    Question {
        /// Its name.
        name: String,
        /// In words.
        says: String,
    },
    /// A task was not done.
    Task {
        /// Its number.
        number: u32,
        /// What.
        does: String,
        /// Whose it is.
        owner: Team,
    },
    /// A participant did not say that its part is done.
    Part {
        /// The number of the task.
        number: u32,
        /// What.
        does: String,
        /// Who.
        team: Team,
    },
    /// An invitation was not acknowledged.
    Invitation {
        /// Whose.
        team: Team,
    },
    /// A level was activated, or the end said, although criteria did not say so.
    AgainstCriteria {
        /// The entry.
        entry: u128,
        /// `activated`, `level_changed` or `concluded`.
        kind: &'static str,
        /// What criteria said.
        result: Truth,
    },
}

impl Debrief {
    /// What is learned from an incident and the entries of its timeline that a reader may read, in order.
    pub fn of(incident: &Incident, protocol: &Protocol, entries: &[Entry]) -> Debrief {
        let mut debrief = Debrief::default();
        let mut answers: BTreeMap<&str, bool> = BTreeMap::new();
        for entry in entries {
            debrief.turn(entry);
            debrief.time(incident, entry);
            debrief.overturn(entry, protocol, &mut answers);
        }
        debrief.leave_open(incident, protocol);
        debrief
    }

    fn turn(&mut self, entry: &Entry) {
        let (level, reason, shown) = match &entry.event {
            Event::Declared { title, .. } => (None, title, None),
            Event::Activated {
                name, reason, shown, ..
            }
            | Event::LevelChanged {
                name, reason, shown, ..
            } => (Some(name.clone()), reason, shown.clone()),
            Event::Concluded { reason, shown, .. } => (self.level(), reason, shown.clone()),
            Event::Reopened { reason } => (self.level(), reason, None),
            _ => return,
        };
        let kind = entry.event.name();
        if let Some(shown) = shown.as_ref().filter(|shown| shown.result != Truth::Met) {
            self.open.push(Open::AgainstCriteria {
                entry: entry.id,
                kind,
                result: shown.result,
            });
        }
        self.course.push(Turn {
            entry: entry.id,
            at: entry.at,
            kind,
            level,
            reason: reason.clone(),
            shown,
        });
    }

    fn level(&self) -> Option<String> {
        self.course.last().and_then(|turn| turn.level.clone())
    }

    /// Begins what an entry begins to time, and ends what it ends.
    fn time(&mut self, incident: &Incident, entry: &Entry) {
        match &entry.event {
            Event::Declared { .. } => self.begin(entry, Step::Activation, (Team::Coordinators, None)),
            Event::Invited { team, class, .. } => {
                self.begin(entry, Step::Acknowledgement, (*team, None));
                let given = incident.tasks.iter().filter(|task| self.is_given(task.number));
                let with = given.filter(|task| task.with.contains(class));
                for task in with.collect::<Vec<_>>() {
                    self.begin_part(entry, task, *team);
                }
            }
            Event::Acknowledged => {
                let team = entry.team;
                self.end(entry, |delay| {
                    delay.step == Step::Acknowledgement && Some(delay.team) == team
                });
            }
            Event::Activated { tasks, .. } | Event::LevelChanged { tasks, .. } | Event::Concluded { tasks, .. } => {
                if matches!(entry.event, Event::Activated { .. }) {
                    self.end(entry, |delay| delay.step == Step::Activation);
                }
                for task in tasks {
                    self.begin_task(incident, entry, task);
                }
            }
            Event::TaskAdded(task) => self.begin_task(incident, entry, task),
            Event::TaskDone { number, .. } => self.end(
                entry,
                |delay| matches!(&delay.step, Step::Task { number: of, .. } if of == number),
            ),
            Event::PartDone { number, .. } => {
                let team = entry.team;
                self.end(entry, |delay| {
                    let is_part = matches!(&delay.step, Step::Part { number: of, .. } if of == number);
                    is_part && Some(delay.team) == team
                });
            }
            _ => {}
        }
    }

    /// A task, and the parts of those who are invited by then; of others they begin with the invitation.
    fn begin_task(&mut self, incident: &Incident, entry: &Entry, task: &Task) {
        let (number, does) = (task.number, task.does.clone());
        self.begin(
            entry,
            Step::Task { number, does },
            (task.owner, Some(task.due - task.given_at)),
        );
        for participant in &incident.participants {
            let is_invited = |delay: &Delay| delay.step == Step::Acknowledgement && delay.team == participant.team;
            if task.with.contains(&participant.class) && self.delays.iter().any(is_invited) {
                self.begin_part(entry, task, participant.team);
            }
        }
    }

    /// Once for each party, also for one that left and was invited again.
    fn begin_part(&mut self, entry: &Entry, task: &Task, team: Team) {
        let number = task.number;
        let is_it =
            |delay: &Delay| delay.team == team && matches!(&delay.step, Step::Part { number: of, .. } if *of == number);
        if !self.delays.iter().any(is_it) {
            let due = Milliseconds((task.due.0 - entry.at.0).max(0));
            let does = task.does.clone();
            self.begin(entry, Step::Part { number, does }, (team, Some(due)));
        }
    }

    fn is_given(&self, task: u32) -> bool {
        let is_it = |delay: &Delay| matches!(&delay.step, Step::Task { number, .. } if *number == task);
        self.delays.iter().any(is_it)
    }

    fn begin(&mut self, entry: &Entry, step: Step, (team, due): (Team, Option<Milliseconds>)) {
        self.delays.push(Delay {
            step,
            team,
            from: entry.id,
            begun_at: entry.at,
            took: None,
            due,
        });
    }

    /// Times are those of the store's clock, which may have been set back: a delay is never less than nothing.
    fn end(&mut self, entry: &Entry, is_it: impl Fn(&Delay) -> bool) {
        let from = self
            .delays
            .iter()
            .rposition(|delay| delay.took.is_none() && is_it(delay));
        if let Some(delay) = from.map(|place| &mut self.delays[place]) {
            let took = entry.at.0.saturating_sub(delay.begun_at.0).max(0);
            delay.took = Some((entry.id, Milliseconds(took)));
        }
    }

    fn overturn<'a>(&mut self, entry: &'a Entry, protocol: &Protocol, answers: &mut BTreeMap<&'a str, bool>) {
        let (about, reason) = match &entry.event {
            Event::Detached { family, reason } => (family.to_string(), reason),
            Event::Answered {
                question,
                answer,
                reason,
            } => {
                let before = match answer {
                    Some(yes) => answers.insert(question, *yes),
                    None => answers.remove(question.as_str()),
                };
                // The same again reverses nothing, nor does a first answer.
                if before.is_none() || before == *answer {
                    return;
                }
                (question.clone(), reason)
            }
            Event::LevelChanged {
                from, level, reason, ..
            } if level < from => {
                let before = protocol.levels.get(*from as usize);
                (before.map(|level| level.name.clone()).unwrap_or_default(), reason)
            }
            Event::Reopened { reason } => ("conclusion".to_owned(), reason),
            Event::PackWithdrawn { number, reason } => (number.to_string(), reason),
            _ => return,
        };
        self.overturned.push(Overturned {
            entry: entry.id,
            at: entry.at,
            kind: entry.event.name(),
            about,
            reason: reason.clone(),
        });
    }

    fn leave_open(&mut self, incident: &Incident, protocol: &Protocol) {
        for question in &protocol.questions {
            if !incident.answers.iter().any(|answer| answer.question == question.name) {
                self.open.push(Open::Question {
                    name: question.name.clone(),
                    says: question.says.clone(),
                });
            }
        }
        for participant in &incident.participants {
            if participant.acknowledged_at.is_none() {
                self.open.push(Open::Invitation { team: participant.team });
            }
        }
        for task in &incident.tasks {
            let (number, does) = (task.number, || task.does.clone());
            if task.done.is_none() {
                let owner = task.owner;
                self.open.push(Open::Task {
                    number,
                    does: does(),
                    owner,
                });
            }
            for participant in &incident.participants {
                let is_done = task.parts.iter().any(|part| part.team == participant.team);
                if task.with.contains(&participant.class) && !is_done {
                    let team = participant.team;
                    self.open.push(Open::Part {
                        number,
                        does: does(),
                        team,
                    });
                }
            }
        }
    }
}
