//! A shadow changes nothing, and tells how it differs.

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
