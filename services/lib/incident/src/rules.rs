use std::collections::BTreeSet;

use tocsin_casework::Team;
use tocsin_model::{Alert, KeyId, Milliseconds, Name, Timestamp};
use tocsin_protocol::{Protocol, Step};

use crate::command::{By, Command, Declaration, Refusal};
use crate::event::Event;
use crate::incident::{Incident, Phase};
use crate::marking::{Author, Marking, Reader, Tlp, may_read};
use crate::pack::{PACK_HASHES_MAX, PACKS_MAX};
use crate::parts::{NumberedRule, Origin, RingRule, Task};

/// The longest title, in bytes.
pub const TITLE_BYTES_MAX: usize = 256;
/// The longest reason, message or reference, in bytes.
pub const REASON_BYTES_MAX: usize = 2_048;
/// The longest note, in bytes.
pub const NOTE_BYTES_MAX: usize = 8_192;
/// The most families of an incident.
pub const FAMILIES_MAX: usize = 64;
/// The most rules of an incident at a time.
pub const RULES_MAX: usize = 16;
/// The most teams that were ever invited to an incident.
pub const PARTICIPANTS_MAX: usize = 64;
/// The most tasks of an incident that people give; steps of the protocol come on top.
pub const TASKS_MAX: usize = 256;
/// The most notes of an incident.
pub const NOTES_MAX: u32 = 4_096;
/// A participant is reminded so long after the last invitation or reminder at the earliest.
pub const REMIND_AFTER: Milliseconds = Milliseconds::from_minutes(5);

const DUE_AFTER_MAX: Milliseconds = Milliseconds::from_hours(90 * 24);
const REASONS_MAX: usize = 4;

pub(crate) fn declare(by: &By, declaration: &Declaration) -> Result<Event, Refusal> {
    if by.team != Team::Coordinators {
        return Err(Refusal::CoordinatorsOnly);
    }
    let title = &declaration.title;
    let is_title = (1..=TITLE_BYTES_MAX).contains(&title.len()) && !title.chars().any(char::is_control);
    if !is_title || title.trim().is_empty() {
        return Err(Refusal::TitleMalformed);
    }
    if let Origin::Notice { reference } = &declaration.origin {
        check_reason(reference)?;
    }
    check_incident_marking(by, &declaration.marking)?;
    Ok(Event::Declared {
        title: title.clone(),
        origin: declaration.origin.clone(),
        protocol: declaration.protocol.clone(),
        marking: declaration.marking.clone(),
    })
}

