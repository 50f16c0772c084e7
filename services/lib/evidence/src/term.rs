use tocsin_model::Timestamp;

/// How many months a preservation lasts unless it is extended: Regulation (EU) 2021/784, Art. 6(2).
pub const PRESERVED_MONTHS: u32 = 6;
/// How many months ahead of its day a preservation may be extended to.
pub const EXTENDED_MONTHS_MAX: u32 = 24;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// When a period of so many months ends that an event at `at` begins, UTC: with the last hour of the day that has the same date in the last of them, or of its
/// last day where it has no such date (Regulation (EEC, Euratom) No 1182/71, Art. 3(1) and (2)(c)). The first moment that is not in it.
pub fn months_after(at: Timestamp, months: u32) -> Timestamp {
    let (year, month, day) = civil(at.0.div_euclid(DAY_MS));
    let counted = year * 12 + (month - 1) + i64::from(months);
    let (year, month) = (counted.div_euclid(12), counted.rem_euclid(12) + 1);
    let last = day.min(days_in(year, month));
    Timestamp((days_from_civil(year, month, last) + 1) * DAY_MS)
}

fn days_in(year: i64, month: i64) -> i64 {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_from_civil(next_year, next_month, 1) - days_from_civil(year, month, 1)
}

/// Year, month and day of a day since 1970, in the proleptic Gregorian calendar: H. Hinnant, "chrono-compatible low-level date algorithms".
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let years = year - i64::from(month <= 2);
    let (era, of_era) = (years.div_euclid(400), years.rem_euclid(400));
    let months = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * months + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    //! Goal: periods end as the law counts them.

    use super::*;

    fn day(year: i64, month: i64, day: i64) -> Timestamp {
        Timestamp(days_from_civil(year, month, day) * DAY_MS)
    }

    #[test]
    fn a_period_ends_with_the_last_hour_of_its_last_day() {
        let noon = 12 * 60 * 60 * 1_000;
        for (from, months, ends) in [
            ((2026, 11, 27), 6, (2027, 5, 28)),
            ((2026, 1, 1), 6, (2026, 7, 2)),
            // No 31st of September, no 30th of February.
            ((2026, 3, 31), 6, (2026, 10, 1)),
            ((2026, 8, 30), 6, (2027, 3, 1)),
            ((2027, 8, 31), 6, (2028, 3, 1)),
            ((2026, 12, 31), 24, (2029, 1, 1)),
            ((2028, 2, 29), 12, (2029, 3, 1)),
        ] {
            let begins = day(from.0, from.1, from.2);
            let wanted = day(ends.0, ends.1, ends.2);
            for at in [begins, Timestamp(begins.0 + noon), Timestamp(begins.0 + DAY_MS - 1)] {
                assert_eq!(months_after(at, months), wanted, "{from:?} and {months} months");
            }
        }
    }

    #[test]
    fn days_and_dates_are_one_another() {
        for days in (-800_000..800_000).step_by(37) {
            let (year, month, of_month) = civil(days);
            assert_eq!(days_from_civil(year, month, of_month), days);
        }
    }
}
