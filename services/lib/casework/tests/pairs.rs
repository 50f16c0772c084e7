//! Goal: whatever people and alerts do to two cases of a team, whose families join and part in between, one of them remains, nobody has two
//! holders or loses the one case to nobody, what was written and decided is somewhere, and what leaves is what it was.
//!
//! The model knows who holds which case, what was written and decided there, and whether decisions differ; it knows nothing of how the rules
//! work. `TOCSIN_SEQUENCES` sets how many sequences are played
//! (default 2,000).
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tocsin_casework::{
    By, Case, CaseId, CaseState, Command, Desk, Draft, LEASE_MIN, MergedLease, Merging, Refusal, Resting, Ruling, Team,
    UNREVIEWED_BELOW,
};
use tocsin_model::{
    Alert, AlertId, AlertLevel, ContentId, DecisionId, FamilyId, KeyId, Milliseconds, Scope, Timestamp, Verdict,
};

#[path = "../../model/tests/example/mod.rs"]
mod example;

const LEASE: Milliseconds = Milliseconds(LEASE_MIN.0 * 5);

#[derive(Clone, Debug)]
enum Step {
    Claim,
    Release,
    Escalate,
    SaveDraft,
    /// The verdict, and whether it can be taken back.
    Decide(u8, bool),
    Withdraw,
    Alert(u8, u32, bool),
    /// Whether the first rang only since.
    Merge(bool),
    Split,
    Wait(i64),
}

/// A step, who does it, and to which of the two.
type Told = (Step, u128, usize);

fn steps() -> impl Strategy<Value = Vec<Told>> {
    let step = prop_oneof![
        4 => Just(Step::Claim),
        1 => Just(Step::Release),
        1 => Just(Step::Escalate),
        2 => Just(Step::SaveDraft),
        3 => (1..=3u8, any::<bool>()).prop_map(|(verdict, undo)| Step::Decide(verdict, undo)),
        1 => Just(Step::Withdraw),
        2 => (1..=4u8, 1..4u32, any::<bool>()).prop_map(|(level, episode, grave)| Step::Alert(level, episode, grave)),
        3 => any::<bool>().prop_map(Step::Merge),
        2 => Just(Step::Split),
        2 => (-3_000..8_000i64).prop_map(Step::Wait),
    ];
    proptest::collection::vec((step, 1..4u128, 0..2usize), 0..60)
}

/// What is known of one case: its holder and until when, the verdict that stands with those before it, and the words of its draft.
#[derive(Clone, Debug, Default)]
struct One {
    lease: Option<(u128, Timestamp)>,
    decisions: Vec<(Verdict, bool)>,
    /// Until when the last decision can be taken back, and who made it.
    undo: Option<(Timestamp, u128)>,
    draft: Option<String>,
}

#[derive(Debug, Default)]
struct Model {
    cases: [One; 2],
    merged: bool,
    /// Of the case that was merged: what it rested in, and whether anything was said of its family since.
    rested: Option<(Resting, bool)>,
    said: i64,
}

impl One {
    fn holder(&self, now: Timestamp) -> Option<u128> {
        self.lease.filter(|(_, until)| now < *until).map(|(who, _)| who)
    }

    fn can_be_taken_back(&self, now: Timestamp) -> bool {
        self.undo.is_some_and(|(until, _)| now < until)
    }

    fn verdict(&self) -> Option<Verdict> {
        self.decisions.last().map(|(verdict, _)| *verdict)
    }
}

fn case(number: u128) -> Case {
    let raised = Alert {
        family: FamilyId(ContentId(number)),
        ..alert(AlertLevel::Raised, 1, 10.0, 10)
    };
    Case::open(CaseId(number), Team::Coordinators, &raised, Timestamp(1_000))
}

fn alert(level: AlertLevel, episode: u32, priority: f64, at: i64) -> Alert {
    Alert {
        id: AlertId(at as u128),
        scope: Scope::Coordinators,
        level,
        episode,
        at: Timestamp(at),
        priority,
        ..example::alert()
    }
}

