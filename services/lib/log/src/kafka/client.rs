use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message, Timestamp};
use rdkafka::util::Timeout;

use crate::{Headers, RecordRef, StampedBy};

/// The context of clients that only ask. What librdkafka says goes to our log, at our levels: most of it heals by itself.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        heard(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

/// Connections come and go; librdkafka mends them, and what it cannot mend comes out of the call concerned.
pub(super) fn heard(error: &KafkaError, reason: &str) {
    tracing::debug!(%error, reason, "the Kafka client reported");
}

/// A record as librdkafka holds it.
pub(super) fn borrow<'a>(message: &'a BorrowedMessage<'_>) -> RecordRef<'a> {
    let timestamp = message.timestamp();
    RecordRef {
        topic: message.topic(),
        partition: message.partition().cast_unsigned(),
        offset: message.offset().max(0).cast_unsigned(),
        appended_at_ms: timestamp.to_millis().unwrap_or(0),
        stamped_by: match timestamp {
            Timestamp::LogAppendTime(_) => StampedBy::Log,
            Timestamp::CreateTime(_) | Timestamp::NotAvailable => StampedBy::Sender,
        },
        key: message.key(),
        value: message.payload(),
        headers: Headers::Kafka(message.headers()),
    }
}

/// Whether an error that a poll hands out ends the reader. Others are passing, and librdkafka goes on by itself.
pub(super) fn ends(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
        return true;
    }
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::SaslAuthenticationFailed
                | Code::Authentication
                | Code::Fatal
        )
    )
}

/// How long one call into librdkafka may block at most, so that the rest of a poll gets its turn.
pub(super) fn at_most(timeout: std::time::Duration) -> Timeout {
    Timeout::After(timeout)
}
