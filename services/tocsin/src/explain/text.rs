use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::Value;

use tocsin_wire::document::{AccountsRange, ForecastAnswer as Forecast, LiveAnswer as Live, Range, TermAnswer as Term};

use super::answer::Alert;
use super::figure::{number, percent, span};

/// An alert in plain text of several lines.
///
/// # Errors
/// It is not an alert of this API.
pub fn explanation(alert: Value) -> Result<String> {
    let alert: Alert = serde_json::from_value(alert).context("read the alert")?;
    Ok([heading(&alert), trigger(&alert), counts(&alert), platforms(&alert)]
        .into_iter()
        .chain(alert.live.as_ref().map(live))
        .chain([next_hour(&alert), priority(&alert), influence(&alert), page(&alert)])
        .collect::<Vec<_>>()
        .join("\n"))
}

fn heading(alert: &Alert) -> String {
    let at = alert.at.as_deref().unwrap_or("at an unknown time");
    let contents = match alert.members {
        1 => "one content".to_owned(),
        count => format!("{count} contents"),
    };
    format!(
        "Alert {}\n  {} at {at}, episode {}, scope {}\n  Family {} of {contents}, founded by\n  {} {}\n",
        alert.id, alert.level, alert.episode, alert.scope, alert.family, alert.hash.algorithm, alert.hash.value
    )
}

fn trigger(alert: &Alert) -> String {
    let trigger = &alert.trigger;
    let times = if trigger.expected > 0.0 && trigger.observed as f64 > trigger.expected {
        format!(", {} times as many", number(trigger.observed as f64 / trigger.expected))
    } else {
        String::new()
    };
    let reached = if trigger.score >= trigger.threshold {
        "reaches"
    } else {
        "is below"
    };
    let watched = match alert.reason.as_str() {
        "watch_list" => "  A content on the watch list was seen: that alone rings, whatever its score.\n",
        "live_match" => {
            "  A live stream runs in this family, which rang within the day or was found to violate: that alone rings.\n"
        }
        "live_audience" => {
            "  The audience of a live stream grows as if those who watch pass it on: that alone rings.\n"
        }
        _ => "",
    };
    format!(
        "Why it rang (rule {}, calibration {})\n{watched}  In the last {} {} copies were seen where {} would be ordinary{times}.\n  \
         The score, {}, {reached} the threshold, {}. It weighs what speaks for the beginning of a spike, 30 copies an hour or\n  \
         more by many accounts and ten times what is expected, against ordinary spread. A spike rings whatever its score.\n{}  \
         Accounts since it is counted exactly, a sum over platforms: {}. Of the copies by one account only one counts.\n",
        alert.rule_version,
        alert.calibration,
        span(trigger.window_ms),
        number(trigger.observed as f64),
        number(trigger.expected),
        number(trigger.score),
        number(trigger.threshold),
        trigger.score_terms.as_deref().map(score_terms).unwrap_or_default(),
        with_interval(&trigger.accounts_sum_over_platforms, "95 %")
    )
}

fn score_terms(terms: &[Term]) -> String {
    let meaning = |name: &str| SCORE_TERMS.iter().find(|term| term.0 == name).map_or("", |term| term.1);
    let row = |term: &Term| {
        let value = format!("{:+.2}", term.value);
        [term.name.clone(), value, meaning(&term.name).to_owned()]
    };
    table(&terms.iter().map(row).collect::<Vec<_>>())
}

fn counts(alert: &Alert) -> String {
    let mut rows = vec![["", "at least", "at most", ""].map(str::to_owned)];
    for (name, range) in [
        ("last 5 minutes", alert.spread_5m),
        ("last hour", alert.spread_1h),
        ("last 24 hours", alert.spread_24h),
    ] {
        let Range { low, high } = range;
        let doubt = if low == high {
            "exact".to_owned()
        } else {
            format!(
                "up to {} more before it was counted exactly",
                number((high - low) as f64)
            )
        };
        rows.push([name.to_owned(), number(low as f64), number(high as f64), doubt]);
    }
    let mut text = format!("Copies (uploads, blocked uploads, shares)\n{}", table(&rows));
    if let (Some(first), Some(exact)) = (&alert.first_seen, &alert.exact_since) {
        let _ = writeln!(
            text,
            "  First seen {first}. Counted exactly since {exact}; what came before is bounded from above."
        );
    }
    if alert.quarantined {
        text.push_str(
            "  A content of this family is quarantined as a flood: its copies are in none of these counts.\n",
        );
    }
    text
}

