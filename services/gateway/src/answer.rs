use serde::{Deserialize, Serialize};
use tocsin_runtime::Problem;
use utoipa::ToSchema;

/// What became of the events of a request, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventsAnswer {
    /// How many are on disk.
    pub accepted: usize,
    /// How many stood in the request a second time.
    pub duplicates: usize,
    /// How many were refused.
    pub rejected: usize,
    /// One entry for each event.
    pub results: Vec<EventResult>,
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventResult {
    /// Its place in the request, from 0 (in NDJSON empty lines do not count).
    pub index: usize,
    /// What became of it.
    pub status: EventStatus,
    /// Why it was refused: a stable code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "timestamp_out_of_range")]
    pub code: Option<String>,
    /// The same for people; its wording may change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What became of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// It is on disk. Sent again it is accepted again, and counted once.
    Accepted,
    /// The same event stands earlier in the request; it was taken once.
    Duplicate,
    /// It was refused; sent again it will be refused again.
    Rejected,
}

/// The problem document of a request none of whose events was accepted, with the same lists as the answer beside it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AllRejected {
    /// The problem: code `all_rejected`.
    #[serde(flatten)]
    pub problem: Problem,
    /// What became of each event.
    #[serde(flatten)]
    pub answer: EventsAnswer,
}

impl EventsAnswer {
    pub(crate) fn push(&mut self, status: EventStatus, refusal: Option<(&'static str, String)>) {
        match status {
            EventStatus::Accepted => self.accepted += 1,
            EventStatus::Duplicate => self.duplicates += 1,
            EventStatus::Rejected => self.rejected += 1,
        }
        let (code, detail) = refusal.unzip();
        self.results.push(EventResult {
            index: self.results.len(),
            status,
            code: code.map(str::to_owned),
            detail,
        });
    }
}
