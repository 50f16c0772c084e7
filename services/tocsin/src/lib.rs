//! `tocsin`: the one binary. Every role, the tools of operators, and nothing that a crate could do by itself.
//!
//! What this crate does not do: it holds no rule of the domain. It reads the configuration, opens log and store, and starts roles.
//!
//! Invariants:
//! * A configuration is validated whole before anything is opened, and everything is opened before a port is bound.
//! * A process ends with success only if every role stopped in order when it was asked to.
//!
//! Start reading at [`command::Command`], then [`serve::Process`]. It is a library too, so that tests and tools run whole processes.

pub mod client;
pub mod client_tls;
pub mod command;
pub mod config;
pub mod demo;
pub mod drill;
pub mod evaluate;
mod events;
pub mod explain;
pub mod protocol;
pub mod recorded;
pub mod rehearsal;
pub mod replay;
pub mod serve;
pub mod topics;
