//! What a team overturned moves what evidence is worth in its own scope, within bounds, and nothing anywhere else.

use proptest::prelude::*;
use tocsin_model::{
    Alert, Class, Evidence, EvidenceCount, EvidenceKind, FamilyId, Link, PartyId, Scope, Timestamp, Weighing,
};

use super::harness::*;
use crate::{Group, Input};

/// Every kind of evidence was wrong as often.
fn weighing(number: u64, scope: Scope, overturned: u32) -> Weighing {
    let count = |kind| EvidenceCount {
        kind,
        stood: 0,
        overturned,
    };
    Weighing {
        number,
        scope,
        at: Timestamp(START),
        counts: EvidenceKind::ALL.map(count).to_vec(),
    }
}

fn told() -> impl Strategy<Value = Vec<(usize, Weighing)>> {
    let scope = prop_oneof![
        Just(Scope::Coordinators),
        Just(Scope::Party(PartyId(1))),
        Just(Scope::Party(PartyId(2)))
    ];
    let one = (0..400_usize, scope, 1..60_u32);
    prop::collection::vec(one, 1..6).prop_map(|told| {
        let numbered = told.into_iter().enumerate();
        numbered
            .map(|(place, (event, scope, overturned))| (event, weighing(1 + place as u64, scope, overturned)))
            .collect()
    })
}

/// A stream in which one content is watched and one joins the family of another by its looks, while the groups are told of weights. Each is told
/// twice: a dispatcher that ends between the log and its store tells it again. The groups are taken apart and put together again where that is asked for.
fn play(seed: u64, told: &[(usize, Weighing)], restored: impl Fn(usize) -> bool) -> Deployment {
    let mut deployment = Deployment::new(config());
    deployment.watch(1, 1, 3);
    let [founder, member] = if id(2) < id(3) { [2, 3] } else { [3, 2] };
    for (number, event) in stream(seed, 400).into_iter().enumerate() {
        for (_, weighing) in told.iter().filter(|(at, _)| *at == number) {
            deployment.weigh(weighing);
            deployment.weigh(weighing);
        }
        if number == 100 {
            let link = Link {
                content: id(member),
                hash: hash(member),
                family: FamilyId(id(founder)),
                evidence: Evidence::PdqDistance(9),
                party: None,
                class: Class::All,
                at: Timestamp(START + event.at),
            };
            deployment.apply(link.content.group(), Input::Link(&link));
        }
        deployment.see(event);
        deployment.tick(event.at + 1);
        if restored(number) {
            deployment.restore();
        }
    }
    deployment
}

fn priorities(deployment: &Deployment, class: Class) -> Vec<(FamilyId, f64)> {
    let hot = (0..60).map(|content| FamilyId(id(content)));
    hot.filter_map(|family| {
        Some((
            family,
            deployment.groups.get(&family.home())?.priority_of(family, class)?,
        ))
    })
    .collect()
}

fn without_episode(alerts: Vec<Alert>) -> Vec<(FamilyId, u32)> {
    alerts.into_iter().map(|alert| (alert.family, alert.episode)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn no_other_scope_moves_and_in_ones_own_it_only_sinks(seed in any::<u64>(), told in told()) {
        let (with, without) = (play(seed, &told, |_| false), play(seed, &[], |_| false));
        for class in (0..5).filter_map(Class::from_number) {
            let scope = class.scope();
            let [now, before] = [&with, &without].map(|deployment| priorities(deployment, class));
            prop_assert_eq!(now.len(), before.len());
            if !told.iter().any(|(_, told)| told.scope == scope) {
                prop_assert_eq!(with.alerts_of(scope), without.alerts_of(scope), "{:?}", scope);
                prop_assert_eq!(now, before);
                continue;
            }
            // Whatever rang rings: who is called may change, and that an episode is told of once more for it.
            let rang = |deployment: &Deployment| {
                let mut rang = without_episode(deployment.alerts_of(scope));
                rang.dedup();
                rang.sort();
                rang.dedup();
                rang
            };
            prop_assert_eq!(rang(&with), rang(&without));
            for ((family, now), (same, before)) in now.into_iter().zip(before) {
                prop_assert_eq!(family, same);
                prop_assert!(now <= before * (1.0 + 1e-9) && (now > 0.0 || before == 0.0), "{now} after {before}");
            }
        }
    }

    #[test]
    fn a_snapshot_at_any_event_changes_nothing(seed in any::<u64>(), told in told(), every in 1..40_usize) {
        let straight = play(seed, &told, |_| false);
        let restored = play(seed, &told, |number| number % every == 0);
        prop_assert_eq!(&restored.alerts, &straight.alerts);
        let cores = |deployment: &Deployment| -> Vec<Vec<u8>> { deployment.groups.values().map(Group::encode_core).collect() };
        prop_assert!(cores(&restored) == cores(&straight));
    }
}

#[test]
fn what_is_said_twice_needs_no_new_checkpoint_and_a_lie_is_counted() {
    let mut group = Group::new(id(1).group(), config());
    let team = Scope::Party(PartyId(1));
    group.apply(Input::Weighing(&weighing(2, team, 3)), &mut Vec::new());
    let (version, core) = (group.version(), group.encode_core());
    for said in [weighing(2, team, 3), weighing(1, team, 9), weighing(7, Scope::All, 3)] {
        group.apply(Input::Weighing(&said), &mut Vec::new());
    }
    assert_eq!((group.version(), group.encode_core()), (version, core));
    assert_eq!(group.take_counters().weighings_refused, 1);
}

#[test]
fn what_a_team_overturned_stands_in_its_alerts_and_in_no_others() {
    let team = Scope::Party(PartyId(1));
    let mut deployment = Deployment::new(config());
    deployment.watch(1, 1, 2);
    deployment.weigh(&weighing(1, team, 30));
    for copy in 0..30u64 {
        let sharing = [tocsin_model::Sharing::All, tocsin_model::Sharing::Party][copy as usize % 2];
        deployment.see(Seen {
            sharing,
            ..seen(1, copy, copy as i64 * 1_000)
        });
    }
    let term = |scope| {
        let alerts = deployment.alerts_of(scope);
        let terms = &alerts.last().unwrap().priority_terms;
        terms
            .iter()
            .find(|term| term.name == "watch_overturned")
            .map(|term| term.value)
    };
    assert_eq!((term(team), term(Scope::All)), (Some(-4.0), None));
}
