use std::collections::BTreeMap;

use serde::Serialize;
use tocsin_model::Timestamp;

use crate::unit::Unit;

/// Declares the closed list of figures once: variant, name, unit, whether an interval, meaning.
macro_rules! figures {
    ($($variant:ident $name:literal $kind:expr, $interval:literal, $meaning:literal;)*) => {
        /// A measured figure of a family that criteria may name. All hold inside the reader's scope.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Figure {
            $(#[doc = $meaning] $variant,)*
        }

        impl Figure {
            /// All there are.
            pub const ALL: &[Figure] = &[$(Figure::$variant),*];

            /// Its name in criteria.
            pub fn name(self) -> &'static str {
                match self { $(Figure::$variant => $name,)* }
            }

            /// What it is.
            pub fn meaning(self) -> &'static str {
                match self { $(Figure::$variant => $meaning,)* }
            }

            /// Whether it may be an interval that holds the truth; otherwise it is one value.
            pub fn is_interval(self) -> bool {
                match self { $(Figure::$variant => $interval,)* }
            }

            pub(crate) fn kind(self) -> Kind {
                match self { $(Figure::$variant => $kind,)* }
            }
        }
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number(Unit),
    Flag,
}

const COPIES: Kind = Kind::Number(Unit::COPIES);
const ACCOUNTS: Kind = Kind::Number(Unit::ACCOUNTS);
const PLATFORMS: Kind = Kind::Number(Unit::PLATFORMS);
const VIEWERS: Kind = Kind::Number(Unit::VIEWERS);
const CONTENTS: Kind = Kind::Number(Unit::CONTENTS);
const TIME: Kind = Kind::Number(Unit::TIME);
const SHARE: Kind = Kind::Number(Unit::NONE);

figures! {
    Spread5m "spread_5m" COPIES, true, "Uploads, blocked uploads and shares of the last 5 minutes.";
    Spread1h "spread_1h" COPIES, true, "Uploads, blocked uploads and shares of the last hour.";
    Spread24h "spread_24h" COPIES, true, "Uploads, blocked uploads and shares of the last 24 hours.";
    Uploads5m "uploads_5m" COPIES, true, "Uploads of the last 5 minutes that were not blocked.";
    Uploads1h "uploads_1h" COPIES, true, "Uploads of the last hour that were not blocked.";
    Uploads24h "uploads_24h" COPIES, true, "Uploads of the last 24 hours that were not blocked.";
    Blocked5m "blocked_uploads_5m" COPIES, true, "Blocked uploads of the last 5 minutes.";
    Blocked1h "blocked_uploads_1h" COPIES, true, "Blocked uploads of the last hour.";
    Blocked24h "blocked_uploads_24h" COPIES, true, "Blocked uploads of the last 24 hours.";
    Accounts "accounts" ACCOUNTS, true,
        "Distinct accounts since the family is counted exactly, a sum over platforms, with its 95 % interval.";
    Platforms5m "platforms_5m" PLATFORMS, true, "Platforms with a copy in the last 5 minutes.";
    Platforms1h "platforms_1h" PLATFORMS, true, "Platforms with a copy in the last hour.";
    Platforms24h "platforms_24h" PLATFORMS, true, "Platforms with a copy in the last 24 hours.";
    Variants "variants" CONTENTS, false, "Contents of the family: the variants that are known.";
    Listed "listed" Kind::Flag, false, "Whether a content of the family is on the watch list.";
    SinceListed "since_listed" TIME, false, "Time since the first content of the family was listed.";
    PostedSinceListed "posted_since_listed" COPIES, false,
        "Copies of listed contents that were posted, and not blocked, since the listing of each.";
    LeakThrough "leak_through" SHARE, false,
        "Of the attempts to upload what is listed since its listing, the part that was posted, over all platforms.";
    Reposted1h "reposted_1h" COPIES, false, "Copies of listed contents that were posted in the last hour.";
    Live "live" Kind::Flag, false, "Whether a live stream of the family runs.";
    Viewers "viewers" VIEWERS, false, "Accounts that watch the family's live streams now, as the platforms say.";
    PeakViewers "peak_viewers" VIEWERS, true,
        "The most that watched live at once; of several streams at most the sum of the most of each.";
    Forecast1hP05 "forecast_1h_p05" COPIES, false, "The spread of the next hour: its 5 % quantile.";
    Forecast1hP50 "forecast_1h_p50" COPIES, false, "The spread of the next hour: its median.";
    Forecast1hP95 "forecast_1h_p95" COPIES, false, "The spread of the next hour: its 95 % quantile.";
    ForecastAccounts1hP05 "forecast_accounts_1h_p05" ACCOUNTS, false, "The accounts of the next hour: their 5 % quantile.";
    ForecastAccounts1hP50 "forecast_accounts_1h_p50" ACCOUNTS, false, "The accounts of the next hour: their median.";
    ForecastAccounts1hP95 "forecast_accounts_1h_p95" ACCOUNTS, false, "The accounts of the next hour: their 95 % quantile.";
    SinceFirstSeen "since_first_seen" TIME, false, "Time since the earliest event of the family that is known.";
    SinceLastSeen "since_last_seen" TIME, false, "Time since the latest event of the family.";
    Quarantined "quarantined" Kind::Flag, false, "Whether a content of the family is quarantined as a flood.";
}

