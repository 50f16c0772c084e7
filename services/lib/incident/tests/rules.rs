//! Goal: each refusal is what its command meets, rules attach what they say and nothing else, and what a party may read ends when it leaves.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use tocsin_casework::Team;
use tocsin_incident::{
    By, Command, Declaration, Event, FAMILIES_MAX, Incident, IncidentId, Marking, NOTE_BYTES_MAX, Origin,
    PACK_HASHES_MAX, PACKS_MAX, PARTICIPANTS_MAX, RULES_MAX, Refusal, RingRule, TASKS_MAX, Tlp,
};
use tocsin_model::{
    Alert, AlertLevel, AlertReason, ContentId, FamilyId, KeyId, Name, PartyId, PlatformId, Scope, Timestamp,
};
use tocsin_protocol::{Protocol, shipped};

#[path = "../../model/tests/example/mod.rs"]
mod example;
#[path = "example/mod.rs"]
mod incidents;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const NORTH: Team = Team::Party(PartyId(1));
const SOUTH: Team = Team::Party(PartyId(2));

fn by(team: Team) -> By {
    By {
        who: KeyId(team.to_number() as u128),
        team,
        groups: BTreeSet::new(),
        version: None,
    }
}

fn protocol() -> Protocol {
    shipped("crisis").unwrap().unwrap()
}

fn declaration() -> Declaration {
    Declaration {
        origin: Origin::Notice {
            reference: "crisis centre 7".to_owned(),
        },
        ..incidents::declaration()
    }
}

fn declared() -> Incident {
    let declared = Incident::declare(IncidentId(1), &by(Team::Coordinators), &declaration(), NOW);
    declared.unwrap().0
}

/// Carries out a command that is not refused.
fn done(incident: &mut Incident, team: Team, command: Command) -> Event {
    let event = incident.decide(&protocol(), &by(team), &command, NOW).unwrap();
    incident.take(&event, Some((by(team).who, team)), NOW);
    event
}

fn refused(incident: &Incident, team: Team, command: &Command) -> Refusal {
    incident.decide(&protocol(), &by(team), command, NOW).unwrap_err()
}

fn invite(team: Team) -> Command {
    Command::Invite {
        team,
        groups: BTreeSet::new(),
        class: "platforms".to_owned(),
        message: "Please look.".to_owned(),
    }
}

fn attach(id: u128) -> Command {
    Command::Attach {
        family: FamilyId(ContentId(id)),
    }
}

fn reason() -> String {
    "why".to_owned()
}

fn note(text: &str, marking: Marking) -> Command {
    Command::Note {
        text: text.to_owned(),
        marking,
    }
}

#[test]
fn a_declaration_is_the_coordinators_and_well_formed() {
    let declare = |team: Team, change: fn(&mut Declaration)| {
        let mut declaration = declaration();
        change(&mut declaration);
        Incident::declare(IncidentId(1), &by(team), &declaration, NOW).map(|(incident, _)| incident.version)
    };
    assert_eq!(declare(Team::Coordinators, |_| {}), Ok(1));
    assert_eq!(declare(NORTH, |_| {}), Err(Refusal::CoordinatorsOnly));
    assert_eq!(
        declare(Team::Coordinators, |of| of.title = "a\nb".to_owned()),
        Err(Refusal::TitleMalformed)
    );
    assert_eq!(
        declare(Team::Coordinators, |of| of.marking = Marking::of(Tlp::Red)),
        Err(Refusal::MarkingMalformed)
    );
    assert_eq!(
        declare(Team::Coordinators, |of| of.marking.group = "others".parse().ok()),
        Err(Refusal::NoSuchGroup)
    );
    let empty = |of: &mut Declaration| {
        of.origin = Origin::Notice {
            reference: String::new(),
        }
    };
    assert_eq!(declare(Team::Coordinators, empty), Err(Refusal::ReasonMalformed));
}

