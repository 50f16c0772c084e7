//! Goal: a decision that is taken back leaves nothing behind, cases move between people with what was written about them, and every so many
//! claims take what waits longest, whichever dispatcher is asked.
use crate::fixture::{COORDINATORS, Commands as _, Fixture, LEASE, alert, n, on_both};
use crate::{ANNA, BEN, queue, refusal};
use tocsin_casework::{
    By, Case, CaseState, Command, Desk, Draft, Event, Filter, HOLD_MIN, Lane, Refusal, Ruling, Team,
};
use tocsin_model::{
    Alert, AlertLevel, AlertReason, ContentId, DecisionId, Grounds, KeyId, Milliseconds, PriorityTerm,
    RecommendedAction, Scope, Verdict,
};
use tocsin_store::{Choice, DeliveryEvent, EndpointKind, KeySubject, NewEndpoint, Role, Roles, StoreError};

const UNDO: Milliseconds = Milliseconds::from_seconds(5);
const TAKEN: Milliseconds = Milliseconds::from_seconds(10);

fn ruling() -> Ruling {
    Ruling {
        grounds: Grounds {
            policy: "tvec 1".to_owned(),
            action: Some(RecommendedAction::Remove),
            confidence: Some(95),
            exceptions: vec![ContentId(4), ContentId(9)],
        },
        ..Ruling::of(Verdict::Violating, "the attack")
    }
}

fn decide(id: u128) -> Command {
    Command::Decide {
        id: DecisionId(id),
        ruling: ruling(),
        undo_for: UNDO,
    }
}

