//! A party that inflates harmless content: how far it moved priorities, and how far it could have at most.
//!
//! The day is played twice, with the attacker's events and without them. Beside the hash of its own that the plan gives it, the attacker copies
//! all it does onto harmless families that others spread at that time, where its cap is another one.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_loadtest::day::{Attacked, DayPlan, Family, FamilyKind, Occurrence};
use tocsin_model::{Alert, Milliseconds, Timestamp};

use super::core::{Core, Sizes};
use super::steps::{Step, Steps};

/// What became of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Poisoning {
    /// Of every attacked family and minute.
    pub(super) checks: Vec<Check>,
}

/// One family at one minute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check {
    at: Timestamp,
    family: Family,
    /// Its priority without the attacker's events.
    pub(super) without: f64,
    /// With them.
    pub(super) with: f64,
    /// The most that the attacker could have added.
    pub(super) cap: f64,
}

/// How many families of others are attacked too.
const OTHERS_MAX: usize = 12;
/// They have so many copies by others when the attack begins.
const COPIES_MIN: u32 = 5;
/// What the attacker did counts for so long after its end.
const LOOKED_AT_AFTER: Milliseconds = Milliseconds::from_hours(3);
/// Numbers of the records that the attacker copies: above all others.
const COPIED_FROM: u64 = 1 << 60;

impl Check {
    fn violates(&self) -> bool {
        let change = self.with - self.without;
        change.is_nan() || change > self.cap * (1.0 + 1e-9)
    }
}

impl Poisoning {
    /// All figures by their names.
    pub(super) fn by_name(&self) -> Vec<(String, f64)> {
        let families: BTreeSet<Family> = self.checks.iter().map(|check| check.family).collect();
        let share = |check: &Check| (check.with - check.without) / check.cap;
        [
            (
                "influence_cap_violations",
                self.checks.iter().filter(|check| check.violates()).count() as f64,
            ),
            ("influence_cap_checks", self.checks.len() as f64),
            ("influence_families", families.len() as f64),
            (
                "influence_share_of_cap_max",
                self.checks.iter().map(share).fold(0.0, f64::max),
            ),
        ]
        .map(|(name, figure)| (name.to_owned(), figure))
        .to_vec()
    }
}

/// Plays a day on which a party inflates a hash; nothing where none does.
pub(super) fn run(plan: &DayPlan) -> Poisoning {
    let Some(attack) = plan.attacks.iter().find(|attack| attack.attacked == Attacked::Priority) else {
        return Poisoning::default();
    };
    let begins_at = plan.begins_at + attack.at;
    let looked_at = begins_at..=begins_at + attack.lasts + LOOKED_AT_AFTER;
    let party = plan.platforms[usize::from(attack.platform)].party;
    let sizes = Sizes::for_day(plan);
    let (mut with, mut without) = (Core::new(sizes, plan), Core::new(sizes, plan));
    let mut alerts: Vec<Alert> = Vec::new();
    let mut victims = Victims::default();
    let mut poisoning = Poisoning::default();
    for step in Steps::new(plan) {
        match step {
            Step::Record(record) if is_inflating(&record) => {
                with.take(&record, &mut alerts);
                for copied in victims.copies(&record) {
                    with.take(&copied, &mut alerts);
                }
            }
            Step::Record(record) => {
                with.take(&record, &mut alerts);
                without.take(&record, &mut alerts);
                if (begins_at - Milliseconds::from_hours(1)..begins_at).contains(&record.received_at) {
                    victims.count(&record, party);
                }
            }
            Step::Minute(now) if looked_at.contains(&now) => {
                with.tick(now, &mut alerts);
                without.tick(now, &mut alerts);
                let checks = victims.attacked.iter().map(|family| Check {
                    at: now,
                    family: *family,
                    without: without.priority_of(*family).unwrap_or(0.0),
                    with: with.priority_of(*family).unwrap_or(0.0),
                    cap: without.influence_cap_of(*family, party),
                });
                let checks: Vec<Check> = checks.collect();
                for check in checks.iter().filter(|check| check.violates()) {
                    let (family, at) = (check.family.0, check.at.0);
                    tracing::warn!(family, at, ?check, "a party moved a priority beyond its cap");
                }
                poisoning.checks.extend(checks);
            }
            Step::Minute(now) if now > *looked_at.end() => break,
            Step::Minute(_) => {}
        }
        alerts.clear();
    }
    poisoning
}

/// Only the attacker labels anything on such a day.
fn is_inflating(record: &Occurrence) -> bool {
    record.family.kind() == FamilyKind::Attack && record.tvec_confidence.is_some()
}

/// What the attacker inflates.
#[derive(Clone, Debug, Default)]
struct Victims {
    /// Copies by other parties before the attack.
    copies: BTreeMap<Family, u32>,
    /// The plan's own first.
    attacked: Vec<Family>,
}

impl Victims {
    fn count(&mut self, record: &Occurrence, attacker: u8) {
        let is_harmless = !matches!(record.family.kind(), FamilyKind::Crisis | FamilyKind::Attack);
        if is_harmless && record.party != attacker && record.kind.is_spread() {
            *self.copies.entry(record.family).or_insert(0) += 1;
        }
    }

    /// What the attacker does to the families of others, when it does this to its own.
    fn copies(&mut self, record: &Occurrence) -> Vec<Occurrence> {
        if self.attacked.is_empty() {
            self.attacked.push(record.family);
            self.attacked.extend(self.chosen());
        }
        let others = (0..).zip(&self.attacked[1..]);
        others
            .map(|(place, family)| Occurrence {
                number: COPIED_FROM + record.number * OTHERS_MAX as u64 + place,
                family: *family,
                ..*record
            })
            .collect()
    }

    /// From the most copied one to the least, as many as there may be.
    fn chosen(&self) -> Vec<Family> {
        let enough = self.copies.iter().filter(|(_, copies)| **copies >= COPIES_MIN);
        let mut by_copies: Vec<(u32, Family)> = enough.map(|(family, copies)| (*copies, *family)).collect();
        by_copies.sort_unstable_by(|one, other| other.cmp(one));
        let every = by_copies.len().div_ceil(OTHERS_MAX).max(1);
        by_copies.into_iter().step_by(every).map(|(_, family)| family).collect()
    }
}
