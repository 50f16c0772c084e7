use serde::Serialize;
use tocsin_model::{Alert, Scope};
pub use tocsin_wire::document::AlertAnswer;
use utoipa::ToSchema;

use crate::replica::{HeldAlert, Names};

/// A page of alerts in order of arrival.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AlertsAnswer {
    /// The reader's scope: `all`, `coordinators` or `party`.
    pub scope: &'static str,
    /// The alerts, oldest first.
    pub alerts: Vec<AlertAnswer>,
    /// Pass it as `since` to read on, or as `Last-Event-ID` to the stream.
    pub next: String,
    /// Whether more wait behind `next`.
    pub more: bool,
    /// Whether alerts between `since` and the first of these are no longer held.
    pub gap: bool,
    /// The oldest time of all partitions, RFC 3339: every alert of a time before it was read. Null while nothing was counted.
    pub as_of: Option<String>,
    /// How far that is behind, in milliseconds.
    pub lag_ms: Option<u64>,
}

/// The answer for a held alert, to a reader of a scope.
pub fn alert_answer(held: &HeldAlert, reader: Scope, names: &Names) -> AlertAnswer {
    let alert: &Alert = &held.alert;
    AlertAnswer::new(
        alert,
        |party| names.party(party),
        |platform| names.platform(platform),
        |platform| names.is_own(reader, platform),
    )
}
