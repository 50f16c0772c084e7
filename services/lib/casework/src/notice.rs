use std::fmt;
use std::str::FromStr;

use tocsin_model::{ContentHash, IdError, KeyId, Milliseconds, PlatformId, Timestamp, parse_hex_id};

use crate::case::CaseId;

/// For so long from its receipt on a removal order may wait for the removal: Regulation (EU) 2021/784, Art. 3(3).
pub const ORDER_DUE_IN: Milliseconds = Milliseconds::from_hours(1);
/// How far ahead of the store's clock a time of receipt may be, for clocks that disagree. It is taken for now.
pub const AHEAD_MAX: Milliseconds = Milliseconds::from_minutes(5);
/// The longest name of an authority, and the longest reference, in bytes of UTF-8.
pub const AUTHORITY_BYTES_MAX: usize = 256;
/// The most addresses that a notice names.
pub const URLS_MAX: usize = 16;
/// The most notices of one case that are not answered.
pub const OPEN_NOTICES_MAX: usize = 1_000;
/// The longest address, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;

/// The identity of a notice. Random: it tells nothing of other teams' notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoticeId(pub u128);

/// What somebody wants of a team. The numbers are those of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum NoticeKind {
    /// An order to remove or to disable access within one hour: Regulation (EU) 2021/784, Art. 3.
    RemovalOrder = 1,
    /// A notice by a trusted flagger, to be decided with priority: Regulation (EU) 2022/2065, Art. 22.
    TrustedFlagger = 2,
    /// A state asks to look at it by the platform's own rules.
    Referral = 3,
    /// The team told an authority of an imminent threat to life: Regulation (EU) 2021/784, Art. 14(5). The authority's answer is waited for.
    ThreatToLife = 4,
}

/// Why the hour of an order does not run. The numbers are those of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SuspensionGround {
    /// Force majeure, or it is impossible in fact: Art. 3(7).
    Impossible = 1,
    /// The order has manifest errors: Art. 3(8).
    ManifestErrors = 2,
    /// The order does not say enough to carry it out: Art. 3(8).
    InsufficientInformation = 3,
}

/// What was answered. The numbers are those of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum NoticeOutcome {
    /// The content was removed.
    Removed = 1,
    /// Access to it was disabled in all member states.
    Disabled = 2,
    /// It stays.
    Kept = 3,
    /// Whoever sent it took it back, or it was annulled.
    Withdrawn = 4,
    /// The authority that was told of a threat answered.
    Replied = 5,
}

/// What is wanted, by whom, until when, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its identity.
    pub id: NoticeId,
    /// The case that it is about.
    pub case: CaseId,
    /// What it says.
    pub filing: Filing,
    /// The key that filed it.
    pub filed_by: KeyId,
    /// When it was filed, by the store's clock.
    pub filed_at: Timestamp,
    /// Until when it is to be answered. It stays as it was when the answer came.
    pub due_at: Option<Timestamp>,
    /// Why the time does not run, if it does not.
    pub suspension: Option<Suspension>,
    /// What was answered, once it was.
    pub answer: Option<NoticeAnswer>,
    /// When it was escalated because `due_at` had passed.
    pub overdue_at: Option<Timestamp>,
}

/// What a notice says. `authority`, `reference` and `part` name it: a notice is filed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filing {
    /// What is wanted.
    pub kind: NoticeKind,
    /// Who wants it; of a threat, who was told.
    pub authority: String,
    /// Their number of it.
    pub reference: String,
    /// Which of the contents that it names, from 0: each is a notice of its own, with a case of its own.
    pub part: u32,
    /// The content that it names, by its strongest hash; `None` where it names a case.
    pub content: Option<ContentHash>,
    /// The platform that it is about.
    pub platform: Option<PlatformId>,
    /// When it was received; of a threat, when the authority was told.
    pub received_at: Timestamp,
    /// Until when it is to be answered, where its sender said so. An order is due [`ORDER_DUE_IN`] after its receipt whatever is said.
    pub due_at: Option<Timestamp>,
    /// The addresses that it names. Nothing is fetched.
    pub urls: Vec<String>,
    /// Its reasons, in its own words.
    pub statement: String,
}

/// Why the time of an order does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// By which paragraph.
    pub ground: SuspensionGround,
    /// In words, as the authority is told.
    pub note: String,
    /// Since when.
    pub at: Timestamp,
    /// Who said so.
    pub by: KeyId,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeAnswer {
    /// What was done.
    pub outcome: NoticeOutcome,
    /// In words.
    pub note: String,
    /// When.
    pub at: Timestamp,
    /// Who answered.
    pub by: KeyId,
}

