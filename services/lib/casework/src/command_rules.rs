use tocsin_model::{DecisionId, KeyId, Milliseconds, RecommendedAction, Timestamp};

use crate::case::{Case, Desk, Draft, Lease, Resting, Undo};
use crate::command::{By, Command, Event, Refusal};
use crate::ruling::{CaseDecision, Ruling, check_text};

/// The shortest lease.
pub const LEASE_MIN: Milliseconds = Milliseconds::from_seconds(1);
/// The longest lease.
pub const LEASE_MAX: Milliseconds = Milliseconds::from_hours(1);
/// The shortest time for which a case is put aside.
pub const HOLD_MIN: Milliseconds = Milliseconds::from_minutes(1);
/// The longest time for which a case is put aside.
pub const HOLD_MAX: Milliseconds = Milliseconds::from_hours(7 * 24);
/// The longest note or reason, in bytes of UTF-8.
pub const NOTE_BYTES_MAX: usize = 2_048;

impl Case {
    /// What a person's command does to the case. A refused one changes nothing.
    ///
    /// A decided case may be claimed too, to decide again. Everything but claiming and taking back needs the lease.
    ///
    /// # Errors
    /// The first of: the case went into another, it is of another version, what was said is malformed, the lease does not hold, the case is not in the state for it.
    pub fn apply(&mut self, by: By, command: &Command, now: Timestamp) -> Result<Event, Refusal> {
        if let Some(into) = self.merged_into() {
            return Err(Refusal::Merged(into));
        }
        if by.version.is_some_and(|version| version != self.version) {
            // The answer to a decision may have been lost: saying it again is no change.
            return match command {
                Command::Decide { ruling, .. } if self.is_decided_so(by, &ruling.checked()?) => {
                    Ok(Event::DecidedBefore)
                }
                _ => Err(Refusal::VersionStale),
            };
        }
        let event = match command {
            Command::Claim { length } => self.claim(by.who, *length, now),
            Command::Renew { length } => self.renew(by, *length, now),
            Command::Release { note } => self.release(by, note, now),
            Command::HandOver { to, length, note } => self.hand_over(by, (*to, *length), note, now),
            Command::Escalate { to, note } => self.escalate(by, *to, note, now),
            Command::Hold { length, reason } => self.hold(by, *length, reason, now),
            Command::Skip { reason } => self.skip(by, reason, now),
            Command::SaveDraft(draft) => self.save_draft(by, draft, now),
            Command::Decide { id, ruling, undo_for } => self.decide(by, *id, (ruling, *undo_for), now),
            Command::Withdraw { decision, length } => self.withdraw(by.who, *decision, *length, now),
        }?;
        // A renewed lease takes nothing from under anybody's eyes.
        if !matches!(event, Event::Renewed | Event::DecidedBefore) {
            self.version += 1;
        }
        Ok(event)
    }

    fn claim(&mut self, who: KeyId, length: Milliseconds, now: Timestamp) -> Result<Event, Refusal> {
        check_lease(length)?;
        if self.live_lease(now).is_some() {
            return Err(Refusal::Claimed);
        }
        if self.resting == Resting::Closed {
            return Err(Refusal::Closed);
        }
        if self.undo_until(now).is_some() {
            return Err(Refusal::DecisionHeld);
        }
        self.lend(who, length, now);
        self.first_claimed_at.get_or_insert(now);
        Ok(Event::Claimed)
    }

    fn renew(&mut self, by: By, length: Milliseconds, now: Timestamp) -> Result<Event, Refusal> {
        check_lease(length)?;
        let lease = self.held(by, now)?;
        self.lease = Some(Lease {
            expires_at: now + length,
            ..lease
        });
        Ok(Event::Renewed)
    }

    fn release(&mut self, by: By, note: &str, now: Timestamp) -> Result<Event, Refusal> {
        check_note(note)?;
        self.held(by, now)?;
        self.lease = None;
        Ok(Event::Released { note: note.to_owned() })
    }

    fn hand_over(
        &mut self,
        by: By,
        (to, length): (KeyId, Milliseconds),
        note: &str,
        now: Timestamp,
    ) -> Result<Event, Refusal> {
        check_lease(length)?;
        let note = needed_note(note)?;
        self.held(by, now)?;
        self.lend(to, length, now);
        Ok(Event::HandedOver { to, note })
    }

