//! A partition from the state topic: the last checkpoint of every group, then the input since, applied in silence.

use std::collections::BTreeMap;

use tocsin_failpoint::{FailPoint, reach};
use tocsin_log::{Log, LogError, TopicPartition, read_through};
use tocsin_model::{Class, GroupId, KeyEpoch, PartitionCount, Timestamp};
use tocsin_sketch::codec::Decoder;
use tocsin_velocity::{Group, GroupConfig, Output, SNAPSHOT_VERSION, SNAPSHOT_VERSIONS_READ};
use tocsin_wire::state::{StateHeader, StateKey, StateRecord};
use tocsin_wire::{PartyRecord, SightingsRecord, topics};

use crate::error::DetectorError;
use crate::partition::{Partition, Tracked};

/// What the state topic holds of one partition.
#[derive(Debug, Default)]
struct Collected {
    /// The newest one; or why it cannot be used.
    header: Option<Result<(StateHeader, Timestamp), String>>,
    core: BTreeMap<GroupId, Chunks>,
    cold: BTreeMap<(GroupId, Class), Chunks>,
    /// `None`: the last unit had nothing to say to other partitions, or it has arrived.
    onward: Option<Chunks>,
}

/// The chunks of one state, by number.
#[derive(Debug, Default)]
pub(crate) struct Chunks(BTreeMap<u32, StateRecord>);

/// Restores a partition up to the newest committed header, and tells the time through which its hot changes are on the log: later ones are
/// still to be written. A partition without a header begins at the start of its log.
///
/// # Errors
/// The log cannot be read, or what stands there is not this deployment's state or not whole.
pub fn restore(
    log: &dyn Log,
    number: u32,
    partitions: PartitionCount,
    config: &GroupConfig,
    epoch: KeyEpoch,
    is_called_off: &dyn Fn() -> bool,
) -> Result<(Partition, Timestamp), DetectorError> {
    let collected = collect(log, number, is_called_off)?;
    reach(FailPoint::StateCollected);
    let (first_held, _) = log.bounds(&TopicPartition::new(topics::SIGHTINGS, number))?;
    let mut partition = Partition::new(number, partitions, config, first_held);
    learn_names(log, &mut partition, is_called_off)?;
    let Some(header) = collected.header else {
        return Ok((partition, Timestamp::MIN));
    };
    let (header, as_of) = header.map_err(|reason| DetectorError::BrokenHeader {
        partition: number,
        reason,
    })?;
    if header.partition_count != partitions.get() {
        return Err(DetectorError::OtherPartitionCount {
            written: header.partition_count,
            configured: partitions.get(),
        });
    }
    if !SNAPSHOT_VERSIONS_READ.contains(&header.state_version) {
        return Err(DetectorError::OtherStateVersion {
            written: header.state_version,
            known: SNAPSHOT_VERSION,
        });
    }
    if header.key_epoch != epoch.0 {
        return Err(DetectorError::OtherKeyEpoch {
            written: header.key_epoch,
            configured: epoch.0,
        });
    }
    if header.checkpoint_offset < first_held {
        let needed = header.checkpoint_offset;
        return Err(DetectorError::InputDeleted {
            partition: number,
            needed,
            first_held,
        });
    }
    for (id, chunks) in &collected.core {
        let broken = |reason: &str| DetectorError::BrokenState {
            group: id.0,
            reason: reason.to_owned(),
        };
        let (core, offset) = chunks.join().ok_or_else(|| broken("its checkpoint is incomplete"))?;
        let mut cold = BTreeMap::new();
        for ((_, class), chunks) in collected
            .cold
            .range((*id, Class::All)..)
            .take_while(|((group, _), _)| group == id)
        {
            let (bytes, cut_at) = chunks.join().ok_or_else(|| broken("its cold counts are incomplete"))?;
            if cut_at != offset {
                return Err(broken("its parts were cut at different offsets"));
            }
            cold.insert(*class, bytes);
        }
        let group = Group::decode(config.clone(), &core, &cold).map_err(|error| broken(&error.to_string()))?;
        partition.put(Tracked::restored(group, offset));
        reach(FailPoint::GroupDecoded);
    }
    let sightings = TopicPartition::new(topics::SIGHTINGS, number);
    let since_the_checkpoint = header.checkpoint_offset..header.next_offset;
    read_through(log, &sightings, since_the_checkpoint, is_called_off, &mut |record| {
        partition.apply(record)
    })?;
    reach(FailPoint::InputReplayed);
    partition.set_position(header.next_offset);
    if as_of > Timestamp::MIN {
        partition.bring_to(as_of.max(partition.now()));
    }
    partition.forget_outputs();
    partition.repeat_outbox();
    if let Some(chunks) = &collected.onward {
        partition.set_onward_chunks(chunks.end());
        let said = chunks.join().and_then(|(body, _)| onward(&body));
        partition.repeat_onward(said.ok_or(DetectorError::BrokenOnward { partition: number })?);
    }
    Ok((partition, as_of))
}

