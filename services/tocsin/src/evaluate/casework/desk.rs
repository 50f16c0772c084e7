use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use tocsin_loadtest::day::Family;
use tocsin_model::{Milliseconds, Timestamp};

use super::day::{CaseDay, closes, is_settled_for_good, is_violating};

/// In which order a team takes cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    /// Tocsin's: by live priority, and every so many claims the one that waits longest.
    Priority,
    /// First in, first out.
    Entry,
    /// What was reported most, as far as anybody knew.
    Reports,
    /// By what a decision will have prevented: knows the truth and the future.
    Clairvoyant,
}

impl Order {
    pub(super) const ALL: [Order; 4] = [Order::Priority, Order::Entry, Order::Reports, Order::Clairvoyant];

    /// As figures spell it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Order::Priority => "priority",
            Order::Entry => "fifo",
            Order::Reports => "report_count",
            Order::Clairvoyant => "clairvoyant",
        }
    }
}

/// How long a decision takes.
const DECISION: Milliseconds = Milliseconds::from_minutes(1);
/// Every so many claims Tocsin hands out the case that waits longest: the default of a deployment.
pub(super) const OLDEST_EVERY: u64 = 10;

/// What became of a day's cases in one order.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// Exposure to violating families that was still to come when it was decided about them.
    pub(super) prevented: u64,
    /// Decisions.
    pub(super) decisions: u64,
    /// Cases that nobody had looked at when their spread subsided.
    pub(super) unreviewed: u64,
    /// Seconds from the first time a violating family came to its decision, of those that were decided; ascending.
    pub(super) decided_after_s: Vec<f64>,
    /// Of each case that was decided, or waits in the end: how many claims it waited, as a share of ten times those ahead of it (itself included)
    /// when it came.
    pub(super) wait_share_max: f64,
    /// How many waited beyond that.
    pub(super) waits_beyond_limit: u64,
    /// How many waited, minute by minute.
    pub(super) waiting: Vec<usize>,
}

/// A case that waits.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    came_at: Timestamp,
    /// The live one; once the spread has subsided, that of the alert that said so.
    priority: f64,
    /// Those that waited when it came, and itself.
    ahead: u64,
    claims_before: u64,
}

/// A team at work on a day.
struct Desk<'a> {
    day: &'a CaseDay,
    order: Order,
    waiting: BTreeMap<Family, Waiting>,
    /// Decided, and the spread that was decided about goes on.
    decided: BTreeSet<Family>,
    /// Decided once and for all.
    settled: BTreeSet<Family>,
    first_came_at: BTreeMap<Family, Timestamp>,
    /// Violating families that were decided about.
    stopped: BTreeSet<Family>,
    claims: u64,
    outcome: Outcome,
}

/// Lets a team decide so many cases a minute, one day long.
pub(super) fn work(day: &CaseDay, order: Order, per_minute: f64) -> Outcome {
    let mut desk = Desk {
        day,
        order,
        waiting: BTreeMap::new(),
        decided: BTreeSet::new(),
        settled: BTreeSet::new(),
        first_came_at: BTreeMap::new(),
        stopped: BTreeSet::new(),
        claims: 0,
        outcome: Outcome::default(),
    };
    for place in 0..day.minutes.len() {
        desk.come_and_go(place);
        // People who have nothing to do do not work faster later.
        let until = (per_minute * (place + 1) as f64) as u64 - (per_minute * place as f64) as u64;
        for _ in 0..until {
            desk.decide_one(place);
        }
        desk.outcome.waiting.push(desk.waiting.len());
    }
    // Who still waits in the end has waited too.
    for case in std::mem::take(&mut desk.waiting).into_values() {
        desk.note_wait(case);
    }
    desk.outcome.decided_after_s.sort_by(f64::total_cmp);
    desk.outcome
}

