//! The names of platforms, from the party registry.

use dashmap::DashMap;
use tocsin_model::{Name, PlatformId};

/// Platform names by number. Bounded by the numbers there are.
#[derive(Debug, Default)]
pub struct Names {
    platforms: DashMap<PlatformId, Name>,
}

impl Names {
    /// Takes a name. Numbers are never used again, so a later name of a number is the same platform's.
    pub fn set(&self, platform: PlatformId, name: Name) {
        self.platforms.insert(platform, name);
    }

    /// The platform's name; `platform-N` while the registry has not told it.
    pub fn platform(&self, platform: PlatformId) -> String {
        self.platforms
            .get(&platform)
            .map_or_else(|| format!("platform-{}", platform.0), |name| name.to_string())
    }
}
