use std::collections::{BTreeMap, VecDeque};

use tocsin_model::{ClockFlag, Milliseconds, Timestamp};
use tocsin_sketch::codec::{DecodeError, Decoder, Encoder};

/// The clock of one source: how far `occurred_at` runs behind the log's time, as a low quantile of the delays of the last day.
///
/// A clock that is right delivers some of its events at once, so its low quantile is near zero, however long an outage delays the others. A
/// wrong clock never comes near zero.
#[derive(Clone, Debug, Default)]
pub struct SourceClock {
    hours: VecDeque<Hour>,
    /// The sum of the hours.
    day: Hour,
    /// Delays of the latest hour that are in neither yet: so many of so many minutes. Nearly all events of a source are as late as the one before.
    waiting: (i32, u32),
    samples_until_estimate: u32,
    correction: Milliseconds,
}

/// Two clocks that decide the same are the same, whatever waits.
impl PartialEq for SourceClock {
    fn eq(&self, other: &Self) -> bool {
        let all = |clock: &SourceClock| {
            let mut clock = clock.clone();
            clock.add_waiting();
            (clock.hours, clock.day, clock.samples_until_estimate, clock.correction)
        };
        all(self) == all(other)
    }
}

impl Eq for SourceClock {}

/// Delays of one hour, by whole minutes (rounded down).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hour {
    number: i64,
    delays: BTreeMap<i32, u64>,
    samples: u64,
}

impl Hour {
    fn add(&mut self, minutes: i32, count: u64) {
        let delays = self.delays.entry(minutes).or_insert(0);
        *delays = delays.saturating_add(count);
        self.samples = self.samples.saturating_add(count);
    }

    fn take_away(&mut self, other: &Hour) {
        for (minutes, count) in &other.delays {
            if let Some(left) = self.delays.get_mut(minutes) {
                *left = left.saturating_sub(*count);
                if *left == 0 {
                    self.delays.remove(minutes);
                }
            }
        }
        self.samples = self.samples.saturating_sub(other.samples);
    }
}

/// What intake decides about one event's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrected {
    /// When it happened, by the corrected clock; the time of receipt where the clock ran ahead.
    pub occurred_at: Timestamp,
    /// What to say of it.
    pub flag: ClockFlag,
}

/// The quantile taken: robust against a few per cent of nonsense on either side.
const QUANTILE: f64 = 0.05;
/// Fewer delays than this correct nothing.
const SAMPLES_MIN: u64 = 32;
/// The estimate is taken anew after so many delays.
const ESTIMATE_EVERY: u32 = 32;
/// Less than this is network, queues and rounding, not a wrong clock.
const DEADBAND: Milliseconds = Milliseconds::from_minutes(2);
const HOURS_KEPT: usize = 24;
/// Delays beyond two days are counted as two days: this bounds the table.
const MINUTES_MAX: i64 = 2 * 24 * 60;
/// An event may lie so far ahead of its receipt.
const AHEAD_MAX: Milliseconds = Milliseconds::from_minutes(5);

impl SourceClock {
    /// Corrects an event's time and learns from it.
    pub fn correct(&mut self, occurred_at: Timestamp, received_at: Timestamp, lateness: Milliseconds) -> Corrected {
        self.learn(received_at - occurred_at, received_at);
        let occurred_at = occurred_at + self.correction;
        if occurred_at - received_at > AHEAD_MAX {
            return Corrected {
                occurred_at: received_at,
                flag: ClockFlag::Ahead,
            };
        }
        let flag = if received_at - occurred_at > lateness {
            ClockFlag::Late
        } else {
            ClockFlag::Plausible
        };
        Corrected { occurred_at, flag }
    }

    /// What is added to the source's times now.
    pub fn correction(&self) -> Milliseconds {
        self.correction
    }

    fn learn(&mut self, delay: Milliseconds, received_at: Timestamp) {
        let number = received_at.0.div_euclid(Milliseconds::from_hours(1).0);
        if self.hours.back().is_none_or(|hour| hour.number < number) {
            self.add_waiting();
            self.hours.push_back(Hour {
                number,
                ..Hour::default()
            });
        }
        while self
            .hours
            .front()
            .is_some_and(|hour| hour.number <= number - HOURS_KEPT as i64)
            || self.hours.len() > HOURS_KEPT
        {
            if let Some(over) = self.hours.pop_front() {
                self.day.take_away(&over);
            }
        }
        let minutes = delay.0.div_euclid(60_000).clamp(-MINUTES_MAX, MINUTES_MAX) as i32;
        if self.waiting.0 != minutes {
            self.add_waiting();
            self.waiting.0 = minutes;
        }
        self.waiting.1 += 1;
        self.samples_until_estimate = self.samples_until_estimate.saturating_sub(1);
        if self.samples_until_estimate == 0 {
            self.add_waiting();
            self.samples_until_estimate = ESTIMATE_EVERY;
            self.correction = self.estimate();
        }
    }

    /// Adds what waits to the latest hour and to the day.
    fn add_waiting(&mut self) {
        let (minutes, count) = self.waiting;
        if count > 0
            && let Some(hour) = self.hours.back_mut()
        {
            hour.add(minutes, u64::from(count));
            self.day.add(minutes, u64::from(count));
        }
        self.waiting.1 = 0;
    }

