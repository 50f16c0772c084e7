//! Records of the log: what tests append and what they read back.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use tocsin_log::{Append, AppenderOptions, Durability, Header, Record, SharedLog, TopicPartition};
use tocsin_model::{Event, Timestamp};

use crate::site::ingest_topic;

/// An event, and when it counts as received.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// When.
    pub at: Timestamp,
    /// The event.
    pub event: Event,
}

/// A record of a party's ingest topic, all in one partition: one recorded order.
pub fn ingest(party: &str, value: Option<Vec<u8>>, received_at: Option<Timestamp>) -> Append {
    let header = received_at.map(|at| Header {
        name: "tocsin-received-at".to_owned(),
        value: Bytes::from(at.0.to_string()),
    });
    Append {
        to: TopicPartition::new(ingest_topic(party).to_string(), 0),
        key: None,
        value: value.map(Bytes::from),
        headers: header.into_iter().collect(),
    }
}

/// Single events as records.
pub fn singles(party: &str, events: &[Received]) -> Vec<Append> {
    let single = |received: &Received| {
        let value = tocsin_wire::event::encode_single_object(&received.event);
        ingest(party, Some(value), Some(received.at))
    };
    events.iter().map(single).collect()
}

/// Appends and waits until everything is on disk; the offsets.
///
/// # Errors
/// The log refuses it.
pub async fn append(log: &SharedLog, records: Vec<Append>) -> Result<Vec<u64>> {
    let options = AppenderOptions {
        name: "tests".to_owned(),
        durability: Durability::Synced,
        gapless: false,
    };
    let appender = tokio::task::block_in_place(|| log.appender(options))?;
    let offsets = appender.append(records).await?;
    tokio::task::block_in_place(|| drop(appender));
    Ok(offsets)
}

/// The values of all committed records of a topic's first partition.
///
/// # Errors
/// They cannot be read.
pub fn values(log: &SharedLog, topic: &str) -> Result<Vec<Vec<u8>>> {
    let records = records(log, topic)?;
    Ok(records
        .into_iter()
        .filter_map(|record| record.value)
        .map(Vec::from)
        .collect())
}

/// All committed records of a topic's first partition.
///
/// # Errors
/// They cannot be read.
pub fn records(log: &SharedLog, topic: &str) -> Result<Vec<Record>> {
    let place = TopicPartition::new(topic, 0);
    tokio::task::block_in_place(|| {
        let (begin, end) = log.bounds(&place)?;
        let mut reader = log.tail_reader(&[(place.clone(), begin)])?;
        let mut records = Vec::new();
        let began = std::time::Instant::now();
        while reader.position(&place).unwrap_or(begin) < end {
            reader.poll(Duration::from_millis(100), 1_000, &mut |record| {
                records.push(record.to_record());
            })?;
            ensure!(began.elapsed() < crate::wait::LIMIT, "reading {topic} does not end");
        }
        Ok(records)
    })
}
