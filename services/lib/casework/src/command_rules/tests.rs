//! Goal: what was written down survives whoever wrote it, and a decision is taken back whole or not at all.
#![allow(clippy::unwrap_used)]
use tocsin_model::{AlertLevel, ContentId, Grounds, Scope, Verdict};

use super::*;
use crate::UNREVIEWED_BELOW;
use crate::alert_rules::tests::{alert, open};

const ANNA: KeyId = KeyId(1);
const BEN: KeyId = KeyId(2);
const LENGTH: Milliseconds = Milliseconds::from_seconds(60);

fn by(who: KeyId, case: &Case) -> By {
    By {
        who,
        fencing: case.fencing,
        version: None,
    }
}

fn claimed() -> Case {
    let mut case = open();
    case.apply(by(ANNA, &case), &Command::Claim { length: LENGTH }, Timestamp(0))
        .unwrap();
    case
}

fn decide(verdict: Verdict, undo_s: i64) -> Command {
    Command::Decide {
        id: DecisionId(7),
        ruling: Ruling {
            grounds: Grounds {
                policy: "tvec".to_owned(),
                action: Some(RecommendedAction::Remove),
                confidence: Some(90),
                exceptions: vec![ContentId(9), ContentId(3), ContentId(9)],
            },
            ..Ruling::of(verdict, "why")
        },
        undo_for: Milliseconds::from_seconds(undo_s),
    }
}

#[test]
fn codes_are_unique() {
    let codes: std::collections::BTreeSet<_> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
    assert_eq!(codes.len(), Refusal::ALL.len());
}

#[test]
fn who_held_a_case_that_closed_since_is_told_so() {
    let mut case = claimed();
    let over = Timestamp(LENGTH.0);
    let subsided = alert(Scope::All, AlertLevel::Subsided, 1, 20);
    case.apply_alert(&subsided, f64::INFINITY, over);
    assert_eq!(case.resting, Resting::Closed);
    let note = String::new();
    for command in [
        Command::Claim { length: LENGTH },
        Command::Renew { length: LENGTH },
        Command::Release { note },
        Command::SaveDraft(Draft::default()),
        decide(Verdict::Violating, 5),
    ] {
        // Also by the version that was seen before it closed, and under a number that never was.
        for (version, fencing) in [(None, case.fencing), (Some(case.version - 1), case.fencing), (None, 99)] {
            let unchanged = case.clone();
            let by = By {
                who: ANNA,
                fencing,
                version,
            };
            assert_eq!(case.apply(by, &command, over), Err(Refusal::Closed), "{command:?}");
            assert_eq!(case, unchanged);
        }
    }
    let again = alert(Scope::All, AlertLevel::Raised, 2, 30);
    case.apply_alert(&again, 0.0, over);
    let decided = case.apply(by(ANNA, &case), &decide(Verdict::Violating, 5), over);
    assert_eq!(decided, Err(Refusal::LeaseExpired), "it is back, and the lease is over");
}

#[test]
fn a_decision_is_taken_back_whole_until_it_goes_out() {
    let mut case = claimed();
    case.desk = Desk::Legal;
    let before = case.clone();
    case.apply(by(ANNA, &case), &decide(Verdict::Violating, 5), Timestamp(1_000))
        .unwrap();
    let made = case.decision.clone().unwrap();
    assert_eq!(made.ruling.grounds.exceptions, [ContentId(3), ContentId(9)]);
    let claim = Command::Claim { length: LENGTH };
    assert_eq!(
        case.apply(by(BEN, &case), &claim, Timestamp(1_001)),
        Err(Refusal::DecisionHeld)
    );
    let withdraw = |decision| Command::Withdraw {
        decision,
        length: LENGTH,
    };
    for (who, id, at, refusal) in [
        (BEN, 7, 1_001, Refusal::NoSuchDecision),
        (ANNA, 8, 1_001, Refusal::NoSuchDecision),
        (ANNA, 7, 6_000, Refusal::DecisionFinal),
    ] {
        let unchanged = case.clone();
        assert_eq!(
            case.apply(by(who, &case), &withdraw(DecisionId(id)), Timestamp(at)),
            Err(refusal)
        );
        assert_eq!(case, unchanged);
    }
    case.apply(by(ANNA, &case), &withdraw(DecisionId(7)), Timestamp(5_999))
        .unwrap();
    assert_eq!(
        (&case.decision, case.resting, case.desk),
        (&None, before.resting, Desk::Legal)
    );
    assert_eq!(case.draft.as_ref().unwrap().grounds, made.ruling.grounds);
    assert_eq!(case.live_lease(Timestamp(6_000)).unwrap().holder, ANNA);
    assert_eq!(case.fencing, 2, "what was said under the lease before is void");
    let clocks = case.clocks();
    assert_eq!((clocks.claimed_at, clocks.decided_at), (Some(Timestamp(0)), None));
}

