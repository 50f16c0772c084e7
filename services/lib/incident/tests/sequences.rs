//! Goal: whatever is commanded in whatever order by whomever, an incident goes only the ways that a small model knows, only those who may change it
//! do, what was given once is not given again, its events alone make it again, and who may not read it learns nothing.
//!
//! The model knows nothing of how the rules work. `TOCSIN_SEQUENCES` sets how many sequences are played (default 400).
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tocsin_casework::Team;
use tocsin_incident::{
    By, Command, Declaration, Event, Incident, IncidentId, Marking, Origin, Phase, ProtocolVersion, REMIND_AFTER,
    Refusal, Tlp,
};
use tocsin_model::{ContentId, FamilyId, KeyId, Name, PartyId, Timestamp};
use tocsin_protocol::{Protocol, shipped};

const START: Timestamp = Timestamp(1_800_000_000_000);

fn protocol() -> Protocol {
    shipped("crisis").unwrap().unwrap()
}

fn team(number: u16) -> Team {
    match number {
        0 => Team::Coordinators,
        party => Team::Party(PartyId(party)),
    }
}

fn group() -> Name {
    "inner".parse().unwrap()
}

/// Party 1 is in the group.
fn groups(number: u16) -> BTreeSet<Name> {
    (number <= 1).then(group).into_iter().collect()
}

fn marking() -> impl Strategy<Value = Marking> {
    prop_oneof![
        1 => Just(Marking::of(Tlp::Clear)),
        1 => Just(Marking::of(Tlp::Green)),
        4 => Just(Marking::of(Tlp::Amber)),
        1 => Just(Marking { group: Some(group()), ..Marking::of(Tlp::AmberStrict) }),
        1 => Just(Marking { recipients: [KeyId(2)].into(), ..Marking::of(Tlp::Red) }),
        1 => Just(Marking::of(Tlp::Red)),
    ]
}

fn commands() -> impl Strategy<Value = Command> {
    let reason = prop_oneof![9 => Just("why".to_owned()), 1 => Just(" ".to_owned()), 1 => Just("a\0b".to_owned())];
    let level = prop_oneof![Just("awareness"), Just("response"), Just("persistent"), Just("none")];
    let family = (1..4u128).prop_map(|id| FamilyId(ContentId(id)));
    let party = (0..4u16).prop_map(|number| (team(number), groups(number)));
    let question = prop_oneof![Just("is_reporting"), Just("no_question")];
    prop_oneof![
        2 => family.clone().prop_map(|family| Command::Attach { family }),
        1 => (family, reason.clone()).prop_map(|(family, reason)| Command::Detach { family, reason }),
        1 => (question, any::<Option<bool>>(), reason.clone()).prop_map(|(question, answer, reason)| Command::Answer {
            question: question.to_owned(),
            answer,
            reason
        }),
        2 => (level.clone(), reason.clone()).prop_map(|(level, reason)| Command::Activate { level: level.to_owned(), reason, shown: None }),
        2 => (level, reason.clone()).prop_map(|(level, reason)| Command::ChangeLevel { level: level.to_owned(), reason, shown: None }),
        1 => reason.clone().prop_map(|reason| Command::Conclude { reason, shown: None }),
        1 => reason.clone().prop_map(|reason| Command::Reopen { reason }),
        3 => (party.clone(), prop_oneof![Just("platforms"), Just("no_class")]).prop_map(|((team, groups), class)| Command::Invite {
            team,
            groups,
            class: class.to_owned(),
            message: String::new()
        }),
        1 => party.clone().prop_map(|(team, _)| Command::Remind { team, message: String::new() }),
        1 => (party, -5..5i64).prop_map(|((owner, _), minutes)| Command::AddTask {
            does: "look".to_owned(),
            owner,
            due: Timestamp(START.0 + minutes * 60_000)
        }),
        1 => (marking(), reason.clone()).prop_map(|(marking, reason)| Command::Mark { marking, reason }),
        2 => Just(Command::Acknowledge),
        1 => reason.clone().prop_map(|reason| Command::Leave { reason }),
        2 => (0..12u32).prop_map(|number| Command::FinishTask { number, note: String::new() }),
        2 => (0..12u32).prop_map(|number| Command::FinishPart { number, note: String::new() }),
        2 => (reason, marking()).prop_map(|(text, marking)| Command::Note { text, marking }),
    ]
}

