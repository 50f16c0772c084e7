//! An alert in one sentence, for tools that show a reason to a person.

use tocsin_model::{Alert, AlertLevel, AlertReason};

pub(crate) fn sentence(alert: &Alert) -> String {
    let (observed, minutes) = (alert.trigger.observed, (alert.trigger.window.0 + 59_999) / 60_000);
    let is_over = alert.level == AlertLevel::Subsided;
    let why = match alert.reason {
        _ if is_over => format!("the spread subsided after {} copies in 24 h", alert.spread_24h.low),
        AlertReason::Spread => format!(
            "{observed} copies in {minutes} min, {:.1} expected, by about {:.0} accounts",
            alert.trigger.expected, alert.trigger.accounts.estimate
        ),
        AlertReason::WatchList => "a content on the watch list was seen".to_owned(),
        AlertReason::LiveMatch => "a live stream runs whose family rang before or was found to violate".to_owned(),
        AlertReason::LiveAudience => "the audience of a live stream grows as if viewers pass it on".to_owned(),
    };
    let (level, platforms) = (alert.level.name(), alert.platforms.len());
    format!(
        "Tocsin, {level}: {why}; on {platforms} platform(s), priority {:.0}",
        alert.priority
    )
}

#[cfg(test)]
mod tests {
    //! Goal: the sentence holds the numbers that made the alarm ring.

    use super::*;
    use crate::deliveries::example::alert;

    #[test]
    fn it_says_what_rang() {
        let alert = alert();
        let said = sentence(&alert);
        assert!(said.contains(&format!("{} copies", alert.trigger.observed)), "{said}");
        let over = Alert {
            level: AlertLevel::Subsided,
            ..alert
        };
        assert!(sentence(&over).contains("subsided after"), "{}", sentence(&over));
    }
}
