//! Which actions are events, and where an event's fields stand: an operator's TOML file, one for each party whose topic carries actions.

use std::collections::BTreeMap;

use hmac::{Hmac, Mac as _};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tocsin_model::{
    AccountPseudonym, Algorithm, ContentHash, Event, EventId, Kind, Label, Name, Sharing, Surface, Timestamp,
};

use super::Action;
use crate::EventError;
use crate::document::parse_instant;
use crate::event::validate;

/// The shortest key that accounts are pseudonymised with, in bytes.
const ACCOUNT_KEY_BYTES_MIN: usize = 16;
/// The longest JSON pointer, in bytes.
const POINTER_BYTES_MAX: usize = 256;
/// The longest account that is pseudonymised, in bytes.
const ACCOUNT_BYTES_MAX: usize = 1_024;

/// A mapping that was checked.
#[derive(Clone)]
pub struct Mapping {
    account_key: Option<Vec<u8>>,
    account_epoch: u32,
    sharing: Sharing,
    actions: BTreeMap<String, ActionMapping>,
}

/// What became of an action.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    /// The event; valid.
    pub event: Event,
    /// The fields for which the mapping points to where nothing stands, and without which the event is one all the same.
    pub absent: Vec<&'static str>,
}

/// Why a mapping is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// No TOML, or with keys that a mapping does not have.
    #[error("no mapping of actions: {reason}")]
    Malformed {
        /// What is wrong, and where.
        reason: String,
    },
    /// It maps nothing.
    #[error("the mapping has no [[action]]")]
    Empty,
    /// An action that is mapped twice.
    #[error("action {action:?} is mapped twice")]
    Twice {
        /// Its name.
        action: String,
    },
    /// A value that means nothing.
    #[error("action {action:?}: {field} is {expected}")]
    Value {
        /// The action.
        action: String,
        /// The key.
        field: &'static str,
        /// What is wanted.
        expected: &'static str,
    },
    /// Accounts would go on as they are.
    #[error("accounts are mapped, and there is neither account_key_file nor account_is_pseudonym = true")]
    AccountKey,
    /// The key is too short to keep a secret.
    #[error("the key of accounts has at least {ACCOUNT_KEY_BYTES_MIN} bytes")]
    AccountKeyShort,
}

