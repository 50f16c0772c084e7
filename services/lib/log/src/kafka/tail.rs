use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::Statistics;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;

use super::client::{at_most, borrow, ends, heard};
use super::{Shared, failed, list};
use crate::budget::Budget;
use crate::{LogError, RecordRef, TailReader, TopicPartition};

/// A consumer with a fixed assignment; see [`TailReader`].
///
/// A position over a gap (the marker that ends a transaction, aborted or compacted records) is known only inside librdkafka. Its
/// statistics tell: when it reported the end of a partition at the offset it fetches next, and nothing waits in the queue, then everything
/// up to there was handed over. They come every 100 ms, so such a position is that much late; one after a record is exact at once.
pub(super) struct Tail {
    consumer: BaseConsumer<Ends>,
    positions: HashMap<TopicPartition, u64>,
}

/// A look that does not wait takes one event off the client's queue, and statistics come before records there: who looks seldom and once would
/// see nothing else. After so many looks without a record there is none.
const LOOKS_MAX: u32 = 16;

impl Tail {
    pub(super) fn new(shared: &Arc<Shared>, starts: &[(TopicPartition, u64)]) -> Result<Self, LogError> {
        let mut positions = HashMap::new();
        for (partition, offset) in starts {
            let (first, end) = shared.bounds(partition)?;
            positions.insert(partition.clone(), (*offset).clamp(first, end));
        }
        let made = shared.options.tail().create_with_context(Ends::default());
        let consumer: BaseConsumer<Ends> = made.map_err(failed("make a consumer"))?;
        let assignment = list(positions.iter().map(|(partition, offset)| (partition, Some(*offset))));
        consumer.assign(&assignment).map_err(failed("assign partitions"))?;
        Ok(Tail { consumer, positions })
    }

    /// Takes over the positions that the statistics served meanwhile tell of.
    fn look_at_ends(&mut self) {
        let ends = std::mem::take(&mut *self.consumer.context().0.lock().expect("no holder of this lock panics"));
        for (partition, end) in ends {
            if let Some(position) = self.positions.get_mut(&partition) {
                *position = end.max(*position);
            }
        }
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
        let (mut handed, mut looks) = (0, 0);
        let mut budget = Budget::of_poll(records_max);
        while !budget.is_spent() {
            let left = if handed == 0 {
                deadline.saturating_duration_since(Instant::now())
            } else {
                Duration::ZERO
            };
            match self.consumer.poll(at_most(left)) {
                Some(Ok(message)) => {
                    let record = borrow(&message);
                    budget.spend(&record);
                    sink(record);
                    handed += 1;
                    advance(&mut self.positions, &record);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) if ends(&error) => return Err(failed("read")(error)),
                Some(Err(error)) => heard(&error, "while polling"),
                None if handed > 0 => break,
                None => {}
            }
            looks += 1;
            if handed == 0 && looks >= LOOKS_MAX && Instant::now() >= deadline {
                break;
            }
        }
        self.look_at_ends();
        Ok(handed)
    }

    fn position(&self, partition: &TopicPartition) -> Option<u64> {
        self.positions.get(partition).copied()
    }
}

fn advance(positions: &mut HashMap<TopicPartition, u64>, record: &RecordRef<'_>) {
    // A handful of partitions: looking at each is cheaper than making a key.
    let found = positions
        .iter_mut()
        .find(|(partition, _)| partition.partition == record.partition && *partition.topic == *record.topic);
    if let Some((_, position)) = found {
        *position = record.offset + 1;
    }
}

/// Offsets up to which partitions were read, by the latest statistics.
#[derive(Default)]
struct Ends(Mutex<HashMap<TopicPartition, u64>>);

impl ClientContext for Ends {
    fn stats(&self, statistics: Statistics) {
        let mut ends = self.0.lock().expect("no holder of this lock panics");
        for (name, topic) in &statistics.topics {
            for partition in topic.partitions.values() {
                let at_end = partition.eof_offset >= 0 && partition.eof_offset == partition.next_offset;
                if at_end && partition.fetchq_cnt == 0 && partition.partition >= 0 {
                    let named = TopicPartition::new(name.as_str(), partition.partition.cast_unsigned());
                    ends.insert(named, partition.eof_offset.cast_unsigned());
                }
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        heard(&error, reason);
    }
}

impl ConsumerContext for Ends {}
