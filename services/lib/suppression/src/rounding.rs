use std::fmt;

use tocsin_model::{Estimate, Quantiles};

/// From how many accounts on a number is told, rounded. Below, only that it is below.
pub const SMALL: u64 = 10;

/// What was done to a number before it was told. Ordered by how much it hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disclosure {
    /// It is told as it is known.
    Full,
    /// Rounded, its bounds outward.
    Rounded,
    /// It, or a part of it, is told by bounds alone.
    Suppressed,
}

/// A number of accounts as it is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown {
    /// The estimate; `None` where only the bounds are told.
    pub estimate: Option<f64>,
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
    /// What was done to it.
    pub disclosure: Disclosure,
}

/// The accounts that are expected in the next hour, as they are told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShownQuantiles {
    /// With 5 % probability it is less; 0 where nothing is told.
    pub low: f64,
    /// As likely more as less; `None` where only the bounds are told.
    pub median: Option<f64>,
    /// With 5 % probability it is more.
    pub high: f64,
    /// What was done to it.
    pub disclosure: Disclosure,
}

impl Disclosure {
    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Disclosure::Full => "full",
            Disclosure::Rounded => "rounded",
            Disclosure::Suppressed => "suppressed",
        }
    }
}

impl Shown {
    /// As the owner of the accounts is told it.
    pub fn full(accounts: Estimate) -> Shown {
        Shown {
            estimate: Some(accounts.estimate),
            low: accounts.low,
            high: accounts.high,
            disclosure: Disclosure::Full,
        }
    }

    /// As everybody else is told it.
    ///
    /// Under [`SMALL`] only 0 to 9 is told: no zero either, it would say that nobody there has it. From 10 on the nearest multiple of 5, from 100 on two
    /// significant digits; bounds become the ends of what is rounded like them, so they hold what the given ones held.
    pub fn to_others(accounts: Estimate) -> Shown {
        let estimate = whole(accounts.estimate.round());
        let is_small = estimate < SMALL;
        Shown {
            estimate: (!is_small).then(|| rounded(estimate) as f64),
            low: lower(accounts.low),
            high: upper(accounts.high),
            disclosure: if is_small {
                Disclosure::Suppressed
            } else {
                Disclosure::Rounded
            },
        }
    }

    /// The coarsest answer: how many digits the bounds have.
    pub fn coarsest(accounts: Estimate) -> Shown {
        let low = match whole(accounts.low.floor()) {
            low if low < SMALL => 0,
            low => 10_u64.pow(low.ilog10()),
        };
        let high = match whole(accounts.high.ceil()) {
            high if high < SMALL => SMALL - 1,
            high => 10_u64.saturating_pow(high.ilog10() + 1).saturating_sub(1),
        };
        Shown {
            estimate: None,
            low: low as f64,
            high: high as f64,
            disclosure: Disclosure::Suppressed,
        }
    }
}

impl ShownQuantiles {
    /// As the owner of all accounts is told them.
    pub fn full(expected: Quantiles) -> ShownQuantiles {
        ShownQuantiles {
            low: expected.low,
            median: Some(expected.median),
            high: expected.high,
            disclosure: Disclosure::Full,
        }
    }

    /// What can be said without the accounts: no more than there will be copies.
    pub fn at_most(copies: f64) -> ShownQuantiles {
        ShownQuantiles {
            low: 0.0,
            median: None,
            high: copies.max(0.0),
            disclosure: Disclosure::Suppressed,
        }
    }
}

/// For people: `1234`, `<10`, `15`, `10 to 112`.
impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.estimate {
            Some(estimate) => write!(f, "{estimate:.0}"),
            None if self.low < 1.0 => write!(f, "<{:.0}", self.high.floor() + 1.0),
            None => write!(f, "{:.0} to {:.0}", self.low, self.high),
        }
    }
}

/// A number that is not negative; what is no number is 0, what is too large is the largest.
fn whole(number: f64) -> u64 {
    number as u64
}

/// The multiples to which numbers of this size are rounded.
fn step(count: u64) -> u64 {
    match count {
        0..100 => 5,
        _ => 10_u64.pow(count.ilog10() - 1),
    }
}

/// The nearest multiple of the step, the upper one of two as near.
fn rounded(count: u64) -> u64 {
    let step = step(count);
    count.saturating_add(step / 2) / step * step
}

/// The smallest number that is rounded as `low` is.
fn lower(low: f64) -> f64 {
    match whole(low.floor()) {
        low if low < SMALL => 0.0,
        low => {
            let to = rounded(low);
            (to - step(to - 1) / 2).max(SMALL) as f64
        }
    }
}

/// The largest number that is rounded as `high` is.
fn upper(high: f64) -> f64 {
    match whole(high.ceil()) {
        high if high < SMALL => (SMALL - 1) as f64,
        high => {
            let to = rounded(high);
            to.saturating_add(step(to).div_ceil(2) - 1).max(high) as f64
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what is told of a number.

    use super::*;

    fn told(count: u64) -> (String, f64, f64) {
        let count = count as f64;
        let shown = Shown::to_others(Estimate {
            estimate: count,
            low: count,
            high: count,
        });
        (shown.to_string(), shown.low, shown.high)
    }

    #[test]
    fn a_count_is_told_by_the_round_number_next_to_it() {
        for (count, text, low, high) in [
            (0, "<10", 0.0, 9.0),
            (1, "<10", 0.0, 9.0),
            (9, "<10", 0.0, 9.0),
            (10, "10", 10.0, 12.0),
            (12, "10", 10.0, 12.0),
            (13, "15", 13.0, 17.0),
            (97, "95", 93.0, 97.0),
            (98, "100", 98.0, 104.0),
            (100, "100", 98.0, 104.0),
            (104, "100", 98.0, 104.0),
            (105, "110", 105.0, 114.0),
            (994, "990", 985.0, 994.0),
            (995, "1000", 995.0, 1_049.0),
            (1_050, "1100", 1_050.0, 1_149.0),
            (123_456, "120000", 115_000.0, 124_999.0),
        ] {
            assert_eq!(told(count), (text.to_owned(), low, high), "{count}");
        }
    }

    #[test]
    fn bounds_that_differ_go_outward() {
        let shown = Shown::to_others(Estimate {
            estimate: 1_234.5,
            low: 1_166.1,
            high: 1_301.2,
        });
        let wanted = (Some(1_200.0), 1_150.0, 1_349.0, Disclosure::Rounded);
        assert_eq!((shown.estimate, shown.low, shown.high, shown.disclosure), wanted);
    }

    #[test]
    fn the_coarsest_answer_is_a_number_of_digits() {
        for (count, low, high) in [(3.0, 0.0, 9.0), (10.0, 10.0, 99.0), (4_321.0, 1_000.0, 9_999.0)] {
            let shown = Shown::coarsest(Estimate {
                estimate: count,
                low: count,
                high: count,
            });
            assert_eq!((shown.estimate, shown.low, shown.high), (None, low, high));
        }
    }
}
