//! Whether what the state topic holds of a partition is this deployment's and whole, and whether the log holds the input that goes with it.

use std::time::Duration;

use tocsin_log::{Log, LogError, ReadThrough, TopicPartition, is_replaced};
use tocsin_velocity::{SNAPSHOT_VERSION, SNAPSHOT_VERSIONS_READ};
use tocsin_wire::state::StateHeader;
use tocsin_wire::{alert, topics};

use crate::collected::Collected;
use crate::error::DetectorError;
use crate::partition::deployment_of;
use crate::restore::Restored;

/// How long the brokers may take to say what position a partition has.
const POSITION_TIME_MAX: Duration = Duration::from_secs(15);

/// The end of a partition's input is seen before what goes with it so often, a second apart, before it is believed: who asks a broker that has just
/// begun to lead may be told an end of before.
pub(crate) const SHORT_LOOKS_MAX: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// How time is let pass. Tests let none pass.
pub(crate) type Wait = fn(Duration);

/// The input of a partition, as the log holds it now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldInput {
    /// The id of the sightings topic; 0 where the log tells none.
    pub(crate) topic: u64,
    pub(crate) first_held: u64,
    pub(crate) end: u64,
}

impl Restored {
    /// Whether a state with this header is the one of this deployment and partition, and the log holds what completes it.
    pub(crate) fn check(&self, header: &StateHeader, input: HeldInput) -> Result<(), DetectorError> {
        let (partition, binding) = (self.number, header.binding);
        if binding.is_some_and(|binding| binding.deployment != deployment_of(&self.config)) {
            return Err(DetectorError::OtherDeployment { partition });
        }
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
        if binding.is_some_and(|binding| is_replaced(binding.input, input.topic)) {
            return Err(DetectorError::InputReplaced { partition });
        }
        if header.checkpoint_offset < input.first_held {
            return Err(DetectorError::InputDeleted {
                partition,
                needed: header.checkpoint_offset,
                first_held: input.first_held,
            });
        }
        let needed = needed_of(header);
        if needed > input.end {
            return Err(DetectorError::InputEndsBefore {
                partition,
                needed,
                end: input.end,
            });
        }
        Ok(())
    }

    /// The partition's input, of the topic with this id, as the log holds it. An end before what the header says is looked at again before it is
    /// believed.
    ///
    /// # Errors
    /// The log cannot be asked, or it was called off.
    pub(crate) fn held_input(
        &self,
        log: &dyn Log,
        topic: u64,
        header: Option<&StateHeader>,
        is_called_off: &dyn Fn() -> bool,
    ) -> Result<HeldInput, LogError> {
        // Of another topic the offsets say nothing.
        let same = header.filter(|header| !header.binding.is_some_and(|binding| is_replaced(binding.input, topic)));
        let needed = same.map_or(0, needed_of);
        let place = TopicPartition::new(topics::SIGHTINGS, self.number);
        let mut looks = 0;
        loop {
            let (first_held, end) = log.bounds(&place)?;
            looks += 1;
            if end >= needed || looks >= SHORT_LOOKS_MAX {
                return Ok(HeldInput { topic, first_held, end });
            }
            if is_called_off() {
                return Err(LogError::CalledOff {
                    topic: topics::SIGHTINGS.to_owned(),
                    partition: self.number,
                });
            }
            (self.wait)(BETWEEN_LOOKS);
        }
    }

    /// Whether a state with this header is this deployment's, in its shape: then its groups can be read here.
    pub(crate) fn is_own(&self, header: &StateHeader) -> bool {
        let everything = HeldInput {
            topic: 0,
            first_held: 0,
            end: u64::MAX,
        };
        self.check(header, everything).is_ok()
    }

    /// Whether every group is there that has a checkpoint. Groups are first checkpointed in ascending order, so one that is absent before one
    /// that is there was lost; how many there must be says the header, if it is of a layout that knows.
    pub(crate) fn check_groups(&self, header: &StateHeader, collected: &Collected) -> Result<(), DetectorError> {
        let here = |group: &tocsin_model::GroupId| collected.core.contains_key(group);
        let groups = || self.partitions.groups_of(self.number);
        let found = groups().filter(here).count();
        let wanted = header.binding.map_or(found, |binding| usize::from(binding.groups));
        let lost = match found < wanted {
            true => groups().find(|group| !here(group)),
            false => groups().take(found).find(|group| !here(group)),
        };
        match lost {
            Some(group) => Err(DetectorError::BrokenState {
                group: group.0,
                reason: "its checkpoint is missing".to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// What tells that a partition without a header is no new one; `None`: nothing does.
    ///
    /// # Errors
    /// The log cannot be asked.
    pub(crate) fn sign_of_before(
        &self,
        log: &dyn Log,
        collected: &Collected,
        input: HeldInput,
        is_called_off: &dyn Fn() -> bool,
    ) -> Result<Option<String>, DetectorError> {
        if !collected.core.is_empty() || !collected.cold.is_empty() {
            return Ok(Some("the state of key groups stands there".to_owned()));
        }
        if input.first_held > 0 {
            let first_held = input.first_held;
            return Ok(Some(format!(
                "the log has deleted sightings already (it begins at offset {first_held})"
            )));
        }
        let place = TopicPartition::new(topics::SIGHTINGS, self.number);
        let positions = log.positions(topics::SIGHTINGS_GROUP, &[place], POSITION_TIME_MAX)?;
        if let Some(position) = positions.first().copied().flatten() {
            return Ok(Some(format!("detectors have read it up to offset {position}")));
        }
        let has_alerts = self.has_alerts(log, is_called_off)?;
        Ok(has_alerts.then(|| "it has rung: tocsin.alerts has alerts of its key groups".to_owned()))
    }

    fn has_alerts(&self, log: &dyn Log, is_called_off: &dyn Fn() -> bool) -> Result<bool, LogError> {
        let mut found = false;
        let mut reading = ReadThrough::new(log, &TopicPartition::new(topics::ALERTS, 0), ..)?;
        while !found && reading.goes_on(is_called_off)? {
            reading.poll(&mut |record| {
                // One that cannot be read is no sign.
                if let Some(record) = record.value.and_then(|value| alert::decode(value).ok()) {
                    found |= self.partitions.partition_of(record.alert.family.home()) == self.number;
                }
            })?;
        }
        Ok(found)
    }
}

/// The offset behind what a state with this header holds.
fn needed_of(header: &StateHeader) -> u64 {
    header.next_offset.max(header.checkpoint_offset)
}
