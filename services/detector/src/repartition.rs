//! Another number of partitions: the key groups move with everything they hold, and nothing of a deployment runs meanwhile.
//!
//! What was read is applied to the end first, by the detector itself, so that no input has to move. Then the groups go through a staging topic
//! into topics made anew. Until the staging topic is marked as whole the old topics are untouched; from then on it holds everything, and stays until the new
//! ones do. So the command can be run again wherever it was ended.
//!
//! Memory: the groups of one partition.

use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus::Registry;
use tocsin_log::{
    Append, Appender, AppenderOptions, Cleanup, Durability, Log, Membership, ReadThrough, SharedLog, TailReader,
    TopicPartition, TopicSpec, Unit, read_through,
};
use tocsin_model::{GroupId, KEY_GROUPS, PartitionCount, Timestamp};
use tocsin_runtime::{Readiness, Shutdown};
use tocsin_velocity::SnapshotLayout;
use tocsin_wire::state::{StateBinding, StateHeader, StateKey, StateRecord};
use tocsin_wire::topics;

use crate::checkpoint::StateUnit;
use crate::config::{DetectorConfig, DetectorSetup};
use crate::error::DetectorError;
use crate::partition::{Partition, TopicIds, deployment_of};
use crate::restore::restore;
use crate::run::SILENT;
use crate::shell::run;

/// Where the groups stand while they move. While it exists no role may run.
pub const STAGING: &str = "tocsin.repartition";
/// The key of the record that ends a whole staging topic.
const WHOLE: &[u8] = b"whole";
/// What a group sends on may make others send on, as links that follow a merge do, from one family to the next of lower id: the input is at rest
/// after a few rounds, or something else writes.
const ROUNDS_MAX: u32 = 16;
/// How long detectors that were just stopped may still count as members of their group.
const OTHERS_TIME_MAX: Duration = Duration::from_secs(30);
/// Bytes of records handed to the log at a time, or one record.
const LOT_BYTES: usize = 4 * 1024 * 1024;
const POLL: Duration = Duration::from_millis(100);

/// What a deployment is to be like.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// The detector's configuration.
    pub config: &'a DetectorConfig,
    /// The setup; its number of partitions is the new one.
    pub setup: &'a DetectorSetup,
    /// The topics whose partitions are those of the key groups, as they are to be: sightings, state and checkpoints.
    pub specs: &'a [TopicSpec],
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repartitioned {
    /// The topics have that number already.
    AsItWas,
    /// The key groups moved.
    Moved {
        /// How many partitions there were. `None`: a run before this one ended after it had taken them all.
        from: Option<u32>,
        /// State records that moved.
        records: u64,
    },
}

/// Moves the key groups to the number of partitions of the setup. Run again after it failed or was ended, it goes on.
///
/// # Errors
/// [`DetectorError::NotAtRest`] when something else still writes; what a restore refuses; the log fails.
pub fn repartition(log: &SharedLog, to: &Move<'_>) -> Result<Repartitioned, DetectorError> {
    let (mut from, mut staged) = (None, staged(log.as_ref())?);
    if staged.is_none() {
        // What a run before this one left is not whole, and the old topics are.
        log.delete_topics(&[STAGING])?;
        let before = partitions_of(log.as_ref())?;
        if before == u32::from(to.setup.partitions.get()) {
            return Ok(Repartitioned::AsItWas);
        }
        stage(log, to, before)?;
        // Read back before anything is deleted.
        staged = self::staged(log.as_ref())?;
        from = Some(before);
    }
    let staged = staged.unwrap_or_default();
    if staged.to != u32::from(to.setup.partitions.get()) {
        return Err(DetectorError::OtherMove { to: staged.to });
    }
    let records = match is_whole(log.as_ref(), to)? {
        true => 0,
        false => {
            log.delete_topics(&[topics::SIGHTINGS, topics::STATE, topics::CHECKPOINTS])?;
            log.ensure_topics(to.specs)?;
            unstage(log.as_ref(), to, staged)?
        }
    };
    log.delete_topics(&[STAGING])?;
    Ok(Repartitioned::Moved { from, records })
}

/// What a whole staging topic says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Staged {
    to: u32,
    /// Through which the hot records of every partition are those of the groups.
    as_of: Timestamp,
    /// Records before this one.
    records: u64,
}