impl Desk<'_> {
    fn come_and_go(&mut self, place: usize) {
        let minute = &self.day.minutes[place];
        for (family, priority) in &minute.subsided {
            self.decided.remove(family);
            match self.waiting.get_mut(family) {
                Some(_) if closes(*priority) => {
                    self.waiting.remove(family);
                    self.outcome.unreviewed += 1;
                }
                Some(case) => case.priority = *priority,
                None => {}
            }
        }
        for (came_at, family) in &minute.came {
            if self.settled.contains(family) || self.waiting.contains_key(family) {
                continue;
            }
            self.first_came_at.entry(*family).or_insert(*came_at);
            let case = Waiting {
                came_at: *came_at,
                priority: 0.0,
                ahead: self.waiting.len() as u64 + 1,
                claims_before: self.claims,
            };
            self.waiting.insert(*family, case);
        }
        for (family, case) in &mut self.waiting {
            case.priority = minute.open.get(family).copied().unwrap_or(case.priority);
        }
    }

    fn decide_one(&mut self, place: usize) {
        let at = self.day.minutes[place].at;
        let Some(family) = self.next(place) else { return };
        let Some(case) = self.waiting.remove(&family) else {
            return;
        };
        self.claims += 1;
        self.note_wait(case);
        self.outcome.decisions += 1;
        let decided_at = at + DECISION;
        if is_settled_for_good(family) {
            self.settled.insert(family);
        } else {
            self.decided.insert(family);
        }
        if is_violating(family) && self.stopped.insert(family) {
            self.outcome.prevented += self.day.truth.after(family, decided_at).exposure;
            let came_at = self.first_came_at[&family];
            let seconds = (decided_at - came_at).0 as f64 / 1_000.0;
            self.outcome.decided_after_s.push(seconds);
        }
    }

    fn note_wait(&mut self, case: Waiting) {
        let share = (self.claims - case.claims_before) as f64 / (OLDEST_EVERY * case.ahead) as f64;
        self.outcome.wait_share_max = self.outcome.wait_share_max.max(share);
        self.outcome.waits_beyond_limit += u64::from(share > 1.0);
    }

    /// The case that this order takes next.
    fn next(&self, place: usize) -> Option<Family> {
        let minute = &self.day.minutes[place];
        let by_age = |(family, case): (&Family, &Waiting)| (Reverse(case.came_at), Reverse(*family));
        let oldest = || {
            let cases = self.waiting.iter().max_by_key(|(family, case)| by_age((family, case)));
            cases.map(|(family, _)| *family)
        };
        let most = |of: &dyn Fn(Family) -> u64| {
            let cases = self.waiting.iter();
            let best = cases.max_by_key(|(family, case)| (of(**family), by_age((family, case))));
            best.map(|(family, _)| *family)
        };
        match self.order {
            Order::Priority if (self.claims + 1).is_multiple_of(OLDEST_EVERY) => oldest(),
            Order::Priority => {
                let cases = self.waiting.iter();
                let best = cases.max_by(|one, other| {
                    let priorities = one.1.priority.total_cmp(&other.1.priority);
                    priorities.then_with(|| by_age(*one).cmp(&by_age(*other)))
                });
                best.map(|(family, _)| *family)
            }
            Order::Entry => oldest(),
            Order::Reports => most(&|family| self.day.reports_before(family, minute.at) as u64),
            Order::Clairvoyant => most(
                &|family| match is_violating(family) && !self.stopped.contains(&family) {
                    true => self.day.truth.after(family, minute.at + DECISION).exposure,
                    false => 0,
                },
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: each order takes what its name says, a decision is worth what was still to come, and nobody starves by priority.
    use rand::rngs::SmallRng;
    use rand::{Rng as _, SeedableRng as _};
    use tocsin_loadtest::day::{Account, FamilyKind, Occurrence};
    use tocsin_loadtest::truth::{Judged, Records};
    use tocsin_model::{Kind, Surface};

    use super::super::day::Minute;
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    fn occurrence(number: u64, family: Family, minute: i64, audience: u32) -> Occurrence {
        let at = Timestamp(minute * MINUTE_MS);
        Occurrence {
            number,
            happened_at: at,
            occurred_at: at,
            received_at: at,
            family,
            account: Account(number),
            audience,
            variant: 0,
            platform: 0,
            party: 0,
            kind: Kind::Upload,
            surface: Surface::Unknown,
            tvec_confidence: None,
        }
    }

    /// A day on which these families are open from one minute to another, those that are named first have the highest priority, and each is
    /// seen by `audience` people every minute until the day ends.
    fn day(minutes: i64, families: &[(Family, std::ops::Range<i64>, u32)]) -> CaseDay {
        day_subsiding(minutes, families, 0.0)
    }

    /// The same; spreads subside at so many times their priority.
    fn day_subsiding(minutes: i64, families: &[(Family, std::ops::Range<i64>, u32)], subsides_at: f64) -> CaseDay {
        let end = Timestamp(minutes * MINUTE_MS);
        let mut records = Records::new(Judged {
            stream_begins_at: Timestamp(0),
            from: Timestamp(0),
            to: end,
        });
        let mut number = 0;
        for (family, _, audience) in families {
            for minute in 0..minutes {
                records.add(&occurrence(number, *family, minute, *audience));
                number += 1;
            }
        }
        let priority = |place: usize| (families.len() - place) as f64;
        let minute = |minute: i64| Minute {
            at: Timestamp(minute * MINUTE_MS),
            open: (0..)
                .zip(families)
                .filter(|(_, (_, open, _))| open.contains(&minute))
                .map(|(place, (family, ..))| (*family, priority(place)))
                .collect(),
            subsided: (0..)
                .zip(families)
                .filter(|(_, (_, open, _))| open.end == minute)
                .map(|(place, (family, ..))| (*family, subsides_at * priority(place)))
                .collect(),
            came: families
                .iter()
                .filter(|(_, open, _)| open.start == minute)
                .map(|(family, ..)| (Timestamp(minute * MINUTE_MS), *family))
                .collect(),
        };
        CaseDay {
            minutes: (0..minutes).map(minute).collect(),
            truth: records.judge(),
            reports: [(families[0].0, vec![Timestamp(0)])].into(),
        }
    }

    #[test]
    fn each_order_takes_what_its_name_says() {
        let harmless = Family::of(FamilyKind::Cascade, 1);
        let [small, large] = [1, 2].map(|number| Family::of(FamilyKind::Crisis, number));
        // The harmless one is the oldest and was reported; of the crises the small one has the higher priority.
        let day = day(10, &[(harmless, 0..10, 1_000), (small, 1..10, 1), (large, 1..10, 100)]);
        // Only the minutes after the first have crises; a decision a minute.
        let prevented = |order| work(&day, order, 1.0).prevented;
        // A decision of minute m is worth what comes after m + 1: of ten minutes, 8 - m.
        assert_eq!(prevented(Order::Priority), 7 + 100 * 6);
        assert_eq!(prevented(Order::Clairvoyant), 100 * 7 + 6);
        assert_eq!(prevented(Order::Entry), 7 + 100 * 6);
        assert_eq!(work(&day, Order::Reports, 1.0).decisions, 3);
        // At half the speed the first decision falls in the second minute, when all are there.
        let slow = |order| work(&day, order, 0.5).prevented;
        assert_eq!(slow(Order::Clairvoyant), 100 * 7 + 5);
        assert_eq!(
            slow(Order::Reports),
            5 + 100 * 3,
            "the reported one is taken first, then the older of two that came at once"
        );
    }

    #[test]
    fn what_subsides_before_anybody_looked_is_counted() {
        let families: Vec<_> = (0..5)
            .map(|number| (Family::of(FamilyKind::Cascade, number), 0..3, 1))
            .collect();
        let outcome = work(&day(5, &families), Order::Priority, 0.5);
        assert_eq!((outcome.decisions, outcome.unreviewed), (1, 4));
        // What was grave enough is looked at although it is over.
        let outcome = work(&day_subsiding(12, &families, 1_000.0), Order::Priority, 0.5);
        assert_eq!((outcome.decisions, outcome.unreviewed), (5, 0));
    }

    #[test]
    fn by_priority_no_case_waits_for_more_than_ten_times_those_ahead() {
        let mut longest: f64 = 0.0;
        for seed in 0..50 {
            let mut random = SmallRng::seed_from_u64(seed);
            let families: Vec<_> = (0..random.random_range(1..60))
                .map(|number| {
                    let from = random.random_range(0..200);
                    let open = from..from + random.random_range(1..400);
                    (Family::of(FamilyKind::Cascade, number), open, 1)
                })
                .collect();
            let outcome = work(&day(300, &families), Order::Priority, random.random_range(0.1..2.0));
            assert_eq!(outcome.waits_beyond_limit, 0, "seed {seed}: {}", outcome.wait_share_max);
            assert!(outcome.decisions + outcome.unreviewed <= families.len() as u64);
            longest = longest.max(outcome.wait_share_max);
        }
        assert!(longest > 0.5, "nobody waited: {longest}");
    }
}
