#![allow(clippy::unwrap_used)]

mod alarm;
mod families;
mod flood;
mod harness;
mod influence;
mod invariance;
mod scopes;
mod windows;
