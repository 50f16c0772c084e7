use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{ConfigError, ENVIRONMENT_PREFIX, Origin, Refusal};

/// The largest file a key ending in `_file` may name, in bytes: a certificate chain fits, a disk image does not.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// Values laid over the defaults, the later over the earlier.
pub struct Layers {
    defaults: Value,
    merged: Value,
    origins: BTreeMap<Vec<String>, Origin>,
    refusals: Vec<Refusal>,
}

/// All layers in one.
pub struct Merged {
    /// The values.
    pub value: Value,
    /// Where each value that is not a default came from, by path.
    pub origins: BTreeMap<Vec<String>, Origin>,
}

/// What a path of keys leads to.
enum Place {
    /// A value; its default tells the type.
    Leaf { path: Vec<String>, default: Value },
    /// A value that stands in a file.
    FileReference { path: Vec<String> },
    /// Nothing; and the known keys beside it.
    Unknown { beside: Vec<String> },
}

impl Layers {
    pub fn new(defaults: Value) -> Self {
        Layers {
            merged: defaults.clone(),
            defaults,
            origins: BTreeMap::new(),
            refusals: Vec::new(),
        }
    }

    pub fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::ReadFile {
            path: path.to_owned(),
            source,
        })?;
        let table: toml::Table = toml::from_str(&text).map_err(|source| ConfigError::ParseFile {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        let table = serde_json::to_value(table).expect("TOML is a subset of what JSON holds");
        let mut leaves = Vec::new();
        flatten(Vec::new(), table, &mut leaves);
        for (path, value) in leaves {
            self.set(&path, value, Origin::File);
        }
        Ok(())
    }

    pub fn add_environment(&mut self, variables: &[(String, String)]) {
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix(ENVIRONMENT_PREFIX) else {
                continue;
            };
            if !rest.contains("__") {
                continue;
            }
            let path: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
            let path = self.dots_for_free_keys(path);
            self.set_text(&path, text, Origin::Environment(name.clone()));
        }
    }

    pub fn add_flags(&mut self, flags: &[(String, String)]) {
        for (key, text) in flags {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            self.set_text(&path, text, Origin::Flag);
        }
    }

    pub fn finish(self) -> Result<Merged, Vec<Refusal>> {
        if self.refusals.is_empty() {
            Ok(Merged {
                value: self.merged,
                origins: self.origins,
            })
        } else {
            Err(self.refusals)
        }
    }

    fn set_text(&mut self, path: &[String], text: &str, origin: Origin) {
        let value = match find(&self.defaults, path) {
            Place::Leaf { default, .. } => typed(text, &default),
            _ => Ok(Value::String(text.to_owned())),
        };
        match value {
            Ok(value) => self.set(path, value, origin),
            Err(reason) => self.refuse(path, reason.to_owned(), origin),
        }
    }

    fn set(&mut self, path: &[String], value: Value, origin: Origin) {
        match find(&self.defaults, path) {
            Place::Leaf { path, default } => {
                // A key of a free table has no default; its value is text, and a number in the file is taken as it is written.
                let value = match value {
                    Value::Bool(_) | Value::Number(_) if default == Value::String(String::new()) => {
                        Value::String(value.to_string())
                    }
                    value => value,
                };
                self.put(path, value, origin);
            }
            Place::FileReference { path: target } => match value.as_str().map(PathBuf::from) {
                Some(file) => match read_secret(&file) {
                    Ok(text) => self.put(target, Value::String(text), Origin::SecretFile(file)),
                    Err(reason) => self.refuse(path, reason, origin),
                },
                None => self.refuse(path, "the name of a file is text".to_owned(), origin),
            },
            Place::Unknown { beside } => {
                let reason = format!("unknown key; known here are {}", beside.join(", "));
                self.refuse(path, reason, origin);
            }
        }
    }

    fn put(&mut self, path: Vec<String>, value: Value, origin: Origin) {
        let mut node = &mut self.merged;
        for part in &path {
            node = node
                .as_object_mut()
                .expect("a path that was found leads through tables")
                .entry(part.clone())
                .or_insert(Value::Null);
        }
        *node = value;
        self.origins.insert(path, origin);
    }

    fn refuse(&mut self, path: &[String], reason: String, origin: Origin) {
        self.refusals.push(Refusal {
            key: path.join("."),
            origin: Some(origin),
            reason,
        });
    }

    /// Kafka's own keys have dots, which a variable's name cannot have.
    fn dots_for_free_keys(&self, path: Vec<String>) -> Vec<String> {
        let mut node = &self.defaults;
        for (index, part) in path.iter().enumerate() {
            match node.as_object() {
                Some(table) if table.is_empty() => {
                    let (known, free) = path.split_at(index);
                    let (stem, suffix) = match free.join(".") {
                        key if key.ends_with("_file") => (key[..key.len() - "_file".len()].to_owned(), "_file"),
                        key => (key, ""),
                    };
                    let key = stem.replace('_', ".") + suffix;
                    return known.iter().cloned().chain([key]).collect();
                }
                Some(table) => match table.get(part) {
                    Some(child) => node = child,
                    None => return path,
                },
                None => return path,
            }
        }
        path
    }
}

