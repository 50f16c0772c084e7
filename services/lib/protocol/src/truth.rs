use serde::{Deserialize, Serialize};

/// A result in the strong logic of Kleene (Introduction to Metamathematics, 1952, section 64). Ordered: what is less true first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    /// It does not hold, whatever else is true.
    NotMet,
    /// What is known leaves both open.
    Unknown,
    /// It holds, whatever else is true.
    Met,
}

impl Truth {
    /// Met only if both are.
    pub fn and(self, other: Truth) -> Truth {
        self.min(other)
    }

    /// Met if one is.
    pub fn or(self, other: Truth) -> Truth {
        self.max(other)
    }

    /// The contrary; of what is unknown, unknown.
    #[must_use]
    pub fn negated(self) -> Truth {
        match self {
            Truth::Met => Truth::NotMet,
            Truth::Unknown => Truth::Unknown,
            Truth::NotMet => Truth::Met,
        }
    }

    /// Whether at least `count` of `all` are met.
    pub fn at_least(count: usize, all: &[Truth]) -> Truth {
        let met = all.iter().filter(|truth| **truth == Truth::Met).count();
        let open = all.iter().filter(|truth| **truth == Truth::Unknown).count();
        match count {
            count if met >= count => Truth::Met,
            count if met + open < count => Truth::NotMet,
            _ => Truth::Unknown,
        }
    }

    /// `met`, `not met` or `unknown`.
    pub fn name(self) -> &'static str {
        match self {
            Truth::Met => "met",
            Truth::NotMet => "not met",
            Truth::Unknown => "unknown",
        }
    }
}

impl From<bool> for Truth {
    fn from(known: bool) -> Truth {
        if known { Truth::Met } else { Truth::NotMet }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a result is decided exactly when every way to fill in what is unknown gives that result.
    #[test]
    fn a_result_is_what_every_completion_says() {
        let values = [Truth::NotMet, Truth::Unknown, Truth::Met];
        for number in 0..81 {
            let all: Vec<Truth> = (0..4).map(|place| values[number / 3_usize.pow(place) % 3]).collect();
            for count in 1..=4 {
                let completions = (0..16_u32).map(|bits| {
                    let filled = |(place, truth): (usize, &Truth)| match truth {
                        Truth::Unknown => bits >> place & 1 == 1,
                        known => *known == Truth::Met,
                    };
                    all.iter().enumerate().filter(|pair| filled(*pair)).count() >= count
                });
                let said: std::collections::BTreeSet<bool> = completions.collect();
                let expected = match (said.contains(&true), said.contains(&false)) {
                    (true, false) => Truth::Met,
                    (false, true) => Truth::NotMet,
                    _ => Truth::Unknown,
                };
                assert_eq!(Truth::at_least(count, &all), expected, "{count} of {all:?}");
            }
            let (one, other) = (all[0], all[1]);
            assert_eq!(one.or(other), Truth::at_least(1, &all[..2]));
            assert_eq!(one.and(other), Truth::at_least(2, &all[..2]));
            assert_eq!(one.and(other).negated(), one.negated().or(other.negated()));
        }
    }
}
