//! The directory of a drill: what is kept of it, and who holds it.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tocsin_model::DrillId;

use super::Then;
use super::score::Scorecard;
use super::truth::{Progress, Truth};
use super::{page, text};
use crate::config::Config;
use crate::serve::make_private;

/// Below the data directory of the deployment.
const DRILLS: &str = "drills";
const DATA: &str = "data";
const RECORD_FILE: &str = "drill.json";
const TRUTH_FILE: &str = "truth.json";
const SCORECARD_FILE: &str = "scorecard.json";
/// The keys of those who take part.
pub(super) const KEYS_FILE: &str = "keys.toml";
const STOP_FILE: &str = "stop";
const LOCK_FILE: &str = "lock";
/// Of how many drills record and scorecard are kept in a data directory: a further one is refused until some of their directories are removed.
const KEPT_MAX: usize = 1_000;
/// How many drills have a namespace, those that ended among them: a further one is refused until some are removed.
const NAMESPACES_MAX: usize = 4;
/// What stands in the file that asks a drill to end, where its namespace is to be kept.
const KEEP: &str = "keep";

/// The directory of one drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// Which drill.
    pub id: DrillId,
    path: PathBuf,
}

/// How far a drill is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its roles are ready.
    Ready,
    /// The scenario is being played.
    Playing,
    /// All of it was published; people go on.
    Played,
    /// It is over.
    Ended,
}

/// What is there of a drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A process plays it.
    Plays,
    /// Its namespace is there, and nobody plays it.
    Kept,
    /// Its namespace is not there, or not any more.
    Removed,
}

/// What is known of a drill without asking anything of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Its id.
    pub id: String,
    /// The scenario that it plays.
    pub scenario: String,
    /// What is drawn depends on it.
    pub seed: u64,
    /// Seconds of the scenario that pass in a second.
    pub speed: f64,
    /// How far it is.
    pub state: State,
    /// Where its API answers, or did.
    pub url: String,
    /// When it began, in milliseconds since 1970.
    pub started_at_ms: i64,
    /// When it ended.
    pub ended_at_ms: Option<i64>,
    /// Who takes part: `coordinators`, and names of parties.
    pub teams: Vec<String>,
    /// What was published.
    pub progress: Progress,
}

/// A lock on files, until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    _files: Vec<File>,
}

impl Held {
    pub(super) fn with(mut self, other: Held) -> Held {
        self._files.extend(other._files);
        self
    }
}

/// Holds the place of the one drill at a time of a data directory.
pub(super) fn hold(real: &Config) -> Result<Held> {
    let directory = real.log.data_dir.join(DRILLS);
    make_private(&real.log.data_dir)?;
    make_private(&directory)?;
    try_hold(&directory.join(LOCK_FILE))?.context("a drill is at work already: `tocsin drill stop` ends it")
}

impl Home {
    /// The directory of a drill, whether it is there or not.
    pub fn of(real: &Config, id: DrillId) -> Home {
        let path = real.log.data_dir.join(DRILLS).join(id.to_string());
        Home { id, path }
    }

    pub(super) fn make(real: &Config, id: DrillId) -> Result<Home> {
        let all = Home::all(real)?;
        if all.len() >= KEPT_MAX {
            bail!(
                "of {KEPT_MAX} drills record and scorecard are kept in {}: remove directories of drills that `tocsin drill list` calls removed",
                real.log.data_dir.join(DRILLS).display()
            );
        }
        let standing: Vec<String> = all
            .iter()
            .filter(|home| !home.is_deleted())
            .map(|home| home.id.to_string())
            .collect();
        if standing.len() >= NAMESPACES_MAX {
            bail!(
                "the topics and tables of {} drills are there still: `tocsin drill stop ID` removes those of one ({})",
                standing.len(),
                standing.join(", ")
            );
        }
        let home = Home::of(real, id);
        anyhow::ensure!(!home.path.exists(), "there is a drill {id} already");
        make_private(&home.path)?;
        Ok(home)
    }

