//! The rules of casework: what an alert and a notice do to a case, who may claim, hand on, put aside, decide it and take a decision back, when a
//! lease is over, and which case is handed out next.
//!
//! Which case goes into which when families join and part is decided here too: [`Case::take_in`], [`Memberships`]; and whether what was decided was
//! done, as far as platforms say: [`Acknowledgement`], [`Awaiting`].
//!
//! Pure: no I/O, no clock (the time is an argument), no randomness (new ids are arguments). The store loads a [`Case`] inside a transaction,
//! applies one of these rules, writes the case back and carries out the [`Event`].
//!
//! A case belongs to one team and one family. Beside its lease it rests in one of three states ([`Resting`]); a case with a live lease is
//! claimed, whatever it rests in, and when the lease ends it is what it rests in again: nobody has to clean up after a moderator who left.
//!
//! Invariants:
//! * A refused command changes nothing.
//! * A case has one holder at most, and who does not hold it changes nothing, whichever way clocks run.
//! * Fencing numbers and versions only rise. A version rises with every change of what people decide on, and not with figures.
//! * Until a decision goes out it is taken back whole.
//! * The time of an order stops on the grounds of the law alone, and is escalated once when it is over.
//! * Who decided does not answer an appeal against it, nor reviews it.
//!
//! Start reading at [`Case`], then [`Case::apply`], [`Case::apply_alert`], [`Notice::apply`],
//! [`Appeal::apply`] and [`Review::apply`].

mod acknowledgement;
mod agreement;
pub(crate) mod alert_rules;
mod appeal;
mod appeal_rules;
mod appeal_summary;
mod board;
mod care;
mod case;
mod clocks;
mod command;
mod command_rules;
mod glance;
mod lane;
mod memberships;
mod merge;
mod notice;
mod notice_rules;
mod platform_clocks;
mod ranks;
mod report_rules;
mod review;
mod ruling;
mod seen;
mod tool;
mod uploaders;

pub use acknowledgement::{
    Acknowledgement, Awaiting, Awaits, CLOSE_BITS_MAX, ESCALATE_AFTER, Heard, Occurrences, OnReupload,
    RECOMMEND_AGAIN_AFTER, REMIND_AFTER, Reminder, Span, Tally, Viewed, came_closely, is_close,
};
pub use agreement::{Agreement, Kappa, REVIEWED_MIN};
pub use alert_rules::{AlertEffect, UNREVIEWED_BELOW, concerns, opens_for};
pub use appeal::{
    APPEAL_REASON_BYTES_MAX, APPEAL_REFERENCE_BYTES_MAX, Against, Appeal, AppealAnswer, AppealCause, AppealCommand,
    AppealEvent, AppealFiling, AppealId, AppealOutcome, AppealRefusal, AppealRuling, Concerns, OPEN_APPEALS_MAX,
    OPEN_APPEALS_OF_TEAM_MAX, Part,
};
pub use appeal_rules::AppealSubject;
pub use appeal_summary::{AnsweredAppeal, AppealSummary};
pub use board::{Board, DUE_TOLD, RANK_FIRST, RANK_NEXT, RANKED_TOLD, RankClass, Update};
pub use care::{GRAVE_FROM, PauseRules, Shift, ShiftStep, ShiftStepKind};
pub use case::{Case, CaseId, CaseState, Desk, Dispute, Draft, Episode, Lease, Merged, Resting, Standing, Team, Undo};
pub use clocks::{ClockSummary, Clocks, GOLDEN_HOUR, Waits};
pub use command::{By, Command, Event, Refusal};
pub use command_rules::{HOLD_MAX, HOLD_MIN, LEASE_MAX, LEASE_MIN, NOTE_BYTES_MAX};
pub use glance::{Change, Glance};
pub use lane::{Code, Filter, Lane, Traits};
pub use memberships::{FamilyMember, Memberships};
pub use merge::{MergeEffects, MergedLease, Merging};
pub use notice::{
    AHEAD_MAX, AUTHORITY_BYTES_MAX, Filing, Notice, NoticeAnswer, NoticeCommand, NoticeEvent, NoticeId, NoticeKind,
    NoticeLoad, NoticeOutcome, NoticeRefusal, OPEN_NOTICES_MAX, ORDER_DUE_IN, Suspension, SuspensionGround,
    URL_BYTES_MAX, URLS_MAX,
};
pub use platform_clocks::{ClockKind, PlatformClocks, PlatformSummary};
pub use ranks::{Ranks, RanksFull, SCAN_MAX};
pub use review::{
    Review, ReviewAnswer, ReviewCommand, ReviewEffect, ReviewEvent, ReviewId, ReviewKind, ReviewRefusal, is_drawn,
};
pub use ruling::{CaseDecision, EXCEPTIONS_MAX, POLICY_BYTES_MAX, RATIONALE_BYTES_MAX, Ruling};
pub use seen::Seen;
pub use tool::{TOOL_BYTES_MAX, ToolAddress, ToolAddressError};
pub use uploaders::{
    MEMBERS_OF_UPLOADER_MAX, MemberUpload, TookUpload, UploadCounts, UploadKind, Uploader, UploaderOrder, Uploaders,
};
