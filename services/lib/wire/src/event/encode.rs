use tocsin_model::{ContentHash, Event};

use crate::SchemaName;
use crate::avro::{put_array, put_bytes, put_float, put_long, put_option};
use crate::framing;

/// One event as a record value: Avro single-object encoding of the newest event schema.
pub fn encode_single_object(event: &Event) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    framing::begin(SchemaName::Event, &mut out);
    put_event(&mut out, event);
    out
}

/// Many events as one record value, of the first version where no event has frames: a reader of before frames takes those. The caller keeps to [`BATCH_EVENTS_MAX`](super::BATCH_EVENTS_MAX) and
/// [`RECORD_BYTES_MAX`](super::RECORD_BYTES_MAX).
pub fn encode_batch(events: &[Event]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + events.len() * 128);
    if events.iter().all(|event| event.frames.is_empty()) {
        framing::begin_version(SchemaName::EventBatch, 1, &mut out);
        put_array(&mut out, events.iter(), put_first);
    } else {
        framing::begin(SchemaName::EventBatch, &mut out);
        put_array(&mut out, events.iter(), put_event);
    }
    out
}

fn put_event(out: &mut Vec<u8>, event: &Event) {
    put_first(out, event);
    put_array(out, event.frames.iter(), |out, frame| {
        out.extend_from_slice(&frame.pdq);
        put_long(out, i64::from(frame.quality));
    });
}

/// The fields of the first version.
fn put_first(out: &mut Vec<u8>, event: &Event) {
    out.extend_from_slice(&event.event_id.0);
    put_bytes(out, event.platform.as_str().as_bytes());
    put_long(out, event.kind as i64);
    put_long(out, event.occurred_at.0);
    put_array(out, event.content.iter(), put_hash);
    put_array(out, event.same_as.iter(), put_hash);
    put_option(out, event.account, |out, account| out.extend_from_slice(&account.0));
    put_long(out, i64::from(event.account_epoch));
    put_option(out, event.region, |out, text| put_bytes(out, &text));
    put_option(out, event.language, |out, text| put_bytes(out, &text));
    put_option(out, event.audience, |out, count| put_long(out, i64::from(count)));
    put_long(out, event.surface as i64);
    put_array(out, event.labels.iter(), |out, label| {
        put_bytes(out, label.name.as_bytes());
        put_float(out, label.confidence);
    });
    put_long(out, event.sharing as i64);
}

pub(crate) fn put_hash(out: &mut Vec<u8>, hash: &ContentHash) {
    put_long(out, hash.algorithm() as i64);
    put_bytes(out, hash.value());
    put_option(out, hash.quality(), |out, quality| put_long(out, i64::from(quality)));
}
