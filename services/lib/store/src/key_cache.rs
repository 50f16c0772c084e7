use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use crate::key::Principal;
use tocsin_model::KeyId;

/// How long a good key is taken on trust before the database is asked again: a revocation elsewhere takes effect within this time.
pub const KEY_CACHE_AGE_MAX: Duration = Duration::from_millis(500);
/// How many keys are remembered. Beyond it the whole memory is dropped: it is worth half a second of look-ups.
pub const KEY_CACHE_ENTRIES_MAX: usize = 4_096;
/// How long the id of a key that does not exist or was revoked is refused without a look: ids are drawn at random and a revoked key stays
/// revoked, so neither becomes a good one.
const ABSENT_AGE_MAX: Duration = Duration::from_secs(5);

/// Remembers what the database said of a key's id, or of a session's, a moment ago: whose it is, or that it is nobody's. The two have rooms of their own, so that
/// a guesser pushes out no good key.
#[derive(Default)]
pub(crate) struct KeyCache {
    entries: Mutex<HashMap<KeyId, Entry>>,
    absent: Mutex<HashMap<KeyId, Instant>>,
    generation: AtomicU64,
}

struct Entry {
    digest: [u8; 32],
    principal: Principal,
    asked_at: Instant,
}

/// What is remembered of a key that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Remembered {
    /// It is good.
    Good(Principal),
    /// Its id is nobody's, or its secret is wrong.
    Bad,
    /// It was good when the database was last asked, which is too long ago.
    GoodOnce,
    /// Nothing.
    Nothing,
}

impl KeyCache {
    pub(crate) fn get(&self, id: KeyId, digest: &[u8; 32]) -> Remembered {
        let entries = self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(entry) = entries.get(&id) {
            let is_fresh = entry.asked_at.elapsed() < KEY_CACHE_AGE_MAX;
            return match (is_fresh, bool::from(entry.digest.ct_eq(digest))) {
                (true, true) => Remembered::Good(entry.principal.clone()),
                (true, false) => Remembered::Bad,
                (false, true) => Remembered::GoodOnce,
                (false, false) => Remembered::Nothing,
            };
        }
        drop(entries);
        let absent = self.absent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match absent.get(&id) {
            Some(asked_at) if asked_at.elapsed() < ABSENT_AGE_MAX => Remembered::Bad,
            _ => Remembered::Nothing,
        }
    }

    /// The database knew no good key of this id.
    pub(crate) fn put_absent(&self, id: KeyId, asked_at: Instant) {
        let mut absent = self.absent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if absent.len() >= KEY_CACHE_ENTRIES_MAX {
            absent.clear();
        }
        absent.insert(id, asked_at);
    }

    /// Forgets a key: it is not good any more.
    pub(crate) fn forget(&self, id: KeyId) {
        let mut entries = self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.remove(&id);
    }

    /// Forgets what came to its end just now: no answer asked for before is remembered of it.
    pub(crate) fn end(&self, id: KeyId) {
        let mut entries = self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::SeqCst);
        entries.remove(&id);
    }

    /// A number that [`KeyCache::clear`] and [`KeyCache::end`] raise: an answer asked for before it is not remembered after it.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    pub(crate) fn put(&self, id: KeyId, digest: [u8; 32], principal: Principal, asked_at: Instant, generation: u64) {
        let mut entries = self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if generation != self.generation() {
            return;
        }
        if entries.len() >= KEY_CACHE_ENTRIES_MAX {
            entries.clear();
        }
        let entry = Entry {
            digest,
            principal,
            asked_at,
        };
        entries.insert(id, entry);
    }

    pub(crate) fn clear(&self) {
        let mut entries = self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::SeqCst);
        entries.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Roles;
    use crate::key::Subject;

    fn principal(id: u128) -> Principal {
        Principal {
            key_id: KeyId(id),
            subject: Subject::Coordinators,
            roles: Roles::all(),
        }
    }

    #[test]
    fn an_entry_answers_for_its_secret_and_its_time_only() {
        let cache = KeyCache::default();
        let now = Instant::now();
        cache.put(KeyId(1), [1; 32], principal(1), now, cache.generation());
        assert_eq!(cache.get(KeyId(1), &[1; 32]), Remembered::Good(principal(1)));
        assert_eq!(cache.get(KeyId(1), &[2; 32]), Remembered::Bad);
        assert_eq!(cache.get(KeyId(2), &[1; 32]), Remembered::Nothing);
        cache.put(
            KeyId(1),
            [1; 32],
            principal(1),
            now.checked_sub(KEY_CACHE_AGE_MAX).unwrap(),
            cache.generation(),
        );
        assert_eq!(cache.get(KeyId(1), &[1; 32]), Remembered::GoodOnce, "too old");
        assert_eq!(cache.get(KeyId(1), &[2; 32]), Remembered::Nothing);
        cache.forget(KeyId(1));
        assert_eq!(cache.get(KeyId(1), &[1; 32]), Remembered::Nothing);
    }

    #[test]
    fn an_id_that_is_nobodys_is_refused_for_a_while_whatever_its_secret() {
        let cache = KeyCache::default();
        let now = Instant::now();
        cache.put_absent(KeyId(1), now);
        assert_eq!(cache.get(KeyId(1), &[1; 32]), Remembered::Bad);
        assert_eq!(cache.get(KeyId(1), &[2; 32]), Remembered::Bad);
        cache.put_absent(KeyId(1), now.checked_sub(ABSENT_AGE_MAX).unwrap());
        assert_eq!(cache.get(KeyId(1), &[1; 32]), Remembered::Nothing);
        cache.put(KeyId(2), [1; 32], principal(2), now, cache.generation());
        for id in 0..KEY_CACHE_ENTRIES_MAX as u128 + 10 {
            cache.put_absent(KeyId(10 + id), now);
            assert!(cache.absent.lock().unwrap().len() <= KEY_CACHE_ENTRIES_MAX);
        }
        let good = cache.get(KeyId(2), &[1; 32]);
        assert_eq!(good, Remembered::Good(principal(2)), "guesses push out no good key");
    }

    #[test]
    fn an_answer_from_before_a_revocation_is_not_remembered() {
        let cache = KeyCache::default();
        let before = cache.generation();
        cache.clear();
        cache.put(KeyId(1), [1; 32], principal(1), Instant::now(), before);
        assert_eq!(cache.get(KeyId(1), &[1; 32]), Remembered::Nothing);
    }

    #[test]
    fn the_end_of_one_leaves_the_others_their_places() {
        let cache = KeyCache::default();
        let (before, now) = (cache.generation(), Instant::now());
        cache.put(KeyId(1), [1; 32], principal(1), now, before);
        cache.put(KeyId(2), [2; 32], principal(2), now, before);
        cache.end(KeyId(1));
        cache.put(KeyId(1), [1; 32], principal(1), now, before);
        assert_eq!(cache.get(KeyId(1), &[1; 32]), Remembered::Nothing);
        assert_eq!(cache.get(KeyId(2), &[2; 32]), Remembered::Good(principal(2)));
    }

    #[test]
    fn it_never_grows_beyond_its_limit() {
        let cache = KeyCache::default();
        for id in 0..KEY_CACHE_ENTRIES_MAX as u128 + 10 {
            cache.put(KeyId(id), [1; 32], principal(id), Instant::now(), cache.generation());
            assert!(cache.entries.lock().unwrap().len() <= KEY_CACHE_ENTRIES_MAX);
        }
    }
}
