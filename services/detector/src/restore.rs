//! A partition from the state topic: the last checkpoint of every group, then the input since, applied in silence.

use std::collections::BTreeMap;

use tocsin_failpoint::{FailPoint, reach};
use tocsin_log::{Log, LogError, ReadThrough, TopicPartition, read_through};
use tocsin_model::{KeyEpoch, PartitionCount, Timestamp};
use tocsin_sketch::codec::Decoder;
use tocsin_velocity::{Group, GroupConfig, Output, SNAPSHOT_VERSION, SNAPSHOT_VERSIONS_READ};
use tocsin_wire::state::StateHeader;
use tocsin_wire::{PartyRecord, SightingsRecord, topics};

use crate::cache::{Cache, Found, topic_id};
use crate::collected::{Chunks, Collected};
use crate::error::DetectorError;
use crate::partition::{Partition, Tracked};

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
    let of = Restored {
        number,
        partitions,
        config: config.clone(),
        epoch,
        cache: None,
        outbox: Outbox::Repeated,
    };
    let mut stepped = Stepped::Further(Box::new(Restore::begin(log, of)?));
    loop {
        match stepped {
            Stepped::Further(restore) => stepped = restore.step(log, is_called_off)?,
            Stepped::Restored(partition, as_of) => return Ok((*partition, as_of)),
        }
    }
}

/// Which partition, and what its state must fit.
#[derive(Clone, Debug)]
pub(crate) struct Restored {
    pub(crate) number: u32,
    pub(crate) partitions: PartitionCount,
    pub(crate) config: GroupConfig,
    pub(crate) epoch: KeyEpoch,
    pub(crate) cache: Option<Cache>,
    pub(crate) outbox: Outbox,
}

/// What becomes of figures that other groups may not have heard before a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outbox {
    /// They are said again.
    Repeated,
    /// They are not: whoever restores this next says them.
    LeftToTheNext,
}

/// [`restore`], one poll at a time: whoever has other work does it in between.
pub(crate) struct Restore {
    of: Restored,
    stage: Stage,
    /// What became of the local copy, if one is kept.
    found: Option<Found>,
}

enum Stage {
    /// The state topic is read.
    /// With the id of the state topic, where a local copy is kept.
    State(ReadThrough, Box<Collected>, u64),
    /// The input since the checkpoints is applied.
    Input(ReadThrough, Box<Applying>),
}

/// A partition on its way from its checkpoints to its header.
struct Applying {
    partition: Partition,
    next_offset: u64,
    as_of: Timestamp,
    onward: Option<Chunks>,
    outbox: Outbox,
    /// How many offsets of the state topic were read before.
    of_state: u64,
}

/// Where a step leads.
pub(crate) enum Stepped {
    Further(Box<Restore>),
    Restored(Box<Partition>, Timestamp),
}

/// How far a restore is. Offsets stand for records: what compaction took, and the markers of transactions, take no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// What is read now.
    pub(crate) topic: &'static str,
    /// Records read and to be read, of the state topic and of the input as far as that is known: it is once the state was read.
    pub(crate) read: u64,
    pub(crate) to_read: u64,
    /// The part of both that is of this topic.
    pub(crate) read_here: u64,
    pub(crate) to_read_here: u64,
    /// What became of the local copy, if one is kept.
    pub(crate) found: Option<Found>,
}

impl Reached {
    pub(crate) fn left(&self) -> u64 {
        self.to_read.saturating_sub(self.read)
    }
}

impl Restore {
    /// # Errors
    /// The log cannot be read.
    pub(crate) fn begin(log: &dyn Log, of: Restored) -> Result<Self, DetectorError> {
        // The bound is the log's end with open transactions: the restore waits until they end, for one of them may be the last unit of
        // whoever had the partition before.
        let (mut topic, mut found, mut through, mut collected) = (0, None, 0, Collected::default());
        if let Some(cache) = &of.cache {
            topic = topic_id(log)?;
            let loaded = cache.load(log, topic, of.number)?;
            (found, through, collected) = (Some(loaded.0), loaded.1, loaded.2);
        }
        let reading = ReadThrough::new(log, &TopicPartition::new(topics::STATE, of.number), through..)?;
        let stage = Stage::State(reading, Box::new(collected), topic);
        Ok(Restore { of, stage, found })
    }

    /// # Errors
    /// See [`restore`].
    pub(crate) fn step(self, log: &dyn Log, is_called_off: &dyn Fn() -> bool) -> Result<Stepped, DetectorError> {
        let Restore { of, stage, found } = self;
        let stage = match stage {
            Stage::State(mut reading, mut collected, topic) => {
                if !reading.goes_on(is_called_off)? {
                    reach(FailPoint::StateCollected);
                    if let Some(cache) = &of.cache {
                        cache.store(topic, of.number, reading.end(), &collected);
                    }
                    return assemble(log, of, (*collected, found), reading.length(), is_called_off);
                }
                reading.poll(&mut |record| collected.take(of.number, record.key, record.value))?;
                Stage::State(reading, collected, topic)
            }
            Stage::Input(mut reading, mut applying) => {
                if !reading.goes_on(is_called_off)? {
                    reach(FailPoint::InputReplayed);
                    return applying.finish();
                }
                reading.poll(&mut |record| applying.partition.apply(record))?;
                Stage::Input(reading, applying)
            }
        };
        Ok(Stepped::Further(Box::new(Restore { of, stage, found })))
    }

