//! How many will see copies of a family in the next hour, and how much of that any one party can make believe.

use tocsin_model::{Milliseconds, Timestamp};

use crate::evidence::PartyEvidence;
use crate::forecast::{Calibration, Course, Model};
use crate::weight::WEIGHT_MIN;

/// What one party adds counts fully up to half of this many exposures, and never for more, where no other party shows anything.
pub const PARTY_EXPOSURE_MAX: f64 = 10_000.0;
/// Where others show more, one party may add up to so many times what they show.
pub const PARTY_EXPOSURE_TIMES: f64 = 3.0;

/// The exposure of the next hour that can still be prevented, and its factors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exposure {
    /// Spread to expect in the next hour, median.
    pub(crate) forecast_1h: f64,
    /// The part of it that is posted and not blocked at upload, as in the last hour.
    pub(crate) posted_share: f64,
    /// How many see a posted copy: the mean stated audience, 1 where none is stated.
    pub(crate) audience_per_copy: f64,
    /// What a copy counts, by the evidence by which it came into the family: see [`crate::weight`].
    pub(crate) links_weight: f64,
    /// How many further viewers running live streams will have.
    pub(crate) live: f64,
    /// The product of the first four, and the live ones.
    pub(crate) total: f64,
}

/// A concurrent place before a live stream is taken by so many viewers in an hour: who comes stays some twenty minutes.
pub(crate) const LIVE_VIEWERS_PER_HOUR: f64 = 3.0;

/// What the events of some parties show when there is nobody else.
pub(crate) fn exposure<'a>(
    evidence: impl Iterator<Item = &'a PartyEvidence>,
    calibration: &Calibration,
    now: Timestamp,
) -> Exposure {
    let mut course = Course {
        age: Milliseconds(0),
        last_5m: 0,
        last_30m: 0,
        last_3h: 0,
    };
    let (mut copies, mut last_1h, mut posted_1h) = (0_u64, 0_u64, 0_u64);
    let (mut audience_sum, mut audience_count) = (0_u64, 0_u64);
    let mut live_viewers = 0_u64;
    let mut doubted = 0.0;
    for said in evidence {
        let age = said.since.map_or(Milliseconds(0), |since| now - since);
        course.age = course.age.max(age);
        course.last_5m = course.last_5m.saturating_add(said.last_5m);
        course.last_30m = course.last_30m.saturating_add(said.last_30m);
        course.last_3h = course.last_3h.saturating_add(said.last_3h);
        copies = copies.saturating_add(said.copies);
        last_1h = last_1h.saturating_add(said.last_1h);
        posted_1h = posted_1h.saturating_add(said.posted_1h);
        audience_sum = audience_sum.saturating_add(said.audience_sum);
        audience_count = audience_count.saturating_add(said.audience_count);
        live_viewers = live_viewers.saturating_add(said.live_viewers);
        doubted += said.doubted;
    }
    // Of what nobody passed on, nothing is to be expected: the forecast's prior speaks of what has begun to spread.
    let forecast_1h = match copies {
        0 => 0.0,
        _ => calibration.forecast(&Model::SHIPPED, &course).median,
    };
    let posted_share = (posted_1h as f64 + 1.0) / (last_1h as f64 + 1.0);
    let audience_per_copy = match audience_count {
        0 => 1.0,
        count => audience_sum as f64 / count as f64,
    };
    // Whatever is said, no copy counts for less than the least that evidence is worth.
    let links_weight = match copies {
        0 => 1.0,
        copies => (1.0 - doubted / copies as f64).clamp(WEIGHT_MIN, 1.0),
    };
    let live = LIVE_VIEWERS_PER_HOUR * live_viewers as f64;
    Exposure {
        forecast_1h,
        posted_share,
        audience_per_copy,
        links_weight,
        live,
        total: forecast_1h * posted_share * audience_per_copy * links_weight + live,
    }
}

/// The most that one party adds to an exposure of which the others show `others`.
pub fn exposure_cap(others: f64) -> f64 {
    PARTY_EXPOSURE_MAX.max(PARTY_EXPOSURE_TIMES * others)
}

/// What counts of `added`, under this cap: all of it up to half of the cap; beyond, ever less of what comes on top, so that the order of two
/// additions stays what it was and the sum stays below the cap.
pub(crate) fn held(added: f64, cap: f64) -> f64 {
    let half = cap / 2.0;
    if added <= half {
        added
    } else {
        cap - half * (half / added)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_counts_keeps_its_order_and_stays_below_the_cap(
            others in 0.0..1e9_f64,
            small in 0.0..1e12_f64,
            more in 0.0..1e12_f64,
        ) {
            let cap = exposure_cap(others);
            let (less, greater) = (held(small, cap), held(small + more, cap));
            prop_assert!(0.0 <= less && less <= greater && greater <= cap, "{less} {greater} {cap}");
            prop_assert!(less <= small);
            prop_assert!(held(cap / 2.0, cap) == cap / 2.0);
        }
    }
}
