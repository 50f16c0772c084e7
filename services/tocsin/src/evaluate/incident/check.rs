use std::fmt::Debug;

/// A difference of two times that are known to a millisecond, in seconds.
const ROUNDING_S: f64 = 0.002;

/// What comparing found.
#[derive(Debug, Default)]
pub(super) struct Check {
    /// Figures that were held to the truth.
    pub(super) compared: u64,
    /// Those of them that are intervals.
    pub(super) intervals: u64,
    /// The widest of them, of counts of copies.
    pub(super) width_max: f64,
    /// How many of them are wider than the bar of windows: 2, or one in a thousand.
    pub(super) too_wide: u64,
    /// How many of all of them prove nothing, since there is nothing, or too little, that they do not hold.
    pub(super) vacuous: u64,
    /// Intervals of accounts, which hold the truth with 95 %.
    pub(super) reach_intervals: u64,
    /// How many of them do not.
    pub(super) reach_missed: u64,
    /// Which are not so, in words.
    pub(super) mismatches: Vec<String>,
}

impl Check {
    /// What is told is the truth.
    pub(super) fn equal<T: PartialEq + Debug>(&mut self, what: &str, told: T, truth: T) {
        self.compared += 1;
        if told != truth {
            self.mismatches
                .push(format!("{what}: {told:?} is told, {truth:?} is true"));
        }
    }

    /// The interval that is told holds the truth.
    pub(super) fn holds(&mut self, what: &str, told: Option<(f64, f64)>, truth: f64) {
        self.compared += 1;
        let Some((low, high)) = told else {
            self.mismatches
                .push(format!("{what}: nothing is told, {truth} is true"));
            return;
        };
        self.intervals += u64::from(low < high);
        // Neither nothing nor twice as much would be found.
        self.vacuous += u64::from(low < high && low <= 0.0 && high >= 2.0 * truth);
        if !(low <= truth && truth <= high) {
            self.mismatches
                .push(format!("{what}: {low} to {high} is told, {truth} is true"));
        }
    }

    /// The same of a count of copies, whose interval may be no wider than the bar.
    pub(super) fn counts(&mut self, what: &str, told: Option<(f64, f64)>, truth: f64) {
        self.holds(what, told, truth);
        if let Some((low, high)) = told {
            self.width_max = self.width_max.max(high - low);
            self.too_wide += u64::from(high - low > f64::max(2.0, truth / 1_000.0));
        }
    }

    /// The same of accounts: one interval in twenty may miss the truth, by no more than it is wide.
    pub(super) fn reach(&mut self, what: &str, told: Option<(f64, f64)>, truth: f64) {
        let Some((low, high)) = told.filter(|(low, high)| low < high) else {
            return self.holds(what, told, truth);
        };
        self.reach_intervals += 1;
        self.reach_missed += u64::from(!(low <= truth && truth <= high));
        let half = (high - low) / 2.0;
        self.holds(what, Some((low - half, high + half)), truth);
    }

    /// A count that is told lies between what the script knows of it, where up to `most` are possible.
    pub(super) fn among(&mut self, what: &str, told: f64, (low, high): (f64, f64), most: f64) {
        if low < high {
            self.intervals += 1;
            self.vacuous += u64::from(low <= 0.0 && high >= most);
        }
        self.within(what, Some(told), (low, high));
    }

    /// What is told lies between what the script knows of it, in seconds.
    pub(super) fn within(&mut self, what: &str, told: Option<f64>, (low, high): (f64, f64)) {
        self.compared += 1;
        let is_within = told.is_some_and(|told| low - ROUNDING_S <= told && told <= high + ROUNDING_S);
        if !is_within {
            self.mismatches
                .push(format!("{what}: {told:?} is told, {low} to {high} is true"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_so_is_found() {
        let mut check = Check::default();
        check.equal("equal", 3, 3);
        check.holds("holds", Some((1.0, 4.0)), 4.0);
        check.counts("counts", Some((7.0, 9.0)), 8.0);
        check.within("within", Some(1.5), (1.0, 1.5));
        check.reach("reach", Some((100.0, 104.0)), 105.0);
        check.reach("reach", Some((60.0, 60.0)), 60.0);
        assert_eq!((check.compared, check.intervals, check.too_wide), (6, 3, 0));
        assert_eq!((check.reach_intervals, check.reach_missed), (1, 1));
        check.among("among", 2.0, (2.0, 2.0), 3.0);
        check.among("among", 2.0, (1.0, 3.0), 3.0);
        assert_eq!((check.compared, check.intervals, check.vacuous), (8, 4, 0));
        assert_eq!(check.mismatches, Vec::<String>::new());

        check.equal("equal", 3, 4);
        check.holds("holds", Some((1.0, 4.0)), 4.5);
        check.holds("missing", None, 1.0);
        check.counts("counts", Some((7.0, 10.0)), 8.0);
        check.within("within", Some(1.6), (1.0, 1.5));
        check.within("missing", None, (1.0, 1.5));
        check.reach("reach", Some((100.0, 104.0)), 107.0);
        check.reach("reach", Some((60.0, 60.0)), 61.0);
        check.among("among", 0.0, (2.0, 2.0), 3.0);
        assert_eq!((check.compared, check.too_wide, check.width_max), (17, 1, 3.0));
        assert_eq!(check.mismatches.len(), 8, "{:?}", check.mismatches);
    }

    #[test]
    fn what_could_not_be_missed_is_counted_apart() {
        let mut check = Check::default();
        check.among("anything", 0.0, (0.0, 3.0), 3.0);
        check.holds("nothing to twice as much", Some((0.0, 8.0)), 4.0);
        assert_eq!((check.vacuous, check.intervals, check.compared), (2, 2, 2));
        check.among("not nothing", 1.0, (1.0, 3.0), 3.0);
        check.among("not all", 1.0, (0.0, 2.0), 3.0);
        check.among("exactly nothing", 0.0, (0.0, 0.0), 0.0);
        check.holds("not nothing", Some((1.0, 8.0)), 4.0);
        check.holds("not twice as much", Some((0.0, 7.0)), 4.0);
        check.holds("exactly nothing", Some((0.0, 0.0)), 0.0);
        assert_eq!((check.vacuous, check.mismatches.len()), (2, 0));
    }
}