/// A command, the team that gives it, how much the version it shows is behind, and how many seconds went by before it.
type Told = (Command, u16, Option<u64>, i64);

fn told() -> impl Strategy<Value = Vec<Told>> {
    let who = prop_oneof![4 => Just(0u16), 3 => 1..4u16];
    let behind = prop_oneof![8 => Just(None), 1 => Just(Some(0u64)), 1 => Just(Some(1u64))];
    proptest::collection::vec((commands(), who, behind, 0..200i64), 0..80)
}

/// What must be true of the incident.
#[derive(Debug)]
struct Model {
    phase: Phase,
    level: Option<u32>,
    families: BTreeSet<FamilyId>,
    /// Whether each team that was ever invited takes part, whether it acknowledged, and when it was last told.
    parties: BTreeMap<Team, (bool, bool, Timestamp)>,
    notes: u32,
    version: u64,
    tlp: Tlp,
}

impl Model {
    fn takes_part(&self, team: Team) -> bool {
        team == Team::Coordinators || self.parties.get(&team).is_some_and(|(takes_part, ..)| *takes_part)
    }

    /// Whether this may happen now.
    fn allows(&self, event: &Event, by: &By, now: Timestamp) -> bool {
        let is_open = self.phase != Phase::Concluded;
        match event {
            Event::Attached { family, .. } => is_open && !self.families.contains(family),
            Event::Detached { family, .. } => is_open && self.families.contains(family),
            Event::Answered { .. } => is_open,
            Event::Activated { .. } => self.phase == Phase::Declared,
            Event::LevelChanged { from, level, .. } => {
                self.phase == Phase::Active && self.level == Some(*from) && from != level
            }
            Event::Concluded { .. } => is_open,
            Event::Reopened { .. } => !is_open,
            Event::Invited { team, .. } => *team != Team::Coordinators && !self.takes_part(*team),
            Event::Reminded { team, .. } => {
                self.takes_part(*team)
                    && self
                        .parties
                        .get(team)
                        .is_some_and(|(.., told)| now >= *told + REMIND_AFTER)
            }
            Event::Acknowledged => self
                .parties
                .get(&by.team)
                .is_some_and(|(part, said, _)| *part && !*said),
            Event::Left { .. } => by.team != Team::Coordinators,
            Event::Marked { marking, .. } => marking.tlp != Tlp::Red,
            Event::Declared { .. } => false,
            _ => true,
        }
    }

    fn take(&mut self, event: &Event, by: &By, now: Timestamp) {
        self.version += u64::from(!matches!(event, Event::Noted { .. }));
        match event {
            Event::Attached { family, .. } => drop(self.families.insert(*family)),
            Event::Detached { family, .. } => drop(self.families.remove(family)),
            Event::Activated { level, .. } | Event::LevelChanged { level, .. } => {
                (self.phase, self.level) = (Phase::Active, Some(*level));
            }
            Event::Concluded { .. } => self.phase = Phase::Concluded,
            Event::Reopened { .. } => {
                self.phase = self.level.map_or(Phase::Declared, |_| Phase::Active);
            }
            Event::Invited { team, .. } => drop(self.parties.insert(*team, (true, false, now))),
            Event::Reminded { team, .. } => self.parties.get_mut(team).unwrap().2 = now,
            Event::Acknowledged => self.parties.get_mut(&by.team).unwrap().1 = true,
            Event::Left { .. } => self.parties.get_mut(&by.team).unwrap().0 = false,
            Event::Noted { .. } => self.notes += 1,
            Event::Marked { marking, .. } => self.tlp = marking.tlp,
            _ => {}
        }
    }
}

fn coordinator(version: Option<u64>) -> By {
    By {
        who: KeyId(100),
        team: Team::Coordinators,
        groups: groups(0),
        version,
    }
}

