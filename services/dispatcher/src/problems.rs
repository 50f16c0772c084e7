//! The kinds of problem that only the dispatcher answers with. `PROBLEMS.md` lists all of them.

use tocsin_casework::{AppealRefusal, NoticeRefusal, Refusal, ReviewRefusal};
use tocsin_evidence::PreservationRefusal;
use tocsin_runtime::{Problem, ProblemKind, problem};
use tocsin_store::{SignInRefusal, StoreError};

/// The key speaks for nobody who has a queue.
pub const NO_QUEUE: ProblemKind = ProblemKind {
    status: 403,
    code: "no_queue",
    title: "Parties and coordinators have queues; this key is of neither",
};

/// The key is not the coordinators'.
pub const COORDINATORS_ONLY: ProblemKind = ProblemKind {
    status: 403,
    code: "coordinators_only",
    title: "What this changes holds for everyone, so only coordinators may",
};

/// The key is no party's.
pub const PARTIES_ONLY: ProblemKind = ProblemKind {
    status: 403,
    code: "parties_only",
    title: "Only a party has platforms of its own; this key is of none",
};

/// Another reading of accounts is under way.
pub const ACCOUNTS_BUSY: ProblemKind = ProblemKind {
    status: 429,
    code: "accounts_busy",
    title: "A dispatcher reads one page of accounts for a party at a time, and two in all",
};

/// No copies are sealed here.
pub const NO_SEALED_STORE: ProblemKind = ProblemKind {
    status: 501,
    code: "sealed_store_missing",
    title: "This deployment has no sealed store: ask whoever runs it for one",
};

/// A sealed copy is not as it was sealed.
pub const COPY_DAMAGED: ProblemKind = ProblemKind {
    status: 500,
    code: "sealed_copy_damaged",
    title: "The sealed copy is not as it was sealed, and is not handed out; whoever runs the deployment was told",
};

/// Another export is under way.
pub const EVIDENCE_BUSY: ProblemKind = ProblemKind {
    status: 429,
    code: "evidence_busy",
    title: "A dispatcher gives a party one export at a time, and two in all",
};

/// The kind of problem of a refusal by the rules of preservations.
pub fn of_preservation_refusal(refusal: PreservationRefusal) -> ProblemKind {
    let (status, title) = match refusal {
        PreservationRefusal::NoSuchPreservation => (404, "There is no such preservation of this party"),
        PreservationRefusal::Ended => (409, "The preservation has ended"),
        PreservationRefusal::Basis => (
            422,
            "A basis has a text of 1 to 2,048 bytes and a reference of 1 to 256, without NUL characters",
        ),
        PreservationRefusal::Reason => (422, "A reason has 1 to 2,048 bytes and no NUL character"),
        PreservationRefusal::Until => (
            422,
            "A preservation is extended to a later end, at most 24 months from now",
        ),
        PreservationRefusal::TooManyExtensions => (409, "A preservation is extended at most 64 times"),
        PreservationRefusal::Required => (
            409,
            "The law asks for six months: this preservation is not released before",
        ),
        PreservationRefusal::TooMany => (409, "16 preservations of this case or 10,000 of the party run"),
        PreservationRefusal::NotSealed => (409, "The copy of this preservation is still being made"),
        PreservationRefusal::TooManyExports => (409, "The copy of a preservation is handed out at most 1,000 times"),
    };
    ProblemKind {
        status,
        code: refusal.code(),
        title,
    }
}

/// A day of which nothing is published.
pub const NO_SUCH_RESEARCH_DAY: ProblemKind = ProblemKind {
    status: 404,
    code: "research_day_unknown",
    title: "Nothing is published of this day, or not yet",
};

/// Researchers are told nothing of drills.
pub const NO_RESEARCH_IN_DRILLS: ProblemKind = ProblemKind {
    status: 409,
    code: "no_research_in_drills",
    title: "This is a drill: nothing is published for researchers",
};

