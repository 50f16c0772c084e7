//! Of which alerts a mailbox is told: by the settings of its endpoint.

use std::collections::BTreeMap;

use tocsin_model::AlertLevel;

use crate::paging::EpisodePage;

/// The setting that says of which alerts an endpoint of kind email is told: one of [`EMAIL_ALERTS`].
pub const EMAIL_ALERTS_SETTING: &str = "alerts";
/// `none`, the default; `pages`: of each episode the one with which it interrupts a person, of which the budget of pages lets a few through a day;
/// `raised`: all that are raised or escalated.
pub const EMAIL_ALERTS: [&str; 3] = ["none", "pages", "raised"];

/// Whether a mailbox with these settings is told of an alert of this level, which is that to the page of its episode.
pub(crate) fn is_told(settings: &str, level: AlertLevel, page: EpisodePage) -> bool {
    let settings: BTreeMap<String, String> = serde_json::from_str(settings).unwrap_or_default();
    match settings.get(EMAIL_ALERTS_SETTING).map(String::as_str) {
        Some("raised") => matches!(level, AlertLevel::Raised | AlertLevel::Escalated),
        Some("pages") => page == EpisodePage::First,
        _ => false,
    }
}
