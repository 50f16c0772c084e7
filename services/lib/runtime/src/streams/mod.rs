//! What every route shares that answers with a stream of server-sent events: how many may be open, whether their keys still hold, and why one ends.

mod key_checks;
mod slots;

use std::time::Duration;

use axum::response::sse::Event;

pub use key_checks::{KeyCheck, KeyChecks};
pub use slots::{StreamLimits, StreamSlot, StreamSlots};

use crate::ProblemKind;

/// A stream without events says that it lives, and checks its reader's key, this often.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// A reader that takes nothing for this long while events wait is sent away.
pub const STALL_MAX: Duration = Duration::from_secs(60);
/// A stream that goes on is recorded this often.
pub const RECORD_INTERVAL: Duration = Duration::from_secs(60);

/// The reader's key, those it speaks for, or all readers together, hold as many streams open as they may.
pub const TOO_MANY_STREAMS: ProblemKind = ProblemKind {
    status: 429,
    code: "too_many_streams",
    title: "As many streams are open as may be",
};

/// How long a stream waits for its reader, and how often it is recorded.
#[derive(Clone, Copy, Debug)]
pub struct StreamTimes {
    /// A reader that takes nothing for this long while events wait is sent away.
    pub stall_max: Duration,
    /// A stream that goes on is recorded this often.
    pub record_interval: Duration,
}

impl Default for StreamTimes {
    fn default() -> Self {
        StreamTimes {
            stall_max: STALL_MAX,
            record_interval: RECORD_INTERVAL,
        }
    }
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndCode {
    /// Events waited and were not taken, or were dropped before they were taken.
    SlowReader,
    /// The key was revoked, or speaks for somebody else now.
    Unauthenticated,
    /// That the stream goes on cannot be recorded.
    AuditUnavailable,
    /// The process stops.
    ShuttingDown,
}

impl EndCode {
    /// All of them.
    pub const ALL: [EndCode; 4] = [
        EndCode::SlowReader,
        EndCode::Unauthenticated,
        EndCode::AuditUnavailable,
        EndCode::ShuttingDown,
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            EndCode::SlowReader => "slow_reader",
            EndCode::Unauthenticated => "unauthenticated",
            EndCode::AuditUnavailable => "audit_unavailable",
            EndCode::ShuttingDown => "shutting_down",
        }
    }

    /// The last event of a stream.
    pub fn event(self) -> Event {
        let data = format!(r#"{{"code":"{}"}}"#, self.name());
        Event::default().event("end").data(data)
    }
}
