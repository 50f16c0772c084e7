//! Hot contents in any order: whatever comes when, from whom and how often, windows hold the truth and nothing rings that does not spread.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tocsin_model::{Class, ClockFlag, ContentId, Kind, Milliseconds, Sharing, Timestamp};

use super::harness::*;
use crate::figures::family_figures;
use crate::{GroupConfig, HotKey, Input};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const LATENESS: i64 = 2 * HOUR;

/// One event on its way.
#[derive(Clone, Debug)]
struct Sent {
    content: u8,
    platform: u16,
    kind: Kind,
    account: u64,
    occurred: i64,
    /// The same event comes once more.
    twice: bool,
}

fn sent() -> impl Strategy<Value = Sent> {
    let kinds = prop::sample::select(vec![
        Kind::Upload,
        Kind::Upload,
        Kind::Share,
        Kind::BlockedUpload,
        Kind::Report,
        Kind::Removal,
        Kind::Restore,
        Kind::ViewSample,
    ]);
    // Many at one millisecond, some in a burst, some anywhere within five hours.
    let occurred = prop_oneof![Just(3 * HOUR), 3 * HOUR..3 * HOUR + 5_000, 0..5 * HOUR];
    (
        0..3u8,
        prop_oneof![1..4u16, 1..120u16],
        kinds,
        0..30u64,
        occurred,
        prop::bool::weighted(0.2),
    )
        .prop_map(|(content, platform, kind, account, occurred, twice)| Sent {
            content,
            platform,
            kind,
            account,
            occurred,
            twice,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    /// Shuffled, doubled, at one time, on platforms that come and go, up to and beyond the lateness.
    #[test]
    fn windows_hold_the_truth_in_any_order(
        events in prop::collection::vec(sent(), 1..160).prop_shuffle(),
        every_ms in prop_oneof![Just(0i64), 0..60_000i64],
        promote_at in 1u32..5,
        hot_max in 1usize..4,
    ) {
        let config = GroupConfig { promote_at, hot_max, ..config() };
        let mut deployment = Deployment::new(config);
        let mut counted: Vec<&Sent> = Vec::new();
        let (mut offset, mut now) = (0, 3 * HOUR);
        let all_in_one_group = |content: u8| ContentId(id(1).0 ^ u128::from(content) << 20);
        let group = id(1).group();
        for event in &events {
            now += every_ms;
            let value = [event.content; 32];
            let content = all_in_one_group(event.content);
            // Nothing is received before it occurs, but for clocks that are a little ahead.
            let occurred = event.occurred.min(now + 5 * MINUTE);
            for copy in 0..1 + u64::from(event.twice) {
                offset += 1;
                let seen = Seen { kind: event.kind, party: event.platform, ..seen(event.content, event.account, now) };
                let mut sighting = sighting(content, &value, seen, offset);
                sighting.event_token = (offset - copy).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                sighting.occurred_at = Timestamp(START + occurred);
                sighting.account = sighting.account.filter(|_| event.account > 2);
                if now - occurred > LATENESS {
                    sighting.clock = ClockFlag::Late;
                }
                deployment.apply(group, Input::Sighting(&sighting));
            }
            if now - occurred <= LATENESS {
                counted.push(event);
            }
        }
        let counters = deployment.group(group).take_counters();
        prop_assert_eq!(counters.counted, counted.len() as u64);
        prop_assert_eq!(counters.retried, events.iter().filter(|event| event.twice).count() as u64);
        prop_assert_eq!(counters.counted + counters.late, events.len() as u64);
        for content in 0..3 {
            let key = HotKey { content: all_in_one_group(content), class: Class::All };
            let group = &deployment.groups[&group];
            let truth = |from: Timestamp, to: Timestamp| {
                let mut at = 3 * HOUR;
                let mut truth = 0;
                for event in &events {
                    at += every_ms;
                    let occurred = event.occurred.min(at + 5 * MINUTE);
                    let inside = from.0 <= START + occurred && START + occurred < to.0;
                    let counts = at - occurred <= LATENESS && event.kind.is_spread();
                    truth += u64::from(inside && counts && event.content == content);
                }
                truth
            };
            let Some(record) = group.hot(key) else {
                let (_, cold) = group.cold().find(|(class, _)| *class == Class::All).unwrap();
                let day = cold.count(key.content, Timestamp(START), Timestamp(START + 30 * HOUR));
                prop_assert!(day.count.high >= truth(Timestamp(START), Timestamp(START + 30 * HOUR)));
                continue;
            };
            let figures = family_figures(&[record], group.now()).unwrap();
            for window in &figures.windows {
                let truth = truth(window.window.from, window.window.to);
                prop_assert!(window.spread.contains(truth), "{:?}: {truth} not in {:?}", window.length, window.spread);
            }
            for reach in figures.reach.values() {
                let accounts = reach.accounts;
                prop_assert!(0.0 <= accounts.low && accounts.low <= accounts.estimate && accounts.estimate <= accounts.high);
            }
        }
        for alert in &deployment.alerts {
            prop_assert!(alert.priority.is_finite() && alert.priority >= 0.0);
            prop_assert!(alert.trigger.score.is_finite() && alert.trigger.expected >= 0.0);
            prop_assert!(alert.priority_terms.iter().all(|term| term.value.is_finite()));
        }
    }
}

/// What one party had kept for 20 minutes comes within five seconds, by the times at which it occurred.
#[test]
fn a_party_that_was_silent_and_is_heard_again_raises_nothing_that_would_not_ring() {
    let mut rang = 0;
    for seed in 0..12 {
        let events = stream(seed, 2_000);
        let silent_from = events[800].at;
        let undisturbed = rung(&events);
        let mut delayed = events.clone();
        for event in delayed.iter_mut().filter(|event| event.party == 2) {
            let kept_ms = silent_from + 20 * MINUTE - event.at;
            if (0..20 * MINUTE).contains(&(event.at - silent_from)) {
                event.at += kept_ms + event.at % 5_000;
                event.late_by += kept_ms + event.at % 5_000;
            }
        }
        delayed.sort_by_key(|event| event.at);
        let delayed = rung(&delayed);
        assert!(
            delayed.is_subset(&undisturbed),
            "seed {seed}: {delayed:?}, not {undisturbed:?}"
        );
        rang += undisturbed.len();
    }
    assert!(rang > 6, "nothing rings, so it shows nothing");
}

/// The families that ring, of those whose events are for everybody.
fn rung(events: &[Seen]) -> BTreeSet<ContentId> {
    let mut deployment = Deployment::new(GroupConfig {
        hot_max: 64,
        ..config()
    });
    for event in events.iter().filter(|event| event.sharing == Sharing::All) {
        deployment.see(*event);
    }
    deployment.alerts.iter().map(|alert| alert.family.0).collect()
}

/// What was shared 22 times while its party was silent is no burst when it is heard again; by the times of receipt it would be one.
#[test]
fn what_is_heard_late_is_judged_by_when_it_occurred() {
    let copies = |late: bool| {
        let mut deployment = Deployment::new(config());
        // Two copies an hour for a day, so that what is ordinary is known.
        for copy in 0..48u64 {
            deployment.see(seen(1, copy, copy as i64 * HOUR / 2));
        }
        let heard = 24 * HOUR + 20 * MINUTE;
        for copy in 0..22u64 {
            let at = heard + copy as i64 * 300;
            let kept = if late { 20 * MINUTE - copy as i64 * 54_000 } else { 0 };
            deployment.see(Seen {
                kind: Kind::Share,
                late_by: kept,
                ..seen(1, 1_000 + copy, at)
            });
        }
        deployment.tick(heard + HOUR);
        deployment.alerts.len()
    };
    assert_eq!(copies(true), 0);
    assert!(copies(false) > 0, "22 within seven seconds are a burst");
}

#[test]
fn an_empty_stream_says_nothing() {
    let mut deployment = Deployment::new(config());
    deployment.group(id(1).group());
    for hour in 0..30 {
        deployment.tick(hour * HOUR);
    }
    deployment.restore();
    assert!(deployment.alerts.is_empty());
    let group = &deployment.groups[&id(1).group()];
    assert_eq!(group.open_episodes() + group.hot_keys().len() + group.outbox().len(), 0);
    assert_eq!(group.now() - Timestamp(START), Milliseconds(29 * HOUR));
}
