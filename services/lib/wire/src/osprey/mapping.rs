//! From an action to an event, by what an operator's file says.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tocsin_model::{
    AccountPseudonym, Algorithm, ContentHash, Event, EventId, Frame, Kind, Label, Name, Sharing, Surface, Timestamp,
};

use super::Action;
use crate::EventError;
use crate::document::parse_instant;
use crate::event::validate;

/// The longest account that is pseudonymised, in bytes.
const ACCOUNT_BYTES_MAX: usize = 1_024;

/// The most frames of one action that are looked at: more than an hour of a video, at one in a second.
const FRAMES_READ_MAX: usize = 4_096;

/// A mapping that was checked.
#[derive(Clone)]
pub struct Mapping {
    pub(super) account_key: Option<Vec<u8>>,
    pub(super) account_epoch: u32,
    pub(super) sharing: Sharing,
    pub(super) actions: BTreeMap<String, ActionMapping>,
}

/// What became of an action.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    /// The event; valid.
    pub event: Event,
    /// The fields for which the mapping points to where nothing stands, and without which the event is one all the same.
    pub absent: Vec<&'static str>,
    /// Such fields of which something of another form stands there. It is left out: a copy is a copy whatever its region says.
    pub malformed: Vec<&'static str>,
}

/// A value that is the same for every action, or stands in its data.
#[derive(Clone)]
pub(super) enum Source<T> {
    Always(T),
    At(String),
}

/// What one action is as an event: JSON pointers into its data, and what is the same for all.
#[derive(Clone)]
pub(super) struct ActionMapping {
    pub(super) kind: Kind,
    pub(super) platform: Source<Name>,
    pub(super) time_at: Option<String>,
    pub(super) account_at: Option<String>,
    pub(super) surface: Option<Source<Surface>>,
    pub(super) region_at: Option<String>,
    pub(super) language_at: Option<String>,
    pub(super) audience_at: Option<String>,
    pub(super) frames_at: Option<String>,
    pub(super) hashes: Vec<HashMapping>,
    pub(super) labels: Vec<(String, String)>,
}

/// Where one hash stands.
#[derive(Clone)]
pub(super) struct HashMapping {
    pub(super) algorithm: Source<Algorithm>,
    pub(super) at: String,
    pub(super) quality_at: Option<String>,
}

/// What a record of an ingest topic holds that carries actions beside Avro.
#[derive(Debug)]
pub enum Held {
    /// An event, or a batch of them, in Avro.
    Avro,
    /// An action that is no event, of which an input topic of Osprey has many.
    OtherAction,
    /// An action that is one.
    Event(Box<Mapped>),
}

impl Mapping {
    /// What a record holds: its value, its header [`super::ENCODING_HEADER`], and what [`Mapping::event`] wants.
    ///
    /// # Errors
    /// Those of [`super::decode`] and [`Mapping::event`].
    pub fn held(
        &self,
        (value, encoding): (&[u8], Option<&[u8]>),
        received_at: Timestamp,
        place: impl FnOnce() -> String,
    ) -> Result<Held, EventError> {
        if super::is_avro(value, encoding) {
            return Ok(Held::Avro);
        }
        let mapped = self.event(&super::decode(value, encoding)?, received_at, &place())?;
        Ok(mapped.map_or(Held::OtherAction, |mapped| Held::Event(Box::new(mapped))))
    }

    /// The event that an action is; `None` of one that is not mapped. `received_at` is its time where neither its data nor its form tells
    /// one, `place` names its record where it has no id of its own.
    ///
    /// # Errors
    /// [`EventError::NothingMapped`] where something without which there is no event is not where the mapping says; any rule of events.
    pub fn event(&self, action: &Action, received_at: Timestamp, place: &str) -> Result<Option<Mapped>, EventError> {
        let Some(mapping) = self.actions.get(&action.name) else {
            return Ok(None);
        };
        let mut data = Data {
            data: &action.data,
            absent: Vec::new(),
            malformed: Vec::new(),
        };
        let event = Event {
            event_id: event_id(action, place),
            platform: mapping.platform(&data)?,
            kind: mapping.kind,
            occurred_at: match &mapping.time_at {
                Some(at) => time(data.needed("occurred_at", at)?)?,
                None => action.sent_at.unwrap_or(received_at),
            },
            content: mapping.content(&mut data)?,
            same_as: Vec::new(),
            frames: data.frames(mapping.frames_at.as_deref()),
            account: self.account(mapping, &mut data),
            account_epoch: self.account_epoch,
            region: data.code("region", mapping.region_at.as_deref(), |letter| {
                letter.is_ascii_uppercase()
            }),
            language: data.code("language", mapping.language_at.as_deref(), |letter| {
                letter.is_ascii_lowercase()
            }),
            audience: data.audience(mapping.audience_at.as_deref()),
            surface: mapping.surface(&mut data),
            labels: mapping.labels(&mut data),
            sharing: self.sharing,
        };
        validate(&event)?;
        let Data { absent, malformed, .. } = data;
        Ok(Some(Mapped {
            event,
            absent,
            malformed,
        }))
    }

