use tocsin_model::{FamilyId, KeyId, Milliseconds, Timestamp, Verdict};

use crate::case::{Case, CaseId, Desk, Dispute, Episode, Merged, Resting};
use crate::notice::NoticeLoad;
use crate::ruling::CaseDecision;

/// So far the times of two groups may be apart.
const HEIR_SLACK: Milliseconds = Milliseconds::from_minutes(1);

/// What became of two cases of a team when the family of the one joined that of the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merging {
    /// They are one.
    Done(MergeEffects),
    /// A decision of one of them can still be taken back, or somebody waits for the answer to a notice of the one that would go: again when that is over.
    Later,
}

/// What a merge did beside making one case of two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergeEffects {
    /// Their decisions differ: a person has to say which holds.
    pub is_disputed: bool,
    /// The decision of the merged case is now that of the remaining one, which had none: it is to be told of the remaining family
    /// under an identity of its own.
    pub carried: Option<CaseDecision>,
    /// What became of the lease of the merged case.
    pub lease: MergedLease,
}

/// What becomes of the lease of a case that is merged into another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MergedLease {
    /// There was none.
    #[default]
    None,
    /// Its holder holds the remaining case, under the fencing number of that.
    Moved(KeyId),
    /// Somebody else holds the remaining case. This holder is told by the next thing they do.
    Ended(KeyId),
}

impl Case {
    /// Merges another case of the team into this one: its family joined this one's, as a group said at `said_at`.
    ///
    /// Whoever holds one of them holds what remains; where two people hold both, the holder of this case does. A draft that finds one here stays
    /// with the merged case. A family that joins a decided one is decided with it, unless somebody works on it or it came back after a decision.
    /// One that was decided and joins an open one keeps its decision, and a person decides about all. Two decisions that differ bring the case
    /// back, disputed until a person decides. A case that rang only since the family joined, and that nobody has in hand, is that family's under
    /// another name: it takes over what was decided.
    ///
    /// The two must be of one team, different, and not merged before; else nothing changes and nothing is held.
    pub fn take_in(&mut self, other: &mut Case, said_at: Timestamp, now: Timestamp) -> Merging {
        debug_assert!(
            self.team == other.team && self.id != other.id && self.merged.is_none() && other.merged.is_none()
        );
        // Who filed a notice is answered about the case that it named.
        if self.undo_until(now).is_some() || other.undo_until(now).is_some() || other.notices.open > 0 {
            return Merging::Later;
        }
        // Of two groups whose times differ a little, what rang since the family joined may seem to have rung before.
        let rang_since = self.first_alert_at.is_some_and(|at| at >= said_at - HEIR_SLACK);
        let is_heir = rang_since && !self.is_in_hand(now) && self.decision.is_none();
        let in_hand = other.resting == Resting::Open && (other.is_in_hand(now) || other.decision.is_some());
        let lease = self.take_lease(other, now);
        if self.draft.is_none() {
            self.draft.clone_from(&other.draft);
        }
        let both_wait = self.resting == Resting::Open && other.resting == Resting::Open;
        if both_wait {
            self.held_until = self.held_until.zip(other.held_until).map(|(one, two)| one.min(two));
            self.desk = self.desk.max(other.desk);
            self.waiting_since = self.waiting_since.min(other.waiting_since);
        }
        let carried = self.take_rest(other, (in_hand, is_heir), now);
        let is_disputed = match (&self.decision, &other.decision) {
            (Some(mine), Some(theirs)) if mine.ruling.verdict != theirs.ruling.verdict => {
                self.dispute = Some(Dispute { fencing: mine.fencing });
                true
            }
            _ => false,
        };
        if is_disputed && self.resting != Resting::Open {
            self.come_back(now);
        }
        self.priority = self.priority.max(other.priority);
        for platform in &other.noticed_platforms {
            self.note_platform(*platform);
        }
        self.first_seen = earlier(self.first_seen, other.first_seen);
        self.first_alert_at = earlier(self.first_alert_at, other.first_alert_at);
        self.last_alert_at = self.last_alert_at.max(other.last_alert_at);
        self.first_claimed_at = earlier(self.first_claimed_at, other.first_claimed_at);
        if self.decision.is_some() {
            self.first_decided_at = earlier(self.first_decided_at, other.first_decided_at);
        }
        self.version += 1;
        other.merged = Some(Merged { into: self.id, at: now });
        other.said_at = Some(said_at);
        other.version += 1;
        Merging::Done(MergeEffects {
            is_disputed,
            carried,
            lease,
        })
    }

