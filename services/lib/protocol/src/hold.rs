use serde::Serialize;
use thiserror::Error;
use tocsin_model::{Milliseconds, Timestamp};

use crate::truth::Truth;

/// Results that lie further apart than this say nothing of the time between them: a cold count is up to a minute old, and one answer may be lost.
pub const SAMPLE_GAP_MAX: Milliseconds = Milliseconds(120_000);

/// Figures came in that are older than those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("figures of {later} ms came after figures of {earlier} ms")]
pub struct OutOfOrder {
    /// The time that was reached.
    pub earlier: i64,
    /// The time that came now, before it.
    pub later: i64,
}

/// How long a criterion has held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// How long it must hold, in milliseconds.
    pub wanted_ms: i64,
    /// Its result at this time alone.
    pub now: Truth,
    /// For how long it is known to have been met without interruption, in milliseconds. Null when it is not met now.
    pub known_ms: Option<i64>,
}

/// What is remembered of the results of one criterion: whether it was met all through the last stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hold {
    met_since: Option<Timestamp>,
    not_met_at: Option<Timestamp>,
}

impl Hold {
    /// The next result. `before` is when the last one was, at or before `at`. Met when it was met all through the `wanted` before `at`, not met when
    /// it is known not to have been met in it once, else unknown: nobody looked, or what was seen left it open.
    pub(crate) fn observe(
        &mut self,
        before: Option<Timestamp>,
        at: Timestamp,
        now: Truth,
        wanted: Milliseconds,
    ) -> (Truth, Held) {
        let unseen = before.is_none_or(|before| at.0.saturating_sub(before.0) > SAMPLE_GAP_MAX.0);
        match now {
            Truth::Met if unseen => self.met_since = Some(at),
            Truth::Met => self.met_since = self.met_since.or(Some(at)),
            Truth::Unknown => self.met_since = None,
            Truth::NotMet => (self.met_since, self.not_met_at) = (None, Some(at)),
        }
        let start = at.0.saturating_sub(wanted.0);
        let truth = match (self.met_since, self.not_met_at) {
            (_, Some(not_met_at)) if not_met_at.0 >= start => Truth::NotMet,
            (Some(since), _) if since.0 <= start => Truth::Met,
            _ => Truth::Unknown,
        };
        let held = Held {
            wanted_ms: wanted.0,
            now,
            known_ms: self.met_since.map(|since| at.0.saturating_sub(since.0)),
        };
        (truth, held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a stretch is decided by what was seen all through it.
    #[test]
    fn a_stretch_is_met_only_when_it_was_seen_to_be() {
        use Truth::{Met, NotMet, Unknown};
        let minutes = |wanted: i64, results: &[(i64, Truth)]| -> Vec<Truth> {
            let (mut hold, mut before) = (Hold::default(), None);
            let mut observe = |(minute, now): &(i64, Truth)| {
                let at = Timestamp(minute * 60_000);
                let (truth, _) = hold.observe(before, at, *now, Milliseconds(wanted * 60_000));
                before = Some(at);
                truth
            };
            results.iter().map(&mut observe).collect()
        };
        for (results, expected) in [
            // Nobody looked before.
            (
                vec![(0, Met), (1, Met), (2, Met), (3, Met)],
                vec![Unknown, Unknown, Met, Met],
            ),
            (
                vec![(0, NotMet), (1, Met), (2, Met), (3, Met)],
                vec![NotMet, NotMet, NotMet, Met],
            ),
            (
                vec![(0, Unknown), (1, Met), (2, Met), (3, Met)],
                vec![Unknown, Unknown, Unknown, Met],
            ),
            // Between 1 and 4 nobody looked.
            (
                vec![(0, Met), (1, Met), (4, Met), (6, Met)],
                vec![Unknown, Unknown, Unknown, Met],
            ),
            // One result that leaves it open interrupts, without saying that it was not met.
            (
                vec![(0, Met), (1, Unknown), (2, Met), (4, Met)],
                vec![Unknown, Unknown, Unknown, Met],
            ),
        ] {
            assert_eq!(minutes(2, &results), expected, "{results:?}");
        }
    }
}
