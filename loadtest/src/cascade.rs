//! Self-exciting cascades: every copy brings further copies, after delays with a long tail.
//!
//! The kernel is the one that SEISMIC fitted to a month of retweets (Zhao et al. 2015, arXiv 1506.02594): constant for five minutes, then a
//! power law of exponent 1.242. How many copies a copy brings depends on its audience (log-normal, so that one share by a large account
//! starts a second wave), on how catching the content is (log-normal between cascades, some of them above one: they grow), and
//! fades with time. Flatter than the world: no time of day, no removal, no second platform.

use crate::scenario::draw::Draw;

/// How long a cascade is followed, in seconds.
pub const HORIZON_S: f64 = 3.0 * 3_600.0;
/// The fewest copies in the first hour: smaller ones are no cascade that anything asks about.
pub const FIRST_HOUR_MIN: usize = 10;

/// The kernel: constant up to here, in seconds, then falling by this power beyond the first.
const CONSTANT_S: f64 = 300.0;
const POWER: f64 = 0.242;
/// Copies of the root itself: the median, and the deviation of their logarithm.
const ROOT_COPIES: (f64, f64) = (60.0, 1.3);
/// Copies of a copy, at the start and over all time.
const COPIES: (f64, f64) = (0.7, 0.35);
/// Deviation of the logarithm of an audience.
const AUDIENCE: f64 = 1.5;
/// Hours after which a cascade is a third as catching.
const FADES_AFTER_H: (f64, f64) = (8.0, 0.8);
/// Larger than this is drawn again.
const COPIES_MAX: usize = 200_000;

/// The delays of a cascade's copies after its root, in seconds, ascending, up to [`HORIZON_S`]. The same seed and number give the same.
pub fn cascade(seed: u64, number: u64) -> Vec<f64> {
    let mut draw = Draw::of(seed, "cascade", number);
    loop {
        if let Some(mut delays) = attempt(&mut draw) {
            delays.sort_unstable_by(f64::total_cmp);
            if delays.partition_point(|delay| *delay <= 3_600.0) >= FIRST_HOUR_MIN {
                return delays;
            }
        }
    }
}

/// One drawing. `None` where it grows beyond all bounds.
fn attempt(draw: &mut Draw) -> Option<Vec<f64>> {
    let root = log_normal(draw, ROOT_COPIES);
    let catching = log_normal(draw, COPIES);
    let fades_after_s = 3_600.0 * log_normal(draw, FADES_AFTER_H);
    let mut delays = Vec::new();
    bring(draw, 0.0, root, &mut delays);
    let mut next = 0;
    while let Some(&at) = delays.get(next) {
        next += 1;
        // The mean audience is 1.
        let audience = log_normal(draw, (libm::exp(-AUDIENCE * AUDIENCE / 2.0), AUDIENCE));
        bring(
            draw,
            at,
            catching * audience * libm::exp(-at / fades_after_s),
            &mut delays,
        );
        if delays.len() > COPIES_MAX {
            return None;
        }
    }
    Some(delays)
}

/// The copies that one at `at` brings: a Poisson number of mean `expected`, at delays of the kernel; those beyond the horizon are left out.
fn bring(draw: &mut Draw, at: f64, expected: f64, delays: &mut Vec<f64>) {
    let mut mass = draw.exponential();
    while mass < expected && delays.len() <= COPIES_MAX {
        let delay = at + delay(mass / expected);
        if delay > HORIZON_S {
            return;
        }
        delays.push(delay);
        mass += draw.exponential();
    }
}

/// The delay before which this part of the kernel's mass lies.
fn delay(mass: f64) -> f64 {
    let constant = POWER / (1.0 + POWER);
    if mass < constant {
        CONSTANT_S * mass / constant
    } else {
        CONSTANT_S * libm::pow((1.0 - mass) * (1.0 + POWER), -1.0 / POWER)
    }
}

/// By the median, and the deviation of the logarithm.
fn log_normal(draw: &mut Draw, (median, deviation): (f64, f64)) -> f64 {
    let normal = libm::sqrt(2.0 * draw.exponential()) * libm::cos(std::f64::consts::TAU * draw.unit());
    median * libm::exp(deviation * normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delays_follow_the_kernel() {
        // The constant part holds 0.242 / 1.242 of the mass, and the tail beyond an hour 12^-0.242 / 1.242 of it.
        assert!((delay(0.0974) - 150.0).abs() < 0.5);
        assert!((delay(0.242 / 1.242) - 300.0).abs() < 1e-6);
        let beyond_an_hour = libm::pow(12.0, -0.242) / 1.242;
        assert!((delay(1.0 - beyond_an_hour) - 3_600.0).abs() < 1e-6);
    }

    #[test]
    fn cascades_are_seeded_ascending_and_of_every_size() {
        let cascades: Vec<Vec<f64>> = (0..200).map(|number| cascade(5, number)).collect();
        assert_eq!(cascades[7], cascade(5, 7));
        assert_ne!(cascades[7], cascade(6, 7));
        for delays in &cascades {
            assert!(delays.is_sorted() && delays.len() >= FIRST_HOUR_MIN);
            assert!(delays.iter().all(|delay| (0.0..=HORIZON_S).contains(delay)));
        }
        let larger_than = |size: usize| cascades.iter().filter(|delays| delays.len() > size).count();
        assert!(larger_than(50) > 60 && larger_than(1_000) > 5 && larger_than(1_000) < 60);
    }
}
