use std::fmt;
use std::str::FromStr;

use tocsin_model::{
    ContentHash, ContentId, DecisionId, EvidenceKind, FamilyId, IdError, KeyId, Milliseconds, PlatformId, Timestamp,
    Verdict, parse_hex_id,
};

use crate::case::{CaseId, Lease, Team};

/// The longest reference of an appeal, in bytes of UTF-8.
pub const APPEAL_REFERENCE_BYTES_MAX: usize = 256;
/// The longest reason of an appeal, in bytes of UTF-8.
pub const APPEAL_REASON_BYTES_MAX: usize = 8_192;
/// The most appeals of a team about one family that wait for an answer.
pub const OPEN_APPEALS_MAX: usize = 1_000;
/// The most appeals of a team that wait for an answer: an unknown content is a family of its own, and anybody may make up hashes.
pub const OPEN_APPEALS_OF_TEAM_MAX: usize = 10_000;

/// The identity of an appeal. Random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppealId(pub u128);

/// What an appeal is against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Against {
    /// This decision of the team.
    Decision(DecisionId),
    /// A refused upload (`blocked_upload`), whatever it was refused for.
    Block,
}

/// What whoever files an appeal says. `reference` names it: an appeal is filed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppealFiling {
    /// Its number on the platform.
    pub reference: String,
    /// Where it was made.
    pub platform: PlatformId,
    /// The content that it is about, by its strongest hash.
    pub content: ContentHash,
    /// What it is against.
    pub against: Against,
    /// Why, in the words of those who appeal.
    pub reason: String,
}

/// Somebody disagrees with what became of their upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appeal {
    /// Its identity.
    pub id: AppealId,
    /// The team that decided, and answers.
    pub team: Team,
    /// What it says.
    pub filing: AppealFiling,
    /// The content, by its id.
    pub content: ContentId,
    /// The family of the content when it was filed, as far as was known: that of the case.
    pub family: FamilyId,
    /// The team's case of that family, wherever it went; once it is answered, the one that it was answered about. `None`: it has none, and the upload was
    /// refused by a listing.
    pub case: Option<CaseId>,
    /// The decision that it comes down to, if there is one.
    pub decision: Option<DecisionId>,
    /// The key that filed it.
    pub filed_by: KeyId,
    /// When, by the store's clock.
    pub filed_at: Timestamp,
    /// The number of the last lease. Every write by a reviewer carries it.
    pub fencing: u64,
    /// The last lease, if it was not given back.
    pub lease: Option<Lease>,
    /// What was answered, once it was.
    pub answer: Option<AppealAnswer>,
}

/// What becomes of the decision. The numbers are those of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AppealOutcome {
    /// The decision or the block stands.
    Upheld = 1,
    /// It was wrong.
    Overturned = 2,
}

/// How far an answer goes. The numbers are those of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Concerns {
    /// This upload alone, by its context.
    Upload = 1,
    /// This content: it does not belong to what was decided about.
    Member = 2,
    /// Everything that belongs to the family.
    Family = 3,
}

/// By which evidence what is overturned was caught. The numbers are those of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AppealCause {
    /// People decided wrongly about what it is.
    Judgement = 1,
    /// Another of its hashes equals one of the family.
    EqualHash = 2,
    /// Its picture is near one of the family (PDQ).
    NearPicture = 3,
    /// Frames of its video are like those of one of the family.
    Frames = 4,
    /// A party or a person said that it belongs to the family.
    SaidSo = 5,
    /// A hash list held it.
    Listing = 6,
    /// The platform's own classification.
    Label = 7,
}

/// What a reviewer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppealRuling {
    /// What becomes of the decision.
    pub outcome: AppealOutcome,
    /// How far that goes.
    pub concerns: Concerns,
    /// By which evidence it was caught: of what is overturned.
    pub cause: Option<AppealCause>,
    /// What the family is instead, where all of it is overturned: benign or newsworthy.
    pub verdict: Option<Verdict>,
    /// Why, in words.
    pub note: String,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppealAnswer {
    /// What was said.
    pub ruling: AppealRuling,
    /// When.
    pub at: Timestamp,
    /// Who said it.
    pub by: KeyId,
    /// The number of the lease under which it was said.
    pub fencing: u64,
    /// The appeal about the same family that it was answered with: that overturned all of it.
    pub with: Option<AppealId>,
}

/// What part whoever commands had in what is appealed against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// None.
    None,
    /// They decided: under this key or another of theirs, about the case or one that went into it.
    Decided,
}

/// What a person does with an appeal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppealCommand {
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
    /// Give it back.
    Release,
    /// Answer it.
    Answer(AppealRuling),
}

/// What happened to an appeal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppealEvent {
    /// It was filed.
    Filed,
    /// It is held.
    Claimed,
    /// It is held longer.
    Renewed,
    /// It was given back.
    Released,
    /// It was answered.
    Answered,
    /// The same was said before, and the answer to it was lost.
    SaidBefore,
}

