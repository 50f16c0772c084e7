//! The names of platforms and parties, and whose the platforms are, from the party registry.

use dashmap::DashMap;
use tocsin_model::{Name, PartyId, PlatformId, Scope};
use tocsin_wire::PartyRecord;

/// Names by number. Bounded by the numbers there are.
#[derive(Debug, Default)]
pub struct Names {
    platforms: DashMap<PlatformId, (PartyId, Name)>,
    parties: DashMap<PartyId, Name>,
}

impl Names {
    /// Takes the names of a party and its platforms. Numbers are never used again, so a later name of a number is the same one's.
    pub fn set(&self, party: PartyRecord) {
        self.parties.insert(party.id, party.name);
        for platform in party.platforms {
            self.platforms.insert(platform.id, (party.id, platform.name));
        }
    }

    /// Whether a platform is the reader's own. Nobody's while the registry has not told whose it is.
    pub fn is_own(&self, reader: Scope, platform: PlatformId) -> bool {
        let Scope::Party(party) = reader else {
            return false;
        };
        self.platforms.get(&platform).is_some_and(|owned| owned.0 == party)
    }

    /// The party's name; `party-N` while the registry has not told it.
    pub fn party(&self, party: PartyId) -> String {
        self.parties
            .get(&party)
            .map_or_else(|| format!("party-{}", party.0), |name| name.to_string())
    }

    /// The platform's name; `platform-N` while the registry has not told it.
    pub fn platform(&self, platform: PlatformId) -> String {
        self.platforms
            .get(&platform)
            .map_or_else(|| format!("platform-{}", platform.0), |owned| owned.1.to_string())
    }
}
