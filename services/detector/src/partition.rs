use tocsin_log::{Log, LogError, RecordRef};
use tocsin_model::{Alert, FamilyAnnouncement, GroupId, PartitionCount, Populations, SightingKeys, Timestamp};
use tocsin_runtime::Traceparent;
use tocsin_velocity::{Comparison, Counters, Group, GroupConfig, HotKey, Input, Output, read_ahead};
use tocsin_wire::block::BlockReader;
use tocsin_wire::state::StateBinding;
use tocsin_wire::{Names, SightingsRecord, TickTime, topics};

/// The key groups of one partition, and how far its log was applied.
#[derive(Debug)]
pub struct Partition {
    number: u32,
    partitions: PartitionCount,
    /// See [`deployment_of`].
    deployment: u128,
    topics: TopicIds,
    /// Ascending: every `partitions`-th group of the deployment, from `number` on.
    groups: Vec<Tracked>,
    names: Names,
    next_offset: u64,
    now: Timestamp,
    scratch: Vec<u8>,
    outputs: Vec<Output>,
    /// The trace of the record behind each of `outputs`; those past its end have none.
    traces: Vec<Option<Traceparent>>,
    unreadable: u64,
    /// Whether the state topic holds what a unit had to say to other partitions.
    onward_chunks: u32,
}

/// By what a state tells whose it is: a digest of the deployment key, under which alone its cold counts and content ids mean anything.
pub(crate) fn deployment_of(config: &GroupConfig) -> u128 {
    config.key.digest("state", &[])
}

/// The ids of the topics that a partition is made of; 0 where the log tells none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicIds {
    pub(crate) sightings: u64,
    pub(crate) state: u64,
}

impl TopicIds {
    /// As they stand.
    ///
    /// # Errors
    /// The log cannot be asked.
    pub(crate) fn of(log: &dyn Log) -> Result<Self, LogError> {
        let standing = log.topics()?;
        let id = |name| {
            standing
                .iter()
                .find(|topic| topic.name == name)
                .map_or(0, |topic| topic.id)
        };
        Ok(TopicIds {
            sightings: id(topics::SIGHTINGS),
            state: id(topics::STATE),
        })
    }
}

/// A group and where its checkpoint stands.
#[derive(Debug)]
pub(crate) struct Tracked {
    pub(crate) group: Group,
    /// Inputs before this offset are in the state that was restored: they are not applied again.
    pub(crate) applied_from: u64,
    /// The version of the group at its last checkpoint, and how many chunks each part of it took.
    pub(crate) checkpointed: Option<Checkpointed>,
    /// The partition's time at the last copy for audits that this process made.
    pub(crate) copied_at: Option<Timestamp>,
}

impl Tracked {
    /// A group as its checkpoint at this offset, in the layout of this version, says.
    pub(crate) fn restored(group: Group, offset: u64, format: u16) -> Self {
        let version = group.version();
        Tracked {
            group,
            applied_from: offset,
            checkpointed: Some(Checkpointed {
                version,
                offset,
                format,
            }),
            copied_at: None,
        }
    }
}

/// What a group's last checkpoint was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpointed {
    pub(crate) version: u64,
    pub(crate) offset: u64,
    /// The version of its layout.
    pub(crate) format: u16,
}

/// What the groups said since this was last taken.
#[derive(Debug, Default)]
pub struct PartitionOutputs {
    /// Alarms, in order.
    pub alerts: Vec<Traced<Alert>>,
    /// What is to be known of families, in order.
    pub families: Vec<FamilyNews>,
    /// Deltas and links: inputs of other groups.
    pub onward: Vec<Traced<Output>>,
}

/// What is to be known of families elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub enum FamilyNews {
    /// A content became hot or changed its family.
    Announced(FamilyAnnouncement),
    /// A content is hot no more.
    Withdrawn(HotKey),
}

/// What a group said, and the trace of the record that made it say so. A tick has none: what it makes due belongs to no one event.
#[derive(Clone, Debug, PartialEq)]
pub struct Traced<T> {
    /// What was said.
    pub said: T,
    /// The trace.
    pub trace: Option<Traceparent>,
}

impl Partition {
    /// A partition whose groups have seen nothing, to be read from `next_offset`.
    pub fn new(number: u32, partitions: PartitionCount, config: &GroupConfig, next_offset: u64) -> Self {
        let group = |id| Tracked {
            group: Group::new(id, config.clone()),
            applied_from: next_offset,
            checkpointed: None,
            copied_at: None,
        };
        Partition {
            number,
            partitions,
            deployment: deployment_of(config),
            topics: TopicIds::default(),
            groups: partitions.groups_of(number).map(group).collect(),
            names: Names::default(),
            next_offset,
            now: Timestamp::MIN,
            scratch: Vec::new(),
            outputs: Vec::new(),
            traces: Vec::new(),
            unreadable: 0,
            onward_chunks: 0,
        }
    }

