use std::collections::BTreeMap;

use tocsin_model::{Name, PartyId, PlatformId};

/// Names of parties and platforms by their numbers, carried beside numbers so that a reader needs no registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Parties.
    pub parties: BTreeMap<PartyId, Name>,
    /// Platforms.
    pub platforms: BTreeMap<PlatformId, Name>,
}
