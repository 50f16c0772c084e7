//! The seam on the model broker, as one process sees it. Each call is a step of the history.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;
use tocsin_failpoint::{FailPoint, reach};
use tocsin_log::{
    Append, Appender, AppenderOptions, CommitError, Committer, Completion, GroupEvent, GroupOptions, GroupReader,
    Headers, Log, LogError, Membership, Record, RecordRef, StampedBy, TailReader, TopicDifference, TopicInfo,
    TopicPartition, TopicSpec, Unit,
};
use tocsin_wire::topics;

use crate::broker::{Change, Flow, Isolation, ProcessId, Refusal, TransactionId};
use crate::mutant::Mutant;
use crate::world::{Site, State, World};

/// The log of one process.
#[derive(Clone)]
pub struct ModelLog {
    world: Arc<World>,
    process: ProcessId,
    mutant: Mutant,
}

/// What becomes of a commit that does not go as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    /// It is aborted, and the client hears so.
    Refused,
    /// It is applied, and the client does not hear of it.
    AppliedUnheard,
    /// It stays open until its time is up; the client hears nothing.
    LeftOpen,
    /// It is applied later, if its time is not up before; the client hears nothing.
    AppliedLate,
    /// Its records arrive twice.
    Doubled,
}

const MISHAPS: [Mishap; 5] = [
    Mishap::Refused,
    Mishap::AppliedUnheard,
    Mishap::LeftOpen,
    Mishap::AppliedLate,
    Mishap::Doubled,
];

/// How many units a log that tears units tears.
const TORN: f64 = 0.1;

/// Transactions whose end arrives late: when, and which.
pub type LateCommits = Vec<(u64, TransactionId)>;

/// Applies what arrives by now.
pub fn settle_late_commits(state: &mut State) {
    let now_ms = state.now_ms;
    let due: LateCommits = state.late_commits.extract_if(.., |(at, _)| *at <= now_ms).collect();
    for (_, transaction) in due {
        let arrived = state.broker.commit(transaction, now_ms as i64);
        state.note(0, || format!("late commit of transaction {transaction}: {arrived:?}"));
    }
}

impl ModelLog {
    /// The log as `process` sees it.
    pub fn new(world: Arc<World>, process: ProcessId, mutant: Mutant) -> ModelLog {
        ModelLog { world, process, mutant }
    }

    fn step(&self, call: &'static str) {
        self.world.step(self.process, Site::Call(call));
    }

    fn isolation(&self) -> Isolation {
        match self.mutant {
            Mutant::ReadsUncommitted => Isolation::Uncommitted,
            _ => Isolation::Committed,
        }
    }

    fn know(&self, place: &TopicPartition) -> Result<(), LogError> {
        if self.world.state().broker.knows(place) {
            return Ok(());
        }
        Err(LogError::NoSuchPartition {
            topic: place.topic.to_string(),
            partition: place.partition,
        })
    }
}

impl Log for ModelLog {
    fn ensure_topics(&self, _specs: &[TopicSpec]) -> Result<(), LogError> {
        Ok(())
    }

    /// Nobody in a history: that is the director's (see [`crate::anew`]).
    fn delete_topics(&self, _names: &[&str]) -> Result<(), LogError> {
        Err(LogError::Closed)
    }

