//! Recorded events, played again into a deployment: at a pace, into the log or through a gateway.

mod gateway;
mod log;
mod pace;

use std::fmt;
use std::time::Duration;

use anyhow::Result;

pub use gateway::into_gateway;
pub(crate) use gateway::{Gateway, first_refusal, now};
pub use log::into_log;
pub use pace::{Pace, Speed};

/// Events handed over at once.
const BATCH_EVENTS_MAX: usize = 1_000;

/// What became of the events of a replay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replayed {
    /// How many were taken.
    pub taken: u64,
    /// How many were refused.
    pub refused: u64,
    /// Why the first of them was refused.
    pub first_refusal: Option<String>,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        write!(f, "{} events appended in {seconds:.1} s", self.taken)?;
        match &self.first_refusal {
            Some(reason) => write!(f, ", {} refused; the first: {reason}", self.refused),
            None => Ok(()),
        }
    }
}

/// Where a replay sends its events.
trait Destination {
    /// Sends events in their order, and adds what became of them.
    async fn send(&mut self, batch: &[crate::recorded::Recorded], replayed: &mut Replayed) -> Result<()>;
}

#[cfg(test)]
mod tests;
