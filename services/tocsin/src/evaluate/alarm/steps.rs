use tocsin_loadtest::day::{Day, DayPlan, Occurrence};
use tocsin_model::{Milliseconds, Timestamp};

/// A day for whoever looks at something every minute: its records in the order of their receipt, and between them the minutes, from the beginning
/// of the judged part to its end. A minute comes before all that is received at it or later.
pub(in crate::evaluate) struct Steps {
    day: Day,
    next: Option<Occurrence>,
    minute: Timestamp,
    ends_at: Timestamp,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
pub(in crate::evaluate) enum Step {
    /// A record is received.
    Record(Occurrence),
    /// This minute begins.
    Minute(Timestamp),
}

const MINUTE: Milliseconds = Milliseconds::from_minutes(1);

impl Steps {
    pub(in crate::evaluate) fn new(plan: &DayPlan) -> Self {
        let mut day = Day::new(plan);
        Steps {
            next: day.next(),
            day,
            minute: plan.begins_at,
            ends_at: plan.ends_at(),
        }
    }
}

impl Iterator for Steps {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let is_due = |record: &Occurrence| record.received_at >= self.minute;
        if self.minute <= self.ends_at && self.next.as_ref().is_none_or(is_due) {
            let minute = self.minute;
            self.minute = minute + MINUTE;
            return Some(Step::Minute(minute));
        }
        let record = self.next.take()?;
        self.next = self.day.next();
        Some(Step::Record(record))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tocsin_loadtest::day::Scale;

    #[test]
    fn every_minute_of_the_day_comes_once_and_before_what_is_received_in_it() {
        let plan = DayPlan {
            lasts: Milliseconds::from_hours(1),
            ..DayPlan::ordinary(Scale(1e-6), 3, 0)
        };
        let steps: Vec<Step> = Steps::new(&plan).collect();
        let minutes = steps.iter().filter(|step| matches!(step, Step::Minute(_))).count();
        assert_eq!((minutes, steps.len() - minutes), (61, Day::new(&plan).count()));
        let mut passed = plan.stream_begins_at();
        for step in steps {
            match step {
                Step::Minute(minute) => passed = minute,
                Step::Record(record) => assert!(
                    record.received_at >= passed && (passed >= plan.ends_at() || record.received_at - passed < MINUTE)
                        || passed < plan.begins_at,
                    "{record:?} after {passed:?}"
                ),
            }
        }
    }
}