fn platforms(alert: &Alert) -> String {
    let mut rows = vec![["platform", "last hour", "last 24 h", "accounts (95 % interval)"].map(str::to_owned)];
    rows.extend(alert.platforms.iter().map(|platform| {
        [
            platform.platform.clone(),
            number(platform.spread_1h as f64),
            number(platform.spread_24h as f64),
            with_interval(&platform.accounts, ""),
        ]
    }));
    format!("Platforms, counted exactly\n{}", table(&rows))
}

fn live(live: &Live) -> String {
    let since = live.started_at.as_deref().unwrap_or("an unknown time");
    let state = match (live.running, live.ended_at.as_deref()) {
        (0, ended_at) => format!("over since {}", ended_at.unwrap_or("an unknown time")),
        (1, _) => "one runs".to_owned(),
        (running, _) => format!("{running} run"),
    };
    let reached = match live.score >= live.threshold {
        true => "reaches",
        false => "is below",
    };
    format!(
        "Live\n  Streams: {}, {state}; began {since}. {} watch now, {} at most, {} viewer-minutes in all.\n  \
         The score of the audience, {}, {reached} the threshold, {}. It is the log-odds that viewers pass the stream on.\n",
        live.streams,
        number(live.viewers as f64),
        number(live.peak_viewers as f64),
        number(live.viewer_minutes as f64),
        number(live.score),
        number(live.threshold)
    )
}

fn next_hour(alert: &Alert) -> String {
    match &alert.forecast {
        Some(Forecast { spread, accounts }) => {
            let from = match accounts.median {
                Some(median) => format!(
                    "{} accounts ({} to {})",
                    number(median),
                    number(accounts.low),
                    number(accounts.high)
                ),
                None => format!("{} accounts at most", number(accounts.high)),
            };
            format!(
                "The next hour\n  {} copies (with 90 % probability {} to {}) from {from}.\n",
                number(spread.median),
                number(spread.low),
                number(spread.high)
            )
        }
        None => format!(
            "The next hour\n  {} copies; this alert states no interval.\n",
            number(alert.forecast_1h)
        ),
    }
}

/// What each term of the score stands for.
const SCORE_TERMS: [(&str, &str); 5] = [
    ("rarity", "how rare so many copies in such a time are"),
    ("pace", "whether they took the time that those of a crisis take"),
    ("growth", "whether they came faster and faster"),
    ("synchrony", "whether they came on several platforms"),
    ("reuploads", "whether they were uploaded anew or passed on"),
];

/// What each term stands for; whether it is one of the log-odds that make the probability.
const TERMS: [(&str, &str); 18] = [
    ("prior", "log-odds: before anything is known"),
    ("labels", "log-odds: the platforms' own classifiers"),
    ("watch", "log-odds: matches on a watch list"),
    ("reports", "log-odds: reports of users"),
    ("spread_after_removal", "log-odds: posted again after a removal"),
    ("synchrony", "log-odds: on several platforms in the same hour"),
    ("decision", "log-odds: what people decided"),
    (
        "labels_overturned",
        "log-odds: what the team overturned for labels, off them",
    ),
    (
        "watch_overturned",
        "log-odds: what the team overturned for a list, off it",
    ),
    ("probability", "that it violates: the logistic function of their sum"),
    ("forecast_1h", "copies to expect in the next hour"),
    ("posted_share", "the part of them that is posted, not blocked"),
    ("audience_per_copy", "how many see a posted copy"),
    ("links_weight", "what a copy counts, by how it came into the family"),
    ("live_exposure", "further viewers of the live streams in an hour"),
    (
        "exposure",
        "copies x part posted x audience (x links_weight), and the live viewers",
    ),
    ("exposure_counted", "what the cap on one party leaves of it"),
    ("severity", "1 to 2 by the labels, or that of the watch list"),
];

fn priority(alert: &Alert) -> String {
    let meaning = |name: &str| TERMS.iter().find(|term| term.0 == name).map_or("", |term| term.1);
    let rows: Vec<[String; 3]> = alert
        .priority_terms
        .iter()
        .map(|term| {
            let meaning = meaning(&term.name);
            let value = match term.name.as_str() {
                "probability" | "posted_share" => percent(term.value),
                _ if meaning.starts_with("log-odds") => format!("{:+.2}", term.value),
                _ => number(term.value),
            };
            [term.name.clone(), value, meaning.to_owned()]
        })
        .collect();
    format!(
        "Priority {} = probability x exposure counted x severity\n{}",
        number(alert.priority),
        table(&rows)
    )
}

