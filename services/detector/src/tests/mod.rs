//! Goal: what the shell promises around the key groups: a restart loses and doubles nothing, a state of somewhere else is refused, and who
//! was succeeded writes nothing more. On the embedded log in a directory of its own.
#![allow(clippy::unwrap_used)]

mod audited;
mod back;
mod batched;
mod bench;
mod beside;
mod cached;
mod guided;
mod lost;
mod refused;
mod repartitioned;
mod restored;
mod salvaged;
mod succeeded;
mod told;
