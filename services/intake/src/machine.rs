mod links;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tocsin_family::{LinkFinder, Name};
use tocsin_log::{Append, Header, RecordRef, StampedBy, TopicPartition};
use tocsin_model::{
    Algorithm, Decision, EpochKey, Event, Milliseconds, PartitionCount, Sighting, SourceCoordinate, SourceId, Timestamp,
};
use tocsin_runtime::Traceparent;
use tocsin_wire::block::{BlockFull, BlockWriter, SightingNames};
use tocsin_wire::event::{self, EventRef};
use tocsin_wire::family::{self, FamilyRecord};
use tocsin_wire::osprey::Mapping;
use tocsin_wire::{EventError, PartyRecord, Reject, RejectSource, Schemas, SightingsRecord, TickTime, topics};

use crate::actions::Actions;
use crate::config::{IntakeConfig, IntakeSetup, TimeSource};
use crate::counted::Counted;
use crate::gaps::Gaps;
use crate::registry::{Party, Registry};
use crate::source::SourceState;

/// What turns records of parties into records of the sightings topic. Pure but for the schemas it is handed: no clock, no I/O.
#[derive(Debug)]
pub struct Intake {
    setup: IntakeSetup,
    time_source: TimeSource,
    lateness: Milliseconds,
    tick_interval: Milliseconds,
    epoch_key: EpochKey,
    schemas: Schemas,
    actions: Actions,
    registry: Registry,
    finder: LinkFinder,
    sources: BTreeMap<SourceId, SourceState>,
    gaps: Gaps,
    writers: Vec<BlockWriter>,
    sightings: Arc<str>,
    /// Where a block is put together, before it is known how long it becomes.
    block: Vec<u8>,
    /// The trace of the latest event in each writer.
    traces: Vec<Option<Bytes>>,
    last_tick: Timestamp,
    out: Vec<Append>,
    counted: Counted,
    /// What the finder counted when it was last asked: what it forgot, and of frames what it refused and what waits for a second party.
    finder_told: [u64; 3],
}

/// The refused events of one record.
#[derive(Debug, Default)]
struct Refused {
    named: usize,
    /// Those that are not named: the place of the first, and how many.
    further: Option<(u32, u64)>,
    /// The code of the last of them.
    last: &'static str,
}

/// The header that supplies a record's time of receipt in a replay: decimal milliseconds since 1970.
pub const RECEIVED_AT_HEADER: &str = "tocsin-received-at";

/// Of one record so many refused events are named in `tocsin.rejects`, each with its code and place; of further ones how many: one record could make
/// ten thousand.
pub const REJECTS_PER_RECORD_MAX: usize = 100;

impl Intake {
    /// An intake that knows no party yet.
    pub fn new(config: &IntakeConfig, setup: IntakeSetup, schemas: Schemas) -> Self {
        let partitions = usize::from(setup.partitions.get());
        Intake {
            time_source: config.time_source,
            lateness: config.lateness(),
            tick_interval: Milliseconds(config.tick_interval_ms as i64),
            epoch_key: setup.key.epoch_key(setup.epoch),
            schemas,
            actions: Actions::default(),
            registry: Registry::new(),
            finder: LinkFinder::new(config.limits()),
            sources: BTreeMap::new(),
            gaps: Gaps::default(),
            writers: (0..partitions).map(|_| BlockWriter::new(setup.epoch)).collect(),
            sightings: topics::SIGHTINGS.into(),
            block: Vec::new(),
            traces: vec![None; partitions],
            last_tick: Timestamp::MIN,
            out: Vec::new(),
            counted: Counted::default(),
            finder_told: [0; 3],
            setup,
        }
    }

    /// The same, for parties whose topics carry actions of Osprey: by the party's name.
    #[must_use]
    pub fn with_mappings(mut self, mappings: BTreeMap<String, Mapping>) -> Self {
        self.actions = Actions::new(mappings);
        self
    }

    /// The partitions of sightings.
    pub fn partitions(&self) -> PartitionCount {
        self.setup.partitions
    }

