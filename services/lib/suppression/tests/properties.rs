//! Goal: what is told holds the truth, tells small numbers apart by nothing, rises with the number, and is told again as it is.

use proptest::prelude::*;
use tocsin_model::{Estimate, NextHour, PlatformId, Quantiles};
use tocsin_suppression::{AccountsTable, Disclosure, SMALL, Shown, total};

fn exactly(count: u64) -> Estimate {
    Estimate::exactly(count as f64)
}

fn sum(cells: &[(u64, bool)]) -> u64 {
    cells.iter().map(|(count, _)| count).sum()
}

/// A table of platforms with these accounts, of which the reader owns some, and of which `unlisted` lie elsewhere.
fn table(cells: &[(u64, bool)], unlisted: u64) -> AccountsTable {
    let listed = cells.iter().enumerate();
    let listed = listed.map(|(place, (count, _))| (PlatformId(place as u16), exactly(*count)));
    AccountsTable::new(listed, exactly(sum(cells) + unlisted), |platform| {
        cells[usize::from(platform.0)].1
    })
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0..30_u64, 0..2_000_u64, 0..1_000_000_000_u64]
}

fn cells() -> impl Strategy<Value = Vec<(u64, bool)>> {
    prop::collection::vec((count(), any::<bool>()), 1..8)
}

proptest! {
    #[test]
    fn the_truth_lies_within_what_is_told(count in count(), below in 0.0..0.2_f64, above in 0.0..0.2_f64) {
        let known = Estimate {
            estimate: count as f64,
            low: count as f64 * (1.0 - below),
            high: count as f64 * (1.0 + above),
        };
        for shown in [Shown::to_others(known), Shown::coarsest(known)] {
            prop_assert!(shown.low <= known.low && known.high <= shown.high, "{known:?} as {shown:?}");
            if let Some(estimate) = shown.estimate {
                prop_assert!(shown.low <= estimate && estimate <= shown.high, "{shown:?}");
            }
        }
        let shown = Shown::to_others(exactly(count));
        if count >= SMALL {
            prop_assert!(shown.high - shown.low <= (count as f64 * 0.11).max(6.0), "no coarser than stated: {shown:?}");
        }
    }

    #[test]
    fn more_accounts_are_never_told_as_fewer(one in count(), other in count()) {
        let (less, more) = (Shown::to_others(exactly(one.min(other))), Shown::to_others(exactly(one.max(other))));
        prop_assert!(less.estimate.unwrap_or(0.0) <= more.estimate.unwrap_or(0.0));
        prop_assert!(less.low <= more.low && less.high <= more.high);
        prop_assert!(less.disclosure >= more.disclosure, "{less:?} {more:?}");
    }

    #[test]
    fn what_was_told_is_told_again_as_it_is(count in count()) {
        let once = Shown::to_others(exactly(count));
        let again = Shown::to_others(Estimate {
            estimate: once.estimate.unwrap_or(0.0),
            low: once.low,
            high: once.high,
        });
        prop_assert_eq!(once, again);
    }

    #[test]
    fn exact_counts_that_round_alike_are_told_alike(count in SMALL..100_000) {
        let shown = Shown::to_others(exactly(count));
        for other in [shown.low, shown.high] {
            prop_assert_eq!(Shown::to_others(exactly(other as u64)), shown);
        }
    }

    /// Whoever is told all the other cells, the total and the forecast, and knows the rule, cannot tell which of 0 to 9 a small cell is: with each of them
    /// the whole answer is the same, byte for byte.
    #[test]
    fn nothing_of_an_answer_tells_small_counts_apart(cells in cells(), place in any::<prop::sample::Index>(), small in 0..SMALL, unlisted in 0..40_u64) {
        let mut cells = cells;
        let place = place.index(cells.len());
        cells[place] = (small, false);
        let answer = |cells: &[(u64, bool)]| {
            let table = table(cells, unlisted);
            // As the forecast is made: it follows the accounts of all platforms together.
            let share = (sum(cells) + unlisted) as f64 / (2 * sum(cells) + 100) as f64;
            let expected = table.expected(&forecast(share));
            (table, expected)
        };
        let told = answer(&cells);
        for other in 0..SMALL {
            cells[place].0 = other;
            prop_assert_eq!(&answer(&cells), &told, "{} instead of {}", other, small);
        }
        prop_assert_eq!(told.0.platforms[place].1.to_string(), "<10");
        prop_assert_eq!(told.0.total.estimate, None);
    }

    /// The same of a number that is rounded: all that round alike give the same answer.
    #[test]
    fn nothing_of_an_answer_tells_rounded_counts_apart(count in SMALL..5_000, unlisted in 0..40_u64, copies in 1_u64..1_000) {
        let shown = Shown::to_others(exactly(count));
        let answer = |count: u64| {
            let table = table(&[(count, false)], unlisted);
            let share = (count + unlisted + 9) as f64 / (copies + 10) as f64;
            let expected = table.expected(&forecast(share));
            (table, expected)
        };
        let told = answer(count);
        for other in [shown.low, shown.high] {
            prop_assert_eq!(&answer(other as u64), &told);
        }
    }

    #[test]
    fn an_owner_is_told_its_own_and_a_total_that_holds_the_truth(cells in cells(), unlisted in 0..40_u64) {
        let told = table(&cells, unlisted);
        for ((count, is_own), (_, shown)) in cells.iter().zip(&told.platforms) {
            prop_assert_eq!(shown.disclosure == Disclosure::Full, *is_own);
            if *is_own {
                prop_assert_eq!(shown.estimate, Some(*count as f64));
            }
        }
        let truth = (sum(&cells) + unlisted) as f64;
        prop_assert!(told.total.low <= truth && truth <= told.total.high, "{:?}", told.total);
        if cells.iter().all(|(_, is_own)| *is_own) && unlisted == 0 {
            prop_assert_eq!(told.total, Shown::full(exactly(truth as u64)));
            prop_assert_eq!(told.expected(&forecast(0.5)).median, Some(25.0));
        }
    }

    #[test]
    fn any_numbers_are_told_without_a_panic(estimate in any::<f64>(), low in any::<f64>(), high in any::<f64>()) {
        let known = Estimate { estimate, low, high };
        let _ = (Shown::to_others(known).to_string(), Shown::coarsest(known).to_string());
        let _ = AccountsTable::new([(PlatformId(1), known)], known, |_| false);
    }
}

#[test]
fn no_parts_sum_to_nothing() {
    let nothing = total([]);
    assert_eq!((nothing.estimate, nothing.low, nothing.high), (Some(0.0), 0.0, 0.0));
}

/// The next hour of a family of which so many accounts share a copy.
fn forecast(share: f64) -> NextHour {
    let spread = Quantiles {
        low: 10.0,
        median: 50.0,
        high: 200.0,
    };
    let accounts = Quantiles {
        low: 10.0 * share,
        median: 50.0 * share,
        high: 200.0 * share,
    };
    NextHour { spread, accounts }
}
