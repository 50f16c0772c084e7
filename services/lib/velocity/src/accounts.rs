use std::collections::BTreeMap;

use tocsin_model::Estimate;
use tocsin_sketch::Reach;

use crate::record::{HotRecord, PlatformReach};

/// Accounts of several records.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Accounts {
    /// Distinct accounts, summed over platforms.
    pub(crate) estimate: Estimate,
    /// Spread events that named no account.
    pub(crate) without_account: u64,
}

/// The accounts of several records: a union per platform, summed over platforms.
pub(crate) fn accounts(records: &[&HotRecord]) -> Accounts {
    let without_account = records.iter().map(|record| record.signals.without_account).sum();
    let estimate = match records {
        // Nothing to unite, so nothing is copied.
        [only] => sum(only.reach().iter().map(PlatformReach::estimate)),
        _ => {
            let mut merged: BTreeMap<_, Reach> = BTreeMap::new();
            for entry in records.iter().flat_map(|record| record.reach()) {
                merged
                    .entry(entry.platform)
                    .and_modify(|reach| reach.merge(&entry.accounts))
                    .or_insert_with(|| entry.accounts.clone());
            }
            sum(merged.values().map(Reach::estimate))
        }
    };
    Accounts {
        estimate,
        without_account,
    }
}

fn sum(estimates: impl Iterator<Item = Estimate>) -> Estimate {
    let nothing = Estimate {
        estimate: 0.0,
        low: 0.0,
        high: 0.0,
    };
    estimates.fold(nothing, |sum, estimate| Estimate {
        estimate: sum.estimate + estimate.estimate,
        low: sum.low + estimate.low,
        high: sum.high + estimate.high,
    })
}
