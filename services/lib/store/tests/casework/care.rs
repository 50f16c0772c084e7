//! Goal: what somebody did is summed up from what is kept of them alone, and a decision that was taken back is none.
use crate::fixture::{COORDINATORS, Commands as _, Fixture, LEASE, alert, filings, on_both};
use crate::{ANNA, BEN};
use tocsin_casework::{AppealCommand, By, Command, LEASE_MAX, PauseRules, ReviewCommand, Ruling};
use tocsin_model::{
    Alert, AlertLevel, Algorithm, ContentHash, ContentId, DecisionId, FamilyId, Milliseconds, PlatformId, PriorityTerm,
    Scope, Verdict,
};
use tocsin_store::{KeySubject, ReviewSettings, Roles, SHIFT_STEPS_KEPT};

const RULES: PauseRules = PauseRules {
    after: Some(Milliseconds::from_minutes(50)),
    after_cases: None,
    length: Milliseconds::from_minutes(10),
};
const DAY: Milliseconds = Milliseconds::from_hours(24);

fn decide(id: u128, verdict: Verdict) -> Command {
    Command::Decide {
        id: DecisionId(id),
        ruling: Ruling::of(verdict, "seen"),
        undo_for: Milliseconds::from_seconds(5),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shift_is_what_one_person_did() {
    on_both(async |f| {
        f.coordinators_cases(3).await;
        let shift = async |key, length| f.store.shift(key, length, &RULES).await.unwrap().0;
        assert_eq!(shift(ANNA, DAY).await.began_at, None);
        for (number, verdict) in [(1_u128, Verdict::Violating), (2, Verdict::Benign)] {
            let (case, _) = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap();
            f.store
                .command_as(case.id, (ANNA, 1), decide(number, verdict))
                .await
                .unwrap();
            if verdict == Verdict::Benign {
                let decision = DecisionId(number);
                let withdraw = Command::Withdraw {
                    decision,
                    length: LEASE,
                };
                f.store.command_as(case.id, (ANNA, 0), withdraw).await.unwrap();
            }
            f.clock.advance(Milliseconds::from_minutes(4));
        }
        let (case, _) = f.store.best(COORDINATORS, BEN, LEASE).await.unwrap().unwrap();
        let skip = Command::Skip {
            reason: "another language".to_owned(),
        };
        f.store.command_as(case.id, (BEN, 1), skip).await.unwrap();

        let of_anna = shift(ANNA, DAY).await;
        assert_eq!((of_anna.cases_seen, of_anna.given_back), (2, 0));
        let decided = [Verdict::Violating, Verdict::Benign].map(|verdict| of_anna.decided_as(verdict));
        assert_eq!(decided, [1, 0], "what was taken back is no decision");
        assert_eq!(
            (of_anna.began_at, of_anna.working_since),
            (Some(crate::fixture::START), of_anna.began_at)
        );
        let of_ben = shift(BEN, DAY).await;
        assert_eq!((of_ben.cases_seen, of_ben.given_back), (1, 1));
        f.clock.advance(Milliseconds::from_hours(2));
        assert_eq!(shift(ANNA, DAY).await.working_since, None, "a pause");
        let latest = shift(ANNA, Milliseconds::from_minutes(125)).await;
        assert_eq!(latest.cases_seen, 1, "the first case is longer ago");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_handed_a_case_looks_at_it_and_works_as_long_as_they_hold_it() {
    on_both(async |f| {
        let (_, ben, _) = f.party("north").await;
        let ben_of_coordinators = f
            .store
            .issue_key(KeySubject::Coordinators, Roles::all())
            .await
            .unwrap()
            .0;
        f.coordinators_cases(1).await;
        let (case, _) = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap();
        let hand_over = Command::HandOver {
            to: ben_of_coordinators,
            length: LEASE,
            note: "you know this".to_owned(),
        };
        f.store.command_as(case.id, (ANNA, 1), hand_over).await.unwrap();
        let shift = async |key| f.store.shift(key, DAY, &RULES).await.unwrap().0;
        let handed = shift(ben_of_coordinators).await;
        assert_eq!(
            (handed.cases_seen, handed.working_since),
            (1, Some(crate::fixture::START))
        );
        assert_eq!(shift(ben).await.cases_seen, 0, "another key");
        let renewed = Command::Renew { length: LEASE_MAX };
        f.clock.advance(Milliseconds::from_minutes(4));
        f.store
            .command_as(case.id, (ben_of_coordinators, 2), renewed)
            .await
            .unwrap();
        f.clock.advance(Milliseconds::from_minutes(59));
        let holding = shift(ben_of_coordinators).await;
        assert!(holding.pause_due && holding.working_since.is_some(), "{holding:?}");
        f.clock.advance(Milliseconds::from_minutes(2));
        assert_eq!(
            shift(ben_of_coordinators).await.working_since,
            None,
            "the lease is over"
        );
        assert_eq!(shift(ANNA).await.handed_on, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reviews_and_appeals_are_looked_at_as_cases_are() {
    on_both(async |f| Box::pin(apart(f)).await).await;
}

async fn apart(f: &Fixture) {
    let all = ReviewSettings {
        share_ppm: 1_000_000,
        golden_ppm: 0,
    };
    f.store.set_review_settings(COORDINATORS, all).await.unwrap();
    let grave = Alert {
        priority_terms: vec![PriorityTerm {
            name: "severity".into(),
            value: 3.0,
        }],
        ..alert(1, Scope::Coordinators, AlertLevel::Raised, 1)
    };
    f.store.apply_alert(&grave).await.unwrap();
    let (case, _) = f.store.best(COORDINATORS, ANNA, LEASE).await.unwrap().unwrap();
    f.store
        .decide(
            COORDINATORS,
            case.id,
            (ANNA, case.fencing),
            (Verdict::Violating, "seen"),
        )
        .await
        .unwrap();
    let rules = PauseRules {
        after_cases: Some(2),
        ..RULES
    };
    let shift = async || f.store.shift(BEN, DAY, &rules).await.unwrap().0;
    let claimed = Box::pin(f.store.claim_review(COORDINATORS, (BEN, LEASE)))
        .await
        .unwrap();
    let review = claimed.unwrap().review;
    let first = shift().await;
    assert_eq!((first.cases_seen, first.grave_seen, first.pause_due), (1, 1, false));
    let by = |fencing| By {
        who: BEN,
        fencing,
        version: None,
    };
    let released = ReviewCommand::Release;
    Box::pin(
        f.store
            .command_review((COORDINATORS, by(review.fencing)), review.id, &released),
    )
    .await
    .unwrap();
    let claimed = Box::pin(f.store.claim_review(COORDINATORS, (BEN, LEASE_MAX)))
        .await
        .unwrap();
    let review = claimed.unwrap().review;
    let second = shift().await;
    assert_eq!(
        (second.cases_seen, second.given_back, second.pause_due),
        (2, 1, true),
        "the review just claimed counts"
    );
    f.clock.advance(Milliseconds::from_minutes(59));
    assert!(shift().await.working_since.is_some(), "a review is in hand");
    let answer = ReviewCommand::Answer {
        verdict: Verdict::Violating,
        note: String::new(),
    };
    Box::pin(
        f.store
            .command_review((COORDINATORS, by(review.fencing)), review.id, &answer),
    )
    .await
    .unwrap();
    f.clock.advance(Milliseconds::from_minutes(11));
    assert_eq!(shift().await.working_since, None, "a pause after the answer");

    // An appeal about what no case is of.
    let content = ContentHash::from_bytes(Algorithm::Sha256, vec![77; 32], None).unwrap();
    let filing = filings::appeal("R-1", PlatformId(1), content);
    let subject = (ContentId(77), FamilyId(ContentId(77)));
    Box::pin(f.store.file_appeal((COORDINATORS, ANNA), subject, &filing))
        .await
        .unwrap();
    let claimed = Box::pin(f.store.claim_appeal(COORDINATORS, (BEN, LEASE_MAX), None))
        .await
        .unwrap();
    let appeal = claimed.unwrap().appeal;
    assert_eq!(appeal.case, None);
    let third = shift().await;
    assert_eq!((third.cases_seen, third.cases_seen_since), (3, 1));
    f.clock.advance(Milliseconds::from_minutes(59));
    assert!(shift().await.working_since.is_some(), "an appeal is in hand");
    let release = AppealCommand::Release;
    Box::pin(
        f.store
            .command_appeal((COORDINATORS, by(appeal.fencing)), (appeal.id, None), &release),
    )
    .await
    .unwrap();
    assert_eq!(shift().await.given_back, 2);
    let of_anna = f.store.shift(ANNA, DAY, &rules).await.unwrap().0;
    assert_eq!(of_anna.cases_seen, 1, "each sees their own");
    assert_eq!(f.store.forget_shift_steps().await.unwrap(), 0);
    f.clock.advance(SHIFT_STEPS_KEPT + LEASE);
    assert_eq!(f.store.forget_shift_steps().await.unwrap(), 6);
}
