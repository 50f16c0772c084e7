//! Counts of everything that is not hot: one visibility class of one key group.

mod answer;
mod clock;

use tocsin_model::{ContentId, Interval, Milliseconds, Timestamp};

use self::answer::Noting;
pub use self::answer::{Bound, ColdCount, Recorded};
use self::clock::Clock;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::first_sightings::{FilterKey, FilterShape, FirstSightings, Sighted, Step};
use crate::lane::Lane;
use crate::open_minute::{Noted, OpenMinute};
use crate::pane::{Pane, PaneCount, PaneKey};
use crate::recent_quarters::{COLUMNS, Kept, RecentQuarters};

/// Sizes and secrets of [`ColdCounts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColdConfig {
    /// Cells per row of a count-min pane: a power of two from 16 to 65,536 (other numbers are taken for the next one). A pane lists up to
    /// twice as many contents before it becomes a sketch of 8 bytes times this; the first-sighting filter holds up to 64 times as many.
    pub width: u32,
    /// Secret: uploaders choose the contents, so whoever knows it can aim at cells.
    pub seed: u64,
    /// How late an event may be and still be counted: whole quarters of an hour (others are rounded up) up to 24 h.
    pub lateness: Milliseconds,
}

/// Counts of one visibility class of one key group: a filter of first sightings and panes of 1 minute, 15 minutes and 1 hour.
///
/// The first sighting of a content goes into the filter alone, with a time stamp of some minutes; every other one into the pane of its
/// minute and of its quarter of an hour, by its own time. Minutes are kept for an hour and up to 15 minutes more, quarters for the lateness
/// and up to an hour more, then four quarters become a sealed hour, kept until no window of 24 h that ended within the lateness can need it.
/// So coarsening is dropping, and what is late lands in every pane that still holds its time. Panes exist only where something was counted.
///
/// Never under-counts: a missing content has spread at most as often as [`ColdCounts::count`] says.
#[derive(Clone, Debug)]
pub struct ColdCounts {
    config: ColdConfig,
    shape: FilterShape,
    clock: Option<Clock>,
    filter: FirstSightings,
    /// Events of the open minute that are not in its pane yet.
    open: OpenMinute,
    minutes: Lane,
    /// Quarters from the first kept minute on; older ones are panes.
    recent: RecentQuarters,
    quarters: Lane,
    hours: Lane,
    dropped_late: u64,
}

/// What panes and filter know a content by.
#[derive(Clone, Copy, Debug)]
pub struct ColdKeys {
    pane: PaneKey,
    filter: FilterKey,
}

const MINUTE: Milliseconds = Milliseconds::from_minutes(1);
const QUARTER: Milliseconds = Milliseconds::from_minutes(15);
const HOUR: Milliseconds = Milliseconds::from_hours(1);
const DAY: Milliseconds = Milliseconds::from_hours(24);
/// An event further ahead of the group's time is counted at the group's time. Intake lets through 5 minutes.
const AHEAD_MAX: Milliseconds = QUARTER;
/// Times beyond this (36 million years) are taken for it, so that sums of times cannot overflow.
const TIME_MAX: i64 = 1 << 60;
const WIDTH_MIN: u32 = 16;
const WIDTH_MAX: u32 = 1 << 16;
/// First sightings the filter holds, per cell of a row.
const FIRST_SIGHTINGS_PER_CELL: usize = 64;
/// Bytes of a first sighting in the filter, of a pane for each cell of a row (two listed contents with the room to grow, or four rows), and of the
/// recent quarters for the same: at most.
const FIRST_SIGHTING_BYTES: usize = 5;
const PANE_BYTES_PER_CELL: usize = 20;
const PANE_BYTES: usize = 256;
const ROW_BYTES_PER_CELL: usize = 128;
/// Probability that a count-min sketch of four rows errs by more than e / width: exp(-4).
const SKETCH_FAILURE: f64 = 0.018_315_638_888_734_18;
/// The version of the encoded form.
const FORMAT: u8 = 2;

