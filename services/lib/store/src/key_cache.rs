use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use crate::key::{KeyId, Principal};

/// How long a good key is taken on trust before the database is asked again: a revocation elsewhere takes effect within this time.
pub const KEY_CACHE_AGE_MAX: Duration = Duration::from_millis(500);
/// How many keys are remembered. Beyond it the whole memory is dropped: it is worth half a second of look-ups.
pub const KEY_CACHE_ENTRIES_MAX: usize = 4_096;

/// Remembers who showed a good key a moment ago. Bad keys are not remembered: a guesser would fill the memory.
#[derive(Default)]
pub(crate) struct KeyCache {
    entries: Mutex<HashMap<KeyId, Entry>>,
    generation: AtomicU64,
}

struct Entry {
    digest: [u8; 32],
    principal: Principal,
    asked_at: Instant,
}

impl KeyCache {
    pub(crate) fn get(&self, id: KeyId, digest: &[u8; 32]) -> Option<Principal> {
        let entries = self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let entry = entries.get(&id)?;
        let good = entry.asked_at.elapsed() < KEY_CACHE_AGE_MAX && bool::from(entry.digest.ct_eq(digest));
        good.then(|| entry.principal.clone())
    }

    /// A number that [`KeyCache::clear`] raises: an answer asked for before it is not remembered after it.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    pub(crate) fn put(&self, digest: [u8; 32], principal: Principal, asked_at: Instant, generation: u64) {
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
        entries.insert(entry.principal.key_id, entry);
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
    use crate::key::{Roles, Subject};

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
        cache.put([1; 32], principal(1), now, cache.generation());
        assert!(cache.get(KeyId(1), &[1; 32]).is_some());
        assert!(cache.get(KeyId(1), &[2; 32]).is_none());
        assert!(cache.get(KeyId(2), &[1; 32]).is_none());
        cache.put(
            [1; 32],
            principal(1),
            now.checked_sub(KEY_CACHE_AGE_MAX).unwrap(),
            cache.generation(),
        );
        assert!(cache.get(KeyId(1), &[1; 32]).is_none(), "too old");
    }

    #[test]
    fn an_answer_from_before_a_revocation_is_not_remembered() {
        let cache = KeyCache::default();
        let before = cache.generation();
        cache.clear();
        cache.put([1; 32], principal(1), Instant::now(), before);
        assert!(cache.get(KeyId(1), &[1; 32]).is_none());
    }

    #[test]
    fn it_never_grows_beyond_its_limit() {
        let cache = KeyCache::default();
        for id in 0..KEY_CACHE_ENTRIES_MAX as u128 + 10 {
            cache.put([1; 32], principal(id), Instant::now(), cache.generation());
            assert!(cache.entries.lock().unwrap().len() <= KEY_CACHE_ENTRIES_MAX);
        }
    }
}
