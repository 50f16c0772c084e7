//! Whether the copies of a window come faster and faster.

use tocsin_model::Timestamp;

use super::scan::Window;
use crate::bins::Bin;

/// Evidence from the order of the copies, in nats and at most so much: positive where they come faster and faster, negative where they die
/// away.
///
/// Laplace's trend statistic (Cox and Lewis 1966, section 3.3): given their number and the first and the last, the copies of a steady
/// source lie uniformly between the two. For a rate that grows or falls exponentially their mean place is sufficient, and half the square
/// of its standard score is the log-likelihood ratio to second order. Of the copies only so many count.
pub(super) fn growth(bins: &[Bin], window: &Window, copies: f64, now: Timestamp, evidence_max: f64) -> f64 {
    let inside = || bins.iter().take_while(|bin| bin.start >= window.from);
    let Some(last) = inside().next() else { return 0.0 };
    let length = (last.start.min(now) - window.from).0 as f64;
    // The first and the last copy make the window and say nothing of its shape.
    let between = window.spread.saturating_sub(2);
    if between == 0 || length <= 0.0 {
        return 0.0;
    }
    let places: f64 = inside()
        .map(|bin| bin.count as f64 * (((bin.start - window.from).0 as f64) / length).min(1.0))
        .sum();
    let mean = (places - 1.0) / between as f64;
    let standard = (mean - 0.5) * libm::sqrt(12.0 * (copies - 2.0).max(0.0));
    (standard * standard.abs() / 2.0).clamp(-evidence_max, evidence_max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tocsin_model::Milliseconds;

    use crate::null::SHIPPED_BASE_RATE;
    use crate::trigger::ordinary::Ordinary;

    fn of(ages_s: &[i64]) -> f64 {
        let bins: Vec<Bin> = ages_s
            .iter()
            .map(|age| Bin {
                start: Timestamp(-age * 1_000),
                count: 1,
            })
            .collect();
        let now = Timestamp(0);
        let oldest = bins.last().expect("there is a copy").start;
        let window = Window {
            from: oldest,
            length: now - oldest,
            spread: bins.len() as u64,
            before: 0,
            ordinary: Ordinary::before(SHIPPED_BASE_RATE, 0, Milliseconds::from_hours(25), now - oldest),
        };
        growth(&bins, &window, window.spread as f64, now, 4.0)
    }

    #[test]
    fn copies_that_come_faster_and_faster_speak_for_growth() {
        let doubling: Vec<i64> = (0..12)
            .map(|n| (1_800.0 * (1.0 - libm::log2(12.0 - f64::from(n)) / libm::log2(12.0))) as i64)
            .collect();
        let dying: Vec<i64> = doubling.iter().rev().map(|age| 1_800 - age).collect();
        let steady: Vec<i64> = (0..12).map(|n| n * 160).collect();
        assert!(of(&doubling) > 1.0, "{}", of(&doubling));
        assert!(of(&dying) < -1.0, "{}", of(&dying));
        assert!(of(&steady).abs() < 0.1, "{}", of(&steady));
        assert_eq!(of(&[0, 10]), 0.0);
        assert_eq!(of(&[0]), 0.0);
    }
}
