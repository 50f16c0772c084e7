//! What a report is made from: one row for each thing that happened, without ids, accounts, people or words.

use tocsin_casework::{
    AppealCause, AppealOutcome, Awaits, Concerns, NoticeKind, NoticeOutcome, PlatformClocks, SuspensionGround, Team,
};
use tocsin_model::{Algorithm, PlatformId, RecommendedAction, Timestamp, Verdict};

/// What a content is, as far as its strongest hash tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentKind {
    /// A picture: it has a PDQ hash.
    Picture,
    /// A video: it has frames.
    Video,
    /// A live stream, or a member of its family is one.
    LiveStream,
    /// An address.
    Address,
    /// A file of which only the hash of its bytes is known.
    File,
}

/// A case of the team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseRow {
    /// What its family's content is.
    pub kind: ContentKind,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When its family was first seen.
    pub first_seen: Option<Timestamp>,
    /// When it first rang.
    pub alert_at: Option<Timestamp>,
    /// When somebody first took it.
    pub claimed_at: Option<Timestamp>,
    /// When somebody first decided, and did not take it back.
    pub decided_at: Option<Timestamp>,
    /// The verdict that stood at the end of the report's days.
    pub verdict: Option<Verdict>,
    /// When the first notice about it was received.
    pub noticed_at: Option<Timestamp>,
    /// When it went into another case.
    pub merged_at: Option<Timestamp>,
    /// Since when it is in the queue, or was last.
    pub waiting_since: Timestamp,
    /// The time of its last alert, if the spread subsided and it was closed without a decision.
    pub closed_by: Option<Timestamp>,
    /// Whether a decision stands in it by now.
    pub is_decided: bool,
    /// What first happened on platforms.
    pub clocks: PlatformClocks,
}

/// A decision of the team that was not taken back, about a case that did not go into another by the end of the days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRow {
    /// What its case is about.
    pub kind: ContentKind,
    /// When.
    pub decided_at: Timestamp,
    /// What was decided.
    pub verdict: Verdict,
    /// What was recommended.
    pub action: Option<RecommendedAction>,
    /// The rule that it names; empty: none.
    pub policy: String,
}

/// What a platform's events say of one member of a decided family there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovalRow {
    /// Where.
    pub platform: PlatformId,
    /// What the member is.
    pub kind: ContentKind,
    /// What is waited for.
    pub awaits: Awaits,
    /// What was decided.
    pub verdict: Verdict,
    /// When the decision was out.
    pub out_at: Timestamp,
    /// Whether an authority ordered the removal.
    pub ordered: Ordered,
    /// Whether another decision of the team counts the same content on the same platform as removed in the days.
    pub is_counted: bool,
    /// Whether a later decision of the team, out within the days, waits for the same content on the same platform.
    pub is_decided_again: bool,
    /// When it was confirmed last, if it is confirmed.
    pub confirmed_at: Option<Timestamp>,
    /// The counts at the last confirmation, which nothing that came later changed: copies and removals, or removals and restored copies. `None`: it never was confirmed.
    pub settled: Option<(u64, u64)>,
    /// Whether the platform labelled a copy `tvec` by then. `None`: not known.
    pub labelled: Option<bool>,
    /// The views that view samples told of until the last confirmation, between two numbers. `None`: no sample told of any.
    pub views: Option<(u64, u64)>,
    /// How many copies came after a confirmation.
    pub returned: u64,
    /// When the recommendation was sent again without a person, the last time.
    pub recommended_at: Option<Timestamp>,
}

/// Whether an order about a content was received before its removal was confirmed, and carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ordered {
    /// None.
    No,
    /// One of its case names a content by another kind of hash, so that it is not known whether that is this one.
    Perhaps,
    /// One names it, or the whole case.
    Yes,
}

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRow {
    /// What was wanted.
    pub kind: NoticeKind,
    /// By whom.
    pub authority: String,
    /// When it was received.
    pub received_at: Timestamp,
    /// Until when it is to be answered.
    pub due_at: Option<Timestamp>,
    /// When its time ran anew, the last time, after it did not run.
    pub ran_anew_at: Option<Timestamp>,
    /// Why and since when its time does not run.
    pub suspended: Option<(SuspensionGround, Timestamp)>,
    /// What was answered, and when.
    pub answered: Option<(NoticeOutcome, Timestamp)>,
}

/// An appeal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppealRow {
    /// Whether it is against a decision; otherwise against a refused upload.
    pub against_decision: bool,
    /// When it was filed.
    pub filed_at: Timestamp,
    /// What was answered, how far that goes, by which evidence it was caught, and when.
    pub answered: Option<(AppealOutcome, Concerns, Option<AppealCause>, Timestamp)>,
}

/// A team that was invited to an incident, and agreed to be named in reports or reads of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipationRow {
    /// Who.
    pub team: Team,
    /// When the incident was declared.
    pub declared_at: Timestamp,
    /// When it was invited, the last time.
    pub invited_at: Timestamp,
    /// When it first said that it takes part.
    pub acknowledged_at: Option<Timestamp>,
    /// Its parts in tasks.
    pub parts: Vec<PartRow>,
}

/// A part in a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartRow {
    /// Since when it was to be done: the task was given, or the invitation came later.
    pub since: Timestamp,
    /// Until when.
    pub due: Timestamp,
    /// When it was done.
    pub done_at: Option<Timestamp>,
}

impl ContentKind {
    /// All of them.
    pub const ALL: [ContentKind; 5] = [
        ContentKind::Picture,
        ContentKind::Video,
        ContentKind::LiveStream,
        ContentKind::Address,
        ContentKind::File,
    ];

    /// Of a content with this strongest hash that is no live stream.
    pub fn of(algorithm: Algorithm) -> ContentKind {
        match algorithm {
            Algorithm::Pdq => ContentKind::Picture,
            Algorithm::Vpdq => ContentKind::Video,
            Algorithm::Url => ContentKind::Address,
            Algorithm::Sha256 | Algorithm::Md5 => ContentKind::File,
        }
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            ContentKind::Picture => "picture",
            ContentKind::Video => "video",
            ContentKind::LiveStream => "live_stream",
            ContentKind::Address => "address",
            ContentKind::File => "file",
        }
    }
}
