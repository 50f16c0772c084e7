//! One team's queue as those who watch it know it: what changes of it becomes what they are told.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_model::{KeyId, Timestamp};

use crate::case::{CaseId, CaseState};
use crate::glance::{Change, Glance};

/// So many of a queue are its first.
pub const RANK_FIRST: usize = 20;
/// So many are first or next.
pub const RANK_NEXT: usize = 200;
/// How far in the order a board is told of: a case leaves a class only when it falls a fifth behind its end, so that two that change places at an end
/// are not told each time.
pub const RANKED_TOLD: usize = behind(RANK_NEXT);

/// Where a case that waits stands in its team's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RankClass {
    /// A notice of it is due soon.
    Due,
    /// Among the first [`RANK_FIRST`].
    First,
    /// Among the first [`RANK_NEXT`].
    Next,
    /// Behind them.
    Later,
}

impl RankClass {
    /// All of them, the first before the others.
    pub const ALL: [RankClass; 4] = [RankClass::Due, RankClass::First, RankClass::Next, RankClass::Later];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            RankClass::Due => "due",
            RankClass::First => "first",
            RankClass::Next => "next",
            RankClass::Later => "later",
        }
    }
}

/// What is told of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// What happened.
    pub change: Change,
    /// The case as it is then.
    pub glance: Glance,
    /// Where it stands, if it waits.
    pub rank: Option<RankClass>,
    /// Who held it before, where it is theirs no more.
    pub former_holder: Option<KeyId>,
    /// When this was so, by the store's clock.
    pub at: Timestamp,
}

/// Whether somebody held it then, and the number in the order of looks.
type Look = (bool, u64);

/// What is known of a team's cases. Memory: at most as many cases as it was made for, some 450 bytes each, and [`RANKED_TOLD`] places and what is due
/// of the order.
#[derive(Debug)]
pub struct Board {
    since: Timestamp,
    cases_max: usize,
    /// Each with when it was looked at last, and its place among the looks.
    cases: BTreeMap<CaseId, (Glance, Timestamp, Look)>,
    /// What is forgotten first: what nobody holds, then what was looked at longest ago.
    looks: BTreeMap<Look, CaseId>,
    looked: u64,
    /// When a lease or a hold ends.
    ends: BTreeSet<(Timestamp, CaseId)>,
    /// Those that are not [`RankClass::Later`]; `None` before the order was told.
    ranks: Option<BTreeMap<CaseId, RankClass>>,
}

impl Board {
    /// A board that begins with what stands at `since`, and never knows more than `cases_max` cases: of those that nobody holds, the last of `standing`.
    pub fn new(since: Timestamp, cases_max: usize, standing: impl IntoIterator<Item = Glance>) -> Board {
        let mut board = Board {
            since,
            cases_max,
            cases: BTreeMap::new(),
            looks: BTreeMap::new(),
            looked: 0,
            ends: BTreeSet::new(),
            ranks: None,
        };
        for glance in standing {
            board.keep(glance, since);
        }
        board
    }

    /// A case as it is at `now`, and what is told of it. One that is told again as it was is no news.
    pub fn take(&mut self, glance: Glance, now: Timestamp) -> Option<Update> {
        let former = self.cases.get(&glance.id);
        let change = match former {
            Some((former, then, _)) => glance.change_from(former, (*then, now)),
            None => Some(glance.change_since(self.since, now)),
        };
        let holder = former.and_then(|(former, then, _)| former.live_lease(*then));
        let holder = holder.map(|lease| lease.holder);
        let update = change.map(|change| self.update(change, glance.clone(), holder, now));
        self.keep(glance, now);
        update
    }

    /// Knows a case as it is at `now`, and tells nothing of it.
    pub fn learn(&mut self, glance: Glance, now: Timestamp) {
        self.keep(glance, now);
    }

