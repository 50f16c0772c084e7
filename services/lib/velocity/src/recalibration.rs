//! When another calibration takes the place of the one in force. The dispatcher goes by this, and so do the simulated days that judge it.

use tocsin_model::{Calibration, Milliseconds, PlatformNull, Timestamp};

use crate::budget::Prior;
use crate::null::differs;

/// What was found to fit now.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The page score from which an episode is to page.
    pub page_threshold: f64,
    /// The budget that it was found for.
    pub pages_per_day: f64,
    /// What is ordinary on each platform that was calibrated.
    pub platforms: &'a [PlatformNull],
}

/// A calibration stands at least so long, unless the operator changes the budget: a new one makes every key group write a checkpoint.
pub const STANDS_FOR: Milliseconds = Milliseconds::from_hours(1);
/// So long after the latest tick a new calibration holds: by then every partition has it.
pub const AHEAD: Milliseconds = Milliseconds::from_minutes(1);
/// A threshold that moved by less, as a share of it, is left as it is.
const MOVED_BY: f64 = 0.05;

/// Whether a calibration is too new to be replaced for anything but another budget.
pub fn must_stand(in_force: &Calibration, now: Timestamp) -> bool {
    now - in_force.at < STANDS_FOR
}

/// Whether another calibration is to be made than the one in force, which is what is shipped before the first.
pub fn is_due(in_force: Option<&Calibration>, found: &Found<'_>, now: Timestamp) -> bool {
    let (page_threshold, pages_per_day) = in_force.map_or(
        (Prior::SHIPPED.page_threshold, Prior::SHIPPED.pages_per_day),
        |in_force| (in_force.page_threshold, in_force.pages_per_day),
    );
    if pages_per_day != found.pages_per_day {
        return true;
    }
    let stands = in_force.is_some_and(|in_force| must_stand(in_force, now));
    let moved = (found.page_threshold / page_threshold - 1.0).abs();
    let nulls = in_force.map_or(&[][..], |in_force| &in_force.platforms);
    !stands && (moved >= MOVED_BY || differs(found.platforms, nulls))
}

#[cfg(test)]
mod tests {
    use tocsin_model::{BetaLaw, PlatformId};

    use super::*;
    use crate::null::shipped;

    const NOW: Timestamp = Timestamp(1_770_000_000_000);

    fn calibration(found: &Found<'_>, at: Timestamp) -> Calibration {
        Calibration {
            number: 1,
            effective_from: at,
            page_threshold: found.page_threshold,
            pages_per_day: found.pages_per_day,
            episodes: 0,
            at,
            platforms: found.platforms.to_vec(),
        }
    }

    #[test]
    fn a_threshold_is_replaced_when_it_moved_or_when_the_budget_did() {
        let found = |of_shipped: f64| Found {
            page_threshold: of_shipped * Prior::SHIPPED.page_threshold,
            pages_per_day: Prior::SHIPPED.pages_per_day,
            platforms: &[],
        };
        assert!(!is_due(None, &found(1.0), NOW), "the shipped one fits");
        let another = Found {
            pages_per_day: 10.0,
            ..found(1.0)
        };
        assert!(is_due(None, &another, NOW), "another budget");
        assert!(is_due(None, &found(1.06), NOW) && !is_due(None, &found(1.04), NOW));
        let new = calibration(&found(1.0), NOW - STANDS_FOR + Milliseconds(1));
        assert!(!is_due(Some(&new), &found(2.0), NOW), "it is too new");
        assert!(is_due(Some(&new), &another, NOW), "but not for another budget");
        let stood = calibration(&found(1.0), NOW - STANDS_FOR);
        assert!(is_due(Some(&stood), &found(2.0), NOW));
        assert!(!is_due(Some(&stood), &found(1.0), NOW), "it has not moved");
    }

    #[test]
    fn nulls_are_replaced_when_they_differ() {
        let platforms = [PlatformNull {
            reuploads: BetaLaw::with(0.5, 4.0),
            ..shipped(PlatformId(1))
        }];
        let with = |platforms| Found {
            page_threshold: Prior::SHIPPED.page_threshold,
            pages_per_day: Prior::SHIPPED.pages_per_day,
            platforms,
        };
        let stood = calibration(&with(&[]), NOW - STANDS_FOR);
        assert!(
            is_due(Some(&stood), &with(&platforms), NOW),
            "another platform has a null of its own"
        );
        let known = calibration(&with(&platforms), NOW - STANDS_FOR);
        assert!(!is_due(Some(&known), &with(&platforms), NOW), "it has one already");
        let new = calibration(&with(&[]), NOW);
        assert!(!is_due(Some(&new), &with(&platforms), NOW), "it is too new");
    }
}
