//! Rivals ring where their rule says, once, and whatever the order of receipt.

use tocsin_model::{Kind, Surface, Timestamp};

use super::*;
use crate::day::{Account, Family};

const BEGIN: i64 = 1_000_000_000_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// A copy that happens at a time and is received so much later.
fn copy(number: u64, family: u64, at: i64, delay: i64) -> Occurrence {
    Occurrence {
        number,
        happened_at: Timestamp(BEGIN + at),
        occurred_at: Timestamp(0),
        received_at: Timestamp(BEGIN + at + delay),
        family: Family(family),
        account: Account(number),
        audience: 1,
        variant: 0,
        platform: 0,
        party: 0,
        kind: Kind::Share,
        surface: Surface::Feed,
        tvec_confidence: None,
    }
}

/// Which of the copies at these times it rings at.
fn rings(rival: &mut dyn Rival, times: impl IntoIterator<Item = i64>) -> Vec<usize> {
    times
        .into_iter()
        .enumerate()
        .filter(|(place, at)| rival.observe(&copy(*place as u64, 1, *at, 10)).is_some())
        .map(|(place, _)| place)
        .collect()
}

#[test]
fn the_rules_ring_at_their_number_and_not_before() {
    let mut rule = CountedInWindow::ten_in_five_minutes();
    assert_eq!(rings(&mut rule, (0..20).map(|place| place * 33_000)), [9]);
    let mut rule = CountedInWindow::ten_in_five_minutes();
    assert!(rings(&mut rule, (0..20).map(|place| place * 34_000)).is_empty());
    let mut rule = CountedInWindow::thirty_in_an_hour();
    assert_eq!(rings(&mut rule, (0..40).map(|place| place * 2 * MINUTE)), [29]);
    let mut rule = CountedInWindow::thirty_in_an_hour();
    assert!(rings(&mut rule, (0..40).map(|place| place * 125_000)).is_empty());
}

#[test]
fn a_family_rings_again_after_a_day() {
    let mut rule = CountedInWindow::ten_in_five_minutes();
    let day = 24 * HOUR;
    let times = (0..30).chain((0..10).map(|place| day - MINUTE + place));
    assert_eq!(
        rings(&mut rule, times.chain((0..12).map(|place| day + MINUTE + place))),
        [9, 49]
    );
}

#[test]
fn duplicates_and_other_kinds_do_not_count() {
    let mut rule = CountedInWindow::ten_in_five_minutes();
    for _ in 0..30 {
        assert_eq!(rule.observe(&copy(1, 1, 0, 0)), None);
    }
    for number in 2..40 {
        let report = Occurrence {
            kind: Kind::Report,
            ..copy(number, 1, 0, 0)
        };
        assert_eq!(rule.observe(&report), None);
    }
    let rang: Vec<_> = (40..50)
        .filter(|number| rule.observe(&copy(*number, 1, 1, 0)).is_some())
        .collect();
    assert_eq!(rang, [48]);
}

#[test]
fn what_comes_late_counts_where_it_happened() {
    let mut rule = CountedInWindow::thirty_in_an_hour();
    // Twenty happened an hour ago, and are heard of only after ten new ones.
    for number in 0..10 {
        assert_eq!(rule.observe(&copy(number, 1, 61 * MINUTE, 0)), None);
    }
    for number in 10..30 {
        assert_eq!(rule.observe(&copy(number, 1, 0, 62 * MINUTE)), None);
    }
    // Twenty of the same hour, in the wrong order, make thirty.
    let late = (30..50).filter(|number| rule.observe(&copy(*number, 1, 30 * MINUTE, 32 * MINUTE)).is_some());
    assert_eq!(late.collect::<Vec<_>>(), [49]);
}

#[test]
fn the_scan_rings_where_the_likelihood_says() {
    // At the floor an hour expects 1, five minutes a twelfth: 6 ln(6 x 12) - (6 - 1/12) = 19.7, and for 5 it is 15.6.
    let mut scan = PoissonScan::new();
    assert_eq!(rings(&mut scan, (0..10).map(|place| place * 55_000)), [5]);
    // 12 in an hour: 12 ln 12 - 11 = 18.8; 11: 16.4. Evenly spread, so that no shorter window says more.
    let mut scan = PoissonScan::new();
    assert_eq!(rings(&mut scan, (0..14).map(|place| place * 5 * MINUTE)), [11]);
    // Every 15 minutes is four times the floor: 3 h hold 12, 12 ln 4 - 9 = 7.6.
    let mut scan = PoissonScan::new();
    assert!(rings(&mut scan, (0..96).map(|place| place * 15 * MINUTE)).is_empty());
}

#[test]
fn the_scan_learns_what_is_usual() {
    // Twenty an hour rings at once, for want of a past, and is quiet for a day.
    let mut scan = PoissonScan::new();
    assert_eq!(rings(&mut scan, (0..400).map(|place| place * 3 * MINUTE)), [9]);
    // Three an hour never rings, and ten seconds between copies do, at once.
    let mut scan = PoissonScan::new();
    let slowly = (0..200).map(|place| place * 20 * MINUTE);
    let from = 200 * 20 * MINUTE;
    let rang = rings(&mut scan, slowly.chain((0..30).map(|place| from + place * 10_000)));
    assert!(rang.len() == 1 && (204..212).contains(&rang[0]), "{rang:?}");
}

#[test]
fn what_is_quiet_is_forgotten() {
    let mut scan = PoissonScan::new();
    for number in 0..10_000 {
        scan.observe(&copy(number, number, number as i64 * 10_000, 0));
    }
    // One family every ten seconds, three hours and ten minutes of them.
    assert!(scan.families() < 1_200, "{}", scan.families());
}

#[test]
fn every_rival_has_a_name_and_starts_fresh() {
    let names: Vec<_> = all().iter().map(|rival| rival.name()).collect();
    assert_eq!(names, ["ten_in_5_min", "thirty_in_60_min", "poisson_scan"]);
    let rules: Vec<_> = all().iter().map(|rival| rival.rule()).collect();
    assert_eq!(
        rules[..2],
        [
            "10 or more copies within 5 minutes",
            "30 or more copies within 60 minutes"
        ]
    );
    assert!(
        rules[2].contains("9 windows of 1 to 180 minutes") && rules[2].contains("18.4 or more"),
        "{}",
        rules[2]
    );
}
