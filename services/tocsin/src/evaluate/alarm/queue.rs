//! The order of the queue on a day with thousands of cascades on which nobody decides: beside the same formula on exact numbers, beside what
//! knew the future, and beside first in, first out.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_loadtest::day::{DayPlan, Family, FamilyKind, Occurrence, Scale};
use tocsin_loadtest::truth::{Records, Truth};
use tocsin_model::{Alert, AlertLevel, Milliseconds, Timestamp};

use super::accounts::{self, Forecasts, Outcome};
use super::core::{Core, Sizes};
use super::steps::{Step, Steps};

/// What the queue was like.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) begins_at: Timestamp,
    /// Large harmless cascades of which something happened on the day, and crises.
    pub(super) cascades: usize,
    pub(super) crises: usize,
    /// How many were open, minute by minute of the day.
    pub(super) open: Vec<usize>,
    /// Of the first so many, how many the exact order has among its first, a share for each minute with at least twice as many items.
    pub(super) precision: Vec<(usize, Vec<f64>)>,
    /// For each minute with at least twice as many items as are looked at: what the first of them still had to prevent, as a share of the most
    /// that so many items had.
    pub(super) captured: Vec<Captured>,
    /// How many were open in the hours with more cascades, where these were compared.
    pub(super) rush_open_max: Option<usize>,
    /// What alerts told of the hour after them, beside what came.
    pub(super) forecasts: Vec<Outcome>,
}

/// Shares of what the order that knows the future captures in its first places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Captured {
    pub(super) at: Timestamp,
    /// Of the exposure to crises, by priority.
    pub(super) by_priority: f64,
    /// First in, first out.
    pub(super) by_entry: f64,
    /// The same of the exposure to whatever is in the queue, harmless or not.
    pub(super) any_by_priority: f64,
    /// See above.
    pub(super) any_by_entry: f64,
}

/// How many first places are compared with the exact order.
const PLACES: [usize; 3] = [20, 100, CROWDED_PLACES];
/// With 5,000 cascades a day fewer than 2,000 are ever open at once, since an episode ends with its spread: so many places are compared in a few
/// hours with so many times the cascades.
pub(super) const CROWDED_PLACES: usize = 1_000;
const CROWDED: f64 = 5.0;
const CROWDED_HOURS: Milliseconds = Milliseconds::from_hours(6);
/// How many first places people look at.
pub(super) const LOOKED_AT: usize = 20;
/// At a smaller scale than this there are fewer cascades too.
const ALL_CASCADES_FROM: f64 = 0.01;
const MINUTE: Milliseconds = Milliseconds::from_minutes(1);

/// The queue of one minute.
struct Minute {
    at: Timestamp,
    /// All that is open, by priority.
    order: Vec<Family>,
    /// What came first, of the same.
    entered: Vec<Family>,
}

/// Plays the day, and a few hours with more cascades beside it where the day does not fill all places twice.
pub(super) fn run(scale: Scale, seed: u64) -> Queue {
    let mut plan = DayPlan::queue(scale, seed);
    plan.cascades.per_day *= (scale.0 / ALL_CASCADES_FROM).min(1.0);
    if scale.0 < ALL_CASCADES_FROM {
        return day(&plan);
    }
    std::thread::scope(|scope| {
        let rush = scope.spawn(|| crowded(&plan, CROWDED_PLACES));
        let mut queue = day(&plan);
        let rush = rush.join().expect("it panics only where the program is wrong");
        let is_filled = |(places, shares): &(usize, Vec<f64>)| *places == CROWDED_PLACES && !shares.is_empty();
        if !queue.precision.iter().any(is_filled) {
            queue.precision.retain(|(places, _)| *places != CROWDED_PLACES);
            queue.precision.extend(rush.precision);
            queue.rush_open_max = rush.open.iter().max().copied();
        }
        queue
    })
}