    pub(crate) fn reached(&self) -> Reached {
        let (topic, reading, before) = match &self.stage {
            Stage::State(reading, ..) => (topics::STATE, reading, 0),
            Stage::Input(reading, applying) => (topics::SIGHTINGS, reading, applying.of_state),
        };
        let (read_here, to_read_here) = (reading.read(), reading.length());
        Reached {
            topic,
            read: before + read_here,
            to_read: before + to_read_here,
            read_here,
            to_read_here,
            found: self.found,
        }
    }
}

/// Makes the groups of their checkpoints.
fn assemble(
    log: &dyn Log,
    of: Restored,
    (collected, found): (Collected, Option<Found>),
    of_state: u64,
    is_called_off: &dyn Fn() -> bool,
) -> Result<Stepped, DetectorError> {
    let number = of.number;
    let sightings = TopicPartition::new(topics::SIGHTINGS, number);
    let (first_held, _) = log.bounds(&sightings)?;
    let mut partition = Partition::new(number, of.partitions, &of.config, first_held);
    learn_names(log, &mut partition, is_called_off)?;
    let Some(header) = collected.header else {
        return Ok(Stepped::Restored(Box::new(partition), Timestamp::MIN));
    };
    let (header, as_of) = header.map_err(|reason| DetectorError::BrokenHeader {
        partition: number,
        reason,
    })?;
    of.check(&header, first_held)?;
    let (mut core, mut cold) = (collected.core, collected.cold);
    while let Some((id, chunks)) = core.pop_first() {
        if is_called_off() {
            let topic = topics::STATE.to_owned();
            return Err(LogError::CalledOff {
                topic,
                partition: number,
            }
            .into());
        }
        let broken = |reason: &str| DetectorError::BrokenState {
            group: id.0,
            reason: reason.to_owned(),
        };
        let format = chunks.format();
        let (core, offset) = chunks.join().ok_or_else(|| broken("its checkpoint is incomplete"))?;
        let mut of_classes = BTreeMap::new();
        // Groups ascend in both: what is taken here is freed before the next group is made.
        while let Some(entry) = cold.first_entry().filter(|entry| entry.key().0 <= id) {
            let ((group, class), chunks) = entry.remove_entry();
            if group < id {
                continue;
            }
            let (bytes, cut_at) = chunks.join().ok_or_else(|| broken("its cold counts are incomplete"))?;
            if cut_at != offset {
                return Err(broken("its parts were cut at different offsets"));
            }
            of_classes.insert(class, bytes);
        }
        let group = Group::decode(of.config.clone(), &core, &of_classes).map_err(|error| broken(&error.to_string()))?;
        partition.put(Tracked::restored(group, offset, format));
        reach(FailPoint::GroupDecoded);
    }
    let since_the_checkpoint = header.checkpoint_offset..header.next_offset;
    let reading = ReadThrough::new(log, &sightings, since_the_checkpoint)?;
    let applying = Applying {
        partition,
        next_offset: header.next_offset,
        as_of,
        onward: collected.onward,
        outbox: of.outbox,
        of_state,
    };
    let stage = Stage::Input(reading, Box::new(applying));
    Ok(Stepped::Further(Box::new(Restore { of, stage, found })))
}

impl Restored {
    /// Whether a state with this header is the one of this deployment, and the log holds what completes it.
    fn check(&self, header: &StateHeader, first_held: u64) -> Result<(), DetectorError> {
        if header.partition_count != self.partitions.get() {
            return Err(DetectorError::OtherPartitionCount {
                written: header.partition_count,
                configured: self.partitions.get(),
            });
        }
        if !SNAPSHOT_VERSIONS_READ.contains(&header.state_version) {
            return Err(DetectorError::OtherStateVersion {
                written: header.state_version,
                known: SNAPSHOT_VERSION,
            });
        }
        if header.key_epoch != self.epoch.0 {
            return Err(DetectorError::OtherKeyEpoch {
                written: header.key_epoch,
                configured: self.epoch.0,
            });
        }
        if header.checkpoint_offset < first_held {
            return Err(DetectorError::InputDeleted {
                partition: self.number,
                needed: header.checkpoint_offset,
                first_held,
            });
        }
        Ok(())
    }
}

impl Applying {
    fn finish(self) -> Result<Stepped, DetectorError> {
        let Applying {
            mut partition, as_of, ..
        } = self;
        partition.set_position(self.next_offset);
        if as_of > Timestamp::MIN {
            partition.bring_to(as_of.max(partition.now()));
        }
        partition.forget_outputs();
        if self.outbox == Outbox::Repeated {
            partition.repeat_outbox();
        }
        if let Some(chunks) = &self.onward {
            partition.set_onward_chunks(chunks.end());
            let said = chunks.join().and_then(|(body, _)| onward(&body));
            let number = partition.number();
            partition.repeat_onward(said.ok_or(DetectorError::BrokenOnward { partition: number })?);
        }
        Ok(Stepped::Restored(Box::new(partition), as_of))
    }
}

/// What was to be said to other partitions; `None` if it cannot be read.
fn onward(body: &[u8]) -> Option<Vec<Output>> {
    let mut input = Decoder::new(body);
    let mut said = Vec::new();
    for _ in 0..input.length(1).ok()? {
        said.push(match SightingsRecord::decode(input.bytes().ok()?).ok()? {
            SightingsRecord::Link(link) => Output::Link(link),
            SightingsRecord::Decision(decision) => Output::Decision(decision),
            SightingsRecord::Delta(delta) if delta.is_said_once() => Output::Delta(delta),
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

impl From<LogError> for DetectorError {
    fn from(source: LogError) -> Self {
        DetectorError::Log(Box::new(source))
    }
}
