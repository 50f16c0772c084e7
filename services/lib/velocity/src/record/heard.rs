use tocsin_model::{Kind, PlatformId, Timestamp};

use super::HotRecord;
use crate::bins::{Resolution, Series};

/// What was heard of a content on one platform, of one kind, since promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeardOf {
    /// The platform.
    pub platform: PlatformId,
    /// The kind.
    pub kind: Kind,
    /// How many events.
    pub events: u64,
    /// When the earliest of them occurred.
    pub first_at: Timestamp,
    /// From when to when the latest occurred: the bin that holds it, the start inside and the end not. `None`: longer ago than bins are kept.
    pub latest: Option<(Timestamp, Timestamp)>,
    /// Whether the platform labels one of them `tvec`, with any confidence above 0.
    pub is_labelled: bool,
    /// The sum of the audiences that they stated: of view samples the views that the platform told of since promotion, at least. `None`: none stated any.
    pub audience: Option<u64>,
}

impl HotRecord {
    /// What was heard of each platform and kind since promotion, ascending by both.
    pub fn heard_of_each(&self) -> impl Iterator<Item = HeardOf> + '_ {
        self.cells.iter().map(|cell| HeardOf {
            platform: cell.platform,
            kind: cell.kind,
            events: cell.voice.events,
            first_at: cell.voice.first_at,
            latest: latest(&cell.series),
            is_labelled: cell.voice.label_percent > 0,
            audience: (cell.voice.audience_count > 0).then_some(cell.voice.audience_sum),
        })
    }

    /// At most so much spread was counted before promotion.
    pub fn spread_uncounted(&self) -> u64 {
        let all = self.spread(Resolution::Minutes15, Timestamp(i64::MIN), Timestamp(i64::MAX));
        all.high - all.low
    }
}

/// The bin that holds the latest event: the finest of those that do. What came too late for a fine bin stands in a coarse one alone.
fn latest(series: &Series) -> Option<(Timestamp, Timestamp)> {
    let mut latest: Option<(Timestamp, Timestamp)> = None;
    for resolution in Resolution::ALL.into_iter().rev() {
        let Some((start, _)) = series.bins(resolution).next_back() else {
            continue;
        };
        if latest.is_none_or(|(coarse, _)| start >= coarse) {
            latest = Some((start, start + resolution.width()));
        }
    }
    latest
}

#[cfg(test)]
mod tests {
    //! Goal: the latest event lies in the bin that is told, whatever order events come in and however old they are.
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use tocsin_model::Milliseconds;

    use super::*;
    use crate::bins::Place;

    proptest! {
        #[test]
        fn the_latest_event_lies_in_its_bin(steps in proptest::collection::vec((0..4_000_000i64, 0..90_000_000i64), 1..40)) {
            let (mut series, mut now) = (Series::default(), Timestamp(1_700_000_000_000));
            let mut at_latest = None::<Timestamp>;
            for (later, ago) in steps {
                now = now + Milliseconds(later);
                let at = now - Milliseconds(ago);
                series.add(&Place::of(at, now));
                // Older than the oldest bin by a quarter at most: counted in none.
                if ago < 89_000_000 {
                    at_latest = at_latest.max(Some(at));
                }
            }
            let told = latest(&series);
            if let Some(at) = at_latest.filter(|at| now - *at < Milliseconds(88_000_000)) {
                let (from, to) = told.unwrap();
                prop_assert!(from <= at && at < to, "{from:?} {at:?} {to:?}");
            }
        }
    }
}