/// What a person does with a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeCommand {
    /// Its time does not run.
    Suspend {
        /// By which paragraph.
        ground: SuspensionGround,
        /// Why, as the authority is told.
        note: String,
    },
    /// The grounds have ceased: the hour runs anew.
    Resume {
        /// What became clear; may be empty.
        note: String,
    },
    /// It is answered.
    Answer {
        /// What was done.
        outcome: NoticeOutcome,
        /// In words; an authority's answer about a threat must be.
        note: String,
    },
}

/// What happened to a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeEvent {
    /// It was filed, and stands in a case.
    Filed,
    /// Its time does not run any more.
    Suspended,
    /// Its time runs anew.
    Resumed,
    /// It was answered.
    Answered,
    /// The same was said before, and the answer to it was lost.
    SaidBefore,
    /// Its time is over.
    Overdue,
}

/// Why a notice, or a command on one, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NoticeRefusal {
    /// The team has no such notice: it never was, or it is another team's.
    #[error("there is no such notice")]
    NoSuchNotice,
    /// A notice of this authority and reference says something else.
    #[error("a notice of this authority and reference says something else")]
    Differs,
    /// A part is missing, too long, or holds a NUL character.
    #[error(
        "a notice names its authority and its reference in 1 to 256 bytes each, at most 16 addresses of 2048 bytes, and says why in at most 2048 bytes"
    )]
    Malformed,
    /// The time of receipt is ahead of the store's clock, or what is due is due before it.
    #[error("a notice was received by now, and is due after that")]
    Times,
    /// It was answered.
    #[error("the notice was answered")]
    Answered,
    /// Only the time of an order is suspended.
    #[error("only the time of a removal order is suspended")]
    NotSuspendable,
    /// Its time is suspended already.
    #[error("the time of the notice is suspended")]
    Suspended,
    /// Its time is not suspended.
    #[error("the time of the notice runs")]
    Running,
    /// As many notices of the case as there may be wait for an answer.
    #[error("1000 notices of this case wait for an answer")]
    TooMany,
    /// A note is missing or too long, or holds a NUL character.
    #[error("what is said has 1 to 2048 bytes and no NUL character")]
    Note,
    /// Threats are replied to; everything else is removed, disabled, kept or withdrawn.
    #[error("this is no answer to a notice of this kind")]
    Outcome,
}

/// What the notices of a case that are not answered come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoticeLoad {
    /// How many wait for the team's answer.
    pub open: u32,
    /// When the first of those whose time runs is due.
    pub due_at: Option<Timestamp>,
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

named!(NoticeKind: RemovalOrder "removal_order", TrustedFlagger "trusted_flagger", Referral "referral", ThreatToLife "threat_to_life");
named!(SuspensionGround: Impossible "impossible", ManifestErrors "manifest_errors", InsufficientInformation "insufficient_information");
named!(NoticeOutcome: Removed "removed", Disabled "disabled", Kept "kept", Withdrawn "withdrawn", Replied "replied");

impl NoticeEvent {
    /// A stable name for the history of a case. `None` for what is not told there.
    pub fn name(self) -> Option<&'static str> {
        match self {
            NoticeEvent::Filed => Some("notice_filed"),
            NoticeEvent::Suspended => Some("notice_suspended"),
            NoticeEvent::Resumed => Some("notice_resumed"),
            NoticeEvent::Answered => Some("notice_answered"),
            NoticeEvent::Overdue => Some("notice_overdue"),
            NoticeEvent::SaidBefore => None,
        }
    }
}

impl NoticeRefusal {
    /// All refusals.
    pub const ALL: [NoticeRefusal; 11] = [
        NoticeRefusal::NoSuchNotice,
        NoticeRefusal::Differs,
        NoticeRefusal::Malformed,
        NoticeRefusal::Times,
        NoticeRefusal::Answered,
        NoticeRefusal::NotSuspendable,
        NoticeRefusal::Suspended,
        NoticeRefusal::Running,
        NoticeRefusal::TooMany,
        NoticeRefusal::Note,
        NoticeRefusal::Outcome,
    ];

    /// A stable name for problem documents and metrics.
    pub fn code(self) -> &'static str {
        match self {
            NoticeRefusal::NoSuchNotice => "notice_unknown",
            NoticeRefusal::Differs => "notice_differs",
            NoticeRefusal::Malformed => "notice_malformed",
            NoticeRefusal::Times => "notice_times",
            NoticeRefusal::Answered => "notice_answered",
            NoticeRefusal::NotSuspendable => "notice_not_suspendable",
            NoticeRefusal::Suspended => "notice_suspended",
            NoticeRefusal::Running => "notice_running",
            NoticeRefusal::TooMany => "too_many_notices",
            NoticeRefusal::Note => "notice_note",
            NoticeRefusal::Outcome => "notice_outcome",
        }
    }
}

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for NoticeId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<NoticeId, IdError> {
        parse_hex_id(text).map(NoticeId)
    }
}
