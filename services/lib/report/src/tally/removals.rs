use std::collections::BTreeMap;

use tocsin_casework::Awaits;
use tocsin_model::{PlatformId, Timestamp, Verdict};

use crate::day::Period;
use crate::quantities::Quantities;
use crate::row::{ContentKind, Ordered, RemovalRow};

/// Sizes of what was posted before it was removed: from this many on, up to before the next.
pub(crate) const COPIES_FROM: [(u64, &str); 6] = [
    (0, "0"),
    (1, "1"),
    (2, "2 to 9"),
    (10, "10 to 99"),
    (100, "100 to 999"),
    (1_000, "1000 and more"),
];

/// How often was seen what was removed: from this many on, up to before the next. 0 and few are one class: an upper number is not less than 1, since a sample that
/// tells of no view is none, but a lower one is 0 where all views may have come after the removal.
pub(crate) const VIEWS_FROM: [(u64, &str); 7] = [
    (0, "0 to 9"),
    (10, "10 to 99"),
    (100, "100 to 999"),
    (1_000, "1000 to 9999"),
    (10_000, "10000 to 99999"),
    (100_000, "100000 to 999999"),
    (1_000_000, "1000000 and more"),
];

/// What platforms confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Removals {
    pub on: BTreeMap<PlatformId, OnPlatform>,
}

/// What was removed, by whether it was ordered, and whether the verdict is violating.
type Removed = BTreeMap<(Ordered, bool), u64>;

/// Members of decided families on one platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OnPlatform {
    /// Of which the last confirmation of their removal fell into the days.
    pub removed: Removed,
    /// Of which one may have fallen into them before the last one, or before copies came again.
    pub perhaps_removed: Removed,
    /// The former by what they are, and by whether the platform labelled a copy `tvec`, if that is known.
    pub labelled: BTreeMap<(ContentKind, Option<bool>), u64>,
    /// Removals that were counted of the former.
    pub removals: u64,
    /// Copies that were counted of them at the confirmation.
    pub copies: Quantities,
    /// How many of them had so many copies, by the places of [`COPIES_FROM`].
    pub sizes: [u64; COPIES_FROM.len()],
    /// How often they were seen until then, as far as view samples told.
    pub views: Views,
    /// Copies that came after a confirmation: of those that were removed, and with those that perhaps were.
    pub returned: (u64, u64),
    /// Of which the recommendation was sent again without a person.
    pub recommended_again: (u64, u64),
    /// Whose decision went out in the days, and which were not confirmed by their end.
    pub never_confirmed: (u64, u64),
    /// Of which what was removed before was restored.
    pub restored: (u64, u64),
}

/// Views of contents, each between two numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Views {
    /// The lower and the upper numbers.
    pub bounds: (Quantities, Quantities),
    /// Between how many had so many, by the places of [`VIEWS_FROM`].
    pub sizes: [(u64, u64); VIEWS_FROM.len()],
    /// Between how many all had together.
    pub sum: (u64, u64),
    /// Contents of which no sample told.
    pub untold: u64,
}

impl Removals {
    pub(crate) fn take(&mut self, row: &RemovalRow, period: &Period) {
        if row.out_at >= period.ends() {
            return;
        }
        let on = self.on.entry(row.platform).or_default();
        let is_later = |at: Timestamp| at >= period.ends();
        let is_confirmed_then = row.confirmed_at.is_some_and(|at| period.holds(at));
        // The time of a confirmation before the last one is not kept; there was none if no copy came after one.
        let is_perhaps = match row.confirmed_at {
            None => row.settled.is_some() || row.returned > 0,
            Some(at) => is_later(at) && row.returned > 0,
        };
        let count = |of: &mut (u64, u64), (is_certain, is_perhaps): (bool, bool), count: u64| {
            of.0 += if is_certain { count } else { 0 };
            of.1 += if is_certain || is_perhaps { count } else { 0 };
        };
        if row.awaits == Awaits::Restore {
            count(&mut on.restored, (is_confirmed_then, is_perhaps), 1);
            return;
        }
        count(&mut on.returned, (is_confirmed_then, is_perhaps), row.returned);
        let again = row.recommended_at;
        let is_again = (again.is_some_and(|at| period.holds(at)), again.is_some_and(is_later));
        count(&mut on.recommended_again, is_again, 1);
        if period.holds(row.out_at) && !row.is_decided_again {
            let is_never = !is_perhaps && row.confirmed_at.is_none_or(is_later);
            count(&mut on.never_confirmed, (is_never, is_perhaps), 1);
        }
        if row.is_counted {
            return;
        }
        let key = (row.ordered, row.verdict == Verdict::Violating);
        if is_confirmed_then {
            let (copies, removals) = row.settled.unwrap_or_default();
            *on.removed.entry(key).or_default() += 1;
            *on.labelled.entry((row.kind, row.labelled)).or_default() += 1;
            on.removals += removals;
            on.copies.add(copies);
            let size = COPIES_FROM.iter().rposition(|(from, _)| copies >= *from).unwrap_or(0);
            if let Some(count) = on.sizes.get_mut(size) {
                *count += 1;
            }
            on.views.take(row.views);
        } else if is_perhaps {
            *on.perhaps_removed.entry(key).or_default() += 1;
        }
    }
}

impl Views {
    fn take(&mut self, views: Option<(u64, u64)>) {
        let Some((low, high)) = views else {
            self.untold += 1;
            return;
        };
        self.bounds.0.add(low);
        self.bounds.1.add(high);
        self.sum = (self.sum.0.saturating_add(low), self.sum.1.saturating_add(high));
        let place = |views: u64| VIEWS_FROM.iter().rposition(|(from, _)| views >= *from).unwrap_or(0);
        let (first, last) = (place(low), place(high));
        for (place, (certain, possible)) in self.sizes.iter_mut().enumerate() {
            *certain += u64::from(first == place && last == place);
            *possible += u64::from((first..=last).contains(&place));
        }
    }

    /// Between which the one of this nearest rank lies, in percent. `None` where nothing is told of any.
    pub(crate) fn at_rank(&self, per_cent: u64) -> Option<(u64, u64)> {
        let (low, _) = self.bounds.0.at_rank(per_cent)?;
        let (_, high) = self.bounds.1.at_rank(per_cent)?;
        Some((low, high))
    }
}

impl OnPlatform {
    /// Between how many were removed in the days.
    pub(crate) fn removed(&self) -> (u64, u64) {
        let low = self.removed.values().sum();
        (low, low + self.perhaps_removed.values().sum::<u64>())
    }

    /// Between how many of them were found violating, and removed without an order.
    pub(crate) fn removed_after_measures(&self) -> (u64, u64) {
        let sum = |counts: &Removed, is_one: &dyn Fn(Ordered) -> bool| {
            let counted = counts
                .iter()
                .filter(|((ordered, violating), _)| *violating && is_one(*ordered));
            counted.map(|(_, count)| count).sum::<u64>()
        };
        let low = sum(&self.removed, &|ordered| ordered == Ordered::No);
        // What was perhaps removed may have been so before the order.
        let high = sum(&self.removed, &|ordered| ordered != Ordered::Yes) + sum(&self.perhaps_removed, &|_| true);
        (low, high)
    }
}
