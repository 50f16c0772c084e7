//! Generators of labelled traffic, as whole events: short plays for people to look at, and streams for tests and throughput.
//!
//! [`crate::day`] is the other generator. This one makes an event with its names, hashes and labels at once, asks every source for its next
//! event each time, has no daily rhythm and no self-excitation, and may be played in real time; that one makes compact records of a whole
//! day's traffic, fast, after the laws of the Christchurch test, and is what figures are measured on.

mod config;
mod copies;
mod demo;
pub(crate) mod draw;
mod drill;
mod rate;
mod stream;

pub use config::{BurstConfig, CrisisConfig, Disorder, PartyPlan, PlatformPlan, Popularity, ScenarioConfig};
pub use demo::DemoPlan;
pub use drill::DrillScenario;
pub use stream::{CrisisId, Generated, Scenario};

#[cfg(test)]
mod tests;
