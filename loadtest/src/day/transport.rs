use tocsin_model::{Milliseconds, Timestamp};

use super::happening::Happened;
use super::occurrence::Occurrence;
use super::plan::{DayPlan, DisorderPlan};
use super::queue::Queue;
use crate::scenario::draw::Draw;

const VERY_LATE_MS: (i64, i64) = (3_600_000, 9_000_000);
const LATE_MS: (i64, i64) = (300_000, 3_600_000);
/// A duplicate follows within this time.
const AGAIN_WITHIN_MS: u64 = 30_000;
/// What a silent party has kept is received within this time after it speaks again.
const REPLAYED_WITHIN_MS: u64 = 5_000;

/// The way from the platforms to the log: delays, duplicates, wrong clocks, silence.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    disorder: DisorderPlan,
    stream_begins_at: Timestamp,
    silence_ms: Option<(u8, i64, i64)>,
    clocks_ahead: Vec<Milliseconds>,
    on_the_way: Queue<Occurrence>,
    received: u64,
}

impl Transport {
    pub(crate) fn new(plan: &DayPlan) -> Self {
        Transport {
            disorder: plan.disorder,
            stream_begins_at: plan.stream_begins_at(),
            silence_ms: plan.disorder.silence.map(|silence| {
                let from_ms = (plan.warm_up + silence.from).0;
                (silence.party, from_ms, from_ms + silence.lasts.0)
            }),
            clocks_ahead: plan.platforms.iter().map(|platform| platform.clock_ahead).collect(),
            on_the_way: Queue::new(),
            received: 0,
        }
    }

    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// When the first is received of what is on its way, in milliseconds from the beginning of the stream.
    pub(crate) fn first_at_ms(&self) -> Option<i64> {
        self.on_the_way.first_at_ms()
    }

    pub(crate) fn receive(&mut self) -> Option<Occurrence> {
        let (_, occurrence) = self.on_the_way.pop()?;
        self.received += 1;
        Some(occurrence)
    }

    /// Sends a record on its way, and its duplicate where it has one.
    pub(crate) fn send(&mut self, happened: Happened) {
        let mut draw = Draw::from_bits(happened.way);
        let mut occurrence = happened.occurrence;
        occurrence.occurred_at = occurrence.happened_at + self.clocks_ahead[usize::from(occurrence.platform)];
        let on_time_ms = happened.at_ms + self.delay_ms(&mut draw);
        self.put(self.heard_ms(on_time_ms, occurrence.party, &mut draw), occurrence);
        if draw.happens(self.disorder.duplicate_share) {
            let again_ms = on_time_ms + 1 + draw.below(AGAIN_WITHIN_MS) as i64;
            self.put(self.heard_ms(again_ms, occurrence.party, &mut draw), occurrence);
        }
    }

    fn delay_ms(&self, draw: &mut Draw) -> i64 {
        let lateness = draw.unit();
        let (from_ms, to_ms) = if lateness < self.disorder.very_late_share {
            VERY_LATE_MS
        } else if lateness < self.disorder.late_share {
            LATE_MS
        } else {
            (0, self.disorder.delay_max.0)
        };
        // Late is more than so late, so one millisecond is added.
        from_ms + 1 + draw.below((to_ms - from_ms).max(1) as u64) as i64
    }

    /// When a record is heard that would be received at this time if its party were not silent.
    fn heard_ms(&self, on_time_ms: i64, party: u8, draw: &mut Draw) -> i64 {
        match self.silence_ms {
            Some((silent, from_ms, ends_ms)) if silent == party && (from_ms..ends_ms).contains(&on_time_ms) => {
                ends_ms + draw.below(REPLAYED_WITHIN_MS) as i64
            }
            _ => on_time_ms,
        }
    }

    fn put(&mut self, at_ms: i64, occurrence: Occurrence) {
        let received_at = self.stream_begins_at + Milliseconds(at_ms);
        self.on_the_way.push(
            at_ms,
            Occurrence {
                received_at,
                ..occurrence
            },
        );
    }
}
