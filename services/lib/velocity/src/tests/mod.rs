#![allow(clippy::unwrap_used)]

mod alarm;
mod families;
mod flood;
mod harness;
mod influence;
mod invariance;
mod paging;
mod scopes;
mod shadow;
mod watch;
mod windows;
