//! What endpoints are told of a notice of which the time is over.

use serde::Serialize;
use tocsin_store::ToldNotice;
use tocsin_wire::Names;
use tocsin_wire::document::instant;

use super::event::platform_name;

/// A notice that is not answered in time.
#[derive(Debug, Serialize)]
pub(super) struct NoticeDocument {
    /// The notice, 32 hexadecimal digits.
    notice: String,
    /// The case that it stands in, 32 hexadecimal digits.
    case: String,
    /// The family that the case is about, 32 hexadecimal digits.
    family: String,
    /// `removal_order`, `trusted_flagger`, `referral` or `threat_to_life`.
    kind: &'static str,
    /// Who wants it.
    authority: String,
    /// Their number of it.
    reference: String,
    /// Which of the contents that it names, from 0.
    part: u32,
    /// The platform that it is about; null where it names none.
    platform: Option<String>,
    /// When it was received, RFC 3339.
    received_at: Option<String>,
    /// Until when it was to be answered, RFC 3339.
    due_at: Option<String>,
    /// When it was escalated, RFC 3339.
    overdue_at: Option<String>,
}

impl NoticeDocument {
    pub(super) fn of(told: &ToldNotice, names: &Names) -> NoticeDocument {
        NoticeDocument {
            notice: told.notice.to_string(),
            case: told.case.to_string(),
            family: told.family.to_string(),
            kind: told.kind.name(),
            authority: told.authority.clone(),
            reference: told.reference.clone(),
            part: told.part,
            platform: told.platform.map(|platform| platform_name(names, platform)),
            received_at: instant(told.received_at),
            due_at: instant(told.due_at),
            overdue_at: instant(told.overdue_at),
        }
    }
}
