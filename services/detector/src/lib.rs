//! The detector: reads sightings, keeps the key groups' state machines, says what they say.
//!
//! What this crate does not do: it judges nothing (that is `tocsin-velocity`), serves no HTTP and knows no store.
//!
//! Invariants:
//! * One thread owns all partitions of a process; a group's inputs are applied in the order of its partition.
//! * Alerts, announcements, state records and positions of an interval are one commit unit: all or nothing is seen.
//! * State owns its position: a restore begins where the newest committed header says, never where the group's offset says.
//! * A record that cannot be read is counted and passed over; it never stops a partition and never changes a count.
//!
//! Start reading at [`run`], then `partition` (what one record does), then `checkpoint` (what is written and read back);
//! `audit` derives a span of time again.

mod appends;
pub mod audit;
mod cache;
mod check;
mod checkpoint;
mod collected;
mod config;
mod error;
mod jumps;
mod partition;
mod repartition;
mod restore;
mod restorers;
mod run;
mod salvage;
mod shell;
mod standing;
mod telemetry;
#[cfg(test)]
mod tests;

pub use config::{DetectorConfig, DetectorSetup, ShadowConfig};
pub use error::DetectorError;
pub use partition::{FamilyNews, Partition, PartitionOutputs, Traced};
pub use repartition::{Move, Repartitioned, STAGING, repartition};
pub use restore::restore;
pub use run::{Means, OF_ITS_OWN};
pub use salvage::{Salvaged, salvage};
pub use shell::run;
