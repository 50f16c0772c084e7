use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tocsin_log::TopicPartition;

/// How often it is told in the log how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// What a replica must read before it is ready. Offsets stand for records: what compaction took, and the markers of transactions, take no time.
#[derive(Debug)]
pub(crate) struct CatchUp {
    /// Where each partition was begun, and where it ended then.
    spans: BTreeMap<TopicPartition, (u64, u64)>,
    began_at: Instant,
    told_at: Instant,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reached {
    pub(crate) read: u64,
    pub(crate) left: u64,
    /// At the pace so far; `None` before anything was read.
    pub(crate) seconds_left: Option<f64>,
}

impl CatchUp {
    pub(crate) fn new(spans: BTreeMap<TopicPartition, (u64, u64)>, now: Instant) -> Self {
        CatchUp {
            spans,
            began_at: now,
            told_at: now,
        }
    }

    /// With the next offset of each partition.
    pub(crate) fn reached(&self, next: &BTreeMap<TopicPartition, u64>, now: Instant) -> Reached {
        let (mut read, mut left) = (0, 0);
        for (partition, (begin, end)) in &self.spans {
            let at = next
                .get(partition)
                .copied()
                .unwrap_or(*begin)
                .clamp(*begin, (*end).max(*begin));
            read += at - begin;
            left += end.saturating_sub(at);
        }
        let since = now.saturating_duration_since(self.began_at).as_secs_f64();
        Reached {
            read,
            left,
            seconds_left: (read > 0).then(|| since * left as f64 / read as f64),
        }
    }

    /// Whether it is to be told in the log; then it counts as told.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now.saturating_duration_since(self.told_at) >= TOLD_EVERY;
        if is_due {
            self.told_at = now;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what is left is told at the pace so far, over all topics together.

    use super::*;

    #[test]
    fn what_is_left_goes_by_the_pace_so_far() {
        let began = Instant::now();
        let place = |name, number| TopicPartition::new(name, number);
        // One of them lost its beginning, another is empty, and the last went on since.
        let spans = [
            (place("state", 0), (100, 500)),
            (place("state", 1), (0, 0)),
            (place("alerts", 0), (0, 600)),
        ];
        let mut catch_up = CatchUp::new(spans.into(), began);
        let at = |catch_up: &CatchUp, seconds, one, other| {
            let next = [
                (place("state", 0), one),
                (place("alerts", 0), other),
                (place("state", 1), 7),
            ];
            let reached = catch_up.reached(&next.into(), began + Duration::from_secs(seconds));
            (reached.read, reached.left, reached.seconds_left)
        };
        assert_eq!(at(&catch_up, 3, 100, 0), (0, 1_000, None));
        assert_eq!(at(&catch_up, 10, 300, 50), (250, 750, Some(30.0)));
        assert_eq!(at(&catch_up, 40, 900, 800), (1_000, 0, Some(0.0)));
        let due = [1, 5, 9, 10].map(|second| catch_up.is_due(began + Duration::from_secs(second)));
        assert_eq!(due, [false, true, false, true]);
    }
}
