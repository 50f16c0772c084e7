//! Goal: what is told of a queue is what changed of it, once, and the board stays bounded.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tocsin_model::{DecisionId, Milliseconds, Verdict};

use super::*;
use crate::alert_rules::tests::open;
use crate::case::{Desk, Lease, Merged, Resting};
use crate::lane::Lane;

const ANNA: KeyId = KeyId(1);
const BEN: KeyId = KeyId(2);
const NOW: Timestamp = Timestamp(1_000_000);

fn glance(id: u128) -> Glance {
    Glance {
        id: CaseId(id),
        opened_at: Timestamp(0),
        waiting_since: Timestamp(0),
        ..open().glance()
    }
}

fn held(id: u128, who: KeyId, fencing: u64, seconds: i64) -> Glance {
    Glance {
        fencing,
        version: fencing,
        lease: Some(Lease {
            holder: who,
            expires_at: NOW + Milliseconds::from_seconds(seconds),
        }),
        ..glance(id)
    }
}

fn told(update: Option<Update>) -> Option<(Change, Option<KeyId>)> {
    update.map(|update| (update.change, update.former_holder))
}

#[test]
fn each_step_of_a_case_is_told_once() {
    let mut board = Board::new(NOW, 10, [glance(1)]);
    assert_eq!(board.take(glance(1), NOW), None, "as it was");
    let new_figures = Glance {
        priority: 9.0,
        ..glance(1)
    };
    assert_eq!(board.take(new_figures, NOW), None);
    assert_eq!(
        told(board.take(held(1, ANNA, 1, 60), NOW)),
        Some((Change::Claimed, None))
    );
    assert_eq!(board.take(held(1, ANNA, 1, 90), NOW), None, "renewed");
    assert_eq!(board.held_by(ANNA, NOW).count(), 1);
    assert_eq!(board.held_by(BEN, NOW).count(), 0);
    let handed_over = held(1, BEN, 2, 60);
    assert_eq!(told(board.take(handed_over, NOW)), Some((Change::Claimed, Some(ANNA))));
    let later = NOW + Milliseconds::from_seconds(60);
    let over: Vec<_> = board.tick(later).into_iter().map(|update| told(Some(update))).collect();
    assert_eq!(over, [Some((Change::Returned, Some(BEN)))], "the lease is over");
    assert_eq!(board.tick(later), []);
    let escalated = Glance {
        desk: Desk::Legal,
        fencing: 3,
        version: 4,
        ..glance(1)
    };
    assert_eq!(told(board.take(escalated.clone(), later)), Some((Change::Moved, None)));
    let aside = Glance {
        held_until: Some(later + Milliseconds::from_seconds(60)),
        ..escalated.clone()
    };
    assert_eq!(told(board.take(aside, later)), Some((Change::Held, None)));
    let ended = board.tick(later + Milliseconds::from_seconds(60));
    assert_eq!(
        ended.iter().map(|update| update.change).collect::<Vec<_>>(),
        [Change::Returned]
    );
    let decided = Glance {
        resting: Resting::Decided,
        decision: Some((DecisionId(7), Verdict::Violating)),
        ..escalated.clone()
    };
    assert_eq!(told(board.take(decided.clone(), later)), Some((Change::Decided, None)));
    let again = Glance {
        decision: Some((DecisionId(8), Verdict::Benign)),
        version: 9,
        ..decided
    };
    assert_eq!(told(board.take(again, later)), Some((Change::Decided, None)));
    let merged = Glance {
        merged: Some(Merged {
            into: CaseId(2),
            at: later,
        }),
        resting: Resting::Closed,
        ..escalated
    };
    assert_eq!(told(board.take(merged.clone(), later)), Some((Change::Merged, None)));
    assert_eq!(board.take(merged, later), None);
}

#[test]
fn what_was_held_and_given_back_between_two_looks_is_told() {
    let mut board = Board::new(NOW, 10, [glance(1)]);
    let back = Glance {
        fencing: 1,
        version: 2,
        ..glance(1)
    };
    assert_eq!(told(board.take(back, NOW)), Some((Change::Returned, None)));
    let lane = if glance(1).lane == Lane::Live {
        Lane::General
    } else {
        Lane::Live
    };
    let moved = Glance {
        lane,
        fencing: 1,
        version: 2,
        ..glance(1)
    };
    assert_eq!(told(board.take(moved, NOW)), Some((Change::Moved, None)));
}

#[test]
fn new_figures_of_a_case_that_waits_are_no_return() {
    let mut board = Board::new(NOW, 10, [glance(1)]);
    let seen_anew = Glance {
        version: 5,
        priority: 9.0,
        ..glance(1)
    };
    assert_eq!(told(board.take(seen_anew, NOW)), None);
}

