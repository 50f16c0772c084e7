use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use redb::{ReadableTable, Table, WriteTransaction};

use super::catalogue::{Catalogue, Topic};
use super::tables::{self, RecordKey, TopicRow};
use super::{OneMember, failed};
use crate::{Append, Cleanup, CommitError, LogError, TopicDifference, TopicInfo, TopicPartition, TopicSpec, Unit};

/// The open tables of one write transaction, and what becomes visible when it is committed.
pub(super) struct Batch<'a> {
    catalogue: &'a Catalogue,
    records: Table<'a, RecordKey, &'static [u8]>,
    keys: Table<'a, (u64, u32, &'static [u8]), u64>,
    tombstones: Table<'a, RecordKey, i64>,
    ends: Table<'a, (u64, u32), (u64, u64)>,
    positions: Table<'a, (&'static str, u64, u32), u64>,
    topics: Table<'a, &'static str, (u64, u32, bool, Option<u64>, u32)>,
    meta: Table<'a, &'static str, u64>,
    /// By topic id and partition.
    moved: HashMap<(u64, u32), Moved>,
    created: Vec<Topic>,
    deleted: Vec<Arc<str>>,
    stamp_ms: i64,
    encoded: Vec<u8>,
}

/// The bounds of a partition as they will be after the commit.
struct Moved {
    topic: Arc<Topic>,
    first: u64,
    end: u64,
}

/// What is to be made visible after the commit.
pub(super) struct Visible {
    moved: Vec<(Arc<Topic>, u32, (u64, u64))>,
    created: Vec<Topic>,
    deleted: Vec<Arc<str>>,
}

impl Visible {
    pub(super) fn show(self, catalogue: &Catalogue) {
        for (topic, partition, bounds) in self.moved {
            topic.set_bounds(partition, bounds);
        }
        catalogue.remove(&self.deleted);
        catalogue.add(self.created);
        catalogue.announce();
    }
}

impl<'a> Batch<'a> {
    /// `stamp_ms` is the append stamp of every record of the batch.
    pub(super) fn open(
        transaction: &'a WriteTransaction,
        catalogue: &'a Catalogue,
        stamp_ms: i64,
    ) -> Result<Self, LogError> {
        let open = failed("open the tables");
        let tables = || -> Result<Self, redb::TableError> {
            Ok(Batch {
                catalogue,
                records: transaction.open_table(tables::RECORDS)?,
                keys: transaction.open_table(tables::KEYS)?,
                tombstones: transaction.open_table(tables::TOMBSTONES)?,
                ends: transaction.open_table(tables::ENDS)?,
                positions: transaction.open_table(tables::POSITIONS)?,
                topics: transaction.open_table(tables::TOPICS)?,
                meta: transaction.open_table(tables::META)?,
                moved: HashMap::new(),
                created: Vec::new(),
                deleted: Vec::new(),
                stamp_ms,
                encoded: Vec::new(),
            })
        };
        tables().map_err(open)
    }

    /// Writes the moved bounds and closes the tables.
    pub(super) fn close(mut self) -> Result<Visible, LogError> {
        for ((id, partition), moved) in &self.moved {
            self.ends
                .insert((*id, *partition), (moved.first, moved.end))
                .map_err(failed("move the end of a partition"))?;
        }
        if !self.moved.is_empty() {
            self.meta
                .insert(tables::META_LAST_STAMP, self.stamp_ms.cast_unsigned())
                .map_err(failed("keep the append stamp"))?;
        }
        let moved = self.moved.into_iter();
        Ok(Visible {
            moved: moved
                .map(|((_, partition), moved)| (moved.topic, partition, (moved.first, moved.end)))
                .collect(),
            created: self.created,
            deleted: self.deleted,
        })
    }

    /// Checks every record, then appends all: what is refused leaves nothing behind. The outer error is the store's and spoils the batch,
    /// the inner one is the caller's.
    pub(super) fn append(&mut self, appends: &[Append]) -> Result<Result<Vec<u64>, LogError>, LogError> {
        let topics = match self.check(appends) {
            Ok(topics) => topics,
            Err(refused) => return Ok(Err(refused)),
        };
        let mut offsets = Vec::with_capacity(appends.len());
        for (append, topic) in appends.iter().zip(topics) {
            offsets.push(self.append_one(append, &topic)?);
        }
        Ok(Ok(offsets))
    }

    fn check(&self, appends: &[Append]) -> Result<Vec<Arc<Topic>>, LogError> {
        appends.iter().map(|append| self.check_one(append)).collect()
    }

