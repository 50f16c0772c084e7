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
    /// The first of: the case went into another, it is closed, it is of another version, what was said is malformed, the lease does not hold, the case is not in
    /// the state for it.
    pub fn apply(&mut self, by: By, command: &Command, now: Timestamp) -> Result<Event, Refusal> {
        if let Some(into) = self.merged_into() {
            return Err(Refusal::Merged(into));
        }
        if self.resting == Resting::Closed && self.live_lease(now).is_none() {
            return Err(Refusal::Closed);
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
mod tests;
