//! The model broker: partitions with open, committed and aborted transactions, compaction at any time, and one consumer group. It is plain
//! data; whoever holds the world's turn changes it.
//!
//! What it keeps of Apache Kafka: a record of an open transaction hides what follows it from readers of committed records; the end that a
//! partition tells takes open transactions in; a member whose offset is beyond the end begins at what is held first, without a word; a transaction ends with a marker that takes an offset; the coordinator looks at a member's
//! generation when it is given positions, and not when the transaction ends; a new producer of an instance aborts what the old one left open.

mod group;
mod standing;
mod transaction;

pub use group::{Change, Group, SESSION_MS};
pub use standing::Flow;
pub use transaction::{Ended, Refusal, Transaction, TransactionId};

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng as _;
use rand::rngs::SmallRng;
use tocsin_log::{Append, Record, TopicPartition};

/// A process: one life of a role. A role that starts again is another process.
pub type ProcessId = u32;

/// A record, or the marker behind a transaction (which nobody is handed).
#[derive(Clone, Debug)]
pub struct Entry {
    /// What readers get.
    pub record: Record,
    /// The transaction it belongs to.
    pub transaction: Option<TransactionId>,
    /// Whether it only ends a transaction.
    pub is_marker: bool,
}

/// One partition.
#[derive(Debug, Default)]
pub struct Partition {
    entries: Vec<Entry>,
    end: u64,
}

/// Topics, transactions and the group.
#[derive(Debug)]
pub struct Broker {
    partitions: BTreeMap<TopicPartition, Partition>,
    /// How often each topic was made anew.
    anew: BTreeMap<String, u64>,
    /// What was committed of partitions whose topic was made anew, when it was.
    former: BTreeMap<TopicPartition, Vec<Record>>,
    /// Partitions of a topic that was made anew of which a member of the group read on where it stood in the one before: nothing told it.
    pub went_on: BTreeSet<TopicPartition>,
    pub(crate) transactions: Vec<Transaction>,
    /// The newest producer's epoch, by instance.
    epochs: BTreeMap<String, u32>,
    /// The group of the detectors.
    pub group: Group,
    /// Positions stored for the group.
    pub(crate) positions: BTreeMap<TopicPartition, u64>,
    /// Transactions that ended, in order: what the checks look at.
    pub ended: Vec<Ended>,
}

/// What a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Committed records up to the first open transaction.
    Committed,
    /// Everything. No reader of Tocsin asks for it: a broken variant does.
    Uncommitted,
}

impl Broker {
    /// A broker with these topics, and a group that reads the partitions of `read`.
    pub fn new(topics: &[(&str, u32)], read: &str) -> Broker {
        let places = topics
            .iter()
            .flat_map(|(topic, count)| (0..*count).map(|number| TopicPartition::new(*topic, number)));
        let partitions: BTreeMap<_, _> = places.map(|place| (place, Partition::default())).collect();
        let of_group = partitions.keys().filter(|place| &*place.topic == read).cloned();
        Broker {
            group: Group::new(of_group.collect()),
            partitions,
            anew: BTreeMap::new(),
            former: BTreeMap::new(),
            went_on: BTreeSet::new(),
            transactions: Vec::new(),
            epochs: BTreeMap::new(),
            positions: BTreeMap::new(),
            ended: Vec::new(),
        }
    }

    /// Whether the partition exists.
    pub fn knows(&self, place: &TopicPartition) -> bool {
        self.partitions.contains_key(place)
    }

    /// The offset of the next record, open transactions included.
    pub fn end(&self, place: &TopicPartition) -> u64 {
        self.partitions.get(place).map_or(0, |partition| partition.end)
    }

    /// The offset of the first record that was appended at or after this time, or the end.
    pub fn offset_at(&self, place: &TopicPartition, at_ms: i64) -> u64 {
        let entries = self
            .partitions
            .get(place)
            .into_iter()
            .flat_map(|partition| &partition.entries);
        let mut records = entries.map(|entry| &entry.record);
        let first = records.find(|record| record.appended_at_ms >= at_ms);
        first.map_or_else(|| self.end(place), |record| record.offset)
    }

