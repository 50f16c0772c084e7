//! What cold counts say of a content.

use tocsin_model::{Interval, Timestamp};

use crate::first_sightings::Sighted;
use crate::recent_quarters::Kept;

/// An answer of [`super::ColdCounts::count`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColdCount {
    /// `low` is what is certain, which for sketches is nothing; `high` is at least the truth of the covered time.
    pub count: Interval,
    /// From when on events are in the count: at or before the time asked for, except where that lies before what is kept.
    pub covered_from: Timestamp,
    /// Until when (exclusive) events are in the count: at or after the time asked for.
    pub covered_to: Timestamp,
    /// With probability `confidence`, `high` is above the truth of the covered time by at most this: e / width times the events in the
    /// count-min panes used (0 if none was), and 1 if the first sighting may lie just outside.
    pub expected_error: f64,
    /// The probability that goes with `expected_error`, over the secret seed.
    pub confidence: f64,
}

/// An answer of [`super::ColdCounts::record`]: a content's spread over the last hour and up to 15 minutes more, this event included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// At most so often.
    pub high: u32,
    /// Of these, so many stand under the content's own fingerprint. Whoever fills the filter and the rows with other contents does not raise
    /// it, but for a fingerprint that is another's too: 1 more for one content in 1,024 when the filter is full, anything else for one in 2^20.
    pub own: u32,
    /// This event is not among `own`: it stands in a sketch, where nothing says whose it is.
    pub beyond: bool,
}

/// Answers of [`super::ColdCounts::bounds`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// At most so often.
    pub high: u64,
    /// Probably so often, and maybe more: what others' events put into its cells is taken off, from above.
    pub probable: u64,
}

/// Where an event went.
pub(super) struct Noting {
    pub(super) sighted: Sighted,
    /// `None` where it is in no quarter of the last hour: a first sighting, or too late for one.
    pub(super) kept: Option<Kept>,
}

impl Bound {
    pub(super) fn plus(self, other: Bound) -> Bound {
        Bound {
            high: self.high.saturating_add(other.high),
            probable: self.probable.saturating_add(other.probable),
        }
    }
}