impl Incident {
    /// What a command makes of the incident: the event that [`Incident::take`] takes. `protocol` is that of the incident.
    ///
    /// # Errors
    /// A [`Refusal`]; whoever may not read the incident learns only that there is none.
    pub fn decide(&self, protocol: &Protocol, by: &By, command: &Command, now: Timestamp) -> Result<Event, Refusal> {
        if !self.is_read_by(&by.reader()) {
            return Err(Refusal::NoSuchIncident);
        }
        let is_participants = matches!(
            command,
            Command::Acknowledge
                | Command::Leave { .. }
                | Command::FinishTask { .. }
                | Command::FinishPart { .. }
                | Command::Note { .. }
        );
        if !is_participants && by.team != Team::Coordinators {
            return Err(Refusal::CoordinatorsOnly);
        }
        if !self.takes_part(Some(by.team)) {
            return Err(Refusal::NotTakingPart);
        }
        if by.version.is_some_and(|version| version != self.version) {
            return Err(Refusal::VersionStale);
        }
        match command {
            Command::Attach { family } => {
                self.check_open()?;
                self.attachable()?;
                match self.has_family(*family) {
                    true => Err(Refusal::FamilyAttached),
                    false => Ok(Event::Attached {
                        family: *family,
                        rule: None,
                    }),
                }
            }
            Command::Detach { family, reason } => {
                self.check_open()?;
                if !self.has_family(*family) {
                    return Err(Refusal::FamilyNotAttached);
                }
                Ok(Event::Detached {
                    family: *family,
                    reason: check_reason(reason)?,
                })
            }
            Command::AddRule(rule) => self.add_rule(rule),
            Command::RemoveRule { number, reason } => {
                if !self.rules.iter().any(|rule| rule.number == *number) {
                    return Err(Refusal::NoSuchRule);
                }
                Ok(Event::RuleRemoved {
                    number: *number,
                    reason: check_reason(reason)?,
                })
            }
            Command::Answer {
                question,
                answer,
                reason,
            } => {
                self.check_open()?;
                if !protocol.questions.iter().any(|known| known.name == *question) {
                    return Err(Refusal::NoSuchQuestion);
                }
                Ok(Event::Answered {
                    question: question.clone(),
                    answer: *answer,
                    reason: check_reason(reason)?,
                })
            }
            Command::Activate { .. }
            | Command::ChangeLevel { .. }
            | Command::Conclude { .. }
            | Command::Reopen { .. } => self.decide_phase(protocol, command, now),
            Command::Invite {
                team,
                groups,
                class,
                message,
            } => self.invite(protocol, (*team, groups, class), message),
            Command::Remind { team, message } => self.remind(*team, message, now),
            Command::AddTask { does, owner, due } => self.add_task(does, *owner, *due, now),
            Command::Mark { marking, reason } => {
                check_incident_marking(by, marking)?;
                Ok(Event::Marked {
                    marking: marking.clone(),
                    reason: check_reason(reason)?,
                })
            }
            Command::MakePack { hashes } => match *hashes {
                0 => Err(Refusal::PackEmpty),
                hashes if hashes > PACK_HASHES_MAX => Err(Refusal::PackTooLarge),
                _ if self.packs.len() >= PACKS_MAX => Err(Refusal::TooManyPacks),
                hashes => Ok(Event::PackMade {
                    number: self.packs.len() as u32 + 1,
                    hashes,
                }),
            },
            Command::WithdrawPack { number, reason } => {
                let pack = self.packs.iter().find(|pack| pack.number == *number);
                match pack.ok_or(Refusal::NoSuchPack)?.withdrawn_at {
                    Some(_) => Err(Refusal::PackWithdrawn),
                    None => Ok(Event::PackWithdrawn {
                        number: *number,
                        reason: check_reason(reason)?,
                    }),
                }
            }
            Command::Acknowledge => match self.participant(by.team) {
                None => Err(Refusal::NotInvited),
                Some(participant) if participant.acknowledged_at.is_some() => Err(Refusal::AcknowledgedAlready),
                Some(_) => Ok(Event::Acknowledged),
            },
            Command::Leave { reason } => match self.participant(by.team) {
                None => Err(Refusal::NotInvited),
                Some(_) => Ok(Event::Left {
                    reason: check_reason(reason)?,
                }),
            },
            Command::FinishTask { number, note } => {
                let task = self.task(*number)?;
                if by.team != Team::Coordinators && by.team != task.owner {
                    return Err(Refusal::NotYourTask);
                }
                let (number, note) = (*number, check_text(note)?);
                match task.done {
                    Some(_) => Err(Refusal::TaskDone),
                    None => Ok(Event::TaskDone { number, note }),
                }
            }
            Command::FinishPart { number, note } => {
                let task = self.task(*number)?;
                let class = self.participant(by.team).map(|participant| &participant.class);
                if !class.is_some_and(|class| task.with.contains(class)) {
                    return Err(Refusal::NotYourTask);
                }
                let (number, note) = (*number, check_text(note)?);
                match task.parts.iter().any(|part| part.team == by.team) {
                    true => Err(Refusal::TaskDone),
                    false => Ok(Event::PartDone { number, note }),
                }
            }
            Command::Note { text, marking } => {
                if self.notes >= NOTES_MAX {
                    return Err(Refusal::TooManyNotes);
                }
                if text.trim().is_empty() || text.len() > NOTE_BYTES_MAX || text.contains('\0') {
                    return Err(Refusal::NoteTextMalformed);
                }
                check_marking(by, marking)?;
                Ok(Event::Noted {
                    text: text.clone(),
                    marking: marking.clone(),
                })
            }
        }
    }

