use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus::Registry as MetricsRegistry;
use tocsin_log::{
    Append, Appender, AppenderOptions, Durability, GroupEvent, GroupOptions, GroupReader, Log, LogError, Progress,
    STALLED_TIME_MAX, SharedLog, TailReader, TopicPartition, TopicWatch, read_through,
};
use tocsin_model::SourceId;
use tocsin_runtime::{MemoryPressure, ReadinessFlag, Shutdown};
use tocsin_wire::{Schemas, topics};

use crate::awaiting::{Awaiting, ReadBefore};
use crate::config::{IntakeConfig, IntakeSetup, MappingRefused, TimeSource};
use crate::machine::Intake;
use crate::on_their_way::OnTheirWay;
use crate::pressure::Pressure;
use crate::source::SourceState;
use crate::sources::Sources;
use crate::telemetry::{BatchRead, Metrics, PositionsNotStored, RecordUnreadable, RecordsSkipped, SourceReplaced};

const GROUP: &str = "tocsin-intake";
/// Records handed over by one poll at most.
const RECORDS_PER_POLL: usize = 2_000;
/// A block stays open at most this long.
const BLOCK_OPEN_MAX: Duration = Duration::from_millis(10);
/// How long the brokers may take to say how far there is to go. Without an answer the lag shown stays as it is.
const LAG_TIME_MAX: Duration = Duration::from_secs(1);
/// How often it is looked whether records that were missing had been taken by retention.
const GAPS_EVERY: Duration = Duration::from_secs(10);
/// How often positions and clocks are written.
const STATE_EVERY: Duration = Duration::from_secs(1);

