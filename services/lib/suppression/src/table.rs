use tocsin_model::{Estimate, PlatformId, Quantiles};

use crate::rounding::{Disclosure, Shown, ShownQuantiles};

/// The accounts of a family by platform with their total, as one reader is told them.
///
/// The total is made of what is told of the platforms, never of what is known of them, so nothing follows from it by subtraction: it is the
/// complementary cell, and gives only bounds where any of its parts does.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountsTable {
    /// Each platform, in the order given.
    pub platforms: Vec<(PlatformId, Shown)>,
    /// The sum of all, those of no listed platform among them.
    pub total: Shown,
}

/// What the reader's next hour looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// The accounts, as they are forecast.
    pub accounts: Quantiles,
    /// The copies: there are no more accounts than that.
    pub copies_high: f64,
}

impl AccountsTable {
    /// The table of figures that were taken at once. `total` is their sum and that of platforms which are not listed.
    pub fn new(
        listed: impl IntoIterator<Item = (PlatformId, Estimate)>,
        total: Estimate,
        is_own: impl Fn(PlatformId) -> bool,
    ) -> AccountsTable {
        let mut rest = total;
        let mut platforms = Vec::new();
        for (platform, accounts) in listed {
            rest.estimate -= accounts.estimate;
            rest.low -= accounts.low;
            rest.high -= accounts.high;
            let shown = match is_own(platform) {
                true => Shown::full(accounts),
                false => Shown::to_others(accounts),
            };
            platforms.push((platform, shown));
        }
        // Whose the rest is, nobody can tell.
        let rest = (rest.estimate >= 0.5).then(|| Shown::to_others(rest));
        let total = match platforms.iter().all(|(_, shown)| shown.disclosure == Disclosure::Full) && rest.is_none() {
            true => Shown::full(total),
            false => self::total(platforms.iter().map(|(_, shown)| *shown).chain(rest)),
        };
        AccountsTable { platforms, total }
    }

    /// What is told of the accounts that are expected: a forecast rests on all accounts together, so where one platform's are suppressed it says no
    /// more than that of the copies.
    pub fn expected(&self, expected: Expected) -> ShownQuantiles {
        match self.total.disclosure {
            Disclosure::Full => ShownQuantiles::full(expected.accounts),
            Disclosure::Rounded => ShownQuantiles::to_others(expected.accounts),
            Disclosure::Suppressed => ShownQuantiles::at_most(expected.copies_high),
        }
    }
}

/// The sum of numbers as they are told.
pub fn total(parts: impl IntoIterator<Item = Shown>) -> Shown {
    let nothing = Shown {
        estimate: Some(0.0),
        low: 0.0,
        high: 0.0,
        disclosure: Disclosure::Full,
    };
    parts.into_iter().fold(nothing, |sum, part| Shown {
        estimate: sum.estimate.zip(part.estimate).map(|(sum, part)| sum + part),
        low: sum.low + part.low,
        high: sum.high + part.high,
        disclosure: sum.disclosure.max(part.disclosure),
    })
}
