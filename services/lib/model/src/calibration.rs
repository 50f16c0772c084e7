use crate::{PlatformNull, Timestamp};

/// From when on which score interrupts a person, and what is ordinary on each platform: an ordered input of every key group. Whoever has
/// several goes by the one of the highest number among those that are in force, so a record that comes twice, or behind a later one, changes
/// nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Its number, from 1; a later record has a higher one. 0 is what a version ships with.
    pub number: u64,
    /// The time of the tick from which on it holds.
    pub effective_from: Timestamp,
    /// An episode pages when its page score reaches this.
    pub page_threshold: f64,
    /// The budget behind the threshold: so many pages a day are expected.
    pub pages_per_day: f64,
    /// How many episodes the threshold rests on, beside what the version ships with.
    pub episodes: u32,
    /// When it was made.
    pub at: Timestamp,
    /// What is ordinary on each platform that was calibrated, ascending by platform; at most [`Calibration::PLATFORMS_MAX`]. On every other
    /// one it is what the version ships with.
    pub platforms: Vec<PlatformNull>,
}

impl Calibration {
    /// The smallest and the largest budget.
    pub const PAGES_PER_DAY_MIN: f64 = 0.1;
    /// See [`Calibration::PAGES_PER_DAY_MIN`].
    pub const PAGES_PER_DAY_MAX: f64 = 1_000.0;
    /// The most platforms with a null of their own.
    pub const PLATFORMS_MAX: usize = 256;

    /// Whether its figures can be used: a finite threshold, a budget within its range, and nulls within their limits, each platform once.
    pub fn is_usable(&self) -> bool {
        let budget = Calibration::PAGES_PER_DAY_MIN..=Calibration::PAGES_PER_DAY_MAX;
        let ascend = self.platforms.is_sorted_by(|one, next| one.platform < next.platform);
        self.number > 0
            && self.page_threshold.is_finite()
            && budget.contains(&self.pages_per_day)
            && self.platforms.len() <= Calibration::PLATFORMS_MAX
            && ascend
            && self.platforms.iter().all(PlatformNull::is_usable)
    }
}
