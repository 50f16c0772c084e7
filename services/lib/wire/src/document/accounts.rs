use serde::{Deserialize, Serialize};
use tocsin_suppression::{Shown, ShownQuantiles};
use utoipa::ToSchema;

/// A number of accounts, as this reader is told it. The party whose accounts they are is told an estimate with its 95 % interval. Everybody else is told
/// it rounded, with the bounds rounded outward, and under 10 no more than that: there `estimate` is null, `low` 0 and `high` 9.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccountsRange {
    /// The estimate. Null where only the bounds are told: of fewer than 10, and of a sum that such a number is part of.
    pub estimate: Option<f64>,
    /// The truth is at least this, with the certainty of the interval.
    pub low: f64,
    /// And at most this.
    pub high: f64,
    /// `full` (as it is known), `rounded` or `suppressed` (only the bounds are told).
    #[serde(default)]
    pub disclosure: String,
    /// For people: `1234`, `15`, `<10`, `10 to 112`.
    #[serde(default)]
    pub shown: String,
}

/// The accounts that are expected: with 90 % probability the number lies between `low` and `high`. Told in full to whoever owns all accounts that it
/// rests on; everybody else is told bounds that follow from the copies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccountsQuantiles {
    /// With 5 % probability it is less.
    pub low: f64,
    /// It is as likely to be more as to be less. Null where only the bounds are told.
    pub median: Option<f64>,
    /// With 5 % probability it is more. Where it is not told in full, that of the copies.
    pub high: f64,
    /// `full` or `suppressed`.
    #[serde(default)]
    pub disclosure: String,
}

impl From<Shown> for AccountsRange {
    fn from(shown: Shown) -> Self {
        AccountsRange {
            estimate: shown.estimate,
            low: shown.low,
            high: shown.high,
            disclosure: shown.disclosure.name().to_owned(),
            shown: shown.to_string(),
        }
    }
}

impl From<ShownQuantiles> for AccountsQuantiles {
    fn from(shown: ShownQuantiles) -> Self {
        AccountsQuantiles {
            low: shown.low,
            median: shown.median,
            high: shown.high,
            disclosure: shown.disclosure.name().to_owned(),
        }
    }
}