    fn check_one(&self, append: &Append) -> Result<Arc<Topic>, LogError> {
        let topic = self.catalogue.topic_of(&append.to)?;
        let bytes = append.bytes();
        if bytes > topic.row.record_bytes_max as usize {
            return Err(LogError::RecordTooLarge {
                topic: topic.name.to_string(),
                bytes,
            });
        }
        if topic.row.cleanup == Cleanup::Compact && append.key.is_none() {
            return Err(LogError::KeyMissing {
                topic: topic.name.to_string(),
            });
        }
        Ok(topic)
    }

    fn append_one(&mut self, append: &Append, topic: &Arc<Topic>) -> Result<u64, LogError> {
        let (id, partition) = (topic.row.id, append.to.partition);
        let moved = self.moved(topic, partition);
        let offset = moved.end;
        moved.end += 1;
        tables::encode(append, self.stamp_ms, &mut self.encoded);
        self.records
            .insert((id, partition, offset), self.encoded.as_slice())
            .map_err(failed("append a record"))?;
        if let (Cleanup::Compact, Some(key)) = (topic.row.cleanup, &append.key) {
            self.compact(id, partition, key, offset, append.value.is_none())
                .map_err(failed("compact a key"))?;
        }
        Ok(offset)
    }

    /// Makes `offset` the newest record of its key: the one before it goes at once.
    fn compact(
        &mut self,
        id: u64,
        partition: u32,
        key: &[u8],
        offset: u64,
        tombstone: bool,
    ) -> Result<(), redb::StorageError> {
        let older = self
            .keys
            .insert((id, partition, key), offset)?
            .map(|older| older.value());
        if let Some(older) = older {
            self.records.remove((id, partition, older))?;
            self.tombstones.remove((id, partition, older))?;
        }
        if tombstone {
            self.tombstones.insert((id, partition, offset), self.stamp_ms)?;
        }
        Ok(())
    }

    fn moved(&mut self, topic: &Arc<Topic>, partition: u32) -> &mut Moved {
        self.moved.entry((topic.row.id, partition)).or_insert_with(|| {
            let (first, end) = topic.bounds(partition).expect("the partition was checked");
            Moved {
                topic: topic.clone(),
                first,
                end,
            }
        })
    }

    /// Stores the positions of a group, all or none; the two errors are as in [`Batch::append`].
    pub(super) fn store_positions(
        &mut self,
        group: &str,
        positions: &[(TopicPartition, u64)],
    ) -> Result<Result<(), LogError>, LogError> {
        let found: Result<Vec<_>, _> = positions
            .iter()
            .map(|(partition, offset)| Ok((self.catalogue.topic_of(partition)?.row.id, partition.partition, *offset)))
            .collect();
        let found = match found {
            Ok(found) => found,
            Err(refused) => return Ok(Err(refused)),
        };
        for (id, partition, offset) in found {
            self.positions
                .insert((group, id, partition), offset)
                .map_err(failed("store a position"))?;
        }
        Ok(Ok(()))
    }

    /// Applies a unit: everything is checked before anything is written.
    pub(super) fn unit(
        &mut self,
        group: Option<&str>,
        members: &OneMember,
        unit: &Unit,
    ) -> Result<Result<(), CommitError>, LogError> {
        let refused = self.check(&unit.appends).err();
        if let Some(refused) = refused {
            return Ok(Err(CommitError::NotApplied(refused)));
        }
        if !unit.positions.is_empty() {
            let Some(group) = group.filter(|group| members.holds(group)) else {
                return Ok(Err(CommitError::Fenced(LogError::NotAMember {
                    group: group.unwrap_or_default().to_owned(),
                })));
            };
            if let Err(refused) = self.store_positions(group, &unit.positions)? {
                return Ok(Err(CommitError::NotApplied(refused)));
            }
        }
        let appended = self.append(&unit.appends)?;
        Ok(appended.map(|_| ()).map_err(CommitError::NotApplied))
    }

    /// Creates the topics that are absent; all or none.
    pub(super) fn ensure_topics(&mut self, specs: &[TopicSpec]) -> Result<Result<(), LogError>, LogError> {
        let absent: Vec<TopicSpec> = match self.absent(specs) {
            Ok(absent) => absent,
            Err(refused) => return Ok(Err(refused)),
        };
        for spec in absent {
            let next = self
                .meta
                .get(tables::META_NEXT_TOPIC_ID)
                .map_err(failed("read the next topic id"))?;
            let id = next.map_or(1, |next| next.value());
            let row = TopicRow::new(id, &spec);
            self.meta
                .insert(tables::META_NEXT_TOPIC_ID, id + 1)
                .map_err(failed("keep the next topic id"))?;
            self.topics
                .insert(spec.name.as_str(), row.to_value())
                .map_err(failed("create a topic"))?;
            self.created.push(Topic::new(spec.name.into(), row));
        }
        Ok(Ok(()))
    }

