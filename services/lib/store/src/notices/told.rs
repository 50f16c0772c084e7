//! A notice of which the time is over, as endpoints are told of it, and its stored form.

use serde::{Deserialize, Serialize};
use tocsin_casework::{CaseId, Notice, NoticeId, NoticeKind};
use tocsin_model::{ContentId, FamilyId, PlatformId, Timestamp, parse_hex_id};

use crate::{StoreError, digest_id};

/// The time of a notice is over, and it is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldNotice {
    /// The event's identity: follows from the notice and when it was due, so that each deadline is told of once.
    pub id: u128,
    /// The notice.
    pub notice: NoticeId,
    /// The case that it stands in.
    pub case: CaseId,
    /// The family that the case is about.
    pub family: FamilyId,
    /// What is wanted.
    pub kind: NoticeKind,
    /// Who wants it.
    pub authority: String,
    /// Their number of it.
    pub reference: String,
    /// Which of the contents that it names.
    pub part: u32,
    /// The platform that it is about.
    pub platform: Option<PlatformId>,
    /// When it was received.
    pub received_at: Timestamp,
    /// Until when it was to be answered.
    pub due_at: Timestamp,
    /// When it was escalated, by the store's clock.
    pub overdue_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    id: String,
    notice: String,
    case: String,
    family: String,
    kind: u8,
    authority: String,
    reference: String,
    part: u32,
    platform: Option<u16>,
    received_at: i64,
    due_at: i64,
    overdue_at: i64,
}

impl ToldNotice {
    /// Of a notice that was escalated, in a case of this family.
    pub(crate) fn of(notice: &Notice, family: FamilyId) -> Option<ToldNotice> {
        let due_at = notice.due_at?;
        Some(ToldNotice {
            id: event(notice.id, due_at),
            notice: notice.id,
            case: notice.case,
            family,
            kind: notice.filing.kind,
            authority: notice.filing.authority.clone(),
            reference: notice.filing.reference.clone(),
            part: notice.filing.part,
            platform: notice.filing.platform,
            received_at: notice.filing.received_at,
            due_at,
            overdue_at: notice.overdue_at?,
        })
    }

    pub(crate) fn to_json(&self) -> String {
        let stored = Stored {
            id: format!("{:032x}", self.id),
            notice: self.notice.to_string(),
            case: self.case.to_string(),
            family: self.family.to_string(),
            kind: self.kind as u8,
            authority: self.authority.clone(),
            reference: self.reference.clone(),
            part: self.part,
            platform: self.platform.map(|platform| platform.0),
            received_at: self.received_at.0,
            due_at: self.due_at.0,
            overdue_at: self.overdue_at.0,
        };
        serde_json::to_string(&stored).expect("numbers and text are always JSON")
    }

    pub(crate) fn from_json(text: &str) -> Result<ToldNotice, StoreError> {
        let read = || {
            let stored: Stored = serde_json::from_str(text).ok()?;
            Some(ToldNotice {
                id: parse_hex_id(&stored.id).ok()?,
                notice: stored.notice.parse().ok()?,
                case: stored.case.parse().ok()?,
                family: FamilyId(ContentId::parse(&stored.family)?),
                kind: NoticeKind::from_number(i64::from(stored.kind))?,
                authority: stored.authority,
                reference: stored.reference,
                part: stored.part,
                platform: stored.platform.map(PlatformId),
                received_at: Timestamp(stored.received_at),
                due_at: Timestamp(stored.due_at),
                overdue_at: Timestamp(stored.overdue_at),
            })
        };
        read().ok_or(StoreError::Malformed { field: "notice" })
    }
}

fn event(notice: NoticeId, due_at: Timestamp) -> u128 {
    digest_id(&format!("tocsin notice overdue\0{notice}\0{}", due_at.0))
}
