//! The null of a family: what is expected of it, by those of the platforms that it is on.

use tocsin_model::{GammaLaw, Milliseconds, PlatformId, PlatformNull, Timestamp};

use super::ordinary::{DAY_HOURS, Ordinary, hours};
use crate::bins::{DAY_BINS, Resolution};
use crate::null::{SHIPPED_BASE_RATE, of_platform};
use crate::populations::hour_of;
use crate::record::HotRecord;

/// A window is at most so many times as busy as the time before it, and at least the inverse: one that is compared with a few hours alone is
/// not to be expected to hold everything, or nothing.
const TIMES_MAX: f64 = 10.0;

/// What is expected of a family: the platforms' nulls, mixed by how many of its copies of the day each had.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Null {
    base_rate: GammaLaw,
    rhythm: Option<Rhythm>,
}

/// How busy the day is, hour by hour, seen from a time.
#[derive(Clone, Debug, PartialEq)]
struct Rhythm {
    now: Timestamp,
    /// A midnight before anything that is asked about.
    origin: Timestamp,
    /// The rate of each hour.
    rates: [f64; 24],
    /// What came from midnight to the beginning of each hour, and in the whole day.
    sums: [f64; 25],
}

const HOUR: Milliseconds = Milliseconds::from_hours(1);
const DAY: Milliseconds = Milliseconds::from_hours(24);

impl Null {
    /// What the version ships with: a day without a rhythm.
    pub(super) const SHIPPED: Null = Null {
        base_rate: SHIPPED_BASE_RATE,
        rhythm: None,
    };

    pub(super) fn of(records: &[&HotRecord], nulls: &[PlatformNull], now: Timestamp) -> Self {
        if nulls.is_empty() {
            return Null::SHIPPED;
        }
        let cells = records.iter().flat_map(|record| record.cells());
        let copies = cells.filter(|cell| cell.kind.is_spread()).map(|cell| {
            let copies = cell.series.recent(Resolution::Minutes15, DAY_BINS, now);
            (cell.platform, copies as f64)
        });
        Null::mixed(copies, nulls, now)
    }

    fn mixed(copies: impl Iterator<Item = (PlatformId, f64)>, nulls: &[PlatformNull], now: Timestamp) -> Self {
        let mut sum = 0.0;
        let mut law = GammaLaw {
            copies: 0.0,
            hours: 0.0,
        };
        let mut rates = [0.0; 24];
        for (platform, weight) in copies {
            let null = of_platform(nulls, platform);
            let base_rate = null.map_or(SHIPPED_BASE_RATE, |null| null.base_rate);
            sum += weight;
            law.copies += weight * base_rate.copies;
            law.hours += weight * base_rate.hours;
            for (hour, rate) in rates.iter_mut().enumerate() {
                *rate += weight * null.map_or(1.0, |null| null.hours[hour]);
            }
        }
        if sum == 0.0 {
            return Null::SHIPPED;
        }
        Null {
            base_rate: GammaLaw {
                copies: law.copies / sum,
                hours: law.hours / sum,
            },
            rhythm: Some(Rhythm::new(rates.map(|rate| rate / sum), now)),
        }
    }

    /// What is ordinary in a window of this length that ends now, after so much spread in the day before it, of which so much was watched.
    pub(super) fn ordinary(&self, spread: u64, watched: Milliseconds, length: Milliseconds) -> Ordinary {
        let ordinary = Ordinary::before(self.base_rate, spread, watched, length);
        match &self.rhythm {
            None => ordinary,
            Some(rhythm) => ordinary.at_times(rhythm.times(watched, length)),
        }
    }
}

impl Rhythm {
    fn new(rates: [f64; 24], now: Timestamp) -> Self {
        let mut sums = [0.0; 25];
        for (hour, rate) in rates.iter().enumerate() {
            sums[hour + 1] = sums[hour] + rate;
        }
        Rhythm {
            now,
            origin: now.floor_to(DAY) - DAY - DAY,
            rates,
            sums,
        }
    }