fn collect(log: &dyn Log, number: u32, is_called_off: &dyn Fn() -> bool) -> Result<Collected, DetectorError> {
    let mut collected = Collected::default();
    let state = TopicPartition::new(topics::STATE, number);
    read_through(log, &state, .., is_called_off, &mut |record| {
        let Some(key) = record.key.and_then(StateKey::from_bytes) else {
            return;
        };
        // What cannot be read takes the place of what it replaced: a state is whole as of its newest records or refused, never patched up
        // with older ones.
        let state = record.value.and_then(|value| StateRecord::decode(value).ok());
        match key {
            StateKey::Header { partition } if partition == number => collected.header = Some(header(state)),
            StateKey::Core { group, chunk } => collected.core.entry(group).or_default().put(chunk, state),
            StateKey::Cold { group, class, chunk } => {
                collected.cold.entry((group, class)).or_default().put(chunk, state);
            }
            StateKey::Onward { partition, chunk } if partition == number && record.value.is_none() => {
                if let Some(chunks) = &mut collected.onward {
                    chunks.put(chunk, None);
                }
                collected.onward.take_if(|chunks| chunks.end() == 0);
            }
            StateKey::Onward { partition, chunk } if partition == number => {
                collected.onward.get_or_insert_default().put(chunk, state);
            }
            StateKey::Header { .. } | StateKey::Hot { .. } | StateKey::Onward { .. } => {}
        }
    })?;
    Ok(collected)
}

fn header(record: Option<StateRecord>) -> Result<(StateHeader, Timestamp), String> {
    let record = record.ok_or("it is no state record")?;
    if record.format != StateHeader::FORMAT {
        let (written, known) = (record.format, StateHeader::FORMAT);
        return Err(format!("it has layout {written}, this program knows layout {known}"));
    }
    let header = StateHeader::decode(&record.body).map_err(|error| error.to_string())?;
    Ok((header, record.as_of))
}

/// What was to be said to other partitions; `None` if it cannot be read.
fn onward(body: &[u8]) -> Option<Vec<Output>> {
    let mut input = Decoder::new(body);
    let mut said = Vec::new();
    for _ in 0..input.length(1).ok()? {
        said.push(match SightingsRecord::decode(input.bytes().ok()?).ok()? {
            SightingsRecord::Link(link) => Output::Link(link),
            SightingsRecord::Decision(decision) => Output::Decision(decision),
            _ => return None,
        });
    }
    input.finish().ok()?;
    Some(said)
}

fn learn_names(
    log: &dyn Log,
    partition: &mut Partition,
    is_called_off: &dyn Fn() -> bool,
) -> Result<(), DetectorError> {
    let names = partition.names_mut();
    let parties = TopicPartition::new(topics::PARTIES, 0);
    read_through(log, &parties, .., is_called_off, &mut |record| {
        if let Some(party) = record.value.and_then(|value| PartyRecord::decode(value).ok()) {
            for platform in &party.platforms {
                names.platforms.insert(platform.id, platform.name.clone());
            }
            names.parties.insert(party.id, party.name);
        }
    })?;
    Ok(())
}

impl Chunks {
    pub(crate) fn put(&mut self, chunk: u32, record: Option<StateRecord>) {
        match record {
            Some(record) => self.0.insert(chunk, record),
            None => self.0.remove(&chunk),
        };
    }

    /// The number after the highest chunk.
    fn end(&self) -> u32 {
        self.0.last_key_value().map_or(0, |(chunk, _)| chunk + 1)
    }

    /// The whole body and the offset it was cut at. Chunks left over from a longer state before are passed over.
    pub(crate) fn join(&self) -> Option<(Vec<u8>, u64)> {
        let first = self.0.get(&0)?;
        let mut body = Vec::new();
        for chunk in 0..first.chunks {
            let record = self.0.get(&chunk)?;
            if record.applied_through != first.applied_through || record.chunks != first.chunks {
                return None;
            }
            body.extend_from_slice(&record.body);
        }
        Some((body, first.applied_through))
    }
}

impl From<LogError> for DetectorError {
    fn from(source: LogError) -> Self {
        DetectorError::Log(Box::new(source))
    }
}
