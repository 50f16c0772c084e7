//! Whether a process can do its work: named flags, one for each part that must have come up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The flags of a process. Cheap to share.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    waiting: Arc<Mutex<BTreeMap<&'static str, Option<String>>>>,
}

/// The flag of one part.
#[derive(Clone, Debug)]
pub struct ReadinessFlag {
    name: &'static str,
    all: Readiness,
}

impl Readiness {
    /// No flags yet: ready.
    pub fn new() -> Self {
        Readiness::default()
    }

    /// The flag of this name, waiting for what `reason` says.
    pub fn flag(&self, name: &'static str, reason: &str) -> ReadinessFlag {
        let flag = ReadinessFlag {
            name,
            all: self.clone(),
        };
        flag.set_waiting(reason);
        flag
    }

    /// Each part, with what it waits for unless it is ready.
    pub fn parts(&self) -> BTreeMap<&'static str, Option<String>> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Option<String>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadinessFlag {
    /// This part is ready.
    pub fn set_ready(&self) {
        self.all.lock().insert(self.name, None);
    }

    /// This part waits.
    pub fn set_waiting(&self, reason: &str) {
        self.all.lock().insert(self.name, Some(reason.to_owned()));
    }
}
