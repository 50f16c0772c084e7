use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tocsin_log::{LogError, SharedLog, TopicPartition};
use tocsin_model::PartitionCount;
use tocsin_wire::topics;

/// How often it is looked how far the detectors are behind.
const LOOKED_EVERY: Duration = Duration::from_millis(100);
/// How often it is said that looks fail.
const WARNED_EVERY: Duration = Duration::from_secs(60);
/// How long a look may take.
const LOOK_TIME_MAX: Duration = Duration::from_secs(2);
/// Intake runs ahead of the detectors by at most this, and what one look misses. A detector that keeps up stores its positions twice a second.
pub(crate) const AHEAD_MAX: Duration = Duration::from_millis(1_200);
/// A partition whose position has not moved for so long is read by nobody, or by a detector that restores it. To wait for that would hold up
/// the others, and during an outage keep events where they are kept for less time.
const STANDS_STILL_AFTER: Duration = Duration::from_secs(3);
/// Ends of the log remembered: more than looks within [`AHEAD_MAX`].
const ENDS_MAX: usize = 64;

/// Whether the detectors are further behind than they should be: then intake reads no events.
///
/// Events in the sightings topic come in one order for all parties. What a flooding party has there is before what the others send after it, and no turns in
/// intake help against that. So the flood waits in the party's own ingest topic, and the sightings topic holds about a second's work.
pub(crate) struct Pressure {
    is_high: Arc<AtomicBool>,
    failed: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    watcher: Option<JoinHandle<()>>,
}

impl Pressure {
    /// Watches on a thread of its own: a look asks the brokers, and may take its time.
    pub(crate) fn watch(log: &SharedLog, partitions: PartitionCount) -> Result<Self, LogError> {
        let (is_high, stop) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let failed = Arc::<AtomicU64>::default();
        let (log, high, stopped, failures) = (log.clone(), is_high.clone(), stop.clone(), failed.clone());
        let places: Vec<TopicPartition> = (0..u32::from(partitions.get()))
            .map(|number| TopicPartition::new(topics::SIGHTINGS, number))
            .collect();
        let watch = move || {
            let mut behind = Behind::default();
            let mut warned_at: Option<Instant> = None;
            while !stopped.load(Ordering::Acquire) {
                let began = Instant::now();
                let looked = log.ends(&places, LOOK_TIME_MAX).and_then(|ends| {
                    let positions = log.positions(topics::SIGHTINGS_GROUP, &places, LOOK_TIME_MAX)?;
                    Ok((ends, positions))
                });
                // Who cannot be asked holds nobody up: what is appended then fails or waits by itself.
                let is_high = match looked {
                    Ok((ends, positions)) => behind.time(began, ends, &positions) > AHEAD_MAX,
                    Err(error) => {
                        failures.fetch_add(1, Ordering::Relaxed);
                        if warned_at.is_none_or(|at| at.elapsed() >= WARNED_EVERY) {
                            warned_at = Some(Instant::now());
                            tracing::warn!(
                                error = %tocsin_runtime::roles::chain(&error),
                                "how far the detectors are behind cannot be asked: a flood by one party would delay all"
                            );
                        }
                        false
                    }
                };
                high.store(is_high, Ordering::Release);
                std::thread::park_timeout(LOOKED_EVERY.saturating_sub(began.elapsed()));
            }
        };
        let spawned = std::thread::Builder::new().name("pressure".to_owned()).spawn(watch);
        Ok(Pressure {
            is_high,
            failed,
            stop,
            watcher: Some(spawned.map_err(|_| LogError::Closed)?),
        })
    }

    /// Looks that failed since this was last asked.
    pub(crate) fn take_failed(&self) -> u64 {
        self.failed.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn is_high(&self) -> bool {
        self.is_high.load(Ordering::Acquire)
    }
}

impl Drop for Pressure {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(watcher) = self.watcher.take() {
            watcher.thread().unpark();
            // It ends at the latest with its look.
            let _ = watcher.join();
        }
    }
}

