//! Goal: what a keyed hash draws is decided once more by somebody who did not decide, a third settles what two see otherwise, golden cases count for
//! nothing but themselves, and what was drawn can be checked.

use tocsin_casework::{
    By, CaseId, CaseState, Command, Review, ReviewCommand, ReviewEffect, ReviewEvent, ReviewRefusal, Ruling, Team,
};
use tocsin_model::{
    Alert, AlertLevel, ContentId, DecisionId, FamilyId, KeyId, Milliseconds, Scope, Timestamp, Verdict,
};
use tocsin_store::{
    Carried, FamilySaid, KeySubject, ReviewSettings, Reviewed, Role, Roles, SampleCheck, Store, StoreError,
};

use crate::fixture::{COORDINATORS, Commands as _, Fixture, LEASE, START, alert, n, on_both};
use crate::{ANNA, BEN, queue};

const CARLA: KeyId = KeyId(0xc);
const ALL: ReviewSettings = ReviewSettings {
    share_ppm: 1_000_000,
    golden_ppm: 0,
};

fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>) -> ReviewRefusal {
    match result {
        Err(StoreError::ReviewRefused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

async fn claim(store: &Store, who: KeyId) -> Option<Review> {
    let claimed = Box::pin(store.claim_review(COORDINATORS, (who, LEASE))).await.unwrap();
    claimed.map(|claimed| claimed.review)
}

async fn answer(store: &Store, who: KeyId, review: &Review, verdict: Verdict) -> Result<Reviewed, StoreError> {
    let by = By {
        who,
        fencing: review.fencing,
        version: None,
    };
    let command = ReviewCommand::Answer {
        verdict,
        note: "so".to_owned(),
    };
    Box::pin(store.command_review((COORDINATORS, by), review.id, &command)).await
}

/// So many cases of the coordinators that ANNA decided to be violating, in the order of their families.
async fn decided(f: &Fixture, count: u128) -> Vec<CaseId> {
    f.coordinators_cases(count).await;
    let mut cases = queue(&f.store, COORDINATORS, CaseState::Open).await;
    cases.sort_by_key(|case| case.family);
    for case in &cases {
        Box::pin(decide(f, case.id, ANNA)).await;
        f.clock.advance(Milliseconds(1));
    }
    cases.iter().map(|case| case.id).collect()
}

async fn decide(f: &Fixture, case: CaseId, who: KeyId) -> DecisionId {
    let (held, _) = Box::pin(f.store.claim(COORDINATORS, case, who, LEASE)).await.unwrap();
    let by = (who, held.fencing);
    let (case, _) = Box::pin(f.store.decide(COORDINATORS, case, by, (Verdict::Violating, "")))
        .await
        .unwrap();
    case.decision.unwrap().id
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_sees_what_the_first_saw_and_a_third_settles_what_they_see_otherwise() {
    // On the heap: it holds many cases.
    on_both(async |f| Box::pin(second_and_third(f)).await).await;
}

async fn second_and_third(f: &Fixture) {
    Box::pin(f.store.set_review_settings(COORDINATORS, ALL)).await.unwrap();
    let [case] = Box::pin(decided(f, 1)).await[..] else {
        unreachable!()
    };
    let (before, _) = f.store.case(COORDINATORS, case).await.unwrap();
    assert_eq!(claim(&f.store, ANNA).await, None, "who decided does not review");
    let other = f.another().await;
    let (one, two) = tokio::join!(claim(&f.store, BEN), claim(&other, CARLA));
    assert_eq!((one.is_some() as u8) + (two.is_some() as u8), 1, "one of them gets it");
    let (who, third, review) = match (one, two) {
        (Some(review), _) => (BEN, CARLA, review),
        (_, review) => (CARLA, BEN, review.unwrap()),
    };
    assert_eq!(
        (review.alert.as_ref(), &review.hash),
        (before.alert.as_ref(), &before.hash)
    );
    assert_eq!(
        refused(f.store.review((COORDINATORS, third), review.id).await),
        ReviewRefusal::NoSuchReview
    );
    let foreign = Box::pin(answer(&other, third, &review, Verdict::Benign)).await;
    assert_eq!(refused(foreign), ReviewRefusal::NoSuchReview);
    let differs = Box::pin(answer(&f.store, who, &review, Verdict::Benign)).await.unwrap();
    assert_eq!(differs.event, ReviewEvent::Answered(ReviewEffect::ThirdAsked));
    let again = Box::pin(answer(&f.store, who, &review, Verdict::Benign)).await.unwrap();
    assert_eq!(again.event, ReviewEvent::SaidBefore);
    let (read, _) = f.store.review((COORDINATORS, who), review.id).await.unwrap();
    assert_eq!(read, differs.review, "what is written is what was said");
    let (stands, _) = f.store.case(COORDINATORS, case).await.unwrap();
    assert_eq!(
        stands.decision, before.decision,
        "it stands until a third says otherwise"
    );

    for whose in [ANNA, who] {
        assert_eq!(claim(&f.store, whose).await, None, "a third is neither");
    }
    let asked = Box::pin(claim(&f.store, third)).await.unwrap();
    assert_eq!(
        (asked.fencing, &asked.alert, asked.first),
        (1, &review.alert, Verdict::Violating)
    );
    // Somebody is at the case.
    let (held, _) = Box::pin(f.store.claim(COORDINATORS, case, ANNA, LEASE)).await.unwrap();
    let busy = Box::pin(answer(&f.store, third, &asked, Verdict::Newsworthy)).await;
    assert_eq!(crate::refusal(busy), tocsin_casework::Refusal::Claimed);
    Box::pin(f.store.release(COORDINATORS, case, (ANNA, held.fencing)))
        .await
        .unwrap();
    let settled = Box::pin(answer(&f.store, third, &asked, Verdict::Newsworthy))
        .await
        .unwrap();
    let (_, decision) = settled.decided.unwrap();
    let (now_news, _) = f.store.case(COORDINATORS, case).await.unwrap();
    assert_eq!(now_news.decision, Some(decision.clone()));
    assert_eq!(
        (decision.decided_by, decision.ruling.verdict),
        (third, Verdict::Newsworthy)
    );
    let out = Box::pin(f.store.outbox_take(10, LEASE)).await.unwrap();
    assert_eq!(out.len(), 1, "one after the other");

    let (figures, _) = Box::pin(f.store.review_figures(COORDINATORS, LEASE)).await.unwrap();
    assert_eq!(figures.pairs, [(Verdict::Violating, Verdict::Benign, 1)]);
    assert_eq!((figures.thirds, figures.changed, figures.waiting), (1, 1, 0));
    let checked = Box::pin(f.store.check_sample(COORDINATORS)).await.unwrap();
    assert_eq!(
        checked,
        SampleCheck {
            decisions: 1,
            drawn: 1,
            ..SampleCheck::default()
        },
        "what a third decided is not drawn"
    );
    let (alpha, ..) = Box::pin(f.party("alpha")).await;
    let theirs = Team::Party(alpha.id);
    let none = Box::pin(f.store.claim_review(theirs, (BEN, LEASE))).await.unwrap();
    assert!(none.is_none());
    let (figures, _) = Box::pin(f.store.review_figures(theirs, LEASE)).await.unwrap();
    assert_eq!(figures, tocsin_store::ReviewFigures::default());
    other.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_who_agrees_or_comes_too_late_changes_nothing() {
    on_both(async |f| {
        Box::pin(f.store.set_review_settings(COORDINATORS, ALL)).await.unwrap();
        let cases = Box::pin(decided(f, 2)).await;
        for _ in &cases {
            let second = Box::pin(claim(&f.store, BEN)).await.unwrap();
            Box::pin(answer(&f.store, BEN, &second, Verdict::Benign)).await.unwrap();
        }
        let agrees = Box::pin(claim(&f.store, CARLA)).await.unwrap();
        let counted = Box::pin(answer(&f.store, CARLA, &agrees, Verdict::Violating))
            .await
            .unwrap();
        assert_eq!(counted.event, ReviewEvent::Answered(ReviewEffect::Counted));
        let late = Box::pin(claim(&f.store, CARLA)).await.unwrap();
        let anew = Box::pin(decide(f, late.case, ANNA)).await;
        let done = Box::pin(answer(&f.store, CARLA, &late, Verdict::Benign)).await.unwrap();
        assert!(done.decided.is_none(), "it was decided anew since");
        let (stands, _) = f.store.case(COORDINATORS, late.case).await.unwrap();
        assert_eq!(stands.decision.unwrap().id, anew);
        let (figures, _) = Box::pin(f.store.review_figures(COORDINATORS, LEASE)).await.unwrap();
        assert_eq!((figures.thirds, figures.changed), (2, 0));
        // Who decides while they hold it does not answer.
        let next = Box::pin(claim(&f.store, CARLA)).await.unwrap();
        Box::pin(decide(f, next.case, CARLA)).await;
        let own = Box::pin(answer(&f.store, CARLA, &next, Verdict::Benign)).await;
        assert_eq!(refused(own), ReviewRefusal::OwnDecision);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_is_drawn_that_can_be_checked_and_what_is_taken_back_is_not_in_it() {
    on_both(async |f| {
        let early = Box::pin(decided(f, 3)).await;
        assert_eq!(claim(&f.store, BEN).await, None, "nothing is drawn before it is set");
        let half = ReviewSettings {
            share_ppm: 500_000,
            golden_ppm: 0,
        };
        f.clock.advance(Milliseconds(1));
        Box::pin(f.store.set_review_settings(COORDINATORS, half)).await.unwrap();
        assert_eq!(f.store.review_settings(COORDINATORS).await.unwrap(), half);
        for case in early {
            Box::pin(decide(f, case, ANNA)).await;
        }
        f.coordinators_cases(60).await;
        for case in queue(&f.store, COORDINATORS, CaseState::Open).await {
            Box::pin(decide(f, case.id, ANNA)).await;
        }
        let checked = Box::pin(f.store.check_sample(COORDINATORS)).await.unwrap();
        assert_eq!((checked.decisions, checked.missing, checked.extra), (63, 0, 0));
        // Of 60, half: beyond 50 only once in 10^8 runs.
        assert!((10..=50).contains(&checked.drawn), "{checked:?}");
        let (figures, _) = Box::pin(f.store.review_figures(COORDINATORS, LEASE)).await.unwrap();
        assert_eq!(figures.waiting, checked.drawn);

        f.clock.advance(Milliseconds(1));
        Box::pin(f.store.set_review_settings(COORDINATORS, ALL)).await.unwrap();
        let case = queue(&f.store, COORDINATORS, CaseState::Decided).await[0].id;
        let (held, _) = Box::pin(f.store.claim(COORDINATORS, case, ANNA, LEASE)).await.unwrap();
        let undo = Milliseconds::from_seconds(5);
        let decide = Command::Decide {
            id: DecisionId(0xd),
            ruling: Ruling::of(Verdict::Benign, "slip"),
            undo_for: undo,
        };
        Box::pin(f.store.command_as(case, (ANNA, held.fencing), decide))
            .await
            .unwrap();
        let withdraw = Command::Withdraw {
            decision: DecisionId(0xd),
            length: LEASE,
        };
        Box::pin(f.store.command_as(case, (ANNA, 0), withdraw)).await.unwrap();
        f.clock.advance(undo);
        let (figures, _) = Box::pin(f.store.review_figures(COORDINATORS, LEASE)).await.unwrap();
        assert_eq!(figures.waiting, checked.drawn, "nobody reviews what was taken back");
        let again = Box::pin(f.store.check_sample(COORDINATORS)).await.unwrap();
        assert_eq!((again.missing, again.extra), (0, 0), "each by the settings of its time");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn golden_cases_are_mixed_in_once_for_each_person_and_count_for_themselves_alone() {
    on_both(async |f| {
        let golden_of = Box::pin(decided(f, 1)).await[0];
        f.store
            .add_golden_case(COORDINATORS, golden_of, Verdict::Violating)
            .await
            .unwrap();
        f.store
            .add_golden_case(COORDINATORS, golden_of, Verdict::Benign)
            .await
            .unwrap();
        let known = f.store.golden_cases(COORDINATORS).await.unwrap();
        assert_eq!(
            known.iter().map(|golden| golden.verdict).collect::<Vec<_>>(),
            [Verdict::Benign]
        );
        let always = ReviewSettings {
            share_ppm: 1_000_000,
            golden_ppm: 1_000_000,
        };
        Box::pin(f.store.set_review_settings(COORDINATORS, always))
            .await
            .unwrap();
        assert_eq!(
            Box::pin(claim(&f.store, BEN)).await,
            None,
            "where nothing waits nothing is mixed in"
        );
        f.coordinators_cases(2).await;
        let real = queue(&f.store, COORDINATORS, CaseState::Open).await[0].id;
        Box::pin(decide(f, real, ANNA)).await;
        let moderator = Roles::of(&[Role::Moderator]);
        let issue = async || {
            let issued = f
                .store
                .issue_key_to(KeySubject::Coordinators, moderator, &n("dan"))
                .await;
            issued.unwrap().0
        };
        let dan = issue().await;
        let first = Box::pin(claim(&f.store, dan)).await.unwrap();
        assert_eq!(first.case, golden_of);
        let done = Box::pin(answer(&f.store, dan, &first, Verdict::Violating))
            .await
            .unwrap();
        assert_eq!(done.event, ReviewEvent::Answered(ReviewEffect::Counted));
        f.store.revoke_key(dan).await.unwrap();
        let dan = issue().await;
        let next = Box::pin(claim(&f.store, dan)).await.unwrap();
        assert_eq!(next.case, real, "each person has it once, under whichever key");
        let own = Box::pin(claim(&f.store, ANNA)).await;
        assert_eq!(own, None, "nothing waits for who decided all");
        let (stands, _) = f.store.case(COORDINATORS, golden_of).await.unwrap();
        assert_eq!(
            stands.decision.unwrap().ruling.verdict,
            Verdict::Violating,
            "it decides nothing"
        );
        f.store.revoke_key(dan).await.unwrap();
        let free = Box::pin(claim(&f.store, BEN)).await.unwrap();
        assert_eq!(free.case, golden_of);
        // Given back it comes again as any other review does: the same one, under another number of its lease.
        let by = By {
            who: BEN,
            fencing: free.fencing,
            version: None,
        };
        Box::pin(
            f.store
                .command_review((COORDINATORS, by), free.id, &ReviewCommand::Release),
        )
        .await
        .unwrap();
        let again = Box::pin(claim(&f.store, BEN)).await.unwrap();
        assert_eq!((again.id, again.fencing), (free.id, free.fencing + 1));
        let free = again;
        Box::pin(answer(&f.store, BEN, &free, Verdict::Benign)).await.unwrap();
        let (figures, _) = Box::pin(f.store.review_figures(COORDINATORS, LEASE)).await.unwrap();
        assert_eq!((figures.golden, figures.golden_right, figures.pairs.len()), (2, 1, 0));
        assert!(f.store.retire_golden_case(COORDINATORS, golden_of).await.unwrap());
        assert!(!f.store.retire_golden_case(COORDINATORS, real).await.unwrap());
        let real_again = Box::pin(claim(&f.store, CARLA)).await.unwrap();
        assert_eq!(
            real_again.case, real,
            "what is retired is mixed in no more; a revoked key holds nothing"
        );
        let (beta, ..) = Box::pin(f.party("beta")).await;
        let foreign = f
            .store
            .add_golden_case(Team::Party(beta.id), golden_of, Verdict::Benign)
            .await;
        assert_eq!(crate::refusal(foreign), tocsin_casework::Refusal::NoSuchCase);
    })
    .await;
}

/// The case of one family goes into that of another, as groups say it.
async fn carry(f: &Fixture, family: u128, joined: u128) -> Carried {
    let said = FamilySaid {
        team: COORDINATORS,
        family: FamilyId(ContentId(family)),
        joined: FamilyId(ContentId(joined)),
        at: Timestamp(START.0 + 3_600_000 + family as i64),
    };
    f.store.carry(&said).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn who_decided_about_a_case_that_this_one_went_into_by_way_of_others_does_not_review_it() {
    on_both(async |f| Box::pin(merged_twice(f)).await).await;
}

async fn merged_twice(f: &Fixture) {
    Box::pin(f.store.set_review_settings(COORDINATORS, ALL)).await.unwrap();
    f.coordinators_cases(3).await;
    let mut cases = queue(&f.store, COORDINATORS, CaseState::Open).await;
    cases.sort_by_key(|case| case.family);
    Box::pin(decide(f, cases[2].id, ANNA)).await;
    for (family, joined) in [(3, 2), (2, 1)] {
        let carried = Box::pin(carry(f, family, joined)).await;
        assert!(matches!(carried, Carried::Merged { .. }), "{carried:?}");
    }
    Box::pin(decide(f, cases[0].id, BEN)).await;
    f.clock.advance(Milliseconds(1));
    assert_eq!(claim(&f.store, BEN).await, None, "Ben decided what the first came to");
    assert_eq!(
        claim(&f.store, ANNA).await,
        None,
        "Anna decided what went into the last"
    );
    assert!(claim(&f.store, CARLA).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thirds_word_holds_for_the_case_that_the_decision_was_carried_into() {
    on_both(async |f| Box::pin(carried_before_the_third(f)).await).await;
}

async fn carried_before_the_third(f: &Fixture) {
    Box::pin(f.store.set_review_settings(COORDINATORS, ALL)).await.unwrap();
    let case = Box::pin(decided(f, 1)).await[0];
    let second = Box::pin(claim(&f.store, BEN)).await.unwrap();
    Box::pin(answer(&f.store, BEN, &second, Verdict::Benign)).await.unwrap();
    // The family's new founder rings: its case takes over what was decided.
    let founder = Alert {
        hash: f.store.case(COORDINATORS, case).await.unwrap().0.hash,
        at: Timestamp(START.0 + 3_600_001),
        ..alert(9, Scope::Coordinators, AlertLevel::Raised, 1)
    };
    f.store.apply_alert(&founder).await.unwrap();
    let Carried::Merged { cases, .. } = Box::pin(carry(f, 1, 9)).await else {
        panic!("the case did not go along");
    };
    let remaining = &cases[1];
    let carried = remaining.decision.as_ref().unwrap();
    assert_eq!((carried.decided_by, carried.ruling.verdict), (ANNA, Verdict::Violating));
    let third = Box::pin(claim(&f.store, CARLA)).await.unwrap();
    let settled = Box::pin(answer(&f.store, CARLA, &third, Verdict::Benign))
        .await
        .unwrap();
    let (changed, decision) = settled.decided.unwrap();
    assert_eq!((changed.id, decision.ruling.verdict), (remaining.id, Verdict::Benign));
}
