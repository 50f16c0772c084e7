use tocsin_model::{Milliseconds, Timestamp, nearest_rank};

use crate::case::Case;

/// For so long from its first sighting on most of a family's spread can still be prevented.
pub const GOLDEN_HOUR: Milliseconds = Milliseconds::from_minutes(60);

/// When what happened to a case first. Of a case that came back, the first time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The family was seen, as far as the team's alerts know.
    pub first_seen: Option<Timestamp>,
    /// It rang.
    pub alert_at: Option<Timestamp>,
    /// The case was opened.
    pub opened_at: Timestamp,
    /// Somebody took it.
    pub claimed_at: Option<Timestamp>,
    /// Somebody decided, and did not take it back.
    pub decided_at: Option<Timestamp>,
}

/// What the clocks of many cases come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockSummary {
    /// How many cases.
    pub cases: usize,
    /// How many were claimed.
    pub claimed: usize,
    /// How many were decided.
    pub decided: usize,
    /// How many were decided within [`GOLDEN_HOUR`] of the first sighting.
    pub decided_in_golden_hour: usize,
    /// From the first sighting to the alert.
    pub to_alert: Option<Waits>,
    /// From the first sighting to the claim, of those that were claimed.
    pub to_claim: Option<Waits>,
    /// From the first sighting to the decision, of those that were decided.
    pub to_decision: Option<Waits>,
}

/// How long something took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// At most so long in half of all cases.
    pub median: Milliseconds,
    /// At most so long in nine of ten.
    pub ninth_decile: Milliseconds,
}

impl Case {
    /// Its clocks.
    pub fn clocks(&self) -> Clocks {
        Clocks {
            first_seen: self.first_seen,
            alert_at: self.first_alert_at,
            opened_at: self.opened_at,
            claimed_at: self.first_claimed_at,
            decided_at: self.first_decided_at,
        }
    }
}

impl Clocks {
    /// When the golden hour is over. `None` of what was never seen.
    pub fn golden_until(&self) -> Option<Timestamp> {
        self.first_seen.map(|seen| seen + GOLDEN_HOUR)
    }

    /// What is left of the golden hour at `now`; nothing once it is over or the case was decided, and of what was never seen.
    pub fn golden_left(&self, now: Timestamp) -> Milliseconds {
        match (self.decided_at, self.golden_until()) {
            (None, Some(until)) => (until - now).clamp(Milliseconds(0), GOLDEN_HOUR),
            _ => Milliseconds(0),
        }
    }

    fn decided_in_time(&self) -> bool {
        self.decided_at
            .zip(self.golden_until())
            .is_some_and(|(at, until)| at < until)
    }
}

impl ClockSummary {
    /// Of these cases. Clocks of sources and of the store may disagree: what would have taken less than nothing took nothing.
    pub fn of(clocks: &[Clocks]) -> ClockSummary {
        let waits = |end: &dyn Fn(&Clocks) -> Option<Timestamp>| {
            let took = clocks
                .iter()
                .filter_map(|clock| Some((end(clock)? - clock.first_seen?).max(Milliseconds(0))));
            Waits::of(took.collect())
        };
        ClockSummary {
            cases: clocks.len(),
            claimed: clocks.iter().filter(|clock| clock.claimed_at.is_some()).count(),
            decided: clocks.iter().filter(|clock| clock.decided_at.is_some()).count(),
            decided_in_golden_hour: clocks.iter().filter(|clock| clock.decided_in_time()).count(),
            to_alert: waits(&|clock| clock.alert_at),
            to_claim: waits(&|clock| clock.claimed_at),
            to_decision: waits(&|clock| clock.decided_at),
        }
    }
}

impl Waits {
    /// By the nearest rank; `None` of nothing.
    pub(crate) fn of(mut took: Vec<Milliseconds>) -> Option<Waits> {
        took.sort_unstable();
        Some(Waits {
            median: *nearest_rank(&took, 50)?,
            ninth_decile: *nearest_rank(&took, 90)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks(first_seen: i64, decided_at: Option<i64>) -> Clocks {
        Clocks {
            first_seen: Some(Timestamp(first_seen)),
            alert_at: Some(Timestamp(first_seen + 10)),
            opened_at: Timestamp(first_seen + 20),
            claimed_at: decided_at.map(|at| Timestamp(at - 1)),
            decided_at: decided_at.map(Timestamp),
        }
    }

    #[test]
    fn the_golden_hour_runs_from_the_first_sighting_until_it_is_over_or_somebody_decides() {
        let open = clocks(1_000, None);
        for (now, left) in [
            (1_000, GOLDEN_HOUR.0),
            (0, GOLDEN_HOUR.0),
            (2_000, GOLDEN_HOUR.0 - 1_000),
            (1_000 + GOLDEN_HOUR.0, 0),
            (i64::MAX / 2, 0),
        ] {
            assert_eq!(open.golden_left(Timestamp(now)), Milliseconds(left), "{now}");
        }
        assert_eq!(
            clocks(1_000, Some(1_500)).golden_left(Timestamp(1_600)),
            Milliseconds(0)
        );
    }

    #[test]
    fn a_summary_counts_and_ranks() {
        let hour = GOLDEN_HOUR.0;
        let mut all: Vec<Clocks> = (1..=9).map(|number| clocks(0, Some(number * 100))).collect();
        all.extend([clocks(0, Some(hour)), clocks(5, Some(3)), clocks(0, None)]);
        let summary = ClockSummary::of(&all);
        assert_eq!((summary.cases, summary.claimed, summary.decided), (12, 11, 11));
        assert_eq!(summary.decided_in_golden_hour, 10, "at the hour it is over");
        let took = summary.to_decision.unwrap_or(Waits {
            median: Milliseconds(0),
            ninth_decile: Milliseconds(0),
        });
        assert_eq!((took.median, took.ninth_decile), (Milliseconds(500), Milliseconds(900)));
        assert_eq!(ClockSummary::of(&[]), ClockSummary::default());
        let unseen = Clocks {
            first_seen: None,
            alert_at: None,
            ..clocks(0, Some(100))
        };
        assert_eq!(unseen.golden_left(Timestamp(10)), Milliseconds(0));
        let summary = ClockSummary::of(&[unseen]);
        assert_eq!((summary.decided, summary.decided_in_golden_hour), (1, 0));
        assert_eq!(
            summary.to_decision, None,
            "from what was never seen on nothing can be counted"
        );
    }
}
