//! What an event must hold beyond its types. One rule, one function: the borrowed and the owned form of an event share them.

use tocsin_model::{Algorithm, ContentHash, ContentHashError, Event, EventId, Name, Timestamp};

use crate::EventError;

/// 2000-01-01T00:00:00Z.
pub const OCCURRED_AT_MIN: Timestamp = Timestamp(946_684_800_000);
/// 2100-01-01T00:00:00Z; an event lies before it.
pub const OCCURRED_AT_END: Timestamp = Timestamp(4_102_444_800_000);

/// Whether an event is one that [`decode`](super::decode) and the JSON readers would hand out. Those check this themselves.
///
/// # Errors
/// The first rule it breaks, in the order of the fields.
pub fn validate(event: &Event) -> Result<(), EventError> {
    event_id(event.event_id)?;
    occurred_at(event.occurred_at)?;
    list_length("content", event.content.len())?;
    list_length("same_as", event.same_as.len())?;
    frames_length(event.frames.len())?;
    for frame in &event.frames {
        frame_quality(i128::from(frame.quality))?;
    }
    if let Some(text) = event.region {
        region(&text)?;
    }
    if let Some(text) = event.language {
        language(&text)?;
    }
    list_length("labels", event.labels.len())?;
    for item in &event.labels {
        label(&item.name, item.confidence)?;
    }
    match ContentHash::strongest(&event.content) {
        Some(_) => Ok(()),
        None => Err(EventError::NoRoutingHash),
    }
}

pub(super) fn event_id(id: EventId) -> Result<(), EventError> {
    if id.0 == [0; 16] {
        return Err(EventError::EventIdNil);
    }
    Ok(())
}

pub(super) fn platform(text: &str) -> Result<(), EventError> {
    Name::check(text).map_err(|_| EventError::PlatformMalformed)
}

pub(super) fn occurred_at(at: Timestamp) -> Result<(), EventError> {
    if (OCCURRED_AT_MIN..OCCURRED_AT_END).contains(&at) {
        Ok(())
    } else {
        Err(EventError::TimestampOutOfRange)
    }
}

pub(super) fn list_length(field: &'static str, length: usize) -> Result<(), EventError> {
    length_to(field, length, Event::LIST_LENGTH_MAX)
}

pub(super) fn frames_length(length: usize) -> Result<(), EventError> {
    length_to("frames", length, Event::FRAMES_MAX)
}

fn length_to(field: &'static str, length: usize, length_max: usize) -> Result<(), EventError> {
    if length > length_max {
        return Err(EventError::ListTooLong { field, length_max });
    }
    Ok(())
}

pub(super) fn frame_quality(quality: i128) -> Result<u8, EventError> {
    match u8::try_from(quality) {
        Ok(quality) if quality <= 100 => Ok(quality),
        _ => Err(EventError::QualityOutOfRange),
    }
}

pub(super) fn hash_value(algorithm: Algorithm, value: &[u8], quality: Option<u8>) -> Result<(), EventError> {
    ContentHash::check(algorithm, value, quality).map_err(hash_error)
}

pub(super) fn hash_error(error: ContentHashError) -> EventError {
    match error {
        ContentHashError::UnknownAlgorithm => EventError::AlgorithmUnknown,
        ContentHashError::MalformedValue { algorithm, .. } => EventError::HashMalformed {
            algorithm: algorithm.name(),
        },
        ContentHashError::QualityOutOfRange => EventError::QualityOutOfRange,
    }
}

pub(super) fn region(text: &[u8]) -> Result<[u8; 2], EventError> {
    match text {
        &[a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok([a, b]),
        _ => Err(EventError::RegionMalformed),
    }
}

pub(super) fn language(text: &[u8]) -> Result<[u8; 2], EventError> {
    match text {
        &[a, b] if a.is_ascii_lowercase() && b.is_ascii_lowercase() => Ok([a, b]),
        _ => Err(EventError::LanguageMalformed),
    }
}

pub(super) fn label(name: &str, confidence: f32) -> Result<(), EventError> {
    if name.is_empty() || name.len() > Event::LABEL_LENGTH_MAX || name.chars().any(char::is_control) {
        return Err(EventError::LabelMalformed);
    }
    // A NaN is in no range.
    if !(0.0..=1.0).contains(&confidence) {
        return Err(EventError::ConfidenceOutOfRange);
    }
    Ok(())
}
