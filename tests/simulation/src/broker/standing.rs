//! Topics as they stand: they may be deleted and made anew.

use std::collections::BTreeMap;

use tocsin_log::{Record, TopicInfo, TopicPartition};

use super::{Broker, Isolation, Partition};

/// Where a member of the group reads a partition.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    position: u64,
    /// Of how many topics of this name it is the one after.
    anew: u64,
}

impl Broker {
    /// A member begins to read a partition here, or at its end.
    pub fn flow(&self, place: &TopicPartition, position: u64) -> Flow {
        Flow {
            position: position.min(self.end(place)),
            anew: self.made_anew(place),
        }
    }

    /// What a member is handed next. An offset that is none of the log's is one of which the client says nothing: it begins at what is held first
    /// (`auto.offset.reset`). One that is there again in a topic that was made anew is gone on from.
    pub fn follow(
        &mut self,
        place: &TopicPartition,
        flow: &mut Flow,
        records_max: usize,
        isolation: Isolation,
    ) -> Vec<Record> {
        if flow.position > self.end(place) {
            *flow = self.flow(place, 0);
        }
        let (records, next) = self.read(place, flow.position, records_max, isolation);
        flow.position = next;
        if !records.is_empty() && flow.anew != self.made_anew(place) {
            self.went_on.insert(place.clone());
        }
        records
    }

    /// What was committed of a partition when its topic was made anew.
    pub fn former(&self, place: &TopicPartition) -> &[Record] {
        self.former.get(place).map_or(&[], Vec::as_slice)
    }

    fn made_anew(&self, place: &TopicPartition) -> u64 {
        self.anew.get(&*place.topic).copied().unwrap_or(0)
    }

    /// All topics. One that was made anew has another identity.
    pub fn topics(&self) -> Vec<TopicInfo> {
        let mut partitions: BTreeMap<&str, u32> = BTreeMap::new();
        for place in self.partitions.keys() {
            *partitions.entry(&place.topic).or_insert(0) += 1;
        }
        let info = |(number, (name, partitions)): (usize, (&str, u32))| TopicInfo {
            name: name.to_owned(),
            id: 1_000 * (1 + self.anew.get(name).copied().unwrap_or(0)) + number as u64,
            partitions,
        };
        partitions.into_iter().enumerate().map(info).collect()
    }

    /// Deletes a topic and makes it anew: it is empty, its offsets begin at 0, and what the group had stored of it is gone with it. Of transactions that
    /// are open there it held everything they had written; what they write from now on stands in the new one.
    pub fn make_anew(&mut self, topic: &str) {
        for place in self.places(topic) {
            let former = self.committed(&place).into_iter();
            let former = former.map(|entry| entry.record.clone()).collect();
            self.former.insert(place.clone(), former);
            self.partitions.insert(place, Partition::default());
        }
        self.positions.retain(|place, _| &*place.topic != topic);
        for transaction in &mut self.transactions {
            transaction.first.retain(|place, _| &*place.topic != topic);
        }
        *self.anew.entry(topic.to_owned()).or_insert(0) += 1;
    }
}