#[test]
fn a_party_reads_and_acts_from_invitation_to_leave() {
    let mut incident = declared();
    assert_eq!(
        refused(&incident, NORTH, &Command::Acknowledge),
        Refusal::NoSuchIncident
    );
    done(&mut incident, Team::Coordinators, invite(NORTH));
    assert_eq!(
        refused(&incident, Team::Coordinators, &invite(NORTH)),
        Refusal::InvitedAlready
    );
    done(&mut incident, NORTH, Command::Acknowledge);
    assert_eq!(
        refused(&incident, NORTH, &Command::Acknowledge),
        Refusal::AcknowledgedAlready
    );
    assert_eq!(refused(&incident, NORTH, &attach(1)), Refusal::CoordinatorsOnly);
    done(&mut incident, NORTH, note("removed", Marking::of(Tlp::Amber)));
    done(&mut incident, NORTH, Command::Leave { reason: reason() });
    assert_eq!(
        refused(&incident, NORTH, &Command::Acknowledge),
        Refusal::NoSuchIncident
    );
    // Who left and is invited again acknowledges again.
    done(&mut incident, Team::Coordinators, invite(NORTH));
    done(&mut incident, NORTH, Command::Acknowledge);

    // A green incident is read by everyone, and acted on by those who take part.
    let green = Command::Mark {
        marking: Marking::of(Tlp::Green),
        reason: reason(),
    };
    done(&mut incident, Team::Coordinators, green);
    assert_eq!(refused(&incident, SOUTH, &Command::Acknowledge), Refusal::NotTakingPart);
}

#[test]
fn who_is_not_in_the_group_of_an_incident_is_not_invited_to_it() {
    let inner: Name = "inner".parse().unwrap();
    let mut coordinators = by(Team::Coordinators);
    coordinators.groups = [inner.clone()].into();
    let mut of = declaration();
    of.marking.group = Some(inner.clone());
    let (incident, _) = Incident::declare(IncidentId(1), &coordinators, &of, NOW).unwrap();
    assert_eq!(
        refused(&incident, Team::Coordinators, &invite(NORTH)),
        Refusal::NotAdmitted
    );
    let Command::Invite {
        team, class, message, ..
    } = invite(NORTH)
    else {
        panic!("an invitation");
    };
    let groups = [inner].into();
    let command = Command::Invite {
        team,
        groups,
        class,
        message,
    };
    assert!(incident.decide(&protocol(), &coordinators, &command, NOW).is_ok());
}

#[test]
fn a_red_note_goes_to_its_recipients_and_raises_no_version() {
    let mut incident = declared();
    done(&mut incident, Team::Coordinators, invite(NORTH));
    done(&mut incident, Team::Coordinators, invite(SOUTH));
    let version = incident.version;
    let red = Marking {
        recipients: [by(SOUTH).who].into(),
        ..Marking::of(Tlp::Red)
    };
    let event = done(&mut incident, NORTH, note("a name", red));
    assert_eq!(incident.version, version);
    let written_by = Some((by(NORTH).who, NORTH));
    let reads = |team: Team| incident.event_is_read_by(&event, written_by, &by(team).reader());
    assert_eq!([NORTH, SOUTH, Team::Coordinators].map(reads), [true, true, false]);
}

#[test]
fn steps_are_given_once_and_done_by_their_owner_and_parts_by_the_class() {
    let mut incident = declared();
    done(&mut incident, Team::Coordinators, invite(NORTH));
    let activate = Command::Activate {
        level: "awareness".to_owned(),
        reason: reason(),
        shown: None,
    };
    done(&mut incident, Team::Coordinators, activate.clone());
    assert_eq!(
        refused(&incident, Team::Coordinators, &activate),
        Refusal::ActiveAlready
    );
    let given: Vec<(u32, i64)> = incident
        .tasks
        .iter()
        .map(|task| (task.number, task.due.0 - NOW.0))
        .collect();
    assert_eq!(given, [(1, 900_000), (2, 900_000)]);
    let part = |number| Command::FinishPart {
        number,
        note: String::new(),
    };
    done(&mut incident, NORTH, part(1));
    assert_eq!(refused(&incident, NORTH, &part(1)), Refusal::TaskDone);
    assert_eq!(refused(&incident, NORTH, &part(2)), Refusal::NotYourTask);
    let finish = |number| Command::FinishTask {
        number,
        note: String::new(),
    };
    assert_eq!(refused(&incident, NORTH, &finish(1)), Refusal::NotYourTask);
    done(&mut incident, Team::Coordinators, finish(1));
    assert_eq!(refused(&incident, Team::Coordinators, &finish(1)), Refusal::TaskDone);

    let change = |level: &str| Command::ChangeLevel {
        level: level.to_owned(),
        reason: reason(),
        shown: None,
    };
    done(&mut incident, Team::Coordinators, change("response"));
    done(&mut incident, Team::Coordinators, change("awareness"));
    assert_eq!(
        refused(&incident, Team::Coordinators, &change("awareness")),
        Refusal::SameLevel
    );
    assert_eq!(incident.tasks.len(), 5);
}

