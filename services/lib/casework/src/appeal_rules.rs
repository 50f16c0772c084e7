use tocsin_model::{
    ContentId, DecisionId, FamilyId, Grounds, KeyId, Milliseconds, RecommendedAction, Timestamp, Verdict,
};

use crate::appeal::{
    APPEAL_REASON_BYTES_MAX, APPEAL_REFERENCE_BYTES_MAX, Against, Appeal, AppealAnswer, AppealCommand, AppealEvent,
    AppealFiling, AppealId, AppealOutcome, AppealRefusal, AppealRuling, Concerns, Part,
};
use crate::case::{Case, CaseId, Desk, Lease, Resting, Team};
use crate::command::{By, Refusal};
use crate::command_rules::{LEASE_MAX, LEASE_MIN, NOTE_BYTES_MAX};
use crate::ruling::{CaseDecision, Ruling};

/// What an appeal turned out to be about, when it was filed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppealSubject {
    /// The content.
    pub content: ContentId,
    /// Its family, as far as is known.
    pub family: FamilyId,
    /// The team's case of it.
    pub case: Option<CaseId>,
    /// The decision that it comes down to.
    pub decision: Option<DecisionId>,
}

impl AppealFiling {
    /// Whether it may be asked about at all.
    ///
    /// # Errors
    /// [`AppealRefusal::Malformed`].
    pub fn check(&self) -> Result<(), AppealRefusal> {
        let fits = |text: &str, bytes_max| !text.trim().is_empty() && text.len() <= bytes_max && !text.contains('\0');
        match fits(&self.reference, APPEAL_REFERENCE_BYTES_MAX) && fits(&self.reason, APPEAL_REASON_BYTES_MAX) {
            true => Ok(()),
            false => Err(AppealRefusal::Malformed),
        }
    }

    /// The appeal that is filed so.
    ///
    /// # Errors
    /// As [`AppealFiling::check`].
    pub fn file(
        &self,
        id: AppealId,
        (team, by): (Team, KeyId),
        subject: AppealSubject,
        now: Timestamp,
    ) -> Result<Appeal, AppealRefusal> {
        self.check()?;
        Ok(Appeal {
            id,
            team,
            filing: self.clone(),
            content: subject.content,
            family: subject.family,
            case: subject.case,
            decision: subject.decision,
            filed_by: by,
            filed_at: now,
            fencing: 0,
            lease: None,
            answer: None,
        })
    }

    /// Whether this says the same as an appeal that was filed before under its reference. The words may differ.
    pub fn says(&self, before: &Appeal) -> bool {
        let said = |filing: &AppealFiling| (filing.platform, filing.content.clone(), filing.against);
        said(self) == said(&before.filing)
    }
}

impl AppealRuling {
    /// The decision about the whole family that follows, if one does.
    pub fn verdict_of_family(&self) -> Option<Verdict> {
        let is_all = (self.outcome, self.concerns) == (AppealOutcome::Overturned, Concerns::Family);
        self.verdict.filter(|_| is_all)
    }

    fn check(&self) -> Result<(), AppealRefusal> {
        if self.note.trim().is_empty() || self.note.len() > NOTE_BYTES_MAX || self.note.contains('\0') {
            return Err(AppealRefusal::Note);
        }
        let is_overturned = self.outcome == AppealOutcome::Overturned;
        let is_verdict = match self.verdict {
            None => !(is_overturned && self.concerns == Concerns::Family),
            Some(Verdict::Benign | Verdict::Newsworthy) => is_overturned && self.concerns == Concerns::Family,
            Some(Verdict::Violating | Verdict::Disputed | Verdict::NeedsExpert) => false,
        };
        match self.cause.is_some() == is_overturned && is_verdict {
            true => Ok(()),
            false => Err(AppealRefusal::Ruling),
        }
    }
}

