//! Which sign-ins came back from the provider a moment ago. The store keeps which of them came to a good end; this keeps a callback that is sent again, here,
//! from asking the provider again.

use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;

/// So many are kept at most; the oldest is forgotten first.
const KEPT_MAX: usize = 4_096;

/// The digests of the states that came back.
#[derive(Default)]
pub(crate) struct CameBackStates(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    states: HashSet<[u8; 32]>,
    in_order: VecDeque<[u8; 32]>,
}

impl CameBackStates {
    /// Notes that a sign-in came back. Whether it is the first time, as far as is known here.
    pub(crate) fn note(&self, state: [u8; 32]) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !kept.states.insert(state) {
            return false;
        }
        kept.in_order.push_back(state);
        if kept.in_order.len() > KEPT_MAX
            && let Some(oldest) = kept.in_order.pop_front()
        {
            kept.states.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_back_once_and_few_are_kept() {
        let states = CameBackStates::default();
        let state = |number: usize| {
            let mut state = [0; 32];
            state[..8].copy_from_slice(&number.to_be_bytes());
            state
        };
        assert!(states.note(state(0)));
        assert!(!states.note(state(0)));
        for number in 1..=KEPT_MAX {
            assert!(states.note(state(number)));
        }
        let kept = states.0.lock().unwrap();
        assert_eq!((kept.states.len(), kept.in_order.len()), (KEPT_MAX, KEPT_MAX));
        assert!(!kept.states.contains(&state(0)) && kept.states.contains(&state(1)));
    }
}
