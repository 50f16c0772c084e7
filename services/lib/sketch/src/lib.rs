//! Approximate and exact counters that are small enough for everything that is ever seen: how often a content spread in a window
//! ([`ColdCounts`]), how many distinct accounts took part ([`Reach`]), and which events were seen before ([`RecentTokens`]).
//!
//! What this crate does not do: no clock, no I/O, no thread, no environment, no randomness. Time is an argument, seeds are configuration,
//! exponentials and square roots come from `libm`. It does not decide what is counted, nor what a count means.
//!
//! Invariants:
//! * [`ColdCounts`] never under-counts: the truth of a window it covers is at most the upper bound it gives.
//! * Equal states have equal bytes, whatever order of inserts and restores led to them; a restored state answers as the original.
//! * Every structure has a stated maximum; bytes from outside never panic and never ask for more memory than they pay for, but for a fixed
//!   factor.
//! * Time passing costs per pane, never per event.
//!
//! Start reading at [`ColdCounts`] (filter and panes of one class of a key group), then at its two layers: `pane` (what a stretch of time holds),
//! `recent_quarters` (the panes every event asks), `lines` and `tally` (the compact maps that filter and panes are made of). [`Reach`] and
//! [`RecentTokens`] stand alone. [`codec`] is the byte layout of every state in the project.

pub mod codec;

mod cold;
mod first_sightings;
mod lane;
mod open_minute;
mod pane;
mod recent_quarters;

mod count_min;
mod tally;

mod lines;
mod packed;
mod young;

mod hyperloglog;
mod reach;
mod recent;

pub use cold::{Bound, ColdConfig, ColdCount, ColdCounts, ColdKeys, Recorded};
pub use reach::Reach;
pub use recent::{Inserted, RecentTokens};
