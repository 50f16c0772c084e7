use std::fmt;
use std::str::FromStr;

use tocsin_model::{
    Alert, ContentHash, DecisionId, FamilyId, IdError, KeyId, Milliseconds, Timestamp, Verdict, parse_hex_id,
};

use crate::appeal::Part;
use crate::case::{CaseId, Lease, Team};
use crate::command::By;
use crate::command_rules::{LEASE_MAX, LEASE_MIN, NOTE_BYTES_MAX};

/// The identity of a review. Random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReviewId(pub u128);

/// Why something is decided once more. The numbers are those of the store. Whoever reviews is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ReviewKind {
    /// It is in the sample: by somebody who did not decide.
    Second = 1,
    /// Two differed: by somebody who is neither. What they say holds.
    Third = 2,
    /// Its answer is known.
    Golden = 3,
}

/// Something that was decided, to be decided once more by somebody who does not know how.
#[derive(Clone, Debug, PartialEq)]
pub struct Review {
    /// Its identity.
    pub id: ReviewId,
    /// Whose.
    pub team: Team,
    /// Why.
    pub kind: ReviewKind,
    /// The case that was decided.
    pub case: CaseId,
    /// The decision; of a golden case none is meant.
    pub decision: Option<DecisionId>,
    /// What was decided, or is known. Whoever reviews is not told.
    pub first: Verdict,
    /// The family.
    pub family: FamilyId,
    /// The strongest hash of its founder.
    pub hash: ContentHash,
    /// The figures as whoever decided saw them. `None`: it never rang.
    pub alert: Option<Alert>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// The number of the last lease.
    pub fencing: u64,
    /// The last lease, if it was not given back.
    pub lease: Option<Lease>,
    /// What was said, once it was.
    pub answer: Option<ReviewAnswer>,
}

/// What a reviewer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewAnswer {
    /// What it is.
    pub verdict: Verdict,
    /// Why; may be empty.
    pub note: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: KeyId,
    /// Under which lease.
    pub fencing: u64,
}

/// What a person does with a review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReviewCommand {
    /// Let the lease end so long from now.
    Renew {
        /// How long.
        length: Milliseconds,
    },
    /// Give it back.
    Release,
    /// Say what it is.
    Answer {
        /// What.
        verdict: Verdict,
        /// Why; may be empty.
        note: String,
    },
}

/// What happened to a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewEvent {
    /// It is held.
    Claimed,
    /// It is held longer.
    Renewed,
    /// It was given back.
    Released,
    /// It was answered, and what follows.
    Answered(ReviewEffect),
    /// The same was said before, and the answer to it was lost.
    SaidBefore,
}

/// What follows from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewEffect {
    /// Nothing: it is counted.
    Counted,
    /// Two differ: a third is asked.
    ThirdAsked,
    /// The third says otherwise than the first: the case is decided so.
    Decided,
}

/// Why a command on a review is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ReviewRefusal {
    /// There is no such review of the team, or you do not hold it.
    #[error("there is no such review, or it is another's")]
    NoSuchReview,
    /// Who decided does not review.
    #[error("whoever decided does not review it")]
    OwnDecision,
    /// The fencing number is not that of the last lease, or the lease was given back.
    #[error("the lease with this fencing number does not hold the review")]
    LeaseStale,
    /// The lease is over.
    #[error("the lease is over")]
    LeaseExpired,
    /// The length of the lease is outside [`LEASE_MIN`] to [`LEASE_MAX`].
    #[error("a lease lasts 1 second to 1 hour")]
    LeaseLength,
    /// It was answered.
    #[error("the review was answered")]
    Answered,
    /// The note is too long, or holds a NUL character.
    #[error("a note has at most 2048 bytes and no NUL character")]
    Note,
}

impl ReviewKind {
    /// The kind with this number of the store.
    pub fn from_number(number: i64) -> Option<ReviewKind> {
        [ReviewKind::Second, ReviewKind::Third, ReviewKind::Golden]
            .into_iter()
            .find(|kind| *kind as i64 == number)
    }
}

/// Whether a number that a keyed hash made of a case is within this share of all, in parts per million.
pub fn is_drawn(draw: u64, share_ppm: u32) -> bool {
    u128::from(draw) * 1_000_000 < u128::from(share_ppm) << 64
}

impl Review {
    /// Hands it to somebody who did not decide.
    ///
    /// # Errors
    /// [`ReviewRefusal::LeaseLength`], [`ReviewRefusal::Answered`], [`ReviewRefusal::OwnDecision`]; [`ReviewRefusal::NoSuchReview`] while another holds it.
    pub fn claim(
        &mut self,
        (who, part): (KeyId, Part),
        length: Milliseconds,
        now: Timestamp,
    ) -> Result<ReviewEvent, ReviewRefusal> {
        check_lease(length)?;
        if self.answer.is_some() {
            return Err(ReviewRefusal::Answered);
        }
        if part == Part::Decided {
            return Err(ReviewRefusal::OwnDecision);
        }
        if self.live_lease(now).is_some() {
            return Err(ReviewRefusal::NoSuchReview);
        }
        self.fencing += 1;
        self.lease = Some(Lease {
            holder: who,
            expires_at: now + length,
        });
        Ok(ReviewEvent::Claimed)
    }

