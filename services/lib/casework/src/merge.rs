use tocsin_model::{KeyId, Timestamp, Verdict};

use crate::case::{Case, CaseId, Dispute, Merged, Resting};
use crate::ruling::CaseDecision;

/// What became of two cases of a team when the family of the one joined that of the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merging {
    /// They are one.
    Done(MergeEffects),
    /// A decision of one of them can still be taken back: again when it is out.
    DecisionHeld,
}

/// What a merge did beside making one case of two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergeEffects {
    /// Their decisions differ: a person has to say which holds.
    pub is_disputed: bool,
    /// The decision of the merged case is now that of the remaining one, which had none and was closed: it is to be told of the remaining family
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
    /// back, disputed until a person decides.
    ///
    /// The two must be of one team, different, and not merged before; else nothing changes and nothing is held.
    pub fn take_in(&mut self, other: &mut Case, said_at: Timestamp, now: Timestamp) -> Merging {
        debug_assert!(
            self.team == other.team && self.id != other.id && self.merged.is_none() && other.merged.is_none()
        );
        if self.undo_until(now).is_some() || other.undo_until(now).is_some() {
            return Merging::DecisionHeld;
        }
        let in_hand = other.resting == Resting::Open && other.is_in_hand(now);
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
        let carried = self.take_rest(other, in_hand, now);
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
        self.first_seen = self.first_seen.min(other.first_seen);
        self.first_alert_at = self.first_alert_at.min(other.first_alert_at);
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
    fn take_rest(&mut self, other: &Case, in_hand: bool, now: Timestamp) -> Option<CaseDecision> {
        match (self.resting, other.resting) {
            (Resting::Decided, Resting::Open) if in_hand => {
                self.come_back(now);
                self.desk = other.desk;
                self.held_until = other.held_until;
                None
            }
            (Resting::Closed, Resting::Open) => {
                self.come_back(now);
                self.desk = other.desk;
                self.held_until = other.held_until;
                None
            }
            (Resting::Closed, Resting::Decided) if self.decision.is_none() => {
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
mod tests {
    //! Goal: of two cases one remains, and nothing that people did with either is lost; what leaves again is what it was.
    #![allow(clippy::unwrap_used)]
    use tocsin_model::{AlertLevel, ContentId, DecisionId, FamilyId, Milliseconds, Scope};

    use super::*;
    use crate::alert_rules::tests::{alert, open};
    use crate::{AlertEffect, By, CaseState, Command, Desk, Draft, Refusal, Ruling, UNREVIEWED_BELOW};

    const ANNA: KeyId = KeyId(1);
    const BEN: KeyId = KeyId(2);
    const LENGTH: Milliseconds = Milliseconds::from_seconds(60);
    const SAID: Timestamp = Timestamp(500);
    const NOW: Timestamp = Timestamp(1_000);

    fn another() -> Case {
        Case {
            id: CaseId(2),
            family: FamilyId(ContentId(2)),
            ..open()
        }
    }

    fn act(case: &mut Case, who: KeyId, command: &Command) {
        let by = By {
            who,
            fencing: case.fencing,
            version: None,
        };
        case.apply(by, command, NOW).unwrap();
    }

    fn claim(case: &mut Case, who: KeyId) {
        act(case, who, &Command::Claim { length: LENGTH });
    }

    fn decide(case: &mut Case, verdict: Verdict) {
        claim(case, ANNA);
        let decide = Command::Decide {
            id: DecisionId(case.id.0 * 100 + u128::from(case.fencing)),
            ruling: Ruling::of(verdict, "why"),
            undo_for: Milliseconds(0),
        };
        act(case, ANNA, &decide);
    }

    fn merge(one: &mut Case, two: &mut Case) -> MergeEffects {
        match one.take_in(two, SAID, NOW) {
            Merging::Done(effects) => effects,
            Merging::DecisionHeld => panic!("a decision is held"),
        }
    }

    #[test]
    fn what_two_cases_come_to() {
        use Resting::{Closed, Decided, Open};
        use Verdict::{Benign, Violating};
        type Rests = (Resting, Option<Verdict>);
        let make = |(resting, verdict): Rests, mut case: Case| {
            if let Some(verdict) = verdict {
                decide(&mut case, verdict);
            }
            Case { resting, ..case }
        };
        let (open, closed) = ((Open, None), (Closed, None));
        let (bad, good, again) = (
            (Decided, Some(Violating)),
            (Decided, Some(Benign)),
            (Open, Some(Violating)),
        );
        let cases: [(Rests, Rests, Rests, bool); 12] = [
            (open, open, open, false),
            (open, closed, open, false),
            (open, bad, open, false),
            (closed, open, open, false),
            (closed, closed, closed, false),
            (closed, bad, bad, false),
            (bad, open, bad, false),
            (bad, closed, bad, false),
            (bad, bad, bad, false),
            (bad, good, again, true),
            (again, good, again, true),
            // It came back for a new wave: a person has to look.
            (bad, again, again, false),
        ];
        for (one, two, expected, disputed) in cases {
            let (mut remaining, mut joined) = (make(one, self::open()), make(two, another()));
            let effects = merge(&mut remaining, &mut joined);
            let rests = (
                remaining.resting,
                remaining.decision.as_ref().map(|made| made.ruling.verdict),
            );
            assert_eq!(rests, expected, "{one:?} {two:?}");
            assert_eq!((effects.is_disputed, remaining.is_disputed()), (disputed, disputed));
            assert_eq!(effects.carried.is_some(), one == closed && two == bad);
            assert_eq!(joined.state(NOW), CaseState::Merged);
            assert_eq!(joined.merged_into(), Some(remaining.id));
            assert_eq!(joined.decision.as_ref().map(|made| made.ruling.verdict), two.1);
            assert!(!joined.is_waiting(NOW) && joined.standing().waits_from.is_none());
            let nothing = joined.apply(
                By {
                    who: ANNA,
                    fencing: 9,
                    version: None,
                },
                &Command::Claim { length: LENGTH },
                NOW,
            );
            assert_eq!(nothing, Err(Refusal::Merged(remaining.id)));
        }
    }

    #[test]
    fn one_holder_keeps_what_remains_and_drafts_are_kept() {
        let draft = |text: &str| {
            Command::SaveDraft(Draft {
                rationale: text.to_owned(),
                ..Draft::default()
            })
        };
        let written = |case: &Case| case.draft.as_ref().map(|draft| draft.rationale.clone());
        // Nobody holds the one that remains: the holder of the other does, under a number that was never given.
        let (mut one, mut two) = (open(), another());
        claim(&mut one, BEN);
        act(&mut one, BEN, &Command::Release { note: String::new() });
        claim(&mut two, ANNA);
        act(&mut two, ANNA, &draft("hers"));
        assert_eq!(merge(&mut one, &mut two).lease, MergedLease::Moved(ANNA));
        assert_eq!(
            (one.live_lease(NOW).unwrap().holder, one.fencing, written(&one)),
            (ANNA, 2, Some("hers".into()))
        );
        act(&mut one, ANNA, &draft("more"));

        // Two people hold both.
        let (mut one, mut two) = (open(), another());
        claim(&mut one, BEN);
        act(&mut one, BEN, &draft("his"));
        claim(&mut two, ANNA);
        act(&mut two, ANNA, &draft("hers"));
        assert_eq!(merge(&mut one, &mut two).lease, MergedLease::Ended(ANNA));
        assert_eq!((one.live_lease(NOW).unwrap().holder, one.fencing), (BEN, 1));
        assert_eq!(
            (written(&one), written(&two)),
            (Some("his".into()), Some("hers".into()))
        );
        act(&mut one, BEN, &draft("goes on"));
        let hers = two.apply(
            By {
                who: ANNA,
                fencing: 1,
                version: None,
            },
            &draft("lost?"),
            NOW,
        );
        assert_eq!(hers, Err(Refusal::Merged(one.id)));
    }

    #[test]
    fn what_somebody_works_on_is_not_decided_away() {
        let (mut one, mut two) = (open(), another());
        decide(&mut one, Verdict::Violating);
        claim(&mut two, BEN);
        let escalate = Command::Escalate {
            to: Desk::Legal,
            note: "why".to_owned(),
        };
        act(&mut two, BEN, &escalate);
        merge(&mut one, &mut two);
        assert_eq!((one.state(NOW), one.desk), (CaseState::Open, Desk::Legal));
        assert_eq!(one.verdict(), Some(Verdict::Violating));
    }

    #[test]
    fn a_dispute_lasts_until_a_person_decides_also_when_they_take_it_back() {
        let (mut one, mut two) = (open(), another());
        decide(&mut one, Verdict::Benign);
        decide(&mut two, Verdict::Violating);
        assert!(merge(&mut one, &mut two).is_disputed);
        assert_eq!(
            (one.state(NOW), one.verdict()),
            (CaseState::Open, Some(Verdict::Disputed))
        );
        claim(&mut one, BEN);
        let decide = Command::Decide {
            id: DecisionId(9),
            ruling: Ruling::of(Verdict::Benign, "after all"),
            undo_for: LENGTH,
        };
        act(&mut one, BEN, &decide);
        assert_eq!((one.is_disputed(), one.verdict()), (false, Some(Verdict::Benign)));
        let withdraw = Command::Withdraw {
            decision: DecisionId(9),
            length: LENGTH,
        };
        act(&mut one, BEN, &withdraw);
        assert!(one.is_disputed() && one.resting == Resting::Open);
    }

    #[test]
    fn a_dispute_ends_with_a_decision_under_the_lease_that_was_held_when_it_began() {
        let (mut one, mut two) = (open(), another());
        decide(&mut one, Verdict::Benign);
        decide(&mut two, Verdict::Violating);
        claim(&mut one, BEN);
        assert!(merge(&mut one, &mut two).is_disputed && one.is_disputed());
        let decide = Command::Decide {
            id: DecisionId(9),
            ruling: Ruling::of(Verdict::Violating, "he looked again"),
            undo_for: Milliseconds(0),
        };
        act(&mut one, BEN, &decide);
        assert!(!one.is_disputed() && one.resting == Resting::Decided);
    }

    #[test]
    fn a_decision_that_can_be_taken_back_keeps_them_apart() {
        let (mut one, mut two) = (open(), another());
        claim(&mut two, ANNA);
        let decide = Command::Decide {
            id: DecisionId(9),
            ruling: Ruling::of(Verdict::Benign, ""),
            undo_for: LENGTH,
        };
        act(&mut two, ANNA, &decide);
        let before = (one.clone(), two.clone());
        assert_eq!(one.take_in(&mut two, SAID, NOW), Merging::DecisionHeld);
        assert_eq!((&one, &two), (&before.0, &before.1));
        assert!(matches!(one.take_in(&mut two, SAID, NOW + LENGTH), Merging::Done(_)));
    }

    #[test]
    fn what_leaves_is_what_it_was_and_waits_if_it_rings() {
        let later = NOW + LENGTH;
        for (resting, rings, expected) in [
            (Resting::Open, false, Resting::Open),
            (Resting::Open, true, Resting::Open),
            (Resting::Closed, false, Resting::Closed),
            (Resting::Closed, true, Resting::Open),
            (Resting::Decided, true, Resting::Decided),
        ] {
            let (mut one, mut two) = (open(), another());
            if resting == Resting::Decided {
                decide(&mut two, Verdict::Violating);
            }
            two.resting = resting;
            merge(&mut one, &mut two);
            // What is said of the family meanwhile is kept, and changes nothing that people see.
            let level = if rings {
                AlertLevel::Escalated
            } else {
                AlertLevel::Subsided
            };
            let said = tocsin_model::Alert {
                priority: UNREVIEWED_BELOW,
                ..alert(Scope::All, level, 1, 30)
            };
            assert_eq!(two.apply_alert(&said, UNREVIEWED_BELOW, NOW), AlertEffect::Updated);
            assert_eq!(two.state(NOW), CaseState::Merged);
            assert!(two.split_off(SAID, later) && !two.split_off(SAID, later));
            assert_eq!(two.resting, expected, "{resting:?} {rings}");
            assert_eq!(two.said_at, Some(SAID));
            assert_eq!(two.waiting_since == later, expected == Resting::Open);
        }
    }
}
