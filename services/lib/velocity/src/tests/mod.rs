#![allow(clippy::unwrap_used)]

mod alarm;
mod corroboration;
mod crowd;
mod disorder;
mod families;
mod flood;
pub(crate) mod harness;
mod influence;
mod invariance;
mod live;
mod members;
mod paging;
mod populations;
mod scopes;
mod shadow;
mod snapshots;
mod watch;
mod weights;
mod windows;
