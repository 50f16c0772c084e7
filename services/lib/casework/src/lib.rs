//! The rules of casework: what an alert does to a case, who may claim, renew, release and decide it, when a lease is over.
//!
//! Pure: no I/O, no clock (the time is an argument), no randomness (new ids are arguments). The store loads a [`Case`] inside a transaction,
//! applies one of these rules and writes the case back.
//!
//! A case belongs to one team and one family. Beside its lease it rests in one of three states ([`Resting`]); a case with a live lease is
//! claimed, whatever it rests in, and when the lease ends it is what it rests in again: nobody has to clean up after a moderator who left.

pub(crate) mod alert_rules;
mod case;
mod lease_rules;

pub use alert_rules::{AlertEffect, concerns, opens_for};
pub use case::{Case, CaseDecision, CaseId, CaseState, Episode, Lease, Resting, Team};
pub use lease_rules::{LEASE_MAX, LEASE_MIN, RATIONALE_BYTES_MAX, Refusal, Ruling};
