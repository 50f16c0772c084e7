//! Goal: of two cases one remains, and nothing that people did with either is lost; what leaves again is what it was.
#![allow(clippy::unwrap_used)]
use tocsin_model::{AlertLevel, ContentId, DecisionId, Scope};

use super::*;
use crate::alert_rules::tests::{alert, open};
use crate::{AlertEffect, By, CaseState, Command, Draft, Refusal, Ruling, UNREVIEWED_BELOW};

const ANNA: KeyId = KeyId(1);
const BEN: KeyId = KeyId(2);
const LENGTH: Milliseconds = Milliseconds::from_seconds(60);
/// Long after both rang.
const SAID: Timestamp = Timestamp(10_000_000);
const NOW: Timestamp = Timestamp(1_000);

fn another() -> Case {
    Case {
        id: CaseId(2),
        family: FamilyId(ContentId(2)),
        ..open()
    }
}

fn act(case: &mut Case, who: KeyId, command: &Command) {
    let by = By {
        who,
        fencing: case.fencing,
        version: None,
    };
    case.apply(by, command, NOW).unwrap();
}

fn claim(case: &mut Case, who: KeyId) {
    act(case, who, &Command::Claim { length: LENGTH });
}

fn decide(case: &mut Case, verdict: Verdict) {
    claim(case, ANNA);
    let decide = Command::Decide {
        id: DecisionId(case.id.0 * 100 + u128::from(case.fencing)),
        ruling: Ruling::of(verdict, "why"),
        undo_for: Milliseconds(0),
    };
    act(case, ANNA, &decide);
}

fn merge(one: &mut Case, two: &mut Case) -> MergeEffects {
    match one.take_in(two, SAID, NOW) {
        Merging::Done(effects) => effects,
        Merging::Later => panic!("a decision is held"),
    }
}

#[test]
fn what_two_cases_come_to() {
    use Resting::{Closed, Decided, Open};
    use Verdict::{Benign, Violating};
    type Rests = (Resting, Option<Verdict>);
    let make = |(resting, verdict): Rests, mut case: Case| {
        if let Some(verdict) = verdict {
            decide(&mut case, verdict);
        }
        Case { resting, ..case }
    };
    let (open, closed) = ((Open, None), (Closed, None));
    let (bad, good, again) = (
        (Decided, Some(Violating)),
        (Decided, Some(Benign)),
        (Open, Some(Violating)),
    );
    let cases: [(Rests, Rests, Rests, bool); 12] = [
        (open, open, open, false),
        (open, closed, open, false),
        (open, bad, open, false),
        (closed, open, open, false),
        (closed, closed, closed, false),
        (closed, bad, bad, false),
        (bad, open, bad, false),
        (bad, closed, bad, false),
        (bad, bad, bad, false),
        (bad, good, again, true),
        (again, good, again, true),
        // It came back for a new wave: a person has to look.
        (bad, again, again, false),
    ];
    for (one, two, expected, disputed) in cases {
        let (mut remaining, mut joined) = (make(one, self::open()), make(two, another()));
        let effects = merge(&mut remaining, &mut joined);
        let rests = (
            remaining.resting,
            remaining.decision.as_ref().map(|made| made.ruling.verdict),
        );
        assert_eq!(rests, expected, "{one:?} {two:?}");
        assert_eq!((effects.is_disputed, remaining.is_disputed()), (disputed, disputed));
        assert_eq!(effects.carried.is_some(), one == closed && two == bad);
        assert_eq!(joined.state(NOW), CaseState::Merged);
        assert_eq!(joined.merged_into(), Some(remaining.id));
        assert_eq!(joined.decision.as_ref().map(|made| made.ruling.verdict), two.1);
        assert!(!joined.is_waiting(NOW) && joined.standing().waits_from.is_none());
        let nothing = joined.apply(
            By {
                who: ANNA,
                fencing: 9,
                version: None,
            },
            &Command::Claim { length: LENGTH },
            NOW,
        );
        assert_eq!(nothing, Err(Refusal::Merged(remaining.id)));
    }
}

