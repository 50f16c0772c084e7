//! Generators of labelled traffic.

mod config;
mod copies;
mod demo;
pub(crate) mod draw;
mod rate;
mod stream;

pub use config::{BurstConfig, CrisisConfig, Disorder, PartyPlan, PlatformPlan, Popularity, ScenarioConfig};
pub use demo::DemoPlan;
pub use stream::{CrisisId, Generated, Scenario};

#[cfg(test)]
mod tests;
