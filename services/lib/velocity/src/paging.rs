//! Which episodes interrupt a person. An episode that is raised fills the queue; only one that is paged rings for somebody.

use tocsin_model::AlertLevel;

/// From which page score on an episode pages, and the budget this stands for. Held by the group, the same for all of its scopes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PagePolicy {
    /// The page score from which an episode pages.
    pub(crate) threshold: f64,
    /// The number of the calibration behind it; 0 is what the version ships with.
    pub(crate) calibration: u64,
    /// How many pages a day the threshold is meant to lead to, over the whole deployment.
    pub(crate) pages_per_day: f64,
}

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Paging {
    /// Whether the episode has paged: now or before.
    pub(crate) paged: bool,
    /// What was compared with the threshold.
    pub(crate) score: f64,
}

impl PagePolicy {
    /// What serves until scores were observed: so many preventable exposures to what violates in the next hour are worth a page, and a person
    /// can answer some fifteen a day. It lies below what one party that reports alone can reach with labels, or a platform that runs its
    /// own deployment would never page.
    pub(crate) const SHIPPED: PagePolicy = PagePolicy {
        calibration: 0,
        threshold: 1_500.0,
        pages_per_day: 15.0,
    };

    /// Whether an open episode of this priority interrupts a person unless it has.
    pub(crate) fn reached(&self, priority: f64) -> bool {
        priority >= self.threshold
    }

    /// Whether an alert of this level and priority pages, in an episode that has `paged` before or not. An episode pages once: at its first
    /// alert that reaches the threshold, and never at its end.
    pub(crate) fn decide(&self, level: AlertLevel, priority: f64, paged: bool) -> Paging {
        let score = priority;
        let reaches = level != AlertLevel::Subsided && self.reached(score);
        Paging {
            paged: paged || reaches,
            score,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_pages_at_its_first_alert_that_reaches_the_threshold_and_stays_so() {
        let policy = PagePolicy::SHIPPED;
        let decide = |level, score, paged| policy.decide(level, score, paged).paged;
        assert!(!decide(AlertLevel::Raised, 1_499.0, false));
        assert!(decide(AlertLevel::Escalated, 1_500.0, false));
        assert!(decide(AlertLevel::Sustained, 10.0, true), "it has paged before");
        assert!(
            !decide(AlertLevel::Subsided, 1_500.0, false),
            "nobody is called for what is over"
        );
        assert!(decide(AlertLevel::Subsided, 0.0, true));
        assert!(!decide(AlertLevel::Raised, f64::NAN, false));
    }
}
