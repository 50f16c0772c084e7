//! The messages of a consumer, many at a call.

use std::collections::{HashMap, VecDeque};
use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedHeaders;

use super::Freed;
use crate::{Headers, RecordRef, StampedBy, TopicPartition};

/// Messages taken with one call, and so held for the next poll at most. Twice as many made nothing cheaper.
const MESSAGES_MAX: usize = 256;

/// A consumer and a queue of its partitions' messages, apart from its events.
///
/// The consumer's own queue keeps what only rdkafka can answer: rebalances, above all. `rd_kafka_consume_batch_queue` on that one would answer a
/// rebalance by itself, with an empty assignment. So each partition is split off before it is assigned, and its messages go to
/// a queue that holds nothing else; librdkafka leaves such a partition alone when it is assigned.
pub(in super::super) struct Batches<C: ConsumerContext + 'static> {
    // Dropped in this order: librdkafka wants messages and queues gone before their client.
    held: VecDeque<Message>,
    /// Messages of paused partitions that were held when they were paused.
    parked: VecDeque<Message>,
    slots: Vec<*mut native::rd_kafka_message_t>,
    split: HashMap<TopicPartition, Freed<native::rd_kafka_queue_t>>,
    messages: Freed<native::rd_kafka_queue_t>,
    consumer: BaseConsumer<C>,
}

// SAFETY: librdkafka's clients, queues and messages may be used from any thread, and none of them is shared: the owner moves them together.
unsafe impl<C: ConsumerContext + 'static> Send for Batches<C> {}

impl<C: ConsumerContext + 'static> Batches<C> {
    pub(in super::super) fn new(consumer: BaseConsumer<C>) -> Self {
        // SAFETY: the client lives longer than the queue, by the order of the fields.
        let messages = unsafe { native::rd_kafka_queue_new(consumer.client().native_ptr()) };
        Batches {
            held: VecDeque::new(),
            parked: VecDeque::new(),
            slots: vec![std::ptr::null_mut(); MESSAGES_MAX],
            split: HashMap::new(),
            messages: Freed(messages, native::rd_kafka_queue_destroy),
            consumer,
        }
    }

    pub(in super::super) fn consumer(&self) -> &BaseConsumer<C> {
        &self.consumer
    }

    /// Sends a partition's messages here, from now on. To be called before the partition is assigned, so that none goes elsewhere, and again
    /// after: a stop of an earlier assignment that was still under way ends the forwarding.
    pub(in super::super) fn split_off(&mut self, partition: &TopicPartition) -> Result<(), KafkaError> {
        let name = CString::new(&*partition.topic)?;
        // SAFETY: the name lives through the call, and the client longer than the queue; a partition number is never negative.
        let queue = unsafe {
            native::rd_kafka_queue_get_partition(
                self.consumer.client().native_ptr(),
                name.as_ptr(),
                partition.partition.cast_signed(),
            )
        };
        let queue = Freed(queue, native::rd_kafka_queue_destroy);
        self.forward(&queue);
        self.split.insert(partition.clone(), queue);
        Ok(())
    }

    /// Renews what [`Batches::split_off`] did, for all.
    pub(in super::super) fn renew(&self) {
        self.split.values().for_each(|queue| self.forward(queue));
    }

    fn forward(&self, queue: &Freed<native::rd_kafka_queue_t>) {
        if !queue.0.is_null() {
            // SAFETY: both queues are alive. What waits in the one is moved to the other, in order.
            unsafe { native::rd_kafka_queue_forward(queue.0, self.messages.0) }
        }
    }

    /// Drops what was taken of a partition and not handed over.
    pub(in super::super) fn forget(&mut self, partition: &TopicPartition) {
        self.held.retain(|message| !message.is_of(partition));
        self.parked.retain(|message| !message.is_of(partition));
    }

    /// Takes no more of a partition: it is not ours any longer.
    pub(in super::super) fn let_go(&mut self, partition: &TopicPartition) {
        self.forget(partition);
        self.split.remove(partition);
    }

    pub(in super::super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes what is there, and waits for the first message if there is none.
    pub(in super::super) fn fill(&mut self, wait_max: Duration) {
        // The call waits until it has as many as were asked for: so only one is waited for.
        if self.take(Duration::ZERO, MESSAGES_MAX) == 0 && !wait_max.is_zero() {
            self.take(wait_max, 1);
        }
    }

    fn take(&mut self, wait_max: Duration, count_max: usize) -> usize {
        let milliseconds = wait_max.as_micros().div_ceil(1_000).min(i32::MAX as u128) as i32;
        // SAFETY: there are at least so many slots, and what is put into them is ours to destroy, once.
        let taken = unsafe {
            native::rd_kafka_consume_batch_queue(self.messages.0, milliseconds, self.slots.as_mut_ptr(), count_max)
        };
        // Less than none is an error that the queue of a client does not have.
        let taken = usize::try_from(taken).unwrap_or(0);
        let messages = self.slots[..taken].iter().copied().filter_map(NonNull::new);
        self.held.extend(messages.map(Message));
        taken
    }

    pub(in super::super) fn next(&mut self) -> Option<Message> {
        self.held.pop_front()
    }

    /// Keeps a message of a partition that is paused.
    pub(in super::super) fn park(&mut self, message: Message) {
        self.parked.push_back(message);
    }

    /// Lets the messages of a partition that is no longer paused come next.
    pub(in super::super) fn unpark(&mut self, partition: &TopicPartition) {
        let (resumed, parked) = self.parked.drain(..).partition(|message| message.is_of(partition));
        self.parked = parked;
        let resumed: VecDeque<Message> = resumed;
        resumed
            .into_iter()
            .rev()
            .for_each(|message| self.held.push_front(message));
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

    pub(in super::super) fn is_of(&self, partition: &TopicPartition) -> bool {
        self.native().partition == partition.partition.cast_signed() && self.topic() == &*partition.topic
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
