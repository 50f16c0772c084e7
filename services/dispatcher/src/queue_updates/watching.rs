use std::collections::BTreeMap;
use std::sync::Arc;

use tocsin_casework::{CaseId, Glance, Team};
use tocsin_model::{AlertId, KeyId, Milliseconds, Timestamp};

use super::{QueueSlot, QueueUpdates, Told, WatchedTeam};
use crate::ranking::Ranking;

/// Whoever holds a case is told when no more than this is left of the lease.
pub(crate) const LEASE_ENDS_WITHIN: Milliseconds = Milliseconds::from_seconds(30);
/// A holder is told of figures when the live priority moves by this part of what it was, or the alert changes.
const FIGURES_MOVE: f64 = 0.1;
/// Of so many cases that one key holds its reader is told figures and the end of leases.
const HELD_MAX: usize = 16;

/// One who watches a queue; dropping it frees its place, and the last of a queue what is kept of it.
pub(crate) struct Watching {
    updates: Arc<QueueUpdates>,
    team: Team,
    key: KeyId,
    _slot: QueueSlot,
    /// The number of the next update.
    next: u64,
    /// What was told of the cases that the key holds.
    told: BTreeMap<CaseId, ToldHeld>,
}

/// What waits for a reader.
pub(crate) enum Taken {
    /// An update.
    Update(Arc<Told>),
    /// Nothing.
    Nothing,
    /// Updates were dropped before they were taken: the next is one that comes from now on.
    Missed,
}

/// Something of a case that the reader holds.
#[derive(Debug, PartialEq)]
pub(crate) enum HeldCase {
    /// Its figures moved.
    Figures(CaseId),
    /// Its lease ends soon.
    LeaseEnds(Box<Glance>, Timestamp),
}

#[derive(Clone, Copy, Debug)]
struct ToldHeld {
    alert: Option<AlertId>,
    priority: f64,
    /// Of the lease that ends then it was told.
    lease_ends: Option<Timestamp>,
}

impl Watching {
    pub(super) fn begin(
        updates: &Arc<QueueUpdates>,
        watched: &mut WatchedTeam,
        (team, key): (Team, KeyId),
        slot: QueueSlot,
    ) -> Watching {
        watched.watchers += 1;
        Watching {
            updates: Arc::clone(updates),
            team,
            key,
            _slot: slot,
            next: QueueUpdates::end(watched),
            told: BTreeMap::new(),
        }
    }

    /// The next update, if one is there.
    pub(crate) fn take(&mut self) -> Taken {
        let teams = self.updates.teams();
        let Some(watched) = teams.get(&self.team) else {
            return Taken::Nothing;
        };
        let Some(place) = self.next.checked_sub(watched.first) else {
            self.next = QueueUpdates::end(watched);
            return Taken::Missed;
        };
        match usize::try_from(place).ok().and_then(|place| watched.updates.get(place)) {
            Some(update) => {
                self.next += 1;
                Taken::Update(Arc::clone(update))
            }
            None => Taken::Nothing,
        }
    }

    /// Whether an update waits.
    pub(crate) fn is_behind(&self) -> bool {
        let teams = self.updates.teams();
        let watched = teams.get(&self.team);
        watched.is_some_and(|watched| self.next < QueueUpdates::end(watched))
    }

    /// What is to be told of the cases that the key holds, each thing once.
    pub(crate) fn held(&mut self, ranking: &Ranking) -> Vec<HeldCase> {
        let (held, now) = {
            let teams = self.updates.teams();
            let Some(watched) = teams.get(&self.team) else {
                return Vec::new();
            };
            let held = watched.board.held_by(self.key, watched.now).take(HELD_MAX);
            (held.cloned().collect::<Vec<Glance>>(), watched.now)
        };
        self.told.retain(|id, _| held.iter().any(|glance| glance.id == *id));
        let mut told = Vec::new();
        for glance in held {
            let priority = ranking.priority(glance.id).unwrap_or(glance.priority);
            let ends = glance.live_lease(now).map(|lease| lease.expires_at);
            // Whoever claimed it was shown what it is.
            let last = self.told.entry(glance.id).or_insert(ToldHeld {
                alert: glance.alert,
                priority,
                lease_ends: None,
            });
            if last.alert != glance.alert || has_moved(last.priority, priority) {
                (last.alert, last.priority) = (glance.alert, priority);
                told.push(HeldCase::Figures(glance.id));
            }
            if let Some(ends) = ends.filter(|ends| *ends - now <= LEASE_ENDS_WITHIN && last.lease_ends != Some(*ends)) {
                last.lease_ends = Some(ends);
                told.push(HeldCase::LeaseEnds(Box::new(glance), now));
            }
        }
        told
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut teams = self.updates.teams();
        if let Some(watched) = teams.get_mut(&self.team) {
            watched.watchers = watched.watchers.saturating_sub(1);
            if watched.watchers == 0 {
                teams.remove(&self.team);
            }
        }
    }
}

fn has_moved(from: f64, to: f64) -> bool {
    (to - from).abs() > FIGURES_MOVE * from.abs().max(1.0)
}
