//! A notice as a row: the one place that knows the columns.

use tocsin_casework::{Filing, Notice, NoticeAnswer, NoticeKind, NoticeOutcome, Suspension, SuspensionGround, Team};
use tocsin_model::{PlatformId, Timestamp};

use crate::database::{Row, Transaction, Value};
use crate::{StoreError, alert_json};

pub(crate) const SELECT_NOTICES: &str = "SELECT n.sequence, n.notice_id, n.case_id, n.kind, n.authority, n.reference, n.part, n.content, n.platform_id, n.received_at, \
     n.asked_due_at, n.urls, n.statement, n.filed_by, n.filed_at, n.due_at, n.ground, n.suspended_note, n.suspended_at, n.suspended_by, n.outcome, \
     n.answer_note, n.answered_at, n.answered_by, n.overdue_at FROM notices n";

/// The columns that change, in the order of [`changing`].
const CHANGING: [&str; 10] = [
    "due_at",
    "ground",
    "suspended_note",
    "suspended_at",
    "suspended_by",
    "outcome",
    "answer_note",
    "answered_at",
    "answered_by",
    "overdue_at",
];

/// Inserts a notice unless the team has one of its name; how many rows.
pub(super) async fn insert(transaction: &mut Transaction, team: Team, notice: &Notice) -> Result<u64, sqlx::Error> {
    let filing = &notice.filing;
    let mut values: Vec<Value> = vec![
        notice.id.to_string().into(),
        team.to_number().into(),
        notice.case.to_string().into(),
        (filing.kind as i64).into(),
        filing.authority.as_str().into(),
        filing.reference.as_str().into(),
        i64::from(filing.part).into(),
        filing.content.as_ref().map(alert_json::hash_to_json).into(),
        filing.platform.map(|platform| i64::from(platform.0)).into(),
        filing.received_at.into(),
        filing.due_at.map(|at| at.0).into(),
        serde_json::json!(filing.urls).to_string().into(),
        filing.statement.as_str().into(),
        notice.filed_by.to_string().into(),
        notice.filed_at.into(),
    ];
    values.extend(changing(notice));
    let places: Vec<String> = (1..=values.len()).map(|number| format!("${number}")).collect();
    let sql = format!(
        "INSERT INTO notices (notice_id, team, case_id, kind, authority, reference, part, content, platform_id, received_at, asked_due_at, urls, statement, \
         filed_by, filed_at, {}) VALUES ({}) ON CONFLICT (team, authority, reference, part) DO NOTHING",
        CHANGING.join(", "),
        places.join(", ")
    );
    transaction.execute(&sql, &values).await
}

/// Writes back all that changes of a notice whose case this transaction holds locked.
pub(super) async fn update(transaction: &mut Transaction, notice: &Notice) -> Result<(), sqlx::Error> {
    let mut values: Vec<Value> = vec![notice.id.to_string().into()];
    values.extend(changing(notice));
    let set = CHANGING
        .iter()
        .enumerate()
        .map(|(index, column)| format!("{column} = ${}", index + 2));
    let sql = format!(
        "UPDATE notices SET {} WHERE notice_id = $1",
        set.collect::<Vec<_>>().join(", ")
    );
    transaction.execute(&sql, &values).await.map(drop)
}

fn changing(notice: &Notice) -> [Value; CHANGING.len()] {
    let (suspension, answer) = (notice.suspension.as_ref(), notice.answer.as_ref());
    [
        notice.due_at.map(|at| at.0).into(),
        suspension.map(|suspension| suspension.ground as i64).into(),
        suspension.map(|suspension| suspension.note.clone()).into(),
        suspension.map(|suspension| suspension.at.0).into(),
        suspension.map(|suspension| suspension.by.to_string()).into(),
        answer.map(|answer| answer.outcome as i64).into(),
        answer.map(|answer| answer.note.clone()).into(),
        answer.map(|answer| answer.at.0).into(),
        answer.map(|answer| answer.by.to_string()).into(),
        notice.overdue_at.map(|at| at.0).into(),
    ]
}

/// A notice from a row of [`SELECT_NOTICES`].
pub(crate) fn notice(row: &Row) -> Result<Notice, StoreError> {
    let malformed = |field| StoreError::Malformed { field };
    let number = |field| row.integer(field).map_err(StoreError::database("read a notice"));
    let number_if_any = |field| row.integer_if_any(field).map_err(StoreError::database("read a notice"));
    let time_if_any = |field| number_if_any(field).map(|at| at.map(Timestamp));
    let text = |field| row.text(field).map_err(StoreError::database("read a notice"));
    let key = |field: &'static str| text(field)?.parse().map_err(|_| malformed(field));
    let suspension = match number_if_any("ground")? {
        None => None,
        Some(ground) => Some(Suspension {
            ground: SuspensionGround::from_number(ground).ok_or(malformed("ground"))?,
            note: text("suspended_note")?,
            at: Timestamp(number("suspended_at")?),
            by: key("suspended_by")?,
        }),
    };
    let answer = match number_if_any("outcome")? {
        None => None,
        Some(outcome) => Some(NoticeAnswer {
            outcome: NoticeOutcome::from_number(outcome).ok_or(malformed("outcome"))?,
            note: text("answer_note")?,
            at: Timestamp(number("answered_at")?),
            by: key("answered_by")?,
        }),
    };
    let content = row
        .text_if_any("content")
        .map_err(StoreError::database("read a notice"))?;
    let platform = number_if_any("platform_id")?
        .map(|number| u16::try_from(number).map(PlatformId))
        .transpose();
    Ok(Notice {
        id: text("notice_id")?.parse().map_err(|_| malformed("notice_id"))?,
        case: text("case_id")?.parse().map_err(|_| malformed("case_id"))?,
        filing: Filing {
            kind: NoticeKind::from_number(number("kind")?).ok_or(malformed("kind"))?,
            authority: text("authority")?,
            reference: text("reference")?,
            part: u32::try_from(number("part")?).map_err(|_| malformed("part"))?,
            content: content.as_deref().map(alert_json::hash_from_json).transpose()?,
            platform: platform.map_err(|_| malformed("platform_id"))?,
            received_at: Timestamp(number("received_at")?),
            due_at: time_if_any("asked_due_at")?,
            urls: serde_json::from_str(&text("urls")?).map_err(|_| malformed("urls"))?,
            statement: text("statement")?,
        },
        filed_by: key("filed_by")?,
        filed_at: Timestamp(number("filed_at")?),
        due_at: time_if_any("due_at")?,
        suspension,
        answer,
        overdue_at: time_if_any("overdue_at")?,
    })
}
