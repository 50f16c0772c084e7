use tocsin_model::{DecisionId, KeyId, Milliseconds};

use crate::case::{CaseId, Desk, Draft};
use crate::ruling::{CaseDecision, Ruling};

/// Who commands, and what they know of the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By {
    /// The key.
    pub who: KeyId,
    /// The number of the lease they hold. Claiming and taking back ask for none.
    pub fencing: u64,
    /// The version of the case they saw, if they insist on it.
    pub version: Option<u64>,
}

/// What a person does with a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Take it, to work on it for so long.
    Claim {
        /// How long.
        length: Milliseconds,
    },
    /// Let the lease end so long from now.
    Renew {
        /// How long.
        length: Milliseconds,
    },
    /// Give it back to the queue.
    Release {
        /// For whoever takes it next; may be empty.
        note: String,
    },
    /// Give it to another person of the team.
    HandOver {
        /// To whom.
        to: KeyId,
        /// How long they hold it.
        length: Milliseconds,
        /// What they should know.
        note: String,
    },
    /// Send it to a desk, where it waits.
    Escalate {
        /// Which.
        to: Desk,
        /// Why.
        note: String,
    },
    /// Put it aside: nobody is handed it until then, unless it escalates.
    Hold {
        /// For how long.
        length: Milliseconds,
        /// What it waits for.
        reason: String,
    },
    /// Give it back and be handed another.
    Skip {
        /// Why.
        reason: String,
    },
    /// Keep an unfinished decision.
    SaveDraft(Draft),
    /// Decide it, and give it back.
    Decide {
        /// The identity of the decision, if it is new.
        id: DecisionId,
        /// What is decided.
        ruling: Ruling,
        /// For how long it can be taken back before it goes out.
        undo_for: Milliseconds,
    },
    /// Take the decision back before it goes out, and hold the case again.
    Withdraw {
        /// Which decision.
        decision: DecisionId,
        /// How long to hold the case.
        length: Milliseconds,
    },
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is held.
    Claimed,
    /// It is held longer.
    Renewed,
    /// It was given back.
    Released {
        /// For whoever takes it next.
        note: String,
    },
    /// Somebody else holds it.
    HandedOver {
        /// Who.
        to: KeyId,
        /// What they should know.
        note: String,
    },
    /// It waits at a desk.
    Escalated {
        /// Which.
        to: Desk,
        /// Why.
        note: String,
    },
    /// It was put aside.
    Held {
        /// What it waits for.
        reason: String,
    },
    /// It was given back, and whoever did it is not handed it again at once.
    Skipped {
        /// Why.
        reason: String,
    },
    /// The unfinished decision is kept.
    DraftSaved,
    /// It is decided.
    Decided(CaseDecision),
    /// Nothing is new: the same holder said the same under the same lease before, and the answer was lost.
    DecidedBefore,
    /// The decision was taken back, and never goes out.
    Withdrawn(DecisionId),
}

/// Why a command on a case is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// There is no such case in the team's queue: it never was, or it is another team's.
    #[error("there is no such case")]
    NoSuchCase,
    /// Somebody holds it.
    #[error("the case is claimed")]
    Claimed,
    /// The spread subsided before anybody decided; a new alert opens it again.
    #[error("the case is closed")]
    Closed,
    /// Its family joined another, whose case it went into.
    #[error("the case went into case {0}")]
    Merged(CaseId),
    /// The fencing number is not that of the last lease, or the lease was given back, or it is another key's.
    #[error("the lease with this fencing number does not hold the case")]
    LeaseStale,
    /// The lease is over. The case can be claimed again.
    #[error("the lease is over")]
    LeaseExpired,
    /// The length of the lease is outside [`LEASE_MIN`](crate::LEASE_MIN) to [`LEASE_MAX`](crate::LEASE_MAX).
    #[error("a lease lasts 1 second to 1 hour")]
    LeaseLength,
    /// The rationale is longer than [`RATIONALE_BYTES_MAX`](crate::RATIONALE_BYTES_MAX).
    #[error("a rationale has at most 8192 bytes")]
    RationaleLength,
    /// The rationale holds a NUL character, which PostgreSQL cannot store.
    #[error("a rationale holds no NUL character")]
    RationaleMalformed,
    /// The case changed since the version that was seen.
    #[error("the case is no longer of this version")]
    VersionStale,
    /// A decision waits to go out and can still be taken back.
    #[error("the decision can still be taken back")]
    DecisionHeld,
    /// The decision is not the one that stands, or another key's.
    #[error("this decision of yours does not stand")]
    NoSuchDecision,
    /// The decision went out.
    #[error("the decision went out")]
    DecisionFinal,
    /// A note or reason is missing where one must be.
    #[error("a reason is needed")]
    NoteMissing,
    /// A note is longer than [`NOTE_BYTES_MAX`](crate::NOTE_BYTES_MAX), or holds a NUL character.
    #[error("a note has at most 2048 bytes and no NUL character")]
    NoteMalformed,
    /// A case is put aside for a time outside [`HOLD_MIN`](crate::HOLD_MIN) to [`HOLD_MAX`](crate::HOLD_MAX).
    #[error("a case is put aside for 1 minute to 7 days")]
    HoldLength,
    /// The policy is longer than [`POLICY_BYTES_MAX`](crate::POLICY_BYTES_MAX), or holds a NUL character.
    #[error("a policy has at most 256 bytes and no NUL character")]
    PolicyMalformed,
    /// The confidence is more than 100 percent.
    #[error("a confidence is 0 to 100 percent")]
    Confidence,
    /// There are more exceptions than [`EXCEPTIONS_MAX`](crate::EXCEPTIONS_MAX).
    #[error("at most 256 members are excepted")]
    ExceptionCount,
    /// A stream is to be stopped, and no member of the family is live, as far as the case's alert tells.
    #[error("no member of the family is a live stream")]
    NotLive,
    /// The one a case is handed to is no moderator of the team.
    #[error("no moderator of this team has that key")]
    NoSuchModerator,
}

