//! Records to a producer by the handles of their topics.

use std::ffi::CString;
use std::sync::Arc;

use rdkafka::bindings as native;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::util::IntoOpaque;

use super::super::append::record;
use super::super::number;
use super::Freed;
use crate::Append;

/// The topics that one unit, or one call of an appender, appends to.
///
/// rdkafka's own way makes a C string of the topic's name for each record, and librdkafka looks the name up under the client's lock. A detector's unit
/// has thousands of records for a handful of topics.
pub(in super::super) struct Topics<'a, C: ProducerContext + 'static> {
    producer: &'a BaseProducer<C>,
    handles: Vec<(Arc<str>, Freed<native::rd_kafka_topic_t>)>,
}

impl<'a, C: ProducerContext + 'static> Topics<'a, C> {
    pub(in super::super) fn of(producer: &'a BaseProducer<C>) -> Self {
        Topics {
            producer,
            handles: Vec::new(),
        }
    }

    /// Queues one record. What is refused gives its report back.
    pub(in super::super) fn send(
        &mut self,
        append: &Append,
        report: C::DeliveryOpaque,
    ) -> Result<(), (KafkaError, C::DeliveryOpaque)> {
        if !append.headers.is_empty() {
            // Few records have any, and rdkafka puts them together.
            let sent = self.producer.send(record(append, report));
            return sent.map_err(|(error, record)| (error, record.delivery_opaque));
        }
        let topic = match self.handle(&append.to.topic) {
            Ok(topic) => topic,
            Err(error) => return Err((error, report)),
        };
        let bytes = |part: &Option<bytes::Bytes>| {
            let part = part.as_deref();
            part.map_or((std::ptr::null(), 0), |bytes| (bytes.as_ptr(), bytes.len()))
        };
        let ((key, key_bytes), (value, value_bytes)) = (bytes(&append.key), bytes(&append.value));
        let report = report.into_ptr();
        // SAFETY: the topic's handle is ours, and its client is borrowed for longer. Key and value are copied during the call; a null pointer stands for
        // none. What was queued gives the report to the context's delivery once; what was refused has left it to us.
        unsafe {
            let refused = native::rd_kafka_produce(
                topic,
                number(&append.to),
                native::RD_KAFKA_MSG_F_COPY,
                value.cast_mut().cast(),
                value_bytes,
                key.cast(),
                key_bytes,
                report,
            );
            if refused == 0 {
                return Ok(());
            }
            let error = KafkaError::MessageProduction(native::rd_kafka_last_error().into());
            Err((error, C::DeliveryOpaque::from_ptr(report)))
        }
    }

    fn handle(&mut self, name: &Arc<str>) -> Result<*mut native::rd_kafka_topic_t, KafkaError> {
        let known = self.handles.iter().find(|(known, _)| known == name);
        if let Some((_, handle)) = known {
            return Ok(handle.0);
        }
        let text = CString::new(&**name)?;
        // SAFETY: the name is copied during the call, and the client outlives the handle, which is freed with this value.
        let handle = unsafe {
            let client = self.producer.client().native_ptr();
            let handle = native::rd_kafka_topic_new(client, text.as_ptr(), std::ptr::null_mut());
            if handle.is_null() {
                return Err(KafkaError::MessageProduction(native::rd_kafka_last_error().into()));
            }
            Freed(handle, native::rd_kafka_topic_destroy)
        };
        let pointer = handle.0;
        self.handles.push((name.clone(), handle));
        Ok(pointer)
    }
}
