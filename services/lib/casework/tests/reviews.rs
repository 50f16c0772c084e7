//! Goal: whatever is commanded in whatever order, whichever way the clock runs, a review has one holder at most, who decided does not answer it, it is
//! answered once, and a third is asked exactly where two differ.
//!
//! A small model says what must be true. `TOCSIN_SEQUENCES` sets how many sequences are played (default 2,000).
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tocsin_casework::{
    By, CaseId, Part, Review, ReviewCommand, ReviewEffect, ReviewEvent, ReviewId, ReviewKind, ReviewRefusal, Team,
    is_drawn,
};
use tocsin_model::{Algorithm, ContentHash, ContentId, DecisionId, FamilyId, KeyId, Milliseconds, Timestamp, Verdict};

const LENGTH: Milliseconds = Milliseconds::from_seconds(5);

#[derive(Clone, Debug)]
enum Step {
    Claim,
    Renew,
    Release,
    Answer(u8, bool),
    Decide,
    Wait(i64),
}

fn steps() -> impl Strategy<Value = (i64, u8, Vec<(Step, u128, u64)>)> {
    let step = prop_oneof![
        4 => Just(Step::Claim),
        1 => Just(Step::Renew),
        1 => Just(Step::Release),
        3 => (1..=5u8, prop::bool::weighted(0.9)).prop_map(|(verdict, whole)| Step::Answer(verdict, whole)),
        1 => Just(Step::Decide),
        2 => (-3_000..8_000i64).prop_map(Step::Wait),
    ];
    let fencing = prop_oneof![8 => Just(0u64), 1 => 1..3u64];
    let told = proptest::collection::vec((step, 0..4u128, fencing), 0..40);
    (1..=3i64, 1..=5u8, told)
}

fn asked(kind: i64, first: u8) -> Review {
    Review {
        id: ReviewId(1),
        team: Team::Coordinators,
        kind: ReviewKind::from_number(kind).unwrap(),
        case: CaseId(2),
        decision: Some(DecisionId(3)),
        first: Verdict::from_number(first).unwrap(),
        family: FamilyId(ContentId(4)),
        hash: ContentHash::from_bytes(Algorithm::Sha256, vec![7; 32], None).unwrap(),
        alert: None,
        asked_at: Timestamp(1_000_000),
        fencing: 0,
        lease: None,
        answer: None,
    }
}

fn play((kind, first, told): &(i64, u8, Vec<(Step, u128, u64)>)) -> Result<(), TestCaseError> {
    let mut review = asked(*kind, *first);
    let mut now = Timestamp(1_000_000);
    let (mut holder, mut leases, mut deciders) = (None::<(u128, Timestamp)>, 0u64, vec![0u128]);
    let mut answer = None::<(u128, u64, u8)>;
    for (step, who, age) in told {
        let before = review.clone();
        let by = By {
            who: KeyId(*who),
            fencing: review.fencing.saturating_sub(*age),
            version: None,
        };
        let has_decided = deciders.contains(who);
        let part = if has_decided { Part::Decided } else { Part::None };
        let live = holder.filter(|(_, until)| now < *until);
        let holds = by.fencing == leases && live.is_some_and(|(held_by, _)| held_by == *who) && answer.is_none();
        let (result, is_taken) = match step {
            Step::Wait(length) => {
                now = now + Milliseconds(*length);
                continue;
            }
            Step::Decide => {
                deciders.push(*who);
                continue;
            }
            Step::Claim => (
                review.claim((by.who, part), LENGTH, now),
                answer.is_none() && !has_decided && live.is_none(),
            ),
            Step::Renew => (
                review.apply((by, part), &ReviewCommand::Renew { length: LENGTH }, now),
                holds,
            ),
            Step::Release => (review.apply((by, part), &ReviewCommand::Release, now), holds),
            Step::Answer(verdict, is_whole) => {
                let command = ReviewCommand::Answer {
                    verdict: Verdict::from_number(*verdict).unwrap(),
                    note: if *is_whole { String::new() } else { "\0".to_owned() },
                };
                let is_same = answer == Some((*who, by.fencing, *verdict));
                let result = review.apply((by, part), &command, now);
                (result, *is_whole && (is_same || (holds && !has_decided)))
            }
        };
        prop_assert_eq!(result.is_ok(), is_taken, "{:?} {:?}", step, result);
        match result {
            Err(_) | Ok(ReviewEvent::SaidBefore) => prop_assert_eq!(&review, &before),
            Ok(ReviewEvent::Claimed) => {
                leases += 1;
                holder = Some((*who, now + LENGTH));
            }
            Ok(ReviewEvent::Renewed) => holder = Some((*who, now + LENGTH)),
            Ok(ReviewEvent::Released) => holder = None,
            Ok(ReviewEvent::Answered(effect)) => {
                let Step::Answer(verdict, _) = step else { unreachable!() };
                holder = None;
                answer = Some((*who, by.fencing, *verdict));
                let differs = verdict != first;
                let expected = match kind {
                    1 if differs => ReviewEffect::ThirdAsked,
                    2 if differs => ReviewEffect::Decided,
                    _ => ReviewEffect::Counted,
                };
                prop_assert_eq!(effect, expected);
                let third = review.third(ReviewId(9));
                prop_assert_eq!(third.is_some(), *kind == 1 && differs);
                if let Some(third) = third {
                    prop_assert_eq!(
                        (third.kind, third.first, third.fencing),
                        (ReviewKind::Third, review.first, 0)
                    );
                    prop_assert_eq!((third.answer, third.lease), (None, None));
                }
            }
        }
        let live = holder.filter(|(_, until)| now < *until);
        prop_assert_eq!(
            review.live_lease(now).map(|lease| lease.holder.0),
            live.map(|(held_by, _)| held_by)
        );
        prop_assert_eq!(review.fencing, leases);
        prop_assert_eq!(review.answer.is_some(), answer.is_some());
    }
    Ok(())
}

#[test]
fn every_sequence_keeps_the_promises() {
    let cases = std::env::var("TOCSIN_SEQUENCES").map_or(2_000, |text| text.parse().unwrap());
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&steps(), |told| play(&told))
        .unwrap_or_else(|error| panic!("{error}\n{runner}"));
}

#[test]
fn a_share_draws_that_part_of_all_numbers() {
    assert!(!is_drawn(0, 0) && is_drawn(u64::MAX, 1_000_000));
    for (share_ppm, of_ten) in [(100_000, 1), (500_000, 5), (999_999, 10)] {
        let drawn = (0..10u64)
            .filter(|tenth| is_drawn(u64::MAX / 10 * tenth + u64::MAX / 20, share_ppm))
            .count();
        assert_eq!(drawn, of_ten, "{share_ppm}");
    }
    let mut review = asked(1, 1);
    let late = review.claim((KeyId(1), Part::None), Milliseconds(0), Timestamp(0));
    assert_eq!(late, Err(ReviewRefusal::LeaseLength));
}
