use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::{LogError, SharedLog};

/// How often the log is asked.
const ASKED_EVERY: Duration = Duration::from_secs(5);

/// Sees that a topic was deleted and made anew while it is read: offsets go on as if nothing had been, and readers do not notice by themselves. Asks
/// on a thread of its own, for brokers may take their time.
pub struct TopicWatch {
    log: SharedLog,
    seen: Arc<Mutex<BTreeMap<String, u64>>>,
    stop: Arc<AtomicBool>,
    asking: Option<JoinHandle<()>>,
}

impl TopicWatch {
    /// Watches all topics of a log. That it cannot be asked for a time is no error: what was seen last stands meanwhile.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn begin(log: &SharedLog) -> Result<Self, LogError> {
        let (seen, stop) = (
            Arc::<Mutex<BTreeMap<String, u64>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let (asked, tell, stopped) = (log.clone(), seen.clone(), stop.clone());
        let ask = move || {
            while !stopped.load(Ordering::Acquire) {
                match asked.topics() {
                    Ok(topics) => {
                        let ids = topics.into_iter().map(|topic| (topic.name, topic.id)).collect();
                        *tell.lock().unwrap_or_else(PoisonError::into_inner) = ids;
                    }
                    Err(error) => tracing::debug!(%error, "the topics cannot be asked for"),
                }
                std::thread::park_timeout(ASKED_EVERY);
            }
        };
        let spawned = std::thread::Builder::new().name("topics".to_owned()).spawn(ask);
        Ok(TopicWatch {
            log: log.clone(),
            seen,
            stop,
            asking: Some(spawned.map_err(|_| LogError::Closed)?),
        })
    }

    /// The same without a thread: the log is asked whenever a topic is looked at. For a process that is one thread, as the simulation wants it.
    pub fn in_turn(log: &SharedLog) -> Self {
        TopicWatch {
            log: log.clone(),
            seen: Arc::default(),
            stop: Arc::default(),
            asking: None,
        }
    }

    /// The id that a topic had when the log was last asked; 0 while that is not known, or there is none.
    pub fn id(&self, topic: &str) -> u64 {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(topic).copied().unwrap_or(0)
    }

    /// Whether a topic that had this id is another one. What was seen before the id was learnt may be older than it, so a difference is looked at
    /// again; without an answer there is none.
    pub fn is_replaced(&self, topic: &str, was: u64) -> bool {
        if self.asking.is_some() && !is_replaced(was, self.id(topic)) {
            return false;
        }
        let standing = self.log.topics().unwrap_or_default();
        let now = standing.iter().find(|standing| standing.name == topic);
        now.is_some_and(|now| is_replaced(was, now.id))
    }

    /// Asks soon.
    pub fn ask(&self) {
        if let Some(asking) = &self.asking {
            asking.thread().unpark();
        }
    }
}

impl Drop for TopicWatch {
    /// Nobody else must hold the log when its user has ended.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(asking) = self.asking.take() {
            asking.thread().unpark();
            // It ends at the latest with its question.
            let _ = asking.join();
        }
    }
}

/// Whether a topic that had one id has another now. An id that is not known (0) is no other one.
pub fn is_replaced(was: u64, now: u64) -> bool {
    was != 0 && now != 0 && was != now
}
