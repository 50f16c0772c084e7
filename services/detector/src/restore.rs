//! A partition from the state topic: the last checkpoint of every group, then the input since, applied in silence.

use tocsin_failpoint::{FailPoint, reach};
use tocsin_log::{Log, LogError, ReadThrough, TopicPartition, read_through};
use tocsin_model::{KeyEpoch, PartitionCount, Timestamp};
use tocsin_sketch::codec::Decoder;
use tocsin_velocity::{GroupConfig, Output};
use tocsin_wire::state::StateHeader;
use tocsin_wire::{PartyRecord, SightingsRecord, topics};

use crate::cache::{Cache, Found};
use crate::check::Wait;
use crate::collected::{Chunks, Collected, Groups, Unusable};
use crate::error::DetectorError;
use crate::jumps::{apply_next, check_jumps};
use crate::partition::{Partition, TopicIds};

/// Restores a partition up to the newest committed header, and tells the time through which its hot changes are on the log: later ones are
/// still to be written. A partition without a header begins at the start of its log, unless something tells that it had a state.
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
        wait: std::thread::sleep,
    };
    restore_of(log, of, is_called_off)
}

/// [`restore`] of what is restored otherwise.
pub(crate) fn restore_of(
    log: &dyn Log,
    of: Restored,
    is_called_off: &dyn Fn() -> bool,
) -> Result<(Partition, Timestamp), DetectorError> {
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
    /// Between two looks at an input that seems too short.
    pub(crate) wait: Wait,
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
    /// As they stood when it began, before anything was read of them.
    ids: TopicIds,
    /// What became of the local copy, if one is kept.
    found: Option<Found>,
    /// Whether the state topic is read a second time, since it had no header though there should be one.
    is_again: bool,
}