    /// The parties.
    pub fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// The identity of a partition of an ingest topic, by the topic's id.
    pub fn source_id(&self, topic_id: u64, partition: u32) -> SourceId {
        let digest = self
            .setup
            .key
            .digest("source", &[&topic_id.to_le_bytes(), &partition.to_le_bytes()]);
        SourceId(digest as u64)
    }

    /// Takes over a source's state before its first record.
    pub fn begin_source(&mut self, source: SourceId, state: SourceState) {
        self.sources.insert(source, state);
    }

    /// Lets go of a source.
    pub fn end_source(&mut self, source: SourceId) -> Option<SourceState> {
        self.gaps.take(source);
        self.sources.remove(&source)
    }

    /// The state of a source as of everything handed to [`Intake::take`].
    pub fn source(&self, source: SourceId) -> Option<&SourceState> {
        self.sources.get(&source)
    }

    /// Reads one record of an ingest topic.
    pub fn record(&mut self, source: SourceId, record: RecordRef<'_>) {
        let received_at = self.received_at(&record);
        if self.time_source == TimeSource::Supplied {
            self.tick_before(received_at);
        }
        let party_name = record.topic.strip_prefix(topics::INGEST_PREFIX).unwrap_or(record.topic);
        if let Err(error) = self.events(source, &record, party_name, received_at) {
            self.reject(&error, &record, 0, received_at);
        }
        let state = self.sources.entry(source).or_default();
        if record.offset > state.next_offset {
            self.gaps.note(source, state.next_offset..record.offset);
        }
        state.next_offset = record.offset + 1;
    }

    /// Where records were missing since this was last asked; see [`Gaps`].
    pub(crate) fn gaps_mut(&mut self) -> &mut Gaps {
        &mut self.gaps
    }

    /// Time goes on, by the log's stamp: a tick to every partition, after everything read so far.
    pub fn tick(&mut self) {
        self.flush();
        self.append_ticks(TickTime::AppendStamp);
    }

    /// Reads one record of `tocsin.parties` or `tocsin.families`; `None` if it cannot be read.
    pub fn news(&mut self, record: &RecordRef<'_>) -> Option<()> {
        match (record.topic, record.value) {
            (topics::PARTIES, Some(value)) => self.registry.put(PartyRecord::decode(value).ok()?),
            // A party is never taken away: it is revoked, and its record says so.
            (topics::PARTIES, None) => {}
            (_, value) => match family::read(record.key, value).ok()? {
                FamilyRecord::Announcement(announcement) => self.announced(&announcement),
                FamilyRecord::FurtherHash(further) => {
                    let name = Name::of_further(self.setup.key.content_id(&further.hash), &further);
                    let links = self.finder.further(further.content, further.class, &name, further.at);
                    self.append_links(links);
                }
                FamilyRecord::FurtherHashGone(content, class, hash) => {
                    let at = Timestamp(record.appended_at_ms);
                    self.finder.taken_out(content, class, hash, at);
                    self.append_links(Vec::new());
                }
                FamilyRecord::Withdrawal(content, class) => {
                    for hash in self.finder.withdrawn(content, class) {
                        self.append_family(family::further_hash_key(content, class, hash), None);
                    }
                }
            },
        }
        Some(())
    }

    /// People decided: the family's home is told.
    pub fn decided(&mut self, decision: Decision) {
        let partition = self.setup.partitions.partition_of(decision.family.home());
        self.flush_partition(partition);
        self.append(partition, SightingsRecord::Decision(decision).encode(), None);
    }

    /// Closes every block.
    pub fn flush(&mut self) {
        (0..self.writers.len()).for_each(|partition| self.flush_partition(partition as u32));
    }

    /// Whether sightings wait for their block to be closed.
    pub fn has_open_blocks(&self) -> bool {
        self.writers.iter().any(|writer| !writer.is_empty())
    }

    /// Takes what is to be appended, in order.
    pub fn take(&mut self) -> Vec<Append> {
        // As many will come again.
        let room = Vec::with_capacity(self.out.len());
        std::mem::replace(&mut self.out, room)
    }

