//! The messages of a consumer, many at a call, and its topics in turn.

mod bell;
mod turns;

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedHeaders;

use super::Freed;
use crate::{Headers, RecordRef, StampedBy, TopicPartition};
use bell::Bell;
use turns::{Cost, Source, Turns};

/// Messages taken with one call, and so held for a later poll at most, of each partition. Twice as many made nothing cheaper.
const MESSAGES_MAX: usize = 256;

/// A consumer whose partitions' messages come apart from its events, and the topics' in turn.
///
/// The consumer's own queue keeps what only rdkafka can answer: rebalances, above all. `rd_kafka_consume_batch_queue` on that one would answer a
/// rebalance by itself, with an empty assignment. So each partition is split off before it is assigned: its messages stay in its own queue, and
/// librdkafka leaves it so, through stops and starts.
pub(in super::super) struct Batches<C: ConsumerContext + 'static> {
    // Dropped in this order: librdkafka wants messages and queues gone before their client, and rings the bell until its queues are gone.
    turns: Turns<Queue>,
    consumer: BaseConsumer<C>,
    bell: Arc<Bell>,
}

// SAFETY: librdkafka's clients, queues and messages may be used from any thread, and none of them is shared: the owner moves them together.
unsafe impl<C: ConsumerContext + 'static> Send for Batches<C> {}

impl<C: ConsumerContext + 'static> Batches<C> {
    pub(in super::super) fn new(consumer: BaseConsumer<C>) -> Self {
        Batches {
            turns: Turns::default(),
            consumer,
            bell: Arc::default(),
        }
    }

    pub(in super::super) fn consumer(&self) -> &BaseConsumer<C> {
        &self.consumer
    }

    /// Keeps a partition's messages apart. To be called before the partition is assigned, so that none goes elsewhere. What was taken of it
    /// before is dropped.
    pub(in super::super) fn split_off(&mut self, partition: &TopicPartition) -> Result<(), KafkaError> {
        let name = CString::new(&*partition.topic)?;
        // The queue of before takes its bell away when it goes, and it is the same queue.
        self.turns.remove(partition);
        // SAFETY: the name lives through the call, and the client longer than the queue; the number of a partition is never negative. The
        // bell is rung only while the queue is there, which takes the bell away when it goes, and stays where it is in memory.
        let queue = unsafe {
            let queue = native::rd_kafka_queue_get_partition(
                self.consumer.client().native_ptr(),
                name.as_ptr(),
                partition.partition.cast_signed(),
            );
            if queue.is_null() {
                return Err(KafkaError::MessageConsumption(
                    rdkafka::error::RDKafkaErrorCode::UnknownPartition,
                ));
            }
            native::rd_kafka_queue_forward(queue, std::ptr::null_mut());
            native::rd_kafka_queue_cb_event_enable(queue, Some(bell::ring), Arc::as_ptr(&self.bell).cast_mut().cast());
            Freed(queue, native::rd_kafka_queue_destroy)
        };
        self.turns.put(
            partition,
            Queue {
                held: VecDeque::new(),
                slots: Vec::new(),
                queue,
            },
        );
        Ok(())
    }

    /// Takes no more of a partition, and drops what was taken: it is not ours any longer.
    pub(in super::super) fn let_go(&mut self, partition: &TopicPartition) {
        self.turns.remove(partition);
    }

    /// A paused partition has no turn; what was taken of it waits.
    pub(in super::super) fn pause(&mut self, partition: &TopicPartition) {
        self.turns.set_flowing(partition, false);
    }

    pub(in super::super) fn resume(&mut self, partition: &TopicPartition) {
        self.turns.set_flowing(partition, true);
    }

    /// The next message, if one is there.
    pub(in super::super) fn next(&mut self) -> Option<Message> {
        let bell = &self.bell;
        // Cleared before the queues are looked into: what comes behind the look rings again.
        self.turns.next(|| bell.clear())
    }

    /// Waits until there may be a message: after [`Batches::next`] had none.
    pub(in super::super) fn wait(&self, time_max: Duration) {
        self.bell.wait(time_max);
    }
}

