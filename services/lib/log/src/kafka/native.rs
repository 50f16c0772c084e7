//! The calls of librdkafka that rdkafka does not wrap. With `batches` and `topics` below it the only unsafe code of the project; see the decision "How the Kafka
//! client is used".
#![allow(unsafe_code)]

mod batches;
mod topics;

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::time::{Duration, Instant};

use rdkafka::bindings as native;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::KafkaError;

pub(super) use batches::{Batches, Message};
pub(super) use topics::Topics;

/// Frees what librdkafka made, whichever way the function is left.
struct Freed<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Drop for Freed<T> {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the pointer came from the constructor that belongs to this destructor, and is not used after.
            unsafe { (self.1)(self.0) }
        }
    }
}

/// The generation of a consumer's membership; `None` before it joined and after it was thrown out.
pub(super) fn generation<C: ClientContext>(client: &Client<C>) -> Option<i32> {
    // SAFETY: the client outlives the call; the metadata is ours until it is destroyed below, and is null for a client without a group.
    let generation = unsafe {
        let metadata = native::rd_kafka_consumer_group_metadata(client.native_ptr());
        if metadata.is_null() {
            return None;
        }
        let metadata = Freed(metadata, native::rd_kafka_consumer_group_metadata_destroy);
        native::rd_kafka_consumer_group_metadata_generation_id(metadata.0)
    };
    (generation >= 0).then_some(generation)
}

/// The identities of topics: the two halves of their UUIDs, folded. A topic that does not exist has no entry.
pub(super) fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    names: &[String],
    timeout: Duration,
) -> Result<HashMap<String, u64>, KafkaError> {
    let mut ids = HashMap::new();
    if names.is_empty() {
        return Ok(ids);
    }
    let names: Vec<CString> = names
        .iter()
        .map(|name| CString::new(name.as_str()))
        .collect::<Result<_, _>>()?;
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    // SAFETY: librdkafka copies the names and the options during the call; the client, the queue, the collection and the options live to
    // the end of the block. What the result points to belongs to the event, which is freed after its last use.
    unsafe {
        let handle = client.native_ptr();
        let queue = Freed(native::rd_kafka_queue_new(handle), native::rd_kafka_queue_destroy);
        let topics = Freed(
            native::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()),
            native::rd_kafka_TopicCollection_destroy,
        );
        let for_api = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = Freed(
            native::rd_kafka_AdminOptions_new(handle, for_api),
            native::rd_kafka_AdminOptions_destroy,
        );
        let mut reason = [0; 256];
        native::rd_kafka_AdminOptions_set_request_timeout(
            options.0,
            timeout.as_millis() as i32,
            reason.as_mut_ptr(),
            reason.len(),
        );
        native::rd_kafka_DescribeTopics(handle, topics.0, options.0, queue.0);

        let deadline = Instant::now() + timeout + Duration::from_secs(1);
        let result = loop {
            let event = Freed(
                native::rd_kafka_queue_poll(queue.0, 100),
                native::rd_kafka_event_destroy,
            );
            if event.0.is_null() {
                if Instant::now() > deadline {
                    return Err(KafkaError::AdminOp(rdkafka::error::RDKafkaErrorCode::RequestTimedOut));
                }
                continue;
            }
            let error = native::rd_kafka_event_error(event.0);
            if error != native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Err(KafkaError::AdminOp(error.into()));
            }
            if !native::rd_kafka_event_DescribeTopics_result(event.0).is_null() {
                break event;
            }
        };
        let mut count = 0;
        let described = native::rd_kafka_event_DescribeTopics_result(result.0);
        let topics = native::rd_kafka_DescribeTopics_result_topics(described, &mut count);
        for index in 0..count {
            let topic = *topics.add(index);
            let error = native::rd_kafka_error_code(native::rd_kafka_TopicDescription_error(topic));
            if error != native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                continue;
            }
            let name = CStr::from_ptr(native::rd_kafka_TopicDescription_name(topic));
            let id = native::rd_kafka_TopicDescription_topic_id(topic);
            let most = native::rd_kafka_Uuid_most_significant_bits(id).cast_unsigned();
            let least = native::rd_kafka_Uuid_least_significant_bits(id).cast_unsigned();
            ids.insert(name.to_string_lossy().into_owned(), most ^ least.rotate_left(32));
        }
    }
    Ok(ids)
}
