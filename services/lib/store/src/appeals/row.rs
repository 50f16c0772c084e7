//! An appeal as a row: the one place that knows the columns.

use tocsin_casework::{
    Against, Appeal, AppealAnswer, AppealCause, AppealFiling, AppealOutcome, AppealRuling, Concerns, Lease,
};
use tocsin_model::{ContentId, FamilyId, PlatformId, Timestamp, Verdict};

use crate::cases::{decision_id, team};
use crate::database::{Row, Transaction, Value};
use crate::{StoreError, alert_json};

pub(super) const SELECT_APPEALS: &str = "SELECT a.sequence, a.appeal_id, a.team, a.reference, a.platform_id, a.content, a.content_id, a.against, a.reason, a.family, a.case_id, \
     a.decision_id, a.filed_by, a.filed_at, a.fencing, a.lease_holder, a.lease_expires_at, a.outcome, a.concerns, a.cause, a.verdict, a.answer_note, a.answered_at, \
     a.answered_by, a.answered_under, a.answered_with";

/// The columns that change, in the order of [`changing`].
const CHANGING: [&str; 13] = [
    "case_id",
    "fencing",
    "lease_holder",
    "lease_expires_at",
    "outcome",
    "concerns",
    "cause",
    "verdict",
    "answer_note",
    "answered_at",
    "answered_by",
    "answered_under",
    "answered_with",
];

/// Inserts an appeal unless the team has one of its reference; how many rows.
pub(super) async fn insert(transaction: &mut Transaction, appeal: &Appeal) -> Result<u64, sqlx::Error> {
    let filing = &appeal.filing;
    let mut values: Vec<Value> = vec![
        appeal.id.to_string().into(),
        appeal.team.to_number().into(),
        filing.reference.as_str().into(),
        i64::from(filing.platform.0).into(),
        alert_json::hash_to_json(&filing.content).into(),
        appeal.content.to_string().into(),
        match filing.against {
            Against::Decision(_) => 1,
            Against::Block => 2,
        }
        .into(),
        filing.reason.as_str().into(),
        appeal.family.to_string().into(),
        appeal.decision.map(|id| format!("{:032x}", id.0)).into(),
        appeal.filed_by.to_string().into(),
        appeal.filed_at.into(),
    ];
    values.extend(changing(appeal));
    let places: Vec<String> = (1..=values.len()).map(|number| format!("${number}")).collect();
    let sql = format!(
        "INSERT INTO appeals (appeal_id, team, reference, platform_id, content, content_id, against, reason, family, decision_id, filed_by, filed_at, {}) \
         VALUES ({}) ON CONFLICT (team, reference) DO NOTHING",
        CHANGING.join(", "),
        places.join(", ")
    );
    transaction.execute(&sql, &values).await
}

/// Writes back all that changes of an appeal that this transaction holds locked.
pub(super) async fn update(transaction: &mut Transaction, appeal: &Appeal) -> Result<(), sqlx::Error> {
    let mut values: Vec<Value> = vec![appeal.id.to_string().into()];
    values.extend(changing(appeal));
    let set = CHANGING
        .iter()
        .enumerate()
        .map(|(index, column)| format!("{column} = ${}", index + 2));
    let sql = format!(
        "UPDATE appeals SET {} WHERE appeal_id = $1",
        set.collect::<Vec<_>>().join(", ")
    );
    transaction.execute(&sql, &values).await.map(drop)
}