impl ColdConfig {
    /// The most bytes that [`ColdCounts`] of this take, but for counts of 255 and more, which have a list of their own.
    pub fn memory_bytes_max(&self) -> usize {
        let width = self.width.clamp(WIDTH_MIN, WIDTH_MAX).next_power_of_two() as usize;
        let lateness = self.lateness.0.clamp(0, DAY.0);
        let stretches = |behind: Milliseconds, length: Milliseconds| (behind.0 / length.0 + 2) as usize;
        let panes = stretches(HOUR + QUARTER + AHEAD_MAX, MINUTE)
            + stretches(Milliseconds(lateness) + HOUR, QUARTER)
            + stretches(Milliseconds(lateness) + DAY + HOUR, HOUR);
        let filter = width * FIRST_SIGHTINGS_PER_CELL * FIRST_SIGHTING_BYTES;
        let panes = (panes + COLUMNS) * (width * PANE_BYTES_PER_CELL + PANE_BYTES);
        size_of::<ColdCounts>() + panes + width * ROW_BYTES_PER_CELL + filter
    }
}

impl ColdCounts {
    /// Nothing counted yet; takes no memory to speak of.
    pub fn new(config: ColdConfig) -> Self {
        let config = ColdConfig {
            width: config.width.clamp(WIDTH_MIN, WIDTH_MAX).next_power_of_two(),
            seed: config.seed,
            lateness: Milliseconds((config.lateness.0.clamp(0, DAY.0) + QUARTER.0 - 1) / QUARTER.0 * QUARTER.0),
        };
        let behind = Milliseconds(DAY.0 + config.lateness.0 + 2 * HOUR.0);
        let shape = FilterShape::new(config.width as usize * FIRST_SIGHTINGS_PER_CELL, behind, AHEAD_MAX);
        ColdCounts {
            config,
            shape,
            clock: None,
            filter: FirstSightings::new(shape),
            open: OpenMinute::default(),
            minutes: Lane::new(MINUTE),
            recent: RecentQuarters::new(config.width as usize),
            quarters: Lane::new(QUARTER),
            hours: Lane::new(HOUR),
            dropped_late: 0,
        }
    }

    /// Counts one spread of `content` at event time `at`; `now` is the group's time, at least every `now` before.
    ///
    /// The caller has refused events later than the lateness; one that comes nevertheless is in no window and raises
    /// [`ColdCounts::dropped_late`]. An event more than 15 minutes ahead of `now` is counted at `now`.
    ///
    /// Returns what is known of the content's spread over the last hour, this one included. It reaches back up to 15 minutes more, so that
    /// it costs one line of memory, however many quarters that are.
    pub fn record(&mut self, content: ContentId, at: Timestamp, now: Timestamp) -> Recorded {
        let keys = self.keys(content);
        let clock = self.advanced(now);
        let noted = self.note(keys, at, clock);
        let within = |step: Step| step.to > clock.now - HOUR;
        let first = match noted.sighted {
            Sighted::First => 1,
            Sighted::Again(step) => u64::from(step.is_some_and(within)),
        };
        let recent = self.recent.sum(keys.pane);
        let own = recent.listed.saturating_add(first);
        let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Recorded {
            high: count(own.saturating_add(recent.beyond)),
            own: count(own),
            beyond: noted.kept == Some(Kept::Beyond),
        }
    }

    /// [`ColdCounts::record`] for whoever does not need the bound.
    pub fn record_known(&mut self, content: ContentId, at: Timestamp, now: Timestamp) {
        let keys = self.keys(content);
        let clock = self.advanced(now);
        self.note(keys, at, clock);
    }

    /// Reads where the filter of first sightings would hold a content, and gives some of it so that nobody leaves that out. Done for several contents
    /// before the first of them is recorded, their memory comes while the others' is waited for.
    #[inline]
    pub fn touch_filter(&self, keys: ColdKeys) -> u8 {
        self.filter.touch(keys.filter)
    }

    /// The same for the quarters of the last hour.
    #[inline]
    pub fn touch_quarters(&self, keys: ColdKeys) -> u8 {
        self.recent.touch(keys.pane)
    }

