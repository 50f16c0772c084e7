use tocsin_model::{LiveFigures, PlatformId, Timestamp};

use crate::case::Case;

/// What the state told last of a case's family, inside the team's scope. An alert says the same as of its own time: the later of the two is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// As of when, by the groups' time.
    pub at: Timestamp,
    /// The platforms on which it was uploaded, blocked, shared or broadcast, ascending.
    pub platforms: Vec<PlatformId>,
    /// How grave, from 1. Finite.
    pub severity: f64,
    /// Its live streams; `None` where none is known.
    pub live: Option<LiveFigures>,
}

impl Seen {
    /// That nothing of the family is counted any more, as of a time: what the alert says is shown.
    pub fn nothing(at: Timestamp) -> Seen {
        Seen {
            at,
            platforms: Vec::new(),
            severity: 1.0,
            live: None,
        }
    }

    /// Whether it says that nothing of the family is counted.
    pub fn is_nothing(&self) -> bool {
        *self == Seen::nothing(self.at)
    }
}

impl Case {
    /// What the state told, where that is something, and not older than the alert that is shown.
    pub(crate) fn seen_last(&self) -> Option<&Seen> {
        let alert = self.alert.as_ref();
        self.seen
            .as_ref()
            .filter(|seen| !seen.is_nothing() && alert.is_none_or(|alert| alert.at <= seen.at))
    }

    /// Its family's live streams by the latest figures: what the state told, or the alert that is shown where that is later. `None` where none is known.
    pub fn live(&self) -> Option<LiveFigures> {
        match self.seen_last() {
            Some(seen) => seen.live,
            None => self.alert.as_ref().and_then(|alert| alert.live),
        }
    }

    /// Takes what the state tells of the family unless something later was told; whether anything changed.
    pub fn take_seen(&mut self, seen: Seen) -> bool {
        if self
            .seen
            .as_ref()
            .is_some_and(|known| seen.at < known.at || *known == seen)
        {
            return false;
        }
        self.seen = Some(seen);
        true
    }
}
