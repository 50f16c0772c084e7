//! Accounts as a team is told them: what criteria come to rests on nothing else.

use std::collections::BTreeMap;

use tocsin_model::{Estimate, NextHour, PlatformId};
use tocsin_suppression::AccountsTable;
use tocsin_velocity::figures::ReachFigures;

/// The accounts by platform with their sum, as who owns these platforms is told them.
pub(super) fn told(reach: &BTreeMap<PlatformId, ReachFigures>, is_own: impl Fn(PlatformId) -> bool) -> AccountsTable {
    let listed = reach.iter().map(|(platform, reach)| (*platform, reach.accounts));
    let total = reach.values().fold(Estimate::exactly(0.0), |sum, reach| Estimate {
        estimate: sum.estimate + reach.accounts.estimate,
        low: sum.low + reach.accounts.low,
        high: sum.high + reach.accounts.high,
    });
    AccountsTable::new(listed, total, is_own)
}

/// Bounds of the 5, 50 and 95 % quantiles of the accounts that are expected, for whoever is told `accounts`.
pub(super) fn expected(accounts: &AccountsTable, forecast: &NextHour) -> [(f64, f64); 3] {
    let told = accounts.expected(forecast);
    match told.median {
        Some(median) => [told.low, median, told.high].map(|quantile| (quantile, quantile)),
        None => [(told.low, told.high); 3],
    }
}
