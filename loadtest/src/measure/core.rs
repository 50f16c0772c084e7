//! The core in memory: no Kafka, one thread.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tocsin_detector::Partition;
use tocsin_intake::{Intake, IntakeConfig, TimeSource};
use tocsin_loadtest::scenario::Scenario;
use tocsin_log::{Header, Headers, RecordRef};
use tocsin_model::{Milliseconds, SourceId, Timestamp};
use tocsin_wire::{Schemas, event};

use super::corpus::{self, Framing, Run};
use super::{allocations, live, process};

/// How much time the events span: ticks and panes go on as they would.
const SPAN: Milliseconds = Milliseconds::from_minutes(5);
const RUNS: usize = 3;
/// Outputs are taken as often as the shell's records come: by polls of so many.
const RECORDS_PER_POLL: usize = 500;

/// When the stream begins.
pub(super) const START: Timestamp = Timestamp(1_700_000_000_000);

/// What one thread did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) events: u64,
    pub(super) elapsed: Duration,
    /// Of the thread.
    pub(super) processor_time: Duration,
    pub(super) allocations: u64,
}

/// What both halves of the core did.
pub(super) struct Core {
    /// Decoding, checking, keyed hashing and packing: intake's state machine, once through.
    pub(super) intake: Work,
    /// Unpacking and applying to the key groups: the median run by processor time.
    pub(super) detector: Work,
}

pub(super) fn measure(events: u64) -> anyhow::Result<Core> {
    let (records, intake) = prepare(events)?;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(apply(&records, intake.events)?);
    }
    runs.sort_by_key(|run| run.processor_time);
    Ok(Core {
        intake,
        detector: runs[RUNS / 2],
    })
}

/// The records of the sightings topic, with their partitions, in order.
type Records = Vec<(u32, Bytes)>;

/// The stream, packed; and what packing it took.
pub(super) fn prepare(events: u64) -> anyhow::Result<(Records, Work)> {
    let config = IntakeConfig {
        time_source: TimeSource::Supplied,
        ..IntakeConfig::default()
    };
    let mut intake = Intake::new(&config, corpus::setup(), Schemas::builtin().clone());
    let scenario = corpus::ordinary(Framing::Single, Run::Throughput, events, START, SPAN);
    let mut sources = Vec::new();
    for record in corpus::party_records(Framing::Single, &scenario.parties) {
        sources.push((
            record.name.clone(),
            tocsin_wire::topics::ingest_name(&record.name),
            intake.source_id(u64::from(record.id.0), 0),
        ));
        intake.registry_mut().put(record);
    }
    let mut records = Vec::new();
    let mut work = Work {
        events: 0,
        elapsed: Duration::ZERO,
        processor_time: Duration::ZERO,
        allocations: 0,
    };
    let mut generated = Scenario::new(&scenario).take(events as usize).peekable();
    let mut offset = 0;
    while generated.peek().is_some() {
        let chunk: Vec<(SourceId, &str, Vec<u8>, [Header; 1])> = generated
            .by_ref()
            .take(10_000)
            .map(|generated| {
                let source = sources.iter().find(|(name, _, _)| *name == generated.party);
                let (_, topic, source) = source.expect("every party of the scenario is registered");
                let header = Header {
                    name: tocsin_intake::RECEIVED_AT_HEADER.to_owned(),
                    value: generated.received_at.0.to_string().into(),
                };
                (
                    *source,
                    topic.as_str(),
                    event::encode_single_object(&generated.event),
                    [header],
                )
            })
            .collect();
        let (began, processor_time, allocations) = (Instant::now(), process::thread_time(), allocations::count());
        for (source, topic, value, headers) in &chunk {
            intake.record(
                *source,
                RecordRef {
                    topic,
                    partition: 0,
                    offset,
                    appended_at_ms: 0,
                    stamped_by: tocsin_log::StampedBy::Log,
                    key: None,
                    value: Some(value),
                    headers: Headers::Slice(headers),
                },
            );
            offset += 1;
        }
        work.processor_time += process::thread_time() - processor_time;
        work.elapsed += began.elapsed();
        work.allocations += allocations::count() - allocations;
        take(&mut intake, &mut records);
    }
    intake.flush();
    take(&mut intake, &mut records);
    let counted = intake.take_counted();
    anyhow::ensure!(
        counted.rejected.is_empty(),
        "events were rejected: {:?}",
        counted.rejected
    );
    work.events = counted.accepted;
    Ok((records, work))
}

fn take(intake: &mut Intake, records: &mut Records) {
    let appends = intake.take().into_iter();
    records.extend(appends.filter_map(|append| Some((append.to.partition, append.value?))));
}

fn apply(records: &Records, events: u64) -> anyhow::Result<Work> {
    let mut partitions = live::partitions(corpus::setup().partitions, 0);
    let (began, processor_time, allocations) = (Instant::now(), process::thread_time(), allocations::count());
    apply_to(&mut partitions, records)?;
    Ok(Work {
        events,
        elapsed: began.elapsed(),
        processor_time: process::thread_time() - processor_time,
        allocations: allocations::count() - allocations,
    })
}

/// Applies the stream, behind whatever was applied before.
pub(super) fn apply_to(partitions: &mut [Partition], records: &Records) -> anyhow::Result<()> {
    let first = partitions.iter().map(Partition::next_offset).max().unwrap_or(0);
    for (offset, (partition, value)) in (first..).zip(records) {
        apply_one(partitions, *partition, in_memory(*partition, offset, value));
    }
    for partition in partitions {
        let (_, unreadable) = partition.take_counters();
        anyhow::ensure!(unreadable == 0, "{unreadable} records could not be read");
    }
    Ok(())
}

/// Applies one record of sightings; outputs are taken as often as the shell does.
pub(super) fn apply_one(partitions: &mut [Partition], partition: u32, record: RecordRef<'_>) {
    partitions[partition as usize].apply(record);
    if (record.offset as usize).is_multiple_of(RECORDS_PER_POLL) {
        for partition in partitions {
            std::hint::black_box(partition.take_outputs());
        }
    }
}

/// A record of sightings in memory.
pub(super) fn in_memory(partition: u32, offset: u64, value: &[u8]) -> RecordRef<'_> {
    RecordRef {
        topic: tocsin_wire::topics::SIGHTINGS,
        partition,
        offset,
        appended_at_ms: 0,
        stamped_by: tocsin_log::StampedBy::Log,
        key: None,
        value: Some(value),
        headers: Headers::Slice(&[]),
    }
}
