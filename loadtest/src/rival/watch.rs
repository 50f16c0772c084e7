use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use tocsin_model::{Milliseconds, Timestamp};

use super::REARMED_AFTER;
use super::mixed::MixedState;
use crate::day::{Family, Occurrence};

/// How often families are looked through for what can be forgotten.
const PRUNED_EVERY: Milliseconds = Milliseconds::from_minutes(10);

/// The copies of all families, exact, as far back as a detector looks.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// How far back copies are kept.
    looks_back: Milliseconds,
    families: HashMap<Family, Kept, MixedState>,
    prune_at: Timestamp,
}

/// What is kept of a family: nine in ten have one copy, and nothing is to be asked about them.
#[derive(Clone, Debug)]
enum Kept {
    Once(OneCopy),
    Often(Box<Watched>),
}

/// A copy. A duplicate has both from its first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OneCopy {
    at: Timestamp,
    number: u64,
}

/// One family.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    /// By their times, as far back as is looked.
    copies: VecDeque<OneCopy>,
    /// Copies older than that, and the first of all.
    pub(super) forgotten: u64,
    pub(super) first_at: Timestamp,
    rang_at: Option<Timestamp>,
}

impl Watch {
    pub(super) fn new(looks_back: Milliseconds) -> Self {
        Watch {
            looks_back,
            families: HashMap::default(),
            prune_at: Timestamp::MIN,
        }
    }

    /// Takes a copy in. The family, unless there is nothing to be asked: no copy, a duplicate, the first, or a family that has rung.
    pub(super) fn take_in(&mut self, occurrence: &Occurrence) -> Option<&mut Watched> {
        let now = occurrence.received_at;
        self.prune(now);
        if !occurrence.kind.is_spread() {
            return None;
        }
        let copy = OneCopy {
            at: occurrence.happened_at,
            number: occurrence.number,
        };
        let kept = match self.families.entry(occurrence.family) {
            Entry::Vacant(place) => {
                place.insert(Kept::Once(copy));
                return None;
            }
            Entry::Occupied(place) => place.into_mut(),
        };
        if let Kept::Once(first) = kept {
            if *first == copy {
                return None;
            }
            *kept = Kept::Often(Box::new(Watched::begun_with(*first)));
        }
        let Kept::Often(watched) = kept else { return None };
        if watched.rang_at.is_some_and(|rang_at| now - rang_at < REARMED_AFTER) {
            return None;
        }
        watched.rang_at = None;
        if !watched.insert(copy) {
            return None;
        }
        watched.forget(now - self.looks_back);
        Some(watched)
    }

    /// Families whose copies are kept, or which have rung.
    #[cfg(test)]
    pub(super) fn families(&self) -> usize {
        self.families.len()
    }

    fn prune(&mut self, now: Timestamp) {
        if now < self.prune_at {
            return;
        }
        self.prune_at = now + PRUNED_EVERY;
        let since = now - self.looks_back;
        self.families.retain(|_, kept| match kept {
            Kept::Once(copy) => copy.at >= since,
            Kept::Often(watched) => {
                watched.forget(since);
                let rang = watched.rang_at.is_some_and(|rang_at| now - rang_at < REARMED_AFTER);
                // A past is worth keeping for a day, if it is more than one copy.
                let has_past = watched.forgotten > 1 && now - watched.first_at < REARMED_AFTER + REARMED_AFTER;
                rang || !watched.copies.is_empty() || has_past
            }
        });
    }
}

impl Watched {
    fn begun_with(first: OneCopy) -> Self {
        Watched {
            copies: VecDeque::from([first]),
            forgotten: 0,
            first_at: first.at,
            rang_at: None,
        }
    }

    /// Most come in order. Whether it is none of those that are kept.
    fn insert(&mut self, copy: OneCopy) -> bool {
        if self.copies.back().is_none_or(|last| last.at < copy.at) {
            self.copies.push_back(copy);
            return true;
        }
        let place = self.copies.partition_point(|kept| kept.at <= copy.at);
        let of_that_time = self.copies.range(..place).rev().take_while(|kept| kept.at == copy.at);
        if of_that_time.into_iter().any(|kept| *kept == copy) {
            return false;
        }
        self.copies.insert(place, copy);
        true
    }

    fn forget(&mut self, since: Timestamp) {
        while self.copies.front().is_some_and(|copy| copy.at < since) {
            self.copies.pop_front();
            self.forgotten += 1;
        }
    }

    /// Copies that are kept.
    pub(super) fn kept(&self) -> usize {
        self.copies.len()
    }

    /// When the newest copy happened.
    pub(super) fn newest_at(&self) -> Option<Timestamp> {
        self.copies.back().map(|copy| copy.at)
    }

    /// Copies within this time before and including the newest.
    pub(super) fn newest_within(&self, length: Milliseconds) -> usize {
        let Some(newest) = self.newest_at() else { return 0 };
        let since = newest - length;
        self.copies.len() - self.copies.partition_point(|copy| copy.at <= since)
    }

    /// It rings: its copies are of no use until it is armed again.
    pub(super) fn ring(&mut self, now: Timestamp) {
        self.rang_at = Some(now);
        self.copies = VecDeque::new();
        self.forgotten = 0;
    }
}