    /// What an alert makes of the incident by its rules: the first that takes it attaches the family. `None`: nothing.
    pub fn ring(&self, alert: &Alert) -> Option<Event> {
        if self.phase() == Phase::Concluded || self.attachable().is_err() || self.has_family(alert.family) {
            return None;
        }
        let takes = self.rules.iter().find(|rule| rule.rule.takes(alert))?;
        Some(Event::Attached {
            family: alert.family,
            rule: Some(takes.number),
        })
    }

    fn decide_phase(&self, protocol: &Protocol, command: &Command, now: Timestamp) -> Result<Event, Refusal> {
        let find = |name: &str| {
            let place = protocol.levels.iter().position(|level| level.name == name);
            place.map(|place| place as u32).ok_or(Refusal::NoSuchLevel)
        };
        let steps = |level: u32| match self.levels_reached.contains(&level) {
            true => Vec::new(),
            false => self.tasks_of(&protocol.levels[level as usize].steps, now),
        };
        match (command, self.phase()) {
            (Command::Reopen { reason }, Phase::Concluded) => Ok(Event::Reopened {
                reason: check_reason(reason)?,
            }),
            (Command::Reopen { .. }, _) => Err(Refusal::NotConcluded),
            (_, Phase::Concluded) => Err(Refusal::Concluded),
            (Command::Activate { .. }, Phase::Active) => Err(Refusal::ActiveAlready),
            (Command::ChangeLevel { .. }, Phase::Declared) => Err(Refusal::NotActive),
            (Command::Activate { level, reason, shown }, Phase::Declared) => {
                let number = find(level)?;
                Ok(Event::Activated {
                    level: number,
                    name: level.clone(),
                    reason: check_reason(reason)?,
                    shown: shown.clone(),
                    tasks: steps(number),
                })
            }
            (Command::ChangeLevel { level, reason, shown }, Phase::Active) => {
                let (number, from) = (find(level)?, self.level.unwrap_or_default());
                if number == from {
                    return Err(Refusal::SameLevel);
                }
                Ok(Event::LevelChanged {
                    from,
                    level: number,
                    name: level.clone(),
                    reason: check_reason(reason)?,
                    shown: shown.clone(),
                    tasks: steps(number),
                })
            }
            // One that was never activated may be concluded: it was none.
            (Command::Conclude { reason, shown }, _) => Ok(Event::Concluded {
                reason: check_reason(reason)?,
                shown: shown.clone(),
                tasks: match self.was_concluded || self.level.is_none() {
                    true => Vec::new(),
                    false => self.tasks_of(&protocol.conclusion.steps, now),
                },
            }),
            _ => unreachable!("only commands about phases come here"),
        }
    }

    /// The steps of a level as tasks. A protocol has a limited number of them, and each level gives them once.
    fn tasks_of(&self, steps: &[Step], now: Timestamp) -> Vec<Task> {
        let first = self.next_task();
        let task = |(number, step): (u32, &Step)| Task {
            number,
            does: step.does.clone(),
            owner: Team::Coordinators,
            role: Some(step.by.clone()),
            with: step.with.clone(),
            given_at: now,
            due: now + step.due,
            done: None,
            parts: Vec::new(),
        };
        (first..).zip(steps).map(task).collect()
    }

    fn next_task(&self) -> u32 {
        self.tasks.last().map_or(1, |task| task.number + 1)
    }

    fn task(&self, number: u32) -> Result<&Task, Refusal> {
        self.tasks
            .iter()
            .find(|task| task.number == number)
            .ok_or(Refusal::NoSuchTask)
    }

    fn check_open(&self) -> Result<(), Refusal> {
        match self.phase() {
            Phase::Concluded => Err(Refusal::Concluded),
            Phase::Declared | Phase::Active => Ok(()),
        }
    }

    fn attachable(&self) -> Result<(), Refusal> {
        match self.families.len() < FAMILIES_MAX {
            true => Ok(()),
            false => Err(Refusal::TooManyFamilies),
        }
    }