    fn check_topics(&self, _specs: &[TopicSpec]) -> Result<Vec<TopicDifference>, LogError> {
        Ok(Vec::new())
    }

    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        let standing = self.world.state().broker.topics();
        Ok(crate::sabotage::topics(self.mutant, standing))
    }

    fn bounds(&self, place: &TopicPartition) -> Result<(u64, u64), LogError> {
        self.know(place)?;
        self.step("bounds");
        Ok((0, self.world.state().broker.end(place)))
    }

    fn offset_at(&self, place: &TopicPartition, at_ms: i64) -> Result<u64, LogError> {
        self.know(place)?;
        Ok(self.world.state().broker.offset_at(place, at_ms))
    }

    fn ends(&self, places: &[TopicPartition], _time_max: Duration) -> Result<Vec<u64>, LogError> {
        let state = self.world.state();
        Ok(places.iter().map(|place| state.broker.end(place)).collect())
    }

    fn positions(
        &self,
        _group: &str,
        places: &[TopicPartition],
        _time_max: Duration,
    ) -> Result<Vec<Option<u64>>, LogError> {
        let state = self.world.state();
        let positions = &state.broker.positions;
        Ok(places.iter().map(|place| positions.get(place).copied()).collect())
    }

    fn appender(&self, _options: AppenderOptions) -> Result<Box<dyn Appender>, LogError> {
        Ok(Box::new(self.clone()))
    }

    fn group_reader(&self, options: GroupOptions) -> Result<Box<dyn GroupReader>, LogError> {
        self.step("join the group");
        let state = &mut *self.world.state();
        state.broker.group.join(self.process, &options.instance, state.now_ms);
        Ok(Box::new(Member {
            log: self.clone(),
            group: options.group,
            flows: BTreeMap::new(),
            paused: BTreeSet::new(),
        }))
    }

    fn tail_reader(&self, starts: &[(TopicPartition, u64)]) -> Result<Box<dyn TailReader>, LogError> {
        for (place, _) in starts {
            self.know(place)?;
        }
        Ok(Box::new(Tail {
            log: self.clone(),
            positions: starts.iter().cloned().collect(),
        }))
    }

    fn committer(&self, instance: &str) -> Result<Box<dyn Committer>, LogError> {
        self.step("take over the transactions");
        let state = &mut *self.world.state();
        let epoch = state.broker.take_over(instance, state.now_ms as i64);
        Ok(Box::new(Transactions {
            log: self.clone(),
            instance: instance.to_owned(),
            epoch,
        }))
    }
}

impl Appender for ModelLog {
    /// Records arrive one by one, and others' in between; the completion is there when the call returns.
    fn append(&self, records: Vec<Append>) -> Completion {
        let (done, completion) = Completion::channel();
        let mut offsets = Vec::new();
        for record in records {
            self.step("append");
            let state = &mut *self.world.state();
            if state.chance(state.faults.append) {
                // Nobody waits for it after a crash: that is no error.
                let _ = done.send(Err(LogError::Closed));
                return completion;
            }
            if self.mutant == Mutant::LosesOnward
                && &*record.to.topic == topics::SIGHTINGS
                && state.is_detector(self.process)
            {
                offsets.push(0);
                continue;
            }
            offsets.push(state.broker.append(&record, None, state.now_ms as i64));
        }
        self.step("appended");
        let _ = done.send(Ok(offsets));
        completion
    }
}

/// A member of the group.
struct Member {
    log: ModelLog,
    group: String,
    /// Begun partitions, and where each is to be read.
    flows: BTreeMap<TopicPartition, Flow>,
    paused: BTreeSet<TopicPartition>,
}