impl Figure {
    /// The figure of this name.
    pub fn parse(name: &str) -> Option<Figure> {
        Figure::ALL.iter().copied().find(|figure| figure.name() == name)
    }

    /// Its unit in words; times are in seconds, a part is 0 to 1.
    pub fn unit(self) -> String {
        match self.kind() {
            Kind::Flag => "yes or no".to_owned(),
            Kind::Number(Unit::NONE) => "part, 0 to 1".to_owned(),
            Kind::Number(unit) => unit.to_string(),
        }
    }
}

/// What is known of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// A number lies between these, in its unit.
    Number(Measured),
    /// Yes or no, up to when.
    Flag(bool, Option<Timestamp>),
    /// Nothing, and why.
    Missing(Missing),
}

/// A number as it was measured: any value from `low` to `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The truth is at least this.
    pub low: f64,
    /// The truth is at most this.
    pub high: f64,
    /// The time up to which it holds.
    pub as_of: Option<Timestamp>,
}

/// Why a figure is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Nobody asked for it.
    NotAsked,
    /// The family is counted approximately, in total, and this is no total.
    NotHot,
    /// Nothing of the family is on the watch list.
    NotListed,
    /// Nothing was attempted since the listing.
    NoAttempt,
    /// The family has no live stream.
    NoStream,
    /// The answer did not say.
    NotTold,
}

impl Missing {
    /// In words.
    pub fn why(self) -> &'static str {
        match self {
            Missing::NotAsked => "nobody asked for it",
            Missing::NotHot => "the family is counted approximately, in total alone",
            Missing::NotListed => "nothing of the family is on the watch list",
            Missing::NoAttempt => "nothing was attempted since the listing",
            Missing::NoStream => "no live stream of the family is known",
            Missing::NotTold => "the answer does not tell it",
        }
    }
}

/// What is known of a family at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures(BTreeMap<Figure, Reading>);

impl Figures {
    /// Sets a figure. What does not fit it is missing: a number for a flag, a bound that is no number or negative, bounds out of order.
    pub fn set(&mut self, figure: Figure, reading: Reading) {
        let fits = match (figure.kind(), reading) {
            (_, Reading::Missing(_)) | (Kind::Flag, Reading::Flag(..)) => true,
            (Kind::Number(_), Reading::Number(Measured { low, high, .. })) => {
                0.0 <= low && low <= high && high.is_finite()
            }
            _ => false,
        };
        let reading = if fits {
            reading
        } else {
            Reading::Missing(Missing::NotTold)
        };
        self.0.insert(figure, reading);
    }

    /// What is known of a figure.
    pub fn get(&self, figure: Figure) -> Reading {
        self.0
            .get(&figure)
            .copied()
            .unwrap_or(Reading::Missing(Missing::NotAsked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_that_does_not_fit_is_missing() {
        let number = |low: f64, high: f64| Reading::Number(Measured { low, high, as_of: None });
        let mut figures = Figures::default();
        for (figure, reading) in [
            (Figure::Spread1h, number(2.0, 1.0)),
            (Figure::Spread1h, number(-1.0, 1.0)),
            (Figure::Spread1h, number(f64::NAN, 1.0)),
            (Figure::Spread1h, number(1.0, f64::INFINITY)),
            (Figure::Spread1h, Reading::Flag(true, None)),
            (Figure::Live, number(0.0, 1.0)),
        ] {
            figures.set(figure, reading);
            assert_eq!(figures.get(figure), Reading::Missing(Missing::NotTold), "{reading:?}");
        }
        figures.set(Figure::Spread1h, number(1.0, 1.0));
        assert_eq!(figures.get(Figure::Spread1h), number(1.0, 1.0));
        assert_eq!(figures.get(Figure::Viewers), Reading::Missing(Missing::NotAsked));
    }

    /// Goal: the page of the language lists every figure as it is, in the same order, and none beside.
    #[test]
    fn the_page_of_the_language_has_every_figure() {
        let page = include_str!("../../../../schemas/protocols/README.md");
        let (_, page) = page.split_once("## Figures").expect("the page has a part on figures");
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let expected: Vec<String> = Figure::ALL.iter().map(|figure| row(*figure)).collect();
        assert_eq!(rows, expected);
    }

    fn row(figure: Figure) -> String {
        let interval = if figure.is_interval() { "interval" } else { "value" };
        format!(
            "| `{}` | {} | {interval} | {} |",
            figure.name(),
            figure.unit(),
            figure.meaning()
        )
    }
}