#[test]
fn one_holder_keeps_what_remains_and_drafts_are_kept() {
    let draft = |text: &str| {
        Command::SaveDraft(Draft {
            rationale: text.to_owned(),
            ..Draft::default()
        })
    };
    let written = |case: &Case| case.draft.as_ref().map(|draft| draft.rationale.clone());
    // Nobody holds the one that remains: the holder of the other does, under a number that was never given.
    let (mut one, mut two) = (open(), another());
    claim(&mut one, BEN);
    act(&mut one, BEN, &Command::Release { note: String::new() });
    claim(&mut two, ANNA);
    act(&mut two, ANNA, &draft("hers"));
    assert_eq!(merge(&mut one, &mut two).lease, MergedLease::Moved(ANNA));
    assert_eq!(
        (one.live_lease(NOW).unwrap().holder, one.fencing, written(&one)),
        (ANNA, 2, Some("hers".into()))
    );
    act(&mut one, ANNA, &draft("more"));

    // Two people hold both.
    let (mut one, mut two) = (open(), another());
    claim(&mut one, BEN);
    act(&mut one, BEN, &draft("his"));
    claim(&mut two, ANNA);
    act(&mut two, ANNA, &draft("hers"));
    assert_eq!(merge(&mut one, &mut two).lease, MergedLease::Ended(ANNA));
    assert_eq!((one.live_lease(NOW).unwrap().holder, one.fencing), (BEN, 1));
    assert_eq!(
        (written(&one), written(&two)),
        (Some("his".into()), Some("hers".into()))
    );
    act(&mut one, BEN, &draft("goes on"));
    let hers = two.apply(
        By {
            who: ANNA,
            fencing: 1,
            version: None,
        },
        &draft("lost?"),
        NOW,
    );
    assert_eq!(hers, Err(Refusal::Merged(one.id)));
}

#[test]
fn what_somebody_works_on_is_not_decided_away() {
    let (mut one, mut two) = (open(), another());
    decide(&mut one, Verdict::Violating);
    claim(&mut two, BEN);
    let escalate = Command::Escalate {
        to: Desk::Legal,
        note: "why".to_owned(),
    };
    act(&mut two, BEN, &escalate);
    merge(&mut one, &mut two);
    assert_eq!((one.state(NOW), one.desk), (CaseState::Open, Desk::Legal));
    assert_eq!(one.verdict(), Some(Verdict::Violating));
}

#[test]
fn a_dispute_lasts_until_a_person_decides_also_when_they_take_it_back() {
    let (mut one, mut two) = (open(), another());
    decide(&mut one, Verdict::Benign);
    decide(&mut two, Verdict::Violating);
    assert!(merge(&mut one, &mut two).is_disputed);
    assert_eq!(
        (one.state(NOW), one.verdict()),
        (CaseState::Open, Some(Verdict::Disputed))
    );
    claim(&mut one, BEN);
    let decide = Command::Decide {
        id: DecisionId(9),
        ruling: Ruling::of(Verdict::Benign, "after all"),
        undo_for: LENGTH,
    };
    act(&mut one, BEN, &decide);
    assert_eq!((one.is_disputed(), one.verdict()), (false, Some(Verdict::Benign)));
    let withdraw = Command::Withdraw {
        decision: DecisionId(9),
        length: LENGTH,
    };
    act(&mut one, BEN, &withdraw);
    assert!(one.is_disputed() && one.resting == Resting::Open);
}

#[test]
fn a_dispute_ends_with_a_decision_under_the_lease_that_was_held_when_it_began() {
    let (mut one, mut two) = (open(), another());
    decide(&mut one, Verdict::Benign);
    decide(&mut two, Verdict::Violating);
    claim(&mut one, BEN);
    assert!(merge(&mut one, &mut two).is_disputed && one.is_disputed());
    let decide = Command::Decide {
        id: DecisionId(9),
        ruling: Ruling::of(Verdict::Violating, "he looked again"),
        undo_for: Milliseconds(0),
    };
    act(&mut one, BEN, &decide);
    assert!(!one.is_disputed() && one.resting == Resting::Decided);
}

#[test]
fn a_decision_that_can_be_taken_back_keeps_them_apart() {
    let (mut one, mut two) = (open(), another());
    claim(&mut two, ANNA);
    let decide = Command::Decide {
        id: DecisionId(9),
        ruling: Ruling::of(Verdict::Benign, ""),
        undo_for: LENGTH,
    };
    act(&mut two, ANNA, &decide);
    let before = (one.clone(), two.clone());
    assert_eq!(one.take_in(&mut two, SAID, NOW), Merging::Later);
    assert_eq!((&one, &two), (&before.0, &before.1));
    assert!(matches!(one.take_in(&mut two, SAID, NOW + LENGTH), Merging::Done(_)));
}