impl Member {
    fn hand(&mut self, records_max: usize, sink: &mut dyn FnMut(RecordRef<'_>)) {
        for (place, flow) in &mut self.flows {
            if self.paused.contains(place) {
                continue;
            }
            let records = {
                let state = &mut *self.log.world.state();
                let wanted = state.random.random_range(0..8).min(records_max);
                state.broker.follow(place, flow, wanted, self.log.isolation())
            };
            for record in &records {
                sink(borrow(record));
            }
        }
    }
}

impl GroupReader for Member {
    fn poll(
        &mut self,
        _timeout: Duration,
        records_max: usize,
        sink: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<GroupEvent, LogError> {
        self.log.step("poll");
        let change = {
            let state = &mut *self.log.world.state();
            if state.broker.group.is_replaced(self.log.process) {
                return Err(LogError::Closed);
            }
            state.director.polled(&state.broker, self.log.process);
            state.broker.group.poll(self.log.process)
        };
        match change {
            Some(Change::Assigned(places)) => Ok(GroupEvent::Assigned(places)),
            Some(Change::Revoked(places)) => {
                // Nothing of them is handed over any more.
                self.flows.retain(|place, _| !places.contains(place));
                Ok(GroupEvent::Revoked(places))
            }
            None => {
                self.hand(records_max, sink);
                Ok(GroupEvent::Polled)
            }
        }
    }

    fn begin(&mut self, partition: &TopicPartition, offset: u64) -> Result<(), LogError> {
        self.log.step("begin");
        let flow = self.log.world.state().broker.flow(partition, offset);
        self.flows.insert(partition.clone(), flow);
        Ok(())
    }

    fn committed(&mut self, partition: &TopicPartition) -> Result<Option<u64>, LogError> {
        Ok(self.log.world.state().broker.positions.get(partition).copied())
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.paused.extend(partitions.iter().cloned());
        Ok(())
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.paused.retain(|place| !partitions.contains(place));
        Ok(())
    }

    fn commit_positions(&mut self, positions: &[(TopicPartition, u64)]) -> Result<(), LogError> {
        self.log
            .world
            .state()
            .broker
            .positions
            .extend(positions.iter().cloned());
        Ok(())
    }

    /// The generation stands where the embedded log has the group's name.
    fn membership(&self) -> Membership {
        match self.log.world.state().broker.group.generation_of(self.log.process) {
            Some(generation) => Membership::Embedded(generation.to_string()),
            None => Membership::Absent(self.group.clone()),
        }
    }

    fn close(self: Box<Self>) {}
}

/// A reader of stated partitions.
struct Tail {
    log: ModelLog,
    positions: BTreeMap<TopicPartition, u64>,
}

impl TailReader for Tail {
    fn poll(
        &mut self,
        _timeout: Duration,
        records_max: usize,
        sink: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<usize, LogError> {
        self.log.step("read");
        let mut handed = 0;
        for (place, position) in &mut self.positions {
            let (records, next) = {
                let state = &mut *self.log.world.state();
                let wanted = state.random.random_range(1..300).min(records_max - handed);
                state.broker.read(place, *position, wanted, self.log.isolation())
            };
            *position = next;
            let is_detector = self.log.world.state().is_detector(self.log.process);
            let records = match is_detector {
                true => crate::sabotage::read(self.log.mutant, place, records),
                false => records,
            };
            handed += records.len();
            records.iter().for_each(|record| sink(borrow(record)));
            if handed >= records_max {
                break;
            }
        }
        Ok(handed)
    }

    fn position(&self, partition: &TopicPartition) -> Option<u64> {
        self.positions.get(partition).copied()
    }
}

/// A transactional producer, in the steps of `kafka/commit.rs`.
struct Transactions {
    log: ModelLog,
    instance: String,
    epoch: u32,
}

impl Transactions {
    fn fenced(&self, refusal: Refusal) -> CommitError {
        match refusal {
            Refusal::Fenced => CommitError::Fenced(LogError::TakenOver {
                instance: self.instance.clone(),
            }),
            Refusal::Generation => CommitError::Fenced(LogError::NotAMember { group: String::new() }),
        }
    }

    fn produce(&self, id: TransactionId, unit: &Unit) -> Result<(), Refusal> {
        for append in &unit.appends {
            let pause = self.log.world.state().chance(0.05);
            if pause {
                self.log.step("produce");
            }
            let state = &mut *self.log.world.state();
            state.broker.produce(id, append, state.now_ms as i64)?;
        }
        Ok(())
    }

    fn add_positions(&self, id: TransactionId, unit: &Unit, generation: Option<u64>) -> Result<(), Refusal> {
        let state = &mut *self.log.world.state();
        if let Some(generation) = generation
            && let Err(refusal) = state.broker.add_positions(id, &unit.positions, generation)
        {
            state.broker.abort(id, state.now_ms as i64);
            state.note(self.log.process, || format!("positions refused: {refusal:?}"));
            return Err(refusal);
        }
        // Who writes the state of a partition must own it, whether or not anybody looks.
        let written = unit.appends.iter().filter(|append| &*append.to.topic == topics::STATE);
        let places: BTreeSet<TopicPartition> = written
            .map(|append| TopicPartition::new(topics::SIGHTINGS, append.to.partition))
            .collect();
        state.broker.note_owners(id, places.into_iter());
        Ok(())
    }

