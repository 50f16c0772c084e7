//! How each [`Mutant`] breaks what passes between a detector and the log.

use tocsin_log::{Record, TopicInfo, TopicPartition, Unit};
use tocsin_sketch::codec::{Decoder, Encoder};
use tocsin_wire::state::{StateHeader, StateKey, StateRecord};
use tocsin_wire::topics;

use crate::mutant::Mutant;

/// What a broken detector is told of topics in place of these.
pub fn topics(mutant: Mutant, standing: Vec<TopicInfo>) -> Vec<TopicInfo> {
    match mutant {
        Mutant::IgnoresTopicIds => Vec::new(),
        _ => standing,
    }
}

/// What a broken detector reads in place of these records.
pub fn read(mutant: Mutant, place: &TopicPartition, records: Vec<Record>) -> Vec<Record> {
    match mutant {
        Mutant::StartsAtGroupPosition if &*place.topic == topics::SIGHTINGS => Vec::new(),
        Mutant::ForgetsMarks if &*place.topic == topics::STATE => records.into_iter().map(without_marks).collect(),
        Mutant::TakesOldHeader if &*place.topic == topics::STATE => oldest_header(records),
        _ => records,
    }
}

/// What a broken detector commits in place of this unit.
pub fn unit(mutant: Mutant, mut unit: Unit) -> Unit {
    match mutant {
        Mutant::IgnoresFencing => unit.positions.clear(),
        Mutant::ClaimsCheckpoint => {
            for append in &mut unit.appends {
                let claimed = append
                    .value
                    .as_deref()
                    .filter(|_| is_header(append.key.as_deref()))
                    .and_then(claim);
                append.value = claimed.map(Into::into).or(append.value.take());
            }
        }
        Mutant::LeavesOutColdCounts => unit.appends.retain(|append| {
            let key = append.key.as_deref().and_then(StateKey::from_bytes);
            &*append.to.topic != topics::STATE || !matches!(key, Some(StateKey::Cold { .. }))
        }),
        Mutant::ForgetsWhatItSaidOnce => unit.appends.retain(|append| {
            let key = append.key.as_deref().and_then(StateKey::from_bytes);
            &*append.to.topic != topics::STATE || !matches!(key, Some(StateKey::Onward { .. }))
        }),
        Mutant::LosesAlerts => unit.appends.retain(|append| &*append.to.topic != topics::ALERTS),
        _ => {}
    }
    unit
}

fn is_header(key: Option<&[u8]>) -> bool {
    matches!(key.and_then(StateKey::from_bytes), Some(StateKey::Header { .. }))
}

fn claim(value: &[u8]) -> Option<Vec<u8>> {
    let mut record = StateRecord::decode(value).ok()?;
    let mut header = StateHeader::decode(&record.body).ok()?;
    header.checkpoint_offset = header.next_offset;
    record.body = header.encode();
    Some(record.encode())
}

/// Drops every header of one read but the first.
fn oldest_header(records: Vec<Record>) -> Vec<Record> {
    let mut seen = false;
    let is_kept = |record: &Record| !is_header(record.key.as_deref()) || !std::mem::replace(&mut seen, true);
    records.into_iter().filter(is_kept).collect()
}

/// A core without the marks of its sources: version, group, time and number of the latest delta stand before them.
fn without_marks(mut record: Record) -> Record {
    let key = record.key.as_deref().and_then(StateKey::from_bytes);
    if let (Some(StateKey::Core { .. }), Some(value)) = (key, &record.value)
        && let Ok(mut state) = StateRecord::decode(value)
        && state.chunks == 1
        && let Some(body) = cut_marks(&state.body)
    {
        state.body = body;
        record.value = Some(state.encode().into());
    }
    record
}

fn cut_marks(body: &[u8]) -> Option<Vec<u8>> {
    let mut input = Decoder::new(body);
    let mut out = Encoder::new();
    out.number(input.number().ok()?);
    out.number(input.number().ok()?);
    out.signed(input.signed().ok()?);
    out.number(input.number().ok()?);
    for _ in 0..input.number().ok()? {
        input.fixed64().ok()?;
        input.number().ok()?;
        input.number().ok()?;
    }
    out.number(0);
    let mut bytes = out.finish();
    bytes.extend_from_slice(input.raw(input.remaining()).ok()?);
    Some(bytes)
}