    /// Takes what was counted.
    pub fn take_counted(&mut self) -> Counted {
        let now = [
            self.finder.limits_reached(),
            self.finder.frames_refused(),
            self.finder.frames_uncorroborated(),
        ];
        let before = std::mem::replace(&mut self.finder_told, now);
        self.counted.forgotten_early = now[0] - before[0];
        self.counted.frames_refused = now[1] - before[1];
        self.counted.frames_uncorroborated = now[2] - before[2];
        std::mem::take(&mut self.counted)
    }

    fn received_at(&self, record: &RecordRef<'_>) -> Timestamp {
        let supplied = match self.time_source {
            TimeSource::Log => None,
            TimeSource::Supplied => record.headers.get(RECEIVED_AT_HEADER),
        };
        let supplied = supplied
            .and_then(|text| std::str::from_utf8(text).ok())
            .and_then(|text| text.parse().ok());
        Timestamp(supplied.unwrap_or(record.appended_at_ms))
    }

    fn events(
        &mut self,
        source: SourceId,
        record: &RecordRef<'_>,
        party_name: &str,
        received_at: Timestamp,
    ) -> Result<(), EventError> {
        // The time of receipt moves the clock of every group it reaches, so no sender may choose it.
        if self.time_source == TimeSource::Log && record.stamped_by == StampedBy::Sender {
            return Err(EventError::NotStampedByLog);
        }
        let value = record.value.ok_or(EventError::EmptyRecord)?;
        // The registry is only read here; taking it out for the while lets everything else be borrowed.
        let registry = std::mem::take(&mut self.registry);
        let read = (|| {
            let party = registry.party(party_name)?;
            let actions = &self.actions;
            let Some(value) = actions.avro(value, record, received_at, &mut self.counted)? else {
                return Ok(());
            };
            let decoded = event::decode(&value, &self.schemas)?;
            let mut refused = Refused::default();
            for (index, event) in decoded.events().enumerate() {
                let index = index as u32;
                let coordinate = SourceCoordinate {
                    source,
                    offset: record.offset,
                    index,
                };
                let accepted = event.and_then(|event| self.event(&event, party, coordinate, record, received_at));
                let Err(error) = accepted else { continue };
                if refused.named < REJECTS_PER_RECORD_MAX {
                    refused.named += 1;
                    self.reject(&error, record, index, received_at);
                } else {
                    self.count_reject(error.code());
                    refused.further.get_or_insert((index, 0)).1 += 1;
                    refused.last = error.code();
                }
            }
            if let Some((first, count)) = refused.further {
                let last = refused.last;
                self.name_reject(&EventError::FurtherRefused { count, last }, record, first, received_at);
            }
            Ok(())
        })();
        self.registry = registry;
        read
    }

    fn event(
        &mut self,
        event: &EventRef<'_>,
        party: &Party,
        coordinate: SourceCoordinate,
        record: &RecordRef<'_>,
        received_at: Timestamp,
    ) -> Result<(), EventError> {
        let (platform, platform_name) = party.platform(event.platform)?;
        let key = &self.setup.key;
        let content = key.content_id_of(event.strongest);
        let source = self.sources.entry(coordinate.source).or_default();
        let time = source.correct((platform, event.sharing), event.occurred_at, received_at, self.lateness);
        match time.flag {
            tocsin_model::ClockFlag::Ahead => self.counted.ahead += 1,
            tocsin_model::ClockFlag::Late => self.counted.late += 1,
            tocsin_model::ClockFlag::Plausible => {}
        }
        let tvec = event
            .labels
            .iter()
            .filter(|(name, _)| *name == Event::LABEL_TVEC)
            .map(|(_, confidence)| confidence);
        let tvec = tvec
            .reduce(f32::max)
            .map_or(Sighting::NO_LABEL, |confidence| (confidence * 100.0) as u8);
        let sighting = Sighting {
            source: coordinate,
            event_token: key.event_token(party.id, event.event_id),
            party: party.id,
            platform,
            kind: event.kind,
            sharing: event.sharing,
            surface: event.surface,
            clock: time.flag,
            occurred_at: time.occurred_at,
            received_at,
            content,
            hash: event.strongest,
            account: event
                .account
                .map(|account| self.epoch_key.account_token(platform, account)),
            account_epoch: event.account_epoch,
            audience: event.audience.unwrap_or(0),
            region: event.region.unwrap_or_default(),
            language: event.language.unwrap_or_default(),
            tvec_confidence: tvec,
        };
        let partition = self.setup.partitions.partition_of(content.group());
        self.push(
            partition,
            &sighting,
            SightingNames {
                party: &party.name,
                platform: platform_name,
            },
        );
        if let Some(trace) = record.headers.get(Traceparent::HEADER) {
            self.traces[partition as usize] = Some(Bytes::copy_from_slice(trace));
        }
        self.counted.accepted += 1;
        let is_matched = matches!(event.strongest.algorithm, Algorithm::Pdq | Algorithm::Url);
        let names_more = event.content.len() > 1 || !event.same_as.is_empty() || !event.frames.is_empty();
        if is_matched || names_more {
            let links = self.links(event, &sighting);
            self.append_links(links);
        }
        Ok(())
    }

