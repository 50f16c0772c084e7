use tocsin_model::{Milliseconds, Timestamp, Verdict};

use crate::command_rules::LEASE_MAX;

/// A case is grave from this severity on.
pub const GRAVE_FROM: f64 = 2.0;

/// When somebody should pause: whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PauseRules {
    /// After so long without a pause; `None`: never for this reason.
    pub after: Option<Milliseconds>,
    /// After so many cases looked at without a pause; `None`: never for this reason.
    pub after_cases: Option<u32>,
    /// So long without a case is a pause.
    pub length: Milliseconds,
}

/// What somebody did with a case, as far as their shift is about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShiftStep {
    /// When, by the store's clock.
    pub at: Timestamp,
    /// What.
    pub kind: ShiftStepKind,
    /// How grave the case was.
    pub severity: f64,
}

/// What somebody did with a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShiftStepKind {
    /// Took it or was handed it, and so looked at it.
    Claimed,
    /// Has it again, since a decision was taken back.
    TakenBack,
    /// Decided it, by a decision that stands.
    Decided(Verdict),
    /// Gave it back, with a reason or without.
    GivenBack,
    /// Gave it to somebody else, or to a desk.
    HandedOn,
    /// Put it aside.
    Held,
    /// Anything else: work, of no kind that is counted.
    Other,
}

/// What one person's work came to, for that person. Of nobody else is it ever told, and no two are held against each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    /// The first step in the time asked about.
    pub began_at: Option<Timestamp>,
    /// Cases looked at: an exposure each.
    pub cases_seen: u32,
    /// Those from [`GRAVE_FROM`] on.
    pub grave_seen: u32,
    /// Cases looked at within the last hour.
    pub cases_seen_1h: u32,
    /// See [`Shift::decided_as`]; in the order of [`Verdict::ALL`].
    decided: [u32; Verdict::ALL.len()],
    /// Given back, with a reason or without.
    pub given_back: u32,
    /// Given to somebody else, or to a desk.
    pub handed_on: u32,
    /// Put aside.
    pub held: u32,
    /// How many pauses.
    pub pauses: u32,
    /// Since when without a pause; `None`: pausing now, or nothing was done.
    pub working_since: Option<Timestamp>,
    /// Cases looked at since then.
    pub cases_seen_since: u32,
    /// Whether it is time for a pause.
    pub pause_due: bool,
}

const HOUR: Milliseconds = Milliseconds::from_hours(1);

impl Shift {
    /// What these steps of one person, in the order in which they were done, come to at `now`. Counted is what was done from `since` on; whether it is time for a
    /// pause rests on all of them, so they should go back [`PauseRules::LOOKS_BACK`]. A time that goes back is no time between two steps.
    ///
    /// Who took a case works on it as long as the longest lease: what follows later than that comes after a pause, unless a lease still holds a case
    /// (`is_holding`).
    pub fn of(
        steps: impl IntoIterator<Item = ShiftStep>,
        (since, now): (Timestamp, Timestamp),
        is_holding: bool,
        rules: &PauseRules,
    ) -> Shift {
        let mut shift = Shift::default();
        let mut last: Option<ShiftStep> = None;
        for step in steps {
            let is_counted = step.at >= since;
            if last.is_some_and(|last| rules.is_pause(&last, step.at)) {
                shift.pauses += u32::from(is_counted);
                shift.working_since = None;
                shift.cases_seen_since = 0;
            }
            shift.working_since.get_or_insert(step.at);
            shift.cases_seen_since += u32::from(step.kind == ShiftStepKind::Claimed);
            if is_counted {
                shift.began_at.get_or_insert(step.at);
                shift.count(&step, now);
            }
            last = Some(step);
        }
        if !is_holding && last.is_some_and(|last| rules.is_pause(&last, now)) {
            shift.working_since = None;
            shift.cases_seen_since = 0;
        }
        shift.pause_due = shift.working_since.is_some_and(|since| {
            let is_long = rules.after.is_some_and(|after| now - since >= after);
            let is_much = rules.after_cases.is_some_and(|cases| shift.cases_seen_since >= cases);
            is_long || is_much
        });
        shift
    }

    /// How many decisions of this verdict stand.
    pub fn decided_as(&self, verdict: Verdict) -> u32 {
        let of = Verdict::ALL.iter().position(|known| *known == verdict);
        of.and_then(|of| self.decided.get(of)).copied().unwrap_or_default()
    }

    fn count(&mut self, step: &ShiftStep, now: Timestamp) {
        match step.kind {
            ShiftStepKind::Claimed => {
                self.cases_seen += 1;
                self.grave_seen += u32::from(step.severity >= GRAVE_FROM);
                self.cases_seen_1h += u32::from(now - step.at < HOUR);
            }
            ShiftStepKind::Decided(verdict) => {
                let of = Verdict::ALL.iter().position(|known| *known == verdict);
                if let Some(count) = of.and_then(|of| self.decided.get_mut(of)) {
                    *count += 1;
                }
            }
            ShiftStepKind::GivenBack => self.given_back += 1,
            ShiftStepKind::HandedOn => self.handed_on += 1,
            ShiftStepKind::Held => self.held += 1,
            ShiftStepKind::TakenBack | ShiftStepKind::Other => {}
        }
    }
}

impl PauseRules {
    /// How long somebody may work without a pause, at most, before they are told.
    pub const AFTER_MAX: Milliseconds = Milliseconds::from_hours(8);
    /// How far back steps count for whether a pause is due.
    pub const LOOKS_BACK: Milliseconds = Milliseconds::from_hours(10);

