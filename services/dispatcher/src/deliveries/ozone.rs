//! Alerts as moderation events to Ozone, the review tool of Bluesky: `tools.ozone.moderation.emitEvent`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tocsin_model::{Alert, AlertLevel};

use super::event;
use super::http::Request;
use super::sentence::sentence;

/// Ozone knows accounts and records, no families: an account of the operator's stands for what spreads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OzoneSettings {
    /// The DID of that account.
    pub subject: String,
    /// The DID of the moderator that Tocsin acts as.
    pub created_by: String,
}

/// Which tag a family's end leaves behind.
const TAG_SUBSIDED: &str = "tocsin-subsided";

/// Signs in as Ozone's administrator (HTTP basic): tokens of sessions are good for hours only.
pub(crate) fn request(url: &Url, password: &str, settings: &OzoneSettings, alert: &Alert) -> Option<Request> {
    let credentials = STANDARD.encode(format!("admin:{password}"));
    let mut credentials = HeaderValue::from_str(&format!("Basic {credentials}")).ok()?;
    credentials.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, credentials);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(event::CONTENT_TYPE));
    let body = json!({
        "event": moderation_event(alert),
        "subject": { "$type": "com.atproto.admin.defs#repoRef", "did": settings.subject },
        "createdBy": settings.created_by,
    });
    Some(Request {
        url: url.clone(),
        headers,
        body: body.to_string().into_bytes(),
    })
}

/// A raised alert is a report, an escalated one moves the priority, the end leaves a tag.
fn moderation_event(alert: &Alert) -> Value {
    let comment = sentence(alert);
    match alert.level {
        AlertLevel::Raised => json!({
            "$type": "tools.ozone.moderation.defs#modEventReport",
            "comment": comment,
            "reportType": "com.atproto.moderation.defs#reasonViolation",
        }),
        AlertLevel::Escalated | AlertLevel::Sustained => json!({
            "$type": "tools.ozone.moderation.defs#modEventPriorityScore",
            "comment": comment,
            "score": score(alert.priority),
        }),
        AlertLevel::Subsided => json!({
            "$type": "tools.ozone.moderation.defs#modEventTag",
            "comment": comment,
            "add": [TAG_SUBSIDED],
            "remove": [],
        }),
    }
}

/// A priority on Ozone's scale from 0 to 100: twenty points for each factor of ten.
fn score(priority: f64) -> u8 {
    (20.0 * (1.0 + priority.max(0.0)).log10()).round().clamp(0.0, 100.0) as u8
}

#[cfg(test)]
mod tests {
    //! Goal: each level becomes the event of Ozone's lexicon that says as much.
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::deliveries::example::alert;

    #[test]
    fn each_level_has_an_event() {
        let settings = OzoneSettings {
            subject: "did:plc:a".to_owned(),
            created_by: "did:plc:b".to_owned(),
        };
        let url: Url = "https://ozone.example/xrpc/tools.ozone.moderation.emitEvent"
            .parse()
            .unwrap();
        for (level, kind) in [
            (AlertLevel::Raised, "modEventReport"),
            (AlertLevel::Escalated, "modEventPriorityScore"),
            (AlertLevel::Subsided, "modEventTag"),
        ] {
            let alert = Alert { level, ..alert() };
            let request = request(&url, "pass", &settings, &alert).unwrap();
            assert_eq!(request.headers[AUTHORIZATION], "Basic YWRtaW46cGFzcw==");
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            assert_eq!(body["event"]["$type"], format!("tools.ozone.moderation.defs#{kind}"));
            assert_eq!(
                (&body["subject"]["did"], &body["createdBy"]),
                (&json!("did:plc:a"), &json!("did:plc:b"))
            );
        }
    }

    #[test]
    fn a_priority_is_a_score_from_0_to_100() {
        for (priority, expected) in [
            (0.0, 0),
            (9.0, 20),
            (999.0, 60),
            (1e9, 100),
            (-1.0, 0),
            (f64::NAN, 0),
            (f64::INFINITY, 100),
        ] {
            assert_eq!(score(priority), expected, "{priority}");
        }
    }
}
