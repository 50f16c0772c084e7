#![allow(clippy::unwrap_used)]

mod alarm;
mod families;
mod harness;
mod invariance;
mod scopes;
mod watch;
mod windows;
