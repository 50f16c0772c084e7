//! Goal: two claimers never get one case, a lease that is over binds nobody, and a decision is written with its outbox row.

use std::collections::BTreeSet;

use tocsin_casework::{CaseId, CaseState, RATIONALE_BYTES_MAX, Refusal, Team};
use tocsin_model::{ContentId, Decision, FamilyId, KeyId, Milliseconds, Scope, Timestamp, Verdict};
use tocsin_store::{Choice, Clock, Store};

use crate::fixture::{COORDINATORS, Commands as _, LEASE, START, on_both};
use crate::{ANNA, BEN, queue, refusal};

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
async fn claimers_in_two_orders_who_wait_for_each_others_cases_all_go_on() {
    on_both(async |f| {
        // Fewer cases than claimers, and what has waited longest has the least priority.
        f.coordinators_cases(4).await;
        let other = f.another().await;
        let tasks: Vec<_> = (0..12u128)
            .map(|who| {
                let store = if who % 2 == 0 { f.store.clone() } else { other.clone() };
                tokio::spawn(async move {
                    let choice = Choice {
                        longest_every: 2,
                        ..Choice::default()
                    };
                    for _ in 0..60 {
                        let claimed = store.claim_best(COORDINATORS, (KeyId(who), LEASE), &choice).await;
                        if let Some(claimed) = claimed.unwrap() {
                            let (id, fencing) = (claimed.case.id, claimed.case.fencing);
                            let given_back = store.release(COORDINATORS, id, (KeyId(who), fencing)).await;
                            given_back.unwrap();
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
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

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_hands_nothing_out_twice() {
    on_both(async |f| {
        f.coordinators_cases(1).await;
        let (case, _) = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap();
        let back = Milliseconds(-2 * LEASE.0);
        f.clock.advance(back);
        let other = f.another().await;
        assert!(other.best(COORDINATORS, BEN, LEASE).await.unwrap().is_none());
        assert_eq!(
            refusal(other.claim(COORDINATORS, case.id, BEN, LEASE).await),
            Refusal::Claimed
        );
        f.store
            .renew(COORDINATORS, case.id, (ANNA, case.fencing), LEASE)
            .await
            .unwrap();
        // By the clock that was set back, the renewed lease ends before the first would have: then it is over.
        f.clock.advance(LEASE);
        let (second, _) = other.best(COORDINATORS, BEN, LEASE).await.unwrap().unwrap();
        assert!(second.fencing > case.fencing);
        // Back again to where the first lease would last: its number is void.
        f.clock.advance(back);
        let late = f.store.release(COORDINATORS, case.id, (ANNA, case.fencing)).await;
        assert_eq!(refusal(late), Refusal::LeaseStale);
        let (held, now) = f.store.case(COORDINATORS, case.id).await.unwrap();
        assert_eq!(held.live_lease(now).unwrap().holder, BEN);
        f.store
            .release(COORDINATORS, case.id, (BEN, second.fencing))
            .await
            .unwrap();
        let (third, _) = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap();
        assert!(third.fencing > second.fencing);
        other.close().await;
    })
    .await;
}
