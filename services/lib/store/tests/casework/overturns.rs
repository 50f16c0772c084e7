//! Goal: a family that is overturned is decided anew, once, for all, whoever else answers or decides at the same time and wherever its case went.

use tocsin_casework::{Against, AppealCommand, AppealRefusal, CaseState, Concerns, Refusal, Team};
use tocsin_model::{ContentId, DecisionId, FamilyId, KeyId, Milliseconds, Timestamp, Verdict};
use tocsin_store::{AppealState, Carried, DeliveryEvent, FamilySaid};

use crate::appeals::{
    CLAIM, NEGATIVE, ONE, OVERTURNED, by, command, decided, events, fan, file, filing, opinion, page, refused, ruling,
};
use crate::fixture::filings::answer;
use crate::fixture::{COORDINATORS, Commands as _, Fixture, LEASE, START, on_both};
use crate::{ANNA, BEN, queue, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn a_family_that_is_overturned_is_decided_anew_for_all_and_answers_the_others() {
    on_both(async |f| {
        let (team, case, decision) = Box::pin(decided(f, ANNA)).await;
        f.store
            .outbox_acknowledge(&outbox(f).await.iter().map(|entry| entry.0).collect::<Vec<_>>())
            .await
            .unwrap();
        Box::pin(events(f)).await;
        let mut ids = Vec::new();
        for (reference, content) in [("A-1", 2), ("A-2", 3), ("A-3", 4)] {
            let filed = file(&f.store, team, content, &filing(reference, content, Against::Block)).await;
            ids.push(filed.unwrap().appeal.id);
        }
        // Another one holds the second; and somebody is at the case.
        command(&f.store, (team, by(KeyId(0xc), 0)), ids[1], &CLAIM)
            .await
            .unwrap();
        let held = command(&f.store, (team, by(BEN, 0)), ids[0], &CLAIM).await.unwrap();
        let said = AppealCommand::Answer(ruling(OVERTURNED, Concerns::Family));
        let me = (team, by(BEN, held.appeal.fencing));
        let (at_it, _) = Box::pin(f.store.claim(team, case, ANNA, LEASE)).await.unwrap();
        assert_eq!(refusal(command(&f.store, me, ids[0], &said).await), Refusal::Claimed);
        let (read, _) = f.store.appeal(team, ids[0]).await.unwrap();
        assert_eq!(read.appeal, held.appeal, "nothing of it was done");
        Box::pin(f.store.release(team, case, (ANNA, at_it.fencing)))
            .await
            .unwrap();

        f.clock.advance(Milliseconds(10));
        let answered = command(&f.store, me, ids[0], &said).await.unwrap();
        let new = answered.decision.unwrap();
        assert_eq!(
            (new.decided_by, new.ruling.verdict, answered.answered_with),
            (BEN, Verdict::Benign, 2)
        );
        let (now_benign, now) = f.store.case(team, case).await.unwrap();
        assert_eq!(now_benign.decision.as_ref(), Some(&new));
        assert_eq!(now_benign.decision_out(now).unwrap().id, new.id);
        assert_eq!(
            outbox(f).await.iter().map(|entry| entry.1).collect::<Vec<_>>(),
            [new.id],
            "to the key groups"
        );
        let due = f.store.due_fans(10).await.unwrap();
        assert!(
            due.iter().any(|due| due.decision == new.id),
            "members are told one by one"
        );
        Box::pin(fan(f, team, 4)).await;
        assert_eq!(opinion(f, 2).await, NEGATIVE, "the list hears that it is harmless");
        let told = Box::pin(events(f)).await;
        let answers = told
            .iter()
            .filter(|event| matches!(event, DeliveryEvent::Appeal(_)))
            .count();
        let decisions = told.iter().filter_map(|event| match event {
            DeliveryEvent::Decision(told) => Some(told.decision.id),
            _ => None,
        });
        assert_eq!((answers, decisions.collect::<Vec<_>>()), (3, vec![new.id]));
        assert!(
            told.iter().any(|event| matches!(event, DeliveryEvent::Members(_))),
            "restored one by one"
        );
        for id in &ids[1..] {
            let (other, _) = f.store.appeal(team, *id).await.unwrap();
            let answer = other.appeal.answer.unwrap();
            assert_eq!((answer.with, other.appeal.lease), (Some(ids[0]), None));
        }
        let late = (team, by(KeyId(0xc), 1));
        assert_eq!(
            refused(command(&f.store, late, ids[1], &said).await),
            AppealRefusal::Answered
        );
        assert_eq!(page(f, team, Some(AppealState::Open)).await, []);
        // Whoever overturned is no reviewer of the next appeal.
        let next = file(&f.store, team, 5, &filing("A-4", 5, Against::Decision(decision)))
            .await
            .unwrap();
        let own = command(&f.store, (team, by(BEN, 0)), next.appeal.id, &CLAIM).await;
        assert_eq!(refused(own), AppealRefusal::OwnDecision);
        let steps = f.store.case_history(team, case).await.unwrap();
        let kinds: Vec<&str> = steps.iter().take(2).map(|step| step.kind.as_str()).collect();
        assert_eq!(kinds, ["appeal_filed", "appeal_answered"]);
    })
    .await;
}

async fn outbox(f: &Fixture) -> Vec<(i64, DecisionId)> {
    let entries = f.store.outbox_take(10, Milliseconds(1)).await.unwrap();
    entries
        .iter()
        .map(|entry| (entry.sequence, entry.told.decision.id))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_that_a_listing_alone_blocked_is_decided_when_it_is_overturned() {
    on_both(async |f| {
        let (alpha, ..) = f.party("alpha").await;
        let team = Team::Party(alpha.id);
        let unseen = (ContentId(50), FamilyId(ContentId(50)));
        let listed = filing("A-1", 50, Against::Block);
        let filed = Box::pin(f.store.file_appeal((team, ANNA), unseen, &listed))
            .await
            .unwrap();
        f.clock.advance(Milliseconds(1));
        let answered = answer(
            &f.store,
            (team, ANNA),
            filed.appeal.id,
            ruling(OVERTURNED, Concerns::Family),
        )
        .await;
        let case = answered.case.unwrap();
        assert_eq!((case.family, case.opened_at), (unseen.1, START + Milliseconds(1)));
        assert_eq!(case.decision.unwrap().ruling.verdict, Verdict::Benign);
        let (read, _) = f.store.appeal(team, filed.appeal.id).await.unwrap();
        assert_eq!(read.appeal.case, Some(case.id));
        assert_eq!(
            queue(&f.store, team, CaseState::Open).await,
            [],
            "nobody is asked to look at it"
        );
        assert_eq!(queue(&f.store, team, CaseState::Decided).await.len(), 1);
        let bounded = async {
            for number in 0..1_000 {
                let filing = filing(&format!("B-{number}"), 60, Against::Block);
                let unseen = (ContentId(60), FamilyId(ContentId(60)));
                Box::pin(f.store.file_appeal((team, ANNA), unseen, &filing))
                    .await
                    .unwrap();
            }
            let one_more = filing("C-1", 60, Against::Block);
            let unseen = (ContentId(60), FamilyId(ContentId(60)));
            Box::pin(f.store.file_appeal((team, ANNA), unseen, &one_more)).await
        };
        assert_eq!(refused(bounded.await), AppealRefusal::TooMany);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_reviewers_who_overturn_one_family_at_once_decide_it_once() {
    on_both(async |f| {
        let (team, case, decision) = Box::pin(decided(f, ANNA)).await;
        let other = f.another().await;
        for round in 0..4u32 {
            // Each time somebody else decided it to be violating again.
            let decider = KeyId(0x100 + u128::from(round));
            let (held, _) = Box::pin(f.store.claim(team, case, decider, LEASE)).await.unwrap();
            let again = (Verdict::Violating, "again");
            Box::pin(f.store.decide(team, case, (decider, held.fencing), again))
                .await
                .unwrap();
            let reviewers = [KeyId(0x200 + u128::from(round)), KeyId(0x300 + u128::from(round))];
            let mut held = Vec::new();
            for (number, who) in reviewers.into_iter().enumerate() {
                let against = Against::Decision(decision);
                let filing = filing(&format!("{round}-{number}"), 2, against);
                let filed = file(&f.store, team, 2, &filing).await.unwrap();
                let claimed = command(&f.store, (team, by(who, 0)), filed.appeal.id, &CLAIM).await;
                held.push((filed.appeal.id, claimed.unwrap().appeal.fencing));
            }
            let said = AppealCommand::Answer(ruling(OVERTURNED, Concerns::Family));
            let (one, two) = tokio::join!(
                command(&f.store, (team, by(reviewers[0], held[0].1)), held[0].0, &said),
                command(&other, (team, by(reviewers[1], held[1].1)), held[1].0, &said)
            );
            let (done, late): (Vec<_>, Vec<_>) = [one, two].into_iter().partition(Result::is_ok);
            assert_eq!((done.len(), late.len()), (1, 1), "round {round}: {late:?}");
            let late = late.into_iter().next().unwrap();
            assert_eq!(refused(late), AppealRefusal::Answered, "it was answered with the other");
            assert_eq!(done[0].as_ref().unwrap().answered_with, 1);
        }
        other.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_appeal_follows_its_case_into_another_and_its_deciders_too() {
    on_both(async |f| {
        f.coordinators_cases(2).await;
        let mut cases = queue(&f.store, COORDINATORS, CaseState::Open).await;
        cases.sort_by_key(|case| case.family);
        for (case, who) in cases.iter().zip([BEN, ANNA]) {
            let (held, _) = Box::pin(f.store.claim(COORDINATORS, case.id, who, LEASE))
                .await
                .unwrap();
            let violating = (Verdict::Violating, "why");
            Box::pin(f.store.decide(COORDINATORS, case.id, (who, held.fencing), violating))
                .await
                .unwrap();
        }
        let of_second = (ContentId(2), FamilyId(ContentId(2)));
        let block = filing("A-1", 2, Against::Block);
        let filed = Box::pin(f.store.file_appeal((COORDINATORS, ANNA), of_second, &block))
            .await
            .unwrap();
        assert_eq!(filed.appeal.case, Some(cases[1].id));
        let said = FamilySaid {
            team: COORDINATORS,
            family: of_second.1,
            joined: ONE,
            at: Timestamp(START.0 + 3_600_000),
        };
        let carried = f.store.carry(&said).await.unwrap().0;
        assert!(matches!(carried, Carried::Merged { .. }));
        let id = filed.appeal.id;
        for who in [ANNA, BEN] {
            let own = command(&f.store, (COORDINATORS, by(who, 0)), id, &CLAIM).await;
            assert_eq!(
                refused(own),
                AppealRefusal::OwnDecision,
                "of the case, or of the one that it went into"
            );
        }
        let answered = answer(
            &f.store,
            (COORDINATORS, KeyId(0xc)),
            id,
            ruling(OVERTURNED, Concerns::Family),
        )
        .await;
        assert_eq!(answered.case.unwrap().id, cases[0].id, "what people see is decided");
        assert_eq!(answered.appeal.case, Some(cases[0].id));
    })
    .await;
}