/// The first of the two is the one that others join.
fn play(told: &[Told]) -> Result<(), TestCaseError> {
    let mut cases = [case(1), case(2)];
    let (mut model, mut now) = (Model::default(), Timestamp(1_000));
    for (number, (step, who, which)) in told.iter().enumerate() {
        let before = cases.clone();
        match step {
            Step::Wait(length) => now = now + Milliseconds(*length),
            Step::Alert(level, episode, grave) => {
                let level = AlertLevel::from_number(*level).unwrap();
                let priority = if *grave { UNREVIEWED_BELOW } else { 1.0 };
                let said = alert(level, *episode, priority, 20 + number as i64);
                cases[*which].apply_alert(&said, UNREVIEWED_BELOW, now);
                if let (1, Some(rested)) = (*which, &mut model.rested) {
                    rested.1 = true;
                }
            }
            Step::Merge(is_heir) => merge(&mut model, &mut cases, *is_heir, now)?,
            Step::Split => {
                model.said += 1;
                let was_merged = cases[1].split_off(Timestamp(model.said), now);
                prop_assert_eq!(was_merged, model.merged);
                if let Some((rested, false)) = model.rested.take() {
                    let goes_on = cases[1].own_episode.going_on && rested == Resting::Closed;
                    prop_assert_eq!(cases[1].resting, if goes_on { Resting::Open } else { rested });
                }
                model.merged = false;
                model.rested = None;
            }
            _ => command(&mut model, (&mut cases, *which), (step, *who, number), now)?,
        }
        hold(&model, (&before, &cases), now)?;
    }
    Ok(())
}

fn merge(model: &mut Model, cases: &mut [Case; 2], is_heir: bool, now: Timestamp) -> Result<(), TestCaseError> {
    if model.merged {
        return Ok(());
    }
    model.said += 1;
    let before = cases.clone();
    let [one, two] = cases;
    let said_at = if is_heir {
        one.first_alert_at.expect("it rang")
    } else {
        Timestamp(1_000_000)
    };
    let free = one.live_lease(now).is_none()
        && one.desk == Desk::Moderators
        && one.draft.is_none()
        && one.held_until.is_none_or(|until| until <= now);
    let merging = one.take_in(two, said_at, now);
    let held = model.cases.iter().any(|case| case.can_be_taken_back(now));
    let Merging::Done(effects) = merging else {
        prop_assert!(
            held && *cases == before,
            "a held decision alone keeps them apart, as they were"
        );
        return Ok(());
    };
    prop_assert!(!held);
    let [mine, theirs] = [0, 1].map(|place| model.cases[place].holder(now));
    let lease = match (mine, theirs) {
        (_, None) => MergedLease::None,
        (Some(one), Some(two)) if one != two => MergedLease::Ended(KeyId(two)),
        (_, Some(holder)) => MergedLease::Moved(KeyId(holder)),
    };
    prop_assert_eq!(&effects.lease, &lease);
    let until = |place: usize| model.cases[place].lease.map(|(_, until)| until);
    match (mine, theirs) {
        (Some(one), Some(two)) if one == two => model.cases[0].lease = Some((one, until(0).max(until(1)).unwrap())),
        (None, Some(holder)) => model.cases[0].lease = Some((holder, until(1).unwrap())),
        _ => {}
    }
    model.cases[1].lease = None;
    let [one, two] = [0, 1].map(|place| model.cases[place].verdict());
    let differ = matches!((one, two), (Some(one), Some(two)) if one != two);
    prop_assert_eq!(effects.is_disputed, differ);
    if let (true, Some(decision)) = (differ, model.cases[0].decisions.last_mut()) {
        decision.1 = true;
    }
    prop_assert_eq!(
        effects.carried.is_some(),
        one.is_none()
            && before[1].resting == Resting::Decided
            && (before[0].resting == Resting::Closed || (before[0].resting == Resting::Open && is_heir && free))
    );
    if effects.carried.is_some() {
        model.cases[0].decisions = vec![(two.unwrap(), false)];
    }
    let draft = model.cases[1].draft.clone();
    if model.cases[0].draft.is_none() {
        model.cases[0].draft = draft;
    }
    model.merged = true;
    model.rested = Some((before[1].resting, false));
    let waits = before.iter().any(|case| case.resting == Resting::Open);
    let decided = before[0].resting == Resting::Decided;
    prop_assert!(
        !waits || decided || effects.carried.is_some() || cases[0].resting == Resting::Open,
        "what waited waits"
    );
    Ok(())
}

