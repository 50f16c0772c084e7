use std::collections::BTreeMap;

use tocsin_casework::Awaits;
use tocsin_model::{PlatformId, Verdict};

use crate::day::Period;
use crate::quantities::Quantities;
use crate::row::RemovalRow;

/// Sizes of what was posted before it was removed: from this many on, up to before the next.
pub(crate) const COPIES_FROM: [(u64, &str); 6] = [
    (0, "0"),
    (1, "1"),
    (2, "2 to 9"),
    (10, "10 to 99"),
    (100, "100 to 999"),
    (1_000, "1000 and more"),
];

/// What platforms confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Removals {
    pub on: BTreeMap<PlatformId, OnPlatform>,
}

/// Members of decided families on one platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OnPlatform {
    /// Of which the last confirmation of their removal fell into the days: by whether an order came before, and whether the verdict is violating.
    pub removed: BTreeMap<(bool, bool), u64>,
    /// Of which one may have fallen into them before the last one, or before copies came again.
    pub perhaps_removed: BTreeMap<(bool, bool), u64>,
    /// Removals that were counted of the former.
    pub removals: u64,
    /// Copies that were counted of them at the confirmation.
    pub copies: Quantities,
    /// How many of them had so many copies, by the places of [`COPIES_FROM`].
    pub sizes: [u64; COPIES_FROM.len()],
    /// Copies that came after a confirmation, of the former.
    pub returned: u64,
    /// Of which the recommendation was sent again without a person.
    pub recommended_again: u64,
    /// Whose decision went out in the days, and which are not confirmed and never were.
    pub never_confirmed: u64,
    /// Of which what was removed before was restored.
    pub restored: u64,
}

impl Removals {
    pub(crate) fn take(&mut self, row: &RemovalRow, period: &Period) {
        if row.out_at >= period.ends() {
            return;
        }
        let on = self.on.entry(row.platform).or_default();
        let is_confirmed_then = row.confirmed_at.is_some_and(|at| period.holds(at));
        if row.awaits == Awaits::Restore {
            on.restored += u64::from(is_confirmed_then);
            return;
        }
        let key = (row.is_ordered, row.verdict == Verdict::Violating);
        if is_confirmed_then {
            let (copies, removals) = row.settled.unwrap_or_default();
            *on.removed.entry(key).or_default() += 1;
            on.removals += removals;
            on.copies.add(copies);
            let size = COPIES_FROM.iter().rposition(|(from, _)| copies >= *from).unwrap_or(0);
            if let Some(count) = on.sizes.get_mut(size) {
                *count += 1;
            }
            on.returned += row.returned;
        } else if row.settled.is_some() && row.confirmed_at.is_none_or(|at| at >= period.ends()) {
            // The time of a confirmation before the last one is not kept.
            *on.perhaps_removed.entry(key).or_default() += 1;
        }
        on.recommended_again += u64::from(row.recommended_at.is_some_and(|at| period.holds(at)));
        on.never_confirmed +=
            u64::from(row.settled.is_none() && row.confirmed_at.is_none() && period.holds(row.out_at));
    }
}

impl OnPlatform {
    /// Between how many were removed in the days, of those that `which` says by whether they were ordered and violating.
    pub(crate) fn removed(&self, which: impl Fn(bool, bool) -> bool) -> (u64, u64) {
        let sum = |counts: &BTreeMap<(bool, bool), u64>| {
            let counted = counts
                .iter()
                .filter(|((ordered, violating), _)| which(*ordered, *violating));
            counted.map(|(_, count)| count).sum::<u64>()
        };
        let low = sum(&self.removed);
        (low, low + sum(&self.perhaps_removed))
    }
}
