//! The names of platforms and parties, from the party registry.

use dashmap::DashMap;
use tocsin_model::{Name, PartyId, PlatformId};
use tocsin_wire::PartyRecord;

/// Names by number. Bounded by the numbers there are.
#[derive(Debug, Default)]
pub struct Names {
    platforms: DashMap<PlatformId, Name>,
    parties: DashMap<PartyId, Name>,
}

impl Names {
    /// Takes the names of a party and its platforms. Numbers are never used again, so a later name of a number is the same one's.
    pub fn set(&self, party: PartyRecord) {
        self.parties.insert(party.id, party.name);
        for platform in party.platforms {
            self.platforms.insert(platform.id, platform.name);
        }
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
            .map_or_else(|| format!("platform-{}", platform.0), |name| name.to_string())
    }
}
