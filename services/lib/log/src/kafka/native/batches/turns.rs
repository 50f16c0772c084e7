use std::sync::Arc;

use crate::TopicPartition;

/// What a topic's turn is worth: bytes of messages, each with [`MESSAGE_BYTES`] more. Some hundred events, or one of the largest records every so
/// many turns.
const TURN_BYTES: i64 = 64 << 10;
/// What a message costs beside its bytes, in bytes: short messages cost more than their length.
const MESSAGE_BYTES: i64 = 128;

/// Where items of one partition come from.
pub(super) trait Source {
    type Item: Cost;

    /// The next item of those taken.
    fn pop(&mut self) -> Option<Self::Item>;

    /// Takes what is there, without waiting.
    fn fill(&mut self);
}

/// How much of a turn an item takes.
pub(super) trait Cost {
    fn bytes(&self) -> usize;
}

/// Topics in turn, by deficit round robin (Shreedhar and Varghese 1995): in the long run each topic that has something gets as many bytes as any other
/// that has, whatever the length of their messages and the number of their partitions; within a topic, its partitions come in turn.
pub(super) struct Turns<S> {
    topics: Vec<Topic<S>>,
    turn: usize,
}

struct Topic<S> {
    name: Arc<str>,
    lanes: Vec<Lane<S>>,
    lane: usize,
    /// What is left of the turn. Negative: a large message was more than that, and turns pay for it.
    credit: i64,
}

struct Lane<S> {
    partition: u32,
    flows: bool,
    source: S,
}

impl<S> Default for Turns<S> {
    fn default() -> Self {
        Turns {
            topics: Vec::new(),
            turn: 0,
        }
    }
}

impl<S: Source> Turns<S> {
    /// Puts a partition in, in place of what stood there.
    pub(super) fn put(&mut self, place: &TopicPartition, source: S) {
        let flows = self.lane(place).is_none_or(|lane| lane.flows);
        self.remove(place);
        let found = self.topics.iter().position(|topic| topic.name == place.topic);
        let topic = found.unwrap_or_else(|| {
            self.topics.push(Topic {
                name: place.topic.clone(),
                lanes: Vec::new(),
                lane: 0,
                credit: 0,
            });
            self.topics.len() - 1
        });
        self.topics[topic].lanes.push(Lane {
            partition: place.partition,
            flows,
            source,
        });
    }

    pub(super) fn remove(&mut self, place: &TopicPartition) {
        for topic in self.topics.iter_mut().filter(|topic| topic.name == place.topic) {
            topic.lanes.retain(|lane| lane.partition != place.partition);
        }
        self.topics.retain(|topic| !topic.lanes.is_empty());
    }

    pub(super) fn set_flowing(&mut self, place: &TopicPartition, flows: bool) {
        if let Some(lane) = self.lane(place) {
            lane.flows = flows;
        }
    }

    fn lane(&mut self, place: &TopicPartition) -> Option<&mut Lane<S>> {
        let topic = self.topics.iter_mut().find(|topic| topic.name == place.topic)?;
        topic.lanes.iter_mut().find(|lane| lane.partition == place.partition)
    }

    /// The next item; `None` when no source has one. `before_looking` is called before sources are asked for more.
    pub(super) fn next(&mut self, before_looking: impl FnOnce()) -> Option<S::Item> {
        if let Some(item) = self.topics.get_mut(self.turn).and_then(Topic::held) {
            return Some(item);
        }
        before_looking();
        let mut found_empty = 0;
        while found_empty < self.topics.len() {
            self.turn = if self.turn < self.topics.len() { self.turn } else { 0 };
            let topic = &mut self.topics[self.turn];
            if topic.credit > 0 {
                if let Some(item) = topic.looked_for() {
                    return Some(item);
                }
                // Who has nothing saves nothing up.
                topic.credit = 0;
                found_empty += 1;
            } else {
                found_empty = 0;
            }
            self.turn = (self.turn + 1) % self.topics.len();
            self.topics[self.turn].credit += TURN_BYTES;
        }
        None
    }
}

impl<S: Source> Topic<S> {
    /// What is held of the partition whose turn it is, while the topic's turn lasts.
    fn held(&mut self) -> Option<S::Item> {
        let lane = self
            .lanes
            .get_mut(self.lane)
            .filter(|lane| lane.flows && self.credit > 0)?;
        let item = lane.source.pop()?;
        self.credit -= item.bytes() as i64 + MESSAGE_BYTES;
        Some(item)
    }