/// The queue of a day, and what acting on it would have prevented.
fn day(plan: &DayPlan) -> Queue {
    let mut records = Records::new(plan.judged());
    let mut entries = Entries::default();
    let (mut minutes, mut forecasts) = (Vec::new(), Forecasts::default());
    let mut queue = Queue::new(plan, &PLACES);
    let mut seen: BTreeSet<Family> = BTreeSet::new();
    play(plan, |step| match step {
        Seen::Record(record) => {
            records.add(record);
            let is_told = matches!(record.family.kind(), FamilyKind::Cascade | FamilyKind::Crisis);
            if is_told && record.happened_at >= plan.begins_at {
                seen.insert(record.family);
            }
        }
        Seen::Minute(now, alerts, order, exact) => {
            entries.take(alerts);
            forecasts.take(alerts);
            queue.compare(order, exact);
            let order: Vec<Family> = order.iter().map(|(family, _)| *family).collect();
            minutes.push(Minute {
                at: now,
                entered: entries.first(&order),
                order,
            });
        }
    });
    let truth = records.judge();
    let of_kind = |kind: FamilyKind| seen.iter().filter(|family| family.kind() == kind).count();
    (queue.cascades, queue.crises) = (of_kind(FamilyKind::Cascade), of_kind(FamilyKind::Crisis));
    queue.forecasts = forecasts.outcomes(&truth);
    let remaining = Remaining::new(plan, &truth, &minutes);
    queue.captured = minutes.iter().filter_map(|minute| remaining.captured(minute)).collect();
    queue
}

/// The queue of a few hours around the peak of a day with more cascades, for the places that the day itself never fills twice.
fn crowded(plan: &DayPlan, places: usize) -> Queue {
    let begins = Milliseconds(plan.rhythm.peak.0 - CROWDED_HOURS.0 / 2);
    let mut plan = DayPlan {
        begins_at: plan.begins_at + begins,
        lasts: CROWDED_HOURS,
        ..plan.clone()
    };
    plan.cascades.per_day *= CROWDED;
    let mut queue = Queue::new(&plan, &[places]);
    play(&plan, |step| {
        if let Seen::Minute(_, _, order, exact) = step {
            queue.compare(order, exact);
        }
    });
    queue
}

/// What a day looks like to the groups.
enum Seen<'a> {
    Record(&'a Occurrence),
    /// A minute, the alerts since the one before, and what is open by priority: to the groups, and to those with exact counts of everything.
    Minute(Timestamp, &'a [Alert], &'a [(Family, f64)], &'a [(Family, f64)]),
}

/// Plays a day to the groups and to the same with exact counts of everything.
fn play(plan: &DayPlan, mut see: impl FnMut(Seen<'_>)) {
    let mut core = Core::new(Sizes::for_day(plan), plan);
    let mut exact = Core::new(Sizes::EXACT, plan);
    let (mut alerts, mut exact_alerts) = (Vec::new(), Vec::new());
    for step in Steps::new(plan) {
        match step {
            Step::Record(record) => {
                core.take(&record, &mut alerts);
                exact.take(&record, &mut exact_alerts);
                see(Seen::Record(&record));
            }
            Step::Minute(now) => {
                core.tick(now, &mut alerts);
                exact.tick(now, &mut exact_alerts);
                let (order, exactly) = (in_order(core.standings()), in_order(exact.standings()));
                see(Seen::Minute(now, &alerts, &order, &exactly));
                alerts.clear();
                exact_alerts.clear();
            }
        }
    }
}

/// By priority, highest first; of the same priority in the order of their numbers.
fn in_order(mut standings: Vec<(Family, f64)>) -> Vec<(Family, f64)> {
    standings.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
    standings
}

impl Queue {
    fn new(plan: &DayPlan, places: &[usize]) -> Self {
        Queue {
            begins_at: plan.begins_at,
            cascades: 0,
            crises: 0,
            open: Vec::new(),
            precision: places.iter().map(|places| (*places, Vec::new())).collect(),
            captured: Vec::new(),
            rush_open_max: None,
            forecasts: Vec::new(),
        }
    }

    fn compare(&mut self, order: &[(Family, f64)], exact: &[(Family, f64)]) {
        for (places, shares) in &mut self.precision {
            let places = *places;
            if order.len() < 2 * places || exact.len() < places {
                continue;
            }
            let first: BTreeMap<Family, f64> = exact[..places].iter().copied().collect();
            let found = order[..places].iter().filter(|(family, _)| first.contains_key(family));
            shares.push(found.count() as f64 / places as f64);
        }
        self.open.push(order.len());
    }

    /// All figures by their names. NaN where no minute had items enough.
    pub(super) fn by_name(&self) -> Vec<(String, f64)> {
        let mut open: Vec<f64> = self.open.iter().map(|open| *open as f64).collect();
        open.sort_by(f64::total_cmp);
        let mut figures = vec![
            (
                "queue_open_p50".to_owned(),
                open.get(open.len() / 2).copied().unwrap_or(f64::NAN),
            ),
            ("queue_open_max".to_owned(), open.last().copied().unwrap_or(f64::NAN)),
        ];
        for (places, shares) in &self.precision {
            figures.push((format!("queue_precision_at_{places}"), mean(shares.iter().copied())));
            figures.push((format!("queue_minutes_at_{places}"), shares.len() as f64));
        }
        if let Some(open) = self.rush_open_max {
            figures.push(("queue_open_max_at_1000".to_owned(), open as f64));
        }
        let captured = |of: fn(&Captured) -> f64| mean(self.captured.iter().map(of));
        for (name, value) in [
            (
                "preventable_exposure_captured_20",
                captured(|minute| minute.by_priority),
            ),
            (
                "preventable_exposure_captured_20_fifo",
                captured(|minute| minute.by_entry),
            ),
            ("any_exposure_captured_20", captured(|minute| minute.any_by_priority)),
            ("any_exposure_captured_20_fifo", captured(|minute| minute.any_by_entry)),
        ] {
            figures.push((name.to_owned(), value));
        }
        figures.extend(accounts::by_name(&self.forecasts));
        figures
    }
}

/// Of what there is to take a mean of: what is NaN is not.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values.filter(|value| !value.is_nan()) {
        sum += value;
        count += 1.0;
    }
    sum / count
}