    /// Deletes the topics of these names that exist, and all that hangs on their ids, which are never used again.
    pub(super) fn delete_topics(&mut self, names: &[String]) -> Result<(), LogError> {
        let standing: Vec<Arc<Topic>> = names.iter().filter_map(|name| self.catalogue.topic(name)).collect();
        for topic in standing {
            let id = topic.row.id;
            self.delete_all(&topic.name, id).map_err(failed("delete a topic"))?;
            self.moved.retain(|(moved, _), _| *moved != id);
            self.deleted.push(topic.name.clone());
        }
        Ok(())
    }

    fn delete_all(&mut self, name: &str, id: u64) -> Result<(), redb::StorageError> {
        self.topics.remove(name)?;
        self.records.retain_in((id, 0, 0)..(id + 1, 0, 0), |_, _| false)?;
        self.keys
            .retain_in((id, 0, &[][..])..(id + 1, 0, &[][..]), |_, _| false)?;
        self.tombstones.retain_in((id, 0, 0)..(id + 1, 0, 0), |_, _| false)?;
        self.ends.retain_in((id, 0)..(id + 1, 0), |_, _| false)?;
        self.positions.retain(|(_, of, _), _| of != id)
    }

    fn absent(&self, specs: &[TopicSpec]) -> Result<Vec<TopicSpec>, LogError> {
        let mut absent: Vec<TopicSpec> = Vec::new();
        for spec in specs {
            spec.check()?;
            let created = self
                .created
                .iter()
                .find(|topic| *topic.name == *spec.name)
                .map(|topic| &topic.row);
            let standing = self.catalogue.topic(&spec.name);
            match created.or(standing.as_ref().map(|topic| &topic.row)) {
                Some(row) => in_shape(spec, row)
                    .into_iter()
                    .next()
                    .map_or(Ok(()), |found| Err(LogError::from(found)))?,
                None if absent.iter().any(|other| other.name == spec.name) => {}
                None => absent.push(spec.clone()),
            }
        }
        let topics = self.catalogue.topic_count() + self.created.len() + absent.len();
        match absent.first() {
            Some(spec) if topics > super::TOPICS_MAX => Err(LogError::TopicRefused {
                topic: spec.name.clone(),
                reason: format!("the log holds at most {} topics", super::TOPICS_MAX),
            }),
            _ => Ok(absent),
        }
    }

    /// Drops what is older than its retention, at most `records_max` records; returns how many went.
    pub(super) fn retain(
        &mut self,
        now_ms: i64,
        tombstone_retention_ms: i64,
        records_max: usize,
    ) -> Result<u64, LogError> {
        let mut dropped = 0;
        for topic in self.catalogue.topics() {
            for partition in 0..topic.row.partitions {
                let left = records_max - dropped;
                if left == 0 {
                    return Ok(dropped as u64);
                }
                dropped += match (topic.row.cleanup, topic.row.retention_ms) {
                    (Cleanup::Compact, _) => {
                        let before_ms = now_ms.saturating_sub(tombstone_retention_ms);
                        self.drop_tombstones(topic.row.id, partition, before_ms, left)?
                    }
                    (Cleanup::Delete, Some(retention_ms)) => {
                        let before_ms = now_ms.saturating_sub_unsigned(retention_ms);
                        self.drop_old(&topic, partition, before_ms, left)?
                    }
                    (Cleanup::Delete, None) => 0,
                };
            }
        }
        Ok(dropped as u64)
    }

    /// Stamps never go back, so the old records of a partition stand at its beginning.
    fn drop_old(
        &mut self,
        topic: &Arc<Topic>,
        partition: u32,
        before_ms: i64,
        records_max: usize,
    ) -> Result<usize, LogError> {
        let id = topic.row.id;
        let (first, end) = self
            .moved
            .get(&(id, partition))
            .map(|moved| (moved.first, moved.end))
            .or(topic.bounds(partition))
            .expect("the partition is one of the topic's");
        let mut old = Vec::new();
        let range = self
            .records
            .range((id, partition, first)..(id, partition, end))
            .map_err(failed("look for old records"))?;
        for entry in range.take(records_max) {
            let (key, value) = entry.map_err(failed("look for old records"))?;
            if tables::stamp_of(value.value())? >= before_ms {
                break;
            }
            old.push(key.value());
        }
        for key in &old {
            self.records.remove(*key).map_err(failed("drop an old record"))?;
        }
        if let Some((_, _, last)) = old.last() {
            self.moved(topic, partition).first = last + 1;
        }
        Ok(old.len())
    }