    fn escalate(&mut self, by: By, to: Desk, note: &str, now: Timestamp) -> Result<Event, Refusal> {
        let note = needed_note(note)?;
        self.held(by, now)?;
        self.lease = None;
        self.desk = to;
        Ok(Event::Escalated { to, note })
    }

    fn hold(&mut self, by: By, length: Milliseconds, reason: &str, now: Timestamp) -> Result<Event, Refusal> {
        if !(HOLD_MIN..=HOLD_MAX).contains(&length) {
            return Err(Refusal::HoldLength);
        }
        let reason = needed_note(reason)?;
        self.held(by, now)?;
        self.lease = None;
        self.held_until = Some(now + length);
        Ok(Event::Held { reason })
    }

    fn skip(&mut self, by: By, reason: &str, now: Timestamp) -> Result<Event, Refusal> {
        let reason = needed_note(reason)?;
        self.held(by, now)?;
        self.lease = None;
        Ok(Event::Skipped { reason })
    }

    fn save_draft(&mut self, by: By, draft: &Draft, now: Timestamp) -> Result<Event, Refusal> {
        check_text(&draft.rationale, &draft.grounds)?;
        self.held(by, now)?;
        self.draft = Some(draft.clone());
        Ok(Event::DraftSaved)
    }

    fn decide(
        &mut self,
        by: By,
        id: DecisionId,
        (ruling, undo_for): (&Ruling, Milliseconds),
        now: Timestamp,
    ) -> Result<Event, Refusal> {
        let ruling = ruling.checked()?;
        if self.is_decided_so(by, &ruling) {
            return Ok(Event::DecidedBefore);
        }
        if ruling.grounds.action == Some(RecommendedAction::StopStream) && !self.is_live() {
            return Err(Refusal::NotLive);
        }
        self.held(by, now)?;
        let decision = CaseDecision {
            id,
            ruling,
            decided_by: by.who,
            decided_at: now,
            fencing: by.fencing,
        };
        let before = self.decision.replace(decision.clone());
        self.undo = (undo_for > Milliseconds(0)).then_some(Undo {
            until: now + undo_for,
            resting: self.resting,
            desk: self.desk,
            decision: before,
        });
        self.lease = None;
        self.held_until = None;
        self.draft = None;
        self.desk = Desk::Moderators;
        self.resting = Resting::Decided;
        self.first_decided_at.get_or_insert(now);
        Ok(Event::Decided(decision))
    }

    /// What was decided becomes the draft, so that little has to be said again.
    fn withdraw(
        &mut self,
        who: KeyId,
        decision: DecisionId,
        length: Milliseconds,
        now: Timestamp,
    ) -> Result<Event, Refusal> {
        check_lease(length)?;
        let standing = self
            .decision
            .as_ref()
            .filter(|made| made.id == decision && made.decided_by == who);
        let withdrawn = standing.ok_or(Refusal::NoSuchDecision)?.ruling.clone();
        let undo = self
            .undo
            .take_if(|undo| now < undo.until)
            .ok_or(Refusal::DecisionFinal)?;
        // A wave that began meanwhile opened it already.
        if self.resting == Resting::Decided {
            self.resting = undo.resting;
        }
        self.desk = undo.desk;
        self.decision = undo.decision;
        if self.decision.is_none() {
            self.first_decided_at = None;
        }
        self.draft = Some(Draft {
            verdict: Some(withdrawn.verdict),
            grounds: withdrawn.grounds,
            rationale: withdrawn.rationale,
        });
        self.lend(who, length, now);
        Ok(Event::Withdrawn(decision))
    }

    /// Ends the lease of a key that may no longer act; whether it had one.
    pub fn revoke(&mut self, who: KeyId) -> bool {
        let had = self.lease.take_if(|lease| lease.holder == who).is_some();
        self.version += u64::from(had);
        had
    }

    fn lend(&mut self, to: KeyId, length: Milliseconds, now: Timestamp) {
        self.fencing += 1;
        self.held_until = None;
        self.lease = Some(Lease {
            holder: to,
            expires_at: now + length,
        });
    }

    fn is_decided_so(&self, by: By, ruling: &Ruling) -> bool {
        self.decision.as_ref().is_some_and(|before| {
            (before.decided_by, before.fencing) == (by.who, by.fencing) && before.ruling == *ruling
        })
    }