    /// An account leaves here as a pseudonym: 16 bytes of HMAC-SHA-256 over its text, as `schemas/README.md` has it, or one already.
    fn account(&self, mapping: &ActionMapping, data: &mut Data<'_>) -> Option<AccountPseudonym> {
        let value = data.optional("account", mapping.account_at.as_deref())?;
        let pseudonym = self.pseudonym(value);
        data.kept("account", pseudonym)
    }

    /// `None` where there is neither a text of at most 1,024 bytes nor a whole number, or no pseudonym where there should be one.
    fn pseudonym(&self, value: &Value) -> Option<AccountPseudonym> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) if !number.is_f64() => number.to_string(),
            _ => return None,
        };
        let Some(key) = &self.account_key else {
            let mut bytes = [0; 16];
            hex::decode_to_slice(&text, &mut bytes).ok()?;
            return Some(AccountPseudonym(bytes));
        };
        if text.is_empty() || text.len() > ACCOUNT_BYTES_MAX {
            return None;
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.update(text.as_bytes());
        let made = mac.finalize().into_bytes();
        let made = made[..16].try_into().expect("SHA-256 has 32 bytes");
        Some(AccountPseudonym(made))
    }
}

/// Shows no key.
impl std::fmt::Debug for Mapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.actions.keys().map(String::as_str).collect();
        f.debug_struct("Mapping")
            .field("actions", &names)
            .finish_non_exhaustive()
    }
}

impl ActionMapping {
    fn platform(&self, data: &Data<'_>) -> Result<Name, EventError> {
        match &self.platform {
            Source::Always(name) => Ok(name.clone()),
            Source::At(at) => {
                let text = text("platform", data.needed("platform", at)?)?;
                text.parse().map_err(|_| EventError::PlatformMalformed)
            }
        }
    }

    /// The hashes that are there. An action may have a picture or a video, and the mapping names the hashes of both.
    fn content(&self, data: &mut Data<'_>) -> Result<Vec<ContentHash>, EventError> {
        let mut content = Vec::new();
        for hash in &self.hashes {
            let Some(value) = data.optional("content", Some(&hash.at)) else {
                continue;
            };
            let algorithm = match &hash.algorithm {
                Source::Always(algorithm) => *algorithm,
                Source::At(at) => {
                    let name = text("algorithm", data.needed("algorithm", at)?)?;
                    Algorithm::from_name(&name.to_lowercase()).ok_or(EventError::AlgorithmUnknown)?
                }
            };
            let told = data.optional("quality", hash.quality_at.as_deref());
            let quality = told.and_then(|value| data.kept("quality", quality(value)));
            let value = text("content", value)?;
            let malformed = EventError::HashMalformed {
                algorithm: algorithm.name(),
            };
            content.push(ContentHash::parse(algorithm, value, quality).map_err(|_| malformed)?);
        }
        match content.is_empty() {
            true => Err(EventError::NothingMapped { field: "content" }),
            false => Ok(content),
        }
    }

    fn surface(&self, data: &mut Data<'_>) -> Surface {
        let told = match &self.surface {
            None => None,
            Some(Source::Always(surface)) => Some(*surface),
            Some(Source::At(at)) => {
                let value = data.optional("surface", Some(at));
                value.and_then(|value| data.kept("surface", value.as_str().map(Surface::from_name)))
            }
        };
        told.unwrap_or(Surface::Unknown)
    }

    /// A label's confidence is a number from 0 to 1, or `true`.
    fn labels(&self, data: &mut Data<'_>) -> Vec<Label> {
        let mut labels = Vec::new();
        for (name, at) in &self.labels {
            let confidence = match data.optional("labels", Some(at)) {
                None | Some(Value::Bool(false)) => continue,
                Some(Value::Bool(true)) => 1.0,
                Some(value) => {
                    let told = value.as_f64().filter(|told| (0.0..=1.0).contains(told));
                    match data.kept("labels", told) {
                        Some(told) => told as f32,
                        None => continue,
                    }
                }
            };
            labels.push(Label {
                name: name.clone(),
                confidence,
            });
        }
        labels
    }
}

