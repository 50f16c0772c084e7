use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use tocsin_model::{Name, PartyId};
use tocsin_runtime::http::bearer_token;
use tocsin_runtime::problem::{FORBIDDEN, UNAUTHENTICATED, UNAVAILABLE};
use tocsin_runtime::{Problem, roles};
use tocsin_store::{Role, Store, StoreError, Subject};

/// For how long the platforms of a party are believed before the store is asked again. Keys have their own, shorter term in the store.
const PLATFORMS_AGE_MAX: Duration = Duration::from_secs(30);

/// After how many seconds a client should try again when the store does not answer.
const RETRY_AFTER_S: u32 = 5;

/// Who may publish, and for which platforms.
pub struct Parties {
    store: Store,
    /// Bounded by the number of parties, which the registry bounds.
    platforms: Mutex<HashMap<PartyId, Asked>>,
}

/// An answer of the store, and when it was asked for.
#[derive(Clone)]
struct Asked {
    at: Instant,
    platforms: Arc<[Name]>,
}

/// A party that showed a key to publish with.
#[derive(Clone, Debug)]
pub struct Publisher {
    pub id: PartyId,
    pub name: Name,
}

impl Parties {
    pub fn new(store: Store) -> Self {
        Parties {
            store,
            platforms: Mutex::new(HashMap::new()),
        }
    }

    /// The party whose key the request shows.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Publisher, Problem> {
        let key = bearer_token(headers).ok_or(UNAUTHENTICATED)?;
        let principal = self.store.authenticate(key).await.map_err(unavailable)?;
        let principal = principal.ok_or(UNAUTHENTICATED)?;
        if !principal.has(Role::Publisher) {
            return Err(Problem::new(FORBIDDEN).with_detail("the key lacks the role publisher"));
        }
        match principal.subject {
            Subject::Party(id, name) => Ok(Publisher { id, name }),
            Subject::Operator | Subject::Coordinators => {
                Err(Problem::new(FORBIDDEN).with_detail("only a key of a party publishes"))
            }
        }
    }

    /// The platforms of a party.
    pub async fn platforms(&self, party: &Publisher) -> Result<Arc<[Name]>, Problem> {
        let known = self.lock().get(&party.id).cloned();
        if let Some(asked) = known
            && asked.at.elapsed() < PLATFORMS_AGE_MAX
        {
            return Ok(asked.platforms);
        }
        let at = Instant::now();
        let record = self.store.party_named(&party.name).await.map_err(unavailable)?;
        let platforms: Arc<[Name]> = record.platforms.into_iter().map(|(_, name)| name).collect();
        let asked = Asked {
            at,
            platforms: Arc::clone(&platforms),
        };
        self.lock().insert(party.id, asked);
        Ok(platforms)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PartyId, Asked>> {
        self.platforms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unavailable(error: StoreError) -> Problem {
    tracing::error!(error = roles::chain(&error), "the store did not answer the gateway");
    Problem::new(UNAVAILABLE)
        .with_detail("parties and keys cannot be checked at the moment")
        .with_retry_after_s(RETRY_AFTER_S)
}
