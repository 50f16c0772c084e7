//! Whether a claim got one of the best cases, by sorting all that is known anew.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A claim that got one of so many cases is right.
const BEST: usize = 20;
/// By figures that stood so long ago, or since. What changed hands so short before a claim the dispatcher need not know.
const KNOWN_WITHIN: Duration = Duration::from_secs(1);

/// An open case, as it was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Of its alert.
    pub(super) priority: f64,
    /// Its place among the families whose figures move.
    pub(super) moving: Option<usize>,
    pub(super) platform: usize,
    /// Cases of one lot were opened at one time, before those of the next.
    pub(super) lot: usize,
}

/// The priorities of the families whose figures move, as they were published.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    /// Nobody knows them before.
    pub(super) from: Instant,
    /// Whoever reads knows them then.
    pub(super) told: Instant,
    pub(super) live: Vec<f64>,
}

/// A claim that a case answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claimed {
    pub(super) case: usize,
    /// Only cases of it were asked for.
    pub(super) platform: Option<usize>,
    pub(super) asked: Instant,
    pub(super) answered: Instant,
    /// When the holder was told that it gave the case back.
    pub(super) waits_again: Option<Instant>,
}

/// How claims agree with the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::measure) struct Agreement {
    /// Among the first by priority.
    pub(in crate::measure) agreeing: u64,
    /// Not those, but among the first of those that wait longest, at most every tenth of all claims: so the queue is told to do.
    pub(in crate::measure) waiting: u64,
    /// All.
    pub(in crate::measure) claims: u64,
}

impl Agreement {
    /// The share of those that are not for what waits longest.
    pub(in crate::measure) fn share(&self) -> f64 {
        self.agreeing as f64 / (self.claims - self.waiting).max(1) as f64
    }
}

/// Holds every claim to a sort of all cases that waited by the figures of that second.
pub(super) fn judge(cases: &[Known], figures: &[Figures], claims: &[Claimed]) -> Agreement {
    let queue = Sorted::new(cases, claims);
    let mut found = Agreement {
        agreeing: 0,
        waiting: 0,
        claims: claims.len() as u64,
    };
    for claim in claims {
        let since = claim.asked.checked_sub(KNOWN_WITHIN).unwrap_or(claim.asked);
        let last = figures.iter().rposition(|figures| figures.told <= since).unwrap_or(0);
        let mut known = figures[last..]
            .iter()
            .take_while(|figures| figures.from <= claim.answered);
        if known.any(|figures| queue.is_best(claim, &figures.live)) {
            found.agreeing += 1;
        } else if queue.waits_longest(claim) {
            found.waiting += 1;
        }
    }
    found.waiting = found.waiting.min(found.claims / 10 + 1);
    found
}

/// The cases in order of the priority of their alerts, the highest first.
struct Sorted<'a> {
    cases: &'a [Known],
    still: Vec<usize>,
    moving: Vec<usize>,
    /// When each was held, or may have been.
    held: BTreeMap<usize, Vec<(Instant, Option<Instant>)>>,
}

