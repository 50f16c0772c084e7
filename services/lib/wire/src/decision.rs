//! Decisions as they stand in `tocsin.decisions` and, for the detector, in `tocsin.sightings`.

use tocsin_model::{ContentId, Decision, DecisionId, Grounds, RecommendedAction, Timestamp, ToldDecision, Verdict};

use crate::avro::{ArrayWalk, Cursor, put_array, put_bytes, put_long, put_option};
use crate::record::{invalid, narrow, put_id, put_scope, read_content, read_family, read_id, read_scope};
use crate::{RecordError, SchemaName, framing};

/// The version before a stream could be stopped.
const BEFORE_STREAMS: usize = 2;

/// A decision with its grounds as a record value: of version 2 unless it stops a stream.
pub fn encode_told(told: &ToldDecision) -> Vec<u8> {
    write(&told.decision, &told.grounds)
}

/// The decision with its grounds in a record value of any version; before version 2 there were none.
///
/// # Errors
/// The bytes are not a decision, or hold a scope, verdict or action this version does not know.
pub fn decode_told(bytes: &[u8]) -> Result<ToldDecision, RecordError> {
    let datum = framing::open(SchemaName::Decision, bytes)?;
    let cursor = &mut Cursor::new(&datum);
    let decision = read_decision(cursor)?;
    let grounds = read_grounds(cursor)?;
    cursor.finish()?;
    Ok(ToldDecision { decision, grounds })
}

/// The mark alone, without grounds, as a record value: what a key group is told.
pub fn encode(decision: &Decision) -> Vec<u8> {
    write(decision, &Grounds::default())
}

/// The mark alone in a record value of any version.
///
/// # Errors
/// As [`decode_told`].
pub fn decode(bytes: &[u8]) -> Result<Decision, RecordError> {
    decode_told(bytes).map(|told| told.decision)
}

fn write(decision: &Decision, grounds: &Grounds) -> Vec<u8> {
    let mut out = Vec::with_capacity(80 + grounds.policy.len() + 16 * grounds.exceptions.len());
    // A reader of before streams were stopped takes all others: the two versions differ in that action alone.
    match grounds.action {
        Some(RecommendedAction::StopStream) => framing::begin(SchemaName::Decision, &mut out),
        _ => framing::begin_version(SchemaName::Decision, BEFORE_STREAMS, &mut out),
    }
    put_id(&mut out, decision.id.0);
    put_id(&mut out, decision.family.0.0);
    put_scope(&mut out, decision.scope);
    put_long(&mut out, decision.verdict as i64);
    put_long(&mut out, decision.at.0);
    put_bytes(&mut out, grounds.policy.as_bytes());
    put_long(&mut out, grounds.action.map_or(0, |action| action as i64));
    put_option(&mut out, grounds.confidence, |out, percent| {
        put_long(out, i64::from(percent))
    });
    put_array(&mut out, grounds.exceptions.iter(), |out, content| {
        put_id(out, content.0)
    });
    out
}

fn read_decision(cursor: &mut Cursor<'_>) -> Result<Decision, RecordError> {
    Ok(Decision {
        id: DecisionId(read_id(cursor)?),
        family: read_family(cursor)?,
        scope: read_scope(cursor)?,
        verdict: Verdict::from_number(cursor.branch(1 + Verdict::ALL.len() as u8)?).ok_or(invalid("verdict"))?,
        at: Timestamp(cursor.long()?),
    })
}

fn read_grounds(cursor: &mut Cursor<'_>) -> Result<Grounds, RecordError> {
    let policy = cursor.string()?.to_owned();
    let action = RecommendedAction::from_number(cursor.branch(1 + RecommendedAction::ALL.len() as u8)?);
    let confidence = cursor
        .present()?
        .then(|| narrow(cursor, "confidence_percent"))
        .transpose()?;
    if confidence.is_some_and(|percent: u8| percent > 100) {
        return Err(invalid("confidence_percent"));
    }
    let mut exceptions: Vec<ContentId> = Vec::new();
    let mut walk = ArrayWalk::default();
    while walk.step(cursor)? {
        exceptions.push(read_content(cursor)?);
    }
    if !exceptions.is_sorted_by(|a, b| a < b) {
        return Err(invalid("exceptions"));
    }
    Ok(Grounds {
        policy,
        action,
        confidence,
        exceptions,
    })
}
