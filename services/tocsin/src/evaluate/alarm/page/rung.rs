//! What the alarms of a detector were about.

use std::collections::BTreeMap;

use tocsin_loadtest::day::FamilyKind;
use tocsin_loadtest::score::Verdict;

use super::super::figures::days_of;
use super::super::play::Played;

/// Alarms by what they were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rung {
    /// Right ones about crises.
    pub(super) crises: u64,
    /// Right ones about anything else, by what it was.
    pub(super) others: BTreeMap<FamilyKind, u64>,
    pub(super) near: u64,
    /// Repeats included.
    pub(super) false_alarms: u64,
}

impl Rung {
    /// Those of one detector on the days on which it watched.
    pub(super) fn of(played: &[Played], detector: &str) -> Self {
        let mut rung = Rung::default();
        let days = days_of(played, detector);
        let alarms = days.iter().flat_map(|day| &day.alarms);
        for alarm in alarms.filter(|alarm| alarm.detector == detector) {
            match alarm.verdict {
                Verdict::Right if alarm.kind == FamilyKind::Crisis => rung.crises += 1,
                Verdict::Right => *rung.others.entry(alarm.kind).or_default() += 1,
                Verdict::Near => rung.near += 1,
                Verdict::False | Verdict::Repeat => rung.false_alarms += 1,
            }
        }
        rung
    }

    pub(super) fn others(&self) -> u64 {
        self.others.values().sum()
    }

    pub(super) fn right(&self) -> u64 {
        self.crises + self.others()
    }

    pub(super) fn all(&self) -> u64 {
        self.right() + self.near + self.false_alarms
    }
}

/// What the contents of a kind are.
pub(super) fn words(kind: FamilyKind) -> &'static str {
    match kind {
        FamilyKind::Ordinary => "about popular contents",
        FamilyKind::Burst => "about bursts",
        FamilyKind::Cascade => "about large cascades",
        FamilyKind::News => "about excerpts in the news",
        FamilyKind::Launch => "about product launches",
        FamilyKind::Petition => "about petitions",
        FamilyKind::Attack => "about what an attacker inflates",
        FamilyKind::Crisis => "about crises",
    }
}