/// A report of another team, or of a party that is none.
pub const NO_SUCH_REPORT: ProblemKind = ProblemKind {
    status: 404,
    code: "report_unknown",
    title: "There is no such report of this team",
};

/// The days of a report are too many, or the last is before the first.
pub const REPORT_DAYS: ProblemKind = ProblemKind {
    status: 422,
    code: "report_days",
    title: "A report is about 1 to 400 days, the last not before the first",
};

/// A report rests on too many rows.
pub const REPORT_TOO_LARGE: ProblemKind = ProblemKind {
    status: 422,
    code: "report_too_large",
    title: "A report of these days rests on more than 2,000,000 rows",
};

/// As many reports are made as may be at once.
pub const REPORTS_BUSY: ProblemKind = ProblemKind {
    status: 503,
    code: "reports_busy",
    title: "As many reports are made as may be at a time",
};

/// An action of Coop that no person did.
pub const NOT_A_PERSON: ProblemKind = ProblemKind {
    status: 422,
    code: "coop_not_a_person",
    title: "A rule of Coop did it: people decide",
};

/// An action of Coop that stands for no decision.
pub const ACTION_UNMAPPED: ProblemKind = ProblemKind {
    status: 422,
    code: "coop_action_unmapped",
    title: "The body of the action in Coop has no tocsin_verdict, or one that is none; likewise tocsin_action",
};

/// No provider is named: people come in by links.
pub const SIGN_IN_NOT_OFFERED: ProblemKind = ProblemKind {
    status: 501,
    code: "sign_in_not_offered",
    title: "This deployment has no OpenID provider: ask whoever runs it for a one-time link",
};

/// What came back belongs to no sign-in of this browser.
pub const SIGN_IN_STATE_INVALID: ProblemKind = ProblemKind {
    status: 400,
    code: "sign_in_state_invalid",
    title: "This browser began no such sign-in, or it is over: begin again",
};

/// The provider signed nobody in.
pub const SIGN_IN_REFUSED: ProblemKind = ProblemKind {
    status: 403,
    code: "sign_in_refused",
    title: "The provider signed nobody in: begin again",
};

/// The provider's ID token does not hold.
pub const SIGN_IN_TOKEN_INVALID: ProblemKind = ProblemKind {
    status: 403,
    code: "sign_in_token_invalid",
    title: "The provider's ID token is refused; why stands in the log",
};

/// The provider does not answer, or not as one.
pub const SIGN_IN_UNAVAILABLE: ProblemKind = ProblemKind {
    status: 503,
    code: "sign_in_unavailable",
    title: "The OpenID provider does not answer as one",
};

/// An API key was shown where a session is wanted.
pub const NO_SESSION: ProblemKind = ProblemKind {
    status: 409,
    code: "no_session",
    title: "No session was shown: an API key is revoked, not signed out",
};

/// The kind of problem of somebody who is not signed in.
pub fn of_sign_in_refusal(refusal: SignInRefusal) -> ProblemKind {
    let (status, title) = match refusal {
        SignInRefusal::StateUsed => return SIGN_IN_STATE_INVALID,
        SignInRefusal::LinkInvalid => (410, "The link was used, is too old, or was never given"),
        SignInRefusal::AccountUnknown => (403, "The account of the provider is bound to nobody here"),
        SignInRefusal::AccountTaken => (409, "The account of the provider is bound to another person"),
        SignInRefusal::AccountCount => (409, "As many accounts are bound to the person as may be"),
        SignInRefusal::AccountMalformed => (422, "The provider's name of the account is none"),
    };
    ProblemKind {
        status,
        code: refusal.code(),
        title,
    }
}

/// More items were asked for than are told at a time.
pub const TOO_MANY_ITEMS: ProblemKind = ProblemKind {
    status: 422,
    code: "too_many_items",
    title: "More items were asked for than are told at a time",
};

