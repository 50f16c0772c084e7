//! Events from outside: Avro records (one event or a batch) and JSON. What is handed out is valid; what is not is refused with a stable
//! code, alone where its neighbours can still be read.

mod check;
mod encode;
mod json;
mod view;

use std::borrow::Cow;

pub use check::{OCCURRED_AT_END, OCCURRED_AT_MIN, validate};
pub(crate) use encode::put_hash;
pub use encode::{encode_batch, encode_single_object};
pub use json::{from_json, from_json_array, from_json_body, from_ndjson, to_json};
pub use view::{EventRef, FrameList, HashList, HashView, LabelList};

use tocsin_model::Event;

use crate::avro::{ArrayWalk, Cursor};
use crate::framing::{Framing, split};
use crate::{EventError, SchemaName, Schemas};
use view::Fields;

/// The largest record of events, in bytes.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// The most events in one batch, array or NDJSON body.
pub const BATCH_EVENTS_MAX: usize = 10_000;

/// A record of events whose schema is known. [`Decoded::events`] reads them.
#[derive(Clone, Debug)]
pub struct Decoded<'a> {
    datum: Cow<'a, [u8]>,
    shape: Shape,
    fields: Fields,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Single,
    Batch,
}

/// The events of a record, in order; each is valid or refused by itself. After [`EventError::MalformedAvro`] or
/// [`EventError::TooManyEvents`] there are no more.
#[derive(Clone, Debug)]
pub struct Events<'a> {
    cursor: Cursor<'a>,
    fields: Fields,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Single,
    Batch { walk: ArrayWalk, read: usize },
    Ended,
}

/// Recognises the framing and the schema of a record's value: Avro single-object encoding, or Confluent framing with an id that
/// `schemas` maps. Bytes of the project's versions are only borrowed; those of another registered schema are rewritten to the newest one.
///
/// # Errors
/// The record as a whole cannot be read: unknown framing or schema, too large, or broken bytes of a schema that is none of the project's.
pub fn decode<'a>(bytes: &'a [u8], schemas: &Schemas) -> Result<Decoded<'a>, EventError> {
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(EventError::TooLarge {
            bytes_max: RECORD_BYTES_MAX,
        });
    }
    let (framing, datum) = split(bytes).ok_or(EventError::UnknownFraming)?;
    let fingerprint = match framing {
        Framing::SingleObject { fingerprint } => fingerprint,
        Framing::Confluent { id } => schemas
            .fingerprint_of_confluent_id(id)
            .ok_or(EventError::UnknownSchemaId { id })?,
    };
    // Nearly every record is one of these: no table need be asked. What an operator registers takes the place of none.
    for (name, shape) in [
        (SchemaName::Event, Shape::Single),
        (SchemaName::EventBatch, Shape::Batch),
    ] {
        let versions = [
            (name.fingerprint(), Fields::Newest),
            (name.fingerprints()[0], Fields::First),
        ];
        if let Some((_, fields)) = versions.into_iter().find(|(of, _)| *of == fingerprint) {
            let datum = Cow::Borrowed(datum);
            return Ok(Decoded { datum, shape, fields });
        }
    }
    let shape = match schemas.name_of(fingerprint) {
        Some(SchemaName::Event) => Shape::Single,
        Some(SchemaName::EventBatch) => Shape::Batch,
        Some(other) => {
            return Err(EventError::NotEvents {
                name: other.name().to_owned(),
            });
        }
        None => return Err(EventError::UnknownSchema { fingerprint }),
    };
    let datum = schemas.to_newest(fingerprint, datum)?;
    let fields = Fields::Newest;
    Ok(Decoded { datum, shape, fields })
}

impl Decoded<'_> {
    /// The events, borrowed.
    pub fn events(&self) -> Events<'_> {
        let state = match self.shape {
            Shape::Single => State::Single,
            Shape::Batch => State::Batch {
                walk: ArrayWalk::default(),
                read: 0,
            },
        };
        Events {
            cursor: Cursor::new(&self.datum),
            fields: self.fields,
            state,
        }
    }

    /// The events, owned.
    pub fn to_events(&self) -> Vec<Result<Event, EventError>> {
        self.events().map(|event| event.map(|event| event.to_event())).collect()
    }
}

impl<'a> Events<'a> {
    fn read(&mut self) -> Option<Result<EventRef<'a>, EventError>> {
        let event = match view::read(&mut self.cursor, self.fields) {
            Ok(event) => event,
            Err(reason) => return Some(self.end(reason.into())),
        };
        // A single event must be the whole datum, or its bytes meant something else.
        if matches!(self.state, State::Single) {
            self.state = State::Ended;
            if let Err(reason) = self.cursor.finish() {
                return Some(Err(reason.into()));
            }
        }
        Some(event)
    }

    fn end(&mut self, error: EventError) -> Result<EventRef<'a>, EventError> {
        self.state = State::Ended;
        Err(error)
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<EventRef<'a>, EventError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.state {
            State::Ended => None,
            State::Single => self.read(),
            State::Batch { walk, read } => {
                match walk.step(&mut self.cursor) {
                    Ok(true) => {}
                    Ok(false) => {
                        self.state = State::Ended;
                        return self.cursor.finish().err().map(|reason| Err(reason.into()));
                    }
                    Err(reason) => return Some(self.end(reason.into())),
                }
                if *read == BATCH_EVENTS_MAX {
                    return Some(self.end(EventError::TooManyEvents {
                        events_max: BATCH_EVENTS_MAX,
                    }));
                }
                *read += 1;
                self.read()
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
