//! Goal: what intake makes of the records of parties: whose an event is, when it happened, what is refused and where it stood.
#![allow(clippy::unwrap_used, missing_docs)]

mod actions;
mod bench;
mod clocks;
mod families;
mod framing;
mod order;
#[path = "../../../lib/wire/tests/osprey/mod.rs"]
mod osprey;
mod parties;
mod peers;
mod reread;
