use std::collections::{HashMap, HashSet, VecDeque};

use tocsin_model::{Milliseconds, Timestamp};

use super::REARMED_AFTER;
use super::mixed::MixedState;
use crate::day::{Family, Occurrence};

/// Numbers are remembered between one and two of these.
const REMEMBERED: Milliseconds = Milliseconds::from_hours(2);
/// How often families are looked through for what can be forgotten.
const PRUNED_EVERY: Milliseconds = Milliseconds::from_minutes(10);

/// The times of copies of all families, exact, as far back as a detector looks.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// How far back times are kept.
    looks_back: Milliseconds,
    families: HashMap<Family, Watched, MixedState>,
    numbers: HashSet<u64, MixedState>,
    numbers_before: HashSet<u64, MixedState>,
    numbers_turn_at: Timestamp,
    prune_at: Timestamp,
}

/// One family.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    /// Times of copies, ascending, as far back as is looked.
    pub(super) times: VecDeque<Timestamp>,
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
            numbers: HashSet::default(),
            numbers_before: HashSet::default(),
            numbers_turn_at: Timestamp::MIN,
            prune_at: Timestamp::MIN,
        }
    }

    /// Takes a copy in. The family, unless there is nothing to be asked: no copy, a duplicate, or a family that has rung.
    pub(super) fn take_in(&mut self, occurrence: &Occurrence) -> Option<&mut Watched> {
        let now = occurrence.received_at;
        self.turn(now);
        self.prune(now);
        if !occurrence.kind.is_spread()
            || self.numbers_before.contains(&occurrence.number)
            || !self.numbers.insert(occurrence.number)
        {
            return None;
        }
        let at = occurrence.happened_at;
        let watched = self.families.entry(occurrence.family).or_insert(Watched {
            times: VecDeque::new(),
            forgotten: 0,
            first_at: at,
            rang_at: None,
        });
        if watched.rang_at.is_some_and(|rang_at| now - rang_at < REARMED_AFTER) {
            return None;
        }
        watched.rang_at = None;
        watched.insert(at);
        watched.forget(now - self.looks_back);
        Some(watched)
    }

    /// Families whose times are kept, or which have rung.
    #[cfg(test)]
    pub(super) fn families(&self) -> usize {
        self.families.len()
    }

    fn turn(&mut self, now: Timestamp) {
        if now >= self.numbers_turn_at {
            self.numbers_before = std::mem::take(&mut self.numbers);
            self.numbers_turn_at = now + REMEMBERED;
        }
    }

    fn prune(&mut self, now: Timestamp) {
        if now < self.prune_at {
            return;
        }
        self.prune_at = now + PRUNED_EVERY;
        let since = now - self.looks_back;
        self.families.retain(|_, watched| {
            watched.forget(since);
            let rang = watched.rang_at.is_some_and(|rang_at| now - rang_at < REARMED_AFTER);
            // A past is worth keeping for a day, if it is more than one copy.
            let has_past = watched.forgotten > 1 && now - watched.first_at < REARMED_AFTER + REARMED_AFTER;
            rang || !watched.times.is_empty() || has_past
        });
    }
}

impl Watched {
    /// Most come in order.
    fn insert(&mut self, at: Timestamp) {
        if self.times.back().is_none_or(|last| *last <= at) {
            self.times.push_back(at);
        } else {
            let place = self.times.partition_point(|time| *time <= at);
            self.times.insert(place, at);
        }
    }

    fn forget(&mut self, since: Timestamp) {
        while self.times.front().is_some_and(|time| *time < since) {
            self.times.pop_front();
            self.forgotten += 1;
        }
    }

    /// Copies within this time before and including the newest.
    pub(super) fn newest_within(&self, length: Milliseconds) -> usize {
        let Some(newest) = self.times.back() else { return 0 };
        let since = *newest - length;
        self.times.len() - self.times.partition_point(|time| *time <= since)
    }

    /// It rings: its times are of no use until it is armed again.
    pub(super) fn ring(&mut self, now: Timestamp) {
        self.rang_at = Some(now);
        self.times = VecDeque::new();
        self.forgotten = 0;
    }
}