    fn add_rule(&self, rule: &RingRule) -> Result<Event, Refusal> {
        self.check_open()?;
        if self.rules.len() >= RULES_MAX {
            return Err(Refusal::TooManyRules);
        }
        let different: BTreeSet<_> = rule.reasons.iter().collect();
        if different.len() != rule.reasons.len() || !(1..=REASONS_MAX).contains(&rule.reasons.len()) {
            return Err(Refusal::RuleMalformed);
        }
        Ok(Event::RuleAdded(NumberedRule {
            number: self.rules_ever + 1,
            rule: rule.clone(),
        }))
    }

    fn invite(
        &self,
        protocol: &Protocol,
        (team, groups, class): (Team, &BTreeSet<Name>, &str),
        message: &str,
    ) -> Result<Event, Refusal> {
        if team == Team::Coordinators {
            return Err(Refusal::NotAParty);
        }
        if !protocol.classes.iter().any(|known| known.name == class) {
            return Err(Refusal::NoSuchClass);
        }
        let known = self.participant(team);
        if known.is_some_and(crate::Participant::takes_part) {
            return Err(Refusal::InvitedAlready);
        }
        if known.is_none() && self.participants.len() >= PARTICIPANTS_MAX {
            return Err(Refusal::TooManyParticipants);
        }
        let author = Author {
            key: self.declared_by,
            team: Team::Coordinators,
        };
        // Any key of that team but the one that declared, which is none of it.
        let reader = Reader {
            key: KeyId(!self.declared_by.0),
            team: Some(team),
            groups: groups.clone(),
        };
        if !may_read(&self.marking, author, &reader, true) {
            return Err(Refusal::NotAdmitted);
        }
        Ok(Event::Invited {
            team,
            class: class.to_owned(),
            message: check_text(message)?,
        })
    }

    fn remind(&self, team: Team, message: &str, now: Timestamp) -> Result<Event, Refusal> {
        let participant = self.participant(team).filter(|participant| participant.takes_part());
        let participant = participant.ok_or(Refusal::NotInvited)?;
        let told_at = participant.reminded_at.unwrap_or(participant.invited_at);
        if now < told_at + REMIND_AFTER {
            return Err(Refusal::RemindedJustNow);
        }
        let message = check_text(message)?;
        Ok(Event::Reminded { team, message })
    }

    fn add_task(&self, does: &str, owner: Team, due: Timestamp, now: Timestamp) -> Result<Event, Refusal> {
        let given = self.tasks.iter().filter(|task| task.role.is_none()).count();
        if given >= TASKS_MAX {
            return Err(Refusal::TooManyTasks);
        }
        if !self.takes_part(Some(owner)) {
            return Err(Refusal::NotInvited);
        }
        if due <= now || due > now + DUE_AFTER_MAX {
            return Err(Refusal::TaskDue);
        }
        Ok(Event::TaskAdded(Task {
            number: self.next_task(),
            does: check_reason(does)?,
            owner,
            role: None,
            with: Vec::new(),
            given_at: now,
            due,
            done: None,
            parts: Vec::new(),
        }))
    }
}

fn check_reason(reason: &str) -> Result<String, Refusal> {
    match reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX || reason.contains('\0') {
        true => Err(Refusal::ReasonMalformed),
        false => Ok(reason.to_owned()),
    }
}

fn check_text(text: &str) -> Result<String, Refusal> {
    match text.len() > REASON_BYTES_MAX || text.contains('\0') {
        true => Err(Refusal::TextMalformed),
        false => Ok(text.to_owned()),
    }
}

/// A group is named only by who is in it: nobody finds out by trying which there are.
fn check_marking(by: &By, marking: &Marking) -> Result<(), Refusal> {
    match &marking.group {
        _ if !marking.is_well_formed() => Err(Refusal::MarkingMalformed),
        Some(group) if !by.groups.contains(group) => Err(Refusal::NoSuchGroup),
        _ => Ok(()),
    }
}

/// An incident goes to organisations: red, which goes to people, is for notes.
fn check_incident_marking(by: &By, marking: &Marking) -> Result<(), Refusal> {
    match marking.tlp {
        Tlp::Red => Err(Refusal::MarkingMalformed),
        _ => check_marking(by, marking),
    }
}
