//! Configuration in four layers: defaults < TOML file < environment < flags.
//!
//! A key is a path such as `http.listen`. In the environment it reads `TOCSIN_HTTP__LISTEN`: the prefix, then the path in upper case with
//! two underscores between its parts. A variable without `__` is not a key (Kubernetes injects `TOCSIN_GATEWAY_PORT` and the like).
//!
//! Any text key may be given as `<key>_file`: the value is then the content of that file without the line break at its end, and is
//! masked wherever the configuration is shown. A table whose default is empty (`log.properties`) takes keys of its own; in the environment
//! the underscores of such a key stand for dots (`TOCSIN_LOG__PROPERTIES__SECURITY_PROTOCOL` sets `security.protocol`).

mod layer;
mod print;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What begins the name of every variable that is a key.
pub const ENVIRONMENT_PREFIX: &str = "TOCSIN_";

/// Where a configuration is read from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// Variables of the environment, by name; those that are no keys are passed over.
    pub environment: Vec<(String, String)>,
    /// Flags: the key and the text given.
    pub flags: Vec<(String, String)>,
}

/// A configuration that was read whole and found valid.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The configuration.
    pub config: T,
    merged: Value,
    origins: BTreeMap<Vec<String>, Origin>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The default.
    Default,
    /// The TOML file.
    File,
    /// This variable of the environment.
    Environment(String),
    /// A flag.
    Flag,
    /// The file that a key ending in `_file` names, wherever that key came from.
    SecretFile(PathBuf),
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The path of the key.
    pub key: String,
    /// Where its value came from, when that is known.
    pub origin: Option<Origin>,
    /// What is wrong, for the person who wrote it.
    pub reason: String,
}

/// A configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration file {} is not TOML", path.display())]
    ParseFile {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// Keys are unknown, or values out of place.
    #[error("the configuration is refused:{}", list(.0))]
    Refused(Vec<Refusal>),
}

/// Reads all layers, refuses what is unknown, and hands the whole to `validate`, which lists what is wrong with it.
///
/// # Errors
/// Everything that is wrong is told at once, not only the first of it.
pub fn load<T>(sources: &Sources, validate: impl FnOnce(&T) -> Vec<Refusal>) -> Result<Loaded<T>, ConfigError>
where
    T: Serialize + DeserializeOwned + Default,
{
    let defaults = serde_json::to_value(T::default()).expect("a configuration is plain data");
    let mut layers = layer::Layers::new(defaults);
    if let Some(path) = &sources.file {
        layers.add_file(path)?;
    }
    layers.add_environment(&sources.environment);
    layers.add_flags(&sources.flags);
    let layer::Merged { value, origins } = layers.finish().map_err(ConfigError::Refused)?;

    let config: T = serde_path_to_error::deserialize(&value).map_err(|error| {
        let key = error.path().to_string();
        let reason = error.into_inner().to_string();
        ConfigError::Refused(vec![with_origin(Refusal::new(key, reason), &origins)])
    })?;
    let refusals: Vec<Refusal> = validate(&config)
        .into_iter()
        .map(|refusal| with_origin(refusal, &origins))
        .collect();
    if !refusals.is_empty() {
        return Err(ConfigError::Refused(refusals));
    }
    Ok(Loaded {
        config,
        merged: value,
        origins,
    })
}

impl<T> Loaded<T> {
    /// The configuration as TOML, each value with its origin as a comment, secrets masked.
    pub fn print(&self) -> String {
        print::print(&self.merged, &self.origins)
    }
}

impl Refusal {
    /// What is wrong with a key.
    pub fn new(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Refusal {
            key: key.into(),
            origin: None,
            reason: reason.into(),
        }
    }

    /// The refusal of a number that lies outside `range`, if it does.
    pub fn outside<N: PartialOrd + fmt::Display>(
        key: &str,
        value: N,
        range: std::ops::RangeInclusive<N>,
    ) -> Option<Refusal> {
        let reason = || format!("{value} is not within {} to {}", range.start(), range.end());
        (!range.contains(&value)).then(|| Refusal::new(key, reason()))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{} ({origin}): {}", self.key, self.reason),
            None => write!(f, "{}: {}", self.key, self.reason),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File => f.write_str("file"),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag => f.write_str("flag"),
            Origin::SecretFile(path) => write!(f, "from {}", path.display()),
        }
    }
}

fn with_origin(refusal: Refusal, origins: &BTreeMap<Vec<String>, Origin>) -> Refusal {
    let path: Vec<String> = refusal.key.split('.').map(str::to_owned).collect();
    let origin = refusal.origin.or_else(|| origins.get(&path).cloned());
    Refusal { origin, ..refusal }
}

fn list(refusals: &[Refusal]) -> String {
    refusals.iter().map(|refusal| format!("\n  {refusal}")).collect()
}

#[cfg(test)]
mod tests;