/// Why an intake stops.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The log failed.
    #[error("the log failed")]
    Log(#[source] Box<LogError>),
    /// A mapping of actions is no longer what it was when the configuration was checked.
    #[error("a mapping of actions cannot be used")]
    Mapping(#[source] MappingRefused),
    /// A metric could not be registered.
    #[error("a metric could not be registered")]
    Metrics(#[source] prometheus::Error),
}

impl From<LogError> for IntakeError {
    fn from(source: LogError) -> Self {
        IntakeError::Log(Box::new(source))
    }
}

/// Runs intake on the calling thread until shutdown is requested.
///
/// # Errors
/// The log needs an operator.
pub fn run(
    config: &IntakeConfig,
    setup: IntakeSetup,
    schemas: Schemas,
    log: &SharedLog,
    registry: &MetricsRegistry,
    ready: &ReadinessFlag,
    shutdown: &Shutdown,
) -> Result<(), IntakeError> {
    let mut reader = log.group_reader(GroupOptions {
        group: GROUP.to_owned(),
        // A member without a name of its own: a named one that comes back is given its old partitions without a rebalance, and never those
        // of a party that was added while it was away.
        instance: String::new(),
        topics: vec![format!("{}*", topics::INGEST_PREFIX), topics::DECISIONS.to_owned()],
    })?;
    let mappings = config.mappings().map_err(IntakeError::Mapping)?;
    let memory = setup.memory.clone();
    let intake = Intake::new(config, setup, schemas).with_mappings(mappings);
    let mut shell = Shell::new(config, intake, log, registry, shutdown)?;
    shell.memory = memory;
    let worked = shell.work_on(reader.as_mut(), ready);
    match worked {
        Err(IntakeError::Log(error)) if matches!(*error, LogError::CalledOff { .. }) => {}
        worked => worked?,
    }
    shell.write_state(reader.as_mut())?;
    shell.look_at_gaps();
    reader.close();
    Ok(())
}

pub(crate) struct Shell<'a> {
    config: &'a IntakeConfig,
    log: &'a dyn Log,
    shutdown: &'a Shutdown,
    metrics: Metrics,
    intake: Intake,
    /// Parties and families: every intake reads all of them, from the beginning.
    news: Box<dyn TailReader>,
    appender: Box<dyn Appender>,
    on_their_way: OnTheirWay,
    pressure: Pressure,
    memory: MemoryPressure,
    sources: Sources,
    awaiting: Awaiting,
    /// The next decision to relay, where this process owns the topic.
    decisions_position: Option<u64>,
    ticked_at: Instant,
    flushed_at: Instant,
    state_written_at: Instant,
    gaps_looked_at: Instant,
    standing: TopicWatch,
    /// The position last written, by source.
    written: BTreeMap<SourceId, u64>,
}

impl<'a> Shell<'a> {
    pub(crate) fn new(
        config: &'a IntakeConfig,
        intake: Intake,
        log: &'a SharedLog,
        registry: &MetricsRegistry,
        shutdown: &'a Shutdown,
    ) -> Result<Self, IntakeError> {
        let partitions = intake.partitions();
        let news = [
            (TopicPartition::new(topics::PARTIES, 0), 0),
            (TopicPartition::new(topics::FAMILIES, 0), 0),
        ];
        Ok(Shell {
            config,
            log: log.as_ref(),
            shutdown,
            metrics: Metrics::register(registry).map_err(IntakeError::Metrics)?,
            intake,
            news: log.tail_reader(&news)?,
            appender: log.appender(AppenderOptions {
                name: "intake".to_owned(),
                durability: Durability::Ordered,
                gapless: true,
            })?,
            on_their_way: OnTheirWay::default(),
            pressure: Pressure::watch(log, partitions)?,
            memory: MemoryPressure::default(),
            sources: Sources::default(),
            awaiting: Awaiting::default(),
            decisions_position: None,
            ticked_at: Instant::now(),
            flushed_at: Instant::now(),
            state_written_at: Instant::now(),
            gaps_looked_at: Instant::now(),
            standing: TopicWatch::begin(log)?,
            written: BTreeMap::new(),
        })
    }

    /// Works until shutdown is requested.
    fn work_on(&mut self, reader: &mut dyn GroupReader, ready: &ReadinessFlag) -> Result<(), IntakeError> {
        self.read_news_through()?;
        self.intake.caught_up();
        ready.set_ready();
        while !self.shutdown.is_requested() {
            self.read_news(Duration::ZERO)?;
            self.begin_awaited(reader)?;
            match self.poll(reader)? {
                GroupEvent::Polled => {}
                GroupEvent::Assigned(assigned) => self.assigned(&assigned, reader)?,
                GroupEvent::Revoked(revoked) => self.revoked(&revoked, reader)?,
            }
            self.work(reader)?;
        }
        Ok(())
    }

    pub(crate) fn poll(&mut self, reader: &mut dyn GroupReader) -> Result<GroupEvent, IntakeError> {
        let wait = if self.intake.has_open_blocks() {
            BLOCK_OPEN_MAX
        } else {
            self.tick_due_in()
        };
        let (intake, sources, decisions) = (&mut self.intake, &self.sources, &mut self.decisions_position);
        // The group wants its member to go on polling.
        let is_held_back = self.pressure.is_high() || self.memory.holds_back();
        self.metrics.held_back.set(i64::from(is_held_back));
        self.metrics.pressure_unknown.inc_by(self.pressure.take_failed());
        let records_max = if is_held_back { 0 } else { RECORDS_PER_POLL };
        let mut unreadable = Vec::new();
        let event = reader.poll(wait, records_max, &mut |record| {
            if record.topic == topics::DECISIONS {
                match record.value.and_then(|value| tocsin_wire::decision::decode(value).ok()) {
                    Some(decision) => intake.decided(decision),
                    None => unreadable.push(record.offset),
                }
                *decisions = Some(record.offset + 1);
                return;
            }
            if let Some(source) = sources.get(record.topic, record.partition) {
                intake.record(source, record);
            }
        })?;
        for offset in unreadable {
            let topic = topics::DECISIONS;
            RecordUnreadable { topic, offset }.emit(&self.metrics);
        }
        Ok(event)
    }

    fn tick_due_in(&self) -> Duration {
        Duration::from_millis(self.config.tick_interval_ms).saturating_sub(self.ticked_at.elapsed())
    }

    pub(crate) fn assigned(
        &mut self,
        assigned: &[TopicPartition],
        reader: &mut dyn GroupReader,
    ) -> Result<(), IntakeError> {
        // A topic that is new belongs to a party that is new.
        self.read_news_through()?;
        let mut begun = Vec::new();
        for place in assigned {
            if &*place.topic == topics::DECISIONS {
                let position = reader.committed(place)?.unwrap_or(0);
                self.decisions_position = Some(position);
                reader.begin(place, position)?;
            } else if self.intake.registry_mut().knows_topic(&place.topic) {
                begun.push((place.clone(), ReadBefore::ByTheGroup));
            } else {
                self.awaiting.announcement(place.clone());
            }
        }
        self.begin_sources(&begun, reader)
    }

    /// Begins the partitions that have been awaited; see [`Awaiting`].
    pub(crate) fn begin_awaited(&mut self, reader: &mut dyn GroupReader) -> Result<(), IntakeError> {
        let registry = self.intake.registry_mut();
        let due = self.awaiting.take_due(|topic| registry.knows_topic(topic));
        self.begin_sources(&due, reader)
    }

    fn begin_sources(
        &mut self,
        places: &[(TopicPartition, ReadBefore)],
        reader: &mut dyn GroupReader,
    ) -> Result<(), IntakeError> {
        if places.is_empty() {
            return Ok(());
        }
        let topics: BTreeMap<String, u64> = self
            .log
            .topics()?
            .into_iter()
            .map(|topic| (topic.name, topic.id))
            .collect();
        let states = self.read_states()?;
        for (place, before) in places {
            let Some(topic_id) = topics.get(&*place.topic) else {
                // An answer of before it was made, or of between two of one name.
                self.awaiting.topic(place.clone(), *before);
                continue;
            };
            let source = self.intake.source_id(*topic_id, place.partition);
            let state = states.get(&source).cloned();
            let position = match (&state, before) {
                (Some(state), _) => state.next_offset,
                // The group's position tells what was read where the state of the source is lost. It decides nothing else.
                (None, ReadBefore::ByTheGroup) => reader.committed(place)?.unwrap_or(0),
                (None, ReadBefore::Nothing) => 0,
            };
            let (first_held, _) = self.log.bounds(place)?;
            if first_held > position {
                self.skipped(place, position..first_held);
            }
            let mut state = state.unwrap_or_default();
            state.next_offset = state.next_offset.max(first_held);
            reader.begin(place, state.next_offset)?;
            self.written.insert(source, state.next_offset);
            self.intake.begin_source(source, state);
            self.sources.insert(place.clone(), source);
        }
        self.metrics.sources.set(self.sources.len() as i64);
        Ok(())
    }

    pub(crate) fn revoked(
        &mut self,
        revoked: &[TopicPartition],
        reader: &mut dyn GroupReader,
    ) -> Result<(), IntakeError> {
        self.write_state(reader)?;
        self.look_at_gaps();
        for place in revoked {
            self.awaiting.remove(place);
            if let Some(source) = self.sources.remove(place) {
                self.intake.end_source(source);
            }
            if &*place.topic == topics::DECISIONS {
                self.decisions_position = None;
            }
        }
        self.metrics.sources.set(self.sources.len() as i64);
        Ok(())
    }

    fn work(&mut self, reader: &mut dyn GroupReader) -> Result<(), IntakeError> {
        if self.flushed_at.elapsed() >= BLOCK_OPEN_MAX {
            self.flushed_at = Instant::now();
            self.intake.flush();
        }
        if self.config.time_source == TimeSource::Log && self.tick_due_in().is_zero() {
            self.ticked_at = Instant::now();
            self.intake.tick();
        } else if self.tick_due_in().is_zero() {
            self.ticked_at = Instant::now();
        }
        self.append()?;
        if self.state_written_at.elapsed() >= STATE_EVERY {
            self.write_state(reader)?;
            self.begin_replaced(reader)?;
        }
        if self.gaps_looked_at.elapsed() >= GAPS_EVERY {
            self.look_at_gaps();
        }
        Ok(())
    }

    /// Begins the partitions anew of which the topic was deleted and made anew: where the one before was read says nothing of it.
    pub(crate) fn begin_replaced(&mut self, reader: &mut dyn GroupReader) -> Result<(), IntakeError> {
        let is_other = |id: u64, place: &TopicPartition, source: SourceId| {
            id != 0 && self.intake.source_id(id, place.partition) != source
        };
        let is_seen =
            |(place, source): &(TopicPartition, SourceId)| is_other(self.standing.id(&place.topic), place, *source);
        let mut replaced: Vec<_> = self.sources.iter().filter(is_seen).collect();
        if replaced.is_empty() {
            return Ok(());
        }
        // What was seen may be older than the source: it is asked again, and without an answer at the next look.
        let standing = self.log.topics().unwrap_or_default();
        replaced.retain(|(place, source)| {
            let topic = standing.iter().find(|topic| *topic.name == *place.topic);
            is_other(topic.map_or(0, |topic| topic.id), place, *source)
        });
        for (place, source) in &replaced {
            let position = self.intake.end_source(*source).map_or(0, |state| state.next_offset);
            self.sources.remove(place);
            self.written.remove(source);
            SourceReplaced { place, position }.emit(&self.metrics);
        }
        let before = ReadBefore::Nothing;
        let places: Vec<_> = replaced.into_iter().map(|(place, _)| (place, before)).collect();
        self.begin_sources(&places, reader)
    }

    /// Finds out whether records were missing because retention had taken them. Other gaps are none: a transaction leaves one.
    pub(crate) fn look_at_gaps(&mut self) {
        self.gaps_looked_at = Instant::now();
        for (place, source) in self.sources.iter() {
            if !self.intake.gaps_mut().has(source) {
                continue;
            }
            // Without an answer it is asked again at the next look.
            let Ok((first_held, _)) = self.log.bounds(&place) else {
                continue;
            };
            let gaps = self.intake.gaps_mut().take(source);
            // Who reads on behind what was taken reads on where the log begins.
            for gap in gaps.into_iter().filter(|gap| first_held >= gap.end) {
                self.skipped(&place, gap);
            }
        }
    }

    fn skipped(&self, place: &TopicPartition, offsets: Range<u64>) {
        RecordsSkipped { place, offsets }.emit(&self.metrics);
    }

    /// Hands what the machine has made to the log.
    fn append(&mut self) -> Result<(), IntakeError> {
        let counted = self.intake.take_counted();
        BatchRead { counted }.emit(&self.metrics);
        let appends = self.intake.take();
        if !appends.is_empty() {
            let bytes = appends.iter().map(Append::bytes).sum();
            self.on_their_way.push(self.appender.append(appends), bytes);
        }
        Ok(self.on_their_way.settle()?)
    }

    /// Writes positions and clocks, after everything read so far is in the log.
    pub(crate) fn write_state(&mut self, reader: &mut dyn GroupReader) -> Result<(), IntakeError> {
        self.state_written_at = Instant::now();
        self.intake.flush();
        self.append()?;
        self.on_their_way.wait_for_all()?;
        let mut appends = Vec::new();
        let mut positions = Vec::new();
        for (place, source) in self.sources.iter() {
            let Some(state) = self.intake.source(source) else {
                continue;
            };
            if self.written.insert(source, state.next_offset) == Some(state.next_offset) {
                continue;
            }
            positions.push((place.clone(), state.next_offset));
            appends.push(Append {
                to: TopicPartition::new(topics::INTAKE, 0),
                key: Some(Bytes::copy_from_slice(&source.0.to_be_bytes())),
                value: Some(Bytes::from(state.encode())),
                headers: Vec::new(),
            });
        }
        if !appends.is_empty() {
            self.appender.append(appends).wait()?;
        }
        if let Some(position) = self.decisions_position {
            positions.push((TopicPartition::new(topics::DECISIONS, 0), position));
        }
        if !positions.is_empty() {
            // The group's positions are for tools that show lag, and for decisions, which the groups' memory drops when they come twice:
            // intake begins where its own state says. A rebalance under way or a lost session is no reason to end.
            if let Err(error) = reader.commit_positions(&positions) {
                PositionsNotStored { error: &error }.emit(&self.metrics);
                self.written.clear();
            }
        }
        self.show_lag();
        Ok(())
    }

    fn show_lag(&self) {
        let (places, sources): (Vec<TopicPartition>, Vec<SourceId>) = self.sources.iter().unzip();
        let Ok(ends) = self.log.ends(&places, LAG_TIME_MAX) else {
            return;
        };
        let mut lags: BTreeMap<std::sync::Arc<str>, i64> = BTreeMap::new();
        for ((place, source), end) in places.into_iter().zip(sources).zip(ends) {
            let next = self.intake.source(source).map_or(0, |state| state.next_offset);
            *lags.entry(place.topic).or_insert(0) += end.saturating_sub(next) as i64;
        }
        for (topic, lag) in lags {
            self.metrics.lag_offsets.with_label_values(&[&*topic]).set(lag);
        }
    }

    /// Every source's newest state.
    fn read_states(&self) -> Result<BTreeMap<SourceId, SourceState>, IntakeError> {
        let mut states = BTreeMap::new();
        let (place, is_called_off) = (TopicPartition::new(topics::INTAKE, 0), || self.shutdown.is_requested());
        read_through(self.log, &place, .., &is_called_off, &mut |record| {
            let source = record
                .key
                .and_then(|key| Some(SourceId(u64::from_be_bytes(key.try_into().ok()?))));
            let state = record.value.and_then(|value| SourceState::decode(value).ok());
            match (source, state) {
                (Some(source), Some(state)) => {
                    states.insert(source, state);
                }
                _ => {
                    let (topic, offset) = (topics::INTAKE, record.offset);
                    RecordUnreadable { topic, offset }.emit(&self.metrics);
                }
            }
        })?;
        Ok(states)
    }

    /// Reads parties and families as far as they are written now.
    fn read_news_through(&mut self) -> Result<(), IntakeError> {
        for topic in [topics::PARTIES, topics::FAMILIES] {
            let place = TopicPartition::new(topic, 0);
            let (_, end) = self.log.bounds(&place)?;
            let mut progress = Progress::new(&place, end, STALLED_TIME_MAX);
            while progress.goes_on(self.news.as_ref(), &|| self.shutdown.is_requested())? {
                self.read_news(Duration::from_millis(200))?;
            }
        }
        Ok(())
    }

    fn read_news(&mut self, wait: Duration) -> Result<(), IntakeError> {
        let (intake, metrics) = (&mut self.intake, &self.metrics);
        self.news.poll(wait, RECORDS_PER_POLL, &mut |record| {
            if intake.news(&record).is_none() {
                let topic = match record.topic {
                    topics::PARTIES => topics::PARTIES,
                    _ => topics::FAMILIES,
                };
                let offset = record.offset;
                RecordUnreadable { topic, offset }.emit(metrics);
            }
        })?;
        Ok(())
    }
}
