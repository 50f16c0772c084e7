//! Goal: whatever is commanded in whatever order, whichever way the clock runs, an appeal has one holder at most, who decided neither takes nor
//! answers it, it is answered once and by its holder, and an answer goes as far as it says and no farther.
//!
//! A small model says what must be true. `TOCSIN_SEQUENCES` sets how many sequences are played (default 2,000).
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tocsin_casework::{
    Against, Appeal, AppealCause, AppealCommand, AppealEvent, AppealFiling, AppealId, AppealOutcome, AppealRefusal,
    AppealRuling, AppealSubject, By, CaseId, Concerns, LEASE_MAX, Part, Team,
};
use tocsin_model::{
    Algorithm, ContentHash, ContentId, DecisionId, FamilyId, KeyId, Milliseconds, PlatformId, Timestamp, Verdict,
};

const LEASE: Milliseconds = Milliseconds::from_seconds(5);

#[derive(Clone, Debug)]
enum Step {
    Claim(i64),
    Renew,
    Release,
    /// The outcome, how far it goes, and whether it has the parts that it needs.
    Answer(bool, i64, bool),
    /// Another appeal about the family was answered, so that all of it is overturned or otherwise.
    Other(bool),
    /// This person decides about the case.
    Decide,
    Wait(i64),
}

/// A step, who does it, and how old a fencing number they show.
type Told = (Step, u128, u64);

fn steps() -> impl Strategy<Value = Vec<Told>> {
    let step = prop_oneof![
        5 => prop_oneof![9 => Just(LEASE.0), 1 => Just(0), 1 => Just(LEASE_MAX.0 + 1)].prop_map(Step::Claim),
        1 => Just(Step::Renew),
        1 => Just(Step::Release),
        3 => (any::<bool>(), 1..=3i64, prop::bool::weighted(0.8)).prop_map(|(over, far, whole)| Step::Answer(over, far, whole)),
        1 => prop::bool::weighted(0.1).prop_map(Step::Other),
        1 => Just(Step::Decide),
        3 => (-3_000..8_000i64).prop_map(Step::Wait),
    ];
    let fencing = prop_oneof![8 => Just(0u64), 1 => 1..3u64];
    proptest::collection::vec((step, 0..4u128, fencing), 0..50)
}

fn filing() -> AppealFiling {
    AppealFiling {
        reference: "A-1".to_owned(),
        platform: PlatformId(1),
        content: ContentHash::from_bytes(Algorithm::Sha256, vec![7; 32], None).unwrap(),
        against: Against::Decision(DecisionId(3)),
        reason: "it is a news report".to_owned(),
    }
}

fn filed(id: u128) -> Appeal {
    let subject = AppealSubject {
        content: ContentId(7),
        family: FamilyId(ContentId(5)),
        case: Some(CaseId(2)),
        decision: Some(DecisionId(3)),
    };
    let by = (Team::Coordinators, KeyId(99));
    filing().file(AppealId(id), by, subject, Timestamp(1_000_000)).unwrap()
}

fn ruling(is_over: bool, concerns: i64, note: &str) -> AppealRuling {
    let concerns = Concerns::from_number(concerns).unwrap();
    AppealRuling {
        outcome: if is_over {
            AppealOutcome::Overturned
        } else {
            AppealOutcome::Upheld
        },
        concerns,
        cause: is_over.then_some(AppealCause::EqualHash),
        verdict: (is_over && concerns == Concerns::Family).then_some(Verdict::Newsworthy),
        note: note.to_owned(),
    }
}

/// What must be true of the appeal.
struct Model {
    holder: Option<(u128, Timestamp)>,
    leases: u64,
    deciders: Vec<u128>,
    /// Who answered, under which lease, and what; `None` for another appeal's answer.
    answer: Option<Option<(u128, u64, AppealRuling)>>,
}

