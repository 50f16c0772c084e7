use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::time::Instant;

use super::tables::TopicRow;
use crate::{LogError, TopicPartition};

/// What stands in the log, in memory: the topics, and how far each partition may be read. The writer changes it after each commit, readers
/// look at it and wait on it; nobody opens a transaction to learn that there is nothing new.
#[derive(Default)]
pub(super) struct Catalogue {
    topics: RwLock<BTreeMap<Arc<str>, Arc<Topic>>>,
    changes: Mutex<u64>,
    changed: Condvar,
}

/// A topic and the bounds of its partitions.
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    pub(super) row: TopicRow,
    bounds: Vec<Bounds>,
}

#[derive(Default)]
struct Bounds {
    first: AtomicU64,
    end: AtomicU64,
}

impl Topic {
    pub(super) fn new(name: Arc<str>, row: TopicRow) -> Self {
        let bounds = (0..row.partitions).map(|_| Bounds::default()).collect();
        Topic { name, row, bounds }
    }

    /// First offset held and next offset. `None` if there is no such partition.
    pub(super) fn bounds(&self, partition: u32) -> Option<(u64, u64)> {
        let bounds = self.bounds.get(partition as usize)?;
        Some((bounds.first.load(Ordering::Acquire), bounds.end.load(Ordering::Acquire)))
    }

    /// Makes records up to `end` visible.
    pub(super) fn set_bounds(&self, partition: u32, (first, end): (u64, u64)) {
        if let Some(bounds) = self.bounds.get(partition as usize) {
            bounds.first.store(first, Ordering::Release);
            bounds.end.store(end, Ordering::Release);
        }
    }
}

impl Catalogue {
    pub(super) fn add(&self, topics: Vec<Topic>) {
        let mut all = self.topics.write().expect("no holder of this lock panics");
        for topic in topics {
            all.insert(topic.name.clone(), Arc::new(topic));
        }
    }

    pub(super) fn remove(&self, names: &[Arc<str>]) {
        let mut all = self.topics.write().expect("no holder of this lock panics");
        for name in names {
            all.remove(name);
        }
    }

    pub(super) fn topics(&self) -> Vec<Arc<Topic>> {
        let all = self.topics.read().expect("no holder of this lock panics");
        all.values().cloned().collect()
    }

    pub(super) fn topic_count(&self) -> usize {
        self.topics.read().expect("no holder of this lock panics").len()
    }

    pub(super) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        let all = self.topics.read().expect("no holder of this lock panics");
        all.get(name).cloned()
    }

    /// The topic of a partition that exists.
    pub(super) fn topic_of(&self, partition: &TopicPartition) -> Result<Arc<Topic>, LogError> {
        self.topic(&partition.topic)
            .filter(|topic| partition.partition < topic.row.partitions)
            .ok_or_else(|| LogError::NoSuchPartition {
                topic: partition.topic.to_string(),
                partition: partition.partition,
            })
    }

    /// How often something changed. Take it before looking, then [`Catalogue::wait`] with it.
    pub(super) fn changes(&self) -> u64 {
        *self.changes.lock().expect("no holder of this lock panics")
    }

    /// Wakes all who wait.
    pub(super) fn announce(&self) {
        *self.changes.lock().expect("no holder of this lock panics") += 1;
        self.changed.notify_all();
    }

    /// Waits until something changed since `seen`, or until `deadline`; returns whether something changed.
    pub(super) fn wait(&self, seen: u64, deadline: Instant) -> bool {
        let changes = self.changes.lock().expect("no holder of this lock panics");
        let timeout = deadline.saturating_duration_since(Instant::now());
        let (changes, _) = self
            .changed
            .wait_timeout_while(changes, timeout, |changes| *changes == seen)
            .expect("no holder of this lock panics");
        *changes != seen
    }
}