impl Appeal {
    /// What a person's command does to it. A refused one changes nothing.
    ///
    /// Who decided neither takes nor answers it, whatever lease they hold. Everything but claiming needs the lease.
    ///
    /// # Errors
    /// The first of: what was said is malformed, it was answered, they decided themselves, the lease does not hold.
    pub fn apply(
        &mut self,
        (by, part): (By, Part),
        command: &AppealCommand,
        now: Timestamp,
    ) -> Result<AppealEvent, AppealRefusal> {
        match command {
            AppealCommand::Claim { length } => self.claim((by.who, part), *length, now),
            AppealCommand::Renew { length } => {
                check_lease(*length)?;
                let lease = self.held(by, now)?;
                self.lease = Some(Lease {
                    expires_at: now + *length,
                    ..lease
                });
                Ok(AppealEvent::Renewed)
            }
            AppealCommand::Release => {
                self.held(by, now)?;
                self.lease = None;
                Ok(AppealEvent::Released)
            }
            AppealCommand::Answer(ruling) => self.settle((by, part), ruling, now),
        }
    }

    fn claim(
        &mut self,
        (who, part): (KeyId, Part),
        length: Milliseconds,
        now: Timestamp,
    ) -> Result<AppealEvent, AppealRefusal> {
        check_lease(length)?;
        if self.answer.is_some() {
            return Err(AppealRefusal::Answered);
        }
        if part == Part::Decided {
            return Err(AppealRefusal::OwnDecision);
        }
        if self.live_lease(now).is_some() {
            return Err(AppealRefusal::Claimed);
        }
        self.fencing += 1;
        self.lease = Some(Lease {
            holder: who,
            expires_at: now + length,
        });
        Ok(AppealEvent::Claimed)
    }

    fn settle(
        &mut self,
        (by, part): (By, Part),
        ruling: &AppealRuling,
        now: Timestamp,
    ) -> Result<AppealEvent, AppealRefusal> {
        ruling.check()?;
        if let Some(before) = &self.answer {
            let is_same = (before.by, before.fencing, before.with) == (by.who, by.fencing, None);
            return match is_same && before.ruling == *ruling {
                true => Ok(AppealEvent::SaidBefore),
                false => Err(AppealRefusal::Answered),
            };
        }
        // They may have decided about the case since they took it.
        if part == Part::Decided {
            return Err(AppealRefusal::OwnDecision);
        }
        self.held(by, now)?;
        self.lease = None;
        self.answer = Some(AppealAnswer {
            ruling: ruling.clone(),
            at: now,
            by: by.who,
            fencing: by.fencing,
            with: None,
        });
        Ok(AppealEvent::Answered)
    }

    /// Answers it with another one about the same family that overturned all of it; whether it waited for an answer. Whoever holds it has nothing
    /// left to say.
    pub fn settle_with(&mut self, other: &Appeal) -> bool {
        let overturned = other
            .answer
            .as_ref()
            .filter(|answer| answer.ruling.verdict_of_family().is_some());
        let Some(answer) = overturned.filter(|_| self.answer.is_none() && self.id != other.id) else {
            return false;
        };
        self.lease = None;
        self.answer = Some(AppealAnswer {
            with: Some(other.id),
            ..answer.clone()
        });
        true
    }

    /// The lease, if it is not over at `now`.
    pub fn live_lease(&self, now: Timestamp) -> Option<Lease> {
        self.lease.filter(|lease| now < lease.expires_at)
    }

    /// Whether it is against a decision that is known: then somebody decided, and does not review.
    pub fn is_of_decision(&self) -> bool {
        self.decision.is_some() || matches!(self.filing.against, Against::Decision(_))
    }

    fn held(&self, by: By, now: Timestamp) -> Result<Lease, AppealRefusal> {
        if self.answer.is_some() {
            return Err(AppealRefusal::Answered);
        }
        let lease = self
            .lease
            .filter(|lease| lease.holder == by.who && self.fencing == by.fencing);
        let lease = lease.ok_or(AppealRefusal::LeaseStale)?;
        match now < lease.expires_at {
            true => Ok(lease),
            false => Err(AppealRefusal::LeaseExpired),
        }
    }
}

