//! Goal: every alert counts once, opens the cases it should, and orders and closes them.

use std::collections::BTreeSet;

use tocsin_casework::{CaseState, Filter, Refusal, Team, UNREVIEWED_BELOW};
use tocsin_model::{Alert, AlertLevel, Milliseconds, PlatformFigures, Scope, Verdict};
use tocsin_store::{AlertEffects, QueueQuery};

use crate::fixture::{COORDINATORS, Commands as _, LEASE, START, alert, on_both};
use crate::{ANNA, BEN, queue, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_opens_one_case_per_team_that_may_see_it_and_counts_once() {
    on_both(async |f| {
        let (alpha, ..) = f.party("alpha").await;
        let (beta, ..) = f.party("beta").await;
        let platforms = |ids: &[u16]| -> Vec<PlatformFigures> {
            let figures = alert(1, Scope::All, AlertLevel::Raised, 1).platforms[0];
            ids.iter()
                .map(|id| PlatformFigures {
                    platform: tocsin_model::PlatformId(*id),
                    ..figures
                })
                .collect()
        };
        let seen_by_alpha = Alert {
            platforms: platforms(&[alpha.platforms[0].0.0]),
            ..alert(1, Scope::All, AlertLevel::Raised, 1)
        };
        let effects = f.store.apply_alert(&seen_by_alpha).await.unwrap();
        assert_eq!(
            effects,
            AlertEffects {
                opened: 2,
                ..AlertEffects::default()
            }
        );
        let effects = f.store.apply_alert(&seen_by_alpha).await.unwrap();
        assert_eq!(
            effects,
            AlertEffects {
                duplicates: 1,
                ..AlertEffects::default()
            }
        );

        let seen_by_both = Alert {
            platforms: platforms(&[1, 2, 900]),
            ..alert(1, Scope::All, AlertLevel::Escalated, 1)
        };
        let effects = f.store.apply_alert(&seen_by_both).await.unwrap();
        assert_eq!(
            effects,
            AlertEffects {
                opened: 1,
                updated: 2,
                ..AlertEffects::default()
            }
        );
        f.store
            .apply_alert(&alert(2, Scope::Coordinators, AlertLevel::Raised, 1))
            .await
            .unwrap();
        f.store
            .apply_alert(&alert(3, Scope::Party(beta.id), AlertLevel::Raised, 1))
            .await
            .unwrap();

        let families =
            |cases: Vec<tocsin_casework::Case>| -> BTreeSet<u128> { cases.iter().map(|c| c.family.0.0).collect() };
        let open = async |team| families(queue(&f.store, team, CaseState::Open).await);
        assert_eq!(open(COORDINATORS).await, BTreeSet::from([1, 2]));
        assert_eq!(open(Team::Party(alpha.id)).await, BTreeSet::from([1]));
        assert_eq!(open(Team::Party(beta.id)).await, BTreeSet::from([1, 3]));
        let counts = f.store.queue_counts().await.unwrap();
        assert_eq!(
            counts.iter().map(|c| (c.open, c.claimed)).collect::<Vec<_>>(),
            [(2, 0), (1, 0), (2, 0)]
        );

        f.store.revoke_party(beta.id).await.unwrap();
        let later = Alert {
            platforms: platforms(&[1, 2]),
            ..alert(4, Scope::All, AlertLevel::Raised, 1)
        };
        assert_eq!(
            f.store.apply_alert(&later).await.unwrap().opened,
            2,
            "a revoked party gets no more cases"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_reads_back_as_it_was_written() {
    on_both(async |f| {
        let raised = alert(1, Scope::Coordinators, AlertLevel::Raised, 1);
        f.store.apply_alert(&raised).await.unwrap();
        let case = queue(&f.store, COORDINATORS, CaseState::Open).await.remove(0);
        assert_eq!(case.alert, Some(raised.clone()));
        assert_eq!((case.priority, case.opened_at, case.fencing), (1.0, START, 0));
        let (again, now) = f.store.case(COORDINATORS, case.id).await.unwrap();
        assert_eq!((again, now), (case, START));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_applied_exactly_once_also_by_two_dispatchers_at_once() {
    on_both(async |f| {
        let other = f.another().await;
        let alerts: Vec<Alert> = (1..=20)
            .flat_map(|family| [1, 2].map(|step| alert(family, Scope::Coordinators, AlertLevel::ALL[step - 1], 1)))
            .collect();
        let tasks: Vec<_> = [f.store.clone(), other, f.store.clone()]
            .into_iter()
            .map(|store| {
                let alerts = alerts.clone();
                tokio::spawn(async move {
                    let mut sum = AlertEffects::default();
                    for batch in alerts.chunks(3) {
                        let effects = store.apply_alerts(batch, UNREVIEWED_BELOW).await.unwrap();
                        sum.opened += effects.opened;
                        sum.updated += effects.updated;
                        sum.duplicates += effects.duplicates;
                    }
                    sum
                })
            })
            .collect();
        let (mut opened, mut updated, mut duplicates) = (0, 0, 0);
        for task in tasks {
            let effects = task.await.unwrap();
            opened += effects.opened;
            updated += effects.updated;
            duplicates += effects.duplicates;
        }
        assert_eq!((opened, updated, duplicates), (20, 20, 80));
        assert_eq!(queue(&f.store, COORDINATORS, CaseState::Open).await.len(), 20);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn applied_alerts_are_forgotten_by_age_and_old_ones_still_change_nothing() {
    on_both(async |f| {
        let raised = alert(1, Scope::Coordinators, AlertLevel::Raised, 1);
        let over = alert(1, Scope::Coordinators, AlertLevel::Subsided, 1);
        f.store
            .apply_alerts(&[raised.clone(), over], UNREVIEWED_BELOW)
            .await
            .unwrap();
        let age = Milliseconds::from_hours(24);
        assert_eq!(f.store.forget_applied_alerts(age).await.unwrap(), 0);
        f.clock.advance(Milliseconds(age.0 + 1));
        assert_eq!(f.store.forget_applied_alerts(age).await.unwrap(), 2);
        let effects = f.store.apply_alert(&raised).await.unwrap();
        assert_eq!(
            effects,
            AlertEffects {
                stale: 1,
                ..AlertEffects::default()
            }
        );
        assert_eq!(queue(&f.store, COORDINATORS, CaseState::Closed).await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_ordered_by_priority_and_read_in_pages() {
    on_both(async |f| {
        f.coordinators_cases(7).await;
        let equal = Alert {
            priority: 7.0,
            ..alert(8, Scope::Coordinators, AlertLevel::Raised, 1)
        };
        f.store.apply_alert(&equal).await.unwrap();
        let mut priorities = Vec::new();
        let mut after = None;
        loop {
            let query = QueueQuery {
                team: COORDINATORS,
                state: CaseState::Open,
                filter: Filter::default(),
                urgent_within: Milliseconds(0),
                limit: 3,
                after,
            };
            let page = f.store.queue(&query).await.unwrap();
            priorities.extend(page.cases.iter().map(|case| case.priority as u32));
            after = page.next.map(|cursor| cursor.to_string().parse().unwrap());
            if after.is_none() {
                break;
            }
        }
        assert_eq!(priorities, [7, 7, 6, 5, 4, 3, 2, 1]);
    })
    .await;
    for bad in [
        "",
        "zz",
        "7ff8000000000000",
        &"f".repeat(48),
        &"0".repeat(47),
        "ééééééééééééé",
    ] {
        assert!(bad.parse::<tocsin_store::Cursor>().is_err(), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subsided_case_closes_but_not_under_a_moderators_hands() {
    on_both(async |f| {
        f.coordinators_cases(2).await;
        let (held, _) = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap();
        for (family, closes) in [(1, 1), (2, 0)] {
            let over = alert(family, Scope::Coordinators, AlertLevel::Subsided, 1);
            assert_eq!(f.store.apply_alert(&over).await.unwrap().closed_unreviewed, closes);
        }
        assert_eq!(queue(&f.store, COORDINATORS, CaseState::Claimed).await.len(), 1);
        let closed = queue(&f.store, COORDINATORS, CaseState::Closed).await;
        assert_eq!(closed.len(), 1);
        assert_eq!(
            refusal(f.store.claim(COORDINATORS, closed[0].id, BEN, LEASE).await),
            Refusal::Closed
        );
        f.store
            .decide(COORDINATORS, held.id, (ANNA, 1), (Verdict::Newsworthy, ""))
            .await
            .unwrap();
        assert_eq!(queue(&f.store, COORDINATORS, CaseState::Decided).await.len(), 1);
        let next = alert(1, Scope::Coordinators, AlertLevel::Raised, 2);
        assert_eq!(f.store.apply_alert(&next).await.unwrap().reopened, 1);
        assert_eq!(queue(&f.store, COORDINATORS, CaseState::Open).await.len(), 1);
    })
    .await;
}
