//! Of which alerts a mailbox is told: by the settings of its endpoint.

use std::collections::BTreeMap;

use tocsin_model::Alert;

/// The setting that says of which alerts an endpoint of kind email is told: one of [`EMAIL_ALERTS`].
pub const EMAIL_ALERTS_SETTING: &str = "alerts";
/// `none`, the default; `pages`: those that interrupt a person, of which the budget of pages lets a few through a day; `raised`: all that are raised or
/// escalated.
pub const EMAIL_ALERTS: [&str; 3] = ["none", "pages", "raised"];

/// Whether a mailbox with these settings is told of an alert that is raised or escalated.
pub(crate) fn is_told(settings: &str, alert: &Alert) -> bool {
    let settings: BTreeMap<String, String> = serde_json::from_str(settings).unwrap_or_default();
    match settings.get(EMAIL_ALERTS_SETTING).map(String::as_str) {
        Some("raised") => true,
        Some("pages") => alert.paged,
        _ => false,
    }
}
