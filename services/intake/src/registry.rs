use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use tocsin_model::{Name, PartyId, PlatformId};
use tocsin_wire::{EventError, PartyRecord};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The parties and their platforms, as `tocsin.parties` tells them.
#[derive(Debug, Default)]
pub struct Registry {
    parties: ByName<Party>,
}

type ByName<T> = HashMap<String, T, BuildHasherDefault<NameHasher>>;

/// Names are what an operator registered, and no sender can add one: they need no secret hash, and are looked up twice for each event.
#[derive(Default)]
struct NameHasher(u64);

impl Hasher for NameHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// The mark at the end of a text, of which there is one.
    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.0 ^= u64::from(value);
    }
}

/// One party.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) id: PartyId,
    pub(crate) name: Name,
    platforms: ByName<(PlatformId, Name)>,
    revoked: bool,
}

impl Registry {
    /// A registry of nobody.
    pub fn new() -> Self {
        Registry::default()
    }

    /// Takes over a party's newest record.
    pub fn put(&mut self, record: PartyRecord) {
        let platforms = record.platforms.into_iter();
        let party = Party {
            id: record.id,
            platforms: platforms
                .map(|platform| (platform.name.as_str().to_owned(), (platform.id, platform.name)))
                .collect(),
            revoked: record.revoked,
            name: record.name,
        };
        self.parties.insert(party.name.as_str().to_owned(), party);
    }

    /// Whether the party of an ingest topic, by its full name, was announced.
    pub(crate) fn knows_topic(&self, topic: &str) -> bool {
        let name = topic.strip_prefix(tocsin_wire::topics::INGEST_PREFIX);
        name.is_some_and(|name| self.parties.contains_key(name))
    }

    /// The party that publishes to the ingest topic of this name.
    ///
    /// # Errors
    /// Nobody registered under the name, or the party was revoked.
    pub(crate) fn party(&self, name: &str) -> Result<&Party, EventError> {
        match self.parties.get(name) {
            None => Err(EventError::PartyUnknown),
            Some(party) if party.revoked => Err(EventError::PartyRevoked),
            Some(party) => Ok(party),
        }
    }
}

impl Party {
    /// The platform of this name.
    ///
    /// # Errors
    /// It is not one of this party's.
    pub(crate) fn platform(&self, name: &str) -> Result<(PlatformId, &Name), EventError> {
        let platform = self.platforms.get(name).map(|(id, name)| (*id, name));
        platform.ok_or_else(|| EventError::PlatformNotOfParty {
            platform: name.to_owned(),
        })
    }
}
