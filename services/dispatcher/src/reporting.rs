//! How many reports are made at a time: each reads for a while, and one team must not keep the others from theirs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tocsin_casework::Team;

/// So many are made at a time, of different teams.
pub(crate) const REPORTS_MAX: usize = 2;

/// The teams for which something is read just now.
#[derive(Debug, Default)]
pub(crate) struct Reporting(Mutex<BTreeSet<Team>>);

/// A report that is made. Its place is free when it is dropped.
#[derive(Debug)]
pub(crate) struct Made {
    of: Arc<Reporting>,
    team: Team,
}

impl Reporting {
    /// A place for a report of this team; `None` while one of it is made, or [`REPORTS_MAX`] of others are.
    pub(crate) fn begin(self: &Arc<Reporting>, team: Team) -> Option<Made> {
        let mut teams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if teams.len() >= REPORTS_MAX || !teams.insert(team) {
            return None;
        }
        Some(Made {
            of: Arc::clone(self),
            team,
        })
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let mut teams = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        teams.remove(&self.team);
    }
}

#[cfg(test)]
mod tests {
    use tocsin_model::PartyId;

    use super::*;

    #[test]
    fn a_team_has_one_place_and_leaves_it() {
        let reporting: Arc<Reporting> = Arc::default();
        let [one, two, three] = [1, 2, 3].map(|party| Team::Party(PartyId(party)));
        let first = reporting.begin(one);
        assert!(first.is_some() && reporting.begin(one).is_none(), "one of a team");
        let second = reporting.begin(two);
        assert!(second.is_some() && reporting.begin(three).is_none(), "two of all");
        drop(first);
        assert!(reporting.begin(three).is_some());
        drop(second);
        assert!(reporting.begin(two).is_some());
    }
}
