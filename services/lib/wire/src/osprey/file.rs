//! The file of a mapping: which actions are events, and where an event's fields stand. TOML, one for each party whose topic carries actions.
//! Everything is checked before anything is read by it.

use std::collections::BTreeMap;

use serde::Deserialize;
use tocsin_model::{Algorithm, Event, Kind, Sharing, Surface};

use super::mapping::{ActionMapping, HashMapping, Mapping, Source};

/// The shortest key that accounts are pseudonymised with, in bytes.
const ACCOUNT_KEY_BYTES_MIN: usize = 16;
/// The longest JSON pointer, in bytes.
const POINTER_BYTES_MAX: usize = 256;

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
    frames_at: Option<String>,
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
}

impl ActionMapping {
    /// What the file says of an action, if all of it means something.
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
            frames_at: pointer("frames_at", file.frames_at)?,
            hashes,
            labels: file.label.into_iter().map(label).collect::<Result<_, _>>()?,
        })
    }
}

/// RFC 6901; the whole document, which is the empty pointer, is no field.
fn is_pointer(text: &str) -> bool {
    let escapes_end = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.starts_with('/') && text.len() <= POINTER_BYTES_MAX && escapes_end
}