fn changing(appeal: &Appeal) -> [Value; CHANGING.len()] {
    let answer = appeal.answer.as_ref();
    let ruling = answer.map(|answer| &answer.ruling);
    [
        appeal.case.map(|id| id.to_string()).into(),
        (appeal.fencing as i64).into(),
        appeal.lease.map(|lease| lease.holder.to_string()).into(),
        appeal.lease.map(|lease| lease.expires_at.0).into(),
        ruling.map(|ruling| ruling.outcome as i64).into(),
        ruling.map(|ruling| ruling.concerns as i64).into(),
        ruling.and_then(|ruling| ruling.cause).map(|cause| cause as i64).into(),
        ruling
            .and_then(|ruling| ruling.verdict)
            .map(|verdict| verdict as i64)
            .into(),
        ruling.map(|ruling| ruling.note.clone()).into(),
        answer.map(|answer| answer.at.0).into(),
        answer.map(|answer| answer.by.to_string()).into(),
        answer.map(|answer| answer.fencing as i64).into(),
        answer.and_then(|answer| answer.with).map(|id| id.to_string()).into(),
    ]
}

/// An appeal from a row of [`SELECT_APPEALS`].
pub(super) fn appeal(row: &Row) -> Result<Appeal, StoreError> {
    let failed = StoreError::database("read an appeal");
    let malformed = |field| StoreError::Malformed { field };
    let number = |field| row.integer(field).map_err(StoreError::database("read an appeal"));
    let number_if_any = |field| {
        row.integer_if_any(field)
            .map_err(StoreError::database("read an appeal"))
    };
    let text = |field| row.text(field).map_err(StoreError::database("read an appeal"));
    let text_if_any = |field| row.text_if_any(field).map_err(StoreError::database("read an appeal"));
    let key = |field: &'static str| text(field)?.parse().map_err(|_| malformed(field));
    let content_id = |field: &'static str| ContentId::parse(&text(field)?).ok_or(malformed(field));
    let decision = text_if_any("decision_id")?.as_deref().map(decision_id).transpose()?;
    let lease = match (text_if_any("lease_holder")?, number_if_any("lease_expires_at")?) {
        (Some(holder), Some(expires_at)) => Some(Lease {
            holder: holder.parse().map_err(|_| malformed("lease_holder"))?,
            expires_at: Timestamp(expires_at),
        }),
        _ => None,
    };
    let verdict = |number| u8::try_from(number).ok().and_then(Verdict::from_number);
    let answer = match number_if_any("outcome")? {
        None => None,
        Some(outcome) => Some(AppealAnswer {
            ruling: AppealRuling {
                outcome: AppealOutcome::from_number(outcome).ok_or(malformed("outcome"))?,
                concerns: Concerns::from_number(number("concerns")?).ok_or(malformed("concerns"))?,
                cause: number_if_any("cause")?
                    .map(|number| AppealCause::from_number(number).ok_or(malformed("cause")))
                    .transpose()?,
                verdict: number_if_any("verdict")?
                    .map(|number| verdict(number).ok_or(malformed("verdict")))
                    .transpose()?,
                note: text("answer_note")?,
            },
            at: Timestamp(number("answered_at")?),
            by: key("answered_by")?,
            fencing: number("answered_under")? as u64,
            with: text_if_any("answered_with")?
                .map(|id| id.parse().map_err(|_| malformed("answered_with")))
                .transpose()?,
        }),
    };
    let case = text_if_any("case_id")?.map(|id| id.parse().map_err(|_| malformed("case_id")));
    Ok(Appeal {
        id: text("appeal_id")?.parse().map_err(|_| malformed("appeal_id"))?,
        team: team(row)?,
        filing: AppealFiling {
            reference: text("reference")?,
            platform: u16::try_from(number("platform_id")?)
                .map(PlatformId)
                .map_err(|_| malformed("platform_id"))?,
            content: alert_json::hash_from_json(&row.text("content").map_err(&failed)?)?,
            against: match (number("against")?, decision) {
                (1, Some(decision)) => Against::Decision(decision),
                (2, _) => Against::Block,
                _ => return Err(malformed("against")),
            },
            reason: text("reason")?,
        },
        content: content_id("content_id")?,
        family: FamilyId(content_id("family")?),
        case: case.transpose()?,
        decision,
        filed_by: key("filed_by")?,
        filed_at: Timestamp(number("filed_at")?),
        fencing: number("fencing")? as u64,
        lease,
        answer,
    })
}