    fn estimate(&self) -> Milliseconds {
        if self.day.samples < SAMPLES_MIN {
            return Milliseconds(0);
        }
        let rank = (self.day.samples as f64 * QUANTILE) as u64;
        let mut below = 0;
        let quantile = self.day.delays.iter().find_map(|(minutes, count)| {
            below += count;
            (below > rank).then_some(*minutes)
        });
        let skew = Milliseconds::from_minutes(i64::from(quantile.unwrap_or(0)));
        if skew.0.abs() <= DEADBAND.0 {
            Milliseconds(0)
        } else {
            skew
        }
    }

    /// Writes the clock for intake's own state.
    pub fn encode(&self, out: &mut Encoder) {
        let whole = {
            let mut whole = self.clone();
            whole.add_waiting();
            whole
        };
        out.number(u64::from(whole.samples_until_estimate));
        out.signed(whole.correction.0);
        out.number(whole.hours.len() as u64);
        for hour in &whole.hours {
            out.signed(hour.number);
            out.number(hour.delays.len() as u64);
            for (minutes, count) in &hour.delays {
                out.signed(i64::from(*minutes));
                out.number(*count);
            }
        }
    }

    /// The inverse of [`SourceClock::encode`].
    pub fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut clock = SourceClock {
            samples_until_estimate: input.narrow("count of samples")?,
            correction: Milliseconds(input.signed()?),
            ..SourceClock::default()
        };
        for _ in 0..input.length(2)? {
            let mut hour = Hour {
                number: input.signed()?,
                ..Hour::default()
            };
            for _ in 0..input.length(2)? {
                let minutes = i32::try_from(input.signed()?).map_err(|_| DecodeError::Invalid("delay"))?;
                let count = input.number()?;
                hour.add(minutes, count);
                clock.day.add(minutes, count);
            }
            clock.hours.push_back(hour);
        }
        Ok(clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENESS: Milliseconds = Milliseconds::from_hours(2);

    fn at(minutes: i64) -> Timestamp {
        Timestamp(1_700_000_000_000 + minutes * 60_000)
    }

    /// Feeds (occurred, received) minutes and gives what was decided of the last.
    fn check(events: impl IntoIterator<Item = (i64, i64)>) -> Corrected {
        let mut clock = SourceClock::default();
        let decided = events
            .into_iter()
            .map(|(occurred, received)| clock.correct(at(occurred), at(received), LATENESS));
        decided.last().expect("there is an event")
    }

    #[test]
    fn a_right_clock_is_left_alone_through_an_outage_that_is_replayed() {
        let steady = (0..200).map(|minute| (minute, minute));
        let outage = (200..400).map(|minute| (minute, 400));
        let last = check(steady.chain(outage).chain([(401, 401)]));
        assert_eq!(
            last,
            Corrected {
                occurred_at: at(401),
                flag: ClockFlag::Plausible
            }
        );
    }

    #[test]
    fn a_clock_four_hours_behind_is_put_right() {
        let last = check((0..200).map(|minute| (minute - 240, minute)));
        assert_eq!(
            last,
            Corrected {
                occurred_at: at(199),
                flag: ClockFlag::Plausible
            }
        );
    }

    #[test]
    fn a_clock_four_hours_ahead_is_put_right() {
        let last = check((0..200).map(|minute| (minute + 240, minute)));
        assert_eq!(
            last,
            Corrected {
                occurred_at: at(199),
                flag: ClockFlag::Plausible
            }
        );
    }

    #[test]
    fn single_events_from_the_future_and_the_past_are_flagged() {
        let steady = || (0..200).map(|minute| (minute, minute));
        assert_eq!(
            check(steady().chain([(206, 200)])),
            Corrected {
                occurred_at: at(200),
                flag: ClockFlag::Ahead
            }
        );
        assert_eq!(
            check(steady().chain([(204, 200)])),
            Corrected {
                occurred_at: at(204),
                flag: ClockFlag::Plausible
            }
        );
        assert_eq!(check(steady().chain([(79, 200)])).flag, ClockFlag::Late);
    }

    #[test]
    fn what_a_day_of_delays_says_is_the_sum_of_its_hours() {
        // A clock that is put right after 30 hours, delays of up to an hour, and times of receipt that go back a little.
        let mut clock = SourceClock::default();
        for step in 0..6_000_i64 {
            let received = step - step * 7 % 5;
            let behind = if step < 1_800 { 240 } else { 0 };
            clock.correct(at(received - behind - step * 31 % 60), at(received), LATENESS);
            if step % 97 != 0 {
                continue;
            }
            clock.add_waiting();
            let mut hours = Hour::default();
            for (minutes, count) in clock.hours.iter().flat_map(|hour| &hour.delays) {
                hours.add(*minutes, *count);
            }
            assert_eq!(hours, clock.day, "{step}");
        }
        assert_eq!(clock.correction(), Milliseconds(0), "a day later nothing is left of it");
    }

    #[test]
    fn a_restored_clock_decides_as_the_original() {
        let mut clock = SourceClock::default();
        for minute in 0..100 {
            clock.correct(at(minute - 240), at(minute), LATENESS);
        }
        let mut out = Encoder::new();
        clock.encode(&mut out);
        let bytes = out.finish();
        let mut restored = SourceClock::decode(&mut Decoder::new(&bytes)).expect("own bytes decode");
        assert_eq!(restored, clock);
        for minute in 100..200 {
            let event = (at(minute - 240), at(minute));
            assert_eq!(
                restored.correct(event.0, event.1, LATENESS),
                clock.correct(event.0, event.1, LATENESS)
            );
        }
    }
}
