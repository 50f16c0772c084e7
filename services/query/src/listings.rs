//! Who lists a content, asked of the store for many at once and remembered for a while, so that look-ups do not wait for the database each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tocsin_model::ContentHash;
use tocsin_store::{Store, StoreError};
use tokio::sync::Semaphore;

use crate::answer::Listed;
use crate::metrics::Metrics;

/// How old what is remembered of a content may be when it is used again.
pub const LISTINGS_AGE_MAX: Duration = Duration::from_secs(10);
/// How many contents are remembered at most; what nobody asked about for longest is forgotten first, by halves.
pub const LISTINGS_MAX: usize = 65_536;
/// So many questions to the store are under way at a time: whoever waits mostly finds the answer of the one before.
const ASKING_AT_ONCE: usize = 2;

/// The listings of contents that were looked up a moment ago.
#[derive(Debug)]
pub(crate) struct Listings {
    known: Mutex<Known>,
    asking: Semaphore,
}

/// Two rooms: when the young one is half of all, it becomes the old one, and the old one is forgotten. So nothing is searched for its age.
#[derive(Debug, Default)]
struct Known {
    young: HashMap<ContentHash, Remembered>,
    old: HashMap<ContentHash, Remembered>,
}

#[derive(Clone, Debug)]
struct Remembered {
    asked_at: Instant,
    listed: Arc<Listed>,
}

impl Default for Listings {
    fn default() -> Self {
        Listings {
            known: Mutex::default(),
            asking: Semaphore::new(ASKING_AT_ONCE),
        }
    }
}

impl Listings {
    /// Who lists each of these contents, in their order, as it was at most [`LISTINGS_AGE_MAX`] ago.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn of(
        &self,
        store: &Store,
        metrics: &Metrics,
        hashes: &[ContentHash],
    ) -> Result<Vec<Arc<Listed>>, StoreError> {
        let known: Vec<Option<Arc<Listed>>> = self.remembered(hashes);
        if let Some(all) = known.iter().cloned().collect::<Option<Vec<_>>>() {
            metrics.listings_remembered.inc_by(all.len() as u64);
            return Ok(all);
        }
        // Nobody closes it.
        let _turn = self.asking.acquire().await.ok();
        let mut known = self.remembered(hashes);
        let missing: Vec<usize> = (0..hashes.len()).filter(|place| known[*place].is_none()).collect();
        metrics
            .listings_remembered
            .inc_by((hashes.len() - missing.len()) as u64);
        metrics.listings_asked.inc_by(missing.len() as u64);
        let asked: Vec<ContentHash> = missing.iter().map(|place| hashes[*place].clone()).collect();
        let asked_at = Instant::now();
        let answers = store.listings_of_each(&asked).await?;
        let mut memory = self.lock();
        for ((place, hash), listed) in missing.into_iter().zip(asked).zip(answers) {
            let listed = Arc::new(listed);
            known[place] = Some(Arc::clone(&listed));
            memory.put(hash, Remembered { asked_at, listed });
        }
        Ok(known.into_iter().flatten().collect())
    }

    fn remembered(&self, hashes: &[ContentHash]) -> Vec<Option<Arc<Listed>>> {
        let now = Instant::now();
        let mut memory = self.lock();
        hashes.iter().map(|hash| memory.get(hash, now)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn get(&mut self, hash: &ContentHash, now: Instant) -> Option<Arc<Listed>> {
        let is_fresh = |known: &&Remembered| now.saturating_duration_since(known.asked_at) < LISTINGS_AGE_MAX;
        if let Some(known) = self.young.get(hash).filter(is_fresh) {
            return Some(Arc::clone(&known.listed));
        }
        let known = self.old.get(hash).filter(is_fresh)?.clone();
        let listed = Arc::clone(&known.listed);
        self.put(hash.clone(), known);
        Some(listed)
    }

    fn put(&mut self, hash: ContentHash, known: Remembered) {
        if self.young.len() >= LISTINGS_MAX / 2 && !self.young.contains_key(&hash) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, known);
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what is remembered is used for its age and no longer, and never more of it is held than is said.
    #![allow(clippy::unwrap_used)]

    use tocsin_model::Algorithm;

    use super::*;

    fn hash(number: usize) -> ContentHash {
        let mut value = vec![0; 16];
        value[..8].copy_from_slice(&(number as u64).to_le_bytes());
        ContentHash::from_bytes(Algorithm::Md5, value, None).unwrap()
    }

    #[test]
    fn a_listing_is_remembered_for_its_age() {
        let mut known = Known::default();
        let asked_at = Instant::now();
        let listed = Arc::new(Listed::default());
        known.put(hash(1), Remembered { asked_at, listed });
        let just_before = asked_at + LISTINGS_AGE_MAX - Duration::from_millis(1);
        assert!(known.get(&hash(1), just_before).is_some());
        assert!(known.get(&hash(1), asked_at + LISTINGS_AGE_MAX).is_none());
        assert!(known.get(&hash(2), asked_at).is_none());
    }

    #[test]
    fn what_is_asked_about_stays_and_the_rest_goes() {
        let mut known = Known::default();
        let asked_at = Instant::now();
        for number in 0..3 * LISTINGS_MAX {
            let listed = Arc::new(Listed::default());
            known.put(hash(number), Remembered { asked_at, listed });
            assert!(known.get(&hash(0), asked_at).is_some(), "after {number}");
            assert!(known.young.len() + known.old.len() <= LISTINGS_MAX);
        }
        assert!(known.get(&hash(1), asked_at).is_none());
    }
}
