//! A scenario is what its configuration says: reproducible, in order, mostly contents seen once, with the crisis it states.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use tocsin_model::{Event, Kind, Milliseconds, Timestamp};

use super::*;
use crate::oracle::{Oracle, Window};

const START: Timestamp = Timestamp(1_700_000_000_000);

fn oracle_of(events: &[Generated]) -> Oracle {
    let mut oracle = Oracle::new();
    for generated in events {
        oracle.add(&generated.event);
    }
    oracle
}

#[test]
fn the_same_seed_gives_the_same_events_and_another_gives_others() {
    let events = |seed| DemoPlan::new(seed, START).events().take(500).collect::<Vec<_>>();
    assert_eq!(events(1), events(1));
    assert_ne!(events(1), events(2));
}

#[test]
fn a_crisis_changes_no_ordinary_event() {
    let with = DemoPlan::new(1, START).scenario;
    let without = ScenarioConfig {
        crises: Vec::new(),
        ..with.clone()
    };
    let ordinary: Vec<Generated> = Scenario::new(&with)
        .filter(|generated| generated.truth.is_none())
        .collect();
    assert_eq!(ordinary, Scenario::new(&without).collect::<Vec<_>>());
}

#[test]
fn the_demo_is_what_it_says() {
    for seed in 1..=5 {
        let plan = DemoPlan::new(seed, START);
        let events: Vec<Generated> = plan.events().collect();
        let times: Vec<Timestamp> = events.iter().map(|generated| generated.received_at).collect();
        assert!(times.is_sorted(), "seed {seed}");
        assert!(times[0] >= START && *times.last().unwrap() < START + plan.scenario.duration);
        assert!(
            (3_000..4_200).contains(&events.len()),
            "seed {seed}: {} events",
            events.len()
        );

        let crisis: Vec<&Generated> = events.iter().filter(|generated| generated.truth.is_some()).collect();
        let began = crisis[0].event.occurred_at - START;
        assert!(
            (15_000..25_000).contains(&began.0),
            "seed {seed}: began after {began:?}"
        );
        let copies = crisis.iter().filter(|copy| copy.event.kind.is_spread()).count();
        assert!((450..800).contains(&copies), "seed {seed}: {copies} copies");
        let platforms: BTreeSet<_> = crisis.iter().map(|copy| &copy.event.platform).collect();
        assert_eq!(platforms.len(), 4, "seed {seed}");
        let share = |test: fn(&Event) -> bool| {
            crisis.iter().filter(|copy| test(&copy.event)).count() as f64 / crisis.len() as f64
        };
        let blocked = share(|event| event.kind == Kind::BlockedUpload);
        assert!((0.3..0.5).contains(&blocked), "seed {seed}: {blocked}");
        let labelled = share(|event| !event.labels.is_empty());
        assert!((0.2..0.4).contains(&labelled), "seed {seed}: {labelled}");

        let oracle = oracle_of(&events);
        assert!(
            oracle.seen_once_share() > 0.9,
            "seed {seed}: {}",
            oracle.seen_once_share()
        );
        assert!(oracle.duplicates() > 0);
        let all = Window {
            from: START,
            to: START + plan.scenario.duration,
        };
        let family = Scenario::crisis_hash(&plan.scenario, CrisisId(0)).unwrap();
        assert!(oracle.accounts(&family, all) * 10 >= oracle.count(&family, all) * 8);
    }
}

#[test]
fn the_rate_of_a_crisis_doubles() {
    let mut config = ScenarioConfig::ordinary(3, START, Milliseconds::from_minutes(60), 0.5);
    config.crises.push(CrisisConfig {
        at: Milliseconds::from_minutes(10),
        lasts: Milliseconds::from_minutes(40),
        first_per_second: 0.5,
        doubling: Milliseconds::from_minutes(5),
        per_second_max: 100.0,
        blocked_share: 0.8,
        labelled_share: 0.3,
        repeated_account_share: 0.05,
        variants: 800,
        reports_after: Milliseconds::from_minutes(30),
        reports_per_second: 0.01,
    });
    let mut per_five_minutes: BTreeMap<i64, u64> = BTreeMap::new();
    for generated in Scenario::new(&config) {
        if generated.truth.is_some() && generated.event.kind.is_spread() {
            let step = (generated.event.occurred_at - START).0 / 300_000;
            *per_five_minutes.entry(step).or_default() += 1;
        }
    }
    let counts: Vec<u64> = (5..9).map(|step| per_five_minutes[&step]).collect();
    for pair in counts.windows(2) {
        let growth = pair[1] as f64 / pair[0] as f64;
        assert!((1.7..2.3).contains(&growth), "{counts:?}");
    }
}

#[test]
fn ordinary_traffic_is_seen_once_comes_late_and_twice() {
    let config = ScenarioConfig::ordinary(9, START, Milliseconds::from_minutes(30), 50.0);
    let events: Vec<Generated> = Scenario::new(&config).collect();
    let oracle = oracle_of(&events);
    assert!(oracle.seen_once_share() > 0.9, "{}", oracle.seen_once_share());
    let share = |test: &dyn Fn(&Generated) -> bool| {
        events.iter().filter(|generated| test(generated)).count() as f64 / events.len() as f64
    };
    let late = share(&|generated| generated.received_at - generated.event.occurred_at >= Milliseconds::from_minutes(5));
    assert!((0.005..0.02).contains(&late), "{late}");
    let twice = oracle.duplicates() as f64 / events.len() as f64;
    assert!((0.005..0.02).contains(&twice), "{twice}");
    let labelled = share(&|generated| !generated.event.labels.is_empty());
    assert!((0.0003..0.003).contains(&labelled), "{labelled}");
    let parties: BTreeSet<_> = events.iter().map(|generated| &generated.party).collect();
    assert_eq!(parties.len(), 3);
}

#[test]
fn every_event_is_valid() {
    for generated in DemoPlan::new(1, START).events() {
        let bytes = tocsin_wire::event::encode_single_object(&generated.event);
        let schemas = tocsin_wire::Schemas::builtin();
        let decoded = tocsin_wire::event::decode(&bytes, schemas).unwrap().to_events();
        assert_eq!(decoded, [Ok(generated.event)]);
    }
}
