use tocsin_model::{Milliseconds, Timestamp};

use super::{AHEAD_MAX, DAY, HOUR, MINUTE, QUARTER};
use crate::first_sightings::FilterShape;

/// The group's time and what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) now: Timestamp,
    pub(super) minutes_from: Timestamp,
    pub(super) quarters_from: Timestamp,
    pub(super) hours_from: Timestamp,
    /// Up to here nothing but `now` changes.
    pub(super) steady_until: Timestamp,
}

impl Clock {
    pub(super) fn new(now: Timestamp, lateness: Milliseconds, shape: FilterShape) -> Self {
        let quarter_end = now.floor_to(QUARTER) + QUARTER;
        let newest = now + AHEAD_MAX;
        let step_end = newest.floor_to(shape.step) + shape.step - AHEAD_MAX;
        Clock {
            now,
            minutes_from: (now - HOUR).floor_to(QUARTER),
            quarters_from: (now - lateness.max(HOUR)).floor_to(HOUR),
            hours_from: (now - lateness - DAY - HOUR).floor_to(HOUR),
            steady_until: quarter_end.min(step_end),
        }
    }

    /// The latest time an event can be counted at.
    pub(super) fn newest(self) -> Timestamp {
        self.now + AHEAD_MAX
    }

    pub(super) fn round_down(self, at: Timestamp) -> Timestamp {
        at.floor_to(self.length_at(at))
    }

    pub(super) fn round_up(self, at: Timestamp) -> Timestamp {
        let last = at - Milliseconds(1);
        let length = self.length_at(last);
        last.floor_to(length) + length
    }

    /// The finest panes kept for the time.
    pub(super) fn length_at(self, at: Timestamp) -> Milliseconds {
        if at >= self.minutes_from {
            MINUTE
        } else if at >= self.quarters_from {
            QUARTER
        } else {
            HOUR
        }
    }
}
