use tocsin_casework::{AppealId, CaseId, NoticeId};
use tocsin_model::{KeyId, PartyId, Timestamp};

use crate::basis::is_said;
use crate::{Basis, Digest, EXTENDED_MONTHS_MAX, PRESERVED_MONTHS, PreservationId, REASON_BYTES_MAX, months_after};

/// How many preservations of one case run at most.
pub const RUNNING_PER_CASE_MAX: usize = 16;
/// How many preservations that people place run of one team at most.
pub const RUNNING_PER_TEAM_MAX: usize = 10_000;
/// How often a preservation is extended at most.
pub const EXTENSIONS_MAX: u32 = 64;
/// How often its copy is handed out at most: each time is an entry of custody.
pub const EXPORTS_MAX: u32 = 1_000;

/// Data about one case of one party that is kept whatever happens to the original, by what right and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preservation {
    /// Its identity.
    pub id: PreservationId,
    /// Whose data, and whose case.
    pub party: PartyId,
    /// The case.
    pub case: CaseId,
    /// By what right.
    pub basis: Basis,
    /// What placed it.
    pub origin: Origin,
    /// When, by the store's clock.
    pub placed_at: Timestamp,
    /// The first moment at which it no longer holds.
    pub until: Timestamp,
    /// The first moment at which it may be released, where the law asks for it.
    pub required_until: Option<Timestamp>,
    /// How often it was extended.
    pub extensions: u32,
    /// How often its copy was handed out.
    pub exports: u32,
    /// When and how it ended before its copy was deleted.
    pub ended: Option<PreservationEnd>,
    /// What was copied, once it is.
    pub copy: Option<SealedCopy>,
    /// When the copy was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// What placed a preservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A person, by their key.
    Person(KeyId),
    /// A removal order that was entered.
    Notice(NoticeId),
    /// An appeal against what was removed.
    Appeal(AppealId),
}

/// How a preservation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreservationEnd {
    /// When, by the store's clock.
    pub at: Timestamp,
    /// Who released it; `None`: its time was over.
    pub by: Option<KeyId>,
}

/// A copy in the sealed store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedCopy {
    /// When it was sealed, by the store's clock.
    pub at: Timestamp,
    /// The SHA-256 of its manifest.
    pub manifest: Digest,
    /// How many events of the party are in it.
    pub events: u64,
    /// How many bytes its files have.
    pub bytes: u64,
    /// Whether it ends at a limit: the manifest says at which.
    pub is_cut: bool,
}

/// How far a preservation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreservationState {
    /// It runs, and its copy is still to be made.
    Waiting,
    /// It runs, and its copy is sealed.
    Sealed,
    /// It ended, and its copy is still to be deleted.
    Ended,
    /// Nothing of it is left but what is known of it.
    Deleted,
}

/// What a person does with a preservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreservationCommand {
    /// It holds longer.
    Extend {
        /// Until when; `None`: six months longer.
        until: Option<Timestamp>,
        /// Why.
        reason: String,
    },
    /// It ends now.
    Release {
        /// Why.
        reason: String,
    },
}

/// What came of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreservationEvent {
    /// It holds longer.
    Extended,
    /// It ended.
    Released,
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PreservationRefusal {
    /// There is none, or it is another party's.
    #[error("there is no such preservation of this party")]
    NoSuchPreservation,
    /// It is over.
    #[error("the preservation has ended")]
    Ended,
    /// The basis says nothing or too much.
    #[error("a basis has a text of 1 to 2,048 bytes and a reference of 1 to 256, without NUL characters")]
    Basis,
    /// The reason says nothing or too much.
    #[error("a reason has 1 to 2,048 bytes and no NUL character")]
    Reason,
    /// The time is no later end, or too late.
    #[error("a preservation is extended to a later end, at most 24 months from now")]
    Until,
    /// It was extended as often as may be.
    #[error("a preservation is extended at most 64 times")]
    TooManyExtensions,
    /// The law asks for six months.
    #[error("the law asks for six months: this preservation is not released before")]
    Required,
    /// As many run as may.
    #[error("16 preservations of this case or 10,000 of the party run")]
    TooMany,
    /// Its copy is not there yet.
    #[error("the copy of this preservation is still being made")]
    NotSealed,
    /// It was handed out as often as may be.
    #[error("the copy of a preservation is handed out at most 1,000 times")]
    TooManyExports,
}

impl Origin {
    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Person(_) => "person",
            Origin::Notice(_) => "notice",
            Origin::Appeal(_) => "appeal",
        }
    }

    /// The id of what it was: 32 hexadecimal digits.
    pub fn id(self) -> String {
        match self {
            Origin::Person(key) => key.to_string(),
            Origin::Notice(notice) => notice.to_string(),
            Origin::Appeal(appeal) => appeal.to_string(),
        }
    }
}

