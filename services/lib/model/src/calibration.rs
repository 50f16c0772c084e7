use crate::Timestamp;

/// From when on which score interrupts a person: an ordered input of every key group. Whoever has several goes by the one of the highest
/// number among those that are in force, so a record that comes twice, or behind a later one, changes nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
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
}

impl Calibration {
    /// The smallest and the largest budget.
    pub const PAGES_PER_DAY_MIN: f64 = 0.1;
    /// See [`Calibration::PAGES_PER_DAY_MIN`].
    pub const PAGES_PER_DAY_MAX: f64 = 1_000.0;

    /// Whether its figures can be used: a finite threshold and a budget within its range.
    pub fn is_usable(&self) -> bool {
        let budget = Calibration::PAGES_PER_DAY_MIN..=Calibration::PAGES_PER_DAY_MAX;
        self.number > 0 && self.page_threshold.is_finite() && budget.contains(&self.pages_per_day)
    }
}
