//! The core with many live contents, in memory, one thread.

use std::time::Duration;

use tocsin_detector::{DetectorConfig, Partition};
use tocsin_intake::{Intake, IntakeConfig, TimeSource};
use tocsin_log::{Header, Headers, RecordRef, StampedBy};
use tocsin_model::{
    AccountPseudonym, Algorithm, ContentHash, Event, EventId, Kind, Milliseconds, PartitionCount, Sharing, Surface,
    Timestamp,
};
use tocsin_wire::{Schemas, event};

use super::core::{self, START};
use super::corpus::{self, Framing, Run};
use super::{allocations, process};

/// The contents came within this time before the events that are measured: all are live in the windows of an hour and a day.
const FILLED_IN: Milliseconds = Milliseconds::from_minutes(30);
/// Contents packed and applied at a time.
const LOT: u64 = 10_000;
/// What `detector.sketch_width` says of its default.
const CONTENTS_OF_DEFAULT_WIDTH: u64 = 2_500_000;

/// What an event costs with so many live contents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    pub(super) contents: u64,
    pub(super) events: u64,
    pub(super) processor_time: Duration,
    /// What the key groups hold then, tables that grow by doubling included: bytes that are allocated.
    pub(super) bytes: u64,
}

/// Lets so many contents be seen once each, and then measures the events of [`core`]'s stream: half about contents of their own.
pub(super) fn measure(contents: u64, events: u64) -> anyhow::Result<Live> {
    let (records, intake) = core::prepare(events)?;
    let before = allocations::bytes();
    let mut partitions = filled(contents)?;
    let bytes = allocations::bytes().saturating_sub(before);
    let began = process::thread_time();
    core::apply_to(&mut partitions, &records)?;
    Ok(Live {
        contents,
        events: intake.events,
        processor_time: process::thread_time() - began,
        bytes,
    })
}

/// Key groups that have seen so many contents once each.
pub(super) fn filled(contents: u64) -> anyhow::Result<Vec<Partition>> {
    let config = IntakeConfig {
        time_source: TimeSource::Supplied,
        ..IntakeConfig::default()
    };
    let mut intake = Intake::new(&config, corpus::setup(), Schemas::builtin().clone());
    let scenario = corpus::ordinary(Framing::Single, Run::Throughput, 1, START, FILLED_IN);
    for record in corpus::party_records(Framing::Single, &scenario.parties) {
        intake.registry_mut().put(record);
    }
    let party = &scenario.parties[0];
    let topic = tocsin_wire::topics::ingest_name(&party.name);
    // Not a partition that the stream after it comes from: its events would be blocks sent again.
    let source = intake.source_id(u64::MAX, 0);
    let mut partitions = partitions(corpus::setup().partitions, contents);
    let mut applied = 0;
    for number in 0..contents {
        let at = Timestamp(START.0 - FILLED_IN.0 + (number as i64 * FILLED_IN.0) / contents as i64);
        let value = event::encode_single_object(&seen_once(number, at, &party.platforms[0].name));
        let header = Header {
            name: tocsin_intake::RECEIVED_AT_HEADER.to_owned(),
            value: at.0.to_string().into(),
        };
        let record = RecordRef {
            topic: &topic,
            partition: 0,
            offset: number,
            appended_at_ms: 0,
            stamped_by: StampedBy::Log,
            key: None,
            value: Some(&value),
            headers: Headers::Slice(&[header]),
        };
        intake.record(source, record);
        if (number + 1).is_multiple_of(LOT) || number + 1 == contents {
            intake.flush();
            for append in intake.take() {
                let (partition, value) = (append.to.partition, append.value.unwrap_or_default());
                core::apply_one(&mut partitions, partition, core::in_memory(partition, applied, &value));
                applied += 1;
            }
        }
    }
    let rejected = intake.take_counted().rejected;
    anyhow::ensure!(rejected.is_empty(), "events were rejected: {rejected:?}");
    Ok(partitions)
}

/// Empty key groups of a whole deployment for so many contents a day, as its operator must have it: with the width that its size is for.
pub(super) fn partitions(count: PartitionCount, contents: u64) -> Vec<Partition> {
    let defaults = DetectorConfig::default();
    let times = contents.div_ceil(CONTENTS_OF_DEFAULT_WIDTH).next_power_of_two();
    let config = DetectorConfig {
        sketch_width: defaults.sketch_width * times as u32,
        ..defaults
    };
    let group = corpus::detector_setup("0").group_config(&config);
    (0..u32::from(count.get()))
        .map(|number| Partition::new(number, count, &group, 0))
        .collect()
}

fn seen_once(number: u64, at: Timestamp, platform: &tocsin_model::Name) -> Event {
    let key = corpus::setup().key;
    let digest = |part: u64| {
        key.digest("seen once", &[&number.to_le_bytes(), &part.to_le_bytes()])
            .to_le_bytes()
    };
    let value = [digest(0), digest(1)].concat();
    Event {
        event_id: EventId(digest(2)),
        platform: platform.clone(),
        kind: Kind::Upload,
        occurred_at: at,
        content: vec![ContentHash::from_bytes(Algorithm::Sha256, value, None).expect("a SHA-256 has 32 bytes")],
        same_as: Vec::new(),
        frames: Vec::new(),
        account: Some(AccountPseudonym(digest(3))),
        account_epoch: 1,
        region: None,
        language: None,
        audience: Some(100),
        surface: Surface::Feed,
        labels: Vec::new(),
        sharing: Sharing::All,
    }
}
