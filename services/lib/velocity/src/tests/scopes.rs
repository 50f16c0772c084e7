//! Nothing in a scope's alerts or hot figures depends on an event outside it.

use std::collections::BTreeMap;

use tocsin_model::{Alert, Class, PartyId, Scope, Sharing};

use super::harness::*;
use crate::HotKey;
use crate::record::HotRecord;

fn visible(scope: Scope, event: &Seen) -> bool {
    event
        .sharing
        .classes(PartyId(event.party))
        .any(|class| scope.contains(class))
}

/// What a reader of the scope gets after these events: alerts (source offsets aside) and hot records.
fn read(scope: Scope, events: impl Iterator<Item = Seen>, end: i64) -> (Vec<Alert>, BTreeMap<HotKey, HotRecord>) {
    let mut deployment = Deployment::new(config());
    for event in events {
        deployment.see(event);
    }
    deployment.tick(end);
    let mut records = BTreeMap::new();
    for group in deployment.groups.values() {
        for key in group.hot_keys() {
            if scope.contains(key.class) {
                records.insert(key, group.hot(key).unwrap().clone());
            }
        }
    }
    let mut alerts: Vec<Alert> = deployment
        .alerts
        .iter()
        .filter(|alert| alert.scope == scope || alert.scope == Scope::All)
        .cloned()
        .collect();
    alerts.sort_by_key(|alert| alert.id);
    (alerts, records)
}

#[test]
fn with_or_without_hidden_events_a_reader_gets_the_same() {
    for seed in 0..6 {
        let stream = stream(seed, 1_200);
        let end = stream.last().unwrap().at + 3_600_000;
        for scope in [
            Scope::All,
            Scope::Coordinators,
            Scope::Party(PartyId(1)),
            Scope::Party(PartyId(2)),
        ] {
            let all = read(scope, stream.iter().copied(), end);
            let visible = read(scope, stream.iter().copied().filter(|event| visible(scope, event)), end);
            assert!(!all.1.is_empty());
            assert_eq!(all, visible, "seed {seed}, {scope:?}");
        }
    }
}

#[test]
fn a_scope_beyond_all_rings_on_the_sum_of_what_it_sees() {
    let mut deployment = Deployment::new(config());
    for copy in 0..40 {
        let sharing = if copy % 2 == 0 {
            Sharing::All
        } else {
            Sharing::Coordinators
        };
        deployment.see(Seen {
            sharing,
            ..seen(1, copy, copy as i64 * 600)
        });
    }
    deployment.tick(60_000);
    let coordinators = deployment.alerts_of(Scope::Coordinators);
    let all = deployment.alerts_of(Scope::All);
    assert_eq!(coordinators.len(), 1);
    assert!(
        all.is_empty() || all[0].at > coordinators[0].at,
        "the coordinators see twice as much"
    );
    assert!(deployment.record(1, Class::Coordinators).is_some() && deployment.record(1, Class::All).is_some());
    assert!(
        deployment.alerts_of(Scope::Party(PartyId(2))).is_empty(),
        "another party hears nothing of it"
    );
}