    /// The lease, if it is this holder's, has this number and is not over.
    fn held(&self, by: By, now: Timestamp) -> Result<Lease, Refusal> {
        let lease = self
            .lease
            .filter(|lease| lease.holder == by.who && self.fencing == by.fencing);
        let lease = lease.ok_or(Refusal::LeaseStale)?;
        if now < lease.expires_at {
            Ok(lease)
        } else {
            Err(Refusal::LeaseExpired)
        }
    }
}

fn check_lease(length: Milliseconds) -> Result<(), Refusal> {
    match (LEASE_MIN..=LEASE_MAX).contains(&length) {
        true => Ok(()),
        false => Err(Refusal::LeaseLength),
    }
}

fn check_note(note: &str) -> Result<(), Refusal> {
    match note.len() > NOTE_BYTES_MAX || note.contains('\0') {
        true => Err(Refusal::NoteMalformed),
        false => Ok(()),
    }
}

fn needed_note(note: &str) -> Result<String, Refusal> {
    check_note(note)?;
    match note.trim().is_empty() {
        true => Err(Refusal::NoteMissing),
        false => Ok(note.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what was written down survives whoever wrote it, and a decision is taken back whole or not at all.
    #![allow(clippy::unwrap_used)]
    use tocsin_model::{AlertLevel, ContentId, Grounds, Scope, Verdict};

    use super::*;
    use crate::UNREVIEWED_BELOW;
    use crate::alert_rules::tests::{alert, open};

    const ANNA: KeyId = KeyId(1);
    const BEN: KeyId = KeyId(2);
    const LENGTH: Milliseconds = Milliseconds::from_seconds(60);

    fn by(who: KeyId, case: &Case) -> By {
        By {
            who,
            fencing: case.fencing,
            version: None,
        }
    }

    fn claimed() -> Case {
        let mut case = open();
        case.apply(by(ANNA, &case), &Command::Claim { length: LENGTH }, Timestamp(0))
            .unwrap();
        case
    }

    fn decide(verdict: Verdict, undo_s: i64) -> Command {
        Command::Decide {
            id: DecisionId(7),
            ruling: Ruling {
                grounds: Grounds {
                    policy: "tvec".to_owned(),
                    action: Some(RecommendedAction::Remove),
                    confidence: Some(90),
                    exceptions: vec![ContentId(9), ContentId(3), ContentId(9)],
                },
                ..Ruling::of(verdict, "why")
            },
            undo_for: Milliseconds::from_seconds(undo_s),
        }
    }

    #[test]
    fn codes_are_unique() {
        let codes: std::collections::BTreeSet<_> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
        assert_eq!(codes.len(), Refusal::ALL.len());
    }

    #[test]
    fn a_decision_is_taken_back_whole_until_it_goes_out() {
        let mut case = claimed();
        case.desk = Desk::Legal;
        let before = case.clone();
        case.apply(by(ANNA, &case), &decide(Verdict::Violating, 5), Timestamp(1_000))
            .unwrap();
        let made = case.decision.clone().unwrap();
        assert_eq!(made.ruling.grounds.exceptions, [ContentId(3), ContentId(9)]);
        let claim = Command::Claim { length: LENGTH };
        assert_eq!(
            case.apply(by(BEN, &case), &claim, Timestamp(1_001)),
            Err(Refusal::DecisionHeld)
        );
        let withdraw = |decision| Command::Withdraw {
            decision,
            length: LENGTH,
        };
        for (who, id, at, refusal) in [
            (BEN, 7, 1_001, Refusal::NoSuchDecision),
            (ANNA, 8, 1_001, Refusal::NoSuchDecision),
            (ANNA, 7, 6_000, Refusal::DecisionFinal),
        ] {
            let unchanged = case.clone();
            assert_eq!(
                case.apply(by(who, &case), &withdraw(DecisionId(id)), Timestamp(at)),
                Err(refusal)
            );
            assert_eq!(case, unchanged);
        }
        case.apply(by(ANNA, &case), &withdraw(DecisionId(7)), Timestamp(5_999))
            .unwrap();
        assert_eq!(
            (&case.decision, case.resting, case.desk),
            (&None, before.resting, Desk::Legal)
        );
        assert_eq!(case.draft.as_ref().unwrap().grounds, made.ruling.grounds);
        assert_eq!(case.live_lease(Timestamp(6_000)).unwrap().holder, ANNA);
        assert_eq!(case.fencing, 2, "what was said under the lease before is void");
        let clocks = case.clocks();
        assert_eq!((clocks.claimed_at, clocks.decided_at), (Some(Timestamp(0)), None));
    }

    #[test]
    fn a_draft_survives_its_lease_and_ends_with_a_decision() {
        let mut case = claimed();
        let draft = Draft {
            verdict: Some(Verdict::Newsworthy),
            rationale: "half a sentence".to_owned(),
            ..Draft::default()
        };
        case.apply(by(ANNA, &case), &Command::SaveDraft(draft.clone()), Timestamp(1))
            .unwrap();
        let over = Timestamp(LENGTH.0);
        case.apply(by(BEN, &case), &Command::Claim { length: LENGTH }, over)
            .unwrap();
        assert_eq!(case.draft, Some(draft));
        case.apply(by(BEN, &case), &decide(Verdict::Benign, 0), over).unwrap();
        assert_eq!((case.draft, case.undo), (None, None));
    }

    #[test]
    fn what_is_put_aside_comes_back_in_time_or_when_it_escalates() {
        let hold = Command::Hold {
            length: HOLD_MIN,
            reason: "waits for the police".to_owned(),
        };
        let mut case = claimed();
        case.apply(by(ANNA, &case), &hold, Timestamp(0)).unwrap();
        assert!(!case.is_waiting(Timestamp(HOLD_MIN.0 - 1)));
        assert!(case.is_waiting(Timestamp(HOLD_MIN.0)));
        let version = case.version;
        let escalated = alert(Scope::All, AlertLevel::Escalated, 1, 20);
        case.apply_alert(&escalated, UNREVIEWED_BELOW, Timestamp(5));
        assert!(case.is_waiting(Timestamp(5)));
        assert_eq!(case.version, version + 1);
    }

    #[test]
    fn what_hands_a_case_on_needs_a_reason_and_a_lease() {
        let note = |text: &str| text.to_owned();
        let commands = |text: &str| {
            [
                Command::HandOver {
                    to: BEN,
                    length: LENGTH,
                    note: note(text),
                },
                Command::Escalate {
                    to: Desk::Expert,
                    note: note(text),
                },
                Command::Hold {
                    length: HOLD_MIN,
                    reason: note(text),
                },
                Command::Skip { reason: note(text) },
            ]
        };
        let long = "x".repeat(NOTE_BYTES_MAX + 1);
        for (text, refusal) in [
            (" ", Refusal::NoteMissing),
            (&long, Refusal::NoteMalformed),
            ("\0", Refusal::NoteMalformed),
        ] {
            for command in commands(text) {
                let mut case = claimed();
                assert_eq!(
                    case.apply(by(ANNA, &case), &command, Timestamp(1)),
                    Err(refusal),
                    "{command:?}"
                );
            }
        }
        for command in commands("because") {
            let mut case = claimed();
            assert_eq!(
                case.apply(by(BEN, &case), &command, Timestamp(1)),
                Err(Refusal::LeaseStale)
            );
            let event = case.apply(by(ANNA, &case), &command, Timestamp(1)).unwrap();
            assert_eq!(event.note(), "because");
            let holder = case.live_lease(Timestamp(1)).map(|lease| lease.holder);
            assert_eq!(holder, matches!(command, Command::HandOver { .. }).then_some(BEN));
        }
    }

    #[test]
    fn who_saw_another_version_changes_nothing_but_hears_of_a_decision_again() {
        let mut case = claimed();
        let saw = By {
            version: Some(case.version),
            ..by(ANNA, &case)
        };
        let late = By {
            version: Some(case.version - 1),
            ..saw
        };
        assert_eq!(
            case.apply(late, &decide(Verdict::Benign, 5), Timestamp(1)),
            Err(Refusal::VersionStale)
        );
        case.apply(saw, &decide(Verdict::Benign, 5), Timestamp(1)).unwrap();
        assert_eq!(
            case.apply(saw, &decide(Verdict::Benign, 5), Timestamp(2)),
            Ok(Event::DecidedBefore)
        );
        assert_eq!(
            case.apply(saw, &decide(Verdict::Violating, 5), Timestamp(2)),
            Err(Refusal::VersionStale)
        );
    }

    #[test]
    fn a_revoked_key_holds_nothing() {
        let mut case = claimed();
        assert!(!case.revoke(BEN));
        assert!(case.revoke(ANNA));
        assert!(case.is_waiting(Timestamp(1)));
        assert_eq!(
            case.apply(by(ANNA, &case), &decide(Verdict::Benign, 0), Timestamp(1)),
            Err(Refusal::LeaseStale)
        );
    }
}
