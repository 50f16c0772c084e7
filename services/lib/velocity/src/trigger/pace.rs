//! Whether the copies of a window came at the pace of a crisis.

use tocsin_model::Milliseconds;

use super::ordinary::{TAIL_INDEX, TIME_POWER, hours};

/// A crisis whose rate doubles every five to twenty minutes has its first dozen copies in about this time, ...
const TYPICAL_HOURS: f64 = 8.0 / 60.0;
/// ... with this deviation of the logarithm. Fitted to 120 simulated crises.
const DEVIATION: f64 = 0.6;
/// What is slower or faster than any crisis loses this much: a slow one rings all the same when it is a spike.
const LOSS_MAX: f64 = 3.0;
/// Half the log of a whole turn: the constant of the normal law.
const LOG_SQRT_TAU: f64 = 0.918_938_533_204_672_8;

/// Evidence from the time the copies took, in nats and at most so much: a log-normal law around the pace of a crisis, against that of ordinary
/// bursts, of which as many are over in a time as its power says ([`TIME_POWER`]): many within a minute, and many only in an hour.
pub(super) fn pace(length: Milliseconds, evidence_max: f64) -> f64 {
    let power = TAIL_INDEX * TIME_POWER;
    let standard = libm::log(hours(length) / TYPICAL_HOURS) / DEVIATION;
    let of_crisis = -standard * standard / 2.0 - LOG_SQRT_TAU - libm::log(DEVIATION);
    let of_ordinary = libm::log(power) + power * libm::log(hours(length));
    (of_crisis - of_ordinary).clamp(-LOSS_MAX, evidence_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_in_some_minutes_speaks_for_a_crisis() {
        let of = |minutes: i64| pace(Milliseconds::from_minutes(minutes), 2.0);
        assert!(of(6) > 1.2 && of(12) > 0.5, "{} {}", of(6), of(12));
        assert!(of(1) < of(4) && of(1) < -1.0, "a minute is a machine's: {}", of(1));
        assert_eq!(of(60), -LOSS_MAX);
        assert!(of(25) < -0.5 && of(25) > of(40), "{} {}", of(25), of(40));
    }
}
