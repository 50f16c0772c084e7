//! The judgement of Tocsin: one pure state machine per key group that counts, measures reach, and rings.
//!
//! What this crate does not do: no clock, I/O, thread, environment, randomness, logging or async; time, keys and inputs are handed to
//! it, and a closed list of outputs is handed back. Logarithms come from `libm`, so a replay is bit-exact on every machine.
//!
//! Invariants:
//! * The same inputs in the same order give the same outputs and the same state bytes, however they are batched, wherever a snapshot
//!   is taken and restored, and however many further ticks stand between them: a deadline acts at its own time, not at the time of
//!   the input that made it due.
//! * Nothing in a scope's alerts or hot figures depends on an event outside the scope: every class has its own cold counts and its own
//!   bounded hot table, and every scope its own families.
//! * Intervals hold the truth: counts since promotion are exact, what was before is bounded from above by the cold counts.
//! * Every map has a stated limit; reaching it is counted in [`Counters`].
//!
//! Start reading at [`Group::apply`].

mod accounts;
mod ahead;
mod alert;
mod bins;
mod breakdown;
pub mod budget;
mod by_class;
mod calibrations;
mod class;
mod corroboration;
mod deadline;
mod edge;
mod episode;
pub mod evidence;
mod exposure;
mod family;
pub mod figures;
mod flood;
pub mod forecast;
mod gathered;
mod group;
mod input;
mod judging;
mod learning;
mod live;
mod marks;
mod membership;
pub mod null;
mod odds;
mod paging;
mod populations;
pub mod priority;
pub mod recalibration;
pub mod record;
mod remembered;
mod shadow;
pub mod since;
mod snapshot;
mod standing;
mod trigger;
mod voice;
mod watched;
mod watching;
pub mod weight;

#[cfg(test)]
mod tests;

pub use ahead::read_ahead;
pub use bins::Resolution;
pub use flood::Flood;
pub use group::Group;
pub use input::{Counters, GroupConfig, HotKey, Input, Output, REMEMBERED_BYTES_PER_HOT, WATCHED_MAX};
pub use live::live_figures;
pub use record::HotRecord;
pub use shadow::Comparison;
pub use snapshot::{SNAPSHOT_VERSION, SNAPSHOT_VERSIONS_READ, SNAPSHOT_VERSIONS_WRITTEN, SnapshotLayout};
pub use standing::Standing;
pub use trigger::{RULE_VERSION, TriggerParameters};
