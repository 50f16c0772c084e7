//! Accounts as a team is told them: what criteria come to rests on nothing else.

use std::collections::BTreeMap;

use tocsin_model::{Estimate, NextHour, PlatformId};
use tocsin_suppression::{AccountsTable, Disclosure, Shown};
use tocsin_velocity::figures::ReachFigures;

/// The accounts by platform with their sum, as who owns these platforms is told them.
pub(super) fn told(reach: &BTreeMap<PlatformId, ReachFigures>, is_own: impl Fn(PlatformId) -> bool) -> AccountsTable {
    let listed = reach.iter().map(|(platform, reach)| (*platform, reach.accounts));
    let total = reach.values().fold(exactly(0.0), |sum, reach| Estimate {
        estimate: sum.estimate + reach.accounts.estimate,
        low: sum.low + reach.accounts.low,
        high: sum.high + reach.accounts.high,
    });
    AccountsTable::new(listed, total, is_own)
}

/// Bounds of the 5, 50 and 95 % quantiles of the accounts that are expected, for whoever is told `accounts`.
pub(super) fn expected(accounts: &AccountsTable, forecast: &NextHour) -> [(f64, f64); 3] {
    let quantiles = [forecast.accounts.low, forecast.accounts.median, forecast.accounts.high];
    quantiles.map(|quantile| match accounts.total.disclosure {
        Disclosure::Full => (quantile, quantile),
        Disclosure::Rounded => {
            let shown = Shown::to_others(exactly(quantile));
            (shown.low, shown.high)
        }
        // A forecast rests on all accounts together. There are no more than copies.
        Disclosure::Suppressed => (0.0, forecast.spread.high),
    })
}

fn exactly(number: f64) -> Estimate {
    Estimate {
        estimate: number,
        low: number,
        high: number,
    }
}
