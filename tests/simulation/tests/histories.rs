//! Goal: whatever happens to groups, log and time, every event is counted once, the same alerts ring, and a Tocsin that is broken on purpose
//! is found. `TOCSIN_SEEDS` says how many seeds are played (default 200), `TOCSIN_SEED` which is the first (default: drawn).
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use tocsin_failpoint::FailPoint;
use tocsin_simulation::mutant::Mutant;
use tocsin_simulation::run::{Seeds, play};
use tocsin_simulation::{embedded, history};

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Points that the model broker does not come to: they are the embedded log's own.
const EMBEDDED: [FailPoint; 4] = [
    FailPoint::BatchOpened,
    FailPoint::BatchApplied,
    FailPoint::BatchCommitted,
    FailPoint::BatchShown,
];

#[test]
fn nothing_is_lost_or_doubled_in_any_history() {
    let from = number("TOCSIN_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let count = number("TOCSIN_SEEDS").unwrap_or(200);
    println!("the first seed is {from}: TOCSIN_SEED={from} plays it again");
    let played = play(Seeds {
        from,
        count,
        mutant: Mutant::Sound,
    });
    println!("{played}");
    if let Some((seed, violations)) = &played.found {
        let report = history::play(*seed, Mutant::Sound, true);
        println!("{}", report.trace);
        panic!("seed {seed}: {violations:#?}");
    }
    assert!(played.alerts > 0, "histories in which nothing rings show nothing");
    // Few histories reach every point; ending at each takes more of them.
    let missing = |met: &BTreeMap<FailPoint, u64>| -> Vec<FailPoint> {
        let wanted = FailPoint::ALL
            .into_iter()
            .filter(|point| !EMBEDDED.contains(point) && !FailPoint::DISPATCHER.contains(point));
        wanted.filter(|point| !met.contains_key(point)).collect()
    };
    if count >= 200 {
        assert_eq!(missing(&played.crossed), [], "no process reached these");
    }
    if count >= 2_000 {
        assert_eq!(missing(&played.crashed_at), [], "no process ended at these");
    }
}

#[test]
fn a_seed_is_one_history() {
    for seed in 1..4 {
        let [one, other] = [(); 2].map(|()| history::play(seed, Mutant::Sound, true).trace);
        assert!(!one.is_empty());
        assert_eq!(one, other, "seed {seed}");
    }
}

#[test]
fn what_is_broken_on_purpose_is_found() {
    for mutant in Mutant::BROKEN {
        let played = play(Seeds {
            from: 1,
            count: 2_000,
            mutant,
        });
        let (seed, violations) = played
            .found
            .unwrap_or_else(|| panic!("{mutant:?} passes {} seeds", played.seeds));
        println!("{mutant:?}: seed {seed}: {}", violations[0]);
    }
}

#[test]
fn an_embedded_log_that_ends_at_any_point_loses_nothing() {
    let seed = u64::from(rand::random::<u32>());
    println!("seed {seed}");
    let mut alerts = 0;
    for point in EMBEDDED
        .into_iter()
        .chain([FailPoint::UnitCommitted, FailPoint::GroupCut])
    {
        alerts += embedded::play(seed, point, 3).unwrap_or_else(|error| panic!("seed {seed}, {point:?}: {error:?}"));
    }
    // A seed may be quiet, but not this one too.
    alerts += embedded::play(1, FailPoint::BatchCommitted, 3).unwrap();
    assert!(alerts > 0);
}