#[test]
fn what_somebody_holds_is_forgotten_last() {
    let mut board = Board::new(NOW, 3, [held(1, ANNA, 1, 60), held(2, BEN, 1, 60)]);
    for id in 10..20 {
        board.take(glance(id), NOW);
    }
    assert_eq!(board.held_by(ANNA, NOW).count(), 1);
    assert_eq!(board.held_by(BEN, NOW).count(), 1);
    board.take(held(3, ANNA, 1, 60), NOW);
    board.take(glance(4), NOW);
    assert_eq!(board.cases.len(), 3);
    assert_eq!(board.held_by(ANNA, NOW).count(), 2);
    board.take(held(4, ANNA, 1, 60), NOW);
    assert_eq!(
        board.held_by(ANNA, NOW).count(),
        2,
        "of those that are held, too, so many are known"
    );
}

#[test]
fn what_was_not_known_is_told_as_what_it_is() {
    let mut board = Board::new(NOW, 10, []);
    let opened = Glance {
        opened_at: Timestamp(NOW.0 + 1),
        ..glance(1)
    };
    let returned = Glance {
        waiting_since: Timestamp(NOW.0 + 1),
        ..glance(2)
    };
    for (glance, change) in [
        (opened, Change::Opened),
        (returned, Change::Returned),
        (glance(3), Change::Changed),
        (held(5, ANNA, 1, 0), Change::Changed),
        (held(4, ANNA, 1, 60), Change::Claimed),
    ] {
        assert_eq!(told(board.take(glance, NOW)), Some((change, None)));
    }
    // It was somebody's when they went away, and is nobody's when they come back.
    let away = held(6, ANNA, 1, 60);
    let later = NOW + Milliseconds::from_seconds(61);
    assert_eq!(away.change_since(NOW, later), Change::Returned);
    assert_eq!(away.change_since(later, later), Change::Changed);
}

#[test]
fn a_class_is_told_when_it_changes_and_not_at_its_edge() {
    let cases: Vec<Glance> = (0..60).map(glance).collect();
    let mut board = Board::new(NOW, 100, cases);
    let order = |ids: &mut dyn Iterator<Item = u128>| -> Vec<_> { ids.map(|id| (CaseId(id), false)).collect() };
    let first = order(&mut (0..60));
    assert_eq!(board.rank(&first, NOW), [], "nobody is told of what they just read");
    assert_eq!(board.rank_of(CaseId(19)), Some(RankClass::First));
    assert_eq!(board.rank_of(CaseId(20)), Some(RankClass::Next));
    assert_eq!(board.rank_of(CaseId(99)), Some(RankClass::Later));
    // The 21st goes ahead of the 20th: that one stays first until it is a fifth behind.
    let mut swapped = first.clone();
    swapped.swap(19, 20);
    let classes = |updates: Vec<Update>| -> Vec<_> {
        let of = |update: &Update| (update.change, update.glance.id.0, update.rank);
        updates.iter().map(of).collect()
    };
    assert_eq!(
        classes(board.rank(&swapped, NOW)),
        [(Change::Moved, 20, Some(RankClass::First))]
    );
    assert_eq!(board.rank(&first, NOW), []);
    let fallen = order(&mut (0..19).chain(20..50).chain([19]).chain(50..60));
    assert_eq!(
        classes(board.rank(&fallen, NOW)),
        [(Change::Moved, 19, Some(RankClass::Next))]
    );
    let due: Vec<_> = [(CaseId(59), true)]
        .into_iter()
        .chain(fallen[..59].iter().copied())
        .collect();
    assert_eq!(
        classes(board.rank(&due, NOW)),
        [(Change::Moved, 59, Some(RankClass::Due))]
    );
    // Somebody takes the first: it leaves the order, and is told as claimed alone.
    assert_eq!(board.take(held(0, ANNA, 1, 60), NOW).unwrap().rank, None);
    assert!(
        board
            .rank(&due[2..], NOW)
            .iter()
            .all(|update| update.glance.id != CaseId(0))
    );
    assert_eq!(
        board
            .unknown(&[(CaseId(1), false), (CaseId(77), false)])
            .collect::<Vec<_>>(),
        [CaseId(77)]
    );
}

proptest! {
    #[test]
    fn it_is_bounded_and_its_ends_are_those_of_what_it_knows(
        steps in proptest::collection::vec((0..12u128, 0..5i64, 0..3u64), 0..60)
    ) {
        let mut board = Board::new(NOW, 5, []);
        for (id, seconds, fencing) in steps {
            let now = NOW + Milliseconds::from_seconds(seconds);
            board.take(held(id, ANNA, fencing, seconds + 1), now);
            board.tick(now);
            prop_assert!(board.cases.len() <= 5);
            prop_assert_eq!(board.looks.len(), board.cases.len());
            prop_assert!(board.ends.iter().all(|(_, id)| board.cases.contains_key(id)));
            prop_assert!(board.ends.len() <= board.cases.len());
        }
    }
}