#[test]
fn packs_are_numbered_and_withdrawn_once() {
    let mut incident = declared();
    let make = |hashes| Command::MakePack { hashes };
    for (hashes, expected) in [(0, Refusal::PackEmpty), (PACK_HASHES_MAX + 1, Refusal::PackTooLarge)] {
        assert_eq!(refused(&incident, Team::Coordinators, &make(hashes)), expected);
    }
    for _ in 0..PACKS_MAX {
        done(&mut incident, Team::Coordinators, make(3));
    }
    assert_eq!(refused(&incident, Team::Coordinators, &make(3)), Refusal::TooManyPacks);
    let withdraw = |number| Command::WithdrawPack {
        number,
        reason: reason(),
    };
    done(&mut incident, Team::Coordinators, withdraw(2));
    assert_eq!(
        refused(&incident, Team::Coordinators, &withdraw(2)),
        Refusal::PackWithdrawn
    );
    assert_eq!(
        refused(&incident, Team::Coordinators, &withdraw(999)),
        Refusal::NoSuchPack
    );
    let withdrawn = incident.packs.iter().filter(|pack| pack.withdrawn_at.is_some());
    assert_eq!(withdrawn.map(|pack| pack.number).collect::<Vec<_>>(), [2]);
}

#[test]
fn nothing_grows_without_limit() {
    let mut incident = declared();
    for id in 0..FAMILIES_MAX as u128 {
        done(&mut incident, Team::Coordinators, attach(id));
    }
    assert_eq!(
        refused(&incident, Team::Coordinators, &attach(999)),
        Refusal::TooManyFamilies
    );
    for party in 1..=PARTICIPANTS_MAX as u16 {
        done(&mut incident, Team::Coordinators, invite(Team::Party(PartyId(party))));
    }
    let one_more = invite(Team::Party(PartyId(999)));
    assert_eq!(
        refused(&incident, Team::Coordinators, &one_more),
        Refusal::TooManyParticipants
    );
    let rule = Command::AddRule(ring_rule());
    for _ in 0..RULES_MAX {
        done(&mut incident, Team::Coordinators, rule.clone());
    }
    assert_eq!(refused(&incident, Team::Coordinators, &rule), Refusal::TooManyRules);
    let task = Command::AddTask {
        does: "look".to_owned(),
        owner: NORTH,
        due: Timestamp(NOW.0 + 1),
    };
    for _ in 0..TASKS_MAX {
        done(&mut incident, Team::Coordinators, task.clone());
    }
    assert_eq!(refused(&incident, Team::Coordinators, &task), Refusal::TooManyTasks);
    let long = note(&"a".repeat(NOTE_BYTES_MAX + 1), Marking::of(Tlp::Clear));
    assert_eq!(
        refused(&incident, Team::Coordinators, &long),
        Refusal::NoteTextMalformed
    );
}

fn ring_rule() -> RingRule {
    RingRule {
        reasons: vec![AlertReason::LiveMatch, AlertReason::WatchList],
        platform: Some(PlatformId(3)),
        priority_min: 100,
    }
}

#[test]
fn a_rule_attaches_what_it_says_once() {
    let mut incident = declared();
    done(&mut incident, Team::Coordinators, Command::AddRule(ring_rule()));
    let mut alert = Alert {
        scope: Scope::All,
        level: AlertLevel::Raised,
        reason: AlertReason::WatchList,
        priority: 100.0,
        ..example::alert()
    };
    alert.platforms[0].platform = PlatformId(3);
    let changed = |change: fn(&mut Alert)| {
        let mut alert = alert.clone();
        change(&mut alert);
        alert
    };
    for other in [
        changed(|alert| alert.reason = AlertReason::Spread),
        changed(|alert| alert.priority = 99.0),
        changed(|alert| alert.level = AlertLevel::Sustained),
        changed(|alert| alert.scope = Scope::Party(PartyId(1))),
        changed(|alert| alert.platforms.clear()),
    ] {
        assert_eq!(incident.ring(&other), None, "{other:?}");
    }
    let event = incident.ring(&alert).unwrap();
    incident.take(&event, None, NOW);
    assert_eq!((incident.families[0].by, incident.families[0].rule), (None, Some(1)));
    assert_eq!(incident.ring(&alert), None);
}
