//! Which events of a body are taken. Pure: bytes and the party's platforms in, events and an answer out.

use std::collections::HashMap;

use tocsin_model::{Event, EventId, Name};
use tocsin_wire::{EventError, Schemas, event};

use crate::answer::{EventStatus, EventsAnswer};
use crate::media::MediaType;

/// The code of an event that has the `event_id` of another, different event of the same request.
pub const EVENT_ID_REUSED: &str = "event_id_reused";

/// The events to append, and what the client is told.
#[derive(Debug, Default)]
pub struct Judged {
    pub events: Vec<Event>,
    pub answer: EventsAnswer,
}

/// Reads a body and takes its valid events of these platforms, each `event_id` once.
///
/// # Errors
/// The body as a whole cannot be read, or holds too many events; then none is taken.
pub fn judge(body: &[u8], media_type: MediaType, platforms: &[Name]) -> Result<Judged, EventError> {
    let mut judged = Judged::default();
    let mut seen: HashMap<EventId, usize> = HashMap::new();
    for event in read(body, media_type)? {
        let event = match event.and_then(|event| bind(event, platforms)) {
            Ok(event) => event,
            Err(error) => {
                let refusal = (error.code(), error.to_string());
                judged.answer.push(EventStatus::Rejected, Some(refusal));
                continue;
            }
        };
        match seen.get(&event.event_id).map(|index| &judged.events[*index]) {
            None => {
                seen.insert(event.event_id, judged.events.len());
                judged.events.push(event);
                judged.answer.push(EventStatus::Accepted, None);
            }
            Some(earlier) if *earlier == event => judged.answer.push(EventStatus::Duplicate, None),
            Some(_) => {
                let detail = "another event of this request has this event_id".to_owned();
                judged
                    .answer
                    .push(EventStatus::Rejected, Some((EVENT_ID_REUSED, detail)));
            }
        }
    }
    Ok(judged)
}

fn read(body: &[u8], media_type: MediaType) -> Result<Vec<Result<Event, EventError>>, EventError> {
    let mut events = match media_type {
        MediaType::Json => event::from_json_body(body)?,
        MediaType::Ndjson => event::from_ndjson(body)?,
        MediaType::Avro => event::decode(body, Schemas::builtin())?.to_events(),
    };
    // JSON with too many events is refused as a whole; of Avro it is known only at the end of the list.
    match events.pop() {
        Some(Err(error @ EventError::TooManyEvents { .. })) => Err(error),
        last => {
            events.extend(last);
            Ok(events)
        }
    }
}

/// An event is taken from the party that shows its key, and only for a platform of that party.
fn bind(event: Event, platforms: &[Name]) -> Result<Event, EventError> {
    if platforms.contains(&event.platform) {
        Ok(event)
    } else {
        Err(EventError::PlatformNotOfParty {
            platform: event.platform.to_string(),
        })
    }
}
