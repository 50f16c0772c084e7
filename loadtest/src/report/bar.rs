//! Figures beside what they have to be, and whether they are.

use std::ops::RangeInclusive;

use super::short;

/// A figure and what it has to be.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What it says, in words.
    pub meaning: String,
    /// The figure.
    pub value: String,
    /// How far what was measured allows the truth to be from it; empty where nothing is stated.
    pub bound: String,
    /// What it has to be.
    pub target: String,
    /// Whether it is.
    pub met: Met,
}

/// Whether a figure is what it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// There is too little to say.
    Undecided,
    /// Nothing is asked of it.
    Open,
}

/// A figure that is an estimate: what was measured, and the bounds of what it may truly be, each of them by itself with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// What was measured; infinite or NaN where it was not.
    pub value: f64,
    /// The truth is at least this; minus infinity where nothing bounds it from below.
    pub low: f64,
    /// The truth is at most this; infinite where nothing bounds it from above.
    pub high: f64,
}

impl Estimate {
    /// Whether the truth is at most so much: it is where even the upper bound is, and is not where even the lower bound is more.
    pub fn at_most(&self, target: f64) -> Met {
        match (self.high <= target, self.low > target) {
            (true, _) => Met::Yes,
            (_, true) => Met::No,
            _ => Met::Undecided,
        }
    }

    /// Whether the truth is at least so much: it is where even the lower bound is, and is not where even the upper bound is less.
    pub fn at_least(&self, target: f64) -> Met {
        match (self.low >= target, self.high < target) {
            (true, _) => Met::Yes,
            (_, true) => Met::No,
            _ => Met::Undecided,
        }
    }

    /// The bound that the verdict stands on, in words: the one on the side of the target, or the other one where that was passed.
    fn bound(&self, side: Side, met: Met) -> String {
        let upper = || match self.high {
            high if high.is_finite() => format!("at most {}", short(high)),
            _ => "too few to say".to_owned(),
        };
        let lower = || match self.low {
            low if low.is_finite() => format!("at least {}", short(low)),
            _ => "too few to say".to_owned(),
        };
        match (side, met == Met::No) {
            (Side::AtMost, false) | (Side::AtLeast, true) => upper(),
            (Side::AtMost, true) | (Side::AtLeast, false) => lower(),
        }
    }
}

/// On which side of a target a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    AtMost,
    AtLeast,
}

impl Bar {
    /// A figure that has to be at most so much; `None` where it is infinite.
    pub fn at_most(meaning: &str, value: Option<f64>, target: f64) -> Bar {
        Bar {
            meaning: meaning.to_owned(),
            value: value.map_or_else(|| "without end".to_owned(), short),
            bound: String::new(),
            target: format!("at most {}", short(target)),
            met: Met::from(value.is_some_and(|value| value <= target)),
        }
    }

    /// A figure that has to be at least so much.
    pub fn at_least(meaning: &str, value: f64, target: f64) -> Bar {
        Bar {
            meaning: meaning.to_owned(),
            value: short(value),
            bound: String::new(),
            target: format!("at least {}", short(target)),
            met: Met::from(value >= target),
        }
    }

    /// An estimate that has to be at most so much.
    pub fn estimated_at_most(meaning: &str, estimate: Estimate, target: f64) -> Bar {
        let met = estimate.at_most(target);
        Bar {
            bound: estimate.bound(Side::AtMost, met),
            met,
            ..Bar::at_most(meaning, Some(estimate.value), target)
        }
    }

    /// An estimate that has to be at least so much.
    pub fn estimated_at_least(meaning: &str, estimate: Estimate, target: f64) -> Bar {
        let met = estimate.at_least(target);
        Bar {
            bound: estimate.bound(Side::AtLeast, met),
            met,
            ..Bar::at_least(meaning, estimate.value, target)
        }
    }

    /// How many there are of those that all have to be; of none nothing is known.
    pub fn all(meaning: &str, count: f64, of: f64) -> Bar {
        Bar {
            meaning: meaning.to_owned(),
            value: format!("{} of {}", short(count), short(of)),
            bound: String::new(),
            target: "all".to_owned(),
            met: if of > 0.0 {
                Met::from(count >= of)
            } else {
                Met::Undecided
            },
        }
    }

    /// A figure that has to lie within these bounds; `None` where there is too little to say.
    pub fn within(meaning: &str, value: Option<f64>, bounds: RangeInclusive<f64>) -> Bar {
        Bar {
            meaning: meaning.to_owned(),
            value: written(value),
            bound: String::new(),
            target: format!("{} to {}", short(*bounds.start()), short(*bounds.end())),
            met: value.map_or(Met::Undecided, |value| Met::from(bounds.contains(&value))),
        }
    }

    /// A figure of which nothing is asked; `None` where there is none.
    pub fn reported(meaning: &str, value: Option<f64>) -> Bar {
        Bar::told(meaning, written(value))
    }

    /// The same, in words.
    pub fn told(meaning: &str, value: String) -> Bar {
        Bar {
            meaning: meaning.to_owned(),
            value,
            bound: String::new(),
            target: String::new(),
            met: Met::Open,
        }
    }

    /// The same bar with what bounds its figure, in words.
    pub fn bounded(self, bound: String) -> Bar {
        Bar { bound, ..self }
    }
}