    #[expect(clippy::result_large_err, reason = "the seam's error, once for a whole unit")]
    fn end(&self, id: TransactionId, unit: &Unit) -> Result<(), CommitError> {
        let state = &mut *self.log.world.state();
        let now_ms = state.now_ms as i64;
        let mishap = state
            .chance(state.faults.commit)
            .then(|| MISHAPS[state.random.random_range(0..MISHAPS.len())]);
        state.note(self.log.process, || format!("ends transaction {id}, {mishap:?}"));
        match mishap {
            None => {
                let committed = state.broker.commit(id, now_ms);
                committed.map_err(|refusal| self.fenced(refusal))?;
                if self.log.mutant == Mutant::TornUnits && !unit.appends.is_empty() && state.chance(TORN) {
                    let lost = state.random.random_range(0..unit.appends.len());
                    state.broker.tear(id, &unit.appends[lost].to);
                }
                Ok(())
            }
            Some(Mishap::Refused) => {
                state.broker.abort(id, now_ms);
                Err(CommitError::NotApplied(LogError::Closed))
            }
            Some(Mishap::AppliedUnheard) => {
                let committed = state.broker.commit(id, now_ms);
                committed.map_err(|refusal| self.fenced(refusal))?;
                Err(CommitError::Unknown(LogError::Closed))
            }
            Some(Mishap::LeftOpen) => Err(CommitError::Unknown(LogError::Closed)),
            Some(Mishap::AppliedLate) => {
                let at = state.now_ms + state.random.random_range(1..800);
                state.late_commits.push((at, id));
                Err(CommitError::Unknown(LogError::Closed))
            }
            Some(Mishap::Doubled) => {
                let committed = state.broker.commit(id, now_ms);
                committed.map_err(|refusal| self.fenced(refusal))?;
                for append in &unit.appends {
                    state.broker.append(append, None, now_ms);
                }
                Ok(())
            }
        }
    }

    #[expect(clippy::result_large_err, reason = "the seam's error, once for a whole unit")]
    fn transact(&mut self, membership: &Membership, unit: &Unit) -> Result<(), CommitError> {
        self.log.step("commit");
        let generation = match membership {
            Membership::Embedded(generation) => generation.parse::<u64>().ok(),
            Membership::Kafka(_) | Membership::Absent(_) => None,
        };
        if generation.is_none() && !unit.positions.is_empty() {
            return Err(self.fenced(Refusal::Generation));
        }
        let generation = generation.filter(|_| !unit.positions.is_empty());
        let opened = {
            let state = &mut *self.log.world.state();
            state
                .broker
                .open(self.log.process, (&self.instance, self.epoch), state.now_ms)
        };
        let id = opened.map_err(|refusal| self.fenced(refusal))?;
        reach(FailPoint::TransactionBegun);
        let early = self.log.mutant == Mutant::PositionsBeforeRecords;
        if early {
            self.add_positions(id, unit, generation)
                .map_err(|refusal| self.fenced(refusal))?;
            reach(FailPoint::PositionsAdded);
        }
        self.produce(id, unit).map_err(|refusal| self.fenced(refusal))?;
        reach(FailPoint::RecordsDelivered);
        if !early {
            self.add_positions(id, unit, generation)
                .map_err(|refusal| self.fenced(refusal))?;
            reach(FailPoint::PositionsAdded);
        }
        self.end(id, unit)?;
        reach(FailPoint::TransactionEnded);
        Ok(())
    }
}

impl Committer for Transactions {
    fn commit(&mut self, membership: &Membership, unit: Unit) -> Result<(), CommitError> {
        let mutant = self.log.mutant;
        let unit = crate::sabotage::unit(mutant, unit);
        match (mutant, self.transact(membership, &unit)) {
            (Mutant::TakesUnknownForApplied, Err(CommitError::Unknown(_))) => Ok(()),
            (Mutant::TakesRefusedForApplied, Err(CommitError::NotApplied(_))) => Ok(()),
            (_, result) => result,
        }
    }
}

fn borrow(record: &Record) -> RecordRef<'_> {
    RecordRef {
        topic: &record.from.topic,
        partition: record.from.partition,
        offset: record.offset,
        appended_at_ms: record.appended_at_ms,
        stamped_by: StampedBy::Log,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: Headers::Slice(&record.headers),
    }
}
