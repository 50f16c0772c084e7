//! The same inputs give the same alerts and state, whatever stands between them.

use super::harness::*;
use crate::class::Question;
use crate::null::shipped;
use tocsin_model::{Alert, BetaLaw, Class, GammaLaw, PlatformId, PlatformNull, Timestamp};

/// Runs a stream; `between` may do to the deployment, before each event, what must change nothing.
fn run(seed: u64, mut between: impl FnMut(&mut Deployment, usize, i64)) -> (Vec<Alert>, Vec<Vec<u8>>) {
    let mut deployment = Deployment::new(config());
    let stream = stream(seed, 1_500);
    for (place, event) in stream.iter().enumerate() {
        between(&mut deployment, place, event.at);
        control(&mut deployment, place, event.at);
        deployment.see(*event);
    }
    deployment.tick(stream.last().unwrap().at + 12 * 3_600_000);
    let state = deployment.groups.values().map(|group| group.encode_core()).collect();
    // Groups hear ticks one after the other, so only the order of alerts between groups may differ.
    deployment.alerts.sort_by_key(|alert| alert.id);
    (deployment.alerts, state)
}

/// Calibrations and changes of the watch list, as they stand between the events.
fn control(deployment: &mut Deployment, place: usize, at: i64) {
    match place {
        100 => deployment.watch_at(at, 1, 33, 2),
        300 => deployment.calibrate_platforms(1, at + 1_800_000, -3.0, vec![null(1)]),
        400 => deployment.calibrate_platforms(2, at + 900_000, 3.0, vec![null(1), null(3)]),
        600 => deployment.watch_at(at, 2, 44, 1),
        700 => deployment.calibrate(1, at, -9.0),
        900 => deployment.watch_at(at, 3, 33, 0),
        901 => deployment.watch_at(at, 1, 33, 4),
        1_000 => deployment.calibrate(3, at, 0.5),
        _ => {}
    }
}

/// A platform that is a little different in everything.
fn null(platform: u16) -> PlatformNull {
    PlatformNull {
        hours: std::array::from_fn(|hour| 0.4 + (hour * 7 % 24) as f64 / 20.0),
        reuploads: BetaLaw::with(0.6, 7.0),
        base_rate: GammaLaw {
            copies: 0.3,
            hours: 2.0,
        },
        ..shipped(PlatformId(platform))
    }
}

#[test]
fn further_ticks_change_nothing() {
    for seed in 0..4 {
        let plain = run(seed, |_, _, _| {});
        assert!(!plain.0.is_empty(), "seed {seed} rings nothing, so it shows nothing");
        let ticked = run(seed, |deployment, _, at| deployment.tick(at));
        assert_eq!(plain.0, ticked.0, "seed {seed}");
    }
}

#[test]
fn a_snapshot_taken_and_restored_anywhere_changes_nothing() {
    for seed in 0..4 {
        let plain = run(seed, |_, _, _| {});
        let restored = run(seed, |deployment, place, _| {
            if place % 97 == seed as usize {
                deployment.restore();
            }
        });
        assert_eq!(plain, restored, "seed {seed}");
    }
}

#[test]
fn snapshots_at_random_events_and_what_units_take_change_nothing() {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};
    for seed in 0..4 {
        let plain = run(seed, |_, _, _| {});
        for unit in [1, 64, 512] {
            let mut random = SmallRng::seed_from_u64(seed * 1_000 + unit);
            let taken = run(seed, |deployment, place, _| {
                // What a detector does once it has applied a batch, whatever its size: hand over what changed, and what was counted.
                if (place as u64).is_multiple_of(unit) {
                    for group in deployment.groups.values_mut() {
                        group.take_changed();
                        group.take_counters();
                        group.take_comparison();
                        let keys = |number: u64| tocsin_model::SightingKeys {
                            content: id(number as u8 % 60),
                            event_token: number,
                            platform: tocsin_model::PlatformId(1),
                            account: tocsin_model::AccountToken(number),
                        };
                        let to_come = place as u64..place as u64 + unit;
                        crate::read_ahead(to_come.map(|number| (&*group, keys(number))));
                    }
                }
                if random.random_ratio(1, 200) {
                    deployment.restore();
                }
            });
            assert_eq!(plain, taken, "seed {seed}, every {unit} events");
        }
    }
}

#[test]
fn a_restored_group_asks_the_rule_no_sooner() {
    let mut deployment = Deployment::new(config());
    for copy in 0..4 {
        deployment.see(seen(1, copy, copy as i64 * 60_000));
    }
    let group = id(1).group();
    let mut asked_before = deployment.groups[&group].clone();
    deployment.restore();
    let now = Timestamp(START + 240_000);
    for group in [&mut asked_before, deployment.group(group)] {
        let counts = group.classes.get_mut(Class::All).unwrap();
        assert_eq!(counts.question(id(1), now), Question::Quiet);
    }
}

#[test]
fn what_is_sent_again_changes_nothing() {
    let mut deployment = Deployment::new(config());
    for copy in 0..30 {
        deployment.see(seen(1, copy, copy as i64 * 10_000));
    }
    let group = deployment.group(id(1).group());
    let (before, counted) = (group.encode_core(), group.take_counters());
    assert_eq!(counted.counted, 30);
    // The same source coordinates and ids once more: an intake that started again.
    let mut again = Deployment::new(config());
    std::mem::swap(&mut again.groups, &mut deployment.groups);
    for copy in 0..30 {
        again.see(seen(1, copy, copy as i64 * 10_000));
    }
    let group = again.group(id(1).group());
    assert_eq!(group.take_counters().resent, 30);
    assert_eq!(group.encode_core(), before);
}
