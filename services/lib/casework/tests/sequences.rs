//! Goal: whatever is commanded in whatever order, whichever way the clock runs, a case has one holder at most, who does not hold it changes
//! nothing, a decision stands until it is taken back, replaced or overturned, what is taken back leads to what was before, and the hour of an order is told of
//! once.
//!
//! A small model says what must be true; it knows nothing of how the rules work. `TOCSIN_SEQUENCES` sets how many sequences are played
//! (default 2,000); the full run: `TOCSIN_SEQUENCES=1000000 cargo test --release -p tocsin-casework --test sequences`.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tocsin_casework::{
    By, Case, CaseId, Command, Desk, Draft, Event, Filing, HOLD_MIN, LEASE_MIN, Notice, NoticeCommand, NoticeEvent,
    NoticeId, NoticeKind, NoticeLoad, NoticeOutcome, ORDER_DUE_IN, Refusal, Resting, Ruling, SuspensionGround, Team,
    UNREVIEWED_BELOW,
};
use tocsin_model::{Alert, AlertId, AlertLevel, DecisionId, KeyId, Milliseconds, Scope, Timestamp, Verdict};

#[path = "../../model/tests/example/mod.rs"]
mod example;
#[path = "sequences/overturning.rs"]
mod overturning;

use overturning::overturn;

const LEASE: Milliseconds = Milliseconds::from_seconds(5);
const UNDO: Milliseconds = Milliseconds::from_seconds(2);

#[derive(Clone, Debug)]
enum Step {
    Claim,
    Renew,
    Release,
    HandOver(u128),
    Escalate,
    Hold,
    Skip,
    SaveDraft,
    /// The verdict, whether it can be taken back, and whether the words are those that others may have too.
    Decide(u8, bool, bool),
    Withdraw,
    Alert(u8, u32, bool),
    Revoke,
    Wait(i64),
    /// An order or, otherwise, a referral.
    File(bool),
    /// To the notice of this number, if there is one.
    Told(usize, Said),
    /// The clock looks at what is due.
    Look,
    /// A copy came after its removal was confirmed.
    Return,
    /// A reviewer of an appeal decides about all of it: news or, otherwise, benign.
    Overturn(bool),
}

#[derive(Clone, Copy, Debug)]
enum Said {
    Suspend,
    Resume,
    Answer,
}

/// A step, who does it, how old a fencing number they show, and whether they insist on the version before.
type Told = (Step, u128, u64, Option<u64>);

fn steps() -> impl Strategy<Value = Vec<Told>> {
    let step = prop_oneof![
        4 => Just(Step::Claim),
        1 => Just(Step::Renew),
        1 => Just(Step::Release),
        1 => (0..3u128).prop_map(Step::HandOver),
        1 => Just(Step::Escalate),
        1 => Just(Step::Hold),
        1 => Just(Step::Skip),
        1 => Just(Step::SaveDraft),
        3 => (1..=5u8, any::<bool>(), any::<bool>())
            .prop_map(|(verdict, undo, again)| Step::Decide(verdict, undo, again)),
        2 => Just(Step::Withdraw),
        2 => (1..=4u8, 1..4u32, any::<bool>()).prop_map(|(level, episode, grave)| Step::Alert(level, episode, grave)),
        1 => Just(Step::Revoke),
        1 => any::<bool>().prop_map(Step::File),
        2 => (0..3usize, prop_oneof![Just(Said::Suspend), Just(Said::Resume), Just(Said::Answer)])
            .prop_map(|(number, said)| Step::Told(number, said)),
        1 => Just(Step::Look),
        1 => Just(Step::Return),
        2 => any::<bool>().prop_map(Step::Overturn),
        // Long enough for an hour to pass.
        1 => (0..ORDER_DUE_IN.0).prop_map(Step::Wait),
        // Clocks run backwards too.
        2 => (-3_000..8_000i64).prop_map(Step::Wait),
    ];
    let fencing = prop_oneof![8 => Just(0u64), 1 => 1..3u64];
    let version = prop_oneof![8 => Just(None), 1 => (0..2u64).prop_map(Some)];
    proptest::collection::vec((step, 0..3u128, fencing, version), 0..60)
}

/// A decision, who made it, under which lease, and what was said.
type Made = (DecisionId, u128, u64, Ruling);

