use std::collections::HashMap;

use tocsin_model::{Milliseconds, PartyId, Timestamp};

/// How many links each party asserted by its word alone in the current hour. Bounded by the number of parties.
#[derive(Debug, Default)]
pub(crate) struct Asserted {
    by_party: HashMap<PartyId, (Timestamp, usize)>,
    refused: u64,
}

impl Asserted {
    const HOUR: Milliseconds = Milliseconds::from_hours(1);

    /// Whether a party may assert one more link in this hour; it did from now on.
    pub(crate) fn has_room(&mut self, party: PartyId, at: Timestamp, most: usize) -> bool {
        let hour = at.floor_to(Asserted::HOUR);
        let (of, count) = self.by_party.entry(party).or_insert((hour, 0));
        if *of < hour {
            (*of, *count) = (hour, 0);
        }
        let has_room = *count < most;
        if has_room {
            *count += 1;
        } else {
            self.refused += 1;
        }
        has_room
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }
}
