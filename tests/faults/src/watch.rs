//! Readers that look on during a round: what a reader of committed records is shown of the alerts and of the units' headers, and what a
//! query node says about its own time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tocsin::config::Config;
use tocsin::serve::open_log;
use tocsin_log::{RecordRef, SharedLog, TopicPartition};
use tocsin_model::ContentHash;
use tocsin_tests::api::Api;
use tocsin_tests::traffic::url;
use tocsin_wire::state::{StateHeader, StateKey, StateRecord};
use tocsin_wire::topics;

use crate::load::{CONTENTS, PARTITIONS};

const POLL: Duration = Duration::from_millis(50);
const RECORDS_PER_POLL: usize = 1_000;
/// Between two questions to the query node.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// What was shown.
#[derive(Debug, Default)]
pub struct Seen {
    /// Every alert, in the order of the log.
    pub alerts: Vec<SeenAlert>,
    /// Every unit's header, in the order in which they were shown.
    pub headers: Vec<SeenHeader>,
    /// Answers whose `as_of` lay before that of an earlier answer.
    pub gone_back: Vec<String>,
    /// Answers of the query node.
    pub answers: u64,
    /// The `as_of` of the newest answer, by content.
    pub as_of: BTreeMap<usize, String>,
}

/// An alert as it was shown.
#[derive(Clone, Debug)]
pub struct SeenAlert {
    /// Where it stood.
    pub offset: u64,
    /// The whole record.
    pub value: Vec<u8>,
    /// Whose alert it is.
    pub hash: Option<ContentHash>,
    /// When it was shown.
    pub at: Instant,
}

/// A unit's header as it was shown.
#[derive(Clone, Debug)]
pub struct SeenHeader {
    /// Of which partition.
    pub partition: u32,
    /// Where it stood.
    pub offset: u64,
    /// The input that the unit ends at.
    pub next_offset: u64,
    /// The layout of the state that it says all of it is in.
    pub state_version: u16,
}

/// The readers of a round.
#[derive(Debug)]
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    query: Arc<Mutex<Option<Api>>>,
    is_over: Arc<AtomicBool>,
    readers: Vec<JoinHandle<()>>,
    asking: tokio::task::JoinHandle<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Begins to look on.
    ///
    /// # Errors
    /// The log cannot be reached.
    pub fn start(config: &Config, key: &str) -> Result<Watch> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let query = Arc::new(Mutex::new(None));
        let is_over = Arc::new(AtomicBool::new(false));
        let state = (0..u32::from(PARTITIONS)).map(|number| TopicPartition::new(topics::STATE, number));
        let mut readers = Vec::new();
        for places in [vec![TopicPartition::new(topics::ALERTS, 0)], state.collect()] {
            let log = tokio::task::block_in_place(|| open_log(config)).context("a reader reaches the log")?;
            let (seen, is_over) = (seen.clone(), is_over.clone());
            let read = move || read(&log, &places, &seen, &is_over);
            readers.push(std::thread::Builder::new().name("watch".to_owned()).spawn(read)?);
        }
        let asking = tokio::spawn(ask(query.clone(), key.to_owned(), seen.clone()));
        Ok(Watch {
            seen,
            query,
            is_over,
            readers,
            asking,
        })
    }

    /// Asks this query node from now on, or none.
    pub fn ask(&self, api: Option<Api>) {
        *lock(&self.query) = api;
    }

    /// Looks at what was shown so far.
    pub fn look<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&lock(&self.seen))
    }

    /// The newest header of each partition.
    pub fn newest_headers(&self) -> BTreeMap<u32, u64> {
        self.look(|seen| {
            seen.headers
                .iter()
                .map(|header| (header.partition, header.next_offset))
                .collect()
        })
    }

    /// Ends it.
    pub fn stop(&mut self) -> Seen {
        self.is_over.store(true, Ordering::Relaxed);
        self.asking.abort();
        for reader in self.readers.drain(..) {
            tokio::task::block_in_place(|| reader.join()).expect("a reader does not panic");
        }
        std::mem::take(&mut lock(&self.seen))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.asking.abort();
    }
}

/// Reads on, whatever happens to the brokers: where a reader fails, another begins behind the last record that was shown.
fn read(log: &SharedLog, places: &[TopicPartition], seen: &Mutex<Seen>, is_over: &AtomicBool) {
    let mut next: BTreeMap<TopicPartition, u64> = places.iter().map(|place| (place.clone(), 0)).collect();
    while !is_over.load(Ordering::Relaxed) {
        let starts: Vec<_> = next.iter().map(|(place, offset)| (place.clone(), *offset)).collect();
        let Ok(mut reader) = log.tail_reader(&starts) else {
            std::thread::sleep(POLL); // poll: until the log can be read again
            continue;
        };
        while !is_over.load(Ordering::Relaxed) {
            let polled = reader.poll(POLL, RECORDS_PER_POLL, &mut |record| {
                next.insert(TopicPartition::new(record.topic, record.partition), record.offset + 1);
                note(&record, &mut lock(seen));
            });
            if polled.is_err() {
                break;
            }
        }
    }
}

fn note(record: &RecordRef<'_>, seen: &mut Seen) {
    if record.topic == topics::ALERTS {
        let value = record.value.unwrap_or_default().to_vec();
        let alert = tocsin_wire::alert::decode(&value);
        seen.alerts.push(SeenAlert {
            offset: record.offset,
            hash: alert.ok().map(|record| record.alert.hash),
            value,
            at: Instant::now(),
        });
    } else if let Some(header) = header(record) {
        seen.headers.push(SeenHeader {
            partition: record.partition,
            offset: record.offset,
            next_offset: header.next_offset,
            state_version: header.state_version,
        });
    }
}

/// The header in a record of the state, if it is one.
pub fn header(record: &RecordRef<'_>) -> Option<StateHeader> {
    let key = record.key.and_then(StateKey::from_bytes)?;
    let StateKey::Header { .. } = key else { return None };
    let state = StateRecord::decode(record.value?).ok()?;
    StateHeader::decode(&state.body).ok()
}

async fn ask(query: Arc<Mutex<Option<Api>>>, key: String, seen: Arc<Mutex<Seen>>) {
    let mut pace = tokio::time::interval(ASK_EVERY);
    for number in (0..CONTENTS).cycle() {
        pace.tick().await;
        let api = lock(&query).clone();
        let Some(api) = api else { continue };
        // No answer is no wrong answer.
        let Ok(Some(answer)) = api.look_up(&key, &url(number)).await else {
            continue;
        };
        let Some(as_of) = answer["as_of"].as_str().map(str::to_owned) else {
            continue;
        };
        let mut seen = lock(&seen);
        seen.answers += 1;
        let before = seen.as_of.insert(number, as_of.clone());
        if let Some(before) = before.filter(|before| *before > as_of) {
            seen.gone_back
                .push(format!("content {number}: as of {as_of}, before it {before}"));
        }
    }
}
