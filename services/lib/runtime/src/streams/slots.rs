//! Who holds streams open: a bounded number in all, per scope and per key, so that neither a party nor one reader of it can take all of them. What a
//! scope and a key are is the service's.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntGauge;

/// How many streams may be open.
#[derive(Clone, Copy, Debug)]
pub struct StreamLimits {
    /// In all.
    pub count_max: usize,
    /// By the readers of one scope.
    pub per_scope_max: usize,
    /// With one key.
    pub per_key_max: usize,
}

/// The streams that may be open, and those that are.
#[derive(Debug)]
pub struct StreamSlots<S: Eq + Hash + Copy, K: Eq + Hash + Copy> {
    limits: StreamLimits,
    open: Mutex<Open<S, K>>,
    gauge: IntGauge,
}

#[derive(Debug)]
struct Open<S, K> {
    of_scopes: HashMap<S, usize>,
    of_keys: HashMap<K, usize>,
}

/// One open stream; dropping it frees its place.
#[derive(Debug)]
pub struct StreamSlot<S: Eq + Hash + Copy, K: Eq + Hash + Copy> {
    slots: Arc<StreamSlots<S, K>>,
    scope: S,
    key: K,
}

impl<S: Eq + Hash + Copy, K: Eq + Hash + Copy> StreamSlots<S, K> {
    /// So many streams; `gauge` tells how many are open.
    pub fn new(limits: StreamLimits, gauge: IntGauge) -> Self {
        StreamSlots {
            limits,
            open: Mutex::new(Open {
                of_scopes: HashMap::new(),
                of_keys: HashMap::new(),
            }),
            gauge,
        }
    }

    /// A place for a stream of a reader of `scope` with this key, unless all are taken.
    pub fn take(self: &Arc<Self>, scope: S, key: K) -> Option<StreamSlot<S, K>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.of_scopes.values().sum();
        let of_scope = open.of_scopes.get(&scope).copied().unwrap_or(0);
        let of_key = open.of_keys.get(&key).copied().unwrap_or(0);
        let limits = self.limits;
        if all >= limits.count_max || of_scope >= limits.per_scope_max || of_key >= limits.per_key_max {
            return None;
        }
        open.of_scopes.insert(scope, of_scope + 1);
        open.of_keys.insert(key, of_key + 1);
        self.gauge.inc();
        Some(StreamSlot {
            slots: Arc::clone(self),
            scope,
            key,
        })
    }
}

impl<S: Eq + Hash + Copy, K: Eq + Hash + Copy> Drop for StreamSlot<S, K> {
    fn drop(&mut self) {
        let mut open = self.slots.open.lock().unwrap_or_else(PoisonError::into_inner);
        leave(&mut open.of_scopes, self.scope);
        leave(&mut open.of_keys, self.key);
        self.slots.gauge.dec();
    }
}

fn leave<K: Eq + Hash>(open: &mut HashMap<K, usize>, of: K) {
    if let Some(count) = open.get_mut(&of) {
        *count -= 1;
        if *count == 0 {
            open.remove(&of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_per_scope_and_per_key_and_come_back() {
        let gauge = IntGauge::new("streams", "streams").expect("a plain name");
        let limits = StreamLimits {
            count_max: 4,
            per_scope_max: 3,
            per_key_max: 2,
        };
        let slots = Arc::new(StreamSlots::new(limits, gauge.clone()));
        let take = |party: u8, key: u32| slots.take(party, key);
        let (first, second) = (take(1, 10), take(1, 10));
        assert!(first.is_some() && second.is_some());
        assert!(take(1, 10).is_none(), "of this key");
        let third = take(1, 11);
        assert!(third.is_some());
        assert!(take(1, 12).is_none(), "of this scope");
        let other = take(2, 20);
        assert!(other.is_some());
        assert!(take(3, 30).is_none(), "of all");
        assert_eq!(gauge.get(), 4);
        drop(first);
        assert!(take(1, 10).is_some());
        drop((second, third, other));
        assert_eq!(gauge.get(), 0);
        let open = slots.open.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(open.of_scopes.is_empty() && open.of_keys.is_empty());
    }
}
