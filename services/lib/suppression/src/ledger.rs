use std::collections::BTreeMap;

use tocsin_model::Timestamp;

/// The grid on which what is told to others changes, in milliseconds.
pub const MINUTE_MS: i64 = 60_000;

/// How much a [`Ledger`] holds, and how often what it tells may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerLimits {
    /// The most subjects at a time. Of further ones only the coarsest answer is given.
    pub subjects_max: usize,
    /// How many differing figures of a subject may be told one minute after the other, the first among them.
    pub differing_max: u32,
    /// After how many minutes one more may be told.
    pub minutes_for_one_more: u32,
}

/// What was told last of each subject, to all readers who are told the same.
///
/// A subject's figures are taken up at the first question of a minute of the clock and stay until the next minute, whoever asks. Each time they differ
/// from those before one of the subject's budget is spent; when nothing is left of it, the last ones stay, with their time, until there is. A subject
/// whose budget is whole again is forgotten when room is needed.
#[derive(Debug)]
pub struct Ledger<K, V> {
    limits: LedgerLimits,
    subjects: BTreeMap<K, Subject<V>>,
    /// The minute in which room was last looked for.
    swept: i64,
}

/// Figures, and up to when they count everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told<V> {
    /// The figures.
    pub figures: V,
    /// Their time.
    pub as_of: Timestamp,
}

#[derive(Debug)]
struct Subject<V> {
    told: Told<V>,
    /// The minute in which they were taken up.
    minute: i64,
    /// How many more differing ones may be told.
    left: u32,
    /// Up to which minute `left` was made up.
    counted_to: i64,
}

impl LedgerLimits {
    /// What the services use: 20 differing figures minute by minute, then one every two minutes.
    pub const SHIPPED: LedgerLimits = LedgerLimits {
        subjects_max: 65_536,
        differing_max: 20,
        minutes_for_one_more: 2,
    };
}

impl<K: Ord, V: Clone + PartialEq> Ledger<K, V> {
    /// An empty one.
    pub fn new(limits: LedgerLimits) -> Self {
        Ledger {
            limits,
            subjects: BTreeMap::new(),
            swept: i64::MIN,
        }
    }

    /// What is told of a subject at a time of the clock, where `fresh` is what is known now. `None` when the ledger is full: only the coarsest answer may
    /// be given.
    pub fn tell(&mut self, key: K, now_ms: i64, fresh: Told<V>) -> Option<Told<V>> {
        let minute = now_ms.div_euclid(MINUTE_MS);
        let limits = self.limits;
        if let Some(subject) = self.subjects.get_mut(&key) {
            if minute > subject.minute {
                subject.turn(minute, fresh, limits);
            }
            return Some(subject.told.clone());
        }
        if self.subjects.len() >= limits.subjects_max && !self.make_room(minute) {
            return None;
        }
        let subject = Subject {
            told: fresh.clone(),
            minute,
            left: limits.differing_max.saturating_sub(1),
            counted_to: minute,
        };
        self.subjects.insert(key, subject);
        Some(fresh)
    }

    /// How many subjects are held.
    pub fn len(&self) -> usize {
        self.subjects.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// Forgets those of which a minute later nothing would be known but their last figures. Looks at all of them, so at most once a minute.
    fn make_room(&mut self, minute: i64) -> bool {
        if self.swept >= minute {
            return false;
        }
        self.swept = minute;
        let limits = self.limits;
        self.subjects.retain(|_, subject| {
            subject.make_up(minute, limits);
            subject.minute >= minute || subject.left < limits.differing_max
        });
        self.subjects.len() < limits.subjects_max
    }
}

impl<V: Clone + PartialEq> Subject<V> {
    /// A later minute began.
    fn turn(&mut self, minute: i64, fresh: Told<V>, limits: LedgerLimits) {
        self.minute = minute;
        self.make_up(minute, limits);
        if fresh.figures != self.told.figures {
            let Some(left) = self.left.checked_sub(1) else {
                return;
            };
            self.left = left;
        }
        self.told = fresh;
    }

    /// Adds to the budget what time gave back.
    fn make_up(&mut self, minute: i64, limits: LedgerLimits) {
        let every = i64::from(limits.minutes_for_one_more.max(1));
        let more = minute.saturating_sub(self.counted_to).max(0) / every;
        self.counted_to = self.counted_to.saturating_add(more.saturating_mul(every));
        self.left = u32::try_from(more)
            .unwrap_or(u32::MAX)
            .saturating_add(self.left)
            .min(limits.differing_max);
    }
}

#[cfg(test)]
mod tests {
    //! Goal: figures change at whole minutes, as often as the budget says, of as many subjects as there is room for.
    #![allow(clippy::unwrap_used)]

    use super::*;

    const LIMITS: LedgerLimits = LedgerLimits {
        subjects_max: 2,
        differing_max: 3,
        minutes_for_one_more: 2,
    };

    fn told(figures: u32, at: i64) -> Told<u32> {
        Told {
            figures,
            as_of: Timestamp(at),
        }
    }

    #[test]
    fn figures_stay_until_the_minute_is_over() {
        let mut ledger = Ledger::new(LIMITS);
        assert_eq!(ledger.tell('a', 59_000, told(1, 58_000)), Some(told(1, 58_000)));
        assert_eq!(ledger.tell('a', 59_999, told(2, 59_900)), Some(told(1, 58_000)));
        assert_eq!(ledger.tell('a', 60_000, told(2, 60_000)), Some(told(2, 60_000)));
        let set_back = ledger.tell('a', 10_000, told(3, 61_000));
        assert_eq!(
            set_back,
            Some(told(2, 60_000)),
            "a clock that is set back turns no minute"
        );
    }

    #[test]
    fn differing_figures_cost_and_equal_ones_do_not() {
        let mut ledger = Ledger::new(LIMITS);
        let mut at = |minute: i64, figures| ledger.tell('a', minute * MINUTE_MS, told(figures, minute)).unwrap();
        assert_eq!(at(0, 1), told(1, 0));
        assert_eq!(at(1, 1), told(1, 1), "as they were: known up to a later time");
        assert_eq!(at(2, 2), told(2, 2));
        assert_eq!(at(3, 3), told(3, 3));
        assert_eq!(at(4, 4), told(4, 4));
        assert_eq!(at(5, 5), told(5, 5));
        assert_eq!(at(6, 6), told(6, 6));
        assert_eq!(at(7, 7), told(6, 6), "spent: the last ones stay, with their time");
        assert_eq!(at(8, 7), told(7, 8), "one more every two minutes");
        assert_eq!(at(9, 8), told(7, 8));
        let much_later = (1_000..1_008).map(|minute| at(minute, minute as u32).as_of.0 - 1_000);
        assert_eq!(much_later.collect::<Vec<_>>(), [0, 1, 2, 3, 4, 4, 6, 6]);
    }

    #[test]
    fn a_full_ledger_tells_nothing_of_others_until_a_budget_is_whole() {
        let mut ledger = Ledger::new(LIMITS);
        let mut at = |key, minute: i64| ledger.tell(key, minute * MINUTE_MS, told(1, minute)).is_some();
        assert!(at('a', 0) && at('b', 0));
        assert!(!at('c', 0) && !at('c', 1), "their budgets are not whole");
        assert!(at('a', 1), "who is in it is told");
        assert!(at('c', 2), "b made room, and a");
        assert!(at('d', 2) && !at('e', 2));
        assert_eq!(ledger.len(), 2);
    }
}