fn influence(alert: &Alert) -> String {
    if alert.influence.is_empty() {
        return "Who reported it\n  This alert does not say.\n".to_owned();
    }
    let mut rows = vec![["party", "of the copies", "of the exposure counted", ""].map(str::to_owned)];
    rows.extend(alert.influence.iter().map(|part| {
        let capped = if part.capped {
            "held back: one party alone may not move a priority by more"
        } else {
            ""
        };
        [
            part.party.clone(),
            percent(part.share),
            percent(part.counted_share),
            capped.to_owned(),
        ]
    }));
    format!("Who reported it, in the last hour\n{}", table(&rows))
}

fn page(alert: &Alert) -> String {
    if alert.page_threshold == 0.0 {
        return "Page\n  This alert does not say whether it interrupted a person.\n".to_owned();
    }
    let reaches = alert.page_score >= alert.page_threshold;
    let compared = format!(
        "the page score, {}, {} the threshold, {}, which stands for {} pages a day",
        number(alert.page_score),
        if reaches { "reaches" } else { "is below" },
        number(alert.page_threshold),
        number(alert.pages_per_day)
    );
    match (alert.paged, reaches) {
        (true, true) => format!("Page\n  It interrupts a person: {compared}. An episode does so once.\n"),
        (true, false) => {
            format!("Page\n  It interrupted a person at an earlier alert of this episode. Now {compared}.\n")
        }
        (false, _) if alert.level == "subsided" => {
            format!("Page\n  It interrupts nobody: nobody is called for what is over ({compared}).\n")
        }
        (false, _) => format!("Page\n  It waits in the queue and interrupts nobody: {compared}.\n"),
    }
}