/// What must be true of the case.
#[derive(Clone, Debug)]
struct Model {
    /// Who got the last lease, and until when it lasts, if it was not given back.
    lease: Option<(u128, Timestamp)>,
    leases: u64,
    decision: Option<Made>,
    /// Until when the decision is taken back, to which, and to what the case was.
    undo: Option<(Timestamp, Option<Made>, Resting)>,
    resting: Resting,
    version: u64,
    notices: Vec<ToAnswer>,
}

/// What must be true of a notice.
#[derive(Clone, Debug)]
struct ToAnswer {
    is_order: bool,
    /// When its hour is over; `None` while it does not run.
    due: Option<Timestamp>,
    is_answered: bool,
    /// Whether somebody was told that this hour is over.
    is_told: bool,
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

/// Of a decision: its own, or the same again.
fn words(number: usize, again: bool) -> String {
    if again {
        "again".to_owned()
    } else {
        format!("why {number}")
    }
}

fn command(step: &Step, number: usize, case: &Case) -> Option<Command> {
    let why = || "because".to_owned();
    Some(match step {
        Step::Claim => Command::Claim { length: LEASE },
        Step::Renew => Command::Renew { length: LEASE },
        Step::Release => Command::Release { note: String::new() },
        Step::HandOver(to) => Command::HandOver {
            to: KeyId(*to),
            length: LEASE,
            note: why(),
        },
        Step::Escalate => Command::Escalate {
            to: Desk::Expert,
            note: why(),
        },
        Step::Hold => Command::Hold {
            length: HOLD_MIN,
            reason: why(),
        },
        Step::Skip => Command::Skip { reason: why() },
        Step::SaveDraft => Command::SaveDraft(Draft::default()),
        Step::Decide(verdict, undo, again) => Command::Decide {
            id: DecisionId(number as u128 + 1),
            ruling: Ruling::of(Verdict::from_number(*verdict).unwrap(), &words(number, *again)),
            undo_for: if *undo { UNDO } else { Milliseconds(0) },
        },
        Step::Withdraw => Command::Withdraw {
            decision: case.decision.as_ref().map_or(DecisionId(0), |made| made.id),
            length: LEASE,
        },
        Step::Alert(..) | Step::Revoke | Step::Wait(_) | Step::File(_) | Step::Told(..) | Step::Look | Step::Return => {
            return None;
        }
        Step::Overturn(_) => return None,
    })
}

fn play(told: &[Told]) -> Result<(), TestCaseError> {
    let raised = alert(AlertLevel::Raised, 1, 10.0, 10);
    let mut case = Case::open(CaseId(1), Team::Coordinators, &raised, Timestamp(1_000_000_000));
    let mut now = Timestamp(1_000_000_000);
    let mut model = Model {
        lease: None,
        leases: 0,
        decision: None,
        undo: None,
        resting: Resting::Open,
        version: case.version,
        notices: Vec::new(),
    };
    let mut notices: Vec<Notice> = Vec::new();
    for (number, (step, who, age, insists)) in told.iter().enumerate() {
        let before = case.clone();
        match step {
            Step::Wait(length) => now = now + Milliseconds(*length),
            Step::Revoke => {
                let had = case.revoke(KeyId(*who));
                prop_assert_eq!(had, model.lease.is_some_and(|(holder, _)| holder == *who));
                if had {
                    model.lease = None;
                    model.version += 1;
                }
            }
            Step::Alert(level, episode, grave) => {
                let level = AlertLevel::from_number(*level).unwrap();
                let priority = if *grave { UNREVIEWED_BELOW } else { 1.0 };
                case.apply_alert(
                    &alert(level, *episode, priority, 20 + number as i64),
                    UNREVIEWED_BELOW,
                    now,
                );
                let kept = |case: &Case| {
                    (
                        case.lease,
                        case.fencing,
                        case.decision.clone(),
                        case.undo.clone(),
                        case.draft.clone(),
                    )
                };
                prop_assert_eq!(kept(&case), kept(&before), "an alert takes nothing from people");
                let closes = case.resting == Resting::Closed && before.resting != Resting::Closed;
                prop_assert!(!closes || (level == AlertLevel::Subsided && case.priority < UNREVIEWED_BELOW));
                let in_hand = before.live_lease(now).is_some() || before.draft.is_some();
                let in_hand = in_hand || model.notices.iter().any(|notice| !notice.is_answered);
                prop_assert!(!closes || (!in_hand && before.desk == Desk::Moderators && before.decision.is_none()));
                let settles = case.resting == Resting::Decided && before.resting == Resting::Open;
                prop_assert!(!settles || (level == AlertLevel::Subsided && case.priority < UNREVIEWED_BELOW));
                prop_assert!(!settles || (!in_hand && before.desk == Desk::Moderators && before.decision.is_some()));
                model.resting = case.resting;
                model.version = case.version;
            }
            Step::Return => {
                let is_back = case.ask_again(now);
                let held = model.lease.is_some_and(|(_, until)| now < until);
                prop_assert_eq!(is_back, model.resting == Resting::Decided && !held);
                if is_back {
                    model.resting = Resting::Open;
                    model.version += 1;
                }
                let kept = |case: &Case| (case.lease, case.fencing, case.decision.clone(), case.undo.clone());
                prop_assert_eq!(kept(&case), kept(&before), "a re-upload takes nothing from people");
            }
            Step::Overturn(is_news) => overturn(&mut case, &mut model, (number, KeyId(*who), *is_news), now)?,
            Step::File(_) | Step::Told(..) | Step::Look => {
                tell(&mut case, &mut notices, step, now)?;
                follow_notice(&mut model, step, now);
                let kept = |case: &Case| (case.lease, case.fencing, case.decision.clone(), case.undo.clone());
                prop_assert_eq!(kept(&case), kept(&before), "a notice takes nothing from people");
            }
            _ => {
                let by = By {
                    who: KeyId(*who),
                    fencing: case.fencing.saturating_sub(*age),
                    version: insists.map(|behind| case.version - behind.min(case.version)),
                };
                let command = command(step, number, &case).unwrap();
                let result = case.apply(by, &command, now);
                follow(&mut model, (by, &command), &result, now)?;
                if result.is_err() {
                    prop_assert_eq!(&case, &before, "a refused command changes nothing");
                }
            }
        }
        prop_assert!(case.version >= before.version && case.fencing >= before.fencing);
        let held = model.lease.filter(|(_, until)| now < *until);
        prop_assert_eq!(
            case.live_lease(now).map(|lease| lease.holder.0),
            held.map(|(holder, _)| holder)
        );
        prop_assert_eq!(case.fencing, model.leases);
        prop_assert_eq!(case.version, model.version);
        let stands = case.decision.as_ref();
        let stands = stands.map(|made| (made.id, made.decided_by.0, made.fencing, made.ruling.clone()));
        prop_assert_eq!(&stands, &model.decision);
        prop_assert_eq!(case.resting, model.resting);
        let open = model.notices.iter().filter(|notice| !notice.is_answered);
        prop_assert_eq!(case.notices.open as usize, open.clone().count());
        prop_assert_eq!(case.notices.due_at, open.filter_map(|notice| notice.due).min());
    }
    Ok(())
}

/// Does with the notices what the store does.
fn tell(case: &mut Case, notices: &mut Vec<Notice>, step: &Step, now: Timestamp) -> Result<(), TestCaseError> {
    let mut happened: Vec<(usize, NoticeEvent)> = Vec::new();
    match step {
        Step::File(is_order) => {
            let filing = Filing {
                kind: if *is_order {
                    NoticeKind::RemovalOrder
                } else {
                    NoticeKind::Referral
                },
                authority: "an authority".to_owned(),
                reference: notices.len().to_string(),
                part: 0,
                content: None,
                platform: None,
                received_at: now,
                due_at: None,
                urls: Vec::new(),
                statement: String::new(),
            };
            notices.push(
                filing
                    .file(NoticeId(notices.len() as u128), case.id, KeyId(1), now)
                    .unwrap(),
            );
            happened.push((notices.len() - 1, NoticeEvent::Filed));
        }
        Step::Told(number, said) => {
            let note = "because".to_owned();
            let command = match said {
                Said::Suspend => NoticeCommand::Suspend {
                    ground: SuspensionGround::Impossible,
                    note,
                },
                Said::Resume => NoticeCommand::Resume { note },
                Said::Answer => NoticeCommand::Answer {
                    outcome: NoticeOutcome::Removed,
                    note,
                },
            };
            if let Some(notice) = notices.get_mut(*number) {
                let before = notice.clone();
                match notice.apply(KeyId(1), &command, now) {
                    Ok(event) => happened.push((*number, event)),
                    Err(_) => prop_assert_eq!(&*notice, &before, "a refused command changes nothing"),
                }
            }
        }
        _ => {
            for (number, notice) in notices.iter_mut().enumerate() {
                if notice.escalate(now) {
                    happened.push((number, NoticeEvent::Overdue));
                }
            }
        }
    }
    for (number, event) in happened {
        let load = NoticeLoad::of(notices.iter());
        case.take_notice(&notices[number], event, load, now);
    }
    Ok(())
}

/// What the model makes of a step about notices.
fn follow_notice(model: &mut Model, step: &Step, now: Timestamp) {
    let mut changes = 0;
    let mut calls = false;
    match step {
        Step::File(is_order) => {
            (changes, calls) = (1, true);
            model.notices.push(ToAnswer {
                is_order: *is_order,
                due: is_order.then(|| now + ORDER_DUE_IN),
                is_answered: false,
                is_told: false,
            });
        }
        Step::Told(number, said) => {
            let notice = model.notices.get_mut(*number).filter(|notice| !notice.is_answered);
            if let Some(notice) = notice {
                match (said, notice.is_order, notice.due) {
                    (Said::Suspend, true, Some(_)) => (notice.due, changes) = (None, 1),
                    (Said::Resume, true, None) => {
                        (notice.due, notice.is_told, changes) = (Some(now + ORDER_DUE_IN), false, 1);
                    }
                    (Said::Answer, ..) => (notice.is_answered, changes) = (true, 1),
                    _ => {}
                }
            }
        }
        _ => {
            for notice in &mut model.notices {
                if !notice.is_answered && !notice.is_told && notice.due.is_some_and(|due| due <= now) {
                    notice.is_told = true;
                    changes += 1;
                    calls = true;
                }
            }
        }
    }
    model.version += changes;
    if calls {
        model.resting = Resting::Open;
    }
}

/// Whether the command had to be taken, by the model alone; and what it makes of it.
fn follow(
    model: &mut Model,
    (by, command): (By, &Command),
    result: &Result<Event, Refusal>,
    now: Timestamp,
) -> Result<(), TestCaseError> {
    let is_closed = model.resting == Resting::Closed && model.lease.is_none_or(|(_, until)| now >= until);
    prop_assert_eq!(*result == Err(Refusal::Closed), is_closed);
    if is_closed {
        return Ok(());
    }
    // Some words are said by many: the same under the same lease by the same person is the decision that stands, whatever version they saw.
    let said_before = matches!((command, &model.decision), (Command::Decide { ruling, .. }, Some((_, who, fencing, said)))
        if (*who, *fencing, said) == (by.who.0, by.fencing, ruling));
    prop_assert_eq!(*result == Ok(Event::DecidedBefore), said_before);
    let is_stale = !said_before && by.version.is_some_and(|version| version != model.version);
    prop_assert_eq!(*result == Err(Refusal::VersionStale), is_stale);
    if said_before || is_stale {
        return Ok(());
    }
    let free = model.lease.is_none_or(|(_, until)| now >= until);
    let holds = by.fencing == model.leases && model.lease.is_some_and(|(who, until)| who == by.who.0 && now < until);
    let undoable = model.undo.as_ref().is_some_and(|(until, ..)| now < *until);
    let taken = match command {
        Command::Claim { .. } => free && !undoable,
        Command::Withdraw { .. } => undoable && model.decision.as_ref().is_some_and(|made| made.1 == by.who.0),
        _ => holds,
    };
    prop_assert_eq!(result.is_ok(), taken, "{:?} {:?} {:?}", command, result, model);
    if !taken {
        return Ok(());
    }
    model.version += u64::from(!matches!(command, Command::Renew { .. }));
    let lend = |model: &mut Model, who: KeyId| {
        model.leases += 1;
        model.lease = Some((who.0, now + LEASE));
    };
    match command {
        Command::Claim { .. } => lend(model, by.who),
        Command::HandOver { to, .. } => lend(model, *to),
        Command::Renew { .. } => model.lease = Some((by.who.0, now + LEASE)),
        Command::SaveDraft(_) => {}
        Command::Release { .. } | Command::Escalate { .. } | Command::Hold { .. } | Command::Skip { .. } => {
            model.lease = None;
        }
        Command::Decide { id, ruling, undo_for } => {
            let former = model.decision.replace((*id, by.who.0, by.fencing, ruling.clone()));
            model.undo = (undo_for.0 > 0).then_some((now + *undo_for, former, model.resting));
            model.lease = None;
            model.resting = Resting::Decided;
        }
        Command::Withdraw { .. } => {
            let (_, former, resting) = model.undo.take().expect("it was taken");
            model.decision = former;
            // A wave that began meanwhile opened it.
            if model.resting == Resting::Decided {
                model.resting = resting;
            }
            lend(model, by.who);
        }
    }
    Ok(())
}

#[test]
fn every_sequence_keeps_the_promises() {
    assert!(LEASE >= LEASE_MIN);
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