impl Staged {
    fn encode(self) -> Vec<u8> {
        let Staged { to, as_of, records } = self;
        [&to.to_be_bytes()[..], &as_of.0.to_be_bytes(), &records.to_be_bytes()].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Staged> {
        let (to, bytes) = bytes.split_first_chunk::<4>()?;
        let (as_of, records) = bytes.split_first_chunk::<8>()?;
        Some(Staged {
            to: u32::from_be_bytes(*to),
            as_of: Timestamp(i64::from_be_bytes(*as_of)),
            records: u64::from_be_bytes(records.try_into().ok()?),
        })
    }
}

fn staging() -> TopicPartition {
    TopicPartition::new(STAGING, 0)
}

/// What is staged, if all is.
///
/// # Errors
/// [`DetectorError::StagingIncomplete`] where it was all there, and no longer is: the broker keeps no topic beyond its own limits.
fn staged(log: &dyn Log) -> Result<Option<Staged>, DetectorError> {
    if !log.topics()?.iter().any(|topic| topic.name == STAGING) {
        return Ok(None);
    }
    let (mut staged, mut records) = (None, 0);
    read_through(log, &staging(), .., &|| false, &mut |record| {
        if record.key == Some(WHOLE) {
            staged = record.value.and_then(Staged::decode);
        } else {
            records += 1;
        }
    })?;
    match staged {
        Some(Staged { records: put, .. }) if put != records => {
            Err(DetectorError::StagingIncomplete { put, found: records })
        }
        staged => Ok(staged),
    }
}

/// The number of partitions that the topics of the key groups have.
fn partitions_of(log: &dyn Log) -> Result<u32, DetectorError> {
    let standing = log.topics()?;
    let of = |name: &str| {
        let topic = standing.iter().find(|topic| topic.name == name);
        topic.map_or(0, |topic| topic.partitions)
    };
    let (sightings, state) = (of(topics::SIGHTINGS), of(topics::STATE));
    match sightings == state && state == of(topics::CHECKPOINTS) && state > 0 {
        true => Ok(state),
        false => Err(DetectorError::UnevenTopics { sightings, state }),
    }
}

/// Applies what is still to be applied, and puts every group into the staging topic.
fn stage(log: &SharedLog, to: &Move<'_>, before: u32) -> Result<(), DetectorError> {
    let uneven = DetectorError::UnevenTopics {
        sightings: before,
        state: before,
    };
    let partitions = u16::try_from(before).ok().and_then(PartitionCount::new).ok_or(uneven)?;
    let setup = DetectorSetup {
        partitions,
        ..to.setup.clone()
    };
    let ends = come_to_rest(log, to.config, &setup)?;
    let spec = TopicSpec {
        name: STAGING.to_owned(),
        partitions: 1,
        cleanup: Cleanup::Delete,
        retention_ms: None,
        record_bytes_max: to.specs.iter().map(|spec| spec.record_bytes_max).max().unwrap_or(0),
        may_grow: false,
        compaction: None,
    };
    log.ensure_topics(&[spec])?;
    let appender = appender(log.as_ref())?;
    let mut staged = Staged {
        to: u32::from(to.setup.partitions.get()),
        as_of: Timestamp(i64::MAX),
        records: 0,
    };
    let group_config = setup.group_config(to.config);
    for number in 0..before {
        let restored = restore(log.as_ref(), number, partitions, &group_config, setup.epoch, &|| false);
        let (partition, as_of) = restored?;
        if partition.next_offset() != ends[number as usize] || partition.onward_chunks() > 0 {
            return Err(DetectorError::NotAtRest { partition: number });
        }
        // A group is never brought to a time that no tick has told it: what is due then would be dropped.
        staged.as_of = staged.as_of.min(as_of);
        let records = records_of(&partition, to.config.layout());
        staged.records += records.len() as u64;
        append_all(appender.as_ref(), records)?;
    }
    // Who appended meanwhile would lose it.
    if self::ends(log.as_ref(), before)? != ends {
        return Err(DetectorError::NotAtRest { partition: 0 });
    }
    append_all(
        appender.as_ref(),
        vec![Append {
            to: staging(),
            key: Some(Bytes::from_static(WHOLE)),
            value: Some(Bytes::from(staged.encode())),
            headers: Vec::new(),
        }],
    )
}

fn appender(log: &dyn Log) -> Result<Box<dyn Appender>, DetectorError> {
    Ok(log.appender(AppenderOptions {
        name: "repartition".to_owned(),
        durability: Durability::Synced,
        gapless: true,
    })?)
}

fn append_all(appender: &dyn Appender, appends: Vec<Append>) -> Result<(), DetectorError> {
    let (mut lot, mut bytes) = (Vec::new(), 0);
    for append in appends {
        bytes += append.value.as_ref().map_or(0, Bytes::len);
        lot.push(append);
        if bytes >= LOT_BYTES {
            appender.append(std::mem::take(&mut lot)).wait()?;
            bytes = 0;
        }
    }
    if !lot.is_empty() {
        appender.append(lot).wait()?;
    }
    Ok(())
}

fn ends(log: &dyn Log, partitions: u32) -> Result<Vec<u64>, DetectorError> {
    let end = |number| Ok(log.bounds(&TopicPartition::new(topics::SIGHTINGS, number))?.1);
    (0..partitions).map(end).collect()
}

/// Lets a detector apply all input, with what it sends on to other groups, and write everything. Where the input of each partition ends then.
fn come_to_rest(log: &SharedLog, config: &DetectorConfig, setup: &DetectorSetup) -> Result<Vec<u64>, DetectorError> {
    let count = u32::from(setup.partitions.get());
    for _ in 0..ROUNDS_MAX {
        let before = ends(log.as_ref(), count)?;
        apply_to(log, config, setup, &before)?;
        if ends(log.as_ref(), count)? == before {
            return Ok(before);
        }
    }
    Err(DetectorError::NotAtRest { partition: 0 })
}

/// Runs a detector, the only one, until every header is at these ends, and ends it in order.
fn apply_to(
    log: &SharedLog,
    config: &DetectorConfig,
    setup: &DetectorSetup,
    ends: &[u64],
) -> Result<(), DetectorError> {
    let mut starts = Vec::new();
    for number in (0..).take(ends.len()) {
        let state = TopicPartition::new(topics::STATE, number);
        let (_, end) = log.bounds(&state)?;
        starts.push((state, end));
    }
    let mut headers = log.tail_reader(&starts)?;
    let setup = DetectorSetup {
        // A member that is nobody leaves its group at once: who comes next is dealt the partitions that there are then.
        instance: String::new(),
        ..setup.clone()
    };
    let (shutdown, registry) = (Shutdown::new(), Registry::new());
    std::thread::scope(|scope| {
        let detector = scope.spawn(|| {
            let ready = Readiness::new().flag("detector", "restoring");
            run(SILENT, config, &setup, log, &registry, &ready, &shutdown)
        });
        let mut left: Vec<Option<u64>> = ends.iter().copied().map(Some).collect();
        let (mut looked, mut alone_at) = (Ok(()), Instant::now());
        while !detector.is_finished() {
            looked = look(headers.as_mut(), &mut left);
            let owns_all = gauge(&registry, "tocsin_detector_partitions") == ends.len() as f64;
            if owns_all || gauge(&registry, "tocsin_detector_partitions_restoring") > 0.0 {
                alone_at = Instant::now();
            } else if looked.is_ok() && alone_at.elapsed() >= OTHERS_TIME_MAX {
                looked = Err(DetectorError::NotAtRest { partition: 0 });
            }
            if looked.is_err() || (owns_all && left.iter().all(Option::is_none)) {
                break;
            }
        }
        shutdown.request();
        let ran = detector.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        looked.and(ran)
    })
}

fn gauge(registry: &Registry, name: &str) -> f64 {
    let families = registry.gather();
    let metrics = families.iter().filter(|family| family.name() == name);
    metrics
        .flat_map(|family| family.get_metric())
        .map(|metric| metric.get_gauge().get_value())
        .sum()
}

/// Looks for headers that have come to their ends. A detector writes one for each partition that it has taken over, whether or not there is
/// anything to apply.
fn look(headers: &mut dyn TailReader, left: &mut [Option<u64>]) -> Result<(), DetectorError> {
    headers.poll(POLL, 1_000, &mut |record| {
        let is_header = matches!(record.key.and_then(StateKey::from_bytes), Some(StateKey::Header { .. }));
        let state = record.value.filter(|_| is_header);
        let header = state.and_then(|value| StateHeader::decode(&StateRecord::decode(value).ok()?.body).ok());
        if let (Some(header), Some(left)) = (header, left.get_mut(record.partition as usize)) {
            left.take_if(|end| header.next_offset >= *end);
        }
    })?;
    Ok(())
}

/// All that is kept of a partition's groups, as of the beginning of another input.
fn records_of(partition: &Partition, layout: SnapshotLayout) -> Vec<Append> {
    let mut unit = StateUnit::new(partition.number(), layout);
    for tracked in partition.groups() {
        unit.add_all(&tracked.group, 0);
    }
    let to_staging = |append: Append| Append {
        to: staging(),
        ..append
    };
    unit.into_appends().into_iter().map(to_staging).collect()
}

/// Whether every new partition has its header: they are written last and together.
fn is_whole(log: &dyn Log, to: &Move<'_>) -> Result<bool, DetectorError> {
    let count = u32::from(to.setup.partitions.get());
    if partitions_of(log).ok() != Some(count) {
        return Ok(false);
    }
    for number in 0..count {
        let mut has_header = false;
        read_through(
            log,
            &TopicPartition::new(topics::STATE, number),
            ..,
            &|| false,
            &mut |record| {
                let key = record.key.and_then(StateKey::from_bytes);
                has_header |= matches!(key, Some(StateKey::Header { .. }));
            },
        )?;
        if !has_header {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Brings every group to its new partition. How many records.
fn unstage(log: &dyn Log, to: &Move<'_>, staged: Staged) -> Result<u64, DetectorError> {
    let appender = appender(log)?;
    let partitions = to.setup.partitions;
    let mut records = 0;
    let mut reading = ReadThrough::new(log, &staging(), ..)?;
    while reading.goes_on(&|| false)? {
        let mut lot = Vec::new();
        reading.poll(&mut |record| {
            let Some(group) = record.key.and_then(StateKey::from_bytes).and_then(group_of) else {
                return;
            };
            lot.push(Append {
                to: TopicPartition::new(topics::STATE, partitions.partition_of(group)),
                key: record.key.map(Bytes::copy_from_slice),
                value: record.value.map(Bytes::copy_from_slice),
                headers: Vec::new(),
            });
        })?;
        records += lot.len() as u64;
        append_all(appender.as_ref(), lot)?;
    }
    let input = TopicIds::of(log)?.sightings;
    let headers = (0..u32::from(partitions.get())).map(|number| header(number, to, staged.as_of, input));
    let unit = Unit {
        appends: headers.collect(),
        positions: Vec::new(),
    };
    // Positions of a group are no part of it, so no membership is looked at.
    let nobody = Membership::Absent(STAGING.to_owned());
    let mut committer = log.committer(&format!("{}-repartition", to.setup.instance))?;
    committer
        .commit(&nobody, unit)
        .map_err(|error| DetectorError::Commit(Box::new(error)))?;
    Ok(records)
}

fn group_of(key: StateKey) -> Option<GroupId> {
    match key {
        StateKey::Hot { group, .. } | StateKey::Cold { group, .. } | StateKey::Core { group, .. } => Some(group),
        StateKey::Header { .. } | StateKey::Onward { .. } => None,
    }
}

/// The header of a partition that has everything, and whose input, the topic of this id, is still to come.
fn header(number: u32, to: &Move<'_>, as_of: Timestamp, input: u64) -> Append {
    let binding = StateBinding {
        deployment: deployment_of(&to.setup.group_config(to.config)),
        input,
        groups: to.setup.partitions.groups_of(number).count() as u16,
    };
    let header = StateHeader {
        next_offset: 0,
        checkpoint_offset: 0,
        partition_count: to.setup.partitions.get(),
        group_count: KEY_GROUPS,
        key_epoch: to.setup.epoch.0,
        schema_version: StateHeader::SCHEMA_VERSION,
        state_version: to.config.layout().version(),
        binding: (to.config.layout() == SnapshotLayout::Current).then_some(binding),
    };
    let record = StateRecord {
        applied_through: 0,
        as_of,
        format: header.format(),
        chunk: 0,
        chunks: 1,
        body: header.encode(),
    };
    Append {
        to: TopicPartition::new(topics::STATE, number),
        key: Some(Bytes::from(StateKey::Header { partition: number }.to_bytes())),
        value: Some(Bytes::from(record.encode())),
        headers: Vec::new(),
    }
}
