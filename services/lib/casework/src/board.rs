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
/// Of the cases of which a notice is due so many are told to be: the first ones.
pub const DUE_TOLD: usize = 512;

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

    /// The order of the queue at `now`, the first [`DUE_TOLD`] of what is due and the first [`RANKED_TOLD`] of the others, each with whether it is: what changed its class. The first order is
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

    /// The cases that a key holds at `now`, the one whose lease ends first before the others.
    pub fn held_by(&self, key: KeyId, now: Timestamp) -> impl Iterator<Item = &Glance> {
        self.ends.iter().filter_map(move |(at, id)| {
            let (glance, ..) = self.cases.get(id)?;
            let lease = glance.live_lease(now).filter(|lease| lease.expires_at == *at)?;
            (lease.holder == key && glance.state(now) == CaseState::Claimed).then_some(glance)
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
mod tests;