fn play(told: &[Told]) -> Result<(), TestCaseError> {
    let mut appeal = filed(1);
    let mut now = Timestamp(1_000_000);
    let mut model = Model {
        holder: None,
        leases: 0,
        deciders: vec![0],
        answer: None,
    };
    for (step, who, age) in told {
        let before = appeal.clone();
        let by = By {
            who: KeyId(*who),
            fencing: appeal.fencing.saturating_sub(*age),
            version: None,
        };
        let has_decided = model.deciders.contains(who);
        let part = if has_decided { Part::Decided } else { Part::None };
        let live = model.holder.filter(|(_, until)| now < *until);
        let holds = by.fencing == model.leases && live.is_some_and(|(holder, _)| holder == *who);
        let is_open = model.answer.is_none();
        let (command, is_taken) = match step {
            Step::Wait(length) => {
                now = now + Milliseconds(*length);
                continue;
            }
            Step::Decide => {
                model.deciders.push(*who);
                continue;
            }
            Step::Other(is_all) => {
                let mut other = filed(2);
                other
                    .apply((by, Part::None), &AppealCommand::Claim { length: LEASE }, now)
                    .unwrap();
                let by = By { fencing: 1, ..by };
                let ruling = ruling(true, if *is_all { 3 } else { 2 }, "all of it");
                other
                    .apply((by, Part::None), &AppealCommand::Answer(ruling), now)
                    .unwrap();
                prop_assert_eq!(appeal.settle_with(&other), *is_all && is_open);
                if *is_all && is_open {
                    (model.answer, model.holder) = (Some(None), None);
                    prop_assert_eq!(appeal.answer.as_ref().unwrap().with, Some(other.id));
                } else {
                    prop_assert_eq!(&appeal, &before);
                }
                continue;
            }
            Step::Claim(length) => {
                let length = Milliseconds(*length);
                (
                    AppealCommand::Claim { length },
                    length == LEASE && is_open && !has_decided && live.is_none(),
                )
            }
            Step::Renew => (AppealCommand::Renew { length: LEASE }, holds && is_open),
            Step::Release => (AppealCommand::Release, holds && is_open),
            Step::Answer(is_over, concerns, is_whole) => {
                let said = ruling(*is_over, *concerns, if *is_whole { "because" } else { " " });
                let is_same = matches!(&model.answer, Some(Some((by_whom, under, ruling))) if (*by_whom, *under, ruling) == (*who, by.fencing, &said));
                let is_first = is_open && holds && !has_decided;
                (AppealCommand::Answer(said), *is_whole && (is_first || is_same))
            }
        };
        let result = appeal.apply((by, part), &command, now);
        prop_assert_eq!(result.is_ok(), is_taken, "{:?} {:?}", command, result);
        match (&result, &command) {
            (Err(refusal), _) => {
                prop_assert_eq!(&appeal, &before, "a refused command changes nothing");
                if matches!(command, AppealCommand::Claim { length } if length == LEASE) && is_open && has_decided {
                    prop_assert_eq!(*refusal, AppealRefusal::OwnDecision);
                }
            }
            (Ok(AppealEvent::SaidBefore), _) => prop_assert_eq!(&appeal, &before),
            (Ok(_), AppealCommand::Claim { .. }) => {
                model.leases += 1;
                model.holder = Some((*who, now + LEASE));
            }
            (Ok(_), AppealCommand::Renew { .. }) => model.holder = Some((*who, now + LEASE)),
            (Ok(_), AppealCommand::Release) => model.holder = None,
            (Ok(_), AppealCommand::Answer(ruling)) => {
                model.holder = None;
                model.answer = Some(Some((*who, by.fencing, ruling.clone())));
                let answer = appeal.answer.as_ref().unwrap();
                prop_assert!(!has_decided, "who decided does not answer");
                prop_assert_eq!((answer.by.0, &answer.ruling, answer.with), (*who, ruling, None));
            }
        }
        let live = model.holder.filter(|(_, until)| now < *until);
        prop_assert_eq!(
            appeal.live_lease(now).map(|lease| lease.holder.0),
            live.map(|(holder, _)| holder)
        );
        prop_assert_eq!(appeal.fencing, model.leases);
        prop_assert_eq!(appeal.answer.is_some(), model.answer.is_some());
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
fn what_is_malformed_is_not_filed_and_the_same_is_known_by_what_it_is_about() {
    let subject = AppealSubject {
        content: ContentId(7),
        family: FamilyId(ContentId(7)),
        case: None,
        decision: None,
    };
    let by = (Team::Coordinators, KeyId(1));
    let malformed: [fn(&mut AppealFiling); 6] = [
        |filing| filing.reference = " ".to_owned(),
        |filing| filing.reference = "a".repeat(257),
        |filing| filing.reference = "a\0".to_owned(),
        |filing| filing.reason = String::new(),
        |filing| filing.reason = "a".repeat(8_193),
        |filing| filing.reason = "a\0".to_owned(),
    ];
    for change in malformed {
        let mut filing = filing();
        change(&mut filing);
        let refused = filing.file(AppealId(1), by, subject, Timestamp(0));
        assert_eq!(refused, Err(AppealRefusal::Malformed));
    }
    let before = filed(1);
    let other_words = AppealFiling {
        reason: "said anew".to_owned(),
        ..filing()
    };
    assert!(other_words.says(&before));
    let differs: [fn(&mut AppealFiling); 3] = [
        |filing| filing.platform = PlatformId(2),
        |filing| filing.against = Against::Block,
        |filing| filing.content = ContentHash::from_bytes(Algorithm::Sha256, vec![8; 32], None).unwrap(),
    ];
    for change in differs {
        let mut filing = filing();
        change(&mut filing);
        assert!(!filing.says(&before));
    }
}