    /// The case that this one goes into where its family joined one of which the team has no case yet: of two families that become one the lower id
    /// stays, also if it is that of a newcomer. It is empty until it takes this one in. `None` where nobody misses it: this one is closed.
    pub fn successor(&self, id: CaseId, family: FamilyId, said_at: Timestamp) -> Option<Case> {
        if self.resting == Resting::Closed {
            return None;
        }
        // The episode that ends because the family joined goes on in the other: that is no new wave.
        let goes_on = |episode: Episode| Episode {
            number: 0,
            going_on: episode.going_on || (episode.number > 0 && episode.told_at >= said_at),
            told_at: Timestamp::MIN,
        };
        Some(Case {
            id,
            family,
            own_episode: goes_on(self.own_episode),
            all_episode: goes_on(self.all_episode),
            version: 1,
            desk: Desk::Moderators,
            held_until: None,
            resting: Resting::Closed,
            fencing: 0,
            lease: None,
            draft: None,
            decision: None,
            undo: None,
            merged: None,
            said_at: None,
            dispute: None,
            notices: NoticeLoad::default(),
            ..self.clone()
        })
    }

    /// The family left the one it had joined, as a group said at `said_at`: its case is on its own again, what it was before. It waits if an
    /// episode of it goes on that nobody decided about. Whether it was merged.
    pub fn split_off(&mut self, said_at: Timestamp, now: Timestamp) -> bool {
        if self.merged.take().is_none() {
            return false;
        }
        self.said_at = Some(said_at);
        self.version += 1;
        let goes_on = self.own_episode.going_on || self.all_episode.going_on;
        match self.resting {
            Resting::Open => self.waiting_since = now,
            Resting::Closed if goes_on => self.come_back(now),
            Resting::Closed | Resting::Decided => {}
        }
        true
    }

    /// The case that it went into went into another, and it belongs to that one alone now, or the other way round: when that leaves, it goes along
    /// with it or stays. Nothing that people see changes.
    pub fn belongs_to(&mut self, into: CaseId, said_at: Timestamp) {
        if let Some(merged) = &mut self.merged {
            merged.into = into;
            self.said_at = Some(said_at);
        }
    }

    /// Whether its decision and that of a case that was merged into it differ, and nobody decided since.
    pub fn is_disputed(&self) -> bool {
        let decided_under = self.decision.as_ref().map(|decision| decision.fencing);
        self.dispute
            .zip(decided_under)
            .is_some_and(|(dispute, fencing)| fencing <= dispute.fencing)
    }

    /// What is known of the verdict: of two that differ neither holds.
    pub fn verdict(&self) -> Option<Verdict> {
        let verdict = self.decision.as_ref().map(|decision| decision.ruling.verdict);
        verdict.map(|verdict| match self.is_disputed() {
            true => Verdict::Disputed,
            false => verdict,
        })
    }

    /// The case that this one went into.
    pub fn merged_into(&self) -> Option<CaseId> {
        self.merged.map(|merged| merged.into)
    }

    fn take_lease(&mut self, other: &mut Case, now: Timestamp) -> MergedLease {
        let (mine, theirs) = (self.live_lease(now), other.live_lease(now));
        other.lease = None;
        match (mine, theirs) {
            (Some(_), None) => MergedLease::None,
            // No number of either is given twice: a decision names the lease it was made under.
            (None, None) => {
                self.fencing = self.fencing.max(other.fencing);
                MergedLease::None
            }
            (None, Some(theirs)) => {
                self.fencing = self.fencing.max(other.fencing) + 1;
                self.lease = Some(theirs);
                self.held_until = None;
                MergedLease::Moved(theirs.holder)
            }
            (Some(mine), Some(theirs)) if mine.holder == theirs.holder => {
                let expires_at = mine.expires_at.max(theirs.expires_at);
                self.lease = Some(crate::Lease { expires_at, ..mine });
                MergedLease::Moved(theirs.holder)
            }
            (Some(_), Some(theirs)) => MergedLease::Ended(theirs.holder),
        }
    }

    /// What it rests in with the other; the decision that it takes over.
    fn take_rest(&mut self, other: &Case, (in_hand, is_heir): (bool, bool), now: Timestamp) -> Option<CaseDecision> {
        match (self.resting, other.resting) {
            (Resting::Decided, Resting::Open) if in_hand => {
                self.come_back(now);
                self.desk = other.desk;
                self.held_until = other.held_until;
                None
            }
            (Resting::Closed, Resting::Open) => {
                self.resting = Resting::Open;
                self.waiting_since = other.waiting_since;
                self.desk = other.desk;
                self.held_until = other.held_until;
                None
            }
            (Resting::Closed | Resting::Open, Resting::Decided)
                if self.decision.is_none() && (is_heir || self.resting == Resting::Closed) =>
            {
                self.resting = Resting::Decided;
                self.decision.clone_from(&other.decision);
                self.decision.clone()
            }
            _ => None,
        }
    }

    fn come_back(&mut self, now: Timestamp) {
        self.resting = Resting::Open;
        self.waiting_since = now;
    }
}

fn earlier(one: Option<Timestamp>, two: Option<Timestamp>) -> Option<Timestamp> {
    [one, two].into_iter().flatten().min()
}

#[cfg(test)]
mod tests;
