//! A review as a row: the one place that knows the columns.

use tocsin_casework::{Lease, Review, ReviewAnswer, ReviewKind};
use tocsin_model::{ContentId, FamilyId, Timestamp, Verdict};

use crate::cases::{decision_id, team};
use crate::database::{Row, Transaction, Value};
use crate::{StoreError, alert_json};

pub(super) const SELECT_REVIEWS: &str = "SELECT a.review_id, a.team, a.kind, a.case_id, a.decision_id, a.golden_id, a.first, a.family, a.hash, a.alert, a.asked_at, a.fencing, \
     a.lease_holder, a.lease_expires_at, a.verdict, a.note, a.answered_at, a.answered_by, a.answered_under FROM reviews a";

/// Which golden case is handed out, and to whom: the person's name, or the key where it is nobody's alone.
pub(super) struct Golden {
    pub name: String,
    pub given_to: String,
}

pub(super) async fn insert(
    transaction: &mut Transaction,
    (review, golden): (&Review, Option<&Golden>),
) -> Result<(), sqlx::Error> {
    let mut values: Vec<Value> = vec![
        review.id.to_string().into(),
        review.team.to_number().into(),
        (review.kind as i64).into(),
        review.case.to_string().into(),
        review.decision.map(|id| format!("{:032x}", id.0)).into(),
        golden.map(|golden| golden.name.clone()).into(),
        golden.map(|golden| golden.given_to.clone()).into(),
        (review.first as i64).into(),
        review.family.to_string().into(),
        alert_json::hash_to_json(&review.hash).into(),
        review
            .alert
            .as_ref()
            .map(alert_json::to_json)
            .unwrap_or_default()
            .into(),
        review.asked_at.into(),
    ];
    values.extend(changing(review));
    let places: Vec<String> = (1..=values.len()).map(|number| format!("${number}")).collect();
    let sql = format!(
        "INSERT INTO reviews (review_id, team, kind, case_id, decision_id, golden_id, given_to, first, family, hash, alert, asked_at, {}) VALUES ({}) \
         ON CONFLICT (decision_id, kind) DO NOTHING",
        CHANGING.join(", "),
        places.join(", ")
    );
    transaction.execute(&sql, &values).await.map(drop)
}

/// The columns that change, in the order of [`changing`].
const CHANGING: [&str; 8] = [
    "fencing",
    "lease_holder",
    "lease_expires_at",
    "verdict",
    "note",
    "answered_at",
    "answered_by",
    "answered_under",
];

/// Writes back all that changes of a review that this transaction holds locked.
pub(super) async fn update(transaction: &mut Transaction, review: &Review) -> Result<(), sqlx::Error> {
    let mut values: Vec<Value> = vec![review.id.to_string().into()];
    values.extend(changing(review));
    let set = CHANGING
        .iter()
        .enumerate()
        .map(|(index, column)| format!("{column} = ${}", index + 2));
    let sql = format!(
        "UPDATE reviews SET {} WHERE review_id = $1",
        set.collect::<Vec<_>>().join(", ")
    );
    transaction.execute(&sql, &values).await.map(drop)
}

fn changing(review: &Review) -> [Value; CHANGING.len()] {
    let answer = review.answer.as_ref();
    [
        (review.fencing as i64).into(),
        review.lease.map(|lease| lease.holder.to_string()).into(),
        review.lease.map(|lease| lease.expires_at.0).into(),
        answer.map(|answer| answer.verdict as i64).into(),
        answer.map(|answer| answer.note.clone()).into(),
        answer.map(|answer| answer.at.0).into(),
        answer.map(|answer| answer.by.to_string()).into(),
        answer.map(|answer| answer.fencing as i64).into(),
    ]
}

/// A review from a row of [`SELECT_REVIEWS`].
pub(super) fn review(row: &Row) -> Result<Review, StoreError> {
    let malformed = |field| StoreError::Malformed { field };
    let number = |field| row.integer(field).map_err(StoreError::database("read a review"));
    let number_if_any = |field| row.integer_if_any(field).map_err(StoreError::database("read a review"));
    let text = |field| row.text(field).map_err(StoreError::database("read a review"));
    let text_if_any = |field| row.text_if_any(field).map_err(StoreError::database("read a review"));
    let lease = match (text_if_any("lease_holder")?, number_if_any("lease_expires_at")?) {
        (Some(holder), Some(expires_at)) => Some(Lease {
            holder: holder.parse().map_err(|_| malformed("lease_holder"))?,
            expires_at: Timestamp(expires_at),
        }),
        _ => None,
    };
    let answer = match number_if_any("verdict")? {
        None => None,
        Some(said) => Some(ReviewAnswer {
            verdict: verdict(said).ok_or(malformed("verdict"))?,
            note: text("note")?,
            at: Timestamp(number("answered_at")?),
            by: text("answered_by")?.parse().map_err(|_| malformed("answered_by"))?,
            fencing: number("answered_under")? as u64,
        }),
    };
    let alert = text("alert")?;
    Ok(Review {
        id: text("review_id")?.parse().map_err(|_| malformed("review_id"))?,
        team: team(row)?,
        kind: ReviewKind::from_number(number("kind")?).ok_or(malformed("kind"))?,
        case: text("case_id")?.parse().map_err(|_| malformed("case_id"))?,
        decision: text_if_any("decision_id")?.as_deref().map(decision_id).transpose()?,
        first: verdict(number("first")?).ok_or(malformed("first"))?,
        family: FamilyId(ContentId::parse(&text("family")?).ok_or(malformed("family"))?),
        hash: alert_json::hash_from_json(&text("hash")?)?,
        alert: match alert.as_str() {
            "" => None,
            stored => Some(alert_json::from_json(stored)?),
        },
        asked_at: Timestamp(number("asked_at")?),
        fencing: number("fencing")? as u64,
        lease,
        answer,
    })
}

pub(super) fn verdict(number: i64) -> Option<Verdict> {
    u8::try_from(number).ok().and_then(Verdict::from_number)
}
