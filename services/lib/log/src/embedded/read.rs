use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::ReadableDatabase;

use super::catalogue::Topic;
use super::{Shared, failed, tables};
use crate::budget::Budget;
use crate::{Headers, LogError, RecordRef, StampedBy, TailReader, TopicPartition};

/// Where a reader stands in one partition.
pub(super) struct Cursor {
    pub(super) topic: Arc<Topic>,
    pub(super) partition: u32,
    pub(super) position: u64,
    pub(super) flows: bool,
}

impl Cursor {
    /// The position an offset leads to: within what is held.
    pub(super) fn seek(&mut self, offset: u64) {
        let (first, end) = self.topic.bounds(self.partition).expect("the partition was checked");
        self.position = offset.clamp(first, end);
    }

    pub(super) fn is(&self, partition: &TopicPartition) -> bool {
        self.partition == partition.partition && *self.topic.name == *partition.topic
    }

    pub(super) fn name(&self) -> TopicPartition {
        TopicPartition::new(self.topic.name.clone(), self.partition)
    }

    fn end(&self) -> u64 {
        self.topic.bounds(self.partition).expect("the partition was checked").1
    }
}

/// Cursors that are read in turn, so that a full partition does not starve the others.
#[derive(Default)]
pub(super) struct Cursors {
    pub(super) all: Vec<Cursor>,
    turn: usize,
}

impl Cursors {
    /// Hands over what there is, without waiting: at most what one poll may, in one read transaction.
    pub(super) fn read(
        &mut self,
        shared: &Shared,
        records_max: usize,
        sink: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<usize, LogError> {
        let behind = |cursor: &Cursor| cursor.flows && cursor.position < cursor.end();
        if records_max == 0 || !self.all.iter().any(behind) {
            return Ok(0);
        }
        // The ends are taken before the snapshot, so the snapshot holds at least as much.
        let ends: Vec<u64> = self.all.iter().map(Cursor::end).collect();
        let database = shared.database()?;
        let transaction = database.begin_read().map_err(failed("begin to read"))?;
        let records = transaction
            .open_table(tables::RECORDS)
            .map_err(failed("open the records"))?;
        let mut handed = 0;
        let mut budget = Budget::of_poll(records_max);
        let cursors = self.all.len();
        self.turn = (self.turn + 1) % cursors;
        for step in 0..cursors {
            let index = (self.turn + step) % cursors;
            let (cursor, end) = (&mut self.all[index], ends[index]);
            if !cursor.flows || cursor.position >= end || budget.is_spent() {
                continue;
            }
            handed += read_one(&records, cursor, end, &mut budget, sink)?;
        }
        Ok(handed)
    }
}

fn read_one(
    records: &redb::ReadOnlyTable<tables::RecordKey, &'static [u8]>,
    cursor: &mut Cursor,
    end: u64,
    budget: &mut Budget,
    sink: &mut dyn FnMut(RecordRef<'_>),
) -> Result<usize, LogError> {
    let (id, partition) = (cursor.topic.row.id, cursor.partition);
    let range = (id, partition, cursor.position)..(id, partition, end);
    let mut handed = 0;
    for entry in records.range(range).map_err(failed("read records"))? {
        if budget.is_spent() {
            return Ok(handed);
        }
        let (key, value) = entry.map_err(failed("read a record"))?;
        let (_, _, offset) = key.value();
        let stored = tables::decode(value.value())?;
        let record = RecordRef {
            topic: &cursor.topic.name,
            partition,
            offset,
            appended_at_ms: stored.appended_at_ms,
            stamped_by: StampedBy::Log,
            key: stored.key,
            value: stored.value,
            headers: Headers::Slice(&stored.headers),
        };
        budget.spend(&record);
        sink(record);
        cursor.position = offset + 1;
        handed += 1;
    }
    // Nothing more up to the end: what is missing was compacted or dropped.
    cursor.position = end;
    Ok(handed)
}

/// By halves: the stamps of a partition never go back.
pub(super) fn offset_at(shared: &Shared, partition: &TopicPartition, at_ms: i64) -> Result<u64, LogError> {
    let topic = shared.catalogue.topic_of(partition)?;
    let (mut low, end) = topic.bounds(partition.partition).expect("the partition was checked");
    let database = shared.database()?;
    let transaction = database.begin_read().map_err(failed("begin to read"))?;
    let records = transaction
        .open_table(tables::RECORDS)
        .map_err(failed("open the records"))?;
    let key = |offset| (topic.row.id, partition.partition, offset);
    let mut high = end;
    while low < high {
        let middle = low + (high - low) / 2;
        let mut range = records.range(key(middle)..key(high)).map_err(failed("read records"))?;
        // None: there is a gap up to what is known to be late enough.
        let Some(entry) = range.next() else {
            high = middle;
            continue;
        };
        let (found, value) = entry.map_err(failed("read a record"))?;
        match tables::stamp_of(value.value())? >= at_ms {
            true => high = middle,
            false => low = found.value().2 + 1,
        }
    }
    Ok(low)
}

/// See [`TailReader`].
pub(super) struct Tail {
    pub(super) shared: Arc<Shared>,
    pub(super) cursors: Cursors,
}

impl Tail {
    pub(super) fn new(shared: Arc<Shared>, starts: &[(TopicPartition, u64)]) -> Result<Self, LogError> {
        let mut cursors = Cursors::default();
        for (partition, offset) in starts {
            let mut cursor = Cursor {
                topic: shared.catalogue.topic_of(partition)?,
                partition: partition.partition,
                position: 0,
                flows: true,
            };
            cursor.seek(*offset);
            cursors.all.push(cursor);
        }
        Ok(Tail { shared, cursors })
    }
}

impl TailReader for Tail {
    fn poll(
        &mut self,
        timeout: Duration,
        records_max: usize,
        sink: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<usize, LogError> {
        let deadline = Instant::now() + timeout;
        loop {
            self.shared.refuse_closed()?;
            let seen = self.shared.catalogue.changes();
            let handed = self.cursors.read(&self.shared, records_max, sink)?;
            if handed > 0 || !self.shared.catalogue.wait(seen, deadline) {
                return Ok(handed);
            }
        }
    }

    fn position(&self, partition: &TopicPartition) -> Option<u64> {
        let cursor = self.cursors.all.iter().find(|cursor| cursor.is(partition))?;
        Some(cursor.position)
    }
}