    fn note(&mut self, keys: ColdKeys, at: Timestamp, clock: Clock) -> Noting {
        let at = if at > clock.newest() { clock.now } else { at };
        if at < clock.quarters_from {
            self.dropped_late = self.dropped_late.saturating_add(1);
            let sighted = Sighted::Again(self.filter.step_of(keys.filter, clock.newest()));
            return Noting { sighted, kept: None };
        }
        let sighted = self.filter.sight(keys.filter, at, clock.newest());
        if sighted == Sighted::First {
            return Noting { sighted, kept: None };
        }
        if at < clock.minutes_from {
            let width = self.config.width as usize;
            self.quarters.pane_mut(at, clock.quarters_from).add(keys.pane, width);
            return Noting { sighted, kept: None };
        }
        let kept = Some(self.recent.add(keys.pane, number(at, QUARTER)));
        let minute = number(at, MINUTE);
        if self.open.is_before(minute) {
            self.close_minute(clock, true);
        }
        match self.open.add(minute, keys.pane) {
            Noted::Kept => {}
            Noted::Full => self.close_minute(clock, false),
            Noted::Past => {
                let width = self.config.width as usize;
                self.minutes.pane_mut(at, clock.minutes_from).add(keys.pane, width);
            }
        }
        Noting { sighted, kept }
    }

    /// Puts what is kept of the open minute into its pane.
    fn close_minute(&mut self, clock: Clock, over: bool) {
        let at = Timestamp(self.open.number() * MINUTE.0);
        let width = self.config.width as usize;
        if at >= clock.minutes_from {
            let pane = self.minutes.pane_mut(at, clock.minutes_from);
            self.open.take(|keys| pane.add_all(keys, width));
            if over {
                pane.settle();
            }
        } else {
            self.open.take(|_| ());
        }
    }

    /// How often `content` spread in `[from, to)`, with both edges rounded outward to the panes that are kept.
    ///
    /// Costs at most one look-up for each pane used: some 60 for an hour or a day.
    pub fn count(&self, content: ContentId, from: Timestamp, to: Timestamp) -> ColdCount {
        let nothing = |from, to| ColdCount {
            count: Interval::exact(0),
            covered_from: from,
            covered_to: to,
            expected_error: 0.0,
            confidence: 1.0,
        };
        let (from, to) = (clamped(from), clamped(to));
        let Some(clock) = self.clock.filter(|_| from < to) else {
            return nothing(from, to.max(from));
        };
        let covered_from = clock.round_down(from).max(clock.hours_from);
        let covered_to = clock.round_up(to);
        if covered_to <= covered_from {
            return nothing(covered_to, covered_to);
        }
        let keys = self.keys(content);
        let mut high = 0u64;
        let mut sketch_total = 0u64;
        let mut failure = 0.0;
        self.each_pane(keys.pane, clock, covered_from, covered_to, |found| {
            high = high.saturating_add(found.high);
            sketch_total = sketch_total.saturating_add(found.sketch_total);
            failure += found.collision_probability;
        });
        let mut expected_error = std::f64::consts::E * sketch_total as f64 / f64::from(self.config.width);
        if sketch_total > 0 {
            failure += SKETCH_FAILURE;
        }
        if let Some(step) = self.filter.step_of(keys.filter, clock.newest())
            && step.from < covered_to
            && step.to > covered_from
        {
            high = high.saturating_add(1);
            failure += self.filter.collision_probability();
            if step.from < covered_from || step.to > covered_to {
                expected_error += 1.0;
            }
        }
        ColdCount {
            count: Interval { low: 0, high },
            covered_from,
            covered_to,
            expected_error,
            confidence: (1.0 - failure).max(0.0),
        }
    }

    /// The upper bounds of [`ColdCounts::count`] for windows that end together and begin at `starts`, latest first, and what of them is probably the
    /// content's own: each pane is asked once.
    pub fn bounds<const N: usize>(&self, content: ContentId, starts: [Timestamp; N], to: Timestamp) -> [Bound; N] {
        let to = clamped(to);
        let Some(clock) = self.clock else {
            return [Bound::default(); N];
        };
        let covered_to = clock.round_up(to);
        let keys = self.keys(content);
        let step = self.filter.step_of(keys.filter, clock.newest());
        let sum = |from, to| {
            let mut sum = Bound::default();
            self.each_pane(keys.pane, clock, from, to, |found| {
                sum = sum.plus(Bound {
                    high: found.high,
                    probable: found.probable(self.config.width as usize),
                });
            });
            sum
        };
        // From here on the panes are summed already. A quarter's start, so that longer windows use the same panes.
        let (mut summed_from, mut summed) = (covered_to, Bound::default());
        starts.map(|from| {
            let from = clamped(from);
            let covered_from = clock.round_down(from).max(clock.hours_from);
            if from >= to || covered_to <= covered_from {
                return Bound::default();
            }
            let quarter = (covered_from + QUARTER - Milliseconds(1)).floor_to(QUARTER);
            let found = if quarter >= covered_to {
                sum(covered_from, covered_to)
            } else {
                debug_assert!(quarter <= summed_from, "starts come latest first");
                summed = summed.plus(sum(quarter, summed_from));
                summed_from = quarter;
                summed.plus(sum(covered_from, quarter))
            };
            let first = step.is_some_and(|step| step.from < covered_to && step.to > covered_from);
            let first = u64::from(first);
            found.plus(Bound {
                high: first,
                probable: first,
            })
        })
    }

