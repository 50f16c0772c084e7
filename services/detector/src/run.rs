//! By what a detector runs.

use std::time::Instant;

use crate::check::Wait;
use crate::restore::Outbox;
use crate::restorers::Hands;

/// By what a detector runs: in a process of its own, in the simulation, or while key groups move.
pub struct Means<'a> {
    pub(crate) clock: &'a dyn Fn() -> Instant,
    pub(crate) hands: Hands,
    pub(crate) outbox: Outbox,
    pub(crate) wait: Wait,
}

/// A process of its own: the clock of the machine, and a thread for each restore.
pub const OF_ITS_OWN: Means<'static> = Means {
    clock: &Instant::now,
    hands: Hands::Threads,
    outbox: Outbox::Repeated,
    wait: std::thread::sleep,
};

/// [`OF_ITS_OWN`] without saying again what other groups may not have heard: what it appends follows from its input alone, so that the input can come to
/// rest. Whoever runs the detector after it says all of it again.
pub(crate) const SILENT: Means<'static> = Means {
    outbox: Outbox::LeftToTheNext,
    ..OF_ITS_OWN
};

impl<'a> Means<'a> {
    /// Another clock and the calling thread alone: the simulation's. The clock says when a unit, a state or a checkpoint is due, and decides nothing else;
    /// what is restored goes on by a step between two polls.
    pub fn simulated(clock: &'a dyn Fn() -> Instant) -> Self {
        Means {
            clock,
            hands: Hands::Caller,
            outbox: Outbox::Repeated,
            wait: |_| {},
        }
    }
}
