//! Whether the copies of a window came at the pace of a crisis.

use tocsin_model::Milliseconds;

use super::ordinary::{TAIL_INDEX, TIME_POWER, hours};

/// A crisis whose rate doubles every five to twenty minutes has its first dozen copies in about eight minutes: the log of that in hours, ...
const LOG_TYPICAL_HOURS: f64 = -2.014_903_020_542_264_7; // ln(8 / 60)
/// ... with this deviation of the logarithm. Chosen on 120 simulated crises.
const DEVIATION: f64 = 0.6;
/// What is slower or faster than any crisis loses this much: a slow one rings all the same when it is a spike.
const LOSS_MAX: f64 = 3.0;
/// The power of the time by which ordinary bursts are over.
const ORDINARY_POWER: f64 = TAIL_INDEX * TIME_POWER;
/// What does not depend on the time: -ln(sqrt(2 pi) [`DEVIATION`] [`ORDINARY_POWER`]).
const LEVEL: f64 = 0.838_419_509_306_049_9;

/// Evidence from the time the copies took, in nats and at most so much: a log-normal law around the pace of a crisis, against that of ordinary
/// bursts, of which as many are over in a time as its power says ([`TIME_POWER`]): many within a minute, and many only in an hour.
pub(super) fn pace(length: Milliseconds, evidence_max: f64) -> f64 {
    let log_hours = libm::log(hours(length));
    let standard = (log_hours - LOG_TYPICAL_HOURS) / DEVIATION;
    (LEVEL - standard * standard / 2.0 - ORDINARY_POWER * log_hours).clamp(-LOSS_MAX, evidence_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_those_of_the_laws() {
        let typical = libm::log(8.0 / 60.0);
        let level = -libm::log(libm::sqrt(std::f64::consts::TAU) * DEVIATION * ORDINARY_POWER);
        assert!(
            (LOG_TYPICAL_HOURS - typical).abs() < 1e-12 && (LEVEL - level).abs() < 1e-12,
            "{typical} {level}"
        );
    }

    #[test]
    fn what_comes_in_some_minutes_speaks_for_a_crisis() {
        let of = |minutes: i64| pace(Milliseconds::from_minutes(minutes), 2.0);
        assert!(of(6) > 1.2 && of(12) > 0.5, "{} {}", of(6), of(12));
        assert!(of(1) < of(4) && of(1) < -1.0, "a minute is a machine's: {}", of(1));
        assert_eq!(of(60), -LOSS_MAX);
        assert!(of(25) < -0.5 && of(25) > of(40), "{} {}", of(25), of(40));
    }
}
