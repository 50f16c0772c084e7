//! A shadow changes nothing, and tells how it differs.

use std::collections::BTreeMap;

use tocsin_model::{AlertReason, Scope, Sharing};

use super::harness::*;
use crate::{Comparison, GroupConfig, TriggerParameters};

const HOUR: i64 = 3_600_000;

fn with_shadow(threshold: f64) -> GroupConfig {
    GroupConfig {
        shadow: Some(TriggerParameters {
            threshold,
            ..TriggerParameters::SHIPPED
        }),
        ..config()
    }
}

fn run(config: GroupConfig, events: &[Seen]) -> Deployment {
    let mut deployment = Deployment::new(config);
    for event in events {
        deployment.see(*event);
    }
    deployment.tick(events.last().unwrap().at + 2 * HOUR);
    deployment
}

fn compared(mut deployment: Deployment) -> Comparison {
    let mut sum = Comparison::default();
    for group in deployment.groups.values_mut() {
        sum.add(group.take_comparison().unwrap());
    }
    sum
}

/// Copies that come faster and faster on one platform.
fn burst() -> Vec<Seen> {
    (0..60u64)
        .map(|copy| seen(1, copy, (600_000.0 * libm::log2(1.0 + copy as f64)) as i64))
        .collect()
}

#[test]
fn outputs_and_state_are_the_same_with_and_without() {
    for seed in 0..3 {
        let events = stream(seed, 1_200);
        let plain = run(config(), &events);
        for threshold in [-2.0, TriggerParameters::SHIPPED.threshold, 9.0] {
            let shadowed = run(with_shadow(threshold), &events);
            assert!(plain.alerts == shadowed.alerts, "seed {seed}, threshold {threshold}");
            let states = |deployment: &Deployment| -> Vec<Vec<u8>> {
                deployment.groups.values().map(|group| group.encode_core()).collect()
            };
            assert!(
                states(&plain) == states(&shadowed),
                "seed {seed}, threshold {threshold}"
            );
        }
    }
}

#[test]
fn the_highest_threshold_says_when_any_threshold_is_first_reached() {
    for events in [burst(), stream(1, 1_200), stream(2, 1_200)] {
        // Of each content the highest threshold before each of its copies, in order: the first that reaches one is where that one rings.
        let mut observed = Deployment::new(config());
        let mut raised = BTreeMap::new();
        let mut reached = BTreeMap::new();
        for (place, event) in events.iter().enumerate() {
            let content = id(event.content);
            let before = observed.alerts.len();
            observed.see(*event);
            if event.sharing != Sharing::All {
                continue;
            }
            for alert in &observed.alerts[before..] {
                if alert.scope == Scope::All && alert.reason == AlertReason::Spread {
                    raised.entry(alert.family.0).or_insert(place);
                }
            }
            let group = observed.group(content.group());
            let highest = group
                .rings_up_to(content, &TriggerParameters::SHIPPED)
                .unwrap_or(f64::NEG_INFINITY);
            if highest >= TriggerParameters::SHIPPED.threshold {
                reached.entry(content).or_insert(place);
            }
        }
        assert!(!raised.is_empty());
        assert_eq!(raised, reached);
    }
}

#[test]
fn a_threshold_just_above_what_is_observed_does_not_ring() {
    let events = burst();
    let mut observed = Deployment::new(config());
    let mut highest = f64::NEG_INFINITY;
    for event in &events[..9] {
        observed.see(*event);
        let group = observed.group(id(1).group());
        let now = group.rings_up_to(id(1), &TriggerParameters::SHIPPED);
        highest = highest.max(now.unwrap_or(f64::NEG_INFINITY));
    }
    assert!(highest.is_finite(), "{highest}");
    let raises = |threshold: f64| compared(run(with_shadow(threshold), &events[..9])).shadow_only;
    assert_eq!((raises(highest), raises(highest + 1e-9)), (1, 0));
}

#[test]
fn the_same_parameters_agree_at_the_same_time() {
    let agreed = compared(run(with_shadow(TriggerParameters::SHIPPED.threshold), &burst()));
    let expected = Comparison {
        both: 1,
        ..Comparison::default()
    };
    assert_eq!(agreed, expected);
}

#[test]
fn a_lower_threshold_is_earlier_and_one_out_of_reach_raises_nothing() {
    let earlier = compared(run(with_shadow(1.0), &burst()));
    assert!(
        earlier.both == 1 && earlier.earlier_ms > 0 && earlier.later_ms == 0,
        "{earlier:?}"
    );
    let rings_at = (1..60).find(|copies| !run(config(), &burst()[..*copies]).alerts.is_empty());
    let alone = compared(run(with_shadow(1.0), &burst()[..rings_at.unwrap() - 1]));
    assert_eq!((alone.both, alone.live_only, alone.shadow_only), (0, 0, 1), "{alone:?}");
    let growing = run(
        GroupConfig {
            shadow: Some(TriggerParameters {
                copies_min: 1_000.0,
                ..TriggerParameters::SHIPPED
            }),
            ..config()
        },
        &burst(),
    );
    let alone = compared(growing);
    assert_eq!((alone.both, alone.live_only, alone.shadow_only), (0, 1, 0), "{alone:?}");
}
