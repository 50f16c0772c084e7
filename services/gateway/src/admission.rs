use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tocsin_model::PartyId;
use tocsin_runtime::Problem;
use tocsin_runtime::problem::OVERLOADED;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::GatewayConfig;

/// After how many seconds a client that was turned away should try again.
const RETRY_AFTER_S: u32 = 1;

/// So many bodies are unpacked and read at a time: what that takes is several times a body, and more than the cores there are gains nothing.
const READING_MAX: usize = 4;

/// How many requests may be in hand: in all, and for each party, so that one party cannot take the place of the others.
///
/// Nobody waits for a place: a client that is told to come back holds no memory here.
pub struct Admission {
    all: Arc<Semaphore>,
    reading: Arc<Semaphore>,
    per_party_max: usize,
    /// Bounded by the number of parties, which the registry bounds.
    parties: Mutex<HashMap<PartyId, Arc<Semaphore>>>,
}

/// A place, given back when it is dropped.
pub struct Admitted {
    _all: OwnedSemaphorePermit,
    _party: OwnedSemaphorePermit,
}

impl Admission {
    pub fn new(config: &GatewayConfig) -> Self {
        Admission {
            all: Arc::new(Semaphore::new(config.requests_max)),
            reading: Arc::new(Semaphore::new(READING_MAX)),
            per_party_max: config.requests_per_party_max,
            parties: Mutex::new(HashMap::new()),
        }
    }

    /// Waits for a place in which a body is unpacked and its events are read. Held no longer than that: the log may take its time.
    pub async fn reading(&self) -> OwnedSemaphorePermit {
        let place = Arc::clone(&self.reading).acquire_owned().await;
        place.expect("nobody closes the semaphore")
    }

    pub fn enter(&self, party: PartyId) -> Result<Admitted, Problem> {
        let places_of_party = {
            let mut parties = self.parties.lock().unwrap_or_else(PoisonError::into_inner);
            let places = parties
                .entry(party)
                .or_insert_with(|| Arc::new(Semaphore::new(self.per_party_max)));
            Arc::clone(places)
        };
        let turned_away = |whose: &'static str| {
            move |_| {
                Problem::new(OVERLOADED)
                    .with_detail(format!("too many requests of {whose} are in hand"))
                    .with_retry_after_s(RETRY_AFTER_S)
            }
        };
        let of_party = places_of_party.try_acquire_owned().map_err(turned_away("this party"))?;
        let of_all = Arc::clone(&self.all)
            .try_acquire_owned()
            .map_err(turned_away("all parties"))?;
        Ok(Admitted {
            _all: of_all,
            _party: of_party,
        })
    }
}

#[cfg(test)]
mod tests {
    //! Goal: neither one party nor all of them together get more places than there are.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn places_are_limited_and_given_back() {
        let admission = Admission::new(&GatewayConfig {
            requests_max: 3,
            requests_per_party_max: 2,
            ..GatewayConfig::default()
        });
        let enter = |party| admission.enter(PartyId(party));
        let first = enter(1).unwrap();
        let _second = enter(1).unwrap();
        assert_eq!(enter(1).err().unwrap().code(), "overloaded");
        let _other = enter(2).unwrap();
        assert_eq!(enter(2).err().unwrap().code(), "overloaded");
        drop(first);
        assert!(enter(2).is_ok());
    }

    #[tokio::test]
    async fn few_bodies_are_read_at_a_time() {
        let admission = Admission::new(&GatewayConfig::default());
        let place = async || {
            tokio::time::timeout(std::time::Duration::ZERO, admission.reading())
                .await
                .ok()
        };
        let mut places = Vec::new();
        for _ in 0..READING_MAX {
            places.push(place().await.unwrap());
        }
        assert!(place().await.is_none());
        places.pop();
        assert!(place().await.is_some());
    }
}