    /// What the holder's command does to it. A refused one changes nothing.
    ///
    /// # Errors
    /// The first of: what was said is malformed, it is another's, it was answered, they decided meanwhile, the lease does not hold.
    pub fn apply(
        &mut self,
        (by, part): (By, Part),
        command: &ReviewCommand,
        now: Timestamp,
    ) -> Result<ReviewEvent, ReviewRefusal> {
        match command {
            ReviewCommand::Renew { length } => {
                check_lease(*length)?;
                let lease = self.held(by, now)?;
                self.lease = Some(Lease {
                    expires_at: now + *length,
                    ..lease
                });
                Ok(ReviewEvent::Renewed)
            }
            ReviewCommand::Release => {
                self.held(by, now)?;
                self.lease = None;
                Ok(ReviewEvent::Released)
            }
            ReviewCommand::Answer { verdict, note } => self.settle((by, part), (*verdict, note), now),
        }
    }

    fn settle(
        &mut self,
        (by, part): (By, Part),
        (verdict, note): (Verdict, &str),
        now: Timestamp,
    ) -> Result<ReviewEvent, ReviewRefusal> {
        if note.len() > NOTE_BYTES_MAX || note.contains('\0') {
            return Err(ReviewRefusal::Note);
        }
        if let Some(before) = &self.answer {
            let said = (before.by, before.fencing, before.verdict, before.note.as_str());
            return match said == (by.who, by.fencing, verdict, note) {
                true => Ok(ReviewEvent::SaidBefore),
                false => Err(ReviewRefusal::Answered),
            };
        }
        self.held(by, now)?;
        // They may have decided about the case since they took it.
        if part == Part::Decided {
            return Err(ReviewRefusal::OwnDecision);
        }
        self.lease = None;
        self.answer = Some(ReviewAnswer {
            verdict,
            note: note.to_owned(),
            at: now,
            by: by.who,
            fencing: by.fencing,
        });
        let effect = match self.kind {
            ReviewKind::Second if verdict != self.first => ReviewEffect::ThirdAsked,
            ReviewKind::Third if verdict != self.first => ReviewEffect::Decided,
            ReviewKind::Second | ReviewKind::Third | ReviewKind::Golden => ReviewEffect::Counted,
        };
        Ok(ReviewEvent::Answered(effect))
    }

    /// The review by a third person of what this one, a second, says otherwise; `None` where it does not.
    pub fn third(&self, id: ReviewId) -> Option<Review> {
        let answer = self.answer.as_ref().filter(|_| self.kind == ReviewKind::Second)?;
        (answer.verdict != self.first).then(|| Review {
            id,
            kind: ReviewKind::Third,
            asked_at: answer.at,
            fencing: 0,
            lease: None,
            answer: None,
            ..self.clone()
        })
    }

    /// The lease, if it is not over at `now`.
    pub fn live_lease(&self, now: Timestamp) -> Option<Lease> {
        self.lease.filter(|lease| now < lease.expires_at)
    }

    fn held(&self, by: By, now: Timestamp) -> Result<Lease, ReviewRefusal> {
        if self.answer.is_some() {
            return Err(ReviewRefusal::Answered);
        }
        let lease = self
            .lease
            .filter(|lease| lease.holder == by.who && self.fencing == by.fencing);
        let lease = lease.ok_or(ReviewRefusal::LeaseStale)?;
        match now < lease.expires_at {
            true => Ok(lease),
            false => Err(ReviewRefusal::LeaseExpired),
        }
    }
}

fn check_lease(length: Milliseconds) -> Result<(), ReviewRefusal> {
    match (LEASE_MIN..=LEASE_MAX).contains(&length) {
        true => Ok(()),
        false => Err(ReviewRefusal::LeaseLength),
    }
}

impl ReviewRefusal {
    /// All refusals.
    pub const ALL: [ReviewRefusal; 7] = [
        ReviewRefusal::NoSuchReview,
        ReviewRefusal::OwnDecision,
        ReviewRefusal::LeaseStale,
        ReviewRefusal::LeaseExpired,
        ReviewRefusal::LeaseLength,
        ReviewRefusal::Answered,
        ReviewRefusal::Note,
    ];

    /// A stable name for problem documents and metrics.
    pub fn code(self) -> &'static str {
        match self {
            ReviewRefusal::NoSuchReview => "review_unknown",
            ReviewRefusal::OwnDecision => "review_own_decision",
            ReviewRefusal::LeaseStale => "review_lease_stale",
            ReviewRefusal::LeaseExpired => "review_lease_expired",
            ReviewRefusal::LeaseLength => "review_lease_length",
            ReviewRefusal::Answered => "review_answered",
            ReviewRefusal::Note => "review_note",
        }
    }
}

impl fmt::Display for ReviewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for ReviewId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<ReviewId, IdError> {
        parse_hex_id(text).map(ReviewId)
    }
}
