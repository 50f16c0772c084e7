//! Goal: a debrief says how long each step took each of those it concerned, what was reversed, and what stayed open, from what a reader may read.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use tocsin_casework::Team;
use tocsin_incident::debrief::{Debrief, Entry, Open, Step};
use tocsin_incident::{By, Command, Incident, IncidentId, Shown};
use tocsin_model::{ContentId, FamilyId, KeyId, Milliseconds, PartyId, Timestamp};
use tocsin_protocol::{Protocol, Truth, shipped};

mod example;

const START: Timestamp = Timestamp(1_800_000_000_000);
const NORTH: Team = Team::Party(PartyId(1));
const SOUTH: Team = Team::Party(PartyId(2));

struct Played {
    protocol: Protocol,
    incident: Incident,
    entries: Vec<Entry>,
}

impl Played {
    fn new() -> Played {
        let by = by(Team::Coordinators);
        let (incident, event) = Incident::declare(IncidentId(1), &by, &example::declaration(), START).unwrap();
        let first = Entry {
            id: 0,
            at: START,
            team: Some(Team::Coordinators),
            event,
        };
        Played {
            protocol: shipped("crisis").unwrap().unwrap(),
            incident,
            entries: vec![first],
        }
    }

    /// Carries out a command so many seconds after the start.
    fn at(&mut self, seconds: i64, team: Team, command: Command) {
        let at = Timestamp(START.0 + seconds * 1_000);
        let by = by(team);
        let event = self.incident.decide(&self.protocol, &by, &command, at).unwrap();
        self.incident.take(&event, Some((by.who, team)), at);
        self.entries.push(Entry {
            id: self.entries.len() as u128,
            at,
            team: Some(team),
            event,
        });
    }

    fn debrief(&self) -> Debrief {
        Debrief::of(&self.incident, &self.protocol, &self.entries)
    }
}

fn by(team: Team) -> By {
    By {
        who: KeyId(team.to_number() as u128),
        team,
        groups: BTreeSet::new(),
        version: None,
    }
}

fn invite(team: Team) -> Command {
    Command::Invite {
        team,
        groups: BTreeSet::new(),
        class: "platforms".to_owned(),
        message: String::new(),
    }
}

fn why() -> String {
    "why".to_owned()
}

fn answer(question: &str, answer: Option<bool>) -> Command {
    Command::Answer {
        question: question.to_owned(),
        answer,
        reason: why(),
    }
}

#[test]
fn steps_are_timed_for_each_of_those_they_concern() {
    let mut played = Played::new();
    played.at(10, Team::Coordinators, invite(NORTH));
    let shown = Some(Shown {
        result: Truth::Unknown,
        as_of: None,
        met: Vec::new(),
        figures: Vec::new(),
    });
    let activate = Command::Activate {
        level: "awareness".to_owned(),
        reason: why(),
        shown,
    };
    played.at(60, Team::Coordinators, activate);
    played.at(70, NORTH, Command::Acknowledge);
    // South comes later: its part is timed from its invitation on.
    played.at(100, Team::Coordinators, invite(SOUTH));
    let part = || Command::FinishPart {
        number: 1,
        note: String::new(),
    };
    played.at(160, NORTH, part());
    played.at(400, SOUTH, part());
    let finish = Command::FinishTask {
        number: 1,
        note: String::new(),
    };
    played.at(500, Team::Coordinators, finish);
    let debrief = played.debrief();
    let told = debrief.delays.iter().map(|delay| {
        let step = match &delay.step {
            Step::Activation => "activation",
            Step::Acknowledgement => "acknowledgement",
            Step::Task { .. } => "task",
            Step::Part { .. } => "part",
        };
        let seconds = |length: Milliseconds| length.0 / 1_000;
        (
            step,
            delay.team,
            delay.took.map(|(_, took)| seconds(took)),
            delay.due.map(seconds),
        )
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("activation", Team::Coordinators, Some(60), None),
            ("acknowledgement", NORTH, Some(60), None),
            ("task", Team::Coordinators, Some(440), Some(900)),
            ("part", NORTH, Some(100), Some(900)),
            ("task", Team::Coordinators, None, Some(900)),
            ("acknowledgement", SOUTH, None, None),
            ("part", SOUTH, Some(300), Some(860)),
        ]
    );
    let kinds: Vec<_> = debrief
        .course
        .iter()
        .map(|turn| (turn.kind, turn.level.as_deref()))
        .collect();
    assert_eq!(kinds, [("declared", None), ("activated", Some("awareness"))]);
    // People activated what criteria left open.
    assert!(matches!(
        debrief.open[0],
        Open::AgainstCriteria {
            kind: "activated",
            result: Truth::Unknown,
            ..
        }
    ));
    assert!(debrief.open.contains(&Open::Invitation { team: SOUTH }));
    let questions = debrief.open.iter().filter(|open| matches!(open, Open::Question { .. }));
    assert_eq!(questions.count(), played.protocol.questions.len());
}

#[test]
fn what_was_reversed_is_told_and_nothing_else() {
    let mut played = Played::new();
    let family = FamilyId(ContentId(9));
    let level = |level: &str| Command::ChangeLevel {
        level: level.to_owned(),
        reason: why(),
        shown: None,
    };
    let commands = [
        Command::Attach { family },
        answer("is_reporting", Some(false)),
        // The same again reverses nothing.
        answer("is_reporting", Some(false)),
        answer("is_reporting", Some(true)),
        answer("is_reporting", None),
        answer("is_reporting", Some(true)),
        Command::Activate {
            level: "awareness".to_owned(),
            reason: why(),
            shown: None,
        },
        level("response"),
        level("awareness"),
        Command::Detach { family, reason: why() },
        Command::MakePack { hashes: 1 },
        Command::WithdrawPack {
            number: 1,
            reason: why(),
        },
        Command::Conclude {
            reason: why(),
            shown: None,
        },
        Command::Reopen { reason: why() },
    ];
    for (second, command) in commands.into_iter().enumerate() {
        played.at(second as i64, Team::Coordinators, command);
    }
    let debrief = played.debrief();
    let told: Vec<_> = debrief
        .overturned
        .iter()
        .map(|of| (of.kind, of.about.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("answered", "is_reporting"),
            ("answered", "is_reporting"),
            ("level_changed", "response"),
            ("detached", "00000000000000000000000000000009"),
            ("pack_withdrawn", "1"),
            ("reopened", "conclusion"),
        ]
    );
    assert_eq!(debrief.course.last().unwrap().level.as_deref(), Some("awareness"));
}
