//! A flood rings nothing, takes the place of nothing that spreads, and becomes hot as soon as others join in.

use tocsin_model::{Class, ContentId, Milliseconds, Timestamp};

use super::harness::*;
use crate::HotKey;
use crate::record::HotRecord;

const HOUR: i64 = 3_600_000;

/// So many copies by one account, one a second from `from` on.
fn flood(deployment: &mut Deployment, content: u8, copies: i64, from: i64) {
    for copy in 0..copies {
        deployment.see(seen(content, 7, from + copy * 1_000));
    }
}

fn kept(deployment: &Deployment, content: u8) -> Option<&HotRecord> {
    let content = id(content);
    let key = HotKey {
        content,
        class: Class::All,
    };
    deployment.groups.get(&content.group())?.kept(key)
}

fn cold_day(deployment: &Deployment, content: u8, now: i64) -> u64 {
    let content = id(content);
    let group = &deployment.groups[&content.group()];
    let (_, cold) = group.cold().find(|(class, _)| *class == Class::All).unwrap();
    let to = Timestamp(START + now + 1);
    cold.count(content, to - Milliseconds::from_hours(24), to).count.high
}

#[test]
fn what_one_account_repeats_is_put_into_quarantine_and_counted_approximately() {
    let mut deployment = Deployment::new(config());
    flood(&mut deployment, 1, 3_000, 0);
    assert_eq!(deployment.group(id(1).group()).take_counters().quarantined, 1);
    deployment.restore();
    assert_eq!(deployment.alerts, []);
    assert!(deployment.record(1, Class::All).is_none(), "it is not hot");
    let record = kept(&deployment, 1).unwrap();
    let flood = record.flood().unwrap();
    assert_eq!(flood.accounts, 1);
    assert!((1_000..1_100).contains(&flood.copies), "{flood:?}");
    assert_eq!(record.cells().len(), 0, "nothing is counted exactly any more");
    assert_eq!(record.last_seen(), Timestamp(START + 2_999_000));
    assert!(cold_day(&deployment, 1, 3_000_000) >= 3_000);
}

#[test]
fn a_flood_that_others_join_becomes_hot_and_rings_a_few_copies_later() {
    let mut deployment = Deployment::new(config());
    flood(&mut deployment, 1, 1_500, 0);
    assert!(kept(&deployment, 1).unwrap().flood().is_some());
    for account in 0..2 {
        deployment.see(seen(1, 100 + account, 1_600_000));
    }
    assert!(kept(&deployment, 1).unwrap().flood().is_some(), "two more are as few");
    deployment.see(seen(1, 102, 1_601_000));
    assert!(deployment.record(1, Class::All).unwrap().flood().is_none());
    for copy in 0..60 {
        deployment.see(Seen {
            party: 1 + (copy % 3) as u16,
            ..seen(1, 200 + copy, 1_602_000 + copy as i64 * 2_000)
        });
    }
    assert_eq!(deployment.alerts.len(), 1, "{:?}", deployment.alerts);
    assert!(!deployment.alerts[0].quarantined);
}

#[test]
fn a_flood_that_ended_is_forgotten() {
    let mut deployment = Deployment::new(config());
    flood(&mut deployment, 1, 1_500, 0);
    for copy in 0..3 {
        deployment.see(seen(1, 7, 1_500_000 + 2 * HOUR + copy * 1_000));
    }
    assert!(kept(&deployment, 1).is_none_or(|record| record.flood().is_none()));
}

#[test]
fn thousands_of_copies_by_many_accounts_are_no_flood() {
    let mut deployment = Deployment::new(config());
    for copy in 0..3_000u64 {
        deployment.see(seen(1, copy % 50, copy as i64 * 1_000));
    }
    assert!(deployment.record(1, Class::All).unwrap().flood().is_none());
    assert!(!deployment.alerts.is_empty());
}

#[test]
fn floods_take_no_place_of_what_spreads_and_no_more_than_as_many_again() {
    let mut deployment = Deployment::new(config());
    let group = id(1).group();
    let content = |number: u128| ContentId((id(1).0 & !0xffff) | number);
    for copy in 0..5u64 {
        deployment.see(seen(1, copy, copy as i64 * 1_000));
    }
    for number in 0..12 {
        for copy in 0..1_100i64 {
            deployment.see_as(
                content(number),
                seen(2, 7, 10_000 + number as i64 * 110_000 + copy * 100),
            );
        }
        deployment.see(seen(1, 50 + number as u64, 10_000 + (number as i64 + 1) * 110_000));
    }
    assert!(deployment.record(1, Class::All).is_some(), "what spreads is hot still");
    let group = &deployment.groups[&group];
    let keys = group.kept_keys();
    let in_quarantine = keys.iter().filter(|key| group.kept(**key).unwrap().flood().is_some());
    assert_eq!(in_quarantine.count(), config().hot_max);
    assert!(group.hot_keys().len() <= config().hot_max);
    assert_eq!(deployment.alerts, []);
}
