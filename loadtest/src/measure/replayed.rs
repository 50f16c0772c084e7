//! The log as a detector sees it that applies sightings once more: it reads them where they stand, and everything else is its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tocsin_log::{
    Append, Appender, AppenderOptions, CommitError, Committer, Completion, Durability, GroupEvent, GroupOptions,
    GroupReader, Log, LogDecorator, LogError, Membership, RecordRef, SharedLog, TailReader, TopicPartition, TopicSpec,
    Unit,
};
use tocsin_wire::topics;

/// How units are committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Commits {
    /// As in production.
    Transactions,
    /// Appended and waited for. What is atomic about a unit is lost: only to compare with.
    Appended,
}

/// See the module.
pub(super) struct Replayed {
    log: SharedLog,
    names: Names,
    /// The partitions to read. None: what the group gives.
    partitions: Vec<u32>,
    /// Those are not read before this file is there.
    gate: Option<PathBuf>,
    commits: Commits,
}

/// What a detector writes.
const WRITTEN: [&str; 6] = [
    topics::SIGHTINGS,
    topics::STATE,
    topics::CHECKPOINTS,
    topics::ALERTS,
    topics::FAMILIES,
    topics::POPULATIONS,
];

/// The names of what it writes. Sightings are read where they stand.
#[derive(Clone)]
struct Names {
    prefix: Arc<str>,
}

impl Names {
    fn written(&self, place: &TopicPartition) -> TopicPartition {
        TopicPartition::new(format!("{}{}", self.prefix, place.topic), place.partition)
    }

    fn read(&self, place: &TopicPartition) -> TopicPartition {
        let topic = &*place.topic;
        if topic == topics::SIGHTINGS || !WRITTEN.contains(&topic) {
            return place.clone();
        }
        self.written(place)
    }

    fn all_written(&self, appends: Vec<Append>) -> Vec<Append> {
        let renamed = |append: Append| Append {
            to: self.written(&append.to),
            ..append
        };
        appends.into_iter().map(renamed).collect()
    }
}

impl Replayed {
    pub(super) fn new(log: SharedLog, run: &str, partitions: &[u32], gate: Option<PathBuf>, commits: Commits) -> Self {
        Replayed {
            log,
            names: Names {
                prefix: prefix(run).into(),
            },
            partitions: partitions.to_vec(),
            gate,
            commits,
        }
    }

    /// The topics of a run, of those that a detector writes.
    pub(super) fn topics(run: &str, specs: Vec<TopicSpec>) -> Vec<TopicSpec> {
        let mut specs = specs;
        specs.retain(|spec| WRITTEN.contains(&spec.name.as_str()));
        for spec in &mut specs {
            spec.name = format!("{}{}", prefix(run), spec.name);
        }
        specs
    }
}

fn prefix(run: &str) -> String {
    format!("loadtest.{run}.")
}

impl LogDecorator for Replayed {
    fn inner(&self) -> &dyn Log {
        self.log.as_ref()
    }

    fn bounds(&self, partition: &TopicPartition) -> Result<(u64, u64), LogError> {
        self.log.bounds(&self.names.read(partition))
    }

    fn ends(&self, partitions: &[TopicPartition], time_max: Duration) -> Result<Vec<u64>, LogError> {
        let partitions: Vec<TopicPartition> = partitions.iter().map(|place| self.names.read(place)).collect();
        self.log.ends(&partitions, time_max)
    }

    fn positions(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        time_max: Duration,
    ) -> Result<Vec<Option<u64>>, LogError> {
        let group = format!("{}{group}", self.names.prefix);
        let partitions: Vec<TopicPartition> = partitions.iter().map(|place| self.names.read(place)).collect();
        self.log.positions(&group, &partitions, time_max)
    }

    fn appender(&self, options: AppenderOptions) -> Result<Box<dyn Appender>, LogError> {
        Ok(Box::new(Renamed {
            appender: self.log.appender(options)?,
            names: self.names.clone(),
        }))
    }

    fn group_reader(&self, options: GroupOptions) -> Result<Box<dyn GroupReader>, LogError> {
        let group = format!("{}{}", self.names.prefix, options.group);
        if self.partitions.is_empty() {
            return self.log.group_reader(GroupOptions { group, ..options });
        }
        let places = self.partitions.iter();
        Ok(Box::new(Part {
            log: self.log.clone(),
            group,
            places: places
                .map(|number| TopicPartition::new(topics::SIGHTINGS, *number))
                .collect(),
            gate: self.gate.clone(),
            is_told: false,
            begun: Vec::new(),
            reader: None,
        }))
    }

