//! How long one commit takes on a cluster that has nothing else to do.

use std::time::{Duration, Instant};

use anyhow::Context;
use hdrhistogram::Histogram;
use tocsin_log::{Append, Cleanup, GroupEvent, GroupOptions, TopicPartition, TopicSpec, Unit};

use super::role::connect;

/// The detector's interval between units.
const INTERVAL: Duration = Duration::from_millis(100);
/// Not measured: the producer's and the coordinator's first steps.
const WARM_UP: u64 = 10;
/// A unit: so many records of so many bytes, and a position.
const RECORDS: usize = 10;
const RECORD_BYTES: usize = 200;
const COMMIT_MAX_US: u64 = 60_000_000;

/// Microseconds from a commit's call to its return, in which the unit became durable.
pub(super) fn measure(bootstrap: &str, commits: u64) -> anyhow::Result<Histogram<u64>> {
    let log = connect(bootstrap)?;
    let topic = "loadtest.commits";
    log.ensure_topics(&[TopicSpec {
        name: topic.to_owned(),
        partitions: 1,
        cleanup: Cleanup::Delete,
        retention_ms: None,
        record_bytes_max: 100_000,
        may_grow: false,
        compaction: None,
    }])?;
    let place = TopicPartition::new(topic, 0);
    let mut reader = log.group_reader(GroupOptions {
        group: topic.to_owned(),
        instance: String::new(),
        topics: vec![topic.to_owned()],
    })?;
    while !matches!(
        reader.poll(Duration::from_secs(1), 1, &mut |_| {})?,
        GroupEvent::Assigned(_)
    ) {}
    let mut committer = log.committer(topic)?;
    let mut taken = Histogram::new_with_bounds(1, COMMIT_MAX_US, 3).context("a histogram of three digits")?;
    let record = Append {
        to: place.clone(),
        key: None,
        value: Some(vec![7; RECORD_BYTES].into()),
        headers: Vec::new(),
    };
    for number in 0..WARM_UP + commits {
        let unit = Unit {
            appends: vec![record.clone(); RECORDS],
            positions: vec![(place.clone(), number)],
        };
        let began = Instant::now();
        committer.commit(&reader.membership(), unit)?;
        if number >= WARM_UP {
            taken.saturating_record(began.elapsed().as_micros().max(1) as u64);
        }
        // Nothing was begun, so this only waits, and keeps the membership.
        reader.poll(INTERVAL.saturating_sub(began.elapsed()), 1, &mut |_| {})?;
    }
    reader.close();
    Ok(taken)
}
