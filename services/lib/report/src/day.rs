use std::fmt;
use std::str::FromStr;

use tocsin_model::Timestamp;

/// A report is about at most so many days: a leap year and a month.
pub const DAYS_MAX: i64 = 400;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A day, UTC, of the years 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i64);

/// The text is no day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a day is YYYY-MM-DD, of the years 1970 to 9999")]
pub struct DayError;

/// The days that a report is about: the first and the last, and those between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    from: Day,
    to: Day,
}

/// These are no days of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// The last day is before the first.
    #[error("the last day is before the first")]
    Backwards,
    /// There are more than [`DAYS_MAX`].
    #[error("a report is about at most 400 days")]
    TooLong,
}

impl Day {
    /// The day of a time.
    pub fn of(at: Timestamp) -> Day {
        Day(at.0.div_euclid(DAY_MS))
    }

    /// When it begins.
    pub fn begins(self) -> Timestamp {
        Timestamp(self.0 * DAY_MS)
    }

    /// The day after it.
    pub fn next(self) -> Day {
        Day(self.0 + 1)
    }

    /// Year, month and day of the proleptic Gregorian calendar, in integers: H. Hinnant, "chrono-compatible low-level date algorithms".
    fn civil(self) -> (i64, i64, i64) {
        let shifted = self.0 + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (year + era * 400 + i64::from(month <= 2), month, day)
    }

    /// The day of this date, if there is one.
    fn from_civil(year: i64, month: i64, day: i64) -> Option<Day> {
        let years = year - i64::from(month <= 2);
        let (era, of_era) = (years.div_euclid(400), years.rem_euclid(400));
        let months = if month > 2 { month - 3 } else { month + 9 };
        let of_year = (153 * months + 2) / 5 + day - 1;
        let found = Day(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468);
        // The thirtieth of February would be a day of March.
        (found.civil() == (year, month, day)).then_some(found)
    }
}

impl FromStr for Day {
    type Err = DayError;
    fn from_str(text: &str) -> Result<Day, DayError> {
        let bytes = text.as_bytes();
        let is_shaped = bytes.len() == 10
            && bytes.iter().enumerate().all(|(place, byte)| match place {
                4 | 7 => *byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        if !is_shaped {
            return Err(DayError);
        }
        let number = |digits: &[u8]| {
            digits
                .iter()
                .fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
        };
        let (year, month, day) = (number(&bytes[..4]), number(&bytes[5..7]), number(&bytes[8..]));
        if year < 1970 || !(1..=12).contains(&month) {
            return Err(DayError);
        }
        Day::from_civil(year, month, day).ok_or(DayError)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl Period {
    /// Of these days, both of them included.
    ///
    /// # Errors
    /// See [`PeriodError`].
    pub fn new(from: Day, to: Day) -> Result<Period, PeriodError> {
        if to < from {
            return Err(PeriodError::Backwards);
        }
        if to.0 - from.0 >= DAYS_MAX {
            return Err(PeriodError::TooLong);
        }
        Ok(Period { from, to })
    }

    /// The first day.
    pub fn first_day(&self) -> Day {
        self.from
    }

    /// The last day.
    pub fn last_day(&self) -> Day {
        self.to
    }

    /// When the first day begins.
    pub fn begins(&self) -> Timestamp {
        self.from.begins()
    }

    /// When the last day is over: what happens then or later is not known to the report.
    pub fn ends(&self) -> Timestamp {
        self.to.next().begins()
    }

    /// Whether it happened on one of these days.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.begins() <= at && at < self.ends()
    }

    /// The time, if it is before the end.
    pub fn known(&self, at: Option<Timestamp>) -> Option<Timestamp> {
        at.filter(|at| *at < self.ends())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn days_are_read_and_written_and_what_is_none_is_refused() {
        for (text, begins) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400_000),
            ("2026-11-26", 1_795_651_200_000),
            ("9999-12-31", 253_402_214_400_000),
        ] {
            let day: Day = text.parse().unwrap();
            assert_eq!((day.begins(), day.to_string().as_str()), (Timestamp(begins), text));
            assert_eq!(Day::of(Timestamp(begins + DAY_MS - 1)), day);
        }
        for bad in [
            "",
            "2026-1-1",
            "2026-02-29",
            "2100-02-29",
            "2026-00-10",
            "2026-13-01",
            "2026-04-31",
            "2026-01-00",
            "1969-12-31",
            "+026-01-01",
            "2026/01/01",
            "2026-01-01T",
            "２026-01-0",
        ] {
            assert_eq!(bad.parse::<Day>(), Err(DayError), "{bad}");
        }
    }

    #[test]
    fn every_day_of_a_thousand_years_reads_back() {
        for number in 0..365_250 {
            let day = Day(number);
            assert_eq!(day.to_string().parse(), Ok(day));
        }
    }

    #[test]
    fn a_period_holds_its_first_and_last_day_and_is_no_longer_than_stated() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        let period = Period::new(day("2026-01-01"), day("2026-01-02")).unwrap();
        for (at, holds) in [
            (period.begins().0 - 1, false),
            (period.begins().0, true),
            (period.ends().0 - 1, true),
            (period.ends().0, false),
        ] {
            assert_eq!(period.holds(Timestamp(at)), holds);
        }
        let from = day("2026-01-01");
        assert_eq!(Period::new(from, Day(from.0 - 1)), Err(PeriodError::Backwards));
        assert!(Period::new(from, Day(from.0 + DAYS_MAX - 1)).is_ok());
        assert_eq!(Period::new(from, Day(from.0 + DAYS_MAX)), Err(PeriodError::TooLong));
    }
}