    fn tail_reader(&self, starts: &[(TopicPartition, u64)]) -> Result<Box<dyn TailReader>, LogError> {
        let named = starts.iter().map(|(place, offset)| (self.names.read(place), *offset));
        let reader = self.log.tail_reader(&named.collect::<Vec<_>>())?;
        let names = self.names.clone();
        Ok(Box::new(RenamedTail { reader, names }))
    }

    fn committer(&self, instance: &str) -> Result<Box<dyn Committer>, LogError> {
        let instance = format!("{}{instance}-{:?}", self.names.prefix, self.partitions);
        let committer = match self.commits {
            Commits::Transactions => self.log.committer(&instance)?,
            Commits::Appended => Box::new(Plain(self.log.appender(AppenderOptions {
                name: instance,
                durability: Durability::Synced,
                gapless: false,
            })?)),
        };
        Ok(Box::new(RenamedUnits {
            committer,
            names: self.names.clone(),
            is_member: self.partitions.is_empty(),
        }))
    }
}

struct Renamed {
    appender: Box<dyn Appender>,
    names: Names,
}

impl Appender for Renamed {
    fn append(&self, records: Vec<Append>) -> Completion {
        self.appender.append(self.names.all_written(records))
    }
}

struct RenamedTail {
    reader: Box<dyn TailReader>,
    names: Names,
}

impl TailReader for RenamedTail {
    fn poll(
        &mut self,
        timeout: Duration,
        records_max: usize,
        sink: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<usize, LogError> {
        let prefix = &self.names.prefix;
        self.reader.poll(timeout, records_max, &mut |record| {
            let topic = record.topic.strip_prefix(&**prefix).unwrap_or(record.topic);
            sink(RecordRef { topic, ..record });
        })
    }

    fn position(&self, partition: &TopicPartition) -> Option<u64> {
        self.reader.position(&self.names.read(partition))
    }
}

struct RenamedUnits {
    committer: Box<dyn Committer>,
    names: Names,
    /// Without a group there are no positions to commit.
    is_member: bool,
}

impl Committer for RenamedUnits {
    fn commit(&mut self, membership: &Membership, unit: Unit) -> Result<(), CommitError> {
        let appends = self.names.all_written(unit.appends);
        let positions = if self.is_member { unit.positions } else { Vec::new() };
        self.committer.commit(membership, Unit { appends, positions })
    }
}

/// Units without transactions.
struct Plain(Box<dyn Appender>);

impl Committer for Plain {
    fn commit(&mut self, _: &Membership, unit: Unit) -> Result<(), CommitError> {
        let appended = self.0.append(unit.appends).wait();
        appended.map(drop).map_err(CommitError::NotApplied)
    }
}

/// Stated partitions in place of a group's: so that two processes begin at once, each with its half.
struct Part {
    log: SharedLog,
    group: String,
    places: Vec<TopicPartition>,
    gate: Option<PathBuf>,
    is_told: bool,
    begun: Vec<(TopicPartition, u64)>,
    reader: Option<Box<dyn TailReader>>,
}

impl GroupReader for Part {
    fn poll(
        &mut self,
        timeout: Duration,
        records_max: usize,
        sink: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<GroupEvent, LogError> {
        if !self.is_told {
            self.is_told = true;
            return Ok(GroupEvent::Assigned(self.places.clone()));
        }
        if self.gate.as_ref().is_some_and(|gate| !gate.exists()) {
            std::thread::sleep(Duration::from_millis(1));
            return Ok(GroupEvent::Polled);
        }
        self.gate = None;
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(self.log.tail_reader(&self.begun)?),
        };
        reader.poll(timeout, records_max, sink)?;
        Ok(GroupEvent::Polled)
    }

    fn begin(&mut self, partition: &TopicPartition, offset: u64) -> Result<(), LogError> {
        self.begun.push((partition.clone(), offset));
        Ok(())
    }

    fn committed(&mut self, _: &TopicPartition) -> Result<Option<u64>, LogError> {
        Ok(None)
    }

    fn pause(&mut self, _: &[TopicPartition]) -> Result<(), LogError> {
        Ok(())
    }

    fn resume(&mut self, _: &[TopicPartition]) -> Result<(), LogError> {
        Ok(())
    }

    fn commit_positions(&mut self, _: &[(TopicPartition, u64)]) -> Result<(), LogError> {
        Ok(())
    }

    fn membership(&self) -> Membership {
        Membership::Embedded(self.group.clone())
    }

    fn close(self: Box<Self>) {}
}
