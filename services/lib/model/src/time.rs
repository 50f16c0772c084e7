use std::fmt;
use std::ops::{Add, Sub};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z (Avro `timestamp-millis`). May be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A length of time in milliseconds. May be negative: a source whose clock runs ahead has a negative delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Milliseconds(pub i64);

impl Timestamp {
    /// The earliest time there is; a group that has seen nothing stands here.
    pub const MIN: Timestamp = Timestamp(i64::MIN);

    /// The start of the step of `length` that holds this time: the largest multiple of `length` that is not later.
    ///
    /// `length` must be positive.
    pub fn floor_to(self, length: Milliseconds) -> Timestamp {
        Timestamp(self.0.saturating_sub(self.0.rem_euclid(length.0)))
    }
}

impl Milliseconds {
    /// `count` seconds.
    pub const fn from_seconds(count: i64) -> Self {
        Milliseconds(count * 1_000)
    }

    /// `count` minutes.
    pub const fn from_minutes(count: i64) -> Self {
        Milliseconds(count * 60_000)
    }

    /// `count` hours.
    pub const fn from_hours(count: i64) -> Self {
        Milliseconds(count * 3_600_000)
    }
}

/// Saturating: a time stamp from outside may stand anywhere in the range.
impl Add<Milliseconds> for Timestamp {
    type Output = Timestamp;
    fn add(self, length: Milliseconds) -> Timestamp {
        Timestamp(self.0.saturating_add(length.0))
    }
}

impl Add for Milliseconds {
    type Output = Milliseconds;
    fn add(self, other: Milliseconds) -> Milliseconds {
        Milliseconds(self.0.saturating_add(other.0))
    }
}

impl Sub<Milliseconds> for Timestamp {
    type Output = Timestamp;
    fn sub(self, length: Milliseconds) -> Timestamp {
        Timestamp(self.0.saturating_sub(length.0))
    }
}

impl Sub<Timestamp> for Timestamp {
    type Output = Milliseconds;
    fn sub(self, earlier: Timestamp) -> Milliseconds {
        Milliseconds(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}