/// Columns as wide as their widest cell, the first to the left and numbers to the right; the last is text.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let mut line = String::from("  ");
        for (column, cell) in row.iter().enumerate() {
            let width = width(column);
            let _ = match column {
                0 => write!(line, "{cell:<width$}"),
                column if column + 1 < N => write!(line, "   {cell:>width$}"),
                _ => write!(line, "   {cell}"),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A number of accounts: of others' it is rounded, or no more than bounds.
fn with_interval(accounts: &AccountsRange, confidence: &str) -> String {
    let (low, high) = (accounts.low, accounts.high);
    let Some(estimate) = accounts.estimate else {
        return accounts.shown.clone();
    };
    if accounts.disclosure == "rounded" {
        return format!("about {} ({} to {})", number(estimate), number(low), number(high));
    }
    if low == high {
        return format!("{}, exactly", number(estimate));
    }
    let confidence = match confidence {
        "" => String::new(),
        confidence => format!("{confidence} interval "),
    };
    format!("{} ({confidence}{} to {})", number(estimate), number(low), number(high))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn alert() -> Value {
        json!({
            "id": "0000000000000000000000000000002a", "scope": "all", "family": "0123456789abcdef0011223344556677",
            "hash": {"algorithm": "md5", "value": "abababababababababababababababab"},
            "level": "escalated", "episode": 2, "rule_version": 2,
            "at": "2026-02-02T02:40:00.250Z", "first_seen": "2026-02-02T02:39:00.250Z", "exact_since": "2026-02-02T02:39:10.250Z",
            "trigger": {
                "window_ms": 300000, "observed": 120, "expected": 1.25, "score": 9.5, "threshold": 5.25,
                "score_terms": [
                    {"name": "rarity", "value": 2.5}, {"name": "pace", "value": -0.25}, {"name": "growth", "value": 1.0},
                    {"name": "synchrony", "value": 4.0}, {"name": "reuploads", "value": 2.25}
                ],
                "accounts_sum_over_platforms": {"estimate": 97.0, "low": 96.0, "high": 98.5}
            },
            "spread_5m": {"low": 120, "high": 120}, "spread_1h": {"low": 120, "high": 123}, "spread_24h": {"low": 120, "high": 1130},
            "platforms": [
                {"platform": "north-video", "spread_1h": 90, "spread_24h": 91, "accounts": {"estimate": 60.0, "low": 60.0, "high": 60.0}},
                {"platform": "south", "spread_1h": 30, "spread_24h": 30, "accounts": {"estimate": 80.2, "low": 78.0, "high": 82.5}}
            ],
            "forecast_1h": 900.0,
            "forecast": {
                "spread": {"low": 300.0, "median": 900.0, "high": 2700.5},
                "accounts": {"low": 250.0, "median": 750.0, "high": 2250.5}
            },
            "priority": 12500.0,
            "priority_terms": [
                {"name": "prior", "value": -2.0}, {"name": "labels", "value": 2.5}, {"name": "probability", "value": 0.622},
                {"name": "forecast_1h", "value": 900.0}, {"name": "severity", "value": 1.5}, {"name": "of_a_later_version", "value": 3.0}
            ],
            "members": 4, "paged": true, "page_score": 12500.0, "page_threshold": 1000.0, "pages_per_day": 15.0, "calibration": 12,
            "influence": [
                {"party": "north", "share": 0.75, "counted_share": 0.5, "capped": true},
                {"party": "south", "share": 0.25, "counted_share": 0.5, "capped": false}
            ],
            "quarantined": false
        })
    }

    #[test]
    fn an_alert_is_explained() {
        let text = explanation(alert()).unwrap();
        assert_eq!(text, include_str!("example.txt"));
        assert!(
            text.lines()
                .all(|line| line.chars().count() <= 140 && line.trim_end() == line)
        );
    }

    #[test]
    fn accounts_of_others_are_explained_as_they_are_told() {
        let told = |estimate: Value, (low, high), disclosure, shown| json!({"estimate": estimate, "low": low, "high": high, "disclosure": disclosure, "shown": shown});
        let mut others = alert();
        others["platforms"][0]["accounts"] = told(json!(60.0), (58.0, 62.0), "rounded", "60");
        others["platforms"][1]["accounts"] = told(Value::Null, (0.0, 9.0), "suppressed", "<10");
        others["trigger"]["accounts_sum_over_platforms"] = told(Value::Null, (58.0, 71.0), "suppressed", "58 to 71");
        others["forecast"]["accounts"] =
            json!({"low": 0.0, "median": null, "high": 2700.5, "disclosure": "suppressed"});
        let text = explanation(others).unwrap();
        for said in [
            "about 60 (58 to 62)",
            "<10",
            "a sum over platforms: 58 to 71.",
            "accounts at most",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
    }

    #[test]
    fn what_an_earlier_version_does_not_say_is_left_unsaid() {
        let mut old = alert();
        let fields = old.as_object_mut().unwrap();
        for added in [
            "forecast",
            "paged",
            "page_score",
            "page_threshold",
            "pages_per_day",
            "calibration",
            "influence",
            "quarantined",
        ] {
            fields.remove(added);
        }
        let text = explanation(old).unwrap();
        for said in [
            "900 copies; this alert states no interval",
            "This alert does not say.",
            "does not say whether it interrupted",
        ] {
            assert!(text.contains(said), "{said} is not in\n{text}");
        }
        assert!(explanation(json!({"id": "x"})).is_err());
    }

    #[test]
    fn what_was_raised_by_the_watch_list_says_so() {
        let mut watched = alert();
        watched["reason"] = "watch_list".into();
        assert!(
            explanation(watched)
                .unwrap()
                .contains("A content on the watch list was seen")
        );
        assert!(!explanation(alert()).unwrap().contains("watch list was seen"));
    }

    #[test]
    fn what_is_live_says_whether_it_runs_and_who_watches() {
        let mut running = alert();
        running["reason"] = "live_match".into();
        running["live"] = json!({
            "state": "running", "streams": 1, "running": 1, "started_at": "2026-02-02T02:30:00.000Z", "ended_at": null,
            "viewers": 180, "peak_viewers": 195, "viewer_minutes": 1250, "score": -6.0, "threshold": 4.2
        });
        let mut over = running.clone();
        over["live"]["running"] = 0.into();
        over["live"]["ended_at"] = "2026-02-02T02:39:00.000Z".into();
        let text = explanation(running).unwrap();
        for said in [
            "A live stream runs in this family",
            "Streams: 1, one runs; began 2026-02-02T02:30:00.000Z. 180 watch now, 195 at most, 1,250 viewer-minutes in all.",
            "The score of the audience, -6, is below the threshold, 4.2.",
        ] {
            assert!(text.contains(said), "{said} is not in\n{text}");
        }
        assert!(
            explanation(over)
                .unwrap()
                .contains("over since 2026-02-02T02:39:00.000Z")
        );
        assert!(!explanation(alert()).unwrap().contains("Live\n"));
    }

    #[test]
    fn why_it_paged_or_did_not() {
        let said = |paged: bool, score: f64, level: &str| {
            let mut alert = alert();
            alert["paged"] = paged.into();
            alert["page_score"] = score.into();
            alert["level"] = level.into();
            page(&serde_json::from_value(alert).unwrap())
        };
        assert!(
            said(false, 999.0, "raised")
                .contains("interrupts nobody: the page score, 999, is below the threshold, 1,000")
        );
        assert!(said(true, 10.0, "sustained").contains("at an earlier alert of this episode"));
        assert!(said(false, 2_000.0, "subsided").contains("nobody is called for what is over"));
    }
}