    /// Lets time pass: drops minutes and hours, seals quarters into hours, forgets old first sightings.
    ///
    /// Costs per pane, and only when a quarter or a step of the filter ends.
    pub fn advance(&mut self, now: Timestamp) {
        self.advanced(now);
    }

    /// Events that came later than the lateness and are in no window.
    pub fn dropped_late(&self) -> u64 {
        self.dropped_late
    }

    /// Contents in the filter of first sightings.
    pub fn first_sightings(&self) -> usize {
        self.filter.len()
    }

    /// The most that it holds: what is new beyond goes into the panes, whose bounds grow by it.
    pub fn first_sightings_max(&self) -> usize {
        self.shape.len_max
    }

    /// Bytes on the heap and of this value.
    pub fn memory_bytes(&self) -> usize {
        let lanes = [&self.minutes, &self.quarters, &self.hours];
        let panes: usize = lanes.into_iter().map(Lane::memory_bytes).sum();
        let recent = self.open.memory_bytes() + self.recent.memory_bytes();
        size_of::<Self>() + self.filter.memory_bytes() + recent + panes
    }

    /// Writes the state, without the configuration. Equal states give equal bytes; what is sparse is small.
    pub fn encode(&self, out: &mut Encoder) {
        out.byte(FORMAT);
        out.number(u64::from(self.config.width));
        out.number(self.config.lateness.0 as u64);
        out.number(self.dropped_late);
        let Some(clock) = self.clock else {
            out.byte(0);
            return;
        };
        out.byte(1);
        out.signed(clock.now.0);
        self.filter.encode(out);
        self.open.encode(number(clock.minutes_from, MINUTE), out);
        self.minutes.encode(clock.minutes_from, out);
        self.recent.encode(number(clock.minutes_from, QUARTER), out);
        self.quarters.encode(clock.quarters_from, out);
        self.hours.encode(clock.hours_from, out);
    }

    /// Reads what [`ColdCounts::encode`] wrote under the same configuration.
    ///
    /// # Errors
    /// The bytes are not such a state, or one of another width or lateness.
    pub fn decode(config: ColdConfig, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut counts = ColdCounts::new(config);
        if input.byte()? != FORMAT {
            return Err(DecodeError::Invalid("format of cold counts"));
        }
        if input.number()? != u64::from(counts.config.width) {
            return Err(DecodeError::Invalid("width"));
        }
        if input.number()? != counts.config.lateness.0 as u64 {
            return Err(DecodeError::Invalid("lateness"));
        }
        counts.dropped_late = input.number()?;
        match input.byte()? {
            0 => return Ok(counts),
            1 => {}
            _ => return Err(DecodeError::Invalid("clock")),
        }
        let now = Timestamp(input.signed()?);
        if now != clamped(now) {
            return Err(DecodeError::Invalid("time"));
        }
        let clock = Clock::new(now, counts.config.lateness, counts.shape);
        let width = counts.config.width as usize;
        counts.filter = FirstSightings::decode(counts.shape, input)?;
        let (minutes_from, newest) = (clock.minutes_from, clock.newest());
        counts.open = OpenMinute::decode(number(minutes_from, MINUTE), number(newest, MINUTE), input)?;
        counts.minutes = Lane::decode(MINUTE, minutes_from, newest, width, input)?;
        let quarters = [minutes_from, newest].map(|at| number(at, QUARTER));
        counts.recent = RecentQuarters::decode(width, quarters[0], quarters[1], input)?;
        counts.quarters = Lane::decode(QUARTER, clock.quarters_from, minutes_from - QUARTER, width, input)?;
        counts.hours = Lane::decode(HOUR, clock.hours_from, clock.quarters_from - HOUR, width, input)?;
        counts.clock = Some(clock);
        Ok(counts)
    }

