//! Goal: incidents are kept as their rules say, whoever asks is told what is shared with them and nothing else, and what happens reaches the
//! endpoints of those who take part, whichever process is asked.
#![allow(clippy::unwrap_used, dead_code)]

mod changing;
#[path = "../../../incident/tests/example/mod.rs"]
mod example;
#[path = "../fixture/mod.rs"]
mod fixture;
mod live;
mod packing;
mod reading;

use fixture::Fixture;
use tocsin_casework::Team;
use tocsin_incident::{Command, Declaration, Incident, IncidentId, Marking, Origin, Refusal, Tlp};
use tocsin_model::{ContentId, FamilyId, KeyId};
use tocsin_store::{Asking, IncidentChanged, KeySubject, NewIncident, Roles, Store, StoreError};

fn asking(key: KeyId, team: Team) -> Asking {
    Asking { key, team: Some(team) }
}

fn family(id: u128) -> FamilyId {
    FamilyId(ContentId(id))
}

fn new(origin: Origin, tlp: Tlp) -> NewIncident {
    NewIncident {
        declaration: Declaration {
            origin,
            marking: Marking::of(tlp),
            ..example::declaration()
        },
        families: vec![family(1)],
    }
}

/// A coordinator.
async fn coordinator(f: &Fixture) -> Asking {
    let issued = f.store.issue_key(KeySubject::Coordinators, Roles::all()).await;
    asking(issued.unwrap().0, Team::Coordinators)
}

/// A party and one of its people.
async fn party(f: &Fixture, name: &str) -> Asking {
    let (party, key, _) = f.party(name).await;
    asking(key, Team::Party(party.id))
}

/// An incident that goes to those who take part.
async fn declared(f: &Fixture, by: Asking) -> Incident {
    let id = IncidentId(rand::random());
    let declared = f.store.declare_incident(by, id, &new(Origin::Hand, Tlp::Amber)).await;
    declared.unwrap().incident
}

async fn command(store: &Store, by: Asking, id: IncidentId, command: Command) -> Result<IncidentChanged, StoreError> {
    store.command_incident(by, (id, None), &command).await
}

async fn invite(f: &Fixture, by: Asking, id: IncidentId, whom: Asking) {
    let invitation = Command::Invite {
        team: whom.team.unwrap(),
        groups: std::collections::BTreeSet::new(),
        class: "platforms".to_owned(),
        message: "Please look.".to_owned(),
    };
    command(&f.store, by, id, invitation).await.unwrap();
}

fn note(text: &str, marking: Marking) -> Command {
    Command::Note {
        text: text.to_owned(),
        marking,
    }
}

fn why() -> String {
    "why".to_owned()
}

fn refusal<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Refusal {
    match result {
        Err(StoreError::IncidentRefused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}
