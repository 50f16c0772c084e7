use std::collections::HashMap;
use std::sync::Arc;

use tocsin_log::TopicPartition;
use tocsin_model::SourceId;

/// The sources that are being read, found by what a record says of itself without making a name to look up.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// By topic; then by partition, as many as a topic has at most.
    by_topic: HashMap<Arc<str>, Vec<Option<SourceId>>>,
}

impl Sources {
    pub(crate) fn get(&self, topic: &str, partition: u32) -> Option<SourceId> {
        *self.by_topic.get(topic)?.get(partition as usize)?
    }

    pub(crate) fn insert(&mut self, place: TopicPartition, source: SourceId) {
        let partitions = self.by_topic.entry(place.topic).or_default();
        let number = place.partition as usize;
        if partitions.len() <= number {
            partitions.resize(number + 1, None);
        }
        partitions[number] = Some(source);
    }

    pub(crate) fn remove(&mut self, place: &TopicPartition) -> Option<SourceId> {
        let partitions = self.by_topic.get_mut(&place.topic)?;
        let removed = partitions.get_mut(place.partition as usize)?.take();
        if partitions.iter().all(Option::is_none) {
            self.by_topic.remove(&place.topic);
        }
        removed
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (TopicPartition, SourceId)> {
        self.by_topic.iter().flat_map(|(topic, partitions)| {
            let of_topic = partitions.iter().zip(0..);
            of_topic.filter_map(|(source, number)| Some((TopicPartition::new(Arc::clone(topic), number), (*source)?)))
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a record finds the source of its own topic and partition, and none that was let go.

    use super::*;

    #[test]
    fn a_record_finds_its_own_source() {
        let mut sources = Sources::default();
        let places = [("tocsin.ingest.a", 3), ("tocsin.ingest.a", 0), ("tocsin.ingest.b", 3)];
        for (number, (topic, partition)) in places.into_iter().enumerate() {
            sources.insert(TopicPartition::new(topic, partition), SourceId(number as u64));
        }
        for (number, (topic, partition)) in places.into_iter().enumerate() {
            assert_eq!(sources.get(topic, partition), Some(SourceId(number as u64)));
        }
        assert_eq!(sources.get("tocsin.ingest.a", 1), None);
        assert_eq!(sources.get("tocsin.ingest.a", 9), None);
        assert_eq!(sources.get("tocsin.ingest.c", 3), None);

        let gone = TopicPartition::new("tocsin.ingest.a", 3);
        assert_eq!(
            (sources.remove(&gone), sources.remove(&gone)),
            (Some(SourceId(0)), None)
        );
        assert_eq!(sources.get("tocsin.ingest.a", 3), None);
        let mut left: Vec<_> = sources.iter().collect();
        left.sort();
        let place = |(topic, partition): (&str, u32)| TopicPartition::new(topic, partition);
        assert_eq!(left, [(place(places[1]), SourceId(1)), (place(places[2]), SourceId(2))]);
        assert_eq!(sources.len(), 2);
    }
}