    /// How many times as busy a window of this length is as the watched part of the day before it.
    fn times(&self, watched: Milliseconds, length: Milliseconds) -> f64 {
        let from = self.now - length;
        let day = Milliseconds((DAY_HOURS * HOUR.0 as f64) as i64);
        let before_from = self.now - watched.clamp(length, day.max(length));
        let inside = (self.until(self.now) - self.until(from)) / hours(length);
        let before = match hours(from - before_from) {
            0.0 => self.sums[24] / 24.0,
            hours => (self.until(from) - self.until(before_from)) / hours,
        };
        (inside / before).clamp(1.0 / TIMES_MAX, TIMES_MAX)
    }

    /// What came since the origin.
    fn until(&self, at: Timestamp) -> f64 {
        let since = (at - self.origin).0;
        let hour = hour_of(at);
        let part = since.rem_euclid(HOUR.0) as f64 / HOUR.0 as f64;
        since.div_euclid(DAY.0) as f64 * self.sums[24] + self.sums[hour] + self.rates[hour] * part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::null::shipped;

    /// A midnight.
    const MIDNIGHT: Timestamp = Timestamp(1_770_076_800_000);

    fn evening() -> [f64; 24] {
        std::array::from_fn(|hour| if hour < 12 { 0.2 } else { 2.0 })
    }

    fn at(hours: i64, minutes: i64) -> Timestamp {
        MIDNIGHT + Milliseconds::from_hours(hours) + Milliseconds::from_minutes(minutes)
    }

    fn times(now: Timestamp, watched_hours: i64, minutes: i64) -> f64 {
        let rhythm = Rhythm::new(evening(), now);
        rhythm.times(
            Milliseconds::from_hours(watched_hours),
            Milliseconds::from_minutes(minutes),
        )
    }

    #[test]
    fn a_window_is_compared_with_the_hours_before_it() {
        assert!(
            (times(at(18, 0), 100, 60) - 2.0 / 1.048).abs() < 0.05,
            "{}",
            times(at(18, 0), 100, 60)
        );
        assert!(
            (times(at(6, 0), 100, 60) - 0.2 / 1.12).abs() < 0.01,
            "{}",
            times(at(6, 0), 100, 60)
        );
        assert!(
            (times(at(13, 0), 4, 60) - 10.0).abs() < 1e-9,
            "three hours of night before it"
        );
        assert!((times(at(6, 0), 3, 60) - 1.0).abs() < 1e-9, "night after night");
        let half = times(at(12, 30), 100, 60);
        assert!((half - 1.1 / 1.1).abs() < 0.1, "half of it in the night: {half}");
        assert!(
            (times(at(18, 0), 1, 60) - 2.0 / 1.1).abs() < 1e-9,
            "nothing was watched before: a day as any"
        );
        assert!((times(at(18, 0), 0, 60) - 2.0 / 1.1).abs() < 1e-9);
        assert!(
            Rhythm::new([1.0; 24], Timestamp::MIN)
                .times(Milliseconds(i64::MAX), HOUR)
                .is_finite()
        );
    }

    #[test]
    fn a_flat_day_has_no_rhythm() {
        let rhythm = Rhythm::new([1.7; 24], at(3, 17));
        for (watched, length) in [(0, 5), (1, 60), (7, 1), (100, 60)] {
            let times = rhythm.times(Milliseconds::from_hours(watched), Milliseconds::from_minutes(length));
            assert!((times - 1.0).abs() < 1e-9, "{watched} {length}: {times}");
        }
    }

    #[test]
    fn platforms_weigh_by_their_copies_and_those_without_a_null_are_as_shipped() {
        let busy = PlatformNull {
            hours: evening(),
            base_rate: GammaLaw {
                copies: 0.5,
                hours: 1.0,
            },
            ..shipped(PlatformId(1))
        };
        let mixed = |copies: [(u16, f64); 2]| {
            let copies = copies.map(|(platform, count)| (PlatformId(platform), count));
            Null::mixed(copies.into_iter(), &[busy], at(18, 0))
        };
        let both = mixed([(1, 30.0), (2, 10.0)]);
        assert!((both.base_rate.copies - 0.4).abs() < 1e-9 && (both.base_rate.hours - 2.25).abs() < 1e-9);
        assert!((both.rhythm.expect("it has one").rates[3] - 0.4).abs() < 1e-9);
        assert_eq!(mixed([(1, 0.0), (2, 0.0)]), Null::SHIPPED);
    }
}
