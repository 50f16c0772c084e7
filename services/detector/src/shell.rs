use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus::Registry;
use tocsin_failpoint::{FailPoint, reach};
use tocsin_log::{
    Appender, AppenderOptions, CommitError, Committer, Completion, Durability, GroupEvent, GroupOptions, GroupReader,
    LogError, Membership, SharedLog, TopicPartition, Unit,
};
use tocsin_model::Timestamp;
use tocsin_runtime::{ReadinessFlag, Shutdown};
use tocsin_velocity::{Counters, Output};
use tocsin_wire::{SightingsRecord, topics};

use crate::appends::{append, family_record, population_record, traced};
use crate::check::Wait;
use crate::checkpoint::{StateUnit, is_checkpointed};
use crate::config::{DetectorConfig, DetectorSetup};
use crate::error::DetectorError;
use crate::jumps::{apply_next, check_jumps};
use crate::partition::{Partition, Traced};
use crate::restore::{Outbox, Restored};
use crate::restorers::Restorers;
use crate::run::Means;
use crate::standing::Standing;
use crate::telemetry::{AlertCommitted, CommitFailed, Metrics, ShadowCompared, UnitCommitted};

/// Records handed over by one poll at most.
const RECORDS_PER_POLL: usize = 500;
/// How long the brokers may take to say how far there is to go.
const LAG_TIME_MAX: Duration = Duration::from_secs(1);
/// How often the lag is shown.
const LAG_EVERY: Duration = Duration::from_secs(1);
/// A unit that was not applied is tried again so often before the process gives up.
const TRIES_MAX: u32 = 5;
/// A unit is shown to the coordinator again so often when a rebalance was faster: each time in a generation of its own.
const GENERATIONS_MAX: u32 = 20;
/// How often it is told how the shadow compares.
const COMPARE_EVERY: Duration = Duration::from_secs(60);

/// Runs the detector on the calling thread until shutdown is requested.
///
/// # Errors
/// [`DetectorError`]: the state or the log needs an operator, or another process took over.
pub fn run(
    by: Means<'_>,
    config: &DetectorConfig,
    setup: &DetectorSetup,
    log: &SharedLog,
    registry: &Registry,
    ready: &ReadinessFlag,
    shutdown: &Shutdown,
) -> Result<(), DetectorError> {
    let metrics = Metrics::register(registry).map_err(DetectorError::Metrics)?;
    let mut reader = log.group_reader(GroupOptions {
        group: topics::SIGHTINGS_GROUP.to_owned(),
        instance: setup.instance.clone(),
        topics: vec![topics::SIGHTINGS.to_owned()],
    })?;
    let now = (by.clock)();
    let mut shell = Shell {
        clock: by.clock,
        config,
        setup,
        log,
        metrics,
        committer: log.committer(&format!("{}-detector", setup.instance))?,
        appender: log.appender(AppenderOptions {
            name: "detector".to_owned(),
            durability: Durability::Ordered,
            gapless: false,
        })?,
        partitions: BTreeMap::new(),
        standing: Standing::watch(log, by.hands)?,
        restorers: Restorers::new(log.clone(), by.hands),
        outbox: by.outbox,
        wait: by.wait,
        restores_shown_at: now,
        onward: Vec::new(),
        counters: Counters::default(),
        unreadable: 0,
        compared_at: now,
        committed_at: now,
        state_written_at: now,
        checkpointed_at: now,
        lag_shown_at: now,
        round: None,
        as_of: BTreeMap::new(),
        settled: BTreeMap::new(),
    };
    let mut has_assignment = false;
    while !shutdown.is_requested() {
        let wait = shell.commit_due_in();
        let partitions = &mut shell.partitions;
        let mut jumps = Vec::new();
        let event = reader.poll(wait, RECORDS_PER_POLL, &mut |record| {
            if let Some(partition) = partitions.get_mut(&record.partition) {
                jumps.extend(apply_next(partition, record));
            }
        })?;
        // Before anything of them is committed, and so before what was revoked is.
        check_jumps(log.as_ref(), &jumps, |number| {
            shell.partitions.get(&number).map_or(0, |of| of.topics().sightings)
        })?;
        match event {
            // Only now: an assignment that was lost is told before, and what was restored of it is nobody's.
            GroupEvent::Polled => shell.take_restored(reader.as_mut())?,
            GroupEvent::Assigned(assigned) => {
                shell.assigned(&assigned);
                has_assignment = true;
            }
            GroupEvent::Revoked(revoked) => shell.revoked(&revoked, reader.as_mut())?,
        }
        if has_assignment {
            shell.tell_readiness(ready);
        }
        shell.work(reader.as_mut())?;
    }
    shell.finish(reader.as_mut())?;
    reader.close();
    if let Some(cache) = config.cache(setup) {
        cache.refresh_all(log.as_ref(), shell.partitions.keys().copied());
    }
    Ok(())
}

