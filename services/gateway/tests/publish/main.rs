//! Goal: over real HTTP, onto a real log, with a real store; what is counted is counted.
#![allow(clippy::unwrap_used, missing_docs)]

mod bench;
mod forms;
mod limits;
