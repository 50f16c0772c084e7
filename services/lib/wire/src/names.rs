use std::collections::BTreeMap;

use tocsin_model::{Name, PartyId, PlatformId};

/// Names of parties and platforms by their numbers, carried beside numbers so that a reader needs no registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Parties.
    pub parties: BTreeMap<PartyId, Name>,
    /// Platforms.
    pub platforms: BTreeMap<PlatformId, Name>,
    /// Whose the platforms are, where the registry told it: no record carries it.
    pub owners: BTreeMap<PlatformId, PartyId>,
}

impl Names {
    /// Whether a platform is the reader's own. Nobody's while it is not known whose it is.
    pub fn is_own(&self, reader: Option<PartyId>, platform: PlatformId) -> bool {
        reader.is_some() && self.owners.get(&platform).copied() == reader
    }
}
