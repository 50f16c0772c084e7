//! A calibration moves the page threshold from its stated tick on, and nothing before.

use tocsin_model::{AlertLevel, Milliseconds};

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

/// A burst that goes faster and faster, with this threshold from the start.
fn growing(page_threshold: f64) -> Deployment {
    let mut deployment = Deployment::new(config());
    deployment.calibrate(1, 0, page_threshold);
    let mut at = 0.0;
    for copy in 0..150_u64 {
        at += 60_000.0 / (1.0 + copy as f64 / 10.0);
        deployment.see(seen(1, copy, at as i64));
    }
    deployment.tick(2 * HOUR);
    deployment
}

#[test]
fn an_episode_that_grows_over_the_threshold_between_two_alerts_pages_within_a_minute_and_once() {
    let quiet = growing(1e9);
    let levels: Vec<_> = quiet.alerts.iter().map(|alert| (alert.level, alert.at)).collect();
    let [(AlertLevel::Raised, raised_at), (_, next_at), ..] = levels[..] else {
        panic!("{levels:?}")
    };
    let [first, second] = [0, 1].map(|place: usize| quiet.alerts[place].page_score);
    assert!(second > 2.0 * first, "it does not grow: {first}, {second}");
    let loud = growing((first + second) / 2.0);
    let called = loud.alerts.iter().position(|alert| alert.paged).unwrap();
    let call = &loud.alerts[called];
    assert_eq!(call.level, AlertLevel::Escalated);
    assert!(call.page_score >= call.page_threshold);
    assert!(raised_at < call.at && call.at < next_at, "{levels:?}");
    assert_eq!((call.at - raised_at).0 % 60_000, 0, "at a review");
    assert!(loud.alerts[called..].iter().all(|alert| alert.paged));
    // What follows is counted from the call: a tenfold spread from there, or a quarter of an hour.
    let again = loud.alerts[called + 1..]
        .iter()
        .any(|alert| alert.at - call.at <= Milliseconds(60_000));
    assert!(!again, "one call, not one a minute");
}
