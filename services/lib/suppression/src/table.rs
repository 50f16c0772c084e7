use tocsin_model::{Estimate, NextHour, PlatformId};

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

    /// What is told of the accounts that are expected to whoever is told this table.
    pub fn expected(&self, forecast: &NextHour) -> ShownQuantiles {
        expected(self.total, forecast)
    }
}

/// What is told of the accounts that are expected to whoever is told this total. A forecast rests on all accounts together and is as fine as they are:
/// rounded anew, it would tell what the rounding of a number hides. So whoever is not told all of them in full is told no more than that of the copies.
pub fn expected(total: Shown, forecast: &NextHour) -> ShownQuantiles {
    match total.disclosure {
        Disclosure::Full => ShownQuantiles::full(forecast.accounts),
        Disclosure::Rounded | Disclosure::Suppressed => ShownQuantiles::at_most(forecast.spread.high),
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