/// The kind of problem of a refusal by the rules of casework.
pub fn of_refusal(refusal: Refusal) -> ProblemKind {
    let (status, title) = match refusal {
        Refusal::NoSuchCase => (404, "There is no such case in this queue"),
        Refusal::Claimed => (409, "Somebody holds the case"),
        Refusal::Closed => (409, "The spread subsided and the case is closed"),
        Refusal::Merged(_) => (409, "The case went into that of the family that its own joined"),
        Refusal::LeaseStale => (409, "The lease with this fencing number does not hold the case"),
        Refusal::LeaseExpired => (409, "The lease is over"),
        Refusal::LeaseLength => (422, "A lease lasts 1 second to 1 hour"),
        Refusal::RationaleLength => (422, "A rationale has at most 8,192 bytes"),
        Refusal::RationaleMalformed => (422, "A rationale holds no NUL character"),
        Refusal::VersionStale => (412, "The case changed since the version you saw"),
        Refusal::DecisionHeld => (
            409,
            "The decision can still be taken back; then the case can be claimed",
        ),
        Refusal::NoSuchDecision => (409, "This decision of yours does not stand"),
        Refusal::DecisionFinal => (409, "The decision went out and cannot be taken back"),
        Refusal::NoteMissing => (422, "This needs a reason"),
        Refusal::NoteMalformed => (422, "A note has at most 2,048 bytes and no NUL character"),
        Refusal::HoldLength => (422, "A case is put aside for 1 minute to 7 days"),
        Refusal::PolicyMalformed => (422, "A policy has at most 256 bytes and no NUL character"),
        Refusal::Confidence => (422, "A confidence is 0 to 100 percent"),
        Refusal::ExceptionCount => (422, "At most 256 members are excepted"),
        Refusal::NotLive => (422, "No member of the family is a live stream"),
        Refusal::NoSuchModerator => (422, "No moderator of this team has that key"),
    };
    ProblemKind {
        status,
        code: refusal.code(),
        title,
    }
}

/// The kind of problem of a refusal by the rules of incidents.
pub fn of_incident_refusal(refusal: tocsin_incident::Refusal) -> ProblemKind {
    use tocsin_incident::Refusal as R;
    let status = match refusal {
        R::NoSuchIncident | R::NoSuchTask | R::NoSuchPack => 404,
        R::CoordinatorsOnly | R::NotTakingPart | R::NotYourTask => 403,
        R::VersionStale => 412,
        R::Concluded
        | R::NotConcluded
        | R::NotActive
        | R::ActiveAlready
        | R::SameLevel
        | R::FamilyAttached
        | R::FamilyNotAttached
        | R::InvitedAlready
        | R::NotInvited
        | R::NotAdmitted
        | R::AcknowledgedAlready
        | R::RemindedJustNow
        | R::TaskDone
        | R::TooManyIncidents
        | R::TooManyFamilies
        | R::TooManyRules
        | R::TooManyParticipants
        | R::TooManyTasks
        | R::TooManyNotes
        | R::TooManyPacks
        | R::PackEmpty
        | R::PackTooLarge => 409,
        R::PackWithdrawn => 410,
        R::NoSuchProtocol
        | R::NoSuchOrigin
        | R::NoSuchLevel
        | R::NoSuchQuestion
        | R::NoSuchClass
        | R::NoSuchGroup
        | R::NoSuchRule
        | R::NotAParty
        | R::TitleMalformed
        | R::ReasonMalformed
        | R::TextMalformed
        | R::NoteTextMalformed
        | R::MarkingMalformed
        | R::RuleMalformed
        | R::TaskDue => 422,
    };
    ProblemKind {
        status,
        code: refusal.code(),
        title: refusal.says(),
    }
}