/// When each family that is open came into the queue.
#[derive(Clone, Debug, Default)]
struct Entries(BTreeMap<Family, Timestamp>);

impl Entries {
    fn take(&mut self, alerts: &[Alert]) {
        for alert in alerts {
            let family = Core::family_of(alert);
            if alert.level == AlertLevel::Subsided {
                self.0.remove(&family);
            } else {
                self.0.entry(family).or_insert(alert.at);
            }
        }
    }

    /// Those of these that came first.
    fn first(&self, open: &[Family]) -> Vec<Family> {
        let entered = |family: &Family| self.0.get(family).copied().unwrap_or(Timestamp::MIN);
        let mut order: Vec<(Timestamp, Family)> = open.iter().map(|family| (entered(family), *family)).collect();
        order.sort_unstable();
        order.into_iter().take(LOOKED_AT).map(|(_, family)| family).collect()
    }
}

/// The exposure to come of everything that was ever in the queue, at every minute.
struct Remaining {
    begins_at: Timestamp,
    exposures: BTreeMap<Family, Vec<u64>>,
}

impl Remaining {
    fn new(plan: &DayPlan, truth: &Truth, minutes: &[Minute]) -> Self {
        let mut exposures = BTreeMap::new();
        for family in minutes.iter().flat_map(|minute| &minute.order) {
            exposures.entry(*family).or_insert_with(|| {
                let at = |minute: usize| plan.begins_at + Milliseconds(MINUTE.0 * minute as i64);
                let mut sum = truth.after(*family, at(minutes.len())).exposure;
                let mut remaining: Vec<u64> = (0..minutes.len())
                    .rev()
                    .map(|minute| {
                        sum += truth.between(*family, at(minute), at(minute + 1)).exposure;
                        sum
                    })
                    .collect();
                remaining.reverse();
                remaining
            });
        }
        Remaining {
            begins_at: plan.begins_at,
            exposures,
        }
    }

    /// `None` where there were too few items.
    fn captured(&self, minute: &Minute) -> Option<Captured> {
        if minute.order.len() < 2 * LOOKED_AT {
            return None;
        }
        let share = |of: &[Family], counts: fn(FamilyKind) -> bool| {
            let exposure = |family: &Family| match counts(family.kind()) {
                true => self.at(*family, minute.at),
                false => 0,
            };
            let mut most: Vec<u64> = minute.order.iter().map(exposure).collect();
            most.sort_unstable_by(|one, other| other.cmp(one));
            let most: u64 = most.iter().take(LOOKED_AT).sum();
            let captured: u64 = of.iter().take(LOOKED_AT).map(exposure).sum();
            if most == 0 {
                f64::NAN
            } else {
                captured as f64 / most as f64
            }
        };
        let is_crisis = |kind| kind == FamilyKind::Crisis;
        Some(Captured {
            at: minute.at,
            by_priority: share(&minute.order, is_crisis),
            by_entry: share(&minute.entered, is_crisis),
            any_by_priority: share(&minute.order, |_| true),
            any_by_entry: share(&minute.entered, |_| true),
        })
    }

    fn at(&self, family: Family, at: Timestamp) -> u64 {
        let minute = ((at - self.begins_at).0 / MINUTE.0) as usize;
        let remaining = self.exposures.get(&family).and_then(|remaining| remaining.get(minute));
        remaining.copied().unwrap_or(0)
    }
}
