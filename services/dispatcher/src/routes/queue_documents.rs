//! What whoever watches a queue is told.

use serde::Serialize;
use utoipa::ToSchema;

use super::documents::{CaseDocument, CaseLease};

/// What changed of a case in the queue.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueUpdateDocument {
    /// The case, 32 hexadecimal digits.
    pub case: String,
    /// `opened`; `moved` to another lane, desk or rank class; `claimed`; `returned`: it waits again; `held`: put aside; `decided`; `closed`; `merged`;
    /// `changed`: what it was before is not known.
    pub change: &'static str,
    /// What it is then: `open`, `claimed`, `decided`, `closed` or `merged`.
    pub state: &'static str,
    /// The family, 32 hexadecimal digits.
    pub family: String,
    /// Its version: the number in `ETag`, for `If-Match`.
    pub version: u64,
    /// In which lane it is.
    pub lane: &'static str,
    /// At which desk.
    pub desk: &'static str,
    /// How grave, from 1.
    pub severity: f64,
    /// Where it stands: `due` (a notice is due soon), `first` (of the first 20), `next` (of the first 200) or `later`. A case falls out of a class only
    /// when it is a fifth behind its end. Null where it does not wait, until the order is known, and in what is told of the time that you were away.
    pub rank: Option<&'static str>,
    /// By the alert that is shown.
    pub priority: f64,
    /// By the latest figures, where they are known.
    pub live_priority: Option<f64>,
    /// Since when it is in the queue, RFC 3339.
    pub waiting_since: Option<String>,
    /// Put aside until then.
    pub held_until: Option<String>,
    /// When the first of its notices is due.
    pub notice_due_at: Option<String>,
    /// The number of the last lease.
    pub fencing: u64,
    /// Who holds it.
    pub lease: Option<CaseLease>,
    /// Whether it was yours until then, and is no more.
    pub was_yours: bool,
    /// What you decided, if the decision that stands is yours: whoever reviews it for a second time does not know it.
    pub verdict: Option<&'static str>,
    /// The case that it went into.
    pub merged_into: Option<String>,
    /// When this was so, by the store's clock.
    pub at: Option<String>,
}

/// The lease of a case that you hold ends soon.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeaseEndsDocument {
    /// The case, 32 hexadecimal digits.
    pub case: String,
    /// The number of the lease: what renews it.
    pub fencing: u64,
    /// When it ends, by the store's clock, RFC 3339.
    pub expires_at: Option<String>,
    /// How many milliseconds are left.
    pub left_ms: i64,
}

/// The data of an event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum QueueEventDocument {
    /// Of `case`.
    Case(Box<QueueUpdateDocument>),
    /// Of `figures`.
    Figures(Box<CaseDocument>),
    /// Of `lease`.
    Lease(LeaseEndsDocument),
}