    /// What time alone changed by `now`: leases and holds that are over.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Update> {
        let mut updates = Vec::new();
        while let Some((_, id)) = self.ends.first().copied().filter(|(at, _)| *at <= now) {
            match self.cases.get(&id) {
                Some((glance, ..)) => updates.extend(self.take(glance.clone(), now)),
                None => {
                    self.ends.pop_first();
                }
            }
        }
        updates
    }

    /// The order of the queue at `now`, its first [`RANKED_TOLD`] and what is due, each with whether it is: what changed its class. The first order is
    /// none's change.
    pub fn rank(&mut self, order: &[(CaseId, bool)], now: Timestamp) -> Vec<Update> {
        let former = self.ranks.take();
        let class_of = |id: &CaseId| {
            let ranks = former.as_ref()?;
            Some(ranks.get(id).copied().unwrap_or(RankClass::Later))
        };
        let mut ranks = BTreeMap::new();
        let mut place = 0;
        for (id, is_due) in order {
            if *is_due {
                ranks.insert(*id, RankClass::Due);
                continue;
            }
            let was = class_of(id);
            let stays = |class| was.is_some_and(|was| was <= class);
            let class = match place {
                _ if place < RANK_FIRST || (place < behind(RANK_FIRST) && was == Some(RankClass::First)) => {
                    RankClass::First
                }
                _ if place < RANK_NEXT || (place < behind(RANK_NEXT) && stays(RankClass::Next)) => RankClass::Next,
                _ => RankClass::Later,
            };
            if class != RankClass::Later {
                ranks.insert(*id, class);
            }
            place += 1;
        }
        let Some(former) = former else {
            self.ranks = Some(ranks);
            return Vec::new();
        };
        let ids: BTreeSet<CaseId> = former.keys().chain(ranks.keys()).copied().collect();
        self.ranks = Some(ranks);
        let changed = ids.into_iter().filter(|id| {
            let was = former.get(id).copied().unwrap_or(RankClass::Later);
            self.rank_of(*id) != Some(was)
        });
        // What came into the order or left it, since somebody took it, is told as that.
        let waits = changed.filter_map(|id| {
            let (glance, ..) = self.cases.get(&id)?;
            glance.is_waiting(now).then(|| glance.clone())
        });
        let waits: Vec<Glance> = waits.collect();
        waits
            .into_iter()
            .map(|glance| self.update(Change::Moved, glance, None, now))
            .collect()
    }

    /// Cases of an order that the board does not know.
    pub fn unknown<'a>(&'a self, order: &'a [(CaseId, bool)]) -> impl Iterator<Item = CaseId> + 'a {
        let ids = order.iter().map(|(id, _)| *id);
        ids.filter(|id| !self.cases.contains_key(id))
    }

    /// The cases that a key holds at `now`, in the order of their ids.
    pub fn held_by(&self, key: KeyId, now: Timestamp) -> impl Iterator<Item = &Glance> {
        let ends: BTreeSet<CaseId> = self.ends.iter().map(|(_, id)| *id).collect();
        let cases = ends.into_iter().filter_map(|id| self.cases.get(&id));
        let cases = cases.map(|(glance, ..)| glance);
        cases.filter(move |glance| {
            let lease = glance.live_lease(now);
            lease.is_some_and(|lease| lease.holder == key) && glance.state(now) == CaseState::Claimed
        })
    }

    /// The class of a case that waits, once the order was told.
    pub fn rank_of(&self, id: CaseId) -> Option<RankClass> {
        let ranks = self.ranks.as_ref()?;
        Some(ranks.get(&id).copied().unwrap_or(RankClass::Later))
    }

    fn update(&self, change: Change, glance: Glance, holder: Option<KeyId>, now: Timestamp) -> Update {
        let holds = glance.live_lease(now).map(|lease| lease.holder);
        Update {
            change,
            rank: self.rank_of(glance.id).filter(|_| glance.is_waiting(now)),
            former_holder: holder.filter(|_| holder != holds),
            glance,
            at: now,
        }
    }

    fn keep(&mut self, glance: Glance, now: Timestamp) {
        let (id, holds) = (glance.id, glance.live_lease(now).is_some());
        self.forget(id);
        while self.cases.len() >= self.cases_max {
            match self.looks.first_key_value() {
                Some(((is_held, _), longest)) if *is_held <= holds => self.forget(*longest),
                _ => return,
            }
        }
        self.ends.extend(ends_of(&glance, now).map(|at| (at, id)));
        self.looked += 1;
        let look = (holds, self.looked);
        self.looks.insert(look, id);
        self.cases.insert(id, (glance, now, look));
    }

    fn forget(&mut self, id: CaseId) {
        let Some((glance, then, look)) = self.cases.remove(&id) else {
            return;
        };
        self.looks.remove(&look);
        for at in ends_of(&glance, then) {
            self.ends.remove(&(at, id));
        }
    }
}

/// When its lease and its hold end, of those that did not at `now`.
fn ends_of(glance: &Glance, now: Timestamp) -> impl Iterator<Item = Timestamp> + use<> {
    let lease = glance.lease.map(|lease| lease.expires_at);
    let ends = [lease, glance.held_until].into_iter().flatten();
    ends.filter(move |at| now < *at)
}

const fn behind(end: usize) -> usize {
    end + end / 5
}

#[cfg(test)]
mod tests {
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
}