    fn push(&mut self, partition: u32, sighting: &Sighting<'_>, names: SightingNames<'_>) {
        if let Err(BlockFull) = self.writers[partition as usize].push(sighting, names) {
            self.flush_partition(partition);
            let pushed = self.writers[partition as usize].push(sighting, names);
            debug_assert!(pushed.is_ok(), "an empty block has room for any sighting");
        }
    }

    /// In a replay: one tick per interval of the supplied time, before the first event that lies beyond it.
    fn tick_before(&mut self, received_at: Timestamp) {
        let tick = received_at.floor_to(self.tick_interval);
        if tick <= self.last_tick {
            return;
        }
        self.last_tick = tick;
        self.flush();
        self.append_ticks(TickTime::At(tick));
    }

    fn append_ticks(&mut self, time: TickTime) {
        let value = Bytes::from(SightingsRecord::Tick(time).encode());
        for partition in 0..self.writers.len() {
            self.append(partition as u32, value.clone(), None);
        }
    }

    fn flush_partition(&mut self, partition: u32) {
        let place = partition as usize;
        if self.writers[place].is_empty() {
            return;
        }
        self.block.clear();
        self.block.reserve(1 + self.writers[place].bytes_max());
        SightingsRecord::begin_block(&mut self.block);
        self.writers[place].finish(&mut self.block);
        let value = Bytes::copy_from_slice(&self.block);
        let trace = self.traces[place].take();
        self.append(partition, value, trace);
    }

    fn append(&mut self, partition: u32, value: impl Into<Bytes>, trace: Option<Bytes>) {
        self.out.push(Append {
            to: TopicPartition::new(self.sightings.clone(), partition),
            key: None,
            value: Some(value.into()),
            headers: trace
                .map(|value| Header {
                    name: Traceparent::HEADER.to_owned(),
                    value,
                })
                .into_iter()
                .collect(),
        });
    }

    fn reject(&mut self, error: &EventError, record: &RecordRef<'_>, index: u32, received_at: Timestamp) {
        self.count_reject(error.code());
        self.name_reject(error, record, index, received_at);
    }

    fn count_reject(&mut self, code: &'static str) {
        *self.counted.rejected.entry(code).or_insert(0) += 1;
    }

    fn name_reject(&mut self, error: &EventError, record: &RecordRef<'_>, index: u32, received_at: Timestamp) {
        let party = topics::party_of(record.topic);
        let source = RejectSource {
            topic: record.topic.to_owned(),
            partition: record.partition,
            offset: record.offset,
            index,
        };
        let reject = Reject::new(error, source, party, received_at);
        self.out.push(Append {
            to: TopicPartition::new(topics::REJECTS, 0),
            key: None,
            value: Some(Bytes::from(reject.encode())),
            headers: Vec::new(),
        });
    }
}
