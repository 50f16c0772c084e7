//! Goal: every alert counts once, two claimers never get one case, a lease that is over binds nobody, and a decision is written with its
//! outbox row.
#![allow(clippy::unwrap_used, dead_code)]

mod fixture;

use std::collections::BTreeSet;

use fixture::{COORDINATORS, Commands as _, LEASE, START, alert, on_both};
use tocsin_casework::{CaseId, CaseState, Filter, RATIONALE_BYTES_MAX, Refusal, Team, UNREVIEWED_BELOW};
use tocsin_model::{
    Alert, AlertLevel, ContentId, Decision, FamilyId, KeyId, Milliseconds, PlatformFigures, Scope, Timestamp, Verdict,
};
use tocsin_store::{AlertEffects, Clock, QueueQuery, Store, StoreError};

const ANNA: KeyId = KeyId(0xa);
const BEN: KeyId = KeyId(0xb);

async fn queue(store: &Store, team: Team, state: CaseState) -> Vec<tocsin_casework::Case> {
    let query = QueueQuery {
        team,
        state,
        filter: Filter::default(),
        limit: QueueQuery::LIMIT_MAX,
        after: None,
    };
    store.queue(&query).await.unwrap().cases
}

fn refusal<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Refusal {
    match result {
        Err(StoreError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

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
        assert_eq!(case.alert, raised);
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
async fn two_claimers_never_get_one_case() {
    on_both(async |f| {
        const CASES: usize = 40;
        f.coordinators_cases(CASES as u128).await;
        let other = f.another().await;
        let tasks: Vec<_> = (0..8u128)
            .map(|who| {
                let store = if who % 2 == 0 { f.store.clone() } else { other.clone() };
                tokio::spawn(async move {
                    let mut mine = Vec::new();
                    while let Some((case, _)) = store.best(COORDINATORS, KeyId(who), LEASE).await.unwrap() {
                        mine.push(case.id);
                    }
                    mine
                })
            })
            .collect();
        let mut claimed = Vec::new();
        for task in tasks {
            claimed.extend(task.await.unwrap());
        }
        assert_eq!(claimed.len(), CASES);
        assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), CASES);
        assert_eq!(queue(&f.store, COORDINATORS, CaseState::Claimed).await.len(), CASES);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_claim_one_case_one_gets_it() {
    on_both(async |f| {
        f.coordinators_cases(1).await;
        let id = queue(&f.store, COORDINATORS, CaseState::Open).await[0].id;
        let tasks: Vec<_> = (0..8u128)
            .map(|who| {
                let store = f.store.clone();
                tokio::spawn(async move { store.claim(COORDINATORS, id, KeyId(who), LEASE).await })
            })
            .collect();
        let mut got = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => got += 1,
                refused => assert_eq!(refusal(refused), Refusal::Claimed),
            }
        }
        assert_eq!(got, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_renews_expires_and_an_old_number_is_refused() {
    on_both(async |f| {
        f.coordinators_cases(2).await;
        let (case, now) = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap();
        assert_eq!(
            (case.priority, case.fencing, case.state(now)),
            (2.0, 1, CaseState::Claimed)
        );
        assert_eq!(
            refusal(f.store.claim(COORDINATORS, case.id, BEN, LEASE).await),
            Refusal::Claimed
        );
        assert_eq!(
            refusal(f.store.renew(COORDINATORS, case.id, (BEN, 1), LEASE).await),
            Refusal::LeaseStale
        );
        assert_eq!(
            refusal(f.store.renew(COORDINATORS, case.id, (ANNA, 2), LEASE).await),
            Refusal::LeaseStale
        );

        f.clock.advance(Milliseconds(LEASE.0 - 1));
        f.store.renew(COORDINATORS, case.id, (ANNA, 1), LEASE).await.unwrap();
        f.clock.advance(Milliseconds(LEASE.0 - 1));
        assert_eq!(f.store.case(COORDINATORS, case.id).await.unwrap().0.fencing, 1);
        assert_eq!(queue(&f.store, COORDINATORS, CaseState::Open).await.len(), 1);
        f.clock.advance(Milliseconds(1));
        assert_eq!(
            queue(&f.store, COORDINATORS, CaseState::Open).await.len(),
            2,
            "it is back in the queue by itself"
        );
        let decided = f
            .store
            .decide(COORDINATORS, case.id, (ANNA, 1), (Verdict::Benign, ""))
            .await;
        assert_eq!(refusal(decided), Refusal::LeaseExpired);

        let (taken_over, _) = f.store.best(COORDINATORS, BEN, LEASE).await.unwrap().unwrap();
        assert_eq!((taken_over.id, taken_over.fencing), (case.id, 2));
        let decided = f
            .store
            .decide(COORDINATORS, case.id, (ANNA, 1), (Verdict::Benign, ""))
            .await;
        assert_eq!(refusal(decided), Refusal::LeaseStale);
        assert_eq!(
            refusal(f.store.release(COORDINATORS, case.id, (ANNA, 1)).await),
            Refusal::LeaseStale
        );
        f.store.release(COORDINATORS, case.id, (BEN, 2)).await.unwrap();
        assert_eq!(queue(&f.store, COORDINATORS, CaseState::Open).await.len(), 2);
        assert_eq!(f.store.outbox_length().await.unwrap(), 0);
        for length in [Milliseconds(999), Milliseconds(3_600_001), Milliseconds(i64::MIN)] {
            assert_eq!(
                refusal(f.store.claim(COORDINATORS, case.id, BEN, length).await),
                Refusal::LeaseLength
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_of_another_team_is_not_there() {
    on_both(async |f| {
        let (alpha, ..) = f.party("alpha").await;
        f.coordinators_cases(1).await;
        let (case, _) = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap();
        let team = Team::Party(alpha.id);
        let holder = (ANNA, case.fencing);
        assert_eq!(refusal(f.store.case(team, case.id).await), Refusal::NoSuchCase);
        assert_eq!(
            refusal(f.store.claim(team, case.id, ANNA, LEASE).await),
            Refusal::NoSuchCase
        );
        assert_eq!(
            refusal(f.store.renew(team, case.id, holder, LEASE).await),
            Refusal::NoSuchCase
        );
        assert_eq!(
            refusal(f.store.release(team, case.id, holder).await),
            Refusal::NoSuchCase
        );
        let decided = f.store.decide(team, case.id, holder, (Verdict::Violating, "")).await;
        assert_eq!(refusal(decided), Refusal::NoSuchCase);
        assert_eq!(
            refusal(f.store.case(COORDINATORS, CaseId(7)).await),
            Refusal::NoSuchCase
        );
        assert!(f.store.best(team, ANNA, LEASE).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_written_once_and_published_at_least_once() {
    on_both(async |f| {
        f.coordinators_cases(1).await;
        let (case, _) = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap();
        let too_long = "x".repeat(RATIONALE_BYTES_MAX + 1);
        let refused = f
            .store
            .decide(COORDINATORS, case.id, (ANNA, 1), (Verdict::Violating, &too_long))
            .await;
        assert_eq!(refusal(refused), Refusal::RationaleLength);
        let refused = f
            .store
            .decide(COORDINATORS, case.id, (ANNA, 1), (Verdict::Violating, "\0"))
            .await;
        assert_eq!(refusal(refused), Refusal::RationaleMalformed);
        let ruling = (Verdict::Violating, "known attack video; 'quoted' \u{1f6a8}");
        let (decided, now) = f.store.decide(COORDINATORS, case.id, (ANNA, 1), ruling).await.unwrap();
        assert_eq!(decided.state(now), CaseState::Decided);
        let (again, _) = f.store.decide(COORDINATORS, case.id, (ANNA, 1), ruling).await.unwrap();
        assert_eq!(again.decision, decided.decision, "a lost answer may be asked for again");
        let changed_mind = f
            .store
            .decide(COORDINATORS, case.id, (ANNA, 1), (Verdict::Benign, ""))
            .await;
        assert_eq!(refusal(changed_mind), Refusal::LeaseStale);
        let (read, _) = f.store.case(COORDINATORS, case.id).await.unwrap();
        assert_eq!(read.decision, decided.decision);

        let length = Milliseconds::from_seconds(10);
        let taken = f.store.outbox_take(10, length).await.unwrap();
        let expected = Decision {
            id: decided.decision.unwrap().id,
            family: FamilyId(ContentId(1)),
            scope: Scope::Coordinators,
            verdict: Verdict::Violating,
            at: START,
        };
        assert_eq!((taken.len(), &taken[0].told.decision), (1, &expected));
        assert_eq!(
            f.another().await.outbox_take(10, length).await.unwrap(),
            [],
            "somebody is at it"
        );
        f.clock.advance(length);
        assert_eq!(
            f.store.outbox_take(10, length).await.unwrap(),
            taken,
            "given out again when nobody acknowledged"
        );
        f.store.outbox_acknowledge(&[taken[0].sequence]).await.unwrap();
        f.store.outbox_acknowledge(&[taken[0].sequence]).await.unwrap();
        f.clock.advance(length);
        assert_eq!(f.store.outbox_take(10, length).await.unwrap(), []);
        assert_eq!(f.store.outbox_length().await.unwrap(), 0);

        // Decided cases may be claimed by name and decided again.
        assert!(f.store.best(COORDINATORS, BEN, LEASE).await.unwrap().is_none());
        f.store.claim(COORDINATORS, case.id, BEN, LEASE).await.unwrap();
        f.store
            .decide(COORDINATORS, case.id, (BEN, 2), (Verdict::Benign, "a drill"))
            .await
            .unwrap();
        assert_eq!(
            f.store.outbox_take(10, length).await.unwrap()[0].told.decision.verdict,
            Verdict::Benign
        );
    })
    .await;
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

#[tokio::test(flavor = "multi_thread")]
async fn leases_are_timed_by_the_databases_clock() {
    on_both(async |f| {
        f.coordinators_cases(1).await;
        let store = Store::open_with_clock(&f.url, Clock::Database).await.unwrap();
        let (case, now) = store
            .best(COORDINATORS, ANNA, Milliseconds::from_seconds(1))
            .await
            .unwrap()
            .unwrap();
        let this_machine = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis() as i64;
        assert!(
            (now - Timestamp(this_machine)).0.abs() < 5_000,
            "{now} is not about {this_machine} ms"
        );
        let asked_at = std::time::Instant::now();
        loop {
            let (case, now) = store.case(COORDINATORS, case.id).await.unwrap();
            if case.state(now) == CaseState::Open {
                break;
            }
            assert!(
                asked_at.elapsed() < std::time::Duration::from_secs(10),
                "the lease never ended"
            );
            tokio::task::yield_now().await;
        }
    })
    .await;
}
