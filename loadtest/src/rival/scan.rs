use std::f64::consts::LN_10;

use tocsin_model::Milliseconds;

use super::Rival;
use super::watch::{Watch, Watched};
use crate::day::Occurrence;
use crate::score::Alarm;

/// Window lengths that are scanned.
const WINDOWS_MINUTES: [i64; 9] = [1, 2, 5, 10, 20, 30, 60, 120, 180];
/// How far back times are kept: the longest window.
const LOOKS_BACK: Milliseconds = Milliseconds::from_minutes(180);
/// The lowest base rate, in copies an hour: what a content without a past is taken to have.
pub const FLOOR_PER_HOUR: f64 = 1.0;

/// The Poisson scan statistic: for each window that ends with the newest copy, the log-likelihood ratio n ln(n / m) - (n - m) of n copies against
/// the m that the content's base rate lets expect; rings when the largest reaches ln(10^8), a nominal 10^-8.
///
/// The base rate is the content's own, of the time before the longest window, and at least [`FLOOR_PER_HOUR`].
#[derive(Clone, Debug)]
pub struct PoissonScan {
    watch: Watch,
}

impl PoissonScan {
    /// Its threshold.
    pub const THRESHOLD: f64 = 8.0 * LN_10;

    /// Nothing seen.
    pub fn new() -> Self {
        PoissonScan {
            watch: Watch::new(LOOKS_BACK),
        }
    }

    #[cfg(test)]
    pub(super) fn families(&self) -> usize {
        self.watch.families()
    }
}

impl Default for PoissonScan {
    fn default() -> Self {
        PoissonScan::new()
    }
}

impl Rival for PoissonScan {
    fn name(&self) -> &'static str {
        "poisson_scan"
    }

    fn rule(&self) -> String {
        format!(
            "in one of {} windows of {} to {} minutes, more copies than chance explains at the content's own earlier rate ({FLOOR_PER_HOUR} an hour at \
             least): a log-likelihood ratio of {:.1} or more, which is ln(10^8), one in 10^8 for one window looked at once if copies came independently of one another",
            WINDOWS_MINUTES.len(),
            WINDOWS_MINUTES[0],
            WINDOWS_MINUTES[WINDOWS_MINUTES.len() - 1],
            Self::THRESHOLD
        )
    }

    fn observe(&mut self, occurrence: &Occurrence) -> Option<Alarm> {
        let watched = self.watch.take_in(occurrence)?;
        let score = score(watched);
        if score < Self::THRESHOLD {
            return None;
        }
        watched.ring(occurrence.received_at);
        Some(Alarm {
            family: occurrence.family,
            at: occurrence.received_at,
            score,
            threshold: Self::THRESHOLD,
        })
    }
}

fn score(watched: &Watched) -> f64 {
    let Some(newest) = watched.newest_at() else { return 0.0 };
    // Not even four within a minute reach the threshold, at the lowest base rate: 4 ln(240) - 4 = 17.9.
    if watched.kept() <= 4 {
        return 0.0;
    }
    let past_hours = (newest - LOOKS_BACK - watched.first_at).0.max(0) as f64 / 3_600_000.0;
    let own = if past_hours >= 1.0 {
        watched.forgotten as f64 / past_hours
    } else {
        watched.forgotten as f64
    };
    let per_minute = own.max(FLOOR_PER_HOUR) / 60.0;
    WINDOWS_MINUTES
        .into_iter()
        .map(|minutes| {
            let copies = watched.newest_within(Milliseconds::from_minutes(minutes)) as f64;
            let expected = per_minute * minutes as f64;
            if copies > expected {
                copies * libm::log(copies / expected) - (copies - expected)
            } else {
                0.0
            }
        })
        .fold(0.0, f64::max)
}
