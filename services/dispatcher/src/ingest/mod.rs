//! A party's own ingest topic, read again: where a reading begins, how it walks through the partitions, and how events stand in a record.

mod position;
mod walk;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use tocsin_log::{RecordRef, StampedBy};
use tocsin_model::Timestamp;
use tocsin_wire::event::{self, EventRef, encode_single_object};
use tocsin_wire::osprey::{self, Held, Mapping};
use tocsin_wire::{EventError, Schemas};

#[cfg(test)]
pub(crate) use position::Position;
pub(crate) use position::Positions;
pub(crate) use walk::{Begin, Step, Walk};

/// How events stand in ingest topics: the same for whoever reads them.
#[derive(Clone, Debug)]
pub struct IngestForm {
    /// The schemas that are known.
    pub schemas: Schemas,
    /// What of a party's actions are events, by the party's name. Actions of a party without one are not read.
    pub mappings: BTreeMap<String, Mapping>,
    /// Whether records that their senders stamped are refused: always but in a replay.
    pub stamped_by_log: bool,
}

impl Default for IngestForm {
    fn default() -> Self {
        IngestForm {
            schemas: Schemas::builtin().clone(),
            mappings: BTreeMap::new(),
            stamped_by_log: true,
        }
    }
}

/// Hands over the events of a party's record, each with its place, until `each` breaks off; the place where it did.
///
/// # Errors
/// Intake refuses the record, or it cannot be read here.
pub(crate) fn each_event(
    form: &IngestForm,
    party: &str,
    record: &RecordRef<'_>,
    mut each: impl FnMut(u32, Result<EventRef<'_>, EventError>) -> ControlFlow<()>,
) -> Result<Option<u32>, EventError> {
    if form.stamped_by_log && record.stamped_by == StampedBy::Sender {
        return Err(EventError::NotStampedByLog);
    }
    let value = record.value.ok_or(EventError::EmptyRecord)?;
    let read = (value, record.headers.get(osprey::ENCODING_HEADER));
    let place = || format!("{}-{}-{}", record.topic, record.partition, record.offset);
    let mapping = form.mappings.get(party);
    let held = mapping.map(|mapping| mapping.held(read, Timestamp(record.appended_at_ms), place));
    let mapped = match held.transpose()? {
        None | Some(Held::Avro) => None,
        Some(Held::OtherAction) => return Ok(None),
        Some(Held::Event(mapped)) => Some(encode_single_object(&mapped.event)),
    };
    let decoded = event::decode(mapped.as_deref().unwrap_or(value), &form.schemas)?;
    for (read, index) in decoded.events().zip(0..) {
        if each(index, read).is_break() {
            return Ok(Some(index));
        }
    }
    Ok(None)
}