    /// Applies one record of the sightings topic.
    pub fn apply(&mut self, record: RecordRef<'_>) {
        self.next_offset = record.offset + 1;
        self.apply_value(&record);
        if self.outputs.len() > self.traces.len() {
            let header = record.headers.get(Traceparent::HEADER);
            let trace = header
                .and_then(|value| std::str::from_utf8(value).ok())
                .and_then(Traceparent::parse);
            self.traces.resize(self.outputs.len(), trace);
        }
    }

    fn apply_value(&mut self, record: &RecordRef<'_>) {
        let Some(value) = record.value else {
            self.unreadable += 1;
            return;
        };
        match SightingsRecord::decode(value) {
            Ok(SightingsRecord::Block(block)) => self.apply_block(&block, record.offset),
            Ok(SightingsRecord::Link(link)) => self.apply_to(link.content.group(), Input::Link(&link), record.offset),
            Ok(SightingsRecord::Delta(delta)) => {
                self.apply_to(delta.family.home(), Input::Delta(&delta), record.offset)
            }
            Ok(SightingsRecord::Decision(decision)) => {
                self.apply_to(decision.family.home(), Input::Decision(&decision), record.offset);
            }
            Ok(SightingsRecord::Calibration(calibration)) => {
                self.apply_to_all(Input::Calibration(&calibration), record.offset);
            }
            Ok(SightingsRecord::Watch(watch)) => {
                self.apply_to(watch.content.group(), Input::Watch(&watch), record.offset)
            }
            Ok(SightingsRecord::Weighing(weighing)) => self.apply_to_all(Input::Weighing(&weighing), record.offset),
            Ok(SightingsRecord::Tick(TickTime::AppendStamp)) => {
                self.apply_tick(Timestamp(record.appended_at_ms), record.offset);
            }
            Ok(SightingsRecord::Tick(TickTime::At(at))) => self.apply_tick(at, record.offset),
            Err(_) => self.unreadable += 1,
        }
    }

    /// The partition's number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The offset of the next record to apply.
    pub fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// What binds its state to the deployment, its input, and the checkpoints that stand.
    pub(crate) fn binding(&self) -> StateBinding {
        let checkpointed = self.groups.iter().filter(|tracked| tracked.checkpointed.is_some());
        StateBinding {
            deployment: self.deployment,
            input: self.topics.sightings,
            groups: checkpointed.count() as u16,
        }
    }

    /// The topics of its input and its state, as they stood when it was restored.
    pub(crate) fn topics(&self) -> TopicIds {
        self.topics
    }

    pub(crate) fn set_topics(&mut self, topics: TopicIds) {
        self.topics = topics;
    }

    /// Records beside the input that could not be read.
    pub(crate) fn count_unreadable(&mut self, records: u64) {
        self.unreadable += records;
    }

    /// The latest time a tick told.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The names of parties and platforms met so far.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Takes what the groups said.
    pub fn take_outputs(&mut self) -> PartitionOutputs {
        let mut taken = PartitionOutputs::default();
        let traces = std::mem::take(&mut self.traces)
            .into_iter()
            .chain(std::iter::repeat(None));
        for (output, trace) in self.outputs.drain(..).zip(traces) {
            match output {
                Output::Alert(said) => taken.alerts.push(Traced { said: *said, trace }),
                Output::Announcement(announcement) => taken.families.push(FamilyNews::Announced(announcement)),
                Output::Withdrawal(key) => taken.families.push(FamilyNews::Withdrawn(key)),
                said @ (Output::Delta(_) | Output::Link(_) | Output::Decision(_)) => {
                    taken.onward.push(Traced { said, trace });
                }
            }
        }
        taken
    }

    /// Whether anything waits in [`Partition::take_outputs`].
    pub fn has_outputs(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// What was counted since this was last asked, over all groups, and how many records could not be read.
    pub fn take_counters(&mut self) -> (Counters, u64) {
        let mut sum = Counters::default();
        for tracked in &mut self.groups {
            sum.add(tracked.group.take_counters());
        }
        (sum, std::mem::take(&mut self.unreadable))
    }

    /// What the groups have seen of ordinary contents, of those in which an hour ended since this was last asked.
    pub(crate) fn take_populations(&mut self) -> impl Iterator<Item = Populations> + '_ {
        self.groups
            .iter_mut()
            .filter_map(|tracked| tracked.group.take_populations())
    }

    /// How the shadow's raises compared since this was last asked; `None` without one.
    pub(crate) fn take_comparison(&mut self) -> Option<Comparison> {
        let taken = self
            .groups
            .iter_mut()
            .filter_map(|tracked| tracked.group.take_comparison());
        taken.reduce(|mut sum, one| {
            sum.add(one);
            sum
        })
    }

