#![allow(clippy::unwrap_used)]

mod alarm;
mod families;
mod harness;
mod influence;
mod invariance;
mod paging;
mod scopes;
mod watch;
mod windows;
