//! Decisions as they stand in `tocsin.decisions` and, for the detector, in `tocsin.sightings`.

use tocsin_model::{Decision, DecisionId, Timestamp, Verdict};

use crate::avro::{Cursor, put_long};
use crate::record::{invalid, put_id, put_scope, read_family, read_id, read_scope};
use crate::{RecordError, SchemaName, framing};

/// A decision as a record value.
pub fn encode(decision: &Decision) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    framing::begin(SchemaName::Decision, &mut out);
    put_id(&mut out, decision.id.0);
    put_id(&mut out, decision.family.0.0);
    put_scope(&mut out, decision.scope);
    put_long(&mut out, decision.verdict as i64);
    put_long(&mut out, decision.at.0);
    out
}

/// The decision in a record value of any version.
///
/// # Errors
/// The bytes are not a decision, or hold a scope or verdict this version does not know.
pub fn decode(bytes: &[u8]) -> Result<Decision, RecordError> {
    let datum = framing::open(SchemaName::Decision, bytes)?;
    let cursor = &mut Cursor::new(&datum);
    let decision = Decision {
        id: DecisionId(read_id(cursor)?),
        family: read_family(cursor)?,
        scope: read_scope(cursor)?,
        verdict: Verdict::from_number(cursor.branch(1 + Verdict::ALL.len() as u8)?).ok_or(invalid("verdict"))?,
        at: Timestamp(cursor.long()?),
    };
    cursor.finish()?;
    Ok(decision)
}
