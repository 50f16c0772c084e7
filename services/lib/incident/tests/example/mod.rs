//! An incident for tests that need one: each crate names this file by its path and says what is otherwise.
// None of them needs all of it.
#![allow(dead_code)]

use std::collections::BTreeSet;

use tocsin_casework::Team;
use tocsin_incident::{By, Declaration, Incident, IncidentId, Marking, Origin, ProtocolVersion, Tlp};
use tocsin_model::{KeyId, Timestamp};

/// By hand, under the first version of the protocol `crisis`, for those who take part.
pub fn declaration() -> Declaration {
    Declaration {
        title: "An attack".to_owned(),
        origin: Origin::Hand,
        protocol: ProtocolVersion {
            name: "crisis".to_owned(),
            version: 1,
        },
        marking: Marking::of(Tlp::Amber),
    }
}

/// Somebody of the coordinators.
pub fn coordinator() -> By {
    By {
        who: KeyId(1),
        team: Team::Coordinators,
        groups: BTreeSet::new(),
        version: None,
    }
}

/// Declared, and nothing else.
pub fn incident(id: u128, at: Timestamp) -> Incident {
    let declared = Incident::declare(IncidentId(id), &coordinator(), &declaration(), at);
    declared.expect("coordinators declare incidents").0
}
