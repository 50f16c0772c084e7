//! Whether the keys of open streams still hold, asked of the store once for all streams of a key and a few at a time: however many streams there are,
//! their checks never stand in the way of those who ask.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tocsin_model::KeyId;
use tocsin_runtime::Problem;
use tokio::sync::Semaphore;

use super::reader::Reader;
use crate::state::QueryState;

/// A check of a key holds for all its streams for so long.
const AGE_MAX: Duration = Duration::from_secs(5);
/// So many keys are checked at a time.
const AT_ONCE: usize = 2;
/// With so many keys remembered, those whose check is over are forgotten.
const KEYS_KEPT: usize = 4_096;

/// The keys that held a moment ago.
#[derive(Debug)]
pub(crate) struct KeyChecks {
    held_at: Mutex<HashMap<KeyId, Instant>>,
    turns: Semaphore,
}

impl Default for KeyChecks {
    fn default() -> Self {
        KeyChecks {
            held_at: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
        }
    }
}

impl KeyChecks {
    /// Checks a reader's key again, unless another stream with it did a moment ago.
    ///
    /// # Errors
    /// The key no longer holds, or the store does not answer.
    pub(super) async fn check(&self, state: &QueryState, reader: &Reader) -> Result<(), Problem> {
        if self.held_lately(reader.key_id, Instant::now()) {
            return Ok(());
        }
        // Nobody closes it.
        let _turn = self.turns.acquire().await.ok();
        let now = Instant::now();
        if self.held_lately(reader.key_id, now) {
            return Ok(());
        }
        reader.check_again(state).await?;
        let mut held_at = self.lock();
        if held_at.len() >= KEYS_KEPT {
            held_at.retain(|_, at| now.saturating_duration_since(*at) < AGE_MAX);
        }
        held_at.insert(reader.key_id, now);
        Ok(())
    }

    fn held_lately(&self, key: KeyId, now: Instant) -> bool {
        let held_at = self.lock().get(&key).copied();
        held_at.is_some_and(|at| now.saturating_duration_since(at) < AGE_MAX)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KeyId, Instant>> {
        self.held_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
