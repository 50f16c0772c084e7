//! Events as JSON: the field names of the Avro schema; times as RFC 3339 text or milliseconds since 1970; the event id as UUID text;
//! hashes as hexadecimal (a URL as itself); the account as 32 hexadecimal digits. Enums are their symbols; a kind or surface that is not
//! known is `unknown`, a sharing or algorithm that is not known is refused: a typing error there would change who sees the event, or
//! lose a hash.
//!
//! Every list stops at its limit while it is read, and every unknown field is refused by name.

mod list;
mod read;
mod value;
mod write;

use serde::de::{DeserializeSeed, Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use tocsin_model::Event;

use super::BATCH_EVENTS_MAX;
use crate::EventError;

pub use write::to_json;

/// The largest JSON text of one event, in bytes: two lists of 16 URLs of 2 KiB, every byte escaped, would be larger; real ones are not.
pub const EVENT_JSON_BYTES_MAX: usize = 128 << 10;

/// Many events, each valid or refused by itself.
pub type EventResults = Vec<Result<Event, EventError>>;

/// One event from a JSON object.
///
/// # Errors
/// It is not JSON, not an event, or breaks a rule.
pub fn from_json(text: &[u8]) -> Result<Event, EventError> {
    if text.len() > EVENT_JSON_BYTES_MAX {
        return Err(EventError::TooLarge {
            bytes_max: EVENT_JSON_BYTES_MAX,
        });
    }
    let mut error = None;
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let event = read::EventSeed { error: &mut error }
        .deserialize(&mut deserializer)
        .and_then(|event| deserializer.end().map(|()| event));
    let event = event.map_err(|reason| error.unwrap_or_else(|| malformed(&reason)))?;
    super::validate(&event)?;
    Ok(event)
}

/// Events from a JSON array.
///
/// # Errors
/// The text is not a JSON array, or has more than [`BATCH_EVENTS_MAX`] items. A bad event inside refuses itself only.
pub fn from_json_array(text: &[u8]) -> Result<EventResults, EventError> {
    let mut too_many = false;
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let events = deserializer
        .deserialize_seq(ArrayVisitor {
            too_many: &mut too_many,
        })
        .and_then(|events| deserializer.end().map(|()| events));
    events.map_err(|reason| {
        if too_many {
            too_many_events()
        } else {
            malformed(&reason)
        }
    })
}

/// Events from lines of JSON, one each; empty lines are skipped.
///
/// # Errors
/// There are more than [`BATCH_EVENTS_MAX`] of them. A bad line refuses itself only.
pub fn from_ndjson(text: &[u8]) -> Result<EventResults, EventError> {
    let mut events = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if events.len() == BATCH_EVENTS_MAX {
            return Err(too_many_events());
        }
        events.push(from_json(line));
    }
    Ok(events)
}

/// Events from a JSON body: one object, or an array of them.
///
/// # Errors
/// As [`from_json_array`]; of a single object, none: the result stands in the list.
pub fn from_json_body(text: &[u8]) -> Result<EventResults, EventError> {
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[') => from_json_array(text),
        _ => Ok(vec![from_json(text)]),
    }
}

struct ArrayVisitor<'e> {
    too_many: &'e mut bool,
}

impl<'de> Visitor<'de> for ArrayVisitor<'_> {
    type Value = EventResults;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<EventResults, A::Error> {
        let mut events = Vec::new();
        while let Some(item) = items.next_element::<&RawValue>()? {
            if events.len() == BATCH_EVENTS_MAX {
                *self.too_many = true;
                return Err(serde::de::Error::custom("too many events"));
            }
            events.push(from_json(item.get().as_bytes()));
        }
        Ok(events)
    }
}

fn too_many_events() -> EventError {
    EventError::TooManyEvents {
        events_max: BATCH_EVENTS_MAX,
    }
}

/// The words of serde_json may repeat text of the input; its category and place do not.
fn malformed(reason: &serde_json::Error) -> EventError {
    let what = match reason.classify() {
        serde_json::error::Category::Eof => "the text ends too early",
        serde_json::error::Category::Data => "not an object or array of the expected form",
        _ => "a syntax error",
    };
    EventError::MalformedJson {
        reason: format!("{what} at line {} column {}", reason.line(), reason.column()),
    }
}
