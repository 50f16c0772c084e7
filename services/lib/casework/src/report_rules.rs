use tocsin_model::Timestamp;

use crate::case::{Case, Resting};

impl Case {
    /// What a report in a tool of the team's does to its case.
    ///
    /// It brings back a case that was closed unreviewed, and nothing else: what was decided stays so, for the decision is about every copy, and a case that
    /// was put aside stays aside, for anybody may report. What somebody has in hand is of the version that they read.
    pub fn take_report(&mut self, now: Timestamp) {
        if self.resting == Resting::Closed {
            self.resting = Resting::Open;
            self.waiting_since = now;
            self.version += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a report calls for a person where nobody looked, and undoes nothing that somebody did.

    use tocsin_model::{Algorithm, ContentHash, ContentId, FamilyId, Milliseconds};

    use super::*;
    use crate::{CaseId, Team};

    #[test]
    fn a_report_brings_back_what_nobody_reviewed() {
        let hash = ContentHash::from_bytes(Algorithm::Sha256, vec![7; 32], None).expect("32 bytes");
        let later = Timestamp(7) + Milliseconds::from_minutes(1);
        for (resting, expected) in [
            (Resting::Open, Resting::Open),
            (Resting::Decided, Resting::Decided),
            (Resting::Closed, Resting::Open),
        ] {
            let opened = Case::open_silent(
                CaseId(1),
                Team::Coordinators,
                (FamilyId(ContentId(1)), &hash),
                Timestamp(7),
            );
            let held_until = Some(later);
            let mut case = Case {
                resting,
                held_until,
                ..opened
            };
            case.take_report(later);
            assert_eq!((case.resting, case.held_until), (expected, held_until));
            let came_back = resting == Resting::Closed;
            assert_eq!(
                (case.waiting_since == later, case.version),
                (came_back, 1 + u64::from(came_back))
            );
        }
    }
}