#[test]
fn a_draft_survives_its_lease_and_ends_with_a_decision() {
    let mut case = claimed();
    let draft = Draft {
        verdict: Some(Verdict::Newsworthy),
        rationale: "half a sentence".to_owned(),
        ..Draft::default()
    };
    case.apply(by(ANNA, &case), &Command::SaveDraft(draft.clone()), Timestamp(1))
        .unwrap();
    let over = Timestamp(LENGTH.0);
    case.apply(by(BEN, &case), &Command::Claim { length: LENGTH }, over)
        .unwrap();
    assert_eq!(case.draft, Some(draft));
    case.apply(by(BEN, &case), &decide(Verdict::Benign, 0), over).unwrap();
    assert_eq!((case.draft, case.undo), (None, None));
}

#[test]
fn what_is_put_aside_comes_back_in_time_or_when_it_escalates() {
    let hold = Command::Hold {
        length: HOLD_MIN,
        reason: "waits for the police".to_owned(),
    };
    let mut case = claimed();
    case.apply(by(ANNA, &case), &hold, Timestamp(0)).unwrap();
    assert!(!case.is_waiting(Timestamp(HOLD_MIN.0 - 1)));
    assert!(case.is_waiting(Timestamp(HOLD_MIN.0)));
    let version = case.version;
    let escalated = alert(Scope::All, AlertLevel::Escalated, 1, 20);
    case.apply_alert(&escalated, UNREVIEWED_BELOW, Timestamp(5));
    assert!(case.is_waiting(Timestamp(5)));
    assert_eq!(case.version, version + 1);
}

#[test]
fn what_hands_a_case_on_needs_a_reason_and_a_lease() {
    let note = |text: &str| text.to_owned();
    let commands = |text: &str| {
        [
            Command::HandOver {
                to: BEN,
                length: LENGTH,
                note: note(text),
            },
            Command::Escalate {
                to: Desk::Expert,
                note: note(text),
            },
            Command::Hold {
                length: HOLD_MIN,
                reason: note(text),
            },
            Command::Skip { reason: note(text) },
        ]
    };
    let long = "x".repeat(NOTE_BYTES_MAX + 1);
    for (text, refusal) in [
        (" ", Refusal::NoteMissing),
        (&long, Refusal::NoteMalformed),
        ("\0", Refusal::NoteMalformed),
    ] {
        for command in commands(text) {
            let mut case = claimed();
            assert_eq!(
                case.apply(by(ANNA, &case), &command, Timestamp(1)),
                Err(refusal),
                "{command:?}"
            );
        }
    }
    for command in commands("because") {
        let mut case = claimed();
        assert_eq!(
            case.apply(by(BEN, &case), &command, Timestamp(1)),
            Err(Refusal::LeaseStale)
        );
        let event = case.apply(by(ANNA, &case), &command, Timestamp(1)).unwrap();
        assert_eq!(event.note(), "because");
        let holder = case.live_lease(Timestamp(1)).map(|lease| lease.holder);
        assert_eq!(holder, matches!(command, Command::HandOver { .. }).then_some(BEN));
    }
}

#[test]
fn who_saw_another_version_changes_nothing_but_hears_of_a_decision_again() {
    let mut case = claimed();
    let saw = By {
        version: Some(case.version),
        ..by(ANNA, &case)
    };
    let late = By {
        version: Some(case.version - 1),
        ..saw
    };
    assert_eq!(
        case.apply(late, &decide(Verdict::Benign, 5), Timestamp(1)),
        Err(Refusal::VersionStale)
    );
    case.apply(saw, &decide(Verdict::Benign, 5), Timestamp(1)).unwrap();
    assert_eq!(
        case.apply(saw, &decide(Verdict::Benign, 5), Timestamp(2)),
        Ok(Event::DecidedBefore)
    );
    assert_eq!(
        case.apply(saw, &decide(Verdict::Violating, 5), Timestamp(2)),
        Err(Refusal::VersionStale)
    );
}

#[test]
fn a_revoked_key_holds_nothing() {
    let mut case = claimed();
    assert!(!case.revoke(BEN));
    assert!(case.revoke(ANNA));
    assert!(case.is_waiting(Timestamp(1)));
    assert_eq!(
        case.apply(by(ANNA, &case), &decide(Verdict::Benign, 0), Timestamp(1)),
        Err(Refusal::LeaseStale)
    );
}
