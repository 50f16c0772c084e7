//! Whether the interval that alerts tell of the accounts of the next hour holds the truth: it is that of the copies, times the accounts per copy so far,
//! and learns by copies alone.

use tocsin_loadtest::day::{Family, FamilyKind};
use tocsin_loadtest::truth::Truth;
use tocsin_model::{Alert, AlertLevel, Milliseconds, NextHour, Quantiles, Timestamp};

use super::core::Core;

/// What an alert told of the hour after it.
#[derive(Clone, Copy, Debug)]
struct Told {
    family: Family,
    at: Timestamp,
    next_hour: NextHour,
}

/// Everything that was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Forecasts(Vec<Told>);

/// A forecast beside what came in its hour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    family: Family,
    told: NextHour,
    /// Copies.
    copies: u64,
    /// Distinct accounts of those copies, those of them that were new, and all until the end of the hour.
    accounts: tocsin_loadtest::truth::Accounts,
}

const HOUR: Milliseconds = Milliseconds::from_hours(1);

impl Forecasts {
    /// Of alerts that an episode goes on: those from which groups learn.
    pub(super) fn take(&mut self, alerts: &[Alert]) {
        let told = |alert: &Alert| {
            Some(Told {
                family: Core::family_of(alert),
                at: alert.at,
                next_hour: alert.forecast?,
            })
        };
        let go_on = alerts.iter().filter(|alert| alert.level != AlertLevel::Subsided);
        self.0.extend(go_on.filter_map(told));
    }

    /// Beside what truly happened, where the hour lies in the judged part.
    pub(super) fn outcomes(&self, truth: &Truth) -> Vec<Outcome> {
        let judged = truth.judged();
        let lies_within = |told: &&Told| told.at >= judged.from && told.at + HOUR <= judged.to;
        let outcome = |told: &Told| Outcome {
            family: told.family,
            told: told.next_hour,
            copies: truth.between(told.family, told.at, told.at + HOUR).reuploads,
            accounts: truth.accounts_between(told.family, told.at, told.at + HOUR),
        };
        self.0.iter().filter(lies_within).map(outcome).collect()
    }
}

/// All figures by their names. NaN where nothing was told.
pub(super) fn by_name(outcomes: &[Outcome]) -> Vec<(String, f64)> {
    let share = |of: &[&Outcome], holds: fn(&Outcome) -> bool| {
        of.iter().filter(|outcome| holds(outcome)).count() as f64 / of.len() as f64
    };
    let all: Vec<&Outcome> = outcomes.iter().collect();
    let crises = outcomes
        .iter()
        .filter(|outcome| outcome.family.kind() == FamilyKind::Crisis);
    let crises: Vec<&Outcome> = crises.collect();
    let distinct = |outcome: &Outcome| is_within(outcome.told.accounts, outcome.accounts.distinct);
    let new = |outcome: &Outcome| is_within(outcome.told.accounts, outcome.accounts.new);
    let copies = |outcome: &Outcome| is_within(outcome.told.spread, outcome.copies);
    let error = |outcome: &Outcome| (outcome.told.accounts.median - outcome.accounts.distinct as f64).abs();
    let of_all = outcomes
        .iter()
        .map(|outcome| error(outcome) / outcome.accounts.all.max(1) as f64);
    let of_hour = outcomes
        .iter()
        .map(|outcome| error(outcome) / outcome.accounts.distinct.max(1) as f64);
    [
        ("accounts_forecasts", all.len() as f64),
        ("accounts_interval_coverage", share(&all, distinct)),
        (
            "accounts_below_interval",
            share(&all, |outcome| {
                (outcome.accounts.distinct as f64) < outcome.told.accounts.low
            }),
        ),
        (
            "accounts_above_interval",
            share(&all, |outcome| {
                outcome.accounts.distinct as f64 > outcome.told.accounts.high
            }),
        ),
        ("accounts_new_interval_coverage", share(&all, new)),
        ("accounts_copies_interval_coverage", share(&all, copies)),
        ("accounts_median_ape", median(of_all)),
        ("accounts_median_ape_of_hour", median(of_hour)),
        ("accounts_forecasts_of_crises", crises.len() as f64),
        ("accounts_interval_coverage_of_crises", share(&crises, distinct)),
    ]
    .map(|(name, figure)| (name.to_owned(), figure))
    .to_vec()
}

fn is_within(told: Quantiles, came: u64) -> bool {
    (told.low..=told.high).contains(&(came as f64))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tocsin_loadtest::truth::Accounts;

    use super::*;

    #[test]
    fn what_came_is_held_to_the_interval_of_accounts_and_errors_to_all_and_to_the_hour() {
        let of = |low, median, high| Quantiles { low, median, high };
        let outcome = |distinct, new, all| Outcome {
            family: Family::of(FamilyKind::Crisis, distinct),
            told: NextHour {
                spread: of(20.0, 50.0, 200.0),
                accounts: of(10.0, 40.0, 90.0),
            },
            copies: 100,
            accounts: Accounts { distinct, new, all },
        };
        // Within, with new ones below; at either end; above; below.
        let outcomes = [
            outcome(50, 5, 100),
            outcome(10, 10, 60),
            outcome(90, 90, 90),
            outcome(91, 90, 182),
            outcome(9, 9, 40),
        ];
        let figures: BTreeMap<String, f64> = by_name(&outcomes).into_iter().collect();
        for (name, expected) in [
            ("accounts_forecasts", 5.0),
            ("accounts_interval_coverage", 0.6),
            ("accounts_below_interval", 0.2),
            ("accounts_above_interval", 0.2),
            ("accounts_new_interval_coverage", 0.6),
            ("accounts_copies_interval_coverage", 1.0),
            ("accounts_median_ape", 0.5),
            ("accounts_forecasts_of_crises", 5.0),
        ] {
            assert!((figures[name] - expected).abs() < 1e-9, "{name}: {figures:?}");
        }
        assert!((figures["accounts_median_ape_of_hour"] - 51.0 / 91.0).abs() < 1e-9);
        assert!(by_name(&[]).iter().any(|(_, figure)| figure.is_nan()));
    }
}