/// The messages of one partition.
struct Queue {
    // Messages go before their queue.
    held: VecDeque<Message>,
    slots: Vec<*mut native::rd_kafka_message_t>,
    queue: Freed<native::rd_kafka_queue_t>,
}

impl Source for Queue {
    type Item = Message;

    fn pop(&mut self) -> Option<Message> {
        self.held.pop_front()
    }

    fn fill(&mut self) {
        self.slots.resize(MESSAGES_MAX, std::ptr::null_mut());
        // SAFETY: there are so many slots, and what is put into them is ours to destroy, once. Without a time-out nothing is waited for.
        let taken =
            unsafe { native::rd_kafka_consume_batch_queue(self.queue.0, 0, self.slots.as_mut_ptr(), self.slots.len()) };
        // Less than none is an error that the queue of a client does not have.
        let taken = usize::try_from(taken).unwrap_or(0);
        let messages = self.slots[..taken].iter().copied().filter_map(NonNull::new);
        self.held.extend(messages.map(Message));
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the queue is alive; behind this call it rings no more.
        unsafe { native::rd_kafka_queue_cb_event_enable(self.queue.0, None, std::ptr::null_mut()) }
    }
}

impl Cost for Message {
    fn bytes(&self) -> usize {
        self.native().key_len + self.native().len
    }
}

/// A message, or an error that came in one's place. Never outlives the [`Batches`] that gave it: it is handed out only to their user, which
/// holds both.
pub(in super::super) struct Message(NonNull<native::rd_kafka_message_t>);

impl Message {
    fn native(&self) -> &native::rd_kafka_message_t {
        // SAFETY: librdkafka gave it to us, and it is destroyed in our drop alone.
        unsafe { self.0.as_ref() }
    }

    pub(in super::super) fn error(&self) -> Option<KafkaError> {
        let error = self.native().err;
        (error != native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR)
            .then(|| KafkaError::MessageConsumption(error.into()))
    }

    fn topic(&self) -> &str {
        let topic = self.native().rkt;
        if topic.is_null() {
            return "";
        }
        // SAFETY: the topic lives as long as the message; its name ends in a zero.
        let name = unsafe { CStr::from_ptr(native::rd_kafka_topic_name(topic)) };
        // Letters, digits, `.`, `_` and `-`: the broker takes no other name.
        name.to_str().unwrap_or_default()
    }

    /// The record, if this is no error.
    pub(in super::super) fn record(&self) -> RecordRef<'_> {
        let message = self.native();
        let mut kind = native::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        let mut headers = std::ptr::null_mut();
        // SAFETY: key, value and headers lie in the message and live as long as it does; a null pointer stands for none. rdkafka
        // makes its borrowed headers of the same pointer in the same way.
        unsafe {
            let bytes = |start: *mut std::ffi::c_void, length: usize| {
                (!start.is_null()).then(|| std::slice::from_raw_parts(start.cast::<u8>().cast_const(), length))
            };
            let appended_at_ms = native::rd_kafka_message_timestamp(self.0.as_ptr(), &mut kind);
            let found = native::rd_kafka_message_headers(self.0.as_ptr(), &mut headers);
            let has_headers = found == native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && !headers.is_null();
            RecordRef {
                topic: self.topic(),
                partition: message.partition.max(0).cast_unsigned(),
                offset: message.offset.max(0).cast_unsigned(),
                appended_at_ms: appended_at_ms.max(0),
                stamped_by: match kind {
                    native::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => StampedBy::Log,
                    _ => StampedBy::Sender,
                },
                key: bytes(message.key, message.key_len),
                value: bytes(message.payload, message.len),
                headers: Headers::Kafka(has_headers.then(|| &*headers.cast::<BorrowedHeaders>().cast_const())),
            }
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: it is ours, and nobody has borrowed from it.
        unsafe { native::rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}