fn find(defaults: &Value, path: &[String]) -> Place {
    let mut node = defaults;
    for (index, part) in path.iter().enumerate() {
        let Some(table) = node.as_object() else {
            return Place::Unknown { beside: Vec::new() };
        };
        if table.is_empty() {
            return free_key(&path[..index], &path[index..]);
        }
        match table.get(part) {
            Some(child) => node = child,
            None => {
                let is_last = index + 1 == path.len();
                let stem = part.strip_suffix("_file").filter(|_| is_last);
                return match stem.and_then(|stem| table.get_key_value(stem)) {
                    Some((stem, Value::String(_) | Value::Null)) => {
                        let target = path[..index].iter().cloned().chain([stem.clone()]).collect();
                        Place::FileReference { path: target }
                    }
                    _ => Place::Unknown {
                        beside: table.keys().cloned().collect(),
                    },
                };
            }
        }
    }
    match node {
        Value::Object(table) => Place::Unknown {
            beside: table.keys().cloned().collect(),
        },
        default => Place::Leaf {
            path: path.to_vec(),
            default: default.clone(),
        },
    }
}

fn free_key(known: &[String], free: &[String]) -> Place {
    // `security.protocol = ".."` unquoted is a table in TOML; it means the key with the dot.
    let key = free.join(".");
    let at = |key: &str| known.iter().cloned().chain([key.to_owned()]).collect();
    match key.strip_suffix("_file") {
        Some(stem) => Place::FileReference { path: at(stem) },
        None => Place::Leaf {
            path: at(&key),
            default: Value::String(String::new()),
        },
    }
}

fn flatten(path: Vec<String>, value: Value, leaves: &mut Vec<(Vec<String>, Value)>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                let path = path.iter().cloned().chain([key]).collect();
                flatten(path, value, leaves);
            }
        }
        value => leaves.push((path, value)),
    }
}

fn typed(text: &str, default: &Value) -> Result<Value, &'static str> {
    match default {
        Value::Bool(_) => text.parse().map(Value::Bool).map_err(|_| "true or false is wanted"),
        Value::Number(_) => text.parse().map(Value::Number).map_err(|_| "a number is wanted"),
        Value::Array(_) => Ok(text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| Value::String(part.to_owned()))
            .collect()),
        // A key that is not set by default is a number (text keys are empty by default).
        Value::Null => Ok(text
            .parse()
            .map_or_else(|_| Value::String(text.to_owned()), Value::Number)),
        Value::String(_) | Value::Object(_) => Ok(Value::String(text.to_owned())),
    }
}

fn read_secret(file: &Path) -> Result<String, String> {
    let told = |error: std::io::Error| format!("{} cannot be read: {error}", file.display());
    let length = std::fs::metadata(file).map_err(told)?.len();
    if length > SECRET_FILE_BYTES_MAX {
        return Err(format!(
            "{} is larger than {SECRET_FILE_BYTES_MAX} bytes",
            file.display()
        ));
    }
    let text = std::fs::read_to_string(file).map_err(told)?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