    fn advanced(&mut self, now: Timestamp) -> Clock {
        let now = clamped(now);
        let old = match self.clock {
            None => {
                let clock = Clock::new(now, self.config.lateness, self.shape);
                self.clock = Some(clock);
                return clock;
            }
            Some(clock) if now < clock.steady_until => {
                let clock = Clock {
                    now: now.max(clock.now),
                    ..clock
                };
                self.clock = Some(clock);
                return clock;
            }
            Some(clock) => clock,
        };
        let clock = Clock::new(now, self.config.lateness, self.shape);
        self.filter.advance(old.newest(), clock.newest());
        self.close_minute(clock, true);
        self.minutes.take_before(clock.minutes_from).for_each(drop);
        self.move_quarters(old, clock);
        self.seal_before(clock);
        self.hours.take_before(clock.hours_from).for_each(drop);
        self.clock = Some(clock);
        clock
    }

    /// Makes hours of the quarters that no event is taken for any more.
    fn seal_before(&mut self, clock: Clock) {
        let mut quarters: Vec<(Timestamp, Pane)> = self.quarters.take_before(clock.quarters_from).collect();
        quarters.retain(|(start, _)| *start >= clock.hours_from);
        for hour in quarters.chunk_by(|a, b| a.0.floor_to(HOUR) == b.0.floor_to(HOUR)) {
            let start = hour[0].0.floor_to(HOUR);
            let sealed = Pane::sealed(hour.iter().map(|(_, pane)| pane), self.config.width as usize);
            *self.hours.pane_mut(start, clock.hours_from) = sealed;
        }
    }

    /// Makes panes of the quarters that lie before the last hour now.
    fn move_quarters(&mut self, old: Clock, clock: Clock) {
        let (first, end) = (number(old.minutes_from, QUARTER), number(clock.minutes_from, QUARTER));
        for quarter in (first..end).take(COLUMNS) {
            if let Some(pane) = self.recent.take(quarter) {
                let at = Timestamp(quarter * QUARTER.0);
                *self.quarters.pane_mut(at, old.quarters_from) = pane;
            }
        }
    }

    /// Calls `visit` with what the coarsest panes that make up the time between two edges hold of the content.
    fn each_pane(&self, key: PaneKey, clock: Clock, from: Timestamp, to: Timestamp, mut visit: impl FnMut(PaneCount)) {
        let to = to.min(clock.newest() + QUARTER);
        let mut at = from;
        while at < to {
            let (lane, length) = if at < clock.quarters_from {
                (Some(&self.hours), HOUR)
            } else if at < clock.minutes_from {
                (Some(&self.quarters), QUARTER)
            } else if at == at.floor_to(QUARTER) && at + QUARTER <= to {
                visit(self.recent.count(key, number(at, QUARTER)));
                (None, QUARTER)
            } else {
                visit(PaneCount {
                    high: self.open.count(number(at, MINUTE), key),
                    ..PaneCount::default()
                });
                (Some(&self.minutes), MINUTE)
            };
            if let Some(pane) = lane.and_then(|lane| lane.pane(at)) {
                visit(pane.count(key));
            }
            at = at + length;
        }
    }

    /// One 128-bit keyed hash a content; panes and filter take different bits of it.
    #[inline]
    pub fn keys(&self, content: ContentId) -> ColdKeys {
        let hash = xxhash_rust::xxh3::xxh3_128_with_seed(&content.0.to_le_bytes(), self.config.seed);
        ColdKeys {
            pane: PaneKey(hash as u32),
            filter: FilterKey((hash >> 96) as u32),
        }
    }
}

fn clamped(at: Timestamp) -> Timestamp {
    Timestamp(at.0.clamp(-TIME_MAX, TIME_MAX))
}

/// The number of the stretch of this length that holds a time.
#[inline]
fn number(at: Timestamp, length: Milliseconds) -> i64 {
    at.0.div_euclid(length.0)
}
