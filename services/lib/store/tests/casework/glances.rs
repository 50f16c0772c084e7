//! Goal: whoever watches queues is told each case as it is, from any time on, of one team alone if they ask for one.
use std::collections::BTreeMap;

use tocsin_casework::{CaseId, Command, Glance, HOLD_MIN, Ruling, Team};
use tocsin_model::{AlertLevel, DecisionId, Milliseconds, Scope, Timestamp, Verdict};
use tocsin_store::{GLANCES_MAX, Store, Watched};

use crate::ANNA;
use crate::fixture::{COORDINATORS, Commands as _, LEASE, alert, on_both};

async fn told(store: &Store, watched: &mut Watched) -> BTreeMap<CaseId, (Glance, Timestamp)> {
    let mut told = BTreeMap::new();
    loop {
        let (glances, _) = store.watch_cases(watched).await.unwrap();
        if glances.is_empty() {
            return told;
        }
        told.extend(glances.into_iter().map(|(glance, at)| (glance.id, (glance, at))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_is_told_as_it_is_after_every_step() {
    on_both(async |f| {
        let count = u128::from(GLANCES_MAX) + 3;
        let mut watched = Watched::from(f.store.standing_cases(COORDINATORS, 1).await.unwrap().1);
        f.coordinators_cases(count).await;
        assert_eq!(told(&f.store, &mut watched).await.len() as u128, count, "in pages");
        assert!(
            told(&f.store, &mut watched).await.is_empty(),
            "read again, and told once"
        );
        let other = f.another().await;
        for step in 0..5 {
            // Longer than what is read again.
            f.clock.advance(Milliseconds::from_seconds(10));
            let case = other.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap().0;
            let by = (ANNA, case.fencing);
            let (after, now) = match step {
                0 => other.case(COORDINATORS, case.id).await.unwrap(),
                1 => other.release(COORDINATORS, case.id, by).await.unwrap(),
                2 => {
                    let decide = Command::Decide {
                        id: DecisionId(7),
                        ruling: Ruling::of(Verdict::Violating, "the attack"),
                        undo_for: Milliseconds::from_seconds(5),
                    };
                    other.command_as(case.id, by, decide).await.unwrap()
                }
                3 => {
                    let hold = Command::Hold {
                        length: HOLD_MIN,
                        reason: "later".to_owned(),
                    };
                    other.command_as(case.id, by, hold).await.unwrap()
                }
                _ => {
                    let escalate = Command::Escalate {
                        to: tocsin_casework::Desk::Legal,
                        note: "a court".to_owned(),
                    };
                    other.command_as(case.id, by, escalate).await.unwrap()
                }
            };
            let told = told(&f.store, &mut watched).await;
            assert_eq!(told.len(), 1, "{step}");
            assert_eq!(told[&case.id], (after.glance(), now), "{step}");
            let of = f.store.glances_of(COORDINATORS, &[case.id, CaseId(0)]).await.unwrap();
            assert_eq!(of, [(after.glance(), now)], "{step}");
        }
        other.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_is_told_its_own_cases_alone() {
    on_both(async |f| {
        let (alpha, ..) = f.party("alpha").await;
        let alpha = Team::Party(alpha.id);
        f.coordinators_cases(3).await;
        let own = alert(9, alpha.scope(), AlertLevel::Raised, 1);
        f.store.apply_alert(&own).await.unwrap();
        let since = Timestamp(0);
        let told_of = async |team| told(&f.store, &mut Watched::resumed(team, since)).await;
        assert_eq!(told_of(COORDINATORS).await.len(), 3);
        let of_alpha = told_of(alpha).await;
        let (case, _) = of_alpha.values().next().unwrap();
        assert_eq!((of_alpha.len(), case.family), (1, own.family));
        assert_eq!(f.store.glances_of(COORDINATORS, &[case.id]).await.unwrap(), []);
        assert_eq!(
            f.store.standing_cases(alpha, 10).await.unwrap().0,
            std::slice::from_ref(case)
        );
        assert_eq!(
            f.store.standing_cases(COORDINATORS, 2).await.unwrap().0.len(),
            2,
            "the first ones"
        );
        // From a later time on there is nothing.
        f.clock.advance(Milliseconds::from_minutes(1));
        let (_, now) = f.store.standing_cases(alpha, 0).await.unwrap();
        assert!(told(&f.store, &mut Watched::resumed(alpha, now)).await.is_empty());
        assert!(told(&f.store, &mut Watched::from(now)).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_that_ended_meanwhile_are_told() {
    on_both(async |f| {
        f.coordinators_cases(2).await;
        let case = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap().0;
        let kept = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap().0;
        f.clock.advance(Milliseconds::from_minutes(1));
        let (standing, since) = f.store.standing_cases(COORDINATORS, 10).await.unwrap();
        assert_eq!(
            standing
                .iter()
                .filter(|glance| glance.live_lease(since).is_some())
                .count(),
            2
        );
        let ended = async || f.store.ended_leases(COORDINATORS, since, None).await.unwrap().0;
        assert_eq!(ended().await, []);
        f.store
            .renew(COORDINATORS, kept.id, (ANNA, kept.fencing), LEASE)
            .await
            .unwrap();
        f.clock.advance(Milliseconds::from_minutes(4));
        let told = ended().await;
        assert_eq!(told.iter().map(|(glance, _)| glance.id).collect::<Vec<_>>(), [case.id]);
        let last = Some((told[0].1, case.id));
        assert_eq!(f.store.ended_leases(COORDINATORS, since, last).await.unwrap().0, []);
        assert_eq!(
            f.store
                .ended_leases(
                    Team::of_scope(Scope::Party(tocsin_model::PartyId(9))).unwrap(),
                    since,
                    None
                )
                .await
                .unwrap()
                .0,
            []
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_hold_stands_behind_the_first_cases_whatever_its_state() {
    on_both(async |f| {
        f.coordinators_cases(3).await;
        let decided = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap().0;
        let decide = Command::Decide {
            id: DecisionId(7),
            ruling: Ruling::of(Verdict::Violating, "the attack"),
            undo_for: Milliseconds(0),
        };
        f.store
            .command_as(decided.id, (ANNA, decided.fencing), decide)
            .await
            .unwrap();
        let again = f.store.claim(COORDINATORS, decided.id, ANNA, LEASE).await.unwrap();
        let open = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap().0;
        let (standing, now) = f.store.standing_cases(COORDINATORS, 0).await.unwrap();
        assert_eq!(standing, [], "so many, and no more");
        let (standing, _) = f.store.standing_cases(COORDINATORS, 10).await.unwrap();
        assert_eq!(standing.len(), 3, "each once");
        let held = standing[1..]
            .iter()
            .map(|glance| glance.id)
            .collect::<std::collections::BTreeSet<_>>();
        assert_eq!(held, std::collections::BTreeSet::from([again.0.id, open.id]));
        assert!(standing[1..].iter().all(|glance| glance.live_lease(now).is_some()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_team_that_is_added_what_was_read_before_is_read_again() {
    on_both(async |f| {
        let (alpha, ..) = f.party("alpha").await;
        let alpha = Team::Party(alpha.id);
        let (_, since) = f.store.standing_cases(alpha, 10).await.unwrap();
        let mut watched = Watched::from(since);
        f.coordinators_cases(2).await;
        f.store
            .apply_alert(&alert(9, alpha.scope(), AlertLevel::Raised, 1))
            .await
            .unwrap();
        assert_eq!(told(&f.store, &mut watched).await.len(), 3);
        watched.add_team(alpha, since);
        let again = told(&f.store, &mut watched).await;
        let teams: Vec<Team> = again.values().map(|(glance, _)| glance.team).collect();
        assert_eq!(teams, [alpha]);
    })
    .await;
}