struct Shell<'a> {
    clock: &'a dyn Fn() -> Instant,
    config: &'a DetectorConfig,
    setup: &'a DetectorSetup,
    log: &'a SharedLog,
    metrics: Metrics,
    committer: Box<dyn Committer>,
    appender: Box<dyn Appender>,
    partitions: BTreeMap<u32, Partition>,
    standing: Standing,
    /// Those of them that are not restored yet.
    restorers: Restorers,
    outbox: Outbox,
    wait: Wait,
    restores_shown_at: Instant,
    /// Appends to other groups that are on their way. At most one batch per unit; awaited before the next.
    onward: Vec<Completion>,
    counters: Counters,
    unreadable: u64,
    compared_at: Instant,
    committed_at: Instant,
    state_written_at: Instant,
    checkpointed_at: Instant,
    lag_shown_at: Instant,
    /// The offsets at which the running round of checkpoints began, by partition.
    round: Option<BTreeMap<u32, u64>>,
    /// The time through which a partition's hot changes are in the state topic.
    as_of: BTreeMap<u32, Timestamp>,
    /// The offsets through which everything is in the state topic, checkpoints too: a unit would say nothing new.
    settled: BTreeMap<u32, u64>,
}

/// How much of the state a unit carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// Alerts and position.
    Outputs,
    /// Changed hot records too.
    State,
    /// And a checkpoint of everything that changed.
    Checkpoint,
}

