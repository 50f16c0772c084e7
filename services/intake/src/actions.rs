use std::borrow::Cow;
use std::collections::BTreeMap;

use tocsin_log::RecordRef;
use tocsin_model::Timestamp;
use tocsin_wire::event::encode_single_object;
use tocsin_wire::osprey::{self, Held, Mapping};
use tocsin_wire::{EventError, topics};

use crate::counted::Counted;

/// The parties whose topics carry actions of Osprey beside Avro, and what of these are events.
#[derive(Debug, Default)]
pub(crate) struct Actions {
    mappings: BTreeMap<String, Mapping>,
}

impl Actions {
    pub(crate) fn new(mappings: BTreeMap<String, Mapping>) -> Actions {
        Actions { mappings }
    }

    /// A record's value as Avro: as it is, or that of the event that an action is, so that one path judges both. `None`: an action that is no
    /// event, of which an input topic of Osprey has many.
    ///
    /// # Errors
    /// It cannot be read, or the mapping finds no event where it says that one is.
    pub(crate) fn avro<'a>(
        &self,
        value: &'a [u8],
        record: &RecordRef<'_>,
        received_at: Timestamp,
        counted: &mut Counted,
    ) -> Result<Option<Cow<'a, [u8]>>, EventError> {
        let party = record.topic.strip_prefix(topics::INGEST_PREFIX).unwrap_or(record.topic);
        let Some(mapping) = self.mappings.get(party) else {
            return Ok(Some(Cow::Borrowed(value)));
        };
        let read = (value, record.headers.get(osprey::ENCODING_HEADER));
        let place = || format!("{}-{}-{}", record.topic, record.partition, record.offset);
        let mapped = match mapping.held(read, received_at, place)? {
            Held::Avro => return Ok(Some(Cow::Borrowed(value))),
            Held::OtherAction => {
                counted.actions_ignored += 1;
                return Ok(None);
            }
            Held::Event(mapped) => mapped,
        };
        for field in mapped.absent {
            *counted.fields_absent.entry(field).or_insert(0) += 1;
        }
        for field in mapped.malformed {
            *counted.fields_malformed.entry(field).or_insert(0) += 1;
        }
        Ok(Some(Cow::Owned(encode_single_object(&mapped.event))))
    }
}