fn command(
    model: &mut Model,
    (cases, which): (&mut [Case; 2], usize),
    (step, who, number): (&Step, u128, usize),
    now: Timestamp,
) -> Result<(), TestCaseError> {
    let case = &mut cases[which];
    let text = format!("words {number}");
    let command = match step {
        Step::Claim => Command::Claim { length: LEASE },
        Step::Release => Command::Release { note: String::new() },
        Step::Escalate => Command::Escalate {
            to: Desk::Expert,
            note: text.clone(),
        },
        Step::SaveDraft => Command::SaveDraft(Draft {
            rationale: text.clone(),
            ..Draft::default()
        }),
        Step::Decide(verdict, undo) => Command::Decide {
            id: DecisionId(number as u128 + 1),
            ruling: Ruling::of(Verdict::from_number(*verdict).unwrap(), &text),
            undo_for: if *undo { LEASE } else { Milliseconds(0) },
        },
        _ => Command::Withdraw {
            decision: case.decision.as_ref().map_or(DecisionId(0), |made| made.id),
            length: LEASE,
        },
    };
    let by = By {
        who: KeyId(who),
        fencing: case.fencing,
        version: None,
    };
    let (before, result) = (case.clone(), case.apply(by, &command, now));
    let one = &mut model.cases[which];
    if model.merged && which == 1 {
        prop_assert_eq!(result, Err(Refusal::Merged(CaseId(1))));
        prop_assert_eq!(&*case, &before);
        return Ok(());
    }
    let is_closed = before.resting == Resting::Closed && one.holder(now).is_none();
    prop_assert_eq!(result == Err(Refusal::Closed), is_closed);
    let taken = !is_closed
        && match step {
            Step::Claim => one.holder(now).is_none() && !one.can_be_taken_back(now),
            Step::Withdraw => one.can_be_taken_back(now) && one.undo.is_some_and(|(_, made_by)| made_by == who),
            _ => one.holder(now) == Some(who),
        };
    prop_assert_eq!(result.is_ok(), taken, "{:?} {:?} {:?}", step, result, one);
    if !taken {
        return Ok(());
    }
    match step {
        Step::Claim => one.lease = Some((who, now + LEASE)),
        Step::Release | Step::Escalate => one.lease = None,
        Step::SaveDraft => one.draft = Some(text),
        Step::Decide(verdict, undo) => {
            one.decisions.push((Verdict::from_number(*verdict).unwrap(), false));
            one.undo = undo.then_some((now + LEASE, who));
            (one.lease, one.draft) = (None, None);
        }
        _ => {
            one.decisions.pop();
            (one.undo, one.lease) = (None, Some((who, now + LEASE)));
            one.draft = before.decision.map(|made| made.ruling.rationale);
        }
    }
    Ok(())
}

fn hold(model: &Model, (before, cases): (&[Case; 2], &[Case; 2]), now: Timestamp) -> Result<(), TestCaseError> {
    for (place, case) in cases.iter().enumerate() {
        let known = &model.cases[place];
        prop_assert!(case.version >= before[place].version && case.fencing >= before[place].fencing);
        prop_assert_eq!(case.live_lease(now).map(|lease| lease.holder.0), known.holder(now));
        prop_assert_eq!(case.decision.as_ref().map(|made| made.ruling.verdict), known.verdict());
        prop_assert_eq!(
            case.draft.as_ref().map(|draft| draft.rationale.clone()),
            known.draft.clone()
        );
        prop_assert_eq!(
            case.is_disputed(),
            known.decisions.last().is_some_and(|(_, disputed)| *disputed)
        );
        let is_merged = model.merged && place == 1;
        prop_assert_eq!(case.state(now) == CaseState::Merged, is_merged);
        prop_assert!(!is_merged || !case.is_waiting(now));
        prop_assert!(!case.is_disputed() || case.resting == Resting::Open || is_merged);
    }
    Ok(())
}

#[test]
fn a_lease_that_a_clock_brings_back_still_ends_a_dispute() {
    let told = [
        (Step::Claim, 2, 0),
        (Step::Claim, 2, 1),
        (Step::Decide(1, false), 2, 1),
        (Step::Decide(2, false), 2, 0),
        (Step::Claim, 3, 0),
        (Step::Wait(LEASE.0), 1, 0),
        (Step::Merge(false), 1, 0),
        (Step::Wait(-1), 1, 0),
        (Step::Decide(1, false), 3, 0),
    ];
    play(&told).unwrap();
}

#[test]
fn two_cases_keep_the_promises() {
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
