//! Intake: reads what parties publish, refuses what is wrong, and hands sightings to the key groups in blocks.
//!
//! What this crate does not do: it counts nothing and drops no duplicate (a group's marks do); it knows no store and serves no HTTP.
//!
//! Invariants:
//! * An event is bound to the party whose ingest topic it was read from; an event that names another party's platform is rejected.
//! * What is decided about an event depends on its source partition alone: read again from the position in intake's own state, the same
//!   records give the same sightings, and the groups' marks drop them.
//! * A record that is refused is counted and named in `tocsin.rejects`; it loses nothing beside it.
//! * The position of a source is written only after everything read before it is in the log.
//!
//! Start reading at [`Intake::record`], then [`run`].

mod actions;
mod awaiting;
mod clock;
mod config;
mod counted;
mod gaps;
mod machine;
mod on_their_way;
mod pressure;
mod registry;
mod shell;
mod source;
mod sources;
mod telemetry;
#[cfg(test)]
mod tests;

pub use clock::{Corrected, SourceClock};
pub use config::{IntakeConfig, IntakeSetup, MappingRefused, TimeSource};
pub use counted::Counted;
pub use machine::{Intake, RECEIVED_AT_HEADER, REJECTS_PER_RECORD_MAX};
pub use registry::Registry;
pub use shell::{IntakeError, run};
pub use source::SourceState;
