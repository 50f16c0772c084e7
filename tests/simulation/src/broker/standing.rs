//! Topics as they stand: they may be deleted and made anew.

use std::collections::BTreeMap;

use tocsin_log::TopicInfo;

use super::{Broker, Partition};

impl Broker {
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
            self.partitions.insert(place, Partition::default());
        }
        self.positions.retain(|place, _| &*place.topic != topic);
        for transaction in &mut self.transactions {
            transaction.first.retain(|place, _| &*place.topic != topic);
        }
        *self.anew.entry(topic.to_owned()).or_insert(0) += 1;
    }
}
