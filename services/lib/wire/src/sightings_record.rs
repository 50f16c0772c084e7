use std::borrow::Cow;

use tocsin_model::{Calibration, Class, ContentId, Decision, Delta, FamilyId, Link, Timestamp, Watch, Weighing};

use crate::avro::{Cursor, put_bytes, put_long};
use crate::block::BLOCK_BYTES_MAX;
use crate::record::{narrow, put_class, put_id, read_class, read_content, read_family};
use crate::{RecordError, calibration, decision, link, watch, weighing};

/// The value of a record of `tocsin.sightings`: one byte that says what it is, then its body.
///
/// | first byte | body |
/// | --- | --- |
/// | 1 block | see [`block`](crate::block) |
/// | 2 link | Avro single-object encoding of schema `link` |
/// | 3 delta | version 1; family (16, big-endian), member (16), class, number (Avro longs), the records (Avro bytes) |
/// | 4 tick | empty: its time is the record's append stamp; or its time, milliseconds since 1970 (8, little-endian) |
/// | 5 decision | Avro single-object encoding of schema `decision` |
/// | 6 calibration | Avro single-object encoding of schema `calibration` |
/// | 7 watch | Avro single-object encoding of schema `watch` |
/// | 8 weighing | Avro single-object encoding of schema `weighing` |
#[derive(Clone, Debug, PartialEq)]
pub enum SightingsRecord<'a> {
    /// A block of sightings, for [`BlockReader`](crate::block::BlockReader).
    Block(Cow<'a, [u8]>),
    /// A content joins a family.
    Link(Link),
    /// A member's figures, for the home of its family.
    Delta(Delta),
    /// Time goes on.
    Tick(TickTime),
    /// A person decided.
    Decision(Decision),
    /// From when on which score interrupts a person, and what is ordinary on each platform.
    Calibration(Calibration),
    /// The watch list changed.
    Watch(Watch),
    /// How often evidence was right and wrong for a team.
    Weighing(Weighing),
}

/// When a tick is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TickTime {
    /// At the append stamp of its record.
    AppendStamp,
    /// At a stated time (replay).
    At(Timestamp),
}

const BLOCK: u8 = 1;
const LINK: u8 = 2;
const DELTA: u8 = 3;
const TICK: u8 = 4;
const DECISION: u8 = 5;
const CALIBRATION: u8 = 6;
const WATCH: u8 = 7;
const WEIGHING: u8 = 8;
const DELTA_VERSION: u8 = 1;

impl<'a> SightingsRecord<'a> {
    /// The largest record value.
    pub const BYTES_MAX: usize = 1 + BLOCK_BYTES_MAX;

    /// The record value.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            SightingsRecord::Block(block) => tagged(BLOCK, block),
            SightingsRecord::Link(value) => tagged(LINK, &link::encode(value)),
            SightingsRecord::Delta(delta) => {
                let mut out = Vec::with_capacity(56 + delta.records.len());
                out.push(DELTA);
                out.push(DELTA_VERSION);
                put_id(&mut out, delta.family.0.0);
                put_id(&mut out, delta.member.0);
                put_class(&mut out, delta.class);
                put_long(&mut out, i64::try_from(delta.number).unwrap_or(i64::MAX));
                put_bytes(&mut out, &delta.records);
                out
            }
            SightingsRecord::Tick(TickTime::AppendStamp) => vec![TICK],
            SightingsRecord::Tick(TickTime::At(at)) => tagged(TICK, &at.0.to_le_bytes()),
            SightingsRecord::Decision(value) => tagged(DECISION, &decision::encode(value)),
            SightingsRecord::Calibration(value) => tagged(CALIBRATION, &calibration::encode(value)),
            SightingsRecord::Watch(value) => tagged(WATCH, &watch::encode(value)),
            SightingsRecord::Weighing(value) => tagged(WEIGHING, &weighing::encode(value)),
        }
    }

    /// Begins a block record in an empty buffer, so that [`BlockWriter::finish`](crate::block::BlockWriter::finish) appends the block in
    /// its place.
    pub fn begin_block(out: &mut Vec<u8>) {
        out.push(BLOCK);
    }

    /// The record in a value. A block is only borrowed; its reader checks it.
    ///
    /// # Errors
    /// The first byte or the body is none of these.
    pub fn decode(bytes: &'a [u8]) -> Result<SightingsRecord<'a>, RecordError> {
        let invalid = |field| RecordError::Invalid { field };
        let (&tag, body) = bytes.split_first().ok_or(invalid("tag"))?;
        match tag {
            BLOCK => Ok(SightingsRecord::Block(Cow::Borrowed(body))),
            LINK => link::decode(body).map(SightingsRecord::Link),
            DELTA => decode_delta(body).map(SightingsRecord::Delta),
            TICK if body.is_empty() => Ok(SightingsRecord::Tick(TickTime::AppendStamp)),
            TICK => {
                let at = body.try_into().map_err(|_| invalid("tick"))?;
                Ok(SightingsRecord::Tick(TickTime::At(Timestamp(i64::from_le_bytes(at)))))
            }
            DECISION => decision::decode(body).map(SightingsRecord::Decision),
            CALIBRATION => calibration::decode(body).map(SightingsRecord::Calibration),
            WATCH => watch::decode(body).map(SightingsRecord::Watch),
            WEIGHING => weighing::decode(body).map(SightingsRecord::Weighing),
            _ => Err(invalid("tag")),
        }
    }
}

fn tagged(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + body.len());
    out.push(tag);
    out.extend_from_slice(body);
    out
}

fn decode_delta(body: &[u8]) -> Result<Delta, RecordError> {
    let cursor = &mut Cursor::new(body);
    if cursor.byte()? != DELTA_VERSION {
        return Err(RecordError::Invalid { field: "delta version" });
    }
    let family: FamilyId = read_family(cursor)?;
    let member: ContentId = read_content(cursor)?;
    let class: Class = read_class(cursor)?;
    let delta = Delta {
        family,
        member,
        class,
        number: narrow(cursor, "number")?,
        records: cursor.bytes()?.to_vec(),
    };
    cursor.finish()?;
    Ok(delta)
}