/// The best case, claimed by Anna, and an endpoint that hears of decisions.
async fn claimed(f: &Fixture) -> Case {
    f.store
        .add_endpoint(&NewEndpoint {
            name: n("desk"),
            team: COORDINATORS,
            kind: EndpointKind::Webhook,
            target: "https://desk.example/".to_owned(),
            settings: std::collections::BTreeMap::new(),
            secret: "whsec_x".to_owned(),
        })
        .await
        .unwrap();
    f.store
        .apply_alert(&alert(1, Scope::Coordinators, AlertLevel::Raised, 1))
        .await
        .unwrap();
    let alerted = f.store.take_deliveries(&n("desk"), 10, TAKEN).await.unwrap();
    for delivery in &alerted {
        let settled = [(delivery, tocsin_store::DeliveryOutcome::Delivered)];
        f.store.settle_deliveries(&settled).await.unwrap();
    }
    f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_goes_out_whole_once_it_cannot_be_taken_back() {
    on_both(async |f| {
        let case = claimed(f).await;
        let (decided, _) = f.store.command_as(case.id, (ANNA, 1), decide(7)).await.unwrap();
        let (read, _) = f.store.case(COORDINATORS, case.id).await.unwrap();
        assert_eq!(read, decided, "every part reads back");
        assert_eq!(f.store.outbox_take(10, TAKEN).await.unwrap(), []);
        assert_eq!(f.store.take_deliveries(&n("desk"), 10, TAKEN).await.unwrap().len(), 0);
        assert_eq!(f.store.outbox_due_in().await.unwrap(), Some(UNDO));
        assert_eq!(
            refusal(f.store.claim(COORDINATORS, case.id, BEN, LEASE).await),
            Refusal::DecisionHeld
        );

        f.clock.advance(UNDO);
        let taken = f.store.outbox_take(10, TAKEN).await.unwrap();
        assert_eq!((taken.len(), &taken[0].told.grounds), (1, &ruling().grounds));
        let delivered = f.store.take_deliveries(&n("desk"), 10, TAKEN).await.unwrap();
        let DeliveryEvent::Decision(told) = &delivered[0].event else {
            panic!("{delivered:?}");
        };
        assert_eq!(*told, taken[0].told);
        let withdraw = Command::Withdraw {
            decision: DecisionId(7),
            length: LEASE,
        };
        assert_eq!(
            refusal(f.store.command_as(case.id, (ANNA, 1), withdraw).await),
            Refusal::DecisionFinal
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_decision_that_was_taken_back_nothing_goes_out() {
    on_both(async |f| {
        let case = claimed(f).await;
        f.store.command_as(case.id, (ANNA, 1), decide(7)).await.unwrap();
        f.clock.advance(Milliseconds(UNDO.0 - 1));
        let withdraw = |length| Command::Withdraw {
            decision: DecisionId(7),
            length,
        };
        let (withdrawn, now) = f.store.command_as(case.id, (ANNA, 0), withdraw(LEASE)).await.unwrap();
        assert_eq!(
            (withdrawn.state(now), withdrawn.fencing, &withdrawn.decision),
            (CaseState::Claimed, 2, &None)
        );
        assert_eq!(withdrawn.draft.as_ref().unwrap().grounds, ruling().grounds);
        assert_eq!(f.store.case(COORDINATORS, case.id).await.unwrap().0, withdrawn);
        f.clock.advance(Milliseconds::from_hours(1));
        assert_eq!(f.store.outbox_take(10, TAKEN).await.unwrap(), []);
        assert_eq!(f.store.outbox_due_in().await.unwrap(), None);
        assert_eq!(f.store.take_deliveries(&n("desk"), 10, TAKEN).await.unwrap().len(), 0);

        // The next decision stands, and taking it back leads to the one that was out before it.
        let claim = Command::Claim { length: LEASE };
        f.store.command_as(case.id, (ANNA, 0), claim.clone()).await.unwrap();
        f.store.command_as(case.id, (ANNA, 3), decide(8)).await.unwrap();
        f.clock.advance(UNDO);
        assert_eq!(f.store.outbox_take(10, TAKEN).await.unwrap().len(), 1);
        f.store.command_as(case.id, (BEN, 0), claim).await.unwrap();
        f.store.command_as(case.id, (BEN, 4), decide(9)).await.unwrap();
        let withdraw = Command::Withdraw {
            decision: DecisionId(9),
            length: LEASE,
        };
        let (back, _) = f.store.command_as(case.id, (BEN, 0), withdraw).await.unwrap();
        assert_eq!(back.decision.unwrap().id, DecisionId(8));
        let history = f.store.case_history(COORDINATORS, case.id).await.unwrap();
        let kinds: Vec<&str> = history.iter().map(|entry| entry.kind.as_str()).collect();
        let expected = [
            "withdrawn",
            "decided",
            "claimed",
            "decided",
            "claimed",
            "withdrawn",
            "decided",
            "claimed",
        ];
        assert_eq!(kinds, expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_is_not_taken_back_though_the_clock_runs_backwards() {
    on_both(async |f| {
        let case = claimed(f).await;
        f.store.command_as(case.id, (ANNA, 1), decide(7)).await.unwrap();
        f.clock.advance(UNDO);
        assert_eq!(f.store.outbox_take(10, TAKEN).await.unwrap().len(), 1);
        f.clock.advance(Milliseconds(-UNDO.0));
        let before = f.store.case(COORDINATORS, case.id).await.unwrap().0;
        let withdraw = Command::Withdraw {
            decision: DecisionId(7),
            length: LEASE,
        };
        assert_eq!(
            refusal(f.store.command_as(case.id, (ANNA, 0), withdraw).await),
            Refusal::DecisionFinal
        );
        assert_eq!(
            f.store.case(COORDINATORS, case.id).await.unwrap().0,
            before,
            "nothing is half done"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_decisions_at_once_one_counts() {
    on_both(async |f| {
        let case = claimed(f).await;
        let tasks: Vec<_> = (0..8u128)
            .map(|number| {
                let store = f.store.clone();
                let by = By {
                    who: ANNA,
                    fencing: 1,
                    version: Some(case.version),
                };
                let command = Command::Decide {
                    id: DecisionId(100 + number),
                    ruling: Ruling::of(Verdict::Violating, &number.to_string()),
                    undo_for: UNDO,
                };
                tokio::spawn(async move { store.command(COORDINATORS, case.id, by, &command).await })
            })
            .collect();
        let mut made = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(done) => made += u32::from(matches!(done.event, Event::Decided(_))),
                refused => assert_eq!(refusal(refused), Refusal::VersionStale),
            }
        }
        assert_eq!((made, f.store.outbox_length().await.unwrap()), (1, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_goes_from_hand_to_hand_with_its_draft() {
    on_both(async |f| {
        let case = claimed(f).await;
        let moderators = Roles::of(&[Role::Moderator]);
        let (cleo, _) = f.store.issue_key(KeySubject::Coordinators, moderators).await.unwrap();
        let (reader, _) = f
            .store
            .issue_key(KeySubject::Coordinators, Roles::of(&[Role::Reader]))
            .await
            .unwrap();
        let (_, of_alpha, _) = f.party("alpha").await;
        let draft = Draft {
            verdict: Some(Verdict::Newsworthy),
            rationale: "it seems".to_owned(),
            ..Draft::default()
        };
        f.store
            .command_as(case.id, (ANNA, 1), Command::SaveDraft(draft.clone()))
            .await
            .unwrap();
        let hand_over = |to| Command::HandOver {
            to,
            length: LEASE,
            note: "my shift ends".to_owned(),
        };
        for nobody in [KeyId(7), reader, of_alpha] {
            let refused = f.store.command_as(case.id, (ANNA, 1), hand_over(nobody)).await;
            assert_eq!(refusal(refused), Refusal::NoSuchModerator);
        }
        let (handed, _) = f.store.command_as(case.id, (ANNA, 1), hand_over(cleo)).await.unwrap();
        assert_eq!(
            (handed.lease.unwrap().holder, &handed.draft),
            (cleo, &Some(draft.clone()))
        );

        // Whoever holds it is revoked: it is back at once, and they do nothing more, also where an old answer still knows their key.
        f.store.revoke_key(cleo).await.unwrap();
        let (back, now) = f.store.case(COORDINATORS, case.id).await.unwrap();
        assert_eq!((back.state(now), back.draft), (CaseState::Open, Some(draft)));
        for command in [decide(1), Command::Claim { length: LEASE }] {
            let refused = f.store.command_as(case.id, (cleo, 2), command).await;
            assert!(matches!(refused, Err(StoreError::KeyRevoked)), "{refused:?}");
        }
        assert!(matches!(
            f.store.best(COORDINATORS, cleo, LEASE).await,
            Err(StoreError::KeyRevoked)
        ));
        assert_eq!(f.store.outbox_length().await.unwrap(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_skipped_held_or_escalated_is_not_handed_out_again() {
    on_both(async |f| {
        let best = async |who, desk| {
            let filter = Filter {
                desk: Some(desk),
                ..Filter::default()
            };
            let choice = Choice {
                filter,
                ..Choice::default()
            };
            let claimed = f.store.claim_best(COORDINATORS, (who, LEASE), &choice).await.unwrap();
            claimed.map(|claimed| claimed.case)
        };
        f.coordinators_cases(3).await;
        let first = best(ANNA, Desk::Moderators).await.unwrap();
        let why = || "because".to_owned();
        f.store
            .command_as(first.id, (ANNA, 1), Command::Skip { reason: why() })
            .await
            .unwrap();
        let second = best(ANNA, Desk::Moderators).await.unwrap();
        assert_ne!(second.id, first.id);
        assert_eq!(
            best(BEN, Desk::Moderators).await.unwrap().id,
            first.id,
            "others are handed it"
        );
        let hold = Command::Hold {
            length: HOLD_MIN,
            reason: why(),
        };
        f.store.command_as(second.id, (ANNA, 1), hold).await.unwrap();
        let third = best(ANNA, Desk::Moderators).await.unwrap();
        let escalate = Command::Escalate {
            to: Desk::Legal,
            note: why(),
        };
        f.store.command_as(third.id, (ANNA, 1), escalate).await.unwrap();
        assert!(best(ANNA, Desk::Moderators).await.is_none());
        assert_eq!(best(ANNA, Desk::Legal).await.unwrap().id, third.id);
        f.clock.advance(HOLD_MIN);
        assert_eq!(best(ANNA, Desk::Moderators).await.unwrap().id, second.id);
        f.clock.advance(tocsin_store::SKIPPED_FOR);
        assert!(best(ANNA, Desk::Moderators).await.is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_new_wave_opens_is_handed_out_once_its_decision_can_no_longer_be_taken_back() {
    on_both(async |f| {
        f.coordinators_cases(2).await;
        let (best, _) = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap();
        f.store.command_as(best.id, (ANNA, 1), decide(7)).await.unwrap();
        let next = Alert {
            priority: 9.0,
            ..alert(2, Scope::Coordinators, AlertLevel::Raised, 2)
        };
        assert_eq!(f.store.apply_alert(&next).await.unwrap().reopened, 1);
        let (reopened, now) = f.store.case(COORDINATORS, best.id).await.unwrap();
        assert_eq!(reopened.standing().waits_from, Some(now + UNDO));
        assert!(!reopened.is_waiting(now) && reopened.is_waiting(now + UNDO));
        let mut followed = tocsin_store::Followed::default();
        let (standings, _) = f.store.follow_standings(&mut followed).await.unwrap();
        assert!(standings.contains(&reopened.standing()), "{standings:?}");
        let (other, _) = f.store.best(COORDINATORS, BEN, LEASE).await.unwrap().unwrap();
        assert_ne!(other.id, best.id);
        assert!(f.store.best(COORDINATORS, BEN, LEASE).await.unwrap().is_none());
        f.clock.advance(UNDO);
        let (again, _) = f.store.best(COORDINATORS, BEN, LEASE).await.unwrap().unwrap();
        assert_eq!(again.id, best.id);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tenth_claim_takes_what_waits_longest_whoever_is_asked() {
    on_both(async |f| {
        // The least pressing waits longest.
        for family in 1..=30u128 {
            let raised = Alert {
                priority: family as f64,
                ..alert(family, Scope::Coordinators, AlertLevel::Raised, 1)
            };
            f.store.apply_alert(&raised).await.unwrap();
            f.clock.advance(Milliseconds(1));
        }
        let other = f.another().await;
        let choice = Choice {
            longest_every: 10,
            ..Choice::default()
        };
        let mut priorities = Vec::new();
        for number in 0..20 {
            let store = if number % 2 == 0 { &f.store } else { &other };
            let claimed = store
                .claim_best(COORDINATORS, (ANNA, LEASE), &choice)
                .await
                .unwrap()
                .unwrap();
            priorities.push(claimed.case.priority as u32);
        }
        let expected: Vec<u32> = (22..=30).rev().chain([1]).chain((13..=21).rev()).chain([2]).collect();
        assert_eq!(priorities, expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_and_pages_keep_to_their_filter_and_to_who_ranks() {
    on_both(async |f| {
        f.coordinators_cases(3).await;
        let listed = Alert {
            reason: AlertReason::WatchList,
            priority_terms: vec![PriorityTerm {
                name: "severity".into(),
                value: 4.0,
            }],
            priority: 0.5,
            ..alert(9, Scope::Coordinators, AlertLevel::Raised, 1)
        };
        f.store.apply_alert(&listed).await.unwrap();
        let platform = listed.platforms[0].platform;
        let filters = [
            (
                Filter {
                    lane: Some(Lane::WatchListed),
                    ..Filter::default()
                },
                1,
            ),
            (
                Filter {
                    severity_min: Some(4.0),
                    ..Filter::default()
                },
                1,
            ),
            (
                Filter {
                    lane: Some(Lane::Live),
                    ..Filter::default()
                },
                0,
            ),
            (
                Filter {
                    platform: Some(platform),
                    ..Filter::default()
                },
                4,
            ),
            (
                Filter {
                    platform: Some(tocsin_model::PlatformId(60_000)),
                    ..Filter::default()
                },
                0,
            ),
            (
                Filter {
                    desk: Some(Desk::Expert),
                    ..Filter::default()
                },
                0,
            ),
        ];
        for (filter, count) in filters {
            let query = tocsin_store::QueueQuery {
                team: Team::Coordinators,
                state: CaseState::Open,
                filter: filter.clone(),
                urgent_within: Milliseconds(0),
                limit: 10,
                after: None,
            };
            assert_eq!(f.store.queue(&query).await.unwrap().cases.len(), count, "{filter:?}");
        }
        let query = tocsin_store::QueueQuery {
            team: Team::Coordinators,
            state: CaseState::Open,
            filter: Filter::default(),
            urgent_within: Milliseconds(0),
            limit: 10,
            after: None,
        };
        let cases = f.store.queue(&query).await.unwrap().cases;
        // The last is ranked first, and one that is not there before it; then the store's own order.
        let candidates = vec![tocsin_casework::CaseId(1), cases[3].id, cases[2].id];
        let choice = Choice {
            candidates,
            ..Choice::default()
        };
        let mut claimed = Vec::new();
        while let Some(done) = f.store.claim_best(COORDINATORS, (ANNA, LEASE), &choice).await.unwrap() {
            claimed.push(done.case.id);
        }
        assert_eq!(claimed, [cases[3].id, cases[2].id, cases[0].id, cases[1].id]);
    })
    .await;
}

/// On PostgreSQL what is joined to a row that was waited for is as it was before the wait: the alert, that waits for the decision's transaction, must
/// not write back a case without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_decision_outlives_an_alert_that_waited_for_its_case() {
    on_both(async |f| {
        const CASES: u128 = 32;
        f.coordinators_cases(CASES).await;
        let other = f.another().await;
        for case in queue(&f.store, COORDINATORS, CaseState::Open).await {
            let (held, _) = f.store.claim(COORDINATORS, case.id, ANNA, LEASE).await.unwrap();
            let escalated = alert(case.family.0.0, Scope::Coordinators, AlertLevel::Escalated, 1);
            let decide = f
                .store
                .decide(COORDINATORS, case.id, (ANNA, held.fencing), (Verdict::Violating, "why"));
            let (decided, applied) = tokio::join!(decide, other.apply_alert(&escalated));
            applied.unwrap();
            decided.unwrap();
            let (case, _) = f.store.case(COORDINATORS, case.id).await.unwrap();
            assert!(case.decision.is_some(), "{case:?}");
        }
        other.close().await;
    })
    .await;
}