/// How long ago the log ended where a group is now.
#[derive(Debug, Default)]
struct Behind {
    /// The position of each partition, and since when it is there.
    moved: Vec<(Option<u64>, Instant)>,
    /// Ends of all partitions, and when they were seen; the oldest first.
    seen: VecDeque<(Instant, Vec<u64>)>,
}

impl Behind {
    /// The time by which the group is behind, of the partition where it is most. A partition without a position, or whose position stands still,
    /// does not count.
    fn time(&mut self, now: Instant, ends: Vec<u64>, positions: &[Option<u64>]) -> Duration {
        self.moved.resize(positions.len(), (None, now));
        for ((was, since), position) in self.moved.iter_mut().zip(positions) {
            if was != position {
                (*was, *since) = (*position, now);
            }
        }
        let moved = &self.moved;
        let is_read = |ends: &[u64]| {
            let mut places = ends.iter().zip(moved);
            places.all(|(end, (position, since))| {
                let stands_still = now.saturating_duration_since(*since) > STANDS_STILL_AFTER;
                stands_still || position.is_none_or(|position| position >= *end)
            })
        };
        self.seen.push_back((now, ends));
        // Of what is read by now only the latest tells anything.
        while self.seen.len() > 1 && is_read(&self.seen[1].1) {
            self.seen.pop_front();
        }
        if self.seen.len() > ENDS_MAX {
            // The oldest stays: it says since when. Of the others every second one goes.
            let mut number = 0;
            self.seen.retain(|_| {
                number += 1;
                number % 2 == 1
            });
        }
        match self.seen.front() {
            Some((_, ends)) if self.seen.len() == 1 && is_read(ends) => Duration::ZERO,
            Some((at, _)) => now.saturating_duration_since(*at),
            None => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the time behind is that since the log ended where the group is; who keeps up, or reads nothing, is not behind.

    use super::*;

    #[test]
    fn it_is_behind_since_the_end_it_has_not_reached() {
        let start = Instant::now();
        let at = |second: u64| start + Duration::from_secs(second);
        for (looks, seconds) in [
            // Level, all the time.
            (&[(10, Some(10)), (20, Some(20)), (20, Some(20))][..], 0),
            // Level with the look before.
            (&[(10, Some(10)), (20, Some(10)), (30, Some(20))], 1),
            // Stands still while the log grows, and while it does not.
            (&[(10, Some(10)), (20, Some(10)), (30, Some(10)), (40, Some(10))], 3),
            (&[(10, Some(5)), (10, Some(5)), (10, Some(5))], 2),
            // Stands still for too long to be at work, and then goes on far behind.
            (
                &[
                    (10, Some(5)),
                    (20, Some(5)),
                    (30, Some(5)),
                    (40, Some(5)),
                    (50, Some(5)),
                ],
                0,
            ),
            (
                &[
                    (10, Some(5)),
                    (20, Some(5)),
                    (30, Some(5)),
                    (40, Some(5)),
                    (50, Some(5)),
                    (60, Some(6)),
                    (70, Some(7)),
                ],
                2,
            ),
            // Has caught up.
            (&[(10, Some(0)), (20, Some(0)), (20, Some(20))], 0),
            // Nobody reads.
            (&[(10, None), (20, None), (30, None)], 0),
        ] {
            let mut behind = Behind::default();
            let mut last = Duration::ZERO;
            for (second, (end, position)) in (0..).zip(looks) {
                last = behind.time(at(second), vec![*end, 7], &[*position, Some(7)]);
            }
            assert_eq!(last, Duration::from_secs(seconds), "{looks:?}");
        }
    }

    #[test]
    fn what_is_remembered_has_a_limit_and_the_time_goes_on() {
        let start = Instant::now();
        let mut behind = Behind::default();
        for second in 0..1_000 {
            // It moves, and never gets anywhere near.
            let time = behind.time(
                start + Duration::from_secs(second),
                vec![second * 10 + 2_000],
                &[Some(second)],
            );
            assert_eq!(time, Duration::from_secs(second));
            assert!(behind.seen.len() <= ENDS_MAX);
        }
    }
}