impl Shell<'_> {
    fn since(&self, earlier: Instant) -> Duration {
        (self.clock)().saturating_duration_since(earlier)
    }

    fn commit_due_in(&self) -> Duration {
        Duration::from_millis(self.config.commit_interval_ms).saturating_sub(self.since(self.committed_at))
    }

    fn assigned(&mut self, assigned: &[TopicPartition]) {
        for place in assigned {
            let of = Restored {
                number: place.partition,
                partitions: self.setup.partitions,
                config: self.setup.group_config(self.config),
                epoch: self.setup.epoch,
                cache: self.config.cache(self.setup),
                outbox: self.outbox,
                wait: self.wait,
            };
            self.restorers.begin(of, (self.clock)());
        }
    }

    /// Restores go on; partitions that are through are read from now on.
    fn take_restored(&mut self, reader: &mut dyn GroupReader) -> Result<(), DetectorError> {
        for (number, restored) in self.restorers.advance((self.clock)(), &self.metrics) {
            // Who was away for longer than a session may read what its successor writes and compaction moves: no operator is needed.
            let is_out = || matches!(reader.membership(), Membership::Absent(_));
            let (partition, as_of) = restored.map_err(|error| match error.refuses_state() && is_out() {
                true => DetectorError::GoneMeanwhile {
                    partition: number,
                    source: Box::new(error),
                },
                false => error,
            })?;
            reader.begin(&TopicPartition::new(topics::SIGHTINGS, number), partition.next_offset())?;
            reach(FailPoint::PartitionBegun);
            self.as_of.insert(number, as_of);
            self.settled.remove(&number);
            self.partitions.insert(number, *partition);
        }
        self.metrics.partitions.set(self.partitions.len() as i64);
        if self.restorers.count() > 0 && self.since(self.restores_shown_at) >= LAG_EVERY {
            self.restores_shown_at = (self.clock)();
            self.restorers.show(self.restores_shown_at, &self.metrics);
        }
        Ok(())
    }

    fn tell_readiness(&self, ready: &ReadinessFlag) {
        self.metrics.restoring.set(self.restorers.count() as i64);
        match self.restorers.count() {
            0 => ready.set_ready(),
            _ => ready.set_waiting("restoring key groups"),
        }
    }

    fn revoked(&mut self, revoked: &[TopicPartition], reader: &mut dyn GroupReader) -> Result<(), DetectorError> {
        self.commit(reader, Extent::State)?;
        reach(FailPoint::LastUnitCommitted);
        for place in revoked {
            if self.restorers.call_off(place.partition) {
                self.metrics.hide_restore(place.partition);
            }
            self.partitions.remove(&place.partition);
            self.as_of.remove(&place.partition);
            self.metrics.hide_lag(place.partition);
        }
        self.round = None;
        self.metrics.partitions.set(self.partitions.len() as i64);
        Ok(())
    }

    fn work(&mut self, reader: &mut dyn GroupReader) -> Result<(), DetectorError> {
        if self.commit_due_in() > Duration::ZERO {
            return Ok(());
        }
        self.committed_at = (self.clock)();
        // Before anything else: when ticks stop coming, the lag in seconds is what shows it.
        if self.since(self.lag_shown_at) >= LAG_EVERY {
            self.lag_shown_at = (self.clock)();
            self.show_lag()?;
        }
        self.compare();
        if self.is_settled() {
            return Ok(());
        }
        if self.round.is_none()
            && self.since(self.checkpointed_at) >= Duration::from_secs(self.config.checkpoint_interval_s)
        {
            self.checkpointed_at = (self.clock)();
            self.round = Some(
                self.partitions
                    .iter()
                    .map(|(number, partition)| (*number, partition.next_offset()))
                    .collect(),
            );
            reach(FailPoint::RoundBegun);
        }
        if self.since(self.state_written_at) >= Duration::from_millis(self.config.state_interval_ms) {
            self.state_written_at = (self.clock)();
            let extent = if self.round.is_some() {
                Extent::Checkpoint
            } else {
                Extent::State
            };
            self.commit(reader, extent)
        } else if self.partitions.values().any(Partition::has_outputs) {
            self.commit(reader, Extent::Outputs)
        } else {
            Ok(())
        }
    }

    /// Whether nothing was read since the last whole unit. Without ticks (a replay that has ended) a log would otherwise grow for ever, and
    /// on Kafka its readers, for whom each unit ends in a marker, would never be level with it.
    fn is_settled(&self) -> bool {
        let level = |(number, partition): (&u32, &Partition)| {
            let is_quiet = !partition.has_outputs() && partition.onward_chunks() == 0;
            self.settled.get(number) == Some(&partition.next_offset()) && is_quiet
        };
        self.partitions.iter().all(level)
    }

    /// Tells now and then how the shadow compares with what is in force.
    fn compare(&mut self) {
        if !self.config.shadow.enabled || self.since(self.compared_at) < COMPARE_EVERY {
            return;
        }
        self.compared_at = (self.clock)();
        let taken = self.partitions.values_mut().filter_map(Partition::take_comparison);
        let comparison = taken.reduce(|mut sum, one| {
            sum.add(one);
            sum
        });
        if let Some(comparison) = comparison {
            ShadowCompared { comparison }.emit(&self.metrics);
        }
    }

    /// The last unit: everything, so that the next start has nothing to apply again.
    fn finish(&mut self, reader: &mut dyn GroupReader) -> Result<(), DetectorError> {
        self.round = Some(
            self.partitions
                .iter()
                .map(|(number, partition)| (*number, partition.next_offset()))
                .collect(),
        );
        while self.round.is_some() {
            self.commit(reader, Extent::Checkpoint)?;
        }
        for completion in self.onward.drain(..) {
            completion.wait()?;
        }
        Ok(())
    }

    fn commit(&mut self, reader: &mut dyn GroupReader, extent: Extent) -> Result<(), DetectorError> {
        if self.partitions.is_empty() {
            self.round = None;
            return Ok(());
        }
        for completion in self.onward.drain(..) {
            completion.wait()?;
        }
        reach(FailPoint::OnwardSettled);
        let mut unit = Unit::default();
        let mut onward = Vec::new();
        let mut alerts = Vec::new();
        let mut round_complete = true;
        for (number, partition) in &mut self.partitions {
            let outputs = partition.take_outputs();
            reach(FailPoint::OutputsTaken);
            for Traced { said: alert, trace } in &outputs.alerts {
                let value = tocsin_wire::alert::encode(alert, partition.names());
                let key = Some(alert.id.0.to_be_bytes().to_vec());
                let record = append(topics::ALERTS, 0, key, Some(value));
                unit.appends.push(traced(record, *trace));
                alerts.push(AlertCommitted {
                    id: alert.id,
                    trace: *trace,
                });
            }
            unit.appends.extend(outputs.families.iter().map(family_record));
            let mut said_once = Vec::new();
            for Traced { said, trace } in outputs.onward {
                let is_said_once = !matches!(&said, Output::Delta(delta) if !delta.is_said_once());
                let (group, record) = match said {
                    Output::Delta(delta) => (delta.family.home(), SightingsRecord::Delta(delta)),
                    Output::Link(link) => (link.content.group(), SightingsRecord::Link(link)),
                    Output::Decision(decision) => (decision.family.home(), SightingsRecord::Decision(decision)),
                    Output::Alert(_) | Output::Announcement(_) | Output::Withdrawal(_) => continue,
                };
                let (to, value) = (self.setup.partitions.partition_of(group), record.encode());
                if is_said_once {
                    said_once.push(value.clone());
                }
                onward.push(traced(append(topics::SIGHTINGS, to, None, Some(value)), trace));
            }
            let mut state = StateUnit::new(*number, self.config.layout());
            state.set_onward(partition, &said_once);
            if extent != Extent::Outputs {
                state.add_changed(partition);
                unit.appends
                    .extend(partition.take_populations().map(|seen| population_record(&seen)));
                self.as_of.insert(*number, partition.now());
            }
            if let (Extent::Checkpoint, Some(round)) = (extent, &self.round) {
                let began_at = round.get(number).copied().unwrap_or(partition.next_offset());
                round_complete &= state.add_checkpoints(partition, began_at, self.config.audit_interval());
            }
            let as_of = self.as_of.get(number).copied().unwrap_or(Timestamp::MIN);
            unit.appends.extend(state.finish(partition, self.setup.epoch, as_of));
            unit.positions
                .push((TopicPartition::new(topics::SIGHTINGS, *number), partition.next_offset()));
            let (counters, unreadable) = partition.take_counters();
            self.counters.add(counters);
            self.unreadable += unreadable;
        }
        reach(FailPoint::UnitComposed);
        self.commit_unit(reader, unit)?;
        reach(FailPoint::UnitCommitted);
        if extent == Extent::Checkpoint && round_complete {
            self.round = None;
            reach(FailPoint::RoundEnded);
        }
        if extent != Extent::Outputs {
            let settled = self
                .partitions
                .iter()
                .filter(|(_, partition)| is_checkpointed(partition));
            self.settled = settled
                .map(|(number, partition)| (*number, partition.next_offset()))
                .collect();
        }
        if !onward.is_empty() {
            self.onward.push(self.appender.append(onward));
            reach(FailPoint::OnwardSent);
        }
        let (counters, unreadable) = (std::mem::take(&mut self.counters), std::mem::take(&mut self.unreadable));
        UnitCommitted {
            counters,
            unreadable,
            alerts: &alerts,
        }
        .emit(&self.metrics);
        Ok(())
    }

    fn commit_unit(&mut self, reader: &mut dyn GroupReader, unit: Unit) -> Result<(), DetectorError> {
        let (mut tries, mut generations) = (0, 0);
        loop {
            let again = Unit {
                appends: unit.appends.clone(),
                positions: unit.positions.clone(),
            };
            let Err(error) = self.committer.commit(&reader.membership(), again) else {
                return Ok(());
            };
            CommitFailed { error: &error }.emit(&self.metrics);
            let is_tried_again = match &error {
                CommitError::NotApplied(_) => {
                    tries += 1;
                    tries < TRIES_MAX
                }
                CommitError::Fenced(LogError::TakenOver { .. } | LogError::Expelled) => false,
                // A rebalance may end between the proof of membership and the commit. Whoever is still inside holds what it held, for
                // nothing is let go but by the poll after `Revoked`; whoever is out has no membership to show.
                CommitError::Fenced(_) => {
                    generations += 1;
                    generations < GENERATIONS_MAX && !matches!(reader.membership(), Membership::Absent(_))
                }
                // A unit of unknown fate is not tried again here: the state in memory may be ahead of the log or level with it, and only
                // a restore from the log tells which. The process ends and its successor restores.
                CommitError::Unknown(_) => false,
            };
            if !is_tried_again {
                return Err(DetectorError::Commit(Box::new(error)));
            }
        }
    }

    /// Shows how far there is to go, and looks whether it can be gone.
    fn show_lag(&mut self) -> Result<(), DetectorError> {
        let now_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64);
        let place = |number: &u32| TopicPartition::new(topics::SIGHTINGS, *number);
        let places: Vec<TopicPartition> = self.partitions.keys().map(place).collect();
        // Without an answer in time the lag in seconds goes on all the same.
        let ends = self.log.ends(&places, LAG_TIME_MAX).unwrap_or_default();
        self.standing.check(&self.partitions, &ends)?;
        for (partition, end) in self.partitions.values().zip(ends) {
            let lag = end.saturating_sub(partition.next_offset());
            let label = partition.number().to_string();
            self.metrics.lag_offsets.with_label_values(&[&label]).set(lag as i64);
        }
        self.metrics.show_first_sightings(&self.partitions);
        for (number, partition) in &self.partitions {
            let label = number.to_string();
            if partition.now() > Timestamp::MIN {
                let lag = (now_ms - partition.now().0).max(0) / 1_000;
                self.metrics.lag_seconds.with_label_values(&[&label]).set(lag);
            }
        }
        Ok(())
    }
}
