use std::collections::{BTreeMap, BTreeSet};

use tocsin_casework::UNREVIEWED_BELOW;
use tocsin_loadtest::day::{DayPlan, Family, FamilyKind};
use tocsin_loadtest::truth::{Records, Truth};
use tocsin_model::{Alert, AlertLevel, Kind, Timestamp};

use super::super::alarm::core::{Core, Sizes};
use super::super::alarm::steps::{Step, Steps};

/// What a team sees of a day, minute by minute, if nobody decides: the same for every order.
#[derive(Debug)]
pub(super) struct CaseDay {
    /// The minutes of the day, in order.
    pub(super) minutes: Vec<Minute>,
    /// What truly happened.
    pub(super) truth: Truth,
    /// When reports of families that were ever open were received, ascending.
    pub(super) reports: BTreeMap<Family, Vec<Timestamp>>,
}

/// What is open in a minute.
#[derive(Debug)]
pub(super) struct Minute {
    pub(super) at: Timestamp,
    /// Families whose spread goes on, with their priorities, ascending.
    pub(super) open: BTreeMap<Family, f64>,
    /// Those that were not among them a minute ago, in the order in which they came.
    pub(super) came: Vec<(Timestamp, Family)>,
    /// Those that were and are not any more, with the priority of the alert that said so.
    pub(super) subsided: BTreeMap<Family, f64>,
}

impl CaseDay {
    /// Plays the day to key groups.
    pub(super) fn play(plan: &DayPlan) -> Self {
        let mut core = Core::new(Sizes::for_day(plan), plan);
        let mut records = Records::new(plan.judged());
        let mut reports: BTreeMap<Family, Vec<Timestamp>> = BTreeMap::new();
        let mut alerts: Vec<Alert> = Vec::new();
        let mut raised = Raised::default();
        let mut minutes: Vec<Minute> = Vec::new();
        for step in Steps::new(plan) {
            match step {
                Step::Record(record) => {
                    core.take(&record, &mut alerts);
                    records.add(&record);
                    if record.kind == Kind::Report {
                        reports.entry(record.family).or_default().push(record.received_at);
                    }
                }
                Step::Minute(now) => {
                    core.tick(now, &mut alerts);
                    raised.take(&alerts);
                    alerts.clear();
                    minutes.push(raised.minute(now, core.standings()));
                }
            }
        }
        reports.retain(|family, _| raised.ever.contains(family));
        CaseDay {
            minutes,
            truth: records.judge(),
            reports,
        }
    }

    /// How often a family had been reported, as far as anybody knew.
    pub(super) fn reports_before(&self, family: Family, at: Timestamp) -> usize {
        let reports = self.reports.get(&family).map_or(&[][..], Vec::as_slice);
        reports.partition_point(|received_at| *received_at <= at)
    }

    /// Cases that came, if nobody decides: a family that rings again counts again once its case was closed.
    pub(super) fn arrivals(&self) -> u64 {
        let (mut cases, mut arrivals) = (BTreeSet::new(), 0);
        for minute in &self.minutes {
            for (family, priority) in &minute.subsided {
                if closes(*priority) {
                    cases.remove(family);
                }
            }
            arrivals += minute.came.iter().filter(|(_, family)| cases.insert(*family)).count() as u64;
        }
        arrivals
    }
}

/// Whether a case that nobody looked at closes when its spread subsides at this priority.
pub(super) fn closes(priority: f64) -> bool {
    priority < UNREVIEWED_BELOW
}

/// What became open, and when.
#[derive(Debug, Default)]
struct Raised {
    at: BTreeMap<Family, Timestamp>,
    ever: BTreeSet<Family>,
    open: BTreeSet<Family>,
    /// The priorities of the latest alerts that said that a spread is over.
    over: BTreeMap<Family, f64>,
}

impl Raised {
    fn take(&mut self, alerts: &[Alert]) {
        for alert in alerts {
            let family = Core::family_of(alert);
            if alert.level == AlertLevel::Raised {
                self.at.insert(family, alert.at);
                self.ever.insert(family);
            } else if alert.level == AlertLevel::Subsided {
                self.over.insert(family, alert.priority);
            }
        }
    }

    fn minute(&mut self, at: Timestamp, standings: Vec<(Family, f64)>) -> Minute {
        let open: BTreeMap<Family, f64> = standings.into_iter().collect();
        let new = open.keys().filter(|family| !self.open.contains(family));
        let mut came: Vec<(Timestamp, Family)> = new
            .map(|family| (self.at.get(family).copied().unwrap_or(at), *family))
            .collect();
        came.sort_unstable();
        let gone = self.open.iter().filter(|family| !open.contains_key(family));
        let subsided = gone
            .map(|family| (*family, self.over.remove(family).unwrap_or(0.0)))
            .collect();
        self.open = open.keys().copied().collect();
        Minute {
            at,
            open,
            came,
            subsided,
        }
    }
}

/// What a decision about a family prevents is prevented for good; only what was decided to be harmless does not come back when it rings again,
/// as in the casework of a deployment.
pub(super) fn is_settled_for_good(family: Family) -> bool {
    !matches!(
        family.kind(),
        FamilyKind::Crisis | FamilyKind::News | FamilyKind::Attack
    )
}

/// Whether people decide that it violates.
pub(super) fn is_violating(family: Family) -> bool {
    family.kind() == FamilyKind::Crisis
}
