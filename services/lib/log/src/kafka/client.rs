use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
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

/// Connections come and go; librdkafka mends them, and what it cannot mend comes out of the call concerned. That no broker is left is
/// worth a line, but not one of each client at each attempt.
pub(super) fn heard(error: &KafkaError, reason: &str) {
    static WARNED_AT: Mutex<Option<Instant>> = Mutex::new(None);
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
        let mut warned_at = WARNED_AT.lock().unwrap_or_else(PoisonError::into_inner);
        if is_due(&mut warned_at, Instant::now()) {
            tracing::warn!(%error, reason, "no Kafka broker can be reached");
            return;
        }
    }
    tracing::debug!(%error, reason, "the Kafka client reported");
}

/// How often the same trouble is told.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Whether something told last at `told_at` is to be told at `now`; then it is.
fn is_due(told_at: &mut Option<Instant>, now: Instant) -> bool {
    let is_due = told_at.is_none_or(|told_at| now.saturating_duration_since(told_at) >= WARN_EVERY);
    if is_due {
        *told_at = Some(now);
    }
    is_due
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_is_told_once_a_minute() {
        let (mut told_at, begin) = (None, Instant::now());
        let due = [0, 1, 59, 60, 61, 119, 120].map(|second| is_due(&mut told_at, begin + Duration::from_secs(second)));
        assert_eq!(due, [true, false, false, true, false, false, true]);
    }
}
