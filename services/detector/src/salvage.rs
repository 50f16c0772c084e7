//! A partition whose state a restore refuses goes on with what is left of it, because an operator says so.
//!
//! Key groups that can be read are kept as their checkpoints say; the others begin empty at the first sighting that the log still holds, and
//! are derived again from there. Where the input is the one that the state was written for, it is applied in silence up to where the partition
//! was: what has rung does not ring again. Where it is another one, or the state does not say, the partition begins at the start of what is held.
//!
//! One unit: until it is committed everything is as it was. A partition that can be restored is left alone.
//!
//! Memory: the groups of the partition, and their bytes.

use std::collections::BTreeSet;
use std::time::Duration;

use tocsin_log::{Append, Log, Membership, TopicPartition, Unit, is_replaced, read_through};
use tocsin_model::{KEY_GROUPS, Timestamp};
use tocsin_sketch::ColdCounts;
use tocsin_velocity::SnapshotLayout;
use tocsin_wire::state::{StateBinding, StateHeader, StateKey};
use tocsin_wire::topics;

use crate::check::{HeldInput, Wait};
use crate::checkpoint::StateUnit;
use crate::collected::{Collected, Groups};
use crate::config::{DetectorConfig, DetectorSetup};
use crate::error::DetectorError;
use crate::partition::{Partition, TopicIds, Tracked};
use crate::restore::{Outbox, Restored, restore_of};

/// So many intervals of the state a partition must stand still: a detector that has it writes in each.
const STATE_INTERVALS_AT_REST: u64 = 4;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Salvaged {
    /// The partition can be restored: nothing was changed.
    AsItWas,
    /// It goes on.
    GoesOn {
        /// The offset from which its input is read.
        offset: u64,
        /// Key groups that were kept.
        kept: usize,
        /// Key groups that begin anew.
        anew: usize,
    },
}

/// Makes what can be restored of a partition that cannot. Its detectors must be stopped.
///
/// # Errors
/// The restore is refused for a reason that this does not mend: another number of partitions, version or key epoch is configured.
/// [`DetectorError::NotAtRest`] where something writes its state meanwhile. The log fails.
pub fn salvage(
    log: &dyn Log,
    number: u32,
    config: &DetectorConfig,
    setup: &DetectorSetup,
) -> Result<Salvaged, DetectorError> {
    salvage_waiting(
        log,
        number,
        (config, setup),
        std::thread::sleep,
        &mut std::thread::sleep,
    )
}

/// [`salvage`], with how time passes between looks at the input, and while the state must stand still.
pub(crate) fn salvage_waiting(
    log: &dyn Log,
    number: u32,
    (config, setup): (&DetectorConfig, &DetectorSetup),
    wait: Wait,
    rest: &mut dyn FnMut(Duration),
) -> Result<Salvaged, DetectorError> {
    let of = Restored {
        number,
        partitions: setup.partitions,
        config: setup.group_config(config),
        epoch: setup.epoch,
        cache: None,
        outbox: Outbox::LeftToTheNext,
        wait,
    };
    let state = TopicPartition::new(topics::STATE, number);
    let (_, state_end) = log.bounds(&state)?;
    match restore_of(log, of.clone(), &|| false) {
        Ok(_) => return Ok(Salvaged::AsItWas),
        Err(error) if error.is_salvageable() => {}
        Err(error) => return Err(error),
    }
    let ids = TopicIds::of(log)?;
    let (collected, standing) = collect(log, number)?;
    let header = collected.usable_header().map(|(header, _)| header);
    let input = of.held_input(log, ids.sightings, header, &|| false)?;
    let plan = Plan::of(&of, &collected, input);
    let mut partition = Partition::new(number, of.partitions, &of.config, input.first_held);
    partition.set_topics(ids);
    let mut kept = 0;
    let mut groups = Groups::of(collected.core, collected.cold);
    while let Some((_, group)) = groups.next_of(&of.config) {
        // What cannot be read begins anew, and so does what is another deployment's.
        if let (Some(going_on), Ok(tracked)) = (plan.going_on, group) {
            let applied_from = match going_on {
                GoingOn::WhereItWas => tracked.applied_from.min(plan.next_offset),
                GoingOn::WithOtherInput => input.first_held,
            };
            partition.put(Tracked {
                applied_from,
                ..tracked
            });
            kept += 1;
        }
    }
    let anew = of.partitions.groups_of(number).count() - kept;
    let unit = unit(partition, &plan, standing, (config, setup));
    // What a detector had written since would be lost, and what it writes after would say that the groups which begin anew had seen everything.
    rest(Duration::from_millis(
        config.state_interval_ms * STATE_INTERVALS_AT_REST,
    ));
    if log.bounds(&state)?.1 != state_end {
        return Err(DetectorError::NotAtRest { partition: number });
    }
    commit(log, setup, unit)?;
    Ok(Salvaged::GoesOn {
        offset: plan.checkpoint_offset,
        kept,
        anew,
    })
}

