//! A calibration moves the page threshold from its stated tick on, and nothing before.

use super::harness::*;
use crate::paging::PagePolicy;

const HOUR: i64 = 3_600_000;

/// A burst of one content, with a calibration that is told after ten copies and holds from `from` on.
fn burst(from: i64, page_threshold: f64) -> Deployment {
    let mut deployment = Deployment::new(config());
    for copy in 0..200 {
        if copy == 10 {
            deployment.calibrate(1, from, page_threshold);
        }
        deployment.see(seen(1, copy, copy as i64 * 30_000));
    }
    deployment.tick(2 * HOUR);
    deployment
}

#[test]
fn a_calibration_holds_from_its_tick_on() {
    let from = HOUR / 2;
    let deployment = burst(from, 0.01);
    let (before, after): (Vec<_>, Vec<_>) = deployment.alerts.iter().partition(|alert| alert.at.0 < START + from);
    assert!(!before.is_empty() && !after.is_empty());
    assert!(
        before
            .iter()
            .all(|alert| !alert.paged && alert.page_threshold == PagePolicy::SHIPPED.threshold),
        "{before:?}"
    );
    assert!(
        after.iter().all(|alert| alert.paged && alert.page_threshold == 0.01),
        "{after:?}"
    );
    let at_once = burst(0, 0.01);
    assert!(
        at_once.alerts.iter().all(|alert| alert.paged),
        "one in the past holds at once"
    );
}

#[test]
fn a_threshold_that_is_raised_takes_no_page_back() {
    let mut deployment = Deployment::new(config());
    deployment.calibrate(1, 0, 0.01);
    deployment.calibrate(2, HOUR / 2, 1e9);
    for copy in 0..200 {
        deployment.see(seen(1, copy, copy as i64 * 30_000));
    }
    let last = deployment.alerts.last().unwrap();
    assert_eq!((last.paged, last.page_threshold), (true, 1e9));
    assert!(last.page_score < last.page_threshold);
}