impl Refusal {
    /// All refusals, of any case.
    pub const ALL: [Refusal; 21] = [
        Refusal::NoSuchCase,
        Refusal::Claimed,
        Refusal::Closed,
        Refusal::Merged(CaseId(0)),
        Refusal::LeaseStale,
        Refusal::LeaseExpired,
        Refusal::LeaseLength,
        Refusal::RationaleLength,
        Refusal::RationaleMalformed,
        Refusal::VersionStale,
        Refusal::DecisionHeld,
        Refusal::NoSuchDecision,
        Refusal::DecisionFinal,
        Refusal::NoteMissing,
        Refusal::NoteMalformed,
        Refusal::HoldLength,
        Refusal::PolicyMalformed,
        Refusal::Confidence,
        Refusal::ExceptionCount,
        Refusal::NotLive,
        Refusal::NoSuchModerator,
    ];

    /// A stable name for problem documents and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Refusal::NoSuchCase => "case_unknown",
            Refusal::Claimed => "case_claimed",
            Refusal::Closed => "case_closed",
            Refusal::Merged(_) => "case_merged",
            Refusal::LeaseStale => "lease_stale",
            Refusal::LeaseExpired => "lease_expired",
            Refusal::LeaseLength => "lease_length",
            Refusal::RationaleLength => "rationale_too_long",
            Refusal::RationaleMalformed => "rationale_malformed",
            Refusal::VersionStale => "version_stale",
            Refusal::DecisionHeld => "decision_held",
            Refusal::NoSuchDecision => "decision_unknown",
            Refusal::DecisionFinal => "decision_final",
            Refusal::NoteMissing => "note_missing",
            Refusal::NoteMalformed => "note_malformed",
            Refusal::HoldLength => "hold_length",
            Refusal::PolicyMalformed => "policy_malformed",
            Refusal::Confidence => "confidence_out_of_range",
            Refusal::ExceptionCount => "too_many_exceptions",
            Refusal::NotLive => "not_live",
            Refusal::NoSuchModerator => "moderator_unknown",
        }
    }
}

impl Event {
    /// A stable name for the history of a case. `None` for what is not told there.
    pub fn name(&self) -> Option<&'static str> {
        match self {
            Event::Claimed => Some("claimed"),
            Event::Released { .. } => Some("released"),
            Event::HandedOver { .. } => Some("handed_over"),
            Event::Escalated { .. } => Some("escalated"),
            Event::Held { .. } => Some("held"),
            Event::Skipped { .. } => Some("skipped"),
            Event::Decided(_) => Some("decided"),
            Event::Withdrawn(_) => Some("withdrawn"),
            Event::Renewed | Event::DraftSaved | Event::DecidedBefore => None,
        }
    }

    /// The words that came with it; empty where there are none.
    pub fn note(&self) -> &str {
        match self {
            Event::Released { note } | Event::HandedOver { note, .. } | Event::Escalated { note, .. } => note,
            Event::Held { reason } | Event::Skipped { reason } => reason,
            Event::Claimed
            | Event::Renewed
            | Event::DraftSaved
            | Event::Decided(_)
            | Event::DecidedBefore
            | Event::Withdrawn(_) => "",
        }
    }
}