    /// Adds a record and tells its offset.
    pub fn append(&mut self, append: &Append, transaction: Option<TransactionId>, now_ms: i64) -> u64 {
        self.push(append, transaction, false, now_ms)
    }

    fn push(&mut self, append: &Append, transaction: Option<TransactionId>, is_marker: bool, now_ms: i64) -> u64 {
        let partition = self.partitions.entry(append.to.clone()).or_default();
        let offset = partition.end;
        partition.end += 1;
        let record = Record {
            from: append.to.clone(),
            offset,
            appended_at_ms: now_ms,
            key: append.key.clone(),
            value: append.value.clone(),
            headers: append.headers.clone(),
        };
        partition.entries.push(Entry {
            record,
            transaction,
            is_marker,
        });
        offset
    }

    /// The offset of the first record of an open transaction, or the end.
    fn stable_end(&self, place: &TopicPartition) -> u64 {
        let open = self.transactions.iter().filter(|transaction| transaction.is_open());
        let firsts = open.filter_map(|transaction| transaction.first.get(place).copied());
        firsts.min().unwrap_or(u64::MAX).min(self.end(place))
    }

    fn is_visible(&self, entry: &Entry) -> bool {
        let is_committed = |id: TransactionId| self.transactions[id].is_committed();
        !entry.is_marker && entry.transaction.is_none_or(is_committed)
    }

    /// At most `records_max` records from `position` on that a reader may see, and where it stands after them.
    pub fn read(
        &self,
        place: &TopicPartition,
        position: u64,
        records_max: usize,
        isolation: Isolation,
    ) -> (Vec<Record>, u64) {
        let Some(partition) = self.partitions.get(place) else {
            return (Vec::new(), position);
        };
        let end = match isolation {
            Isolation::Committed => self.stable_end(place),
            Isolation::Uncommitted => partition.end,
        };
        let from = partition
            .entries
            .partition_point(|entry| entry.record.offset < position);
        let mut records = Vec::new();
        for entry in partition.entries[from..]
            .iter()
            .take_while(|entry| entry.record.offset < end)
        {
            let is_shown = match isolation {
                Isolation::Committed => self.is_visible(entry),
                Isolation::Uncommitted => !entry.is_marker,
            };
            if !is_shown {
                continue;
            }
            if records.len() == records_max {
                return (records, entry.record.offset);
            }
            records.push(entry.record.clone());
        }
        (records, position.max(end))
    }

    /// Loses what a transaction wrote to a partition, as a torn one does.
    pub fn tear(&mut self, id: TransactionId, place: &TopicPartition) {
        if let Some(partition) = self.partitions.get_mut(place) {
            partition
                .entries
                .retain(|entry| entry.transaction != Some(id) || entry.is_marker);
        }
    }

    /// Everything committed of a partition, with the transaction of each record.
    pub fn committed(&self, place: &TopicPartition) -> Vec<&Entry> {
        let entries = self.partitions.get(place).map(|partition| partition.entries.as_slice());
        let entries = entries.unwrap_or_default().iter();
        entries.filter(|entry| self.is_visible(entry)).collect()
    }

    /// Compacts a partition below its first open transaction: of what is superseded, and of what was aborted, each goes or stays by chance.
    pub fn compact(&mut self, place: &TopicPartition, random: &mut SmallRng) {
        let stable_end = self.stable_end(place);
        let mut newest = BTreeMap::new();
        for entry in self.committed(place) {
            if entry.record.offset < stable_end {
                newest.insert(entry.record.key.clone(), entry.record.offset);
            }
        }
        let transactions = &self.transactions;
        let Some(partition) = self.partitions.get_mut(place) else {
            return;
        };
        partition.entries.retain(|entry| {
            let is_newest = newest.get(&entry.record.key) == Some(&entry.record.offset);
            let is_open = entry.transaction.is_some_and(|id| transactions[id].is_open());
            let stays = is_newest || is_open || entry.record.offset >= stable_end;
            stays || random.random_bool(0.3)
        });
    }

    /// The places of a topic.
    pub fn places(&self, topic: &str) -> Vec<TopicPartition> {
        let places = self.partitions.keys();
        places.filter(|place| &*place.topic == topic).cloned().collect()
    }
}