    /// Whether anybody is ever told.
    pub fn any(&self) -> bool {
        self.after.is_some() || self.after_cases.is_some()
    }

    /// Whether the time from a step until `then` was a pause.
    fn is_pause(&self, step: &ShiftStep, then: Timestamp) -> bool {
        let longest = match step.kind {
            ShiftStepKind::Claimed | ShiftStepKind::TakenBack => self.length.max(LEASE_MAX),
            _ => self.length,
        };
        then - step.at >= longest
    }
}

#[cfg(test)]
mod tests {
    //! Goal: who works long or sees much is told so, a pause is seen as one, and clocks that run backwards neither make nor end one.
    use super::*;

    const RULES: PauseRules = PauseRules {
        after: Some(Milliseconds::from_minutes(50)),
        after_cases: Some(4),
        length: Milliseconds::from_minutes(10),
    };

    fn minute(minute: i64) -> Timestamp {
        Timestamp(0) + Milliseconds::from_minutes(minute)
    }

    fn step(at: i64, kind: ShiftStepKind) -> ShiftStep {
        ShiftStep {
            at: minute(at),
            kind,
            severity: 1.0,
        }
    }

    fn at(now: i64, steps: &[ShiftStep]) -> Shift {
        Shift::of(steps.iter().copied(), (minute(0), minute(now)), false, &RULES)
    }

    use ShiftStepKind::{Claimed, Decided, GivenBack, HandedOn, Held, Other, TakenBack};

    #[test]
    fn what_was_done_is_counted() {
        let grave = ShiftStep {
            severity: GRAVE_FROM,
            ..step(61, Claimed)
        };
        let shift = at(
            65,
            &[
                step(0, Claimed),
                step(1, Decided(Verdict::Violating)),
                step(2, Claimed),
                step(3, GivenBack),
                step(4, HandedOn),
                step(5, Held),
                step(6, Other),
                grave,
                step(63, Decided(Verdict::Violating)),
            ],
        );
        assert_eq!(
            (shift.began_at, shift.cases_seen, shift.grave_seen),
            (Some(minute(0)), 3, 1)
        );
        assert_eq!(shift.cases_seen_1h, 1, "the others are an hour old");
        assert_eq!(
            (shift.decided_as(Verdict::Violating), shift.decided_as(Verdict::Benign)),
            (2, 0)
        );
        assert_eq!((shift.given_back, shift.handed_on, shift.held), (1, 1, 1));
        assert_eq!((shift.pauses, shift.working_since), (1, Some(minute(61))));
        assert_eq!(shift.cases_seen_since, 1);
    }

    #[test]
    fn a_pause_is_due_after_long_work_or_many_cases() {
        let nine_minutes_each = |cases: i64| -> Vec<ShiftStep> {
            let of = |case: i64| [step(9 * case, Claimed), step(9 * case + 8, Decided(Verdict::Benign))];
            (0..cases).flat_map(of).collect()
        };
        assert!(!at(27, &nine_minutes_each(3)).pause_due);
        assert!(at(35, &nine_minutes_each(4)).pause_due, "four cases");
        let held = [step(0, Claimed)];
        assert!(!at(49, &held).pause_due);
        assert!(at(50, &held).pause_due, "fifty minutes on one case are no pause");
        assert_eq!(at(60, &held).working_since, None, "the longest lease is over");
        let paused = at(45, &nine_minutes_each(4));
        assert!(
            !paused.pause_due && paused.working_since.is_none(),
            "ten minutes after the last step"
        );
        let never = PauseRules {
            after: None,
            after_cases: None,
            ..RULES
        };
        let times = (minute(0), minute(179));
        assert!(!Shift::of(nine_minutes_each(20), times, false, &never).pause_due && !never.any());
    }

    #[test]
    fn a_pause_does_not_depend_on_what_is_counted_nor_on_how_long_a_case_is_held() {
        let steps = [step(0, Claimed), step(30, Decided(Verdict::Benign)), step(35, Claimed)];
        let of = |since, now, is_holding| {
            let times = (minute(since), minute(now));
            Shift::of(steps, times, is_holding, &RULES)
        };
        let latest = of(31, 55, false);
        assert_eq!((latest.cases_seen, latest.began_at), (1, Some(minute(35))));
        assert_eq!((latest.working_since, latest.pause_due), (Some(minute(0)), true));
        assert_eq!(of(31, 95, false).working_since, None, "the longest lease is over");
        let renewed = of(31, 200, true);
        assert_eq!((renewed.working_since, renewed.pause_due), (Some(minute(0)), true));
        let taken_back = [step(0, Claimed), step(1, Decided(Verdict::Benign)), step(2, TakenBack)];
        let shift = Shift::of(taken_back, (minute(0), minute(50)), false, &RULES);
        assert_eq!(
            (shift.cases_seen, shift.pause_due),
            (1, true),
            "the case is in hand again"
        );
    }

    #[test]
    fn nothing_done_is_an_empty_shift() {
        assert_eq!(at(9, &[]), Shift::default());
    }

    #[test]
    fn clocks_that_run_backwards_make_no_pause() {
        let shift = at(
            21,
            &[step(20, Claimed), step(5, Other), step(14, Other), step(19, Other)],
        );
        assert_eq!((shift.pauses, shift.working_since), (0, Some(minute(20))));
        assert!(!at(10, &[step(20, Claimed)]).pause_due, "now is before it began");
    }
}