impl<'a> Sorted<'a> {
    fn new(cases: &'a [Known], claims: &[Claimed]) -> Sorted<'a> {
        let (moving, mut still): (Vec<usize>, Vec<usize>) =
            (0..cases.len()).partition(|place| cases[*place].moving.is_some());
        still.sort_by(|a, b| cases[*b].priority.total_cmp(&cases[*a].priority));
        let mut held: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for claim in claims {
            let span = (claim.asked, claim.waits_again);
            held.entry(claim.case).or_default().push(span);
        }
        Sorted {
            cases,
            still,
            moving,
            held,
        }
    }

    /// Whether fewer than [`BEST`] that the claimer might have had instead are of a higher priority.
    fn is_best(&self, claim: &Claimed, live: &[f64]) -> bool {
        let priority = |place: usize| {
            let case = &self.cases[place];
            case.moving.map_or(case.priority, |moving| live[moving])
        };
        let own = priority(claim.case);
        let moving = self.moving.iter().filter(|place| priority(**place) > own);
        let still = self.still.iter().take_while(|place| priority(**place) > own);
        let better = moving.chain(still).filter(|place| self.waited(claim, **place));
        better.take(BEST).count() < BEST
    }

    /// Whether fewer than [`BEST`] were opened before the lot that it is of.
    fn waits_longest(&self, claim: &Claimed) -> bool {
        let lot = self.cases[claim.case].lot;
        let before = (0..self.cases.len()).take_while(|place| self.cases[*place].lot < lot);
        before.filter(|place| self.waited(claim, *place)).take(BEST).count() < BEST
    }

    /// Whether a case was one that the claimer asked for, and nobody held it from a second before the claim until its answer.
    fn waited(&self, claim: &Claimed, place: usize) -> bool {
        let since = claim.asked.checked_sub(KNOWN_WITHIN).unwrap_or(claim.asked);
        let is_held = |(from, until): &(Instant, Option<Instant>)| {
            *from <= claim.answered && until.is_none_or(|until| until >= since)
        };
        claim
            .platform
            .is_none_or(|platform| self.cases[place].platform == platform)
            && !self.held.get(&place).into_iter().flatten().any(is_held)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a claim agrees with the order if, by figures of its second, hardly any case that waited was better.
    use super::*;

    fn after(start: Instant, milliseconds: u64) -> Instant {
        start + Duration::from_millis(milliseconds)
    }

    /// Forty cases of which the first two move; the others' priorities fall from 40.
    fn cases() -> Vec<Known> {
        let case = |place: usize| Known {
            priority: 40.0 - place as f64,
            moving: (place < 2).then_some(place),
            platform: place % 2,
            lot: place / 10,
        };
        (0..40).map(case).collect()
    }

    fn figures(start: Instant, all: &[[f64; 2]]) -> Vec<Figures> {
        let numbered = all.iter().zip(0..);
        let figures = numbered.map(|(live, second)| Figures {
            from: after(start, second * 1_000),
            told: after(start, second * 1_000 + 100),
            live: live.to_vec(),
        });
        figures.collect()
    }

    fn claim(start: Instant, case: usize, at: u64) -> Claimed {
        Claimed {
            case,
            platform: None,
            asked: after(start, at),
            answered: after(start, at + 20),
            waits_again: Some(after(start, at + 500)),
        }
    }

    #[test]
    fn a_claim_is_right_by_the_figures_of_its_second() {
        let start = Instant::now();
        let figures = figures(start, &[[100.0, 0.0], [0.0, 100.0], [0.0, 100.0], [0.0, 100.0]]);
        let check = |claims: &[Claimed], expected: (u64, u64)| {
            let found = judge(&cases(), &figures, claims);
            assert_eq!((found.agreeing, found.waiting), expected, "{claims:?}");
        };
        // The 20th of those that stand still has 19 before it, and one that moves: by none of the figures is it among the first twenty.
        check(&[claim(start, 20, 3_500)], (1, 0));
        check(&[claim(start, 22, 3_500)], (0, 0));
        // What was the best two figures ago is still known within the second, and not after it.
        check(&[claim(start, 0, 1_500)], (1, 0));
        check(&[claim(start, 0, 2_500)], (0, 1));
        // Of one platform there are half as many.
        let of_one = Claimed {
            platform: Some(0),
            ..claim(start, 38, 3_500)
        };
        check(&[of_one], (1, 0));
    }

    #[test]
    fn who_was_held_was_not_to_be_had() {
        let start = Instant::now();
        let figures = figures(start, &[[0.0, 0.0]; 4]);
        let held: Vec<Claimed> = (2..6).map(|case| claim(start, case, 3_000)).collect();
        let with = |last: Claimed| [held.as_slice(), &[last]].concat();
        assert_eq!(judge(&cases(), &figures, &with(claim(start, 25, 3_400))).agreeing, 5);
        assert_eq!(judge(&cases(), &figures, &with(claim(start, 26, 3_400))).agreeing, 4);
        // A second after they came back they count.
        assert_eq!(judge(&cases(), &figures, &with(claim(start, 25, 5_000))).agreeing, 4);
    }

    #[test]
    fn one_in_ten_may_be_for_what_waits_longest() {
        let start = Instant::now();
        let mut all = cases();
        all.iter_mut().for_each(|case| case.priority = 40.0 - case.priority);
        let figures = figures(start, &[[0.0, 0.0]; 4]);
        let of_first_lot = |number: u64| claim(start, 3, 2_000 + 600 * number);
        let claims: Vec<Claimed> = (0..4).map(of_first_lot).collect();
        let found = judge(&all, &figures, &claims);
        assert_eq!((found.agreeing, found.waiting), (0, 1));
        assert_eq!(found.share(), 0.0);
    }
}