impl PreservationState {
    /// All states.
    pub const ALL: [PreservationState; 4] = [
        PreservationState::Waiting,
        PreservationState::Sealed,
        PreservationState::Ended,
        PreservationState::Deleted,
    ];

    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            PreservationState::Waiting => "waiting",
            PreservationState::Sealed => "sealed",
            PreservationState::Ended => "ended",
            PreservationState::Deleted => "deleted",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<PreservationState> {
        PreservationState::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl PreservationRefusal {
    /// All of them.
    pub const ALL: [PreservationRefusal; 10] = [
        PreservationRefusal::NoSuchPreservation,
        PreservationRefusal::Ended,
        PreservationRefusal::Basis,
        PreservationRefusal::Reason,
        PreservationRefusal::Until,
        PreservationRefusal::TooManyExtensions,
        PreservationRefusal::Required,
        PreservationRefusal::TooMany,
        PreservationRefusal::NotSealed,
        PreservationRefusal::TooManyExports,
    ];

    /// A stable name for problem documents.
    pub fn code(self) -> &'static str {
        match self {
            PreservationRefusal::NoSuchPreservation => "preservation_unknown",
            PreservationRefusal::Ended => "preservation_ended",
            PreservationRefusal::Basis => "preservation_basis",
            PreservationRefusal::Reason => "preservation_reason",
            PreservationRefusal::Until => "preservation_until",
            PreservationRefusal::TooManyExtensions => "preservation_extensions",
            PreservationRefusal::Required => "preservation_required",
            PreservationRefusal::TooMany => "preservation_count",
            PreservationRefusal::NotSealed => "preservation_not_sealed",
            PreservationRefusal::TooManyExports => "preservation_exports",
        }
    }
}

impl Preservation {
    /// A preservation that begins at `now` and lasts six months.
    ///
    /// # Errors
    /// [`PreservationRefusal::Basis`].
    pub fn place(
        id: PreservationId,
        (party, case): (PartyId, CaseId),
        (basis, origin): (Basis, Origin),
        now: Timestamp,
    ) -> Result<Preservation, PreservationRefusal> {
        basis.check()?;
        let until = months_after(now, PRESERVED_MONTHS);
        Ok(Preservation {
            required_until: basis.kind.is_required().then_some(until),
            id,
            party,
            case,
            basis,
            origin,
            placed_at: now,
            until,
            extensions: 0,
            exports: 0,
            ended: None,
            copy: None,
            deleted_at: None,
        })
    }

    /// How far it has come.
    pub fn state(&self) -> PreservationState {
        match (self.deleted_at, self.ended, self.copy) {
            (Some(_), ..) => PreservationState::Deleted,
            (None, Some(_), _) => PreservationState::Ended,
            (None, None, Some(_)) => PreservationState::Sealed,
            (None, None, None) => PreservationState::Waiting,
        }
    }

    /// Whether it holds at `now`: what is over and was not ended yet does not.
    pub fn is_running(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.until
    }

    /// Carries out what a person with `by` does.
    ///
    /// # Errors
    /// [`PreservationRefusal`]; nothing is changed then.
    pub fn apply(
        &mut self,
        by: KeyId,
        command: &PreservationCommand,
        now: Timestamp,
    ) -> Result<PreservationEvent, PreservationRefusal> {
        let (PreservationCommand::Extend { reason, .. } | PreservationCommand::Release { reason }) = command;
        if !is_said(reason, REASON_BYTES_MAX) {
            return Err(PreservationRefusal::Reason);
        }
        if !self.is_running(now) {
            return Err(PreservationRefusal::Ended);
        }
        match command {
            PreservationCommand::Extend { until, .. } => {
                // The last day that it holds is the one before its end.
                let longer = months_after(Timestamp(self.until.0 - 1), PRESERVED_MONTHS);
                let until = until.unwrap_or(longer);
                if until <= self.until || until > months_after(now, EXTENDED_MONTHS_MAX) {
                    return Err(PreservationRefusal::Until);
                }
                if self.extensions >= EXTENSIONS_MAX {
                    return Err(PreservationRefusal::TooManyExtensions);
                }
                self.until = until;
                self.extensions += 1;
                Ok(PreservationEvent::Extended)
            }
            PreservationCommand::Release { .. } => {
                if self.required_until.is_some_and(|required| now < required) {
                    return Err(PreservationRefusal::Required);
                }
                self.ended = Some(PreservationEnd { at: now, by: Some(by) });
                Ok(PreservationEvent::Released)
            }
        }
    }

    /// Another order or appeal stands on this preservation, since no further one has room: it lasts six months from now at least, and is not released before. Whether
    /// that changes anything: once a day at most, and never of a preservation that is over.
    pub fn stand_for_another(&mut self, now: Timestamp) -> bool {
        let required = months_after(now, PRESERVED_MONTHS);
        let changes = self.is_running(now) && self.required_until < Some(required);
        if changes {
            self.until = self.until.max(required);
            self.required_until = Some(required);
        }
        changes
    }

    /// Its copy is handed out by a right of its own.
    ///
    /// # Errors
    /// [`PreservationRefusal::Basis`], [`PreservationRefusal::Ended`], [`PreservationRefusal::NotSealed`] and [`PreservationRefusal::TooManyExports`].
    pub fn export(&mut self, basis: &Basis, now: Timestamp) -> Result<SealedCopy, PreservationRefusal> {
        basis.check()?;
        if !self.is_running(now) {
            return Err(PreservationRefusal::Ended);
        }
        let copy = self.copy.ok_or(PreservationRefusal::NotSealed)?;
        if self.exports >= EXPORTS_MAX {
            return Err(PreservationRefusal::TooManyExports);
        }
        self.exports += 1;
        Ok(copy)
    }

    /// Ends it where its time is over; whether it did.
    pub fn expire(&mut self, now: Timestamp) -> bool {
        let is_over = self.ended.is_none() && now >= self.until;
        if is_over {
            self.ended = Some(PreservationEnd { at: now, by: None });
        }
        is_over
    }
}
