//! Every window that ends now, at once.

use tocsin_model::{Milliseconds, Timestamp};

use super::Past;
use super::null::Null;
use super::ordinary::Ordinary;
use crate::bins::Bin;
use crate::record::HotRecord;

/// A window that ends now and begins with a bin that holds something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    /// Where it begins.
    pub(super) from: Timestamp,
    /// How long it is.
    pub(super) length: Milliseconds,
    /// The spread in it.
    pub(super) spread: u64,
    /// The spread of the day before it.
    pub(super) before: u64,
    /// What would be ordinary in it.
    pub(super) ordinary: Ordinary,
}

/// Shorter windows are taken for this long: what comes within seconds is one post that was sent several times as often as it is spread.
pub(super) const LENGTH_MIN: Milliseconds = Milliseconds::from_minutes(1);

/// A spike is an hour: in longer windows a content becomes popular and no spike.
const LENGTH_MAX: Milliseconds = Milliseconds::from_hours(1);

/// Puts the bins of several records into `bins`, in place of what is there: latest first, each start once.
pub(super) fn put_bins(records: &[&HotRecord], now: Timestamp, bins: &mut Vec<Bin>) {
    bins.clear();
    for record in records {
        record.each_spread_latest_first(now, |bin| bins.push(bin));
    }
    if records.len() > 1 {
        bins.sort_unstable_by_key(|bin| std::cmp::Reverse(bin.start));
        bins.dedup_by(|later, kept| {
            let same = later.start == kept.start;
            if same {
                kept.count += later.count;
            }
            same
        });
    }
}

/// Every window of up to an hour that ends now and begins with one of these bins, which come latest first; the shortest first. There are
/// at most some 390, and seldom more than there were copies. None begins before the latest episode was over.
pub(super) fn windows<'a>(
    bins: &'a [Bin],
    past: Past<'a>,
    null: &'a Null,
    now: Timestamp,
) -> impl Iterator<Item = Window> + 'a {
    let day: u64 = bins
        .iter()
        .fold(past.uncounted, |sum, bin| sum.saturating_add(bin.count));
    let watched = now - past.watched_since;
    let recent = bins
        .iter()
        .take_while(move |bin| now - bin.start <= LENGTH_MAX && bin.start >= past.settled_until);
    recent.scan(0u64, move |spread, bin| {
        *spread = spread.saturating_add(bin.count);
        let length = (now - bin.start).max(LENGTH_MIN);
        let before = day.saturating_sub(*spread);
        Some(Window {
            from: bin.start,
            length,
            spread: *spread,
            before,
            ordinary: null.ordinary(before, watched, length),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG_WATCHED: Past<'_> = Past {
        watched_since: Timestamp(-1_000_000_000),
        settled_until: Timestamp::MIN,
        platforms: &[],
        uncounted: 0,
    };

    fn bins_of(ages_s: &[(i64, u64)]) -> Vec<Bin> {
        let bin = |&(age, count): &(i64, u64)| Bin {
            start: Timestamp(-age * 1_000),
            count,
        };
        ages_s.iter().map(bin).collect()
    }

    #[test]
    fn windows_begin_with_the_bins_and_know_what_came_before() {
        let bins = bins_of(&[(0, 2), (30, 1), (600, 4), (3_600, 40), (14_400, 1)]);
        let windows: Vec<Window> = windows(&bins, LONG_WATCHED, &Null::SHIPPED, Timestamp(0)).collect();
        let spread: Vec<(u64, Milliseconds)> = windows.iter().map(|window| (window.spread, window.length)).collect();
        assert_eq!(
            spread,
            [
                (2, LENGTH_MIN),
                (3, LENGTH_MIN),
                (7, Milliseconds::from_minutes(10)),
                (47, Milliseconds::from_hours(1))
            ]
        );
        assert!(
            windows[2].ordinary.expected(windows[2].length) > 0.1,
            "40 copies in the day before"
        );
        assert!(windows[3].ordinary.expected(windows[3].length) < 0.2, "one copy before");
    }

    #[test]
    fn no_window_reaches_back_into_an_episode_that_is_over() {
        let bins = bins_of(&[(10, 1), (600, 2), (1_200, 900)]);
        let settled = Past {
            settled_until: Timestamp(-900_000),
            ..LONG_WATCHED
        };
        let windows: Vec<Window> = windows(&bins, settled, &Null::SHIPPED, Timestamp(0)).collect();
        assert_eq!(windows.len(), 2);
        assert_eq!(windows[1].before, 900, "what came then is what is ordinary now");
    }
}