impl Case {
    /// A reviewer decides about the whole family in place of whoever decided: the decision that stands from now on, to be told as any other;
    /// `None` where this verdict stands already. It cannot be taken back, and needs no lease of the case: but nobody else may hold it. What others put
    /// aside, sent to another desk or began to write is still theirs, and waits for them as before.
    ///
    /// # Errors
    /// [`Refusal::Merged`], [`Refusal::Claimed`], [`Refusal::DecisionHeld`], or the note is malformed. A refused one changes nothing.
    pub fn overturn(
        &mut self,
        (by, id): (KeyId, DecisionId),
        (verdict, note): (Verdict, &str),
        now: Timestamp,
    ) -> Result<Option<CaseDecision>, Refusal> {
        if let Some(into) = self.merged_into() {
            return Err(Refusal::Merged(into));
        }
        if self.live_lease(now).is_some_and(|lease| lease.holder != by) {
            return Err(Refusal::Claimed);
        }
        if self.undo_until(now).is_some() {
            return Err(Refusal::DecisionHeld);
        }
        let stands = self.decision.as_ref().map(|decision| decision.ruling.verdict) == Some(verdict);
        if stands && !self.is_disputed() {
            return Ok(None);
        }
        let ruling = Ruling {
            verdict,
            grounds: Grounds {
                action: matches!(verdict, Verdict::Benign | Verdict::Newsworthy).then_some(RecommendedAction::Keep),
                ..Grounds::default()
            },
            rationale: note.to_owned(),
        };
        let ruling = ruling.checked()?;
        // Whoever held it before does not write over this, and what was disputed is settled.
        self.fencing += 1;
        let decision = CaseDecision {
            id,
            ruling,
            decided_by: by,
            decided_at: now,
            fencing: self.fencing,
        };
        self.decision = Some(decision.clone());
        self.undo = None;
        if self.lease.take_if(|lease| now < lease.expires_at).is_some() {
            // They held it themselves: as if they had decided it.
            self.held_until = None;
            self.draft = None;
            self.desk = Desk::Moderators;
        }
        self.lease = None;
        if self.resting != Resting::Open || !self.is_in_hand(now) {
            self.resting = Resting::Decided;
        }
        self.first_decided_at.get_or_insert(now);
        self.version += 1;
        Ok(Some(decision))
    }
}