    /// All that are kept, by id.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn all(real: &Config) -> Result<Vec<Home>> {
        let directory = real.log.data_dir.join(DRILLS);
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("read {}", directory.display())),
        };
        let mut homes = Vec::new();
        for entry in entries {
            let entry = entry.with_context(|| format!("read {}", directory.display()))?;
            if let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                homes.push(Home::of(real, id));
            }
        }
        homes.sort_by_key(|home| home.id);
        Ok(homes)
    }

    /// Where log, store and deployment key of the drill are, as far as they are files.
    pub fn data(&self) -> PathBuf {
        self.path.join(DATA)
    }

    /// The file of the keys of those who take part.
    pub fn keys_file(&self) -> PathBuf {
        self.path.join(KEYS_FILE)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn hold(&self) -> Result<Held> {
        try_hold(&self.path.join(LOCK_FILE))?.with_context(|| format!("the drill {} is at work", self.id))
    }

    /// Whether a process plays it.
    ///
    /// # Errors
    /// Its directory cannot be read.
    pub fn is_running(&self) -> Result<bool> {
        match self.path.join(LOCK_FILE).exists() {
            true => Ok(try_hold(&self.path.join(LOCK_FILE))?.is_none()),
            false => Ok(false),
        }
    }

    /// What is there of it.
    ///
    /// # Errors
    /// Its directory cannot be read.
    pub fn standing(&self) -> Result<Standing> {
        Ok(match (self.is_running()?, self.is_deleted()) {
            (true, _) => Standing::Plays,
            (false, false) => Standing::Kept,
            (false, true) => Standing::Removed,
        })
    }

    pub(super) fn is_asked_to_stop(&self) -> bool {
        self.path.join(STOP_FILE).exists()
    }

    /// Whether whoever asked it to stop wants to look at it.
    pub(super) fn is_asked_to_keep(&self) -> bool {
        std::fs::read_to_string(self.path.join(STOP_FILE)).is_ok_and(|text| text == KEEP)
    }

    pub(super) fn ask_to_stop(&self, then: Then) -> Result<()> {
        let text = if then == Then::Keep { KEEP } else { "" };
        self.write_private(STOP_FILE, text)
    }

    /// Whether its namespace was removed.
    pub fn is_deleted(&self) -> bool {
        !self.data().exists()
    }

    /// What is known of it.
    ///
    /// # Errors
    /// The file is not there, or is none.
    pub fn record(&self) -> Result<Record> {
        self.read(RECORD_FILE)?
            .with_context(|| format!("of the drill {} nothing is kept: it did not start", self.id))
    }

    pub(super) fn write_record(&self, record: &Record) -> Result<()> {
        self.write_private(RECORD_FILE, &serde_json::to_string_pretty(record)?)
    }

    pub(super) fn truth(&self) -> Result<Truth> {
        Ok(self.read(TRUTH_FILE)?.unwrap_or_default())
    }

    pub(super) fn write_truth(&self, truth: &Truth) -> Result<()> {
        self.write_private(TRUTH_FILE, &serde_json::to_string(truth)?)
    }

    pub(super) fn scorecard(&self) -> Result<Option<Scorecard>> {
        self.read(SCORECARD_FILE)
    }

    /// JSON, text and a page: `scorecard.json`, `scorecard.txt`, `scorecard.html`.
    pub(super) fn write_scorecard(&self, scorecard: &Scorecard) -> Result<()> {
        self.write_private(SCORECARD_FILE, &serde_json::to_string_pretty(scorecard)?)?;
        self.write_private("scorecard.txt", &text::scorecard(scorecard))?;
        self.write_private("scorecard.html", &page::page(scorecard))
    }

    /// What only the owner of the data directory reads. Whoever reads it meanwhile sees the file before or behind it.
    pub(super) fn write_private(&self, name: &str, text: &str) -> Result<()> {
        let (path, beside) = (
            self.path.join(name),
            self.path.join(format!("{name}.{}.new", std::process::id())),
        );
        let written = || {
            let mut options = std::fs::OpenOptions::new();
            let mut file = options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            file.write_all(text.as_bytes())?;
            std::fs::rename(&beside, &path)
        };
        written().with_context(|| format!("write {}", path.display()))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.path.join(name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let value =
            serde_json::from_str(&text).with_context(|| format!("{} is not what a drill writes", path.display()))?;
        Ok(Some(value))
    }

    /// Removes log, store and keys. Record, truth and scorecard stay.
    pub(super) fn remove_data(&self) -> Result<()> {
        remove(&self.keys_file(), |path| std::fs::remove_file(path))?;
        remove(&self.data(), |path| std::fs::remove_dir_all(path))
    }

    pub(super) fn remove_all(&self) -> Result<()> {
        remove(&self.path, |path| std::fs::remove_dir_all(path))
    }
}

fn remove(path: &Path, how: impl Fn(&Path) -> std::io::Result<()>) -> Result<()> {
    match how(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Holds a file; `None`: somebody else does.
fn try_hold(path: &Path) -> Result<Option<Held>> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.with_context(|| format!("open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Held { _files: vec![file] })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("lock {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what drills leave behind is bounded, and says what to do.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_few_drills_keep_their_namespace() {
        let directory = tempfile::tempdir().unwrap();
        let mut real = Config::default();
        real.log.data_dir = directory.path().to_owned();
        let _held = hold(&real).unwrap();
        let make = |number: usize| {
            let home = Home::make(&real, DrillId(number as u32))?;
            std::fs::create_dir(home.data()).unwrap();
            Ok::<_, anyhow::Error>(home)
        };
        let kept: Vec<Home> = (0..NAMESPACES_MAX).map(|number| make(number).unwrap()).collect();
        let refused = make(NAMESPACES_MAX).unwrap_err().to_string();
        assert!(
            refused.contains("tocsin drill stop") && refused.contains(&kept[0].id.to_string()),
            "{refused}"
        );
        kept[1].remove_data().unwrap();
        make(NAMESPACES_MAX).unwrap();
        // Whoever asks it to end says what becomes of it.
        for (then, keeps) in [(Then::Keep, true), (Then::Remove, false)] {
            kept[0].ask_to_stop(then).unwrap();
            assert!(kept[0].is_asked_to_stop());
            assert_eq!(kept[0].is_asked_to_keep(), keeps);
        }
    }
}