/// Why an appeal, or a command on one, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AppealRefusal {
    /// The team has no such appeal: it never was, or it is another team's.
    #[error("there is no such appeal")]
    NoSuchAppeal,
    /// An appeal of this reference says something else.
    #[error("an appeal of this reference says something else")]
    Differs,
    /// A part is missing, too long, or holds a NUL character.
    #[error("an appeal has a reference of 1 to 256 bytes and a reason of 1 to 8192 bytes, without a NUL character")]
    Malformed,
    /// The team made no such decision, or took it back.
    #[error("the team made no such decision")]
    NoSuchDecision,
    /// The decision that it names is not about the content, as far as is known.
    #[error("the decision is not about this content")]
    OtherContent,
    /// The platform is not the party's.
    #[error("the platform is another party's")]
    ForeignPlatform,
    /// As many appeals about the family, or of the team, as there may be wait for an answer.
    #[error("1000 appeals about this family or 10000 of the team wait for an answer")]
    TooMany,
    /// Who decided does not answer an appeal against it.
    #[error("whoever decided does not answer an appeal against it")]
    OwnDecision,
    /// Somebody holds it.
    #[error("the appeal is claimed")]
    Claimed,
    /// The fencing number is not that of the last lease, or the lease was given back, or it is another key's.
    #[error("the lease with this fencing number does not hold the appeal")]
    LeaseStale,
    /// The lease is over.
    #[error("the lease is over")]
    LeaseExpired,
    /// The length of the lease is outside [`LEASE_MIN`](crate::LEASE_MIN) to [`LEASE_MAX`](crate::LEASE_MAX).
    #[error("a lease lasts 1 second to 1 hour")]
    LeaseLength,
    /// It was answered.
    #[error("the appeal was answered")]
    Answered,
    /// The note is missing or too long, or holds a NUL character.
    #[error("an answer says why in 1 to 2048 bytes without a NUL character")]
    Note,
    /// A cause belongs to what is overturned, and a verdict, benign or newsworthy, to a family that is.
    #[error("what is overturned has a cause, and a family that is overturned is benign or newsworthy")]
    Ruling,
}

macro_rules! named {
    ($kind:ident: $($variant:ident $name:literal),+) => {
        impl $kind {
            /// All of them.
            pub const ALL: &'static [$kind] = &[$($kind::$variant),+];

            /// Its name in the API.
            pub fn name(self) -> &'static str {
                match self {
                    $($kind::$variant => $name),+
                }
            }

            /// The one of this name.
            pub fn from_name(name: &str) -> Option<$kind> {
                $kind::ALL.iter().copied().find(|known| known.name() == name)
            }

            /// The one with this number of the store.
            pub fn from_number(number: i64) -> Option<$kind> {
                $kind::ALL.iter().copied().find(|known| *known as i64 == number)
            }
        }
    };
}

named!(AppealOutcome: Upheld "upheld", Overturned "overturned");
named!(Concerns: Upload "upload", Member "member", Family "family");
named!(AppealCause: Judgement "judgement", EqualHash "equal_hash", NearPicture "near_picture", Frames "frames", SaidSo "said_so", Listing "listing", Label "label");

impl AppealCause {
    /// The evidence that is to blame. `None`: people are.
    pub fn evidence(self) -> Option<EvidenceKind> {
        match self {
            AppealCause::Judgement => None,
            AppealCause::EqualHash => Some(EvidenceKind::EqualHash),
            AppealCause::NearPicture => Some(EvidenceKind::NearPicture),
            AppealCause::Frames => Some(EvidenceKind::Frames),
            AppealCause::SaidSo => Some(EvidenceKind::SaidSo),
            AppealCause::Listing => Some(EvidenceKind::Listing),
            AppealCause::Label => Some(EvidenceKind::Label),
        }
    }
}

impl AppealEvent {
    /// A stable name for the history of a case. `None` for what is not told there.
    pub fn name(self) -> Option<&'static str> {
        match self {
            AppealEvent::Filed => Some("appeal_filed"),
            AppealEvent::Claimed => Some("appeal_claimed"),
            AppealEvent::Answered => Some("appeal_answered"),
            AppealEvent::Renewed | AppealEvent::Released | AppealEvent::SaidBefore => None,
        }
    }
}

impl AppealRefusal {
    /// All refusals.
    pub const ALL: [AppealRefusal; 15] = [
        AppealRefusal::NoSuchAppeal,
        AppealRefusal::Differs,
        AppealRefusal::Malformed,
        AppealRefusal::NoSuchDecision,
        AppealRefusal::OtherContent,
        AppealRefusal::ForeignPlatform,
        AppealRefusal::TooMany,
        AppealRefusal::OwnDecision,
        AppealRefusal::Claimed,
        AppealRefusal::LeaseStale,
        AppealRefusal::LeaseExpired,
        AppealRefusal::LeaseLength,
        AppealRefusal::Answered,
        AppealRefusal::Note,
        AppealRefusal::Ruling,
    ];

    /// A stable name for problem documents and metrics.
    pub fn code(self) -> &'static str {
        match self {
            AppealRefusal::NoSuchAppeal => "appeal_unknown",
            AppealRefusal::Differs => "appeal_differs",
            AppealRefusal::Malformed => "appeal_malformed",
            AppealRefusal::NoSuchDecision => "appeal_decision_unknown",
            AppealRefusal::OtherContent => "appeal_content_other",
            AppealRefusal::ForeignPlatform => "appeal_platform_foreign",
            AppealRefusal::TooMany => "too_many_appeals",
            AppealRefusal::OwnDecision => "appeal_own_decision",
            AppealRefusal::Claimed => "appeal_claimed",
            AppealRefusal::LeaseStale => "appeal_lease_stale",
            AppealRefusal::LeaseExpired => "appeal_lease_expired",
            AppealRefusal::LeaseLength => "appeal_lease_length",
            AppealRefusal::Answered => "appeal_answered",
            AppealRefusal::Note => "appeal_note",
            AppealRefusal::Ruling => "appeal_ruling",
        }
    }
}

impl fmt::Display for AppealId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for AppealId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<AppealId, IdError> {
        parse_hex_id(text).map(AppealId)
    }
}