/// The file, as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    account_key_file: Option<String>,
    #[serde(default)]
    account_is_pseudonym: bool,
    #[serde(default)]
    account_epoch: u32,
    sharing: String,
    #[serde(default)]
    action: Vec<FileAction>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAction {
    name: String,
    kind: String,
    platform: Option<String>,
    platform_at: Option<String>,
    time_at: Option<String>,
    account_at: Option<String>,
    surface: Option<String>,
    surface_at: Option<String>,
    region_at: Option<String>,
    language_at: Option<String>,
    audience_at: Option<String>,
    #[serde(default)]
    hash: Vec<FileHash>,
    #[serde(default)]
    label: Vec<FileLabel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileHash {
    algorithm: Option<String>,
    algorithm_at: Option<String>,
    at: String,
    quality_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileLabel {
    name: String,
    at: String,
}

/// A value that is the same for every action, or stands in its data.
#[derive(Clone)]
enum Source<T> {
    Always(T),
    At(String),
}

#[derive(Clone)]
struct ActionMapping {
    kind: Kind,
    platform: Source<Name>,
    time_at: Option<String>,
    account_at: Option<String>,
    surface: Option<Source<Surface>>,
    region_at: Option<String>,
    language_at: Option<String>,
    audience_at: Option<String>,
    hashes: Vec<HashMapping>,
    labels: Vec<(String, String)>,
}

#[derive(Clone)]
struct HashMapping {
    algorithm: Source<Algorithm>,
    at: String,
    quality_at: Option<String>,
}

impl Mapping {
    /// The mapping in a file's text. `read` fetches the file that `account_key_file` names.
    ///
    /// # Errors
    /// What is wrong with it: every pointer has the form of one, every constant a meaning, every action a hash.
    pub fn parse(text: &str, read: impl Fn(&str) -> Result<Vec<u8>, String>) -> Result<Mapping, MappingError> {
        let malformed = |reason: String| MappingError::Malformed { reason };
        let file: File = toml::from_str(text).map_err(|error| malformed(error.message().to_owned()))?;
        let account_key = match &file.account_key_file {
            Some(path) => Some(read(path).map_err(malformed)?),
            None => None,
        };
        if account_key
            .as_ref()
            .is_some_and(|key| key.len() < ACCOUNT_KEY_BYTES_MIN)
        {
            return Err(MappingError::AccountKeyShort);
        }
        let maps_accounts = file.action.iter().any(|action| action.account_at.is_some());
        if maps_accounts && account_key.is_some() == file.account_is_pseudonym {
            return Err(MappingError::AccountKey);
        }
        let sharing = Sharing::from_name(&file.sharing);
        let mut actions = BTreeMap::new();
        for action in file.action {
            let name = action.name.clone();
            if actions.insert(name.clone(), ActionMapping::of(action)?).is_some() {
                return Err(MappingError::Twice { action: name });
            }
        }
        if actions.is_empty() {
            return Err(MappingError::Empty);
        }
        Ok(Mapping {
            account_key,
            account_epoch: file.account_epoch,
            sharing: sharing.ok_or_else(|| malformed("sharing is party, coordinators or all".to_owned()))?,
            actions,
        })
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
            account: self.account(mapping, &mut data)?,
            account_epoch: self.account_epoch,
            region: data.code("region", mapping.region_at.as_deref())?,
            language: data.code("language", mapping.language_at.as_deref())?,
            audience: data.audience(mapping.audience_at.as_deref())?,
            surface: mapping.surface(&mut data)?,
            labels: mapping.labels(&mut data)?,
            sharing: self.sharing,
        };
        validate(&event)?;
        let absent = data.absent;
        Ok(Some(Mapped { event, absent }))
    }

    /// An account leaves here as a pseudonym: 16 bytes of HMAC-SHA-256 over its text, as `schemas/README.md` has it, or one already.
    fn account(&self, mapping: &ActionMapping, data: &mut Data<'_>) -> Result<Option<AccountPseudonym>, EventError> {
        let Some(value) = data.optional("account", mapping.account_at.as_deref()) else {
            return Ok(None);
        };
        let expected = "text of at most 1,024 bytes, or a whole number";
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) if !number.is_f64() => number.to_string(),
            _ => return Err(invalid("account", expected)),
        };
        let Some(key) = &self.account_key else {
            let mut bytes = [0; 16];
            let expected = "32 hexadecimal digits";
            hex::decode_to_slice(&text, &mut bytes).map_err(|_| invalid("account", expected))?;
            return Ok(Some(AccountPseudonym(bytes)));
        };
        if text.is_empty() || text.len() > ACCOUNT_BYTES_MAX {
            return Err(invalid("account", expected));
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.update(text.as_bytes());
        let made = mac.finalize().into_bytes();
        let made = made[..16].try_into().expect("SHA-256 has 32 bytes");
        Ok(Some(AccountPseudonym(made)))
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
    fn of(file: FileAction) -> Result<ActionMapping, MappingError> {
        let name = file.name;
        let wrong = |field, expected| MappingError::Value {
            action: name.clone(),
            field,
            expected,
        };
        let pointer = |field, text: Option<String>| match text {
            Some(text) if !is_pointer(&text) => Err(wrong(field, "a JSON pointer into the action's data: /a/b")),
            text => Ok(text),
        };
        let kind = Kind::from_name(&file.kind);
        let platform = match (file.platform, pointer("platform_at", file.platform_at)?) {
            (Some(text), None) => {
                Source::Always(text.parse().map_err(|_| wrong("platform", "the name of a platform"))?)
            }
            (None, Some(at)) => Source::At(at),
            _ => return Err(wrong("platform", "given either by platform or by platform_at")),
        };
        let surface = match (file.surface, pointer("surface_at", file.surface_at)?) {
            (None, None) => None,
            (Some(text), None) => match Surface::from_name(&text) {
                Surface::Unknown => return Err(wrong("surface", "a surface: feed, search and so on")),
                surface => Some(Source::Always(surface)),
            },
            (None, Some(at)) => Some(Source::At(at)),
            _ => return Err(wrong("surface", "given either by surface or by surface_at")),
        };
        let hash = |hash: FileHash| {
            let algorithm = match (hash.algorithm, pointer("hash.algorithm_at", hash.algorithm_at)?) {
                (Some(text), None) => {
                    let expected = "sha256, md5, pdq, vpdq or url";
                    Source::Always(Algorithm::from_name(&text).ok_or(wrong("hash.algorithm", expected))?)
                }
                (None, Some(at)) => Source::At(at),
                _ => return Err(wrong("hash.algorithm", "given either by algorithm or by algorithm_at")),
            };
            Ok(HashMapping {
                algorithm,
                at: pointer("hash.at", Some(hash.at))?.unwrap_or_default(),
                quality_at: pointer("hash.quality_at", hash.quality_at)?,
            })
        };
        let hashes: Vec<HashMapping> = file.hash.into_iter().map(hash).collect::<Result<_, _>>()?;
        let label = |label: FileLabel| {
            let at = pointer("label.at", Some(label.at))?.unwrap_or_default();
            Ok((label.name, at))
        };
        if !(1..=Event::LIST_LENGTH_MAX).contains(&hashes.len()) {
            return Err(wrong("hash", "given 1 to 16 times, each as [[action.hash]]"));
        }
        Ok(ActionMapping {
            kind: match kind {
                Kind::Unknown => return Err(wrong("kind", "a kind of event: upload, share, report and so on")),
                kind => kind,
            },
            platform,
            time_at: pointer("time_at", file.time_at)?,
            account_at: pointer("account_at", file.account_at)?,
            surface,
            region_at: pointer("region_at", file.region_at)?,
            language_at: pointer("language_at", file.language_at)?,
            audience_at: pointer("audience_at", file.audience_at)?,
            hashes,
            labels: file.label.into_iter().map(label).collect::<Result<_, _>>()?,
        })
    }

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
            let quality = match data.optional("quality", hash.quality_at.as_deref()) {
                Some(value) => Some(quality(value)?),
                None => None,
            };
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

    fn surface(&self, data: &mut Data<'_>) -> Result<Surface, EventError> {
        match &self.surface {
            None => Ok(Surface::Unknown),
            Some(Source::Always(surface)) => Ok(*surface),
            Some(Source::At(at)) => match data.optional("surface", Some(at)) {
                Some(value) => Ok(Surface::from_name(text("surface", value)?)),
                None => Ok(Surface::Unknown),
            },
        }
    }

    /// A label's confidence is a number, or `true`.
    fn labels(&self, data: &mut Data<'_>) -> Result<Vec<Label>, EventError> {
        let mut labels = Vec::new();
        for (name, at) in &self.labels {
            let confidence = match data.optional("labels", Some(at)) {
                None | Some(Value::Bool(false)) => continue,
                Some(Value::Bool(true)) => 1.0,
                Some(value) => value.as_f64().ok_or(invalid("confidence", "a number"))? as f32,
            };
            labels.push(Label {
                name: name.clone(),
                confidence,
            });
        }
        Ok(labels)
    }
}

/// An action's data, and where it was looked into in vain.
struct Data<'a> {
    data: &'a Value,
    absent: Vec<&'static str>,
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

    fn code(&mut self, field: &'static str, at: Option<&str>) -> Result<Option<[u8; 2]>, EventError> {
        let Some(value) = self.optional(field, at) else {
            return Ok(None);
        };
        let code = text(field, value)?.as_bytes().try_into();
        code.map(Some).map_err(|_| invalid(field, "two letters"))
    }

    fn audience(&mut self, at: Option<&str>) -> Result<Option<u32>, EventError> {
        let Some(value) = self.optional("audience", at) else {
            return Ok(None);
        };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        number.map(Some).ok_or(EventError::AudienceOutOfRange)
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

/// RFC 6901; the whole document, which is the empty pointer, is no field.
fn is_pointer(text: &str) -> bool {
    let escapes_end = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.starts_with('/') && text.len() <= POINTER_BYTES_MAX && escapes_end
}

fn text<'a>(field: &'static str, value: &'a Value) -> Result<&'a str, EventError> {
    value.as_str().ok_or(invalid(field, "text"))
}

fn quality(value: &Value) -> Result<u8, EventError> {
    let number = value.as_f64().filter(|number| (0.0..=100.0).contains(number));
    number.map(|number| number as u8).ok_or(EventError::QualityOutOfRange)
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
