//! An alert in one sentence, for tools that show a reason to a person.

use tocsin_casework::Team;
use tocsin_model::{Alert, AlertLevel, AlertReason};
use tocsin_suppression::Shown;
use tocsin_wire::Names;
use tocsin_wire::document::alert_accounts;

pub(crate) fn sentence(alert: &Alert, names: &Names, reader: Team) -> String {
    let accounts = alert_accounts(alert, |platform| names.is_own(reader.party(), platform)).total;
    let (observed, minutes) = (alert.trigger.observed, (alert.trigger.window.0 + 59_999) / 60_000);
    let is_over = alert.level == AlertLevel::Subsided;
    let why = match alert.reason {
        _ if is_over => format!("the spread subsided after {} copies in 24 h", alert.spread_24h.low),
        AlertReason::Spread => format!(
            "{observed} copies in {minutes} min, {:.1} expected, by {} accounts",
            alert.trigger.expected,
            about(accounts)
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

/// A number of accounts in words: fewer than ten are no more than that.
fn about(accounts: Shown) -> String {
    match accounts.estimate {
        Some(_) => format!("about {accounts}"),
        None => accounts.to_string(),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the sentence holds the numbers that made the alarm ring.

    use tocsin_model::{Estimate, PartyId};

    use super::*;
    use crate::deliveries::example::alert;

    #[test]
    fn it_says_what_rang() {
        let alert = alert();
        let names = Names {
            owners: [(alert.platforms[0].platform, PartyId(1))].into(),
            ..Names::default()
        };
        let told = |alert: &Alert, reader| sentence(alert, &names, reader);
        let said = told(&alert, Team::Coordinators);
        assert!(said.contains(&format!("{} copies", alert.trigger.observed)), "{said}");
        assert!(said.contains("by about 10 accounts"), "{said}");
        let said = told(&alert, Team::Party(PartyId(1)));
        assert!(said.contains("by about 12 accounts"), "{said}");
        let mut few = alert.clone();
        few.platforms[0].reach = Estimate {
            estimate: 4.0,
            low: 4.0,
            high: 4.0,
        };
        few.trigger.accounts = few.platforms[0].reach;
        let said = told(&few, Team::Party(PartyId(2)));
        assert!(said.contains("by <10 accounts"), "{said}");
        let over = Alert {
            level: AlertLevel::Subsided,
            ..alert
        };
        let said = told(&over, Team::Coordinators);
        assert!(said.contains("subsided after"), "{said}");
    }
}