    fn drop_tombstones(
        &mut self,
        id: u64,
        partition: u32,
        before_ms: i64,
        records_max: usize,
    ) -> Result<usize, LogError> {
        let mut old = Vec::new();
        let range = self
            .tombstones
            .range((id, partition, 0)..=(id, partition, u64::MAX))
            .map_err(failed("look for old tombstones"))?;
        for entry in range.take(records_max) {
            let (key, stamp_ms) = entry.map_err(failed("look for old tombstones"))?;
            if stamp_ms.value() >= before_ms {
                break;
            }
            old.push(key.value());
        }
        for at in &old {
            let removed = self.records.remove(*at).map_err(failed("drop a tombstone"))?;
            let bytes = removed.map(|removed| removed.value().to_vec()).unwrap_or_default();
            if let Some(key) = tables::decode(&bytes)?.key {
                self.keys.remove((id, partition, key)).map_err(failed("drop a key"))?;
            }
            self.tombstones.remove(*at).map_err(failed("drop a tombstone"))?;
        }
        Ok(old.len())
    }
}

/// How a topic that stands differs in its shape from what is asked for: such a one is not used.
pub(super) fn in_shape(spec: &TopicSpec, row: &TopicRow) -> Vec<TopicDifference> {
    let mut found: Vec<String> = spec.partitions_differ(row.partitions).into_iter().collect();
    if row.cleanup != spec.cleanup {
        found.push(format!("its clean-up is {:?}, not {:?}", row.cleanup, spec.cleanup));
    }
    found.into_iter().map(|found| spec.differs(found)).collect()
}

/// How it differs in what it keeps: such a one is used, and told of.
pub(super) fn in_settings(spec: &TopicSpec, row: &TopicRow) -> Vec<TopicDifference> {
    let kept = |retention_ms: Option<u64>| retention_ms.map_or_else(|| "for ever".to_owned(), |ms| format!("{ms} ms"));
    let mut found = Vec::new();
    if spec.cleanup == Cleanup::Delete && row.retention_ms != spec.retention_ms {
        let (stands, wanted) = (kept(row.retention_ms), kept(spec.retention_ms));
        found.push(format!("its records are kept {stands}, not {wanted}"));
    }
    if row.record_bytes_max != spec.record_bytes_max {
        let (stands, wanted) = (row.record_bytes_max, spec.record_bytes_max);
        found.push(format!("its records have {stands} bytes at most, not {wanted}"));
    }
    found.into_iter().map(|found| spec.differs(found)).collect()
}

impl Topic {
    pub(super) fn info(&self) -> TopicInfo {
        TopicInfo {
            name: self.name.to_string(),
            id: self.row.id,
            partitions: self.row.partitions,
        }
    }
}

/// An answer that waits for the commit.
pub(super) enum Answer {
    Offsets(
        tokio::sync::oneshot::Sender<Result<Vec<u64>, LogError>>,
        Result<Vec<u64>, LogError>,
    ),
    Unit(SyncSender<Result<(), CommitError>>, Result<(), CommitError>),
    Done(SyncSender<Result<(), LogError>>, Result<(), LogError>),
    Number(SyncSender<Result<u64, LogError>>, Result<u64, LogError>),
}

impl Answer {
    /// Whoever does not wait any more does not hear it: that is no error.
    pub(super) fn send(self) {
        match self {
            Answer::Offsets(done, result) => drop(done.send(result)),
            Answer::Unit(done, result) => drop(done.send(result)),
            Answer::Done(done, result) => drop(done.send(result)),
            Answer::Number(done, result) => drop(done.send(result)),
        }
    }

    /// The whole batch failed: what the job itself came to is void.
    pub(super) fn fail(self, error: LogError, unit: fn(LogError) -> CommitError) {
        match self {
            Answer::Offsets(done, _) => drop(done.send(Err(error))),
            Answer::Unit(done, _) => drop(done.send(Err(unit(error)))),
            Answer::Done(done, _) => drop(done.send(Err(error))),
            Answer::Number(done, _) => drop(done.send(Err(error))),
        }
    }
}