/// The kind of problem of a refusal by the rules of notices.
pub fn of_notice_refusal(refusal: NoticeRefusal) -> ProblemKind {
    let (status, title) = match refusal {
        NoticeRefusal::NoSuchNotice => (404, "There is no such notice of this team"),
        NoticeRefusal::Differs => (
            409,
            "A notice of this authority, reference and part says something else",
        ),
        NoticeRefusal::Malformed => (422, "A part of the notice is missing, too long or malformed"),
        NoticeRefusal::Times => (422, "A notice was received by now, and is due after that"),
        NoticeRefusal::Answered => (409, "The notice was answered"),
        NoticeRefusal::NotSuspendable => (422, "Only the time of a removal order is suspended"),
        NoticeRefusal::Suspended => (409, "The time of the notice is suspended"),
        NoticeRefusal::Running => (409, "The time of the notice runs"),
        NoticeRefusal::TooMany => (422, "1,000 notices of this case wait for an answer"),
        NoticeRefusal::Note => (422, "What is said has 1 to 2,048 bytes and no NUL character"),
        NoticeRefusal::Outcome => (422, "This is no answer to a notice of this kind"),
    };
    ProblemKind {
        status,
        code: refusal.code(),
        title,
    }
}

/// The kind of problem of a refusal by the rules of appeals.
pub fn of_appeal_refusal(refusal: AppealRefusal) -> ProblemKind {
    let (status, title) = match refusal {
        AppealRefusal::NoSuchAppeal => (404, "There is no such appeal of this team"),
        AppealRefusal::Differs => (409, "An appeal of this reference says something else"),
        AppealRefusal::Malformed => (422, "A part of the appeal is missing, too long or malformed"),
        AppealRefusal::NoSuchDecision => (422, "This team made no such decision"),
        AppealRefusal::OtherContent => (422, "The decision is not about this content"),
        AppealRefusal::ForeignPlatform => (422, "The platform is another party's"),
        AppealRefusal::TooMany => (
            422,
            "1,000 appeals about this family or 10,000 of the team wait for an answer",
        ),
        AppealRefusal::OwnDecision => (409, "Whoever decided does not answer an appeal against it"),
        AppealRefusal::Claimed => (409, "Somebody holds the appeal"),
        AppealRefusal::LeaseStale => (409, "The lease with this fencing number does not hold the appeal"),
        AppealRefusal::LeaseExpired => (409, "The lease of the appeal is over"),
        AppealRefusal::LeaseLength => (422, "A lease lasts 1 second to 1 hour"),
        AppealRefusal::Answered => (409, "The appeal was answered"),
        AppealRefusal::Note => (422, "An answer says why, in 1 to 2,048 bytes without a NUL character"),
        AppealRefusal::Ruling => (
            422,
            "What is overturned has a cause, and a family that is overturned is benign or newsworthy",
        ),
    };
    ProblemKind {
        status,
        code: refusal.code(),
        title,
    }
}

/// The kind of problem of a refusal by the rules of reviews.
pub fn of_review_refusal(refusal: ReviewRefusal) -> ProblemKind {
    let (status, title) = match refusal {
        ReviewRefusal::NoSuchReview => (404, "There is no such review, or another holds it"),
        ReviewRefusal::OwnDecision => (409, "Whoever decided does not review it"),
        ReviewRefusal::LeaseStale => (409, "The lease with this fencing number does not hold the review"),
        ReviewRefusal::LeaseExpired => (409, "The lease of the review is over"),
        ReviewRefusal::LeaseLength => (422, "A lease lasts 1 second to 1 hour"),
        ReviewRefusal::Answered => (409, "The review was answered"),
        ReviewRefusal::Note => (422, "A note has at most 2,048 bytes and no NUL character"),
    };
    ProblemKind {
        status,
        code: refusal.code(),
        title,
    }
}

/// There is no party of this name, or it was revoked.
pub const NO_SUCH_PARTY: ProblemKind = ProblemKind {
    status: 422,
    code: "party_unknown",
    title: "There is no such party, or it was revoked",
};