    /// How full the fullest filter of first sightings is, in percent.
    pub(crate) fn first_sightings_percent(&self) -> usize {
        let cold = self.states().flat_map(Group::cold);
        let percent = cold.map(|(_, cold)| 100 * cold.first_sightings() / cold.first_sightings_max());
        percent.max().unwrap_or(0)
    }

    /// The state machines, ascending by their ids.
    pub fn states(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().map(|tracked| &tracked.group)
    }

    /// The same, for whoever takes a state machine apart and puts it together again.
    pub fn states_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.groups.iter_mut().map(|tracked| &mut tracked.group)
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = &Tracked> {
        self.groups.iter()
    }

    pub(crate) fn groups_mut(&mut self) -> impl Iterator<Item = &mut Tracked> {
        self.groups.iter_mut()
    }

    /// Puts in a restored group.
    pub(crate) fn put(&mut self, tracked: Tracked) {
        let place = self.place(tracked.group.id());
        let of_same_group = |other: &&mut Tracked| other.group.id() == tracked.group.id();
        if let Some(other) = self.groups.get_mut(place).filter(of_same_group) {
            *other = tracked;
        }
    }

    pub(crate) fn names_mut(&mut self) -> &mut Names {
        &mut self.names
    }

    pub(crate) fn set_position(&mut self, next_offset: u64) {
        self.next_offset = next_offset;
    }

    /// Drops what the groups said: they said it before a restart. What changed is kept: it may not have been written before the crash.
    pub(crate) fn forget_outputs(&mut self) {
        self.outputs.clear();
        self.traces.clear();
        for tracked in &mut self.groups {
            tracked.group.take_counters();
        }
    }

    /// Brings every group to a time that ticks told it before a restart: a group that nothing happened to was not checkpointed again.
    pub(crate) fn bring_to(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
        for tracked in &mut self.groups {
            tracked.group.apply(Input::Tick(at), &mut self.outputs);
        }
    }

    /// Says again what other groups may not have heard before a crash.
    pub(crate) fn repeat_outbox(&mut self) {
        let outboxes = self.groups.iter().flat_map(|tracked| tracked.group.outbox());
        self.outputs.extend(outboxes);
    }

    /// Says again, after the outboxes, what the last unit before a crash had to say beside them.
    pub(crate) fn repeat_onward(&mut self, said: impl IntoIterator<Item = Output>) {
        self.outputs.extend(said);
    }

    /// In how many records the state topic holds what a unit had to say to other partitions.
    pub(crate) fn onward_chunks(&self) -> u32 {
        self.onward_chunks
    }

    pub(crate) fn set_onward_chunks(&mut self, onward_chunks: u32) {
        self.onward_chunks = onward_chunks;
    }

    fn apply_to(&mut self, group: GroupId, input: Input<'_>, offset: u64) {
        let place = self.place(group);
        match self.groups.get_mut(place).filter(|tracked| tracked.group.id() == group) {
            Some(tracked) if offset >= tracked.applied_from => tracked.group.apply(input, &mut self.outputs),
            Some(_) => {}
            None => self.unreadable += 1,
        }
    }

    /// Where a group of this partition stands in `groups`.
    fn place(&self, group: GroupId) -> usize {
        usize::from(group.0 / self.partitions.get())
    }

    fn apply_block(&mut self, block: &[u8], offset: u64) {
        let mut scratch = std::mem::take(&mut self.scratch);
        match BlockReader::new(block, &mut scratch) {
            Ok(reader) => {
                reader.add_names(&mut self.names);
                self.read_ahead(&reader);
                for sighting in reader.sightings() {
                    self.apply_to(sighting.content.group(), Input::Sighting(&sighting), offset);
                }
            }
            Err(_) => self.unreadable += 1,
        }
        self.scratch = scratch;
    }

    /// Reads ahead what the sightings of a block will need: most of it is far away, and fetched together it comes sooner.
    fn read_ahead(&self, block: &BlockReader<'_>) {
        let known = |keys: SightingKeys| {
            let tracked = self.groups.get(self.place(keys.content.group()))?;
            Some((&tracked.group, keys))
        };
        std::hint::black_box(read_ahead(block.keys().filter_map(known)));
    }

    fn apply_tick(&mut self, at: Timestamp, offset: u64) {
        self.now = self.now.max(at);
        self.apply_to_all(Input::Tick(at), offset);
    }

    fn apply_to_all(&mut self, input: Input<'_>, offset: u64) {
        for tracked in &mut self.groups {
            if offset >= tracked.applied_from {
                tracked.group.apply(input, &mut self.outputs);
            }
        }
    }

    /// How the partition was cut out of the deployment.
    pub fn partitions(&self) -> PartitionCount {
        self.partitions
    }
}