/// An action's data, and where it was looked into in vain.
struct Data<'a> {
    data: &'a Value,
    absent: Vec<&'static str>,
    malformed: Vec<&'static str>,
}

impl<'a> Data<'a> {
    fn needed(&self, field: &'static str, at: &str) -> Result<&'a Value, EventError> {
        let found = self.data.pointer(at).filter(|value| !value.is_null());
        found.ok_or(EventError::NothingMapped { field })
    }

    fn optional(&mut self, field: &'static str, at: Option<&str>) -> Option<&'a Value> {
        let found = self.data.pointer(at?).filter(|value| !value.is_null());
        if found.is_none() {
            self.absent.push(field);
        }
        found
    }

    /// What was made of an optional field; that it has another form is noted.
    fn kept<T>(&mut self, field: &'static str, made: Option<T>) -> Option<T> {
        if made.is_none() {
            self.malformed.push(field);
        }
        made
    }

    /// Two letters of one case, as `is_letter` has it.
    fn code(&mut self, field: &'static str, at: Option<&str>, is_letter: fn(&u8) -> bool) -> Option<[u8; 2]> {
        let value = self.optional(field, at)?;
        let code = value.as_str().and_then(|text| text.as_bytes().try_into().ok());
        self.kept(field, code.filter(|code: &[u8; 2]| code.iter().all(is_letter)))
    }

    /// The frames of a vPDQ signal, an array of texts or the text of one. Of more than an event carries as many are taken at even distances, of those
    /// whose quality is good if any is.
    fn frames(&mut self, at: Option<&str>) -> Vec<Frame> {
        let Some(value) = self.optional("frames", at) else {
            return Vec::new();
        };
        let parsed = match value {
            Value::String(text) => serde_json::from_str(text).ok().map(Cow::Owned),
            value => Some(Cow::Borrowed(value)),
        };
        let texts = parsed.as_deref().and_then(Value::as_array);
        let texts = texts.filter(|texts| texts.len() <= FRAMES_READ_MAX);
        let frames = texts.and_then(|texts| {
            let frames = texts.iter().map(|text| Frame::from_vpdq(text.as_str()?));
            let mut frames: Vec<Frame> = frames.collect::<Option<_>>()?;
            let is_good = |frame: &Frame| frame.quality >= Algorithm::PDQ_QUALITY_MIN;
            if frames.len() > Event::FRAMES_MAX && frames.iter().any(is_good) {
                frames.retain(is_good);
            }
            let step = frames.len().div_ceil(Event::FRAMES_MAX).max(1);
            Some(frames.into_iter().step_by(step).collect())
        });
        self.kept("frames", frames).unwrap_or_default()
    }

    fn audience(&mut self, at: Option<&str>) -> Option<u32> {
        let value = self.optional("audience", at)?;
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        self.kept("audience", number)
    }
}

/// The first half of a SHA-256 of the action's name and id, marked as a UUID of version 8 (RFC 9562): Osprey's retries are dropped by it.
fn event_id(action: &Action, place: &str) -> EventId {
    let name = &action.name;
    let text = match action.id {
        Some(id) => format!("tocsin osprey action\0{name}\0id\0{id}"),
        None => format!("tocsin osprey action\0{name}\0place\0{place}"),
    };
    let digest = Sha256::digest(text);
    let bytes = digest[..16].try_into().expect("SHA-256 has 32 bytes");
    EventId(*uuid::Builder::from_custom_bytes(bytes).as_uuid().as_bytes())
}

fn text<'a>(field: &'static str, value: &'a Value) -> Result<&'a str, EventError> {
    value.as_str().ok_or(invalid(field, "text"))
}

fn quality(value: &Value) -> Option<u8> {
    let number = value.as_f64().filter(|number| (0.0..=100.0).contains(number));
    number.map(|number| number as u8)
}

/// RFC 3339, or milliseconds since 1970.
fn time(value: &Value) -> Result<Timestamp, EventError> {
    let at = match value {
        Value::String(text) => parse_instant(text),
        value => value.as_i64().map(Timestamp),
    };
    at.ok_or(invalid("occurred_at", "RFC 3339 text, or milliseconds since 1970"))
}

fn invalid(field: &'static str, expected: &'static str) -> EventError {
    EventError::InvalidField { field, expected }
}
