//! Actions of Osprey, the rules engine of ROOST, in the three forms of its input topic:
//!
//! * its worker's: JSON, `{send_time, data: {action_id, action_name, data}}`;
//! * its coordinator's: a text of MessagePack that holds JSON, `{id?, name, data, secret_data?}`;
//! * with the header `encoding=proto`: the protobuf message `osprey.rpc.actions.v1.Action`.
//!
//! An action is whatever a platform names so; a [`Mapping`] says which of them are events, and where in their data an event's fields stand.

mod file;
mod mapping;
mod proto;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::{Value, json};
use tocsin_model::Timestamp;

use crate::EventError;
use crate::document::{instant, parse_instant};

pub use file::MappingError;
pub use mapping::{Held, Mapped, Mapping};

/// The header that tells protobuf from the others, and its value.
pub const ENCODING_HEADER: &str = "encoding";
const PROTO: &[u8] = b"proto";
/// The largest action, in bytes. Its JSON may nest 128 deep.
pub const ACTION_BYTES_MAX: usize = 128 << 10;

/// An action as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Osprey's id of it. `None` where its sender left that to Osprey.
    pub id: Option<u64>,
    /// Its name.
    pub name: String,
    /// When it was sent, where the form says so.
    pub sent_at: Option<Timestamp>,
    /// Its data.
    pub data: Value,
}

/// An action to write.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAction<'a> {
    /// Its id, below 2^63.
    pub id: u64,
    /// Its name.
    pub name: &'a str,
    /// When it was sent.
    pub at: Timestamp,
    /// Its data: an object.
    pub data: Value,
}

/// Whether the value of a record is one of ours rather than an action: Avro begins with C3 01 or 00, which no action does.
pub fn is_avro(value: &[u8], encoding: Option<&[u8]>) -> bool {
    encoding != Some(PROTO) && matches!(value, [0xc3, 0x01, ..] | [0x00, ..])
}

/// Reads an action from a record's value and its header [`ENCODING_HEADER`].
///
/// # Errors
/// [`EventError::TooLarge`], [`EventError::MalformedJson`], or [`EventError::MalformedAction`].
pub fn decode(value: &[u8], encoding: Option<&[u8]>) -> Result<Action, EventError> {
    if value.len() > ACTION_BYTES_MAX {
        return Err(EventError::TooLarge {
            bytes_max: ACTION_BYTES_MAX,
        });
    }
    if encoding == Some(PROTO) {
        return proto::decode(value);
    }
    match value.iter().find(|byte| !byte.is_ascii_whitespace()) {
        // As MessagePack this would be a number, and no text.
        Some(b'{') => from_worker(value),
        _ => from_coordinator(value),
    }
}

/// An action as Osprey's worker reads it.
pub fn encode_worker(action: NewAction<'_>) -> Vec<u8> {
    let document = json!({
        "send_time": instant(action.at),
        "data": { "action_id": action.id, "action_name": action.name, "data": action.data },
    });
    document.to_string().into_bytes()
}

/// An action as Osprey's coordinator reads it.
pub fn encode_coordinator(action: NewAction<'_>) -> Vec<u8> {
    let document = json!({ "id": action.id.to_string(), "name": action.name, "data": action.data });
    let mut out = Vec::new();
    rmp::encode::write_str(&mut out, &document.to_string()).expect("memory takes all that is written to it");
    out
}

#[derive(Deserialize)]
struct WorkerAction {
    send_time: String,
    data: WorkerData,
}

#[derive(Deserialize)]
struct WorkerData {
    action_id: Id,
    action_name: String,
    data: Value,
}

#[derive(Deserialize)]
struct CoordinatorAction {
    id: Option<Id>,
    name: String,
    data: Value,
}

/// A number, or one in a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Number(u64),
    Text(String),
}

fn from_worker(text: &[u8]) -> Result<Action, EventError> {
    let action: WorkerAction = serde_json::from_slice(text).map_err(|error| malformed_json(&error))?;
    let sent_at = parse_instant(&action.send_time).ok_or(malformed("send_time is no RFC 3339 time"))?;
    Ok(Action {
        id: Some(action.data.action_id.number()?),
        name: action.data.action_name,
        sent_at: Some(sent_at),
        data: action.data.data,
    })
}

fn from_coordinator(value: &[u8]) -> Result<Action, EventError> {
    let (text, rest) = rmp::decode::read_str_from_slice(value)
        .map_err(|_| malformed("neither JSON, nor a text of MessagePack, nor marked as protobuf"))?;
    if !rest.is_empty() {
        return Err(malformed("bytes behind the text of MessagePack"));
    }
    let action: CoordinatorAction = serde_json::from_str(text).map_err(|error| malformed_json(&error))?;
    Ok(Action {
        id: action.id.map(Id::number).transpose()?,
        name: action.name,
        sent_at: None,
        data: action.data,
    })
}

impl Id {
    fn number(self) -> Result<u64, EventError> {
        match self {
            Id::Number(number) => Ok(number),
            Id::Text(text) => text.parse().map_err(|_| malformed("an id is a number")),
        }
    }
}

fn malformed(reason: &'static str) -> EventError {
    EventError::MalformedAction { reason }
}

/// The words of serde_json may repeat text of the input; the place does not.
fn malformed_json(error: &serde_json::Error) -> EventError {
    EventError::MalformedJson {
        reason: format!("no action at line {} column {}", error.line(), error.column()),
    }
}
