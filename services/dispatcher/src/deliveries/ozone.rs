//! Alerts and decisions as moderation events to Ozone, the review tool of Bluesky: `tools.ozone.moderation.emitEvent`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tocsin_casework::Team;
use tocsin_model::{Alert, AlertLevel};
use tocsin_store::{Delivery, DeliveryEvent};
use tocsin_wire::Names;

use super::event;
use super::http::Request;
use super::ozone_decision::Telling;
use super::sentence::sentence;
use crate::ozone::Taking;

/// Ozone knows accounts and records, no families: an account of the operator's stands for what spreads, or a record of that account for each family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OzoneSettings {
    /// What it is told of decisions.
    pub telling: Telling,
    /// The DID of that account.
    pub subject: String,
    /// The DID of the moderator that Tocsin acts as.
    pub created_by: String,
    /// The collection of that account in which families stand as records. `None`: the account stands for all of them.
    pub collection: Option<String>,
    /// What is taken of what happens in Ozone, if anything is.
    pub taking: Option<Taking>,
}

/// How an Ozone is asked for what happened in it.
#[derive(Clone)]
pub(crate) struct OzoneInwards {
    /// `tools.ozone.moderation.queryEvents`.
    pub url: Url,
    /// Of Ozone's administrator.
    pub password: String,
    /// The DID of the account whose records stand for families.
    pub subject: String,
    /// The collection of those records; `None` where reports alone are taken.
    pub collection: Option<String>,
    /// What is taken.
    pub taking: Taking,
}

/// The URI of the record that stands for a family.
pub(crate) fn record(subject: &str, collection: &str, family: &str) -> String {
    format!("at://{subject}/{collection}/{family}")
}

/// Which tag a family's end leaves behind.
const TAG_SUBSIDED: &str = "tocsin-subsided";

/// The requests that a delivery becomes, one after another; `None` of what Ozone is not told of.
pub(crate) fn requests(
    (url, password): (&Url, &str),
    settings: &OzoneSettings,
    delivery: &Delivery,
    reader: (&Names, Team),
) -> Option<Vec<Request>> {
    let (told, reported) = match &delivery.event {
        DeliveryEvent::Alert(alert) => {
            let alert = (&**alert, delivery.id.as_str());
            return Some(vec![request((url, password), settings, alert, reader)?]);
        }
        DeliveryEvent::Decision(told) => (told, None),
        DeliveryEvent::Reported(event) => (&event.told, Some(&**event)),
        _ => return None,
    };
    let account = (settings.subject.as_str(), settings.collection.as_deref());
    let by = (settings.created_by.as_str(), delivery.id.as_str());
    let bodies = settings.telling.bodies((told, reported), account, by);
    bodies.iter().map(|body| signed((url, password), body)).collect()
}

fn request(
    to: (&Url, &str),
    settings: &OzoneSettings,
    (alert, delivery): (&Alert, &str),
    reader: (&Names, Team),
) -> Option<Request> {
    let subject = match &settings.collection {
        None => json!({ "$type": "com.atproto.admin.defs#repoRef", "did": settings.subject }),
        Some(collection) => record_subject(&settings.subject, collection, &alert.family.to_string()),
    };
    let body = json!({
        "event": moderation_event(alert, reader),
        "subject": subject,
        "createdBy": settings.created_by,
        "externalId": delivery,
    });
    signed(to, &body)
}

/// The record that stands for a family, as the subject of an event.
pub(super) fn record_subject(account: &str, collection: &str, family: &str) -> Value {
    json!({
        "$type": "com.atproto.repo.strongRef",
        "uri": record(account, collection, family),
        "cid": cid(family),
    })
}

/// Signs in as Ozone's administrator (HTTP basic): tokens of sessions are good for hours only. `None` of a password that no header can hold.
pub(crate) fn credentials(password: &str) -> Option<HeaderValue> {
    let credentials = STANDARD.encode(format!("admin:{password}"));
    let mut credentials = HeaderValue::from_str(&format!("Basic {credentials}")).ok()?;
    credentials.set_sensitive(true);
    Some(credentials)
}

fn signed((url, password): (&Url, &str), body: &Value) -> Option<Request> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, credentials(password)?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(event::CONTENT_TYPE));
    Some(Request {
        url: url.clone(),
        headers,
        body: body.to_string().into_bytes(),
    })
}

/// A raised alert is a report, an escalated one moves the priority, the end leaves a tag.
fn moderation_event(alert: &Alert, (names, reader): (&Names, Team)) -> Value {
    let comment = sentence(alert, names, reader);
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

/// The CID of a record whose content is the family's name: version 1, of the CBOR text string (RFC 8949), by SHA-256, in base 32 of small letters
/// (the multiformats' CID specification). There need be no such record: Ozone keeps what is said of it.
fn cid(family: &str) -> String {
    // A text string of 24 to 255 bytes: its length is the next byte.
    let mut record = vec![0x78, u8::try_from(family.len()).unwrap_or(u8::MAX)];
    record.extend_from_slice(family.as_bytes());
    let mut cid = vec![0x01, 0x71, 0x12, 0x20];
    cid.extend_from_slice(&Sha256::digest(&record));
    format!("b{}", base32(&cid))
}

/// RFC 4648, section 6, in small letters and without padding.
fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let (mut text, mut held, mut bits) = (String::new(), 0_u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(LETTERS[(held >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(LETTERS[(held << (5 - bits) & 31) as usize]));
    }
    text
}

/// A priority on Ozone's scale from 0 to 100: twenty points for each factor of ten.
fn score(priority: f64) -> u8 {
    (20.0 * (1.0 + priority.max(0.0)).log10()).round().clamp(0.0, 100.0) as u8
}

#[cfg(test)]
mod tests {
    //! Goal: each level becomes the event of Ozone's lexicon that says as much.
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use super::*;
    use crate::deliveries::example::alert;

    #[test]
    fn each_level_has_an_event() {
        let settings = OzoneSettings {
            subject: "did:plc:a".to_owned(),
            created_by: "did:plc:b".to_owned(),
            collection: None,
            taking: None,
            telling: Telling::take(&mut BTreeMap::new()).unwrap().0,
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
            let request = request(
                (&url, "pass"),
                &settings,
                (&alert, "d1"),
                (&Names::default(), Team::Coordinators),
            )
            .unwrap();
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
    fn a_family_may_stand_as_a_record_of_its_own() {
        let settings = OzoneSettings {
            subject: "did:plc:a".to_owned(),
            created_by: "did:plc:b".to_owned(),
            collection: Some("org.tocsin.family".to_owned()),
            taking: None,
            telling: Telling::take(&mut BTreeMap::new()).unwrap().0,
        };
        let url: Url = "https://ozone.example/".parse().unwrap();
        let request = request(
            (&url, "pass"),
            &settings,
            (&alert(), "d1"),
            (&Names::default(), Team::Coordinators),
        )
        .unwrap();
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let family = alert().family.to_string();
        assert_eq!(
            body["subject"]["uri"],
            json!(format!("at://did:plc:a/org.tocsin.family/{family}"))
        );
        let cid = body["subject"]["cid"].as_str().unwrap();
        // 36 bytes in base 32, behind the letter of that base; each begins so that is of CBOR by SHA-256.
        assert!(cid.starts_with("bafyrei") && cid.len() == 59, "{cid}");
        assert_eq!(base32(b"foobar"), "mzxw6ytboi", "RFC 4648, section 10");
        assert_eq!(base32(b"foob"), "mzxw6yq");
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