    /// The same of the next partition that has something.
    fn looked_for(&mut self) -> Option<S::Item> {
        for _ in 0..self.lanes.len() {
            if let Some(item) = self.held() {
                return Some(item);
            }
            self.lane = (self.lane + 1) % self.lanes.len();
            let lane = &mut self.lanes[self.lane];
            if lane.flows {
                lane.source.fill();
            }
            if let Some(item) = self.held() {
                return Some(item);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    //! Goal: no topic waits for more than the others' turns, whatever they hold, and what is in one partition keeps its order.

    use std::collections::VecDeque;

    use super::*;

    /// A partition with items of so many bytes, numbered.
    struct Stock {
        held: VecDeque<Item>,
        left: VecDeque<Item>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Item {
        topic: usize,
        partition: u32,
        number: usize,
        bytes: usize,
    }

    impl Cost for Item {
        fn bytes(&self) -> usize {
            self.bytes
        }
    }

    impl Source for Stock {
        type Item = Item;

        fn pop(&mut self) -> Option<Item> {
            self.held.pop_front()
        }

        fn fill(&mut self) {
            let taken = self.left.len().min(256 - self.held.len().min(256));
            self.held.extend(self.left.drain(..taken));
        }
    }

    /// Topics of so many partitions with so many items of so many bytes each.
    fn turns(topics: &[(u32, usize, usize)]) -> Turns<Stock> {
        let mut turns = Turns::default();
        for (topic, (partitions, items, bytes)) in topics.iter().copied().enumerate() {
            for partition in 0..partitions {
                let left = (0..items).map(|number| Item {
                    topic,
                    partition,
                    number,
                    bytes,
                });
                let source = Stock {
                    held: VecDeque::new(),
                    left: left.collect(),
                };
                turns.put(&TopicPartition::new(format!("topic {topic}"), partition), source);
            }
        }
        turns
    }

    fn drained(turns: &mut Turns<Stock>) -> Vec<Item> {
        std::iter::from_fn(|| turns.next(|| {})).collect()
    }

    #[test]
    fn everything_comes_once_and_in_its_partitions_order() {
        for topics in [
            &[(1, 10, 100)][..],
            &[(4, 1_000, 100), (2, 3_000, 5), (1, 1, 1_000_000)],
            &[(3, 20, 200_000), (1, 5_000, 0)],
            &[(2, 0, 0), (1, 7, 100)],
            &[],
        ] {
            let all = drained(&mut turns(topics));
            let count: usize = topics
                .iter()
                .map(|(partitions, items, _)| *partitions as usize * items)
                .sum();
            assert_eq!(all.len(), count, "{topics:?}");
            for (topic, (partitions, items, _)) in topics.iter().enumerate() {
                for partition in 0..*partitions {
                    let of = all
                        .iter()
                        .filter(|item| (item.topic, item.partition) == (topic, partition));
                    assert!(of.map(|item| item.number).eq(0..*items), "{topics:?}");
                }
            }
        }
    }

    #[test]
    fn a_flood_takes_no_more_than_its_turn_of_the_others() {
        // Short messages in many partitions, batches, and the largest records.
        for flood in [(8, 20_000, 100), (8, 4_000, 20_000), (1, 60, 10_000_000)] {
            let all = drained(&mut turns(&[flood, (1, 3_000, 100)]));
            let cost = |item: &Item| item.bytes as i64 + MESSAGE_BYTES;
            let last = all.iter().rposition(|item| item.topic == 1).unwrap_or_default();
            let shares = [0, 1].map(|topic| {
                all[..last]
                    .iter()
                    .filter(|item| item.topic == topic)
                    .map(cost)
                    .sum::<i64>()
            });
            let one = flood.2 as i64 + MESSAGE_BYTES;
            assert!(shares[0] <= shares[1] + 2 * TURN_BYTES + one, "{flood:?}: {shares:?}");
        }
    }

    #[test]
    fn a_paused_partition_has_no_turn_and_what_is_removed_is_gone() {
        let mut turns = turns(&[(2, 100, 10), (1, 50, 10)]);
        let [paused, removed] =
            [("topic 0", 1), ("topic 1", 0)].map(|(topic, number)| TopicPartition::new(topic, number));
        // Something of each is held by then.
        for _ in 0..150 {
            turns.next(|| {});
        }
        turns.set_flowing(&paused, false);
        turns.remove(&removed);
        assert!(
            drained(&mut turns)
                .iter()
                .all(|item| (item.topic, item.partition) == (0, 0))
        );
        turns.set_flowing(&paused, true);
        assert!(
            drained(&mut turns)
                .iter()
                .all(|item| (item.topic, item.partition) == (0, 1))
        );
        assert!(turns.next(|| {}).is_none());
    }
}
