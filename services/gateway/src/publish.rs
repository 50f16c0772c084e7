use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tocsin_log::{
    Append, Appender, AppenderOptions, Completion, Durability, Header, LogError, SharedLog, TopicPartition,
};
use tocsin_model::{Event, Name};
use tocsin_runtime::problem::UNAVAILABLE;
use tocsin_runtime::{Problem, Traceparent, roles};
use tocsin_wire::event::{RECORD_BYTES_MAX, encode_batch};
use tocsin_wire::topics::ingest_name;

use crate::GatewayConfig;

/// After how many seconds a client should try again when the log does not answer.
const RETRY_AFTER_S: u32 = 5;

/// A record of more events is split: half of what intake reads at most, so that headers and framing never matter.
const RECORD_BYTES_TARGET: usize = RECORD_BYTES_MAX / 2;

/// Appends events to the topics of their parties.
pub struct Publisher {
    log: SharedLog,
    appender: Box<dyn Appender>,
    append_time_max: Duration,
    /// Partitions of each topic. Bounded by the number of parties.
    partitions: Mutex<HashMap<Name, u32>>,
    next: AtomicU32,
}

impl Publisher {
    pub fn open(log: SharedLog, config: &GatewayConfig) -> Result<Self, LogError> {
        let appender = log.appender(AppenderOptions {
            name: "gateway".to_owned(),
            durability: Durability::Synced,
            gapless: false,
        })?;
        Ok(Publisher {
            log,
            appender,
            append_time_max: Duration::from_millis(config.append_timeout_ms),
            partitions: Mutex::new(HashMap::new()),
            next: AtomicU32::new(0),
        })
    }

    /// Hands `records` to the log. Blocks while the log's buffer is full, so it is called on a thread that may.
    pub fn begin(&self, party: &Name, records: Vec<Bytes>, trace: Traceparent) -> Result<Completion, Problem> {
        let partitions = self.partitions_of(party)?;
        // The records of a request stay together; requests take turns. Order among requests is not promised, `event_id` sees to that.
        let partition = self.next.fetch_add(1, Ordering::Relaxed) % partitions;
        let to = TopicPartition::new(ingest_name(party), partition);
        let appends = records
            .into_iter()
            .map(|value| Append {
                to: to.clone(),
                key: None,
                value: Some(value),
                headers: vec![Header {
                    name: Traceparent::HEADER.to_owned(),
                    value: Bytes::from(trace.to_string()),
                }],
            })
            .collect();
        Ok(self.appender.append(appends))
    }

    /// Returns once the records are on disk.
    pub async fn finish(&self, party: &Name, completion: Completion) -> Result<(), Problem> {
        match tokio::time::timeout(self.append_time_max, completion).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                self.lock().remove(party);
                Err(unavailable(party, &error))
            }
            Err(_) => {
                tracing::error!(party = party.as_str(), "the log did not append in time");
                Err(problem(
                    "it is not known whether the events were written; sending them again is safe",
                ))
            }
        }
    }

    fn partitions_of(&self, party: &Name) -> Result<u32, Problem> {
        let known = self.lock().get(party).copied();
        if let Some(partitions) = known {
            return Ok(partitions);
        }
        let topic = ingest_name(party);
        let topics = self.log.topics().map_err(|error| unavailable(party, &error))?;
        match topics.into_iter().find(|info| info.name == topic) {
            Some(info) => {
                self.lock().insert(party.clone(), info.partitions);
                Ok(info.partitions)
            }
            None => Err(problem("the topic of this party is not made yet")),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Name, u32>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events as records, each no larger than intake reads.
pub fn pack(events: &[Event]) -> Vec<Bytes> {
    if events.is_empty() {
        return Vec::new();
    }
    let record = encode_batch(events);
    if record.len() <= RECORD_BYTES_TARGET || events.len() == 1 {
        return vec![Bytes::from(record)];
    }
    let (first, second) = events.split_at(events.len() / 2);
    let mut records = pack(first);
    records.extend(pack(second));
    records
}

fn unavailable(party: &Name, error: &LogError) -> Problem {
    tracing::error!(
        party = party.as_str(),
        error = roles::chain(error),
        "the log did not append"
    );
    problem("the log does not answer; sending the events again is safe")
}

fn problem(detail: &str) -> Problem {
    Problem::new(UNAVAILABLE)
        .with_detail(detail)
        .with_retry_after_s(RETRY_AFTER_S)
}
