use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tocsin_model::{ContentHash, Event, Frame};

/// An event as a JSON object that [`from_json`](super::from_json) reads back.
pub fn to_json(event: &Event) -> String {
    serde_json::to_string(&EventJson::from(event)).expect("text, numbers and lists always become JSON")
}

#[derive(Serialize)]
struct EventJson<'a> {
    event_id: String,
    platform: &'a str,
    kind: &'static str,
    occurred_at: Time,
    content: Vec<HashJson>,
    same_as: Vec<HashJson>,
    frames: Vec<FrameJson>,
    account: Option<String>,
    account_epoch: u32,
    region: Option<&'a str>,
    language: Option<&'a str>,
    audience: Option<u32>,
    surface: &'static str,
    labels: Vec<LabelJson<'a>>,
    sharing: &'static str,
}

/// RFC 3339 with milliseconds, or the milliseconds themselves where the years of RFC 3339 end.
#[derive(Serialize)]
#[serde(untagged)]
enum Time {
    Text(String),
    Milliseconds(i64),
}

#[derive(Serialize)]
struct HashJson {
    algorithm: &'static str,
    value: String,
    quality: Option<u8>,
}

#[derive(Serialize)]
struct FrameJson {
    pdq: String,
    quality: u8,
}

#[derive(Serialize)]
struct LabelJson<'a> {
    name: &'a str,
    confidence: f32,
}

impl<'a> From<&'a Event> for EventJson<'a> {
    fn from(event: &'a Event) -> Self {
        let text = |bytes: &'a Option<[u8; 2]>| bytes.as_ref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        EventJson {
            event_id: uuid::Uuid::from_bytes(event.event_id.0).to_string(),
            platform: event.platform.as_str(),
            kind: event.kind.name(),
            occurred_at: time_of(event.occurred_at.0),
            content: event.content.iter().map(HashJson::from).collect(),
            same_as: event.same_as.iter().map(HashJson::from).collect(),
            frames: event.frames.iter().map(FrameJson::from).collect(),
            account: event.account.map(|account| hex::encode(account.0)),
            account_epoch: event.account_epoch,
            region: text(&event.region),
            language: text(&event.language),
            audience: event.audience,
            surface: event.surface.name(),
            labels: event
                .labels
                .iter()
                .map(|label| LabelJson {
                    name: &label.name,
                    confidence: label.confidence,
                })
                .collect(),
            sharing: event.sharing.name(),
        }
    }
}

impl From<&ContentHash> for HashJson {
    fn from(hash: &ContentHash) -> Self {
        HashJson {
            algorithm: hash.algorithm().name(),
            value: hash.value_text(),
            quality: hash.quality(),
        }
    }
}

impl From<&Frame> for FrameJson {
    fn from(frame: &Frame) -> Self {
        FrameJson {
            pdq: hex::encode(frame.pdq),
            quality: frame.quality,
        }
    }
}

fn time_of(ms: i64) -> Time {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .map_or(Time::Milliseconds(ms), Time::Text)
}