fn check_lease(length: Milliseconds) -> Result<(), AppealRefusal> {
    match (LEASE_MIN..=LEASE_MAX).contains(&length) {
        true => Ok(()),
        false => Err(AppealRefusal::LeaseLength),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: an answer says enough, and only what follows from it.
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::alert_rules::tests::open;
    use crate::appeal::AppealCause;
    use crate::case::Draft;
    use crate::command::Command;

    const ANNA: KeyId = KeyId(1);
    const BEN: KeyId = KeyId(2);

    fn ruling(outcome: AppealOutcome, concerns: Concerns) -> AppealRuling {
        let is_overturned = outcome == AppealOutcome::Overturned;
        AppealRuling {
            outcome,
            concerns,
            cause: is_overturned.then_some(AppealCause::NearPicture),
            verdict: (is_overturned && concerns == Concerns::Family).then_some(Verdict::Benign),
            note: "another picture".to_owned(),
        }
    }

    #[test]
    fn a_ruling_has_a_cause_and_a_verdict_where_they_mean_something() {
        use AppealOutcome::*;
        for outcome in AppealOutcome::ALL {
            for concerns in Concerns::ALL {
                let good = ruling(*outcome, *concerns);
                assert_eq!(good.check(), Ok(()), "{good:?}");
                let follows = (*outcome, *concerns) == (Overturned, Concerns::Family);
                assert_eq!(good.verdict_of_family().is_some(), follows);
                let other_cause = AppealRuling {
                    cause: good.cause.map_or(Some(AppealCause::Label), |_| None),
                    ..good.clone()
                };
                assert_eq!(other_cause.check(), Err(AppealRefusal::Ruling), "{other_cause:?}");
                let other_verdict = AppealRuling {
                    verdict: good.verdict.map_or(Some(Verdict::Benign), |_| None),
                    ..good.clone()
                };
                assert_eq!(other_verdict.check(), Err(AppealRefusal::Ruling), "{other_verdict:?}");
                for note in [
                    String::new(),
                    " ".to_owned(),
                    "a\0".to_owned(),
                    "a".repeat(NOTE_BYTES_MAX + 1),
                ] {
                    let unsaid = AppealRuling { note, ..good.clone() };
                    assert_eq!(unsaid.check(), Err(AppealRefusal::Note));
                }
            }
        }
        for verdict in [Verdict::Violating, Verdict::Disputed, Verdict::NeedsExpert] {
            let family = AppealRuling {
                verdict: Some(verdict),
                ..ruling(Overturned, Concerns::Family)
            };
            assert_eq!(family.check(), Err(AppealRefusal::Ruling));
        }
    }

    #[test]
    fn a_decision_is_overturned_whole_and_never_under_the_hands_of_another() {
        let now = Timestamp(1_000);
        let length = Milliseconds::from_seconds(60);
        let by = |who, case: &Case| By {
            who,
            fencing: case.fencing,
            version: None,
        };
        let mut case = open();
        case.apply(by(ANNA, &case), &Command::Claim { length }, now).unwrap();
        let before = case.clone();
        let overturned = case.overturn((BEN, DecisionId(9)), (Verdict::Benign, "news"), now);
        assert_eq!(overturned, Err(Refusal::Claimed));
        let decide = Command::Decide {
            id: DecisionId(7),
            ruling: Ruling::of(Verdict::Violating, ""),
            undo_for: Milliseconds::from_seconds(5),
        };
        assert_eq!(case, before);
        case.apply(by(ANNA, &case), &decide, now).unwrap();
        let overturned = case.overturn((BEN, DecisionId(9)), (Verdict::Benign, "news"), now);
        assert_eq!(overturned, Err(Refusal::DecisionHeld));
        let later = now + Milliseconds::from_seconds(5);
        let decision = case.overturn((BEN, DecisionId(9)), (Verdict::Benign, "news"), later);
        let decision = decision.unwrap().unwrap();
        assert_eq!(
            (case.decision.as_ref(), case.resting),
            (Some(&decision), Resting::Decided)
        );
        assert_eq!(decision.ruling.grounds.action, Some(RecommendedAction::Keep));
        assert_eq!(case.decision_out(later), Some(&decision), "it is out at once");
        let again = case.overturn((BEN, DecisionId(10)), (Verdict::Benign, "news"), later);
        assert_eq!(again, Ok(None), "what stands is not decided again");
        let withdraw = Command::Withdraw {
            decision: DecisionId(9),
            length,
        };
        assert_eq!(
            case.apply(by(BEN, &case), &withdraw, later),
            Err(Refusal::DecisionFinal)
        );
    }

    #[test]
    fn what_others_put_aside_escalated_or_began_to_write_is_theirs_after_an_overturn() {
        let now = Timestamp(1_000);
        let begun = |change: fn(&mut Case)| {
            let mut case = open();
            change(&mut case);
            case
        };
        let cases = [
            begun(|case| case.draft = Some(Draft::default())),
            begun(|case| case.held_until = Some(Timestamp(2_000))),
            begun(|case| case.desk = Desk::Legal),
        ];
        for before in cases {
            let mut case = before.clone();
            let decision = case.overturn((BEN, DecisionId(9)), (Verdict::Benign, "news"), now);
            assert_eq!(case.decision, decision.unwrap());
            let kept = |case: &Case| (case.draft.clone(), case.held_until, case.desk, case.resting);
            assert_eq!(kept(&case), kept(&before));
        }
        // What they hold themselves they decide.
        let mut own = begun(|case| case.draft = Some(Draft::default()));
        let length = Milliseconds::from_seconds(60);
        let by = By {
            who: BEN,
            fencing: 0,
            version: None,
        };
        own.apply(by, &Command::Claim { length }, now).unwrap();
        own.overturn((BEN, DecisionId(9)), (Verdict::Benign, "news"), now)
            .unwrap();
        assert_eq!((own.draft, own.resting), (None, Resting::Decided));
    }
}