/// What the state topic holds of the partition, and every key that it holds.
fn collect(log: &dyn Log, number: u32) -> Result<(Collected, BTreeSet<StateKey>), DetectorError> {
    let (mut collected, mut standing) = (Collected::default(), BTreeSet::new());
    let place = TopicPartition::new(topics::STATE, number);
    read_through(log, &place, .., &|| false, &mut |record| {
        collected.take(number, record.key, record.value);
        if let Some(key) = record.key.and_then(StateKey::from_bytes) {
            match record.value {
                Some(_) => standing.insert(key),
                None => standing.remove(&key),
            };
        }
    })?;
    Ok((collected, standing))
}

/// How the groups that are kept go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GoingOn {
    /// Each from its own checkpoint.
    WhereItWas,
    /// From the start of an input of which none has seen anything.
    WithOtherInput,
}

/// Where the partition goes on.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// `None`: no group is kept.
    going_on: Option<GoingOn>,
    next_offset: u64,
    checkpoint_offset: u64,
    as_of: Timestamp,
}

impl Plan {
    fn of(of: &Restored, collected: &Collected, input: HeldInput) -> Plan {
        let from_the_start = Plan {
            going_on: None,
            next_offset: input.first_held,
            checkpoint_offset: input.first_held,
            as_of: Timestamp::MIN,
        };
        let Some((header, as_of)) = collected.usable_header().filter(|(header, _)| of.is_own(header)) else {
            return from_the_start;
        };
        let is_other = header
            .binding
            .is_some_and(|binding| is_replaced(binding.input, input.topic));
        // Of the same topic an end that was cut off is gone from the log and stays in the counts.
        let is_same = header
            .binding
            .is_some_and(|binding| input.topic != 0 && binding.input == input.topic);
        if is_other || (!is_same && header.next_offset > input.end) {
            return Plan {
                going_on: Some(GoingOn::WithOtherInput),
                as_of: *as_of,
                ..from_the_start
            };
        }
        Plan {
            going_on: Some(GoingOn::WhereItWas),
            next_offset: header.next_offset.max(input.first_held).min(input.end),
            as_of: *as_of,
            ..from_the_start
        }
    }
}

/// Every group as it goes on, and the header. Of what stands there and is no longer so, hot records are removed and cold counts are emptied, as a
/// detector does: no key of a checkpoint ever goes.
fn unit(
    partition: Partition,
    plan: &Plan,
    standing: BTreeSet<StateKey>,
    (config, setup): (&DetectorConfig, &DetectorSetup),
) -> Vec<Append> {
    let cold = setup.group_config(config).cold;
    let mut state = StateUnit::new(partition.number(), config.layout());
    let mut gone = standing;
    for tracked in partition.groups() {
        let group = &tracked.group;
        for key in state.add_all(group, tracked.applied_from) {
            gone.remove(&key);
        }
        let is_counted = |class| group.cold().any(|(counted, _)| counted == class);
        let emptied = gone.iter().filter_map(|key| match *key {
            StateKey::Cold {
                group: id,
                class,
                chunk: 0,
            } if id == group.id() && !is_counted(class) => Some(class),
            _ => None,
        });
        for class in emptied {
            state.add_cold(group, class, &ColdCounts::new(cold), tracked.applied_from);
        }
    }
    for key in gone {
        if matches!(key, StateKey::Hot { .. } | StateKey::Onward { .. }) {
            state.remove(key);
        }
    }
    let binding = StateBinding {
        groups: partition.groups().count() as u16,
        ..partition.binding()
    };
    let header = StateHeader {
        next_offset: plan.next_offset,
        checkpoint_offset: plan.checkpoint_offset,
        partition_count: partition.partitions().get(),
        group_count: KEY_GROUPS,
        key_epoch: setup.epoch.0,
        schema_version: StateHeader::SCHEMA_VERSION,
        state_version: config.layout().version(),
        binding: (config.layout() == SnapshotLayout::Current).then_some(binding),
    };
    state.add_header(partition.number(), &header, plan.as_of);
    state.into_appends()
}

fn commit(log: &dyn Log, setup: &DetectorSetup, appends: Vec<Append>) -> Result<(), DetectorError> {
    let unit = Unit {
        appends,
        positions: Vec::new(),
    };
    // Positions of a group are no part of it, so no membership is looked at.
    let nobody = Membership::Absent(topics::SIGHTINGS_GROUP.to_owned());
    let mut committer = log.committer(&format!("{}-salvage", setup.instance))?;
    let committed = committer.commit(&nobody, unit);
    committed.map_err(|error| DetectorError::Commit(Box::new(error)))
}