/// The problem of an error of the store: a refusal is told, a store that does not answer is told as such, anything else only logged.
pub(crate) fn of_store(error: &StoreError) -> Problem {
    match error {
        StoreError::Refused(refusal @ Refusal::Merged(into)) => {
            Problem::new(of_refusal(*refusal)).with_detail(into.to_string())
        }
        StoreError::Refused(refusal) => Problem::new(of_refusal(*refusal)),
        StoreError::IncidentRefused(refusal) => Problem::new(of_incident_refusal(*refusal)),
        StoreError::ReportTooLarge => REPORT_TOO_LARGE.into(),
        StoreError::NoSuchParty { .. } | StoreError::PartyRevoked { .. } => NO_SUCH_PARTY.into(),
        StoreError::NoticeRefused(refusal) => Problem::new(of_notice_refusal(*refusal)),
        StoreError::AppealRefused(refusal) => Problem::new(of_appeal_refusal(*refusal)),
        StoreError::ReviewRefused(refusal) => Problem::new(of_review_refusal(*refusal)),
        StoreError::PreservationRefused(refusal) => of_preservation_refusal(*refusal).into(),
        StoreError::SignInRefused(refusal) => of_sign_in_refusal(*refusal).into(),
        StoreError::KeyRevoked => problem::UNAUTHENTICATED.into(),
        StoreError::Database { .. } => {
            tracing::error!(error = error as &dyn std::error::Error, "the store did not answer");
            Problem::new(problem::UNAVAILABLE).with_retry_after_s(1)
        }
        _ => Problem::internal(error),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the table that clients program against names every code there is.
    use tocsin_runtime::streams;

    use super::*;
    use tocsin_runtime::session_cookie;

    const TABLE: &str = include_str!("../PROBLEMS.md");

    #[test]
    fn every_code_is_documented() {
        let shared = problem::SHARED.iter().map(|kind| kind.code);
        let refusals = Refusal::ALL.iter().map(|refusal| refusal.code());
        let incidents = tocsin_incident::Refusal::ALL.iter().map(|refusal| refusal.code());
        let of_notices = NoticeRefusal::ALL.iter().map(|refusal| refusal.code());
        let of_appeals = AppealRefusal::ALL.iter().map(|refusal| refusal.code());
        let of_reviews = ReviewRefusal::ALL.iter().map(|refusal| refusal.code());
        let of_cases = shared
            .chain(refusals)
            .chain(of_notices)
            .chain(of_appeals)
            .chain(of_reviews)
            .chain(PreservationRefusal::ALL.iter().map(|refusal| refusal.code()));
        let own = [
            NO_QUEUE.code,
            NOT_A_PERSON.code,
            ACTION_UNMAPPED.code,
            TOO_MANY_ITEMS.code,
            COORDINATORS_ONLY.code,
            PARTIES_ONLY.code,
            ACCOUNTS_BUSY.code,
            NO_SEALED_STORE.code,
            COPY_DAMAGED.code,
            EVIDENCE_BUSY.code,
            NO_SUCH_PARTY.code,
            NO_SUCH_REPORT.code,
            REPORT_DAYS.code,
            REPORT_TOO_LARGE.code,
            REPORTS_BUSY.code,
            problem::AUDIT_UNAVAILABLE.code,
            SIGN_IN_NOT_OFFERED.code,
            SIGN_IN_STATE_INVALID.code,
            SIGN_IN_REFUSED.code,
            SIGN_IN_TOKEN_INVALID.code,
            SIGN_IN_UNAVAILABLE.code,
            NO_SESSION.code,
            session_cookie::CROSS_SITE.code,
            streams::TOO_MANY_STREAMS.code,
        ];
        let of_sign_ins = SignInRefusal::ALL.iter().map(|refusal| refusal.code());
        let ends = streams::EndCode::ALL.iter().map(|end| end.name());
        for code in of_cases.chain(incidents).chain(own).chain(of_sign_ins).chain(ends) {
            assert!(TABLE.contains(&format!("| `{code}` |")), "{code} is not in PROBLEMS.md");
        }
    }
}
