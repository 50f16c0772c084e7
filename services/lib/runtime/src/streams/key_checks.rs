//! Whether the keys and sessions of open streams still hold, asked of the store once for all streams of one and a few at a time: however many streams there are,
//! their checks never stand in the way of those who ask. Streams go on while they are checked: a store that is slow or silent holds up none of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// What came of a check holds for all streams of the key for so long, also that the store did not answer.
const AGE_MAX: Duration = Duration::from_secs(5);
/// The store is given so long to answer.
const TIME_MAX: Duration = Duration::from_secs(5);
/// So many keys are checked at a time.
const AT_ONCE: usize = 2;
/// With so many keys remembered, those whose check is over are forgotten.
const KEYS_KEPT: usize = 4_096;

/// What came of the check of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyCheck {
    /// It holds, or the store does not answer, which says nothing against it: new requests are refused meanwhile.
    GoesOn,
    /// It no longer holds.
    Refused,
}

/// The keys, and the tokens of sessions, that were checked a moment ago and whose streams go on. A session may be over while its person's key holds.
pub struct KeyChecks {
    checked_at: Mutex<HashMap<String, Instant>>,
    turns: Semaphore,
    time_max: Duration,
}

/// Shows none of them.
impl fmt::Debug for KeyChecks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyChecks")
    }
}

impl Default for KeyChecks {
    fn default() -> Self {
        KeyChecks {
            checked_at: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
            time_max: TIME_MAX,
        }
    }
}

impl KeyChecks {
    /// Checks a key again, unless that was done for another stream with it a moment ago: `is_refused` asks the store whether it no longer holds.
    pub async fn check(&self, key: &str, is_refused: impl Future<Output = bool>) -> KeyCheck {
        if self.checked_lately(key, Instant::now()) {
            return KeyCheck::GoesOn;
        }
        // Nobody closes it.
        let _turn = self.turns.acquire().await.ok();
        if self.checked_lately(key, Instant::now()) {
            return KeyCheck::GoesOn;
        }
        if let Ok(true) = tokio::time::timeout(self.time_max, is_refused).await {
            return KeyCheck::Refused;
        }
        let now = Instant::now();
        let mut checked_at = self.lock();
        if checked_at.len() >= KEYS_KEPT {
            checked_at.retain(|_, at| now.saturating_duration_since(*at) < AGE_MAX);
        }
        checked_at.insert(key.to_owned(), now);
        KeyCheck::GoesOn
    }

    fn checked_lately(&self, key: &str, now: Instant) -> bool {
        let checked_at = self.lock().get(key).copied();
        checked_at.is_some_and(|at| now.saturating_duration_since(at) < AGE_MAX)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.checked_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a store that says nothing is waited for once for all streams of a key, and not for ever.

    use super::*;

    #[tokio::test]
    async fn that_the_store_is_silent_is_remembered() {
        let checks = KeyChecks {
            time_max: Duration::from_millis(1),
            ..KeyChecks::default()
        };
        let silent = checks.check("1", std::future::pending()).await;
        assert_eq!(silent, KeyCheck::GoesOn);
        // Another stream of the key does not ask again, and one of another key does.
        let not_asked = checks.check("1", async { true }).await;
        assert_eq!(not_asked, KeyCheck::GoesOn);
        assert_eq!(checks.check("2", async { true }).await, KeyCheck::Refused);
        assert_eq!(checks.check("2", async { false }).await, KeyCheck::GoesOn);
    }
}