#[test]
fn a_family_that_joins_a_newcomer_keeps_its_case_under_another_id() {
    let newcomer = FamilyId(ContentId(3));
    let said = Timestamp(20);
    for (resting, rings) in [
        (Resting::Open, true),
        (Resting::Decided, true),
        (Resting::Decided, false),
    ] {
        let mut joined = another();
        if resting == Resting::Decided {
            decide(&mut joined, Verdict::Violating);
        }
        if rings {
            // Its episode ends with joining.
            joined.apply_alert(&alert(Scope::All, AlertLevel::Subsided, 1, 20), 0.0, NOW);
        } else {
            joined.apply_alert(&alert(Scope::All, AlertLevel::Subsided, 1, 15), 0.0, NOW);
        }
        let mut heir = joined.successor(CaseId(3), newcomer, said).unwrap();
        merge(&mut heir, &mut joined);
        assert_eq!((heir.resting, heir.family, heir.id), (resting, newcomer, CaseId(3)));
        assert_eq!(heir.waiting_since, joined.waiting_since);
        // What rang goes on in the newcomer: a decision stands. What did not begins anew.
        let raised = alert(Scope::All, AlertLevel::Raised, 1, 30);
        let effect = heir.apply_alert(&raised, UNREVIEWED_BELOW, NOW);
        let expected = match (resting, rings) {
            (Resting::Decided, false) => AlertEffect::Reopened,
            _ => AlertEffect::Updated,
        };
        assert_eq!(effect, expected, "{resting:?} {rings}");
    }
    let closed = Case {
        resting: Resting::Closed,
        ..another()
    };
    assert_eq!(closed.successor(CaseId(3), newcomer, said), None);
}

#[test]
fn a_case_that_rang_only_since_takes_over_what_was_decided_unless_somebody_has_it() {
    for (at, has, resting) in [
        (SAID.0 + 5, false, Resting::Decided),
        (SAID.0 - HEIR_SLACK.0, false, Resting::Decided),
        (SAID.0 - HEIR_SLACK.0 - 1, false, Resting::Open),
        (SAID.0 + 5, true, Resting::Open),
    ] {
        let (mut one, mut two) = (open(), another());
        one.first_alert_at = Some(Timestamp(at));
        decide(&mut two, Verdict::Violating);
        if has {
            claim(&mut one, BEN);
        }
        let effects = merge(&mut one, &mut two);
        assert_eq!(one.resting, resting, "{at} {has}");
        assert_eq!(effects.carried.is_some(), resting == Resting::Decided);
    }
}

#[test]
fn what_leaves_is_what_it_was_and_waits_if_it_rings() {
    let later = NOW + LENGTH;
    for (resting, rings, expected) in [
        (Resting::Open, false, Resting::Open),
        (Resting::Open, true, Resting::Open),
        (Resting::Closed, false, Resting::Closed),
        (Resting::Closed, true, Resting::Open),
        (Resting::Decided, true, Resting::Decided),
    ] {
        let (mut one, mut two) = (open(), another());
        if resting == Resting::Decided {
            decide(&mut two, Verdict::Violating);
        }
        two.resting = resting;
        merge(&mut one, &mut two);
        // What is said of the family meanwhile is kept, and changes nothing that people see.
        let level = if rings {
            AlertLevel::Escalated
        } else {
            AlertLevel::Subsided
        };
        let said = tocsin_model::Alert {
            priority: UNREVIEWED_BELOW,
            ..alert(Scope::All, level, 1, 30)
        };
        assert_eq!(two.apply_alert(&said, UNREVIEWED_BELOW, NOW), AlertEffect::Updated);
        assert_eq!(two.state(NOW), CaseState::Merged);
        assert!(two.split_off(SAID, later) && !two.split_off(SAID, later));
        assert_eq!(two.resting, expected, "{resting:?} {rings}");
        assert_eq!(two.said_at, Some(SAID));
        assert_eq!(two.waiting_since == later, expected == Resting::Open);
    }
}
