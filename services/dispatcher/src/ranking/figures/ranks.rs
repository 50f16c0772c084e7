//! What figures make of the ranks of cases.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tocsin_casework::{Ranks, Team};

use super::{Figures, LOOK_AGAIN, SPARE_AGE_MAX};

/// So many families are ranked before others may look at figures again: some milliseconds.
const RANKED_AT_ONCE: usize = 256;

impl Figures {
    /// Ranks anew the families whose figures moved, those with a new case, and those that stood still for a while, at most [`RANKED_AT_ONCE`]; whether others are
    /// left. Claims wait for the ranks, so these are held for one family at a time, and not while its priority is made.
    pub(crate) fn rank(&mut self, ranks: &Mutex<Ranks>, at: Instant) -> bool {
        let ranks = || ranks.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((at, family)) = self.due.first().copied().filter(|(at, _)| *at <= self.now) {
            self.due.remove(&(at, family));
            self.due_at.remove(&family);
            self.changed.insert(family);
        }
        self.changed.append(&mut ranks().take_untold());
        for _ in 0..RANKED_AT_ONCE {
            let Some(family) = &self.changed.pop_first() else {
                break;
            };
            if let Some(due) = self.due_at.remove(family) {
                self.due.remove(&(due, *family));
            }
            let asked = ranks().asked_of(*family);
            if asked.is_empty() {
                if !self.is_kept(*family) {
                    self.spare(*family, at);
                }
                continue;
            }
            self.take_back(*family);
            let teams: BTreeSet<Team> = asked.iter().map(|(team, _)| *team).collect();
            for team in teams {
                self.observe(*family, team);
            }
            let priorities = asked.into_iter().map(|(team, verdict)| {
                let priority = self.priority(*family, team, verdict);
                ((team, verdict), priority)
            });
            let priorities: Vec<_> = priorities.collect();
            // A case that came meanwhile is untold, and asked about next time.
            ranks().set_live(*family, |team, verdict| {
                let told = priorities.iter().find(|(asked, _)| *asked == (team, verdict));
                told.and_then(|(_, priority)| *priority)
            });
            if self.members.contains_key(family) {
                let due = self.now + LOOK_AGAIN;
                self.due.insert((due, *family));
                self.due_at.insert(*family, due);
            }
        }
        let is_old = |since: &Instant| at.saturating_duration_since(*since) > SPARE_AGE_MAX;
        while self.spare_order.keys().next().is_some_and(|(since, _)| is_old(since)) {
            self.drop_longest_spare();
        }
        !self.changed.is_empty()
    }
}
