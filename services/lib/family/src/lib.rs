//! Which contents belong together: the pure machine that finds links while events go by.
//!
//! What this crate does not do: it counts nothing and decides nothing about a family's figures (that is `tocsin-velocity`); no clock, I/O,
//! thread or randomness.
//!
//! Invariants:
//! * A link holds only in scopes that see both the event and the announcement it rests on.
//! * Two contents that are linked in either order get the same link: the content with the higher id joins the family of the lower one.
//! * Memory has a stated limit: what was seen longest ago is forgotten first, and counted.
//!
//! Start reading at [`LinkFinder`]; pictures are compared by [`PdqIndex`], videos by their frames: [`Video`].

mod allowance;
mod announced;
mod centres;
mod finder;
mod names;
mod pdq;
mod recent;
mod told;
mod video;

pub use finder::{LinkFinder, Seen};
pub use names::Name;
pub use pdq::{Found, Full, Lookup, Pdq, PdqIndex, Slot, Unmatchable};
pub use recent::Limits;
pub use video::{Most, Video};