impl Met {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Met::Yes => "met",
            Met::No => "missed",
            Met::Undecided => "not decided",
            Met::Open => "reported",
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Met::Yes => "yes",
            Met::No => "no",
            Met::Undecided => "undecided",
            Met::Open => "open",
        }
    }
}

impl From<bool> for Met {
    fn from(met: bool) -> Self {
        if met { Met::Yes } else { Met::No }
    }
}

/// How many of the goals were met, missed and are not decided, and which were not met, in one sentence; empty where there is no goal.
pub fn verdicts(bars: &[Bar]) -> String {
    let of = |met: Met| bars.iter().filter(move |bar| bar.met == met);
    let [met, missed, undecided] = [Met::Yes, Met::No, Met::Undecided].map(|met| of(met).count());
    if met + missed + undecided == 0 {
        return String::new();
    }
    let named = |of: Met| {
        let meanings: Vec<&str> = bars
            .iter()
            .filter(|bar| bar.met == of)
            .map(|bar| bar.meaning.as_str())
            .collect();
        match meanings.is_empty() {
            true => String::new(),
            false => format!(" ({})", meanings.join("; ")),
        }
    };
    format!(
        "Goals: {met} met, {missed} missed{}, {undecided} not decided{}.",
        named(Met::No),
        named(Met::Undecided)
    )
}

fn written(value: Option<f64>) -> String {
    value.map_or_else(|| "none".to_owned(), short)
}

#[cfg(test)]
mod tests {
    //! Goal: a verdict says no more than the bounds of its figure allow.
    use super::*;

    fn estimate(low: f64, value: f64, high: f64) -> Estimate {
        Estimate { value, low, high }
    }

    #[test]
    fn a_goal_is_met_or_missed_only_where_the_bound_says_so() {
        for (low, value, high, at_most_10, at_least_10) in [
            (0.0, 0.0, 3.0, Met::Yes, Met::No),
            (0.0, 0.0, 2_781.0, Met::Undecided, Met::Undecided),
            (4.0, 93.0, 440.0, Met::Undecided, Met::Undecided),
            (330.0, 1_857.0, 5_845.0, Met::No, Met::Yes),
            (10.0, 10.0, 10.0, Met::Yes, Met::Yes),
            (11.0, 11.0, 11.0, Met::No, Met::Yes),
            (0.0, 9.0, f64::INFINITY, Met::Undecided, Met::Undecided),
            (12.0, f64::INFINITY, f64::INFINITY, Met::No, Met::Yes),
            (f64::NAN, f64::NAN, f64::NAN, Met::Undecided, Met::Undecided),
        ] {
            let told = estimate(low, value, high);
            assert_eq!(told.at_most(10.0), at_most_10, "{told:?}");
            assert_eq!(told.at_least(10.0), at_least_10, "{told:?}");
            assert_eq!(Bar::estimated_at_most("", told, 10.0).met, at_most_10);
            assert_eq!(Bar::estimated_at_least("", told, 10.0).met, at_least_10);
        }
    }

    #[test]
    fn the_bound_that_decides_stands_beside_the_figure() {
        let at_most = |low, value, high| Bar::estimated_at_most("", estimate(low, value, high), 10.0).bound;
        let at_least = |low, value, high| Bar::estimated_at_least("", estimate(low, value, high), 10.0).bound;
        assert_eq!(at_most(0.0, 0.0, 2_781.0), "at most 2,781");
        assert_eq!(at_most(330.0, 1_857.0, 5_845.0), "at least 330");
        assert_eq!(at_most(0.0, 9.0, f64::INFINITY), "too few to say");
        assert_eq!(at_most(8.0, 9.0, 9.0), "at most 9", "a bound may be the figure itself");
        assert_eq!(at_least(8.0, 12.0, f64::INFINITY), "at least 8");
        assert_eq!(at_least(f64::NEG_INFINITY, 12.0, f64::INFINITY), "too few to say");
    }

    #[test]
    fn of_none_it_is_not_known_whether_all_of_them_are() {
        let bar = |count, of| Bar::all("", count, of);
        assert_eq!(
            (bar(10.0, 10.0).met, bar(10.0, 10.0).value.as_str()),
            (Met::Yes, "10 of 10")
        );
        assert_eq!((bar(9.0, 10.0).met, bar(0.0, 0.0).met), (Met::No, Met::Undecided));
        assert_eq!(Bar::within("", None, 0.0..=1.0).met, Met::Undecided);
    }

    #[test]
    fn a_sentence_says_what_became_of_all_goals() {
        let bars = [
            Bar::at_most("errors", Some(0.0), 0.0),
            Bar::at_most("delay", Some(3.0), 2.0),
            Bar::estimated_at_most("false alarms", estimate(0.0, 0.0, 20.0), 10.0),
            Bar::reported("size", Some(1.0)),
        ];
        assert_eq!(
            verdicts(&bars),
            "Goals: 1 met, 1 missed (delay), 1 not decided (false alarms)."
        );
        assert_eq!(verdicts(&bars[..1]), "Goals: 1 met, 0 missed, 0 not decided.");
        assert_eq!(verdicts(&bars[3..]), "");
    }
}
