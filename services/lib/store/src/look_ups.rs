use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// So many keys that were never good here are looked up at a time: a part of the connections, so that those who guess leave the rest to
/// others.
const STRANGERS_MAX: usize = 2;
/// So many wait for it at most; further ones are turned away at once.
const WAITING_MAX: usize = 256;
/// How long one waits.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// The places in which keys that were never good here are looked up.
pub(crate) struct LookUps {
    strangers: Semaphore,
    waiting: Semaphore,
    wait_max: Duration,
}

impl Default for LookUps {
    fn default() -> Self {
        LookUps {
            strangers: Semaphore::new(STRANGERS_MAX),
            waiting: Semaphore::new(WAITING_MAX),
            wait_max: WAIT_MAX,
        }
    }
}

impl LookUps {
    /// A place, once there is one; `None` if too many wait or it takes too long.
    pub(crate) async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        let _waiting = self.waiting.try_acquire().ok()?;
        let place = tokio::time::timeout(self.wait_max, self.strangers.acquire()).await;
        place.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    //! Goal: however many keys are tried, few are looked up at a time, and who cannot be is turned away.

    use super::*;

    #[tokio::test]
    async fn places_are_few_and_given_back() {
        let look_ups = LookUps {
            wait_max: Duration::ZERO,
            ..LookUps::default()
        };
        let mut places = Vec::new();
        for _ in 0..STRANGERS_MAX {
            places.push(look_ups.enter().await.expect("there is a place"));
        }
        assert!(look_ups.enter().await.is_none());
        places.pop();
        assert!(look_ups.enter().await.is_some());
    }

    #[tokio::test]
    async fn who_finds_too_many_waiting_does_not_wait() {
        let look_ups = LookUps {
            waiting: Semaphore::new(0),
            ..LookUps::default()
        };
        assert!(look_ups.enter().await.is_none(), "though nobody is looked up");
    }
}
