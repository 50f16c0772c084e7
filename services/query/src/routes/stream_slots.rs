//! Who holds streams open: a bounded number in all and per scope, so that no party can take all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntGauge;
use tocsin_model::Scope;

/// The streams that may be open.
#[derive(Debug)]
pub struct StreamSlots {
    count_max: usize,
    per_scope_max: usize,
    open: Mutex<HashMap<Scope, usize>>,
    gauge: IntGauge,
}

/// One open stream; dropping it frees its place.
#[derive(Debug)]
pub(crate) struct StreamSlot {
    slots: Arc<StreamSlots>,
    scope: Scope,
}

impl StreamSlots {
    /// `count_max` streams, of one scope `per_scope_max`; `gauge` tells how many are open.
    pub fn new(count_max: usize, per_scope_max: usize, gauge: IntGauge) -> Self {
        StreamSlots {
            count_max,
            per_scope_max,
            open: Mutex::default(),
            gauge,
        }
    }

    /// A place for a stream of a reader of `scope`, unless all are taken.
    pub(crate) fn take(self: &Arc<Self>, scope: Scope) -> Option<StreamSlot> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let of_scope = open.get(&scope).copied().unwrap_or(0);
        if all >= self.count_max || of_scope >= self.per_scope_max {
            return None;
        }
        open.insert(scope, of_scope + 1);
        self.gauge.inc();
        Some(StreamSlot {
            slots: Arc::clone(self),
            scope,
        })
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut open = self.slots.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.scope) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.scope);
            }
        }
        self.slots.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use tocsin_model::PartyId;

    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_per_scope_and_come_back() {
        let gauge = IntGauge::new("streams", "streams").expect("a plain name");
        let slots = Arc::new(StreamSlots::new(3, 2, gauge.clone()));
        let party = |id| Scope::Party(PartyId(id));
        let first = slots.take(party(1));
        let second = slots.take(party(1));
        assert!(first.is_some() && second.is_some());
        assert!(slots.take(party(1)).is_none());
        let other = slots.take(party(2));
        assert!(other.is_some());
        assert!(slots.take(Scope::Coordinators).is_none());
        assert_eq!(gauge.get(), 3);
        drop(first);
        assert!(slots.take(party(1)).is_some());
        drop((second, other));
        assert_eq!(gauge.get(), 0);
    }
}