enum Stage {
    /// The state topic is read.
    State(ReadThrough, Box<Collected>),
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
        let ids = TopicIds::of(log)?;
        // The bound is the log's end with open transactions: the restore waits until they end, for one of them may be the last unit of
        // whoever had the partition before.
        let (mut found, mut through, mut collected) = (None, 0, Collected::default());
        if let Some(cache) = &of.cache {
            let loaded = cache.load(log, ids.state, of.number)?;
            (found, through, collected) = (Some(loaded.0), loaded.1, loaded.2);
        }
        let reading = ReadThrough::new(log, &TopicPartition::new(topics::STATE, of.number), through..)?;
        Ok(Restore {
            of,
            stage: Stage::State(reading, Box::new(collected)),
            ids,
            found,
            is_again: false,
        })
    }

    /// # Errors
    /// See [`restore`].
    pub(crate) fn step(mut self, log: &dyn Log, is_called_off: &dyn Fn() -> bool) -> Result<Stepped, DetectorError> {
        self.stage = match self.stage {
            Stage::State(mut reading, mut collected) => {
                if !reading.goes_on(is_called_off)? {
                    reach(FailPoint::StateCollected);
                    if let Some(cache) = &self.of.cache {
                        cache.store(self.ids.state, self.of.number, reading.end(), &collected);
                    }
                    let beside = Beside {
                        ids: self.ids,
                        found: self.found,
                        is_again: self.is_again,
                        of_state: reading.length(),
                    };
                    return assemble(log, self.of, *collected, beside, is_called_off);
                }
                reading.poll(&mut |record| collected.take(self.of.number, record.key, record.value))?;
                Stage::State(reading, collected)
            }
            Stage::Input(mut reading, mut applying) => {
                if !reading.goes_on(is_called_off)? {
                    reach(FailPoint::InputReplayed);
                    return applying.finish();
                }
                let mut jumps = Vec::new();
                reading.poll(&mut |record| jumps.extend(apply_next(&mut applying.partition, record)))?;
                check_jumps(log, &jumps, |_| self.ids.sightings)?;
                Stage::Input(reading, applying)
            }
        };
        Ok(Stepped::Further(Box::new(self)))
    }

    pub(crate) fn reached(&self) -> Reached {
        let (topic, reading, before) = match &self.stage {
            Stage::State(reading, _) => (topics::STATE, reading, 0),
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

/// What is known of a restore beside what it collected.
#[derive(Clone, Copy, Debug)]
struct Beside {
    ids: TopicIds,
    found: Option<Found>,
    is_again: bool,
    /// How many offsets of the state topic were read.
    of_state: u64,
}

/// Makes the groups of their checkpoints.
fn assemble(
    log: &dyn Log,
    of: Restored,
    collected: Collected,
    beside: Beside,
    is_called_off: &dyn Fn() -> bool,
) -> Result<Stepped, DetectorError> {
    let number = of.number;
    let sightings = TopicPartition::new(topics::SIGHTINGS, number);
    let usable = collected.usable_header().map(|(header, _)| header);
    let input = of.held_input(log, beside.ids.sightings, usable, is_called_off)?;
    let mut partition = Partition::new(number, of.partitions, &of.config, input.first_held);
    partition.set_topics(beside.ids);
    let Some(header) = &collected.header else {
        let Some(sign) = of.sign_of_before(log, &collected, input, is_called_off)? else {
            learn_names(log, &mut partition, is_called_off)?;
            return Ok(Stepped::Restored(Box::new(partition), Timestamp::MIN));
        };
        if beside.is_again {
            return Err(DetectorError::StateLost {
                partition: number,
                sign,
            });
        }
        // The first unit of all may have come between the look at the state and this one: then its header is there now.
        let mut again = Restore::begin(log, of)?;
        again.is_again = true;
        return Ok(Stepped::Further(Box::new(again)));
    };
    let (header, as_of) = header.clone().map_err(|unusable| match unusable {
        Unusable::Newer(written) => DetectorError::OtherHeaderLayout {
            partition: number,
            written,
            known: StateHeader::FORMAT,
        },
        Unusable::Broken(reason) => DetectorError::BrokenHeader {
            partition: number,
            reason,
        },
    })?;
    of.check(&header, input)?;
    of.check_groups(&header, &collected)?;
    learn_names(log, &mut partition, is_called_off)?;
    let onward = collected.onward;
    let mut groups = Groups::of(collected.core, collected.cold);
    while let Some((id, group)) = groups.next_of(&of.config) {
        if is_called_off() {
            let topic = topics::STATE.to_owned();
            return Err(LogError::CalledOff {
                topic,
                partition: number,
            }
            .into());
        }
        let tracked = group.map_err(|reason| DetectorError::BrokenState { group: id.0, reason })?;
        partition.put(tracked);
        reach(FailPoint::GroupDecoded);
    }
    partition.set_position(header.checkpoint_offset);
    let since_the_checkpoint = header.checkpoint_offset..header.next_offset;
    let reading = ReadThrough::new(log, &sightings, since_the_checkpoint)?;
    let applying = Applying {
        partition,
        next_offset: header.next_offset,
        as_of,
        onward,
        outbox: of.outbox,
        of_state: beside.of_state,
    };
    Ok(Stepped::Further(Box::new(Restore {
        of,
        stage: Stage::Input(reading, Box::new(applying)),
        ids: beside.ids,
        found: beside.found,
        is_again: beside.is_again,
    })))
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
    let mut unreadable = 0;
    read_through(
        log,
        &parties,
        ..,
        is_called_off,
        &mut |record| match record.value.map(PartyRecord::decode) {
            Some(Ok(party)) => {
                for platform in &party.platforms {
                    names.platforms.insert(platform.id, platform.name.clone());
                }
                names.parties.insert(party.id, party.name);
            }
            Some(Err(_)) => unreadable += 1,
            None => {}
        },
    )?;
    partition.count_unreadable(unreadable);
    Ok(())
}

impl From<LogError> for DetectorError {
    fn from(source: LogError) -> Self {
        DetectorError::Log(Box::new(source))
    }
}
