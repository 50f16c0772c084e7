//! Incidents in the tests of look-ups.

use std::collections::BTreeSet;

use tocsin_casework::Team;
use tocsin_incident::{Command, Declaration, IncidentId, Marking, Origin, ProtocolVersion};
use tocsin_model::{FamilyId, PartyId};
use tocsin_query::incidents::bank_of;
use tocsin_store::{Asking, KeySubject, NewIncident, PackedHash, Roles, Store};

use crate::world::*;

/// A coordinator who declares and changes incidents, with a key that reads nothing else here.
pub struct Coordinator<'a> {
    store: &'a Store,
    asking: Asking,
}

pub fn bank(incident: u128) -> String {
    bank_of(IncidentId(incident))
}

pub fn packed(content: u8, for_all: bool) -> PackedHash {
    PackedHash {
        hash: hash(content),
        family: FamilyId(id(content)),
        for_all,
    }
}

impl<'a> Coordinator<'a> {
    pub async fn of(store: &'a Store) -> Coordinator<'a> {
        let (key, _) = store.issue_key(KeySubject::Coordinators, Roles::all()).await.unwrap();
        let team = Some(Team::Coordinators);
        let asking = Asking { key, team };
        Coordinator { store, asking }
    }

    /// Declares an incident with the families of these contents.
    pub async fn declare(&self, incident: u128, marking: Marking, families: &[u8]) {
        let declaration = Declaration {
            title: "An attack".to_owned(),
            origin: Origin::Hand,
            protocol: ProtocolVersion {
                name: "crisis".to_owned(),
                version: 1,
            },
            marking,
        };
        let families = families.iter().map(|content| FamilyId(id(*content))).collect();
        let new = NewIncident { declaration, families };
        let declared = self.store.declare_incident(self.asking, IncidentId(incident), &new);
        declared.await.unwrap();
    }

    /// The same, and a level holds at once.
    pub async fn activated(&self, incident: u128, marking: Marking, families: &[u8]) {
        self.declare(incident, marking, families).await;
        self.activate(incident).await;
    }

    pub async fn activate(&self, incident: u128) {
        let (level, reason, shown) = ("awareness".to_owned(), "it spreads".to_owned(), None);
        self.command(incident, Command::Activate { level, reason, shown }).await;
    }

    pub async fn conclude(&self, incident: u128) {
        let (reason, shown) = ("it is over".to_owned(), None);
        self.command(incident, Command::Conclude { reason, shown }).await;
    }

    pub async fn invite(&self, incident: u128, party: u16) {
        let invitation = Command::Invite {
            team: Team::Party(PartyId(party)),
            groups: BTreeSet::new(),
            class: "platforms".to_owned(),
            message: String::new(),
        };
        self.command(incident, invitation).await;
    }

    pub async fn give_out(&self, incident: u128, hashes: &[PackedHash]) {
        let made = self.store.make_pack(self.asking, (IncidentId(incident), None), hashes);
        made.await.unwrap();
    }

    pub async fn withdraw(&self, incident: u128, number: u32) {
        let reason = "it was wrong".to_owned();
        self.command(incident, Command::WithdrawPack { number, reason }).await;
    }

    async fn command(&self, incident: u128, command: Command) {
        let about = (IncidentId(incident), None);
        self.store.command_incident(self.asking, about, &command).await.unwrap();
    }
}
