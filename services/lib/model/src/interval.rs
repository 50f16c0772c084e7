/// A count that is known to lie in `low..=high`. Exact when both are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interval {
    /// The truth is at least this.
    pub low: u64,
    /// The truth is at most this.
    pub high: u64,
}

impl Interval {
    /// An interval that holds one value.
    pub const fn exact(value: u64) -> Self {
        Interval {
            low: value,
            high: value,
        }
    }

    /// Whether both ends are equal.
    pub fn is_exact(self) -> bool {
        self.low == self.high
    }

    /// Whether `value` lies inside.
    pub fn contains(self, value: u64) -> bool {
        self.low <= value && value <= self.high
    }

    /// The interval of the sum of two counts. Saturating.
    pub fn plus(self, other: Interval) -> Interval {
        Interval {
            low: self.low.saturating_add(other.low),
            high: self.high.saturating_add(other.high),
        }
    }
}
