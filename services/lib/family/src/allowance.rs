use std::collections::HashMap;

use tocsin_model::{Milliseconds, PartyId, Timestamp};

/// How much of something each party took in the current window: an hour, or a minute. Bounded by the number of parties.
#[derive(Debug)]
pub(crate) struct Allowance {
    window: Milliseconds,
    by_party: HashMap<PartyId, (Timestamp, usize)>,
    refused: u64,
}

impl Allowance {
    /// Of which nobody took anything yet.
    pub(crate) fn new(window: Milliseconds) -> Self {
        Allowance {
            window,
            by_party: HashMap::new(),
            refused: 0,
        }
    }

    /// Whether a party may take so much more in this window, `most` in all; it did from now on.
    pub(crate) fn takes(&mut self, party: PartyId, at: Timestamp, amount: usize, most: usize) -> bool {
        let count = self.count(party, at);
        let has_room = amount <= most.saturating_sub(*count);
        if has_room {
            *count += amount;
        } else {
            self.refused += amount as u64;
        }
        has_room
    }

    /// A party took so much more, which showed only afterwards: it has less left.
    pub(crate) fn took(&mut self, party: PartyId, at: Timestamp, amount: usize) {
        *self.count(party, at) += amount;
    }

    fn count(&mut self, party: PartyId, at: Timestamp) -> &mut usize {
        let window = at.floor_to(self.window);
        let (of, count) = self.by_party.entry(party).or_insert((window, 0));
        if *of < window {
            (*of, *count) = (window, 0);
        }
        count
    }

    /// What was refused since the beginning.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }
}
