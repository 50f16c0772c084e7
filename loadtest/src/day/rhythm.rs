use tocsin_model::{Milliseconds, Timestamp};

use super::plan::{DayPlan, RhythmPlan};
use crate::scenario::draw::Draw;

const MINUTES: usize = 24 * 60;
const MINUTE_MS: f64 = 60_000.0;

/// Arrivals of a Poisson process whose rate follows the daily rhythm, constant within a minute.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals {
    /// Arrivals per millisecond, for each minute of the day.
    per_ms: Vec<f64>,
    /// The minute of the day in which the stream begins.
    first_minute: usize,
    /// Where the last arrival was, in milliseconds from the beginning of the stream, and where the minute ends.
    at_ms: f64,
    minute: usize,
    ends_ms: f64,
}

impl Arrivals {
    /// `per_day` on average, from the beginning of the stream to the end of the day.
    pub(crate) fn new(plan: &DayPlan, per_day: f64) -> Self {
        let begins_minute = plan.stream_begins_at().0.div_euclid(60_000);
        let rate = per_day / (MINUTES as f64 * MINUTE_MS);
        Arrivals {
            per_ms: (0..MINUTES).map(|minute| rate * level(plan.rhythm, minute)).collect(),
            first_minute: begins_minute.rem_euclid(MINUTES as i64) as usize,
            at_ms: 0.0,
            minute: 0,
            ends_ms: (plan.warm_up + plan.lasts).0 as f64,
        }
    }

    /// The next arrival, in milliseconds from the beginning of the stream.
    pub(crate) fn next(&mut self, draw: &mut Draw) -> Option<i64> {
        let mut mass = draw.exponential();
        while self.at_ms < self.ends_ms {
            let rate = self.per_ms[(self.first_minute + self.minute) % MINUTES];
            let minute_ends_ms = (self.minute + 1) as f64 * MINUTE_MS;
            let left = (minute_ends_ms - self.at_ms) * rate;
            if mass < left {
                self.at_ms += mass / rate;
                return (self.at_ms < self.ends_ms).then_some(self.at_ms as i64);
            }
            mass -= left;
            self.at_ms = minute_ends_ms;
            self.minute += 1;
        }
        None
    }
}

impl RhythmPlan {
    /// A time within a stretch, by the rhythm.
    pub(crate) fn draw(self, begins_at: Timestamp, lasts: Milliseconds, draw: &mut Draw) -> Milliseconds {
        loop {
            let after = Milliseconds(draw.below(lasts.0.max(1) as u64) as i64);
            let minute = (begins_at + after).0.div_euclid(60_000).rem_euclid(MINUTES as i64) as usize;
            if draw.unit() * (1.0 + self.swing) <= level(self, minute) {
                return after;
            }
        }
    }
}

/// How far above or below the mean a minute of the day is.
fn level(rhythm: RhythmPlan, minute: usize) -> f64 {
    let since_peak = (minute as f64 * MINUTE_MS - rhythm.peak.0 as f64) / (MINUTES as f64 * MINUTE_MS);
    1.0 + rhythm.swing * libm::cos(std::f64::consts::TAU * since_peak)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::{Scale, Scenario};

    #[test]
    fn arrivals_keep_their_mean_and_follow_the_clock() {
        let mut plan = DayPlan::new(Scenario::Benign, Scale(1e-4), 5);
        plan.begins_at = Timestamp(0);
        plan.warm_up = Milliseconds(0);
        plan.rhythm.peak = Milliseconds::from_hours(20);
        let mut arrivals = Arrivals::new(&plan, 200_000.0);
        let mut draw = Draw::of(1, "arrivals", 0);
        let mut hours = [0.0_f64; 24];
        while let Some(at_ms) = arrivals.next(&mut draw) {
            hours[(at_ms / 3_600_000) as usize] += 1.0;
        }
        let total: f64 = hours.iter().sum();
        assert!((total / 200_000.0 - 1.0).abs() < 0.01, "{total}");
        let expected = (1.0 + plan.rhythm.swing) / (1.0 - plan.rhythm.swing);
        let measured = (hours[19] + hours[20]) / (hours[7] + hours[8]);
        assert!((measured / expected - 1.0).abs() < 0.1, "{measured} for {expected}");
    }
}