fn play(steps: &[Told]) {
    let protocol = protocol();
    let declaration = Declaration {
        title: "An attack".to_owned(),
        origin: Origin::Hand,
        protocol: ProtocolVersion {
            name: protocol.name.clone(),
            version: protocol.version,
        },
        marking: Marking::of(Tlp::Amber),
    };
    let id = IncidentId(7);
    let (mut incident, declared) = Incident::declare(id, &coordinator(None), &declaration, START).unwrap();
    let mut again = Incident::declared(id, KeyId(100), &declared, START).unwrap();
    let mut model = Model {
        phase: Phase::Declared,
        level: None,
        families: BTreeSet::new(),
        parties: BTreeMap::new(),
        notes: 0,
        version: 1,
        tlp: Tlp::Amber,
    };
    let mut now = START;
    for (command, number, behind, seconds) in steps {
        now = Timestamp(now.0 + seconds * 1_000);
        let by = By {
            who: KeyId(100 + u128::from(*number)),
            team: team(*number),
            groups: groups(*number),
            version: behind.map(|behind| incident.version - behind.min(incident.version)),
        };
        let reads = incident.is_read_by(&by.reader());
        if model.tlp == Tlp::Amber && incident.marking.group.is_none() {
            assert_eq!(reads, model.takes_part(by.team), "amber goes to those who take part");
        }
        let event = match incident.decide(&protocol, &by, command, now) {
            Err(refusal) => {
                assert!(reads || refusal == Refusal::NoSuchIncident, "{refusal} tells of it");
                continue;
            }
            Ok(event) => event,
        };
        assert!(reads && model.takes_part(by.team), "{event:?}");
        assert!(
            by.version.is_none_or(|version| version == model.version),
            "a stale {event:?}"
        );
        let by_participants = matches!(
            event,
            Event::Acknowledged
                | Event::Left { .. }
                | Event::TaskDone { .. }
                | Event::PartDone { .. }
                | Event::Noted { .. }
        );
        assert!(by_participants || by.team == Team::Coordinators, "{event:?}");
        assert!(model.allows(&event, &by, now), "{model:?} does not allow {event:?}");
        model.take(&event, &by, now);
        incident.take(&event, Some((by.who, by.team)), now);

        let stored = serde_json::to_string(&event).unwrap();
        let read: Event = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, event, "{stored}");
        assert!(stored.contains(&format!("\"kind\":\"{}\"", event.name())), "{stored}");
        again.take(&read, Some((by.who, by.team)), now);
        assert_eq!(again, incident);
        check(&incident, &model, &protocol);
    }
    let stored = serde_json::to_string(&incident).unwrap();
    assert_eq!(serde_json::from_str::<Incident>(&stored).unwrap(), incident);
}

fn check(incident: &Incident, model: &Model, protocol: &Protocol) {
    assert_eq!((incident.phase(), incident.level), (model.phase, model.level));
    assert_eq!((incident.version, incident.notes), (model.version, model.notes));
    let families: BTreeSet<FamilyId> = incident.families.iter().map(|attached| attached.family).collect();
    assert_eq!((families.len(), &families), (incident.families.len(), &model.families));
    for (team, (takes_part, acknowledged, _)) in &model.parties {
        let participant = incident.participant(*team).unwrap();
        let said = participant.acknowledged_at.is_some();
        assert_eq!((participant.takes_part(), said), (*takes_part, *acknowledged));
    }
    let numbers: Vec<u32> = incident.tasks.iter().map(|task| task.number).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u32), "{numbers:?}");
    // Every step of a level that was reached is a task exactly once.
    let all = protocol.levels.iter().enumerate();
    let reached = all.filter(|(level, _)| incident.levels_reached.contains(&(*level as u32)));
    let mut steps = reached.map(|(_, level)| level.steps.len()).sum::<usize>();
    steps += if incident
        .tasks
        .iter()
        .any(|task| task.does == protocol.conclusion.steps[0].does)
    {
        protocol.conclusion.steps.len()
    } else {
        0
    };
    let given = incident.tasks.iter().filter(|task| task.role.is_some()).count();
    assert_eq!(given, steps);
    assert!(incident.answers.len() <= protocol.questions.len());
}

#[test]
fn every_order_of_commands_keeps_to_the_model() {
    let cases = std::env::var("TOCSIN_SEQUENCES")
        .ok()
        .and_then(|text| text.parse().ok());
    let config = Config {
        cases: cases.unwrap_or(400),
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&told(), |steps| {
            play(&steps);
            Ok(())
        })
        .unwrap();
}
