//! One day of traffic over several platforms: ordinary contents, benign virality of every size, crises, attacks, and the disorder in which
//! all of it arrives. What `christchurch-test` measures is measured on this.
//!
//! It is called a day because a day is the unit of everything that is said about it: the headline pools independent days, false alarms are
//! counted per content-day, virality and pages per day. Its sibling [`crate::scenario`] makes whole events of short plays, one source at a
//! time, for people to look at; this one makes compact records, fast enough that a hundred days take minutes.
//!
//! Invariants:
//! * A day is a function of its [`DayPlan`]: the same plan gives the same records on every machine, and a crisis that is added or taken away
//!   changes nothing of the others but the numbers of their events.
//! * Records come in the order of their receipt and are made as they are asked for. Memory grows with the popular contents and with what is
//!   going on or on its way, never with the day.
//! * Everything that happened is received in the end, if late: the truth can be told from the records alone.
//! * Truth and rivals share nothing with this module but [`Occurrence`].
//!
//! Flatter than the world: a popular content neither ages nor follows the news, accounts have no friends, and a platform's users behave alike.
//!
//! Start reading at [`Occurrence`], then [`DayPlan`] and its presets, then [`Day`]; the laws are in `ordinary`, `spread`, `crisis`, `course`;
//! `happening` merges them and `transport` brings them into disorder.

mod alias;
mod course;
mod crisis;
mod happening;
mod identity;
mod occurrence;
mod ordinary;
mod plan;
mod preset;
mod queue;
mod rhythm;
mod society;
mod spread;
#[cfg(test)]
mod tests;
mod transport;

pub use identity::{Grouping, Identity};
pub use occurrence::{Account, Family, FamilyKind, Occurrence};
pub use plan::{
    AttackPlan, Attacked, CappedPlatform, CrisisPlan, DayPlan, DisorderPlan, LaunchPlan, NewsPlan, OrdinaryPlan,
    PetitionPlan, PlatformPlan, RhythmPlan, Silence, SourcePlan, SpreadPlan,
};
pub use preset::{Scale, Scenario};

use happening::Happening;
use transport::Transport;

/// The records of one day, in the order of their receipt.
#[derive(Clone, Debug)]
pub struct Day {
    happening: Happening,
    transport: Transport,
}

impl Day {
    /// The day at its beginning.
    pub fn new(plan: &DayPlan) -> Self {
        Day {
            happening: Happening::new(plan),
            transport: Transport::new(plan),
        }
    }

    /// Records given out so far, duplicates included.
    pub fn received(&self) -> u64 {
        self.transport.received()
    }
}

impl Iterator for Day {
    type Item = Occurrence;

    fn next(&mut self) -> Option<Occurrence> {
        // Nothing is received before it happens, so what is first on its way is first of all once nothing happens before it.
        while let Some(at_ms) = self.happening.next_at_ms() {
            if self.transport.first_at_ms().is_some_and(|first| first <= at_ms) {
                break;
            }
            if let Some(happened) = self.happening.next() {
                self.transport.send(happened);
            }
        }
        self.transport.receive()
    }
}
