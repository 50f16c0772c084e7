//! A preservation as a row: the one place that knows the columns.

use tocsin_casework::Team;
use tocsin_evidence::{Basis, BasisKind, Origin, Preservation, PreservationEnd, SealedCopy};
use tocsin_model::Timestamp;

use crate::StoreError;
use crate::database::{Row, Transaction, Value};

pub(super) const SELECT_PRESERVATIONS: &str = "SELECT p.sequence, p.preservation_id, p.team, p.case_id, p.basis, p.basis_text, p.basis_reference, p.origin, p.origin_id, \
     p.placed_at, p.until_at, p.required_until, p.extensions, p.exports, p.ended_at, p.ended_by, p.seal_attempt, p.sealed_at, p.manifest, p.events, p.bytes, \
     p.is_cut, p.deleted_at FROM preservations p";

/// The columns that change, in the order of [`changing`].
const CHANGING: [&str; 12] = [
    "until_at",
    "required_until",
    "extensions",
    "exports",
    "ended_at",
    "ended_by",
    "sealed_at",
    "manifest",
    "events",
    "bytes",
    "is_cut",
    "deleted_at",
];

pub(super) async fn insert(transaction: &mut Transaction, placed: &Preservation) -> Result<(), sqlx::Error> {
    let (origin, origin_id) = (placed.origin, placed.origin.id());
    let mut values: Vec<Value> = vec![
        placed.id.to_string().into(),
        Team::Party(placed.party).to_number().into(),
        placed.case.to_string().into(),
        (placed.basis.kind as i64).into(),
        placed.basis.text.as_str().into(),
        placed.basis.reference.as_str().into(),
        match origin {
            Origin::Person(_) => 1,
            Origin::Notice(_) => 2,
            Origin::Appeal(_) => 3,
        }
        .into(),
        origin_id.into(),
        placed.placed_at.into(),
    ];
    values.extend(changing(placed));
    let places: Vec<String> = (1..=values.len()).map(|number| format!("${number}")).collect();
    let sql = format!(
        "INSERT INTO preservations (preservation_id, team, case_id, basis, basis_text, basis_reference, origin, origin_id, placed_at, {}, seal_attempt, \
         seal_claimed_until) VALUES ({}, 0, 0)",
        CHANGING.join(", "),
        places.join(", ")
    );
    transaction.execute(&sql, &values).await.map(drop)
}

/// Writes back all that changes of a preservation that this transaction holds locked.
pub(super) async fn update(transaction: &mut Transaction, changed: &Preservation) -> Result<(), sqlx::Error> {
    let mut values: Vec<Value> = vec![changed.id.to_string().into()];
    values.extend(changing(changed));
    let set: Vec<String> = CHANGING
        .iter()
        .enumerate()
        .map(|(index, column)| format!("{column} = ${}", index + 2))
        .collect();
    let sql = format!("UPDATE preservations SET {} WHERE preservation_id = $1", set.join(", "));
    transaction.execute(&sql, &values).await.map(drop)
}

fn changing(of: &Preservation) -> [Value; CHANGING.len()] {
    [
        of.until.into(),
        of.required_until.map(|at| at.0).into(),
        i64::from(of.extensions).into(),
        i64::from(of.exports).into(),
        of.ended.map(|end| end.at.0).into(),
        of.ended.and_then(|end| end.by).map(|by| by.to_string()).into(),
        of.copy.map(|copy| copy.at.0).into(),
        of.copy.map(|copy| hex::encode(copy.manifest)).into(),
        of.copy.map(|copy| copy.events as i64).into(),
        of.copy.map(|copy| copy.bytes as i64).into(),
        of.copy.map(|copy| i64::from(copy.is_cut)).into(),
        of.deleted_at.map(|at| at.0).into(),
    ]
}

/// A preservation from a row of [`SELECT_PRESERVATIONS`].
pub(super) fn preservation(row: &Row) -> Result<Preservation, StoreError> {
    let malformed = |field| StoreError::Malformed { field };
    let number = |field| row.integer(field).map_err(StoreError::database("read a preservation"));
    let number_if_any = |field| {
        row.integer_if_any(field)
            .map_err(StoreError::database("read a preservation"))
    };
    let time_if_any = |field| number_if_any(field).map(|at| at.map(Timestamp));
    let text = |field| row.text(field).map_err(StoreError::database("read a preservation"));
    let text_if_any = |field| {
        row.text_if_any(field)
            .map_err(StoreError::database("read a preservation"))
    };
    let count = |field: &'static str| u32::try_from(number(field)?).map_err(|_| malformed(field));
    let total = |field: &'static str| Ok::<_, StoreError>(number_if_any(field)?.ok_or(malformed(field))? as u64);
    let origin_id = tocsin_model::parse_hex_id(&text("origin_id")?).map_err(|_| malformed("origin_id"))?;
    let origin = match number("origin")? {
        1 => Origin::Person(tocsin_model::KeyId(origin_id)),
        2 => Origin::Notice(tocsin_casework::NoticeId(origin_id)),
        3 => Origin::Appeal(tocsin_casework::AppealId(origin_id)),
        _ => return Err(malformed("origin")),
    };
    let copy = match (time_if_any("sealed_at")?, text_if_any("manifest")?) {
        (Some(at), Some(manifest)) => Some(SealedCopy {
            at,
            manifest: digest(&manifest).ok_or(malformed("manifest"))?,
            events: total("events")?,
            bytes: total("bytes")?,
            is_cut: number_if_any("is_cut")? == Some(1),
        }),
        (None, None) => None,
        _ => return Err(malformed("sealed_at")),
    };
    let ended_by = text_if_any("ended_by")?.map(|by| by.parse()).transpose();
    let ended_by = ended_by.map_err(|_| malformed("ended_by"))?;
    let Some(Team::Party(party)) = Team::from_number(number("team")?) else {
        return Err(malformed("team"));
    };
    Ok(Preservation {
        id: text("preservation_id")?
            .parse()
            .map_err(|_| malformed("preservation_id"))?,
        party,
        case: text("case_id")?.parse().map_err(|_| malformed("case_id"))?,
        basis: Basis {
            kind: BasisKind::from_number(number("basis")?).ok_or(malformed("basis"))?,
            text: text("basis_text")?,
            reference: text("basis_reference")?,
        },
        origin,
        placed_at: Timestamp(number("placed_at")?),
        until: Timestamp(number("until_at")?),
        required_until: time_if_any("required_until")?,
        extensions: count("extensions")?,
        exports: count("exports")?,
        ended: time_if_any("ended_at")?.map(|at| PreservationEnd { at, by: ended_by }),
        copy,
        deleted_at: time_if_any("deleted_at")?,
    })
}

fn digest(text: &str) -> Option<tocsin_evidence::Digest> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).ok()?;
    Some(digest)
}
